"""Where each number inside a network comes from: sets of source channels, and their algebra.

While a network runs, ``recorder.Recorder`` keeps beside every activation an equally shaped tensor
of *tags*. A tag is an index into a ``Sources`` table, whose entry says which nodes of the graph
(output channels of earlier layers) a value was made of since the last kernel, and by which
fixed factor. Reshaping, concatenating or slicing an activation does the same to its tags;
adding two activations unites their entries.

Three things are told apart from a plain union. A function of one channel, however it is written,
is an activation function (``curves``). A number that sums up many channels (a mean, a norm) and
meets one of them again belongs to a normalisation: the channel keeps its own source. A product
of two computed tensors that is summed over the channels of both is an attention pattern.

Tags are float64 (every torch operation that moves numbers takes them) and *compact*: a
dimension along which they are constant has size 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch

from modgraph_lib.graphs.tracing import curves

__all__ = ["Entry", "Sources", "compact"]

CONSTANT, DENSE, IMAGE = 0, 1, 2
WEAK = (CONSTANT, DENSE, IMAGE)
Side = frozenset[tuple[str, int]]


class Entry(NamedTuple):
    """What one tag stands for.

    Attributes:
        nodes: node number -> factor on its outgoing weights.
        problem: why no weight leads on from here ("" where one does).
        pattern: a product of two computed tensors, usable as an attention pattern only.
        carried: of a pattern, the tags of values that a later product may set free.
        base: the tag that this is a function of (-1: itself), by ``curve``.
        reduced: 1 for a sum or mean over several numbers, 2 for one over all channels.
        layers: numbers of the layers whose nodes these are.
        side: ("norm" | "pattern", layer) of what has a say without being followed.
    """

    nodes: Mapping[int, float] = MappingProxyType({})
    problem: str = ""
    pattern: bool = False
    carried: tuple[int, ...] = ()
    base: int = -1
    curve: curves.Curve = curves.IDENTITY
    reduced: int = 0
    layers: frozenset[int] = frozenset()
    side: Side = frozenset()


class Sources:
    """The table of entries, with memory of every union made before.

    Tag 0 is a constant, 1 a dense layer that is left out, 2 the image (not a node).
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = [Entry(), Entry(), Entry()]
        self.mixed = False  # whether a sum over all channels went on into single ones
        self._made: dict[tuple, int] = {}

    def fresh(self, first: int, count: int, layer: int) -> torch.Tensor:
        """(count,) new tags, one for each of the nodes first, first + 1, ... of a layer."""
        start, own = len(self.entries), frozenset([layer])
        nodes = range(first, first + count)
        self.entries += [Entry({node: 1.0}, layers=own) for node in nodes]
        return torch.arange(start, start + count, dtype=torch.float64)

    def problem(
        self,
        text: str,
        *,
        pattern: bool = False,
        carried: Iterable[int] = (),
        side: Side = frozenset(),
    ) -> int:
        """The tag of values that no weight leads to any more, with the reason."""
        carried = tuple(sorted(carried))
        return self._kept(
            ("problem", text, pattern, carried, side),
            lambda: Entry(problem=text, pattern=pattern, carried=carried, side=side),
        )

    def unique(self, tags: torch.Tensor) -> list[Entry]:
        """The entries that occur in ``tags``, constants and images aside."""
        return [self.entries[int(tag)] for tag in torch.unique(tags) if tag not in WEAK]

    def is_pattern(self, tags: torch.Tensor) -> bool:
        """Whether all of ``tags`` are attention patterns (constants aside)."""
        kinds = self.unique(tags)
        return bool(kinds) and all(entry.pattern for entry in kinds)

    def side(self, tags: torch.Tensor, kind: str) -> Side:
        """Everything behind ``tags`` as things that have a say of this kind."""
        return frozenset().union(
            *({(kind, layer) for layer in e.layers} | e.side for e in self.unique(tags))
        )

    def unite(
        self, one: torch.Tensor, two: torch.Tensor, *, how: str, sign: float = 1.0
    ) -> torch.Tensor:
        """Tags of the elementwise "sum", "product" or choice ("either") of two tensors.

        A node on both sides counts twice in a sum, and once otherwise.
        """
        return self.pairwise(one, two, lambda a, b: self.pair(a, b, how=how, sign=sign))

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

    def each(self, tags: torch.Tensor, make: Callable[[int], int]) -> torch.Tensor:
        """``make(tag)`` of every tag."""
        found, places = np.unique(tags.numpy().ravel(), return_inverse=True)
        made = np.array([make(int(tag)) for tag in found], float)
        return torch.from_numpy(made[places].reshape(tags.shape))

    def scale(self, tags: torch.Tensor, factors: torch.Tensor, *, fold: bool = True):
        """Tags of the product with fixed ``factors``, broadcast.

        Every call makes tags of its own, also where a factor is 1: which channels share a tag
        must depend on the architecture alone. Without ``fold`` the factor shapes activation
        functions only.
        """
        factors = factors.detach().cpu()
        factors = factors.abs() if factors.is_complex() else factors
        made: dict[tuple[int, float], int] = {}

        def product(tag: int, factor: float) -> int:
            entry = self.entries[tag]
            if not entry.nodes:
                return tag
            if (tag, factor) not in made:
                nodes, curve = entry.nodes, curves.scaled(entry.curve, factor)
                if entry.reduced and entry.base >= 0 and abs(curve[0][0] - 1) < 1e-6:
                    nodes = self.entries[entry.base].nodes  # a sum over n divided by n
                elif fold:
                    nodes = {node: had * abs(factor) for node, had in nodes.items()}
                entry = entry._replace(nodes=nodes, base=self._base(tag), curve=curve)
                made[tag, factor] = self._add(entry)
            return made[tag, factor]

        tags, factors = torch.broadcast_tensors(tags, factors.double())
        pairs, places = np.unique(
            np.stack([tags.numpy().ravel(), factors.numpy().ravel()]), axis=1, return_inverse=True
        )
        found = [product(int(tag), float(factor)) for tag, factor in pairs.T]
        return torch.from_numpy(np.array(found, float)[places.ravel()].reshape(tags.shape))

    def bend(self, tags: torch.Tensor, change: Callable[[curves.Curve], curves.Curve]):
        """Tags after an elementwise function: the same sources, another curve."""

        def bent(tag: int) -> int:
            entry = self.entries[tag]
            curve = change(entry.curve)
            if not entry.nodes or curve == entry.curve:
                return tag
            made = entry._replace(base=self._base(tag), curve=curve)
            return self._kept(("bend", tag, curve), lambda: made)

        return self.each(tags, bent)

    def pure(self, tags: torch.Tensor) -> torch.Tensor:
        """Tags after a softmax: a pattern carries no values any more."""

        def without(tag: int) -> int:
            e = self.entries[tag]
            return self.problem(e.problem, pattern=True, side=e.side) if e.carried else tag

        return self.each(tags, without)

    def beside(self, tags: torch.Tensor, side: Side) -> torch.Tensor:
        """The same tags, with something noted that has a say in them."""

        def noted(tag: int) -> int:
            entry = self.entries[tag]
            if tag in WEAK or side <= entry.side:
                return tag
            made = entry._replace(base=self._base(tag), side=entry.side | side)
            return self._kept(("beside", tag, side), lambda: made)

        return self.each(tags, noted) if side else tags

    def again(self, tags: torch.Tensor, reduced: int = 0) -> torch.Tensor:
        """New tags of the same nodes; with ``reduced`` (-1: none) no function of the old ones."""

        def copied(tag: int) -> int:
            entry = self.entries[tag]
            if not entry.nodes:
                return tag
            if reduced:
                made = entry._replace(base=-1, curve=curves.IDENTITY, reduced=max(reduced, 0))
            else:
                made = entry._replace(base=self._base(tag))
            return self._add(made)

        return self.each(tags, copied)

    def over(self, tags: torch.Tensor, dims: tuple[int, ...], how: str = "either") -> torch.Tensor:
        """Union over some dimensions, which are kept with size 1."""
        rows, shape = self.rows(tags, dims)
        if len(rows) == 1:
            return rows[0].reshape(shape)
        columns, places = np.unique(rows.numpy(), axis=1, return_inverse=True)
        united = np.array([self._all(column, how) for column in columns.T.astype(int)], float)
        return torch.from_numpy(united[places.ravel()].reshape(shape))

    def _all(self, column: np.ndarray, how: str) -> int:
        """``pair`` of any number of tags."""
        found = sorted({*column.tolist()} if how == "either" else column.tolist())
        found = [tag for tag in found if tag not in WEAK] or found[-1:]
        entries = [self.entries[tag] for tag in found]
        if len(found) < 3 or any(entry.problem for entry in entries):
            return functools.reduce(lambda a, b: self.pair(a, b, how=how), found)

        def united() -> Entry:
            nodes: dict[int, float] = {}
            for entry in entries:
                for node, factor in entry.nodes.items():
                    had = nodes.get(node, 0.0)
                    nodes[node] = had + factor if how == "sum" else max(had, factor)
            layers, side = (frozenset().union(*(getattr(e, part) for e in entries))
                            for part in ("layers", "side"))  # fmt: skip
            return Entry(nodes, layers=layers, side=side)

        return self._kept(("all", how, *found), united)

    @staticmethod
    def rows(tags: torch.Tensor, dims: tuple[int, ...]) -> tuple[torch.Tensor, list[int]]:
        """(places on ``dims``, the rest) and the shape of one row with its ``dims`` kept."""
        dims = tuple(sorted(dim % tags.ndim for dim in dims))
        rest = [dim for dim in range(tags.ndim) if dim not in dims]
        shape = [1 if dim in dims else size for dim, size in enumerate(tags.shape)]
        count = int(np.prod([tags.shape[d] for d in rest]))
        return tags.permute(*dims, *rest).reshape(-1, count), shape

    def pair(self, one: int, two: int, *, how: str, sign: float = 1.0) -> int:
        """``unite`` of two tags."""
        # A left-out dense layer, the image and constants give way to anything computed.
        if one in WEAK or two in WEAK or (one == two and how == "either"):
            return max(one, two)
        key = (one, two, how, sign) if one <= two or sign < 0 else (two, one, how, sign)
        return self._kept(key, lambda: self._pair(one, two, how, sign))

    def _pair(self, one: int, two: int, how: str, sign: float) -> Entry | int:
        a, b = self.entries[one], self.entries[two]
        side = a.side | b.side
        if a.problem or b.problem:
            return self._problems(one, two, how)
        if self._base(one) == self._base(two):
            return self._curved(self._base(one), a.curve, b.curve, how, sign, side)
        for tag, v, s in ((one, a, b), (two, b, a)):
            own = s.reduced and v.nodes.keys() <= s.nodes.keys()
            if how == "either" or v.reduced > s.reduced or not s.reduced:
                continue
            if v.reduced and len(v.nodes) == len(s.nodes):
                continue
            if own or (s.reduced == 2 and how == "product" and not v.reduced):
                factor = s.curve[0][0] if how == "product" and own else 1.0
                if len(s.nodes) > len(v.nodes) or not own:
                    side = side | {("norm", layer) for layer in s.layers}
                nodes = {n: had * abs(factor or 1.0) for n, had in v.nodes.items()}
                curve = curves.scaled(v.curve, factor or 1.0)
                return v._replace(nodes=nodes, base=self._base(tag), curve=curve, side=side)
        self.mixed |= how != "either" and a.reduced + b.reduced == 2 and 2 in (a.reduced, b.reduced)
        nodes = dict(a.nodes)
        for node, factor in b.nodes.items():
            had = nodes.get(node, 0.0)
            nodes[node] = had + factor if how == "sum" else max(had, factor)
        reduced = min(a.reduced, b.reduced)
        return Entry(nodes, reduced=reduced, layers=a.layers | b.layers, side=side)

    def _problems(self, one: int, two: int, how: str) -> int:
        a, b = self.entries[one], self.entries[two]
        for entry, tag in ((a, one), (b, two)):
            if entry.problem and not entry.pattern:
                return tag
        if a.pattern and b.pattern:
            carried = set(a.carried) & set(b.carried)
            return self.problem(a.problem, pattern=True, carried=carried, side=a.side | b.side)
        (tag, value), pattern = ((one, a), b) if b.pattern else ((two, b), a)
        if how == "product" and not pattern.carried:
            return int(self.beside(torch.tensor([float(tag)]), pattern.side)[0])
        side = pattern.side | value.side | {("pattern", layer) for layer in value.layers}
        return self.problem(pattern.problem, pattern=True, side=side)

    def _curved(self, base: int, one, two, how: str, sign: float, side: Side) -> Entry:
        """Two functions of one channel together: a function of that channel."""
        if how == "sum":
            curve = curves.added(one, two, sign)
        else:
            curve = curves.times(one, two) if how == "product" else curves.larger(one, two)
        whole = self.entries[base]
        # What cancels out, x + (y - x), still leads on where it is read by itself.
        size = curves.size(curve) or curves.size(curves.larger(one, two)) or 1.0
        nodes = whole.nodes if size == 1.0 else {n: f * size for n, f in whole.nodes.items()}
        return whole._replace(nodes=nodes, base=base, curve=curve, side=side)

    def _base(self, tag: int) -> int:
        base = self.entries[tag].base
        return tag if base < 0 else base

    def _kept(self, key: tuple, make: Callable[[], Entry | int]) -> int:
        if key not in self._made:
            made = make()
            self._made[key] = self._add(made) if isinstance(made, Entry) else made
        return self._made[key]

    def _add(self, entry: Entry) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1


def compact(tags: torch.Tensor) -> torch.Tensor:
    """The same tags with size 1 in every dimension along which they are constant."""
    for dim in range(tags.ndim):
        if tags.shape[dim] > 1:
            first = tags.narrow(dim, 0, 1)
            if tags.stride(dim) == 0 or bool((tags == first).all()):
                tags = first
    return tags
