"""Names to data sets: the one place that knows which name is made how."""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from modgraph_lib.datasets import _cifar, _digits, _idx, _imagenet, _trees, constructed, resize
from modgraph_lib.datasets._cache import cached, pack_names, unpack_names
from modgraph_lib.datasets._places import missing, roots
from modgraph_lib.datasets._types import DataMissing, Dataset, make

REAL = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "tiny_imagenet", "imagenet50")
SHRUNK = ("cifar10_grey", "mnist_7x7", "tiny_imagenet_50")
PAIRED = ("digits", "mnist", "fashion_mnist", "cifar10_grey")
MADE = ("lines", "random", "random_memorisation", "polynomials")
NAMES: tuple[str, ...] = (
    *REAL,
    *SHRUNK,
    *(f"{base}_{form}_{kind}" for base in PAIRED for form in ("halves", "stack")
      for kind in ("same", "diff")),
    *MADE,
    "lines+mnist", "lines+mnist:separate", "lines+cifar10_grey", "lines+cifar10_grey:separate",
    "mnist+cifar10_grey", "mnist+cifar10_grey:separate",
)  # fmt: skip
"""Every name ``load`` knows; besides these, any mixture ``a+b`` and ``a+b:separate``."""

SPLITS = ("train", "test")
COUNTS = {"train": 60_000, "test": 10_000}  # of every made set
MEMORISED = 3_000
PAIR = re.compile(r"(.+)_(halves|stack)_(same|diff)")
_JPEG = "CIFAR-10 after mild JPEG compression (class folders), not the original files"


def _guess(name: str) -> str:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), NAMES, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_name(name: str) -> str:
    """``name`` when it is one ``load`` can make sense of; ValueError with a suggestion if not.

    >>> datasets.check_name("mnist+lines")
    'mnist+lines'
    """
    if not isinstance(name, str):
        raise ValueError(f"a data set name is a string, got {name!r}")
    if name in NAMES:
        return name
    parts = name.removesuffix(":separate").split("+")
    if len(parts) == 2 and "polynomials" not in parts:
        for part in parts:
            check_name(part)
        return name
    raise ValueError(
        f"unknown data set {name!r}.{_guess(name)} Known: {', '.join(REAL + SHRUNK + MADE)}; "
        f"of {', '.join(PAIRED)} also NAME_halves_same, NAME_halves_diff, NAME_stack_same, "
        "NAME_stack_diff; of any two, A+B and A+B:separate"
    )


def load(name: str, split: str, *, root: str | Path | None = None, seed: int = 42) -> Dataset:
    """One split of a named data set, in memory.

    Parameters
    ----------
    name: one of ``NAMES``, or a mixture ``"a+b"`` / ``"a+b:separate"`` of two of them.
    split: ``"train"`` or ``"test"`` (for tiny_imagenet and imagenet50 their validation images).
    root: searched first; then MODGRAPH_DATA, ``data/cache/datasets``, the user's cache folder.
    seed: of the draws of made sets (42 in the papers); real data do not depend on it.

    Nothing is ever downloaded: ``python -m modgraph_lib.datasets fetch NAME`` does that.

    Raises
    ------
    ValueError: an unknown name (with a suggestion), another split, a bad seed.
    DataMissing: not on this machine; says what, where it was looked for, and the command.
    DataCorrupt: a file is truncated, altered, or not what it should be.

    >>> digits = datasets.load("digits", "train")
    >>> digits.images.shape, digits.classes[:3]
    (torch.Size([1498, 8, 8]), ('0', '1', '2'))
    """
    check_name(name)
    if split not in SPLITS:
        raise ValueError(f'split must be "train" or "test", got {split!r}')
    constructed.generator(seed)  # a bad seed stops here, also where it is not used
    searched = roots(root)
    if "+" in name:
        return _mixture(name, split, searched, seed)
    paired = PAIR.fullmatch(name)
    if paired:
        return _paired(paired, split, searched, seed)
    if name in MADE:
        return _made(name, split, seed)
    if name in SHRUNK:
        return _shrunk(name, split, searched)
    return _real(name, split, searched)


def _real(name: str, split: str, searched: list[Path]) -> Dataset:
    if name == "digits":
        return make(name, *_digits.load(split), _digits.CLASSES)
    if name in _idx.FOLDERS:
        return make(name, *_idx.load(name, split, searched), _idx.CLASSES[name])
    if name == "imagenet50":
        return make(name, *_imagenet.load(split, searched))
    _, note, read = _colour(name, split, searched)
    return make(name, *read(), note=note)


def where(source: str, searched: list[Path]) -> Path | None:
    """The folder or archive a downloadable set is read from, or None when it is not here."""
    if source in _idx.FOLDERS:
        return _idx.locate(source, searched)
    if source in _imagenet.FOLDERS:
        return _imagenet.locate(source, searched)
    try:
        return _find_colour(source, searched)[1]
    except DataMissing:
        return None


