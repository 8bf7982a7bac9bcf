"""The data set record, its fingerprint, and the errors this package raises."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from modgraph_lib import _checks


class DataMissing(FileNotFoundError):
    """A data set is not on this machine; the message says what, where it was looked for, and
    which command gets it."""


class DataCorrupt(ValueError):
    """A file of a data set is truncated, altered, or not what its name says."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a data set, held in memory.

    Attributes
    ----------
    name: the name it was loaded by, for instance ``"mnist"``.
    images: uint8, (N, H, W) grey or (N, C, H, W); float32 (N, D) for polynomials only.
    labels: int64 (N,); float32 (N, T) for polynomials only.
    classes: class names, ``classes[label]``.
    fingerprint: SHA-256 over type, shape and bytes of images and labels.
    note: how the data differ from the published files, or "".

    Two data sets are equal when name and fingerprint are.
    """

    name: str
    images: torch.Tensor = field(repr=False)
    labels: torch.Tensor = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    fingerprint: str
    note: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return (self.name, self.fingerprint) == (other.name, other.fingerprint)

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint))

    def take(self, indices: Sequence[int] | torch.Tensor | slice) -> "Dataset":
        """The images at ``indices`` (or in a slice) as a data set of their own."""
        if not isinstance(indices, slice):
            indices = _checks.tensor(indices, "indices to take")
        return make(
            self.name, self.images[indices], self.labels[indices], self.classes, note=self.note
        )


def fingerprint(tensors: Iterable[torch.Tensor]) -> str:
    """SHA-256 (hex) over the type, shape and bytes of each tensor, in order.

    >>> datasets.fingerprint([torch.zeros(2)])[:12]
    '21ff1b764ef3'
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def make(
    name: str,
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: Iterable[str] | None = None,
    *,
    note: str = "",
) -> Dataset:
    """A checked ``Dataset`` from tensors or arrays, for instance from a user's own data.

    Class names default to the label numbers. Raises ValueError when counts or types do not fit.

    >>> images = torch.zeros(2, 8, 8, dtype=torch.uint8)
    >>> mine = datasets.make("mine", images, [0, 1], classes=["cat", "dog"])
    >>> len(mine), mine.classes
    (2, ('cat', 'dog'))
    """
    images, labels = _checks.tensor(images, "images"), _checks.tensor(labels, "labels")
    if images.dtype not in (torch.uint8, torch.float32):
        raise ValueError(f"{name}: images must be uint8 or float32, got {images.dtype}")
    if images.dtype == torch.uint8 and images.ndim not in (3, 4):
        raise ValueError(
            f"{name}: images must be (N, H, W) or (N, C, H, W), got {tuple(images.shape)}"
        )
    if not labels.is_floating_point():
        labels = labels.to(torch.int64)
        if labels.ndim != 1:
            raise ValueError(f"{name}: integer labels must be (N,), got {tuple(labels.shape)}")
    if len(images) != len(labels):
        raise ValueError(f"{name}: {len(images)} images but {len(labels)} labels")
    if classes is None:
        if labels.is_floating_point():
            count = labels.shape[1]
        else:
            count = int(labels.max()) + 1 if len(labels) else 0
        classes = map(str, range(count))
    classes = tuple(classes)
    if not labels.is_floating_point() and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(classes):
            raise ValueError(
                f"{name}: labels run from {low} to {high} but there are {len(classes)} classes"
            )
    return Dataset(name, images, labels, classes, fingerprint((images, labels)), note)
