"""ImageNet in class folders, as its owners have it: all classes, or the community paper's fifty.

Layout: ``<root>/imagenet/{train,val}/<WordNet id>/*.JPEG`` (or ``<root>/imagenet50/...`` for a
copy of the fifty classes alone). ImageNet may not be passed on, so nothing here downloads it.
Every image is brought to 224x224 as the paper's code evaluates: the shorter side to 256, then the
central window.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from modgraph_lib.datasets._cache import Tensors, cached
from modgraph_lib.datasets._places import missing, roots
from modgraph_lib.datasets._types import DataCorrupt

FOLDERS = {"imagenet50": ("imagenet50", "imagenet"), "imagenet": ("imagenet",)}
SPLITS = {"train": "train", "test": "val"}
SHORTER_SIDE, SIZE = 256, 224
ORDER_SEED = 42
SUFFIXES = (".jpeg", ".jpg", ".png")
# Appendix B.1 of Understanding the Dynamics of DNNs Using Graph Modularity, in order of id.
# fmt: off
CLASSES_50 = (
    "n01443537", "n01484850", "n01491361", "n01494475", "n01496331", "n01498041", "n01514668",
    "n01514859", "n01518878", "n01530575", "n01531178", "n01532829", "n01534433", "n01537544",
    "n01558993", "n01560419", "n01580077", "n01582220", "n01592084", "n01601694", "n01608432",
    "n01614925", "n01616318", "n01632777", "n01667778", "n01688243", "n01728920", "n01773157",
    "n01795545", "n01847000", "n07768694", "n07802026", "n07831146", "n07836838", "n07860988",
    "n07871810", "n07873807", "n09193705", "n09229709", "n09246464", "n09256479", "n09288635",
    "n09332890", "n09399592", "n09421951", "n09428293", "n09468604", "n09472597", "n09835506",
    "n10148035",
)
# fmt: on
ADVICE = (
    "ImageNet has no free download: get ILSVRC 2012 from image-net.org, and put it as "
    "imagenet/train/<class>/*.JPEG and imagenet/val/<class>/*.JPEG, folders named by WordNet id, "
    "into one of these folders.\nFor imagenet50 the fifty classes of "
    "data/papers/tables/community_modularity/imagenet50_classes.csv are enough. Its training "
    "images take 10 GB of memory at 224x224, and as much on disk for the decoded copy."
)

Item = tuple[Path, int]


def listing(name: str, split: str, searched: list[Path]) -> tuple[list[Item], tuple[str, ...]]:
    """(file, class number) of every image in one fixed mixed order, and the class ids.

    Raises:
        DataMissing: no such folders, or none with images for some class.
    """
    folder = locate(name, searched)
    if folder is None:
        wanted = " or ".join(f"{one}/{{train,val}}/<class>/*.JPEG" for one in FOLDERS[name])
        raise missing(name, wanted, searched, advice=ADVICE)
    below = folder / SPLITS[split]
    classes: tuple[str, ...] = CLASSES_50
    if name == "imagenet":
        classes = tuple(sorted(entry.name for entry in below.iterdir() if entry.is_dir()))
    files = {kind: _images(below / kind) for kind in classes}
    if empty := [kind for kind, found in files.items() if not found]:
        few = ", ".join(empty[:5]) + (" ..." if len(empty) > 5 else "")
        what = f"{below} has no images of {len(empty)} of {len(classes)} classes: {few}"
        raise missing(name, what, searched, advice=ADVICE)
    items = [(path, number) for number, kind in enumerate(classes) for path in files[kind]]
    # Class after class is a trap for whoever takes the first n.
    order = np.random.RandomState(ORDER_SEED).permutation(len(items))
    return [items[place] for place in order], classes


def locate(name: str, searched: list[Path]) -> Path | None:
    """The first folder that holds both splits of ``name``, in the order of the roots."""
    for root in searched:
        for folder in FOLDERS[name]:
            if all((root / folder / below).is_dir() for below in SPLITS.values()):
                return root / folder
    return None


def load(split: str, searched: list[Path]) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """Images (N, 3, 224, 224) uint8, labels (N,) and class ids of one split of imagenet50.

    Decoded once and kept beside the other decoded sets.
    """
    items, classes = listing("imagenet50", split, searched)

    def build() -> Tensors:
        # Filled in place: a list of images and their stack would need the memory twice.
        images = torch.empty((len(items), 3, SIZE, SIZE), dtype=torch.uint8)
        for place, (path, _) in enumerate(items):
            images[place] = read(path)
        return {"images": images, "labels": torch.tensor([number for _, number in items])}

    stored = cached(f"imagenet50-{split}-{digest(items)}", build)
    return stored["images"], stored["labels"], classes


def sample(
    name: str, chosen: np.ndarray, root: str | Path | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Some validation images (n, 3, 224, 224) uint8 and their classes, read as they are asked for.

    Args:
        name: "imagenet" (all classes) or "imagenet50".
        chosen: places in ``listing(name, "test", ...)``.
    """
    items, _ = listing(name, "test", roots(root))
    images = torch.stack([read(items[place][0]) for place in chosen])
    return images, torch.tensor([items[place][1] for place in chosen])


def digest(items: list[Item]) -> str:
    """16 digits over names, sizes and times of the files."""
    found = hashlib.sha256()
    for path, _ in items:
        state = path.stat()
        found.update(f"{path.parent.name}/{path.name}|{state.st_size}|".encode())
        found.update(f"{state.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]


def read(path: Path) -> torch.Tensor:
    """One image as (3, 224, 224) uint8: the shorter side to 256, then the central window."""
    from PIL import Image, UnidentifiedImageError

    from modgraph_lib._torchvision import torchvision  # slow to import

    change = torchvision.transforms.functional
    try:
        with Image.open(path) as image:
            small = change.resize(image.convert("RGB"), SHORTER_SIDE)
    except (UnidentifiedImageError, OSError) as error:
        raise DataCorrupt(f"{path} cannot be decoded: {error}") from error
    return change.pil_to_tensor(change.center_crop(small, SIZE))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