def _find_colour(name: str, searched: list[Path]) -> tuple[str, Path]:
    """("pickles" | "tree", where) for a colour set: the first root that has it either way."""
    for root in searched:
        if name in _cifar.FOLDERS and (place := _cifar.locate(name, [root])):
            return "pickles", place
        if name in _trees.TREES and (place := _trees.locate(name, [root])):
            return "tree", place
    wanted = [f"{_cifar.FOLDERS[name]}/"] if name in _cifar.FOLDERS else []
    advice = ""
    if name in _trees.TREES:
        tree = _trees.TREES[name]
        wanted += [f"{tree.folder}/<split>/<class>/*.jpg", *tree.archives]
        if name not in _cifar.FOLDERS:
            advice = f"It has no download: put {tree.archives[0]} into one of these folders."
    raise missing(name, " or ".join(wanted), searched, advice=advice)


def _colour(
    name: str, split: str, searched: list[Path]
) -> tuple[str, str, Callable[[], tuple[torch.Tensor, torch.Tensor, list[str]]]]:
    """A key of the content, the note, and a reader of images, labels and class names."""
    form, source = _find_colour(name, searched)
    if form == "pickles":
        return f"{name}-{split}-published", "", lambda: _cifar.load(name, split, source)

    def read() -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        images, labels, classes = _trees.load(name, split, source)
        return images, labels, _trees.readable(classes, name, source)

    note = _JPEG if name == "cifar10" else "100 of the 200 classes of Tiny ImageNet, at 32x32"
    return _trees.content_key(name, split, source), note, read


def _shrunk(name: str, split: str, searched: list[Path]) -> Dataset:
    if name == "mnist_7x7":
        images, labels = _idx.load("mnist", split, searched)
        small = torch.from_numpy(resize.shrink_uint8(images.numpy(), 7, 7))
        return make(name, small, labels, _idx.CLASSES["mnist"])
    if name == "tiny_imagenet_50":
        return _first_classes(_real("tiny_imagenet", split, searched), name, 50)
    key, note, read = _colour("cifar10", split, searched)

    def build() -> dict[str, torch.Tensor]:
        images, labels, classes = read()
        return {
            "images": torch.from_numpy(resize.grey_28(images.numpy())),
            "labels": labels,
            "classes": pack_names(classes),
        }

    stored = cached(f"cifar10_grey-2-{key}", build)  # the 2 counts changes of the recipe
    return make(
        name, stored["images"], stored["labels"], unpack_names(stored["classes"]), note=note
    )


def _first_classes(data: Dataset, name: str, count: int) -> Dataset:
    kept = data.labels < count
    note = f"the first {count} classes of Tiny ImageNet, at 32x32"
    return make(name, data.images[kept], data.labels[kept], data.classes[:count], note=note)


def _continued(split: str, seed: int) -> Iterator[tuple[str, np.random.RandomState]]:
    """The splits to make in turn, from one stream: a test set is drawn after its training set."""
    rng = constructed.generator(seed)
    for current in SPLITS[: SPLITS.index(split) + 1]:
        yield current, rng


def _made(name: str, split: str, seed: int) -> Dataset:
    make_one = {
        "lines": constructed.lines,
        "polynomials": constructed.polynomials,
    }.get(name, constructed.random_images)
    for current, rng in _continued(split, seed):
        data = make_one(COUNTS[current], seed=rng)
    if name == "random_memorisation":
        data = replace(data.take(slice(MEMORISED)) if split == "train" else data, name=name)
    return data


def _paired(match: re.Match, split: str, searched: list[Path], seed: int) -> Dataset:
    base, form, kind = match.groups()
    rng = constructed.generator(seed)
    if split == "test":
        train = _base(base, "train", searched, seed)
        constructed.draw_pairs(train.labels.numpy(), len(train.classes), kind, rng)
    make_one = constructed.halves if form == "halves" else constructed.stack
    return make_one(_base(base, split, searched, seed), kind, seed=rng)


def _base(name: str, split: str, searched: list[Path], seed: int) -> Dataset:
    if name in SHRUNK:
        return _shrunk(name, split, searched)
    if name in MADE:
        return _made(name, split, seed)
    if name in REAL:
        return _real(name, split, searched)
    pair = PAIR.fullmatch(name)
    assert pair, f"check_name let {name!r} pass"
    return _paired(pair, split, searched, seed)


def _mixture(name: str, split: str, searched: list[Path], seed: int) -> Dataset:
    separate = name.endswith(":separate")
    parts = name.removesuffix(":separate").split("+")
    for current, rng in _continued(split, seed):
        first, second = (_base(part, current, searched, seed) for part in parts)
        data = constructed.mixture(first, second, separate=separate, seed=rng)
    return data
