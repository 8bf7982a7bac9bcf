"""Downloads, for those who are online: torchvision's addresses and checksums, safely unpacked."""

import gzip
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from urllib.error import URLError

from modgraph_lib.datasets import _cifar, _idx, _load
from modgraph_lib.datasets._places import download_folder
from modgraph_lib.datasets._types import DataMissing

SOURCES = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def needs(name: str) -> tuple[str, ...]:
    """The downloadable sets that ``name`` is made from; empty when it needs none."""
    _load.check_name(name)
    found = []
    for part in name.removesuffix(":separate").split("+"):
        match = _load.PAIR.fullmatch(part)
        base = match.group(1) if match else part
        base = {"cifar10_grey": "cifar10", "mnist_7x7": "mnist"}.get(base, base)
        if base in (*SOURCES, "tiny_imagenet", "imagenet50") and base not in found:
            found.append(base)
    return tuple(found)


def _download(addresses: list[str], folder: Path, file: str, md5: str) -> None:
    """The first address that answers, its content compared with ``md5``."""
    from modgraph_lib._torchvision import torchvision

    errors = []
    for address in addresses:
        try:
            torchvision.datasets.utils.download_url(address, str(folder), file, md5)
            return
        except (URLError, RuntimeError, OSError) as error:
            errors.append(f"  {address}: {error}")
    raise DataMissing(f"{file} could not be downloaded:\n" + "\n".join(errors))


def _fetch_idx(name: str, root: Path) -> None:
    from modgraph_lib._torchvision import torchvision

    kinds = {
        "mnist": torchvision.datasets.MNIST,
        "fashion_mnist": torchvision.datasets.FashionMNIST,
    }
    table = kinds[name]
    folder = root / _idx.FOLDERS[name][0]
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as temporary:
        for file, md5 in table.resources:
            _download([mirror + file for mirror in table.mirrors], Path(temporary), file, md5)
            plain = Path(temporary) / file.removesuffix(".gz")
            with gzip.open(Path(temporary) / file) as packed, open(plain, "wb") as out:
                shutil.copyfileobj(packed, out)
            folder.mkdir(parents=True, exist_ok=True)
            os.replace(plain, folder / plain.name)


def _fetch_cifar(name: str, root: Path) -> None:
    table = _cifar.tables(name)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as temporary:
        _download([table.url], Path(temporary), table.filename, table.tgz_md5)
        with tarfile.open(Path(temporary) / table.filename) as archive:
            archive.extractall(temporary, filter="data")
        target = root / table.base_folder
        if target.exists():  # a damaged copy, or fetch would not have got here
            shutil.rmtree(target)
        os.replace(Path(temporary) / table.base_folder, target)


def fetch(name: str, *, root: str | Path | None = None) -> list[str]:
    """Get whatever ``name`` is made from, unless a sound copy is here; one line for each part.

    Raises DataMissing when a download fails or the set has none (tiny_imagenet, imagenet50).
    """
    lines = []
    for source in needs(name):
        try:
            data = _load.load(source, "test", root=root if _exists(root) else None)
            _load.load(source, "train", root=root if _exists(root) else None)
            lines.append(f"{source}: already here, checked ({data.note or 'the published files'})")
            continue
        except DataMissing:
            if source not in SOURCES:
                raise
        except ValueError as error:  # a damaged copy is replaced
            if source not in SOURCES:
                raise
            lines.append(f"{source}: {error}")
        folder = download_folder(root)
        folder.mkdir(parents=True, exist_ok=True)
        (_fetch_idx if source in _idx.FOLDERS else _fetch_cifar)(source, folder)
        sizes = [len(_load.load(source, split, root=folder)) for split in _load.SPLITS]
        lines.append(f"{source}: {sizes[0]} + {sizes[1]} images in {folder}, checked")
    return lines or [f"{name}: made on the spot, nothing to fetch"]


def _exists(root: str | Path | None) -> bool:
    return root is not None and Path(root).expanduser().is_dir()
