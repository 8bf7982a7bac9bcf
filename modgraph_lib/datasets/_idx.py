"""MNIST and Fashion-MNIST from their IDX files, plain or gzipped.

The files are read here rather than through torchvision so that a session on MNIST need not
import it, Debian's gzipped files work as they are, and each file is compared with the SHA-256
of the published one (torchvision checks only the archives it downloads itself).
"""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch

from modgraph_lib.datasets._places import missing
from modgraph_lib.datasets._types import DataCorrupt

FOLDERS = {
    "mnist": ("MNIST/raw", "mnist"),
    "fashion_mnist": ("FashionMNIST/raw", "fashion-mnist"),
}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
}  # fmt: skip
PREFIX = {"train": "train", "test": "t10k"}

# SHA-256 of the uncompressed files. Those of Fashion-MNIST were compared with the files in
# Debian's package dataset-fashion-mnist.
SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte":
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte":
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte":
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte":
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte":
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte":
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte":
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte":
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}  # fmt: skip


def _file(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def files(name: str) -> tuple[str, ...]:
    """The four file names of a data set."""
    return tuple(SHA256[name])


def locate(name: str, searched: list[Path]) -> Path | None:
    """The first folder that holds all four files of ``name``, or None."""
    for root in searched:
        for below in FOLDERS[name]:
            if all(_file(root / below, file) for file in files(name)):
                return root / below
    return None


def parse(content: bytearray, source: str) -> np.ndarray:
    """An IDX file of unsigned bytes as an array; DataCorrupt when its size is not its header's."""
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not 1 <= content[3] <= 4:
        raise DataCorrupt(f"{source} is not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(shape) != content[3] or len(content) != expected:
        raise DataCorrupt(f"{source} has {len(content)} bytes, its header says {expected}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _read(folder: Path, name: str, file: str) -> np.ndarray:
    path = _file(folder, file) or folder / file
    again = f"delete it and run: python -m modgraph_lib.datasets fetch {name}"
    try:
        stored = path.read_bytes()
        content = bytearray(gzip.decompress(stored) if path.suffix == ".gz" else stored)
    except (OSError, EOFError, zlib.error) as error:
        raise DataCorrupt(f"{path} cannot be read ({error}); {again}") from error
    array = parse(content, str(path))
    if hashlib.sha256(content).hexdigest() != SHA256[name][file]:
        raise DataCorrupt(f"{path} differs from the published file of {name}; {again}")
    return array


def load(name: str, split: str, searched: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 28, 28) uint8 and labels (N,) int64 of ``mnist`` or ``fashion_mnist``."""
    folder = locate(name, searched)
    if folder is None:
        advice = f"Get it with: python -m modgraph_lib.datasets fetch {name}"
        if name == "fashion_mnist":
            advice += "\nor, on Debian and Ubuntu: apt-get install dataset-fashion-mnist"
        raise missing(name, f"{FOLDERS[name][0]}/*-ubyte, plain or .gz", searched, advice=advice)
    images = _read(folder, name, f"{PREFIX[split]}-images-idx3-ubyte")
    labels = _read(folder, name, f"{PREFIX[split]}-labels-idx1-ubyte")
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
