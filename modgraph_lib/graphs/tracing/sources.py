"""Where each number inside a network comes from: sets of source channels, and their algebra.

While a network runs, ``recorder.Recorder`` keeps beside every activation an equally shaped tensor
of *tags*. A tag is an index into a ``Sources`` table, whose entry says which nodes of the graph
(output channels of earlier layers) a value was made of since the last kernel, and by which
fixed factor. Reshaping, concatenating or slicing an activation does the same to its tags;
adding two activations unites their entries.

Tags are float64 (every torch operation that moves numbers takes them) and *compact*: a
dimension along which they are constant has size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

__all__ = ["Entry", "Sources", "compact"]

CONSTANT, DENSE, IMAGE = 0, 1, 2


@dataclass(frozen=True)
class Entry:
    """What one tag stands for.

    Attributes:
        nodes: node number -> factor on its outgoing weights.
        problem: why no weight leads on from here ("" where one does).
        pattern: a product of two computed tensors, usable as an attention pattern only.
    """

    nodes: Mapping[int, float] = field(default_factory=dict)
    problem: str = ""
    pattern: bool = False


class Sources:
    """The table of entries, with memory of every union and scaling made before.

    Tag 0 is a constant, 1 a dense layer that is left out, 2 the image (not a node).
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = [Entry(), Entry(), Entry()]
        self._united: dict[tuple[int, int, bool], int] = {}
        self._scaled: dict[tuple[int, float], int] = {}
        self._problems: dict[tuple[str, bool], int] = {}

    def fresh(self, first: int, count: int) -> torch.Tensor:
        """(count,) new tags, one for each of the nodes first, first + 1, ..."""
        start = len(self.entries)
        self.entries += [Entry({node: 1.0}) for node in range(first, first + count)]
        return torch.arange(start, start + count, dtype=torch.float64)

    def problem(self, text: str, *, pattern: bool = False) -> int:
        """The tag of values that no weight leads to any more, with the reason."""
        key = (text, pattern)
        if key not in self._problems:
            self._problems[key] = len(self.entries)
            self.entries.append(Entry(problem=text, pattern=pattern))
        return self._problems[key]

    def is_pattern(self, tags: torch.Tensor) -> bool:
        """Whether all of ``tags`` are attention patterns (constants aside)."""
        kinds = [self.entries[int(tag)] for tag in torch.unique(tags) if tag != CONSTANT]
        return bool(kinds) and all(entry.pattern for entry in kinds)

    def unite(self, one: torch.Tensor, two: torch.Tensor, *, add: bool) -> torch.Tensor:
        """Tags of the elementwise sum (``add``) or product of two tensors, broadcast.

        A node on both sides counts twice in a sum, and once in a product: x * sigmoid(x) is an
        activation function of x.
        """
        return self.pairwise(one, two, lambda a, b: self.pair(a, b, add=add))

    @staticmethod
    def pairwise(
        one: torch.Tensor, two: torch.Tensor, make: Callable[[int, int], int]
    ) -> torch.Tensor:
        """``make(tag, tag)`` of every pair of two tensors, broadcast; once for equal pairs."""
        one, two = torch.broadcast_tensors(one, two)
        pairs, places = np.unique(
            np.stack([one.numpy().ravel(), two.numpy().ravel()]), axis=1, return_inverse=True
        )
        made = np.array([make(int(a), int(b)) for a, b in pairs.T], float)
        return torch.from_numpy(made[places.ravel()].reshape(one.shape))

    def scale(self, tags: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Tags of the product with fixed ``factors`` (absolute values), broadcast."""
        tags, factors = torch.broadcast_tensors(tags, factors.detach().cpu().double().abs())
        pairs, places = np.unique(
            np.stack([tags.numpy().ravel(), factors.numpy().ravel()]), axis=1, return_inverse=True
        )
        made = [self._scale(int(tag), float(factor)) for tag, factor in pairs.T]
        return torch.from_numpy(np.array(made, float)[places.ravel()].reshape(tags.shape))

    def over(self, tags: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
        """Union over some dimensions, which are kept with size 1."""
        dims = tuple(sorted(dim % tags.ndim for dim in dims))
        rest = [dim for dim in range(tags.ndim) if dim not in dims]
        shape = [1 if dim in dims else size for dim, size in enumerate(tags.shape)]
        rows = tags.permute(*dims, *rest).reshape(-1, int(np.prod([tags.shape[d] for d in rest])))
        if len(rows) > 1:
            rows = torch.unique(rows, dim=0)
        united = rows[0]
        for row in rows[1:]:
            united = self.unite(united, row, add=False)
        return united.reshape(shape)

    def pair(self, one: int, two: int, *, add: bool) -> int:
        """``unite`` of two tags."""
        # A left-out dense layer, the image and constants give way to anything computed.
        weak = (CONSTANT, DENSE, IMAGE)
        if one in weak or two in weak or (one == two and not add):
            return max(one, two)
        key = (min(one, two), max(one, two), add)
        if key not in self._united:
            first, second = self.entries[one], self.entries[two]
            bad = next((e for e in (first, second) if e.problem), None)
            if bad is not None:
                return one if bad is first else two
            nodes = dict(first.nodes)
            for node, factor in second.nodes.items():
                had = nodes.get(node, 0.0)
                nodes[node] = had + factor if add else max(had, factor)
            self._united[key] = len(self.entries)
            self.entries.append(Entry(nodes))
        return self._united[key]

    def _scale(self, tag: int, factor: float) -> int:
        entry = self.entries[tag]
        if factor == 1.0 or not entry.nodes:
            return tag
        key = (tag, factor)
        if key not in self._scaled:
            self._scaled[key] = len(self.entries)
            self.entries.append(Entry({node: had * factor for node, had in entry.nodes.items()}))
        return self._scaled[key]


def compact(tags: torch.Tensor) -> torch.Tensor:
    """The same tags with size 1 in every dimension along which they are constant."""
    for dim in range(tags.ndim):
        if tags.shape[dim] > 1:
            first = tags.narrow(dim, 0, 1)
            if tags.stride(dim) == 0 or bool((tags == first).all()):
                tags = first
    return tags
