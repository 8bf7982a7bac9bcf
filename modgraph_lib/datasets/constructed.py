"""Made data sets of the two n-cut papers: halves, stack, mixtures, LINES, noise, polynomials.

Randomness is NumPy's legacy generator (``RandomState``), because its stream is frozen for all
time: a seed names the same data set on every machine and NumPy version. ``seed`` may also be a
``RandomState`` already in use, which is how a test set continues the stream of its training set.
For seed 42 the draws of halves, stack, mixtures, noise and polynomials come in the order of the
published data script, so the same pictures should meet; the published files themselves were not
at hand to compare. LINES follows the same distribution with draws of its own.

Sources: Clusterability in Neural Networks, sections 2.1 and 3.2, appendices A.5, A.7 and A.8;
Neural Networks are Surprisingly Modular, section 3.2 and appendix A.5.
"""

from typing import Literal

import numpy as np
import torch

from modgraph_lib import _checks
from modgraph_lib.datasets import resize
from modgraph_lib.datasets._types import Dataset, make

Seed = int | np.random.RandomState
Kind = Literal["same", "diff"]
_CHUNK = 2_000
WANTED = "a Dataset (datasets.make wraps images of your own)"


def generator(seed: Seed) -> np.random.RandomState:
    """A legacy generator for a whole number, or the one given."""
    if isinstance(seed, np.random.RandomState):
        return seed
    return np.random.RandomState(_checks.whole(seed, "seed"))


def draw_pairs(labels: np.ndarray, classes: int, kind: Kind, rng: np.random.RandomState):
    """Which two images make each new one: index array (N, 2).

    "diff": both drawn from all images, independently, with replacement. "same": the i-th image
    and a random one of its class, from among the first n_min of that class, where n_min is the
    size of the smallest class.
    """
    count = len(labels)
    if kind == "diff" and count:
        return rng.randint(0, count, size=(count, 2), dtype=np.int64)
    if kind not in ("same", "diff"):
        raise ValueError(f'kind must be "same" or "diff", got {kind!r}')
    if count == 0:
        raise ValueError("there are no images to pair")
    sizes = np.bincount(labels, minlength=classes)
    if sizes.min() == 0:
        raise ValueError(f"class {int(sizes.argmin())} has no image to pair with")
    by_class = np.argsort(labels, kind="stable")
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    partner = by_class[first[labels] + rng.randint(0, sizes.min(), size=count, dtype=np.int64)]
    return np.stack([np.arange(count), partner], axis=1)


def _pairs(data: Dataset, kind: Kind, seed: Seed) -> tuple[np.ndarray, torch.Tensor]:
    _checks.instance(data, Dataset, WANTED)
    if data.images.ndim != 3 or data.images.dtype != torch.uint8:
        raise ValueError(
            f"{data.name}: pairs are made of grey uint8 images (N, H, W), "
            f"got {data.images.dtype} {tuple(data.images.shape)}"
        )
    labels = data.labels.numpy()
    pairs = draw_pairs(labels, len(data.classes), kind, generator(seed))
    if kind == "same":
        return pairs, data.labels.clone()
    return pairs, torch.from_numpy(labels[pairs].sum(axis=1) % len(data.classes))


def _pair_classes(data: Dataset, kind: Kind) -> tuple[str, ...]:
    # A sum of classes is a number, whatever the classes are called.
    return data.classes if kind == "same" else tuple(map(str, range(len(data.classes))))


def halves(data: Dataset, kind: Kind, *, seed: Seed = 42) -> Dataset:
    """Two images squeezed to half their width, side by side; as many as ``data`` has.

    ``kind="same"``: two of one class, which is the label. ``kind="diff"``: any two, the label is
    the sum of their classes modulo the number of classes. Images (N, H, W) uint8.
    Raises ValueError for colour images, an odd width, an empty class, another kind.

    >>> digits = datasets.load("digits", "test")
    >>> datasets.halves(digits, "same").images.shape
    torch.Size([299, 8, 8])
    """
    pairs, labels = _pairs(data, kind, seed)
    small = resize.halve_width(data.images.numpy())
    images = np.concatenate([small[pairs[:, 0]], small[pairs[:, 1]]], axis=2)
    return make(
        f"{data.name}_halves_{kind}", torch.from_numpy(images), labels,
        _pair_classes(data, kind), note=data.note,
    )  # fmt: skip


def stack(data: Dataset, kind: Kind, *, seed: Seed = 42) -> Dataset:
    """Two images as the two channels of one, at full size; otherwise as ``halves``.

    Images (N, 2, H, W) uint8.

    >>> digits = datasets.load("digits", "test")
    >>> datasets.stack(digits, "diff").images.shape
    torch.Size([299, 2, 8, 8])
    """
    pairs, labels = _pairs(data, kind, seed)
    return make(
        f"{data.name}_stack_{kind}", data.images[torch.from_numpy(pairs)], labels,
        _pair_classes(data, kind), note=data.note,
    )  # fmt: skip


