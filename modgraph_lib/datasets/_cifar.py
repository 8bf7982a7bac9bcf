"""CIFAR-10 and CIFAR-100 from the Python archives that torchvision downloads.

Those archives hold pickles. Each file is read once, its MD5 compared with torchvision's table,
and only then are those very bytes unpickled, by a reader that can build NumPy arrays and plain
containers and nothing else.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modgraph_lib.datasets._types import DataCorrupt

FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def tables(name: str) -> Any:
    """torchvision's data set class, for its tables of file names, MD5 sums and addresses."""
    from modgraph_lib._torchvision import torchvision

    kinds = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}
    return kinds[name]


def locate(name: str, searched: list[Path]) -> Path | None:
    """The first folder with the extracted archive of ``name``, or None."""
    for root in searched:
        if (root / FOLDERS[name]).is_dir():
            return root / FOLDERS[name]
    return None


class _ArraysOnly(pickle.Unpickler):
    """Unpickles arrays, numbers, strings and containers; any other name is refused."""

    _rebuild = np.zeros(0).__reduce__()[0]
    _allowed = {
        ("numpy.core.multiarray", "_reconstruct"): _rebuild,
        ("numpy._core.multiarray", "_reconstruct"): _rebuild,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}") from None


def _verified(path: Path, md5: str, name: str) -> dict:
    again = f"run: python -m modgraph_lib.datasets fetch {name}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataCorrupt(f"{path} cannot be read ({error}); {again}") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DataCorrupt(f"{path} differs from the published file of {name}; {again}")
    # Python 2 wrote these files: its byte strings become str by latin1, arrays included.
    return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()


def load(name: str, split: str, folder: Path) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Images (N, 3, 32, 32) uint8, labels (N,) int64 and class names, in the published order."""
    table = tables(name)
    batches = [
        _verified(folder / file, md5, name)
        for file, md5 in (table.train_list if split == "train" else table.test_list)
    ]
    meta = _verified(folder / table.meta["filename"], table.meta["md5"], name)
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    key = "labels" if name == "cifar10" else "fine_labels"
    labels = np.concatenate([np.asarray(batch[key], dtype=np.int64) for batch in batches])
    return torch.from_numpy(images), torch.from_numpy(labels), list(meta[table.meta["key"]])
