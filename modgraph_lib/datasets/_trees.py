"""Labelled images in class folders, unpacked or straight from a tar archive.

Layout: ``<tree>/<split>/<class>/<file>``, as torchvision's ImageFolder reads it. An archive is
decoded as a stream: nothing in it is ever written to disk, so no path in it can do harm.
"""

import hashlib
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from modgraph_lib.datasets._cache import cached, log, pack_names, unpack_names
from modgraph_lib.datasets._types import DataCorrupt

SUFFIXES = (".jpg", ".jpeg", ".png")
ORDER_SEED = 42


@dataclass(frozen=True)
class Tree:
    """What an image tree must be: its folder, archives, split folders, counts and image size."""

    folder: str
    archives: tuple[str, ...]
    splits: dict[str, str]
    counts: dict[str, int]
    classes: int
    size: int = 32


TREES = {
    "cifar10": Tree(
        "cifar10",
        ("cifar10-jpeg.tar.xz", "cifar10.tar.xz"),
        {"train": "train", "test": "test"},
        {"train": 50_000, "test": 10_000},
        10,
    ),
    "tiny_imagenet": Tree(
        "tiny-imagenet-32",
        ("tiny-imagenet-32.tar.xz",),
        {"train": "train", "test": "val"},
        {"train": 50_000, "test": 5_000},
        100,
    ),
}


def locate(name: str, searched: list[Path]) -> Path | None:
    """The first unpacked tree or archive of ``name``, in the order of the roots, or None."""
    tree = TREES[name]
    for root in searched:
        if all((root / tree.folder / below).is_dir() for below in tree.splits.values()):
            return root / tree.folder
        for archive in tree.archives:
            if (root / archive).is_file():
                return root / archive
    return None


def _listing(folder: Path) -> list[os.DirEntry]:
    """Image files of one split folder, by class and name."""
    found = []
    for kind in sorted(entry.path for entry in os.scandir(folder) if entry.is_dir()):
        with os.scandir(kind) as entries:
            found += sorted(
                (entry for entry in entries if entry.name.lower().endswith(SUFFIXES)),
                key=lambda entry: entry.name,
            )
    return found


def content_key(name: str, split: str, source: Path) -> str:
    """A short key of what is on disk: the archive's SHA-256, or names, sizes and times."""
    digest = hashlib.sha256()
    if source.is_file():
        with open(source, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
    else:
        for entry in _listing(source / TREES[name].splits[split]):
            state = entry.stat()
            path = "/".join(Path(entry.path).parts[-2:])
            digest.update(f"{path}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return f"{name}-{split}-{digest.hexdigest()[:16]}"


def _decode(content: bytes, where: str, size: int) -> np.ndarray:
    """One image as (3, size, size) uint8."""
    from PIL import Image  # with torchvision; only needed when images are decoded

    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.size != (size, size):
                raise DataCorrupt(f"{where} is {image.size[0]}x{image.size[1]}, not {size}x{size}")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataCorrupt(f"{where} cannot be decoded: {error}") from error


Item = tuple[str, str, bytes]  # class, file name, file content


def _from_folder(folder: Path) -> Iterator[Item]:
    for entry in _listing(folder):
        path = Path(entry.path)
        yield path.parent.name, path.name, path.read_bytes()


def _from_archive(archive: Path, tree: Tree, split: str) -> Iterator[Item]:
    try:
        with tarfile.open(archive, "r|*") as stream:
            for member in stream:
                parts = PurePosixPath(member.name).parts
                if (
                    member.isreg()
                    and len(parts) == 4
                    and parts[:2] == (tree.folder, tree.splits[split])
                    and parts[3].lower().endswith(SUFFIXES)
                ):
                    file = stream.extractfile(member)
                    assert file is not None  # a regular file has content
                    yield parts[2], parts[3], file.read()
    except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise DataCorrupt(f"{archive} cannot be read as an archive: {error}") from error


def _assemble(items: Iterable[Item], tree: Tree, split: str, source: Path) -> dict:
    """Decode, check the counts, and put the images in one fixed mixed order."""
    keys, images = [], []
    for kind, file, content in items:
        keys.append((kind, file))
        images.append(_decode(content, f"{source}: {kind}/{file}", tree.size))
    kinds = sorted({kind for kind, _ in keys})
    if len(images) != tree.counts[split] or len(kinds) != tree.classes:
        raise DataCorrupt(
            f"{source} holds {len(images)} images in {len(kinds)} classes for {split}, expected "
            f"{tree.counts[split]} in {tree.classes}; unpack or copy it again"
        )
    by_class = sorted(range(len(keys)), key=keys.__getitem__)
    # Class after class is a trap for whoever takes the first n; the original order is lost.
    mixed = np.random.RandomState(ORDER_SEED).permutation(len(keys))
    order = np.array(by_class)[mixed]
    number = {kind: index for index, kind in enumerate(kinds)}
    labels = np.array([number[kind] for kind, _ in keys], dtype=np.int64)[order]
    return {
        "images": torch.from_numpy(np.stack(images)[order]),
        "labels": torch.from_numpy(labels),
        "classes": pack_names(kinds),
    }


def load(name: str, split: str, source: Path) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Images (N, 3, 32, 32) uint8, labels (N,) int64 and class folder names.

    The first call decodes (seconds for 50,000 images) and stores the result in the user's
    cache; later calls read that. Order: classes and files sorted, then one fixed permutation.
    """
    tree = TREES[name]

    def build() -> dict:
        log.info("decoding %s (%s), once", source, split)
        if source.is_file():
            return _assemble(_from_archive(source, tree, split), tree, split, source)
        return _assemble(_from_folder(source / tree.splits[split]), tree, split, source)

    stored = cached(content_key(name, split, source), build)
    return stored["images"], stored["labels"], unpack_names(stored["classes"])


def readable(classes: list[str], name: str, source: Path) -> list[str]:
    """WordNet ids turned into words where a ``<tree>-classes.tsv`` lies beside the tree."""
    table = source.parent / f"{TREES[name].folder}-classes.tsv"
    if not table.is_file():
        return classes
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    words = {row[0]: row[1].split(",")[0] for row in rows if len(row) >= 2}
    return [words.get(kind, kind) for kind in classes]