def mixture(first: Dataset, second: Dataset, *, separate: bool = False, seed: Seed = 42) -> Dataset:
    """Two data sets shuffled together.

    Overlapping (the default): every class holds images of both. Separate: the lower half of the
    classes from ``first``, the upper half from ``second``. Raises ValueError when image shapes
    or class counts differ, or when an odd number of classes is to be separated.

    >>> digits, noise = datasets.load("digits", "test"), datasets.random_images(100, size=8)
    >>> both = datasets.mixture(digits, noise)
    >>> len(digits), len(both), len(both.classes)
    (299, 399, 10)
    """
    for data in (first, second):
        _checks.instance(data, Dataset, WANTED)
    if first.images.shape[1:] != second.images.shape[1:]:
        hint = " (cifar10_grey has 28x28)" if "cifar10" in (first.name, second.name) else ""
        raise ValueError(
            f"cannot mix {first.name} {tuple(first.images.shape[1:])} with "
            f"{second.name} {tuple(second.images.shape[1:])}: image shapes differ{hint}"
        )
    classes = len(first.classes)
    if classes != len(second.classes):
        raise ValueError(f"cannot mix {classes} classes with {len(second.classes)}")
    name = f"{first.name}+{second.name}"
    if separate:
        if classes % 2:
            raise ValueError(f"{classes} classes cannot be separated into equal halves")
        middle = classes // 2
        name += ":separate"
        first = first.take(first.labels < middle)
        second = second.take(second.labels >= middle)
        names = first.classes[:middle] + second.classes[middle:]
    else:
        names = tuple(f"{a} | {b}" for a, b in zip(first.classes, second.classes, strict=True))
    order = torch.from_numpy(generator(seed).permutation(len(first) + len(second)))
    return make(
        name,
        torch.cat([first.images, second.images])[order],
        torch.cat([first.labels, second.labels])[order],
        names,
        note=" ".join(filter(None, dict.fromkeys([first.note, second.note]))),
    )


def lines(count: int, *, size: int = 28, most: int = 10, seed: Seed = 42) -> Dataset:
    """White vertical lines on black: how many are there?

    1 to ``most`` lines (uniform) in distinct random columns, full height, value 255, neighbours
    allowed; the label is the number of lines less one. Images (count, size, size) uint8.

    >>> lines = datasets.lines(100)
    >>> lines.images.shape, lines.labels[:6].tolist()
    (torch.Size([100, 28, 28]), [6, 3, 7, 4, 6, 9])
    """
    _checks.whole(count, "count", least=1)
    _checks.whole(size, "size", least=1)
    _checks.whole(most, "most", least=1)
    if most > size:
        raise ValueError(f"most must be between 1 and the width {size}, got {most}")
    rng = generator(seed)
    number = rng.randint(1, most + 1, size=count, dtype=np.int64)
    # The columns with the n smallest of `size` random keys are n distinct columns, uniformly.
    rank = rng.random_sample((count, size)).argsort(axis=1).argsort(axis=1)
    row = np.where(rank < number[:, None], 255, 0).astype(np.uint8)
    images = np.repeat(row[:, None, :], size, axis=1)
    names = tuple("1 line" if n == 1 else f"{n} lines" for n in range(1, most + 1))
    return make("lines", torch.from_numpy(images), torch.from_numpy(number - 1), names)


def random_images(count: int, *, size: int = 28, classes: int = 10, seed: Seed = 42) -> Dataset:
    """Noise: independent uniform pixels 0 to 255 and independent uniform labels.

    Images (count, size, size) uint8.

    >>> datasets.random_images(100).images.shape
    torch.Size([100, 28, 28])
    """
    for value, name in ((count, "count"), (size, "size"), (classes, "classes")):
        _checks.whole(value, name, least=1)
    rng = generator(seed)
    images = np.empty((count, size, size), dtype=np.uint8)
    for start in range(0, count, _CHUNK):  # drawn as int64, the stream of the published script
        part = images[start : start + _CHUNK]
        part[:] = rng.randint(0, 256, size=part.shape, dtype=np.int64)
    labels = rng.randint(0, classes, size=count, dtype=np.int64)
    names = map(str, range(classes))
    return make("random", torch.from_numpy(images), torch.from_numpy(labels), names)


def polynomial_coefficients() -> np.ndarray:
    """All 512 vectors of 0s and 1s over the nine monomials; (512, 9) uint8, in counting order.

    Monomial t is x**(t // 3) * y**(t % 3): 1, y, y^2, x, xy, xy^2, x^2, x^2 y, x^2 y^2.

    >>> datasets.polynomial_coefficients()[[0, 1, 511]].tolist()
    [[0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]]
    """
    return (np.arange(512)[:, None] >> np.arange(8, -1, -1) & 1).astype(np.uint8)


def polynomial_names() -> tuple[str, ...]:
    """The 512 targets written out, for instance ``"1 + y + x^2y"``; the empty sum is ``"0"``.

    >>> datasets.polynomial_names()[:4]
    ('0', 'x^2y^2', 'x^2y', 'x^2y + x^2y^2')
    """
    powers = ("", "{}", "{}^2")
    monomials = [powers[t // 3].format("x") + powers[t % 3].format("y") or "1" for t in range(9)]
    return tuple(
        " + ".join(m for m, used in zip(monomials, row, strict=True) if used) or "0"
        for row in polynomial_coefficients()
    )


def polynomials(count: int, *, seed: Seed = 42) -> Dataset:
    """Regression onto every polynomial with coefficients 0 or 1 and powers 0 to 2 of x and y.

    x and y are standard normal. ``images`` (count, 2) float32 holds the points, ``labels``
    (count, 512) float32 the values, not normalised; zero and constant polynomials included.

    >>> data = datasets.polynomials(100)
    >>> data.images.shape, data.labels.shape
    (torch.Size([100, 2]), torch.Size([100, 512]))
    """
    _checks.whole(count, "count", least=1)
    points = generator(seed).normal(size=(count, 2))
    x, y = points.T
    targets = np.zeros((count, 512), dtype=np.float32)
    uses = polynomial_coefficients()
    for t in range(9):  # one monomial at a time: sums in a fixed order, whatever the BLAS
        monomial = ((1, x, x * x)[t // 3] * (1, y, y * y)[t % 3]) * np.ones(count)
        targets += monomial.astype(np.float32)[:, None] * uses[:, t].astype(np.float32)
    return make(
        "polynomials",
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(targets),
        polynomial_names(),
    )
