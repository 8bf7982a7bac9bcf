"""What reads from the residual stream of a transformer and writes to it, as matrices.

The stream is a vector that every block adds to. A component (an MLP unit, an attention head) sees
it through a few directions and answers along a few others; nothing else of its weights meets the
other components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modgraph_lib import _checks

__all__ = ["StreamPart", "attention_part", "mlp_part"]


@dataclass(frozen=True, eq=False)
class StreamPart:
    """Components that read the same stream, side by side, and add to it together.

    Attributes:
        name: for instance "3.mlp".
        reads: one float array (n, d, r) for each way in which the n components read the stream of
            d dimensions, through r directions. An MLP unit reads in one way (gated: two), a head
            in three.
        writes: (n, d, w), the directions that each component writes along.
        carry: (d, d) map that the stream goes through before this part reads it, and which it
            does not come back from (a norm after the sum); None: none.

    Raises:
        TypeError, ValueError: arrays that are no numbers, not finite, or do not fit together.
    """

    name: str
    reads: tuple[np.ndarray, ...]
    writes: np.ndarray
    carry: np.ndarray | None = None

    def __post_init__(self) -> None:
        writes = _finite(self.writes, f"writes of {self.name}")
        reads = tuple(_finite(read, f"reads of {self.name}") for read in self.reads)
        shapes = [array.shape for array in (writes, *reads)]
        if not reads or any(len(s) != 3 or s[:2] != shapes[0][:2] or 0 in s for s in shapes):
            raise ValueError(
                f"{self.name}: writes are (components, dimensions, directions) and so is each of "
                f"the reads, with the same components and dimensions; got {shapes}"
            )
        object.__setattr__(self, "writes", writes)
        object.__setattr__(self, "reads", reads)
        if self.carry is not None:
            carry = _finite(self.carry, f"carry of {self.name}")
            if carry.shape != (self.width, self.width):
                raise ValueError(f"{self.name}: carry is square like the stream, not {carry.shape}")
            object.__setattr__(self, "carry", carry)

    @property
    def count(self) -> int:
        """Number of components."""
        return self.writes.shape[0]

    @property
    def width(self) -> int:
        """Dimensions of the stream."""
        return self.writes.shape[1]


def mlp_part(
    name: str, reads: Sequence[np.ndarray], write: np.ndarray, *, carry: np.ndarray | None = None
) -> StreamPart:
    """The units of an MLP as components.

    Args:
        name: of the part.
        reads: weights (n, d) into the units, as torch keeps them: one matrix, or gate and up.
        write: weights (d, n) out of them.
        carry: see ``StreamPart``.

    Raises:
        ValueError: see ``StreamPart``.

    >>> part = graphs.mlp_part("mlp", [np.eye(3, 2)], np.eye(2, 3))
    >>> part.count, part.width
    (3, 2)
    """
    inward = tuple(_matrices(read, f"reads of {name}", 2)[..., None] for read in reads)
    return StreamPart(name, inward, _matrices(write, f"write of {name}", 2).T[..., None], carry)


def attention_part(
    name: str,
    *,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    output: np.ndarray,
    carry: np.ndarray | None = None,
) -> StreamPart:
    """The heads of an attention layer as components.

    Only two products of a head's matrices matter: W_QK = query' key, which decides where it looks,
    and W_OV = output value, which decides what it moves. Any two heads with the same products are
    the same, whatever the basis inside. So a head reads in three ways (the two sides of W_QK, and
    W_OV's input) and writes W_OV; each is kept as its (d, h) factor of the same norms.

    Args:
        name: of the part.
        query, key, value: (H, h, d) weights of each head.
        output: (H, d, h).
        carry: see ``StreamPart``.

    Raises:
        ValueError: shapes that do not fit together.

    Source: Elhage et al. (2021), A mathematical framework for transformer circuits, "splitting
    attention head terms into circuits".

    >>> eye = np.eye(2, 4)[None]
    >>> part = graphs.attention_part("a", query=eye, key=eye, value=eye, output=eye.mT)
    >>> part.count, part.width, len(part.reads)
    (1, 4, 3)
    """
    query, key, value, output = (
        _matrices(array, f"{word} of {name}", 3)
        for word, array in (("query", query), ("key", key), ("value", value), ("output", output))
    )
    if not query.shape == key.shape == value.shape == output.mT.shape:
        raise ValueError(
            f"{name}: query, key, value are (heads, size, dimensions), output is (heads, "
            f"dimensions, size); got {query.shape}, {key.shape}, {value.shape}, {output.shape}"
        )
    # With A = Q R (QR), |A B X| = |R B X| for every X: the inner basis is gone, the size stays.
    reads = (query.mT @ _inner(key.mT), key.mT @ _inner(query.mT), value.mT @ _inner(output))
    return StreamPart(name, reads, output @ _inner(value.mT), carry)


def _inner(tall: np.ndarray) -> np.ndarray:
    """R' of A = Q R, for each of (H, d, h) matrices A."""
    return np.asarray(np.linalg.qr(tall, mode="r")).mT


def _matrices(value: np.ndarray, name: str, axes: int) -> np.ndarray:
    found = _finite(value, name)
    if found.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {found.shape}")
    return found


def _finite(value: np.ndarray, name: str) -> np.ndarray:
    found = _checks.numbers(value, name)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} hold NaN or infinite values; a diverged training run?")
    return found
