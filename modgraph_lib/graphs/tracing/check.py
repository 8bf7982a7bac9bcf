"""The check by numbers: do gradients reach what the trace says is joined?

During the recorded pass every layer's output is cut off and becomes a leaf (``Recorder.cut``). The
gradient of what layer j reads, with a random weight on some of its input channels, is then the
direct influence of every earlier layer on these channels, whatever operations lie between. It
knows nothing of the rules. Three things must hold:

- a channel that the trace does not join to the chosen inputs has no gradient, unless the trace
  passed by its layer knowingly: in an attention pattern, or in the statistics of a norm. In a
  norm the channels that are joined must at least weigh more than those that are not;
- a layer that is joined has some gradient;
- where every channel's gradient is one constant (a sum, a scaled branch), it is the trace's factor.
"""

from __future__ import annotations

import numpy as np
import torch

from modgraph_lib.graphs.tracing.assembly import _readings, _roots
from modgraph_lib.graphs.tracing.recorder import Recorder

__all__ = ["TraceWarning", "disagreements"]

OPERATIONS_SHOWN = 8
DRAWS = 8  # single channels looked at where a norm is in doubt
NARROW = 4  # below this many channels a norm's statistics weigh as much as the channel itself
FAINT = 0.05  # of the strongest influence: what is left of a gate that a later norm takes away
CLEARLY = 3.0  # how much more a channel weighs in gradients than the trace says to be a mistake
CONSTANT = 1e-3  # spread of factors that are one constant
# Operations whose slope is one number, or zero.
_STRAIGHT = """
    add sub rsub mul div neg relu threshold hardtanh view reshape permute transpose t expand cat
    slice select alias stack unbind split chunk splitwithsizes squeeze unsqueeze sum mean tocopy
    nativebatchnorm cudnnbatchnorm accumulategrad unsafeview repeat lerp addcmul flip"""
STRAIGHT = frozenset(_STRAIGHT.split())


class TraceWarning(UserWarning):
    """A graph of a network that is, or may be, wrong; the message names layer and operations."""


def disagreements(recorder: Recorder, seed: int = 0) -> tuple[list[str], list[tuple[str, str]]]:
    """What trace and gradients disagree on, and pairs of layers joined without any gradient.

    The second may be chance (dead units), and deserves another look with other numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    roots = _roots(sum(layer.size for layer in recorder.layers), recorder.merged)
    found: list[str] = []
    silent: list[tuple[str, str]] = []
    assert recorder.cuts is not None  # of a pass that was cut
    for number, value, axis in recorder.cuts.readings:
        reading = Reading(recorder, number, value, axis, roots)
        found += reading.missing(generator)
        silent += reading.silent
    return found, silent


class Reading:
    """One kernel, what the trace says it reads, and the gradients of it."""

    def __init__(self, recorder: Recorder, number: int, value, axis: int, roots) -> None:
        self.recorder, self.value, self.axis, self.roots = recorder, value, axis, roots
        self.layer = recorder.layers[number]
        self.nodes, self.columns, self.factors = _readings(recorder.sources, self.layer)
        tags = np.unique(self.layer.reads.tags)
        side = frozenset().union(*(recorder.sources.entries[tag].side for tag in tags))
        self.patterns = {layer for kind, layer in side if kind == "pattern"}
        self.norms = {layer for kind, layer in side if kind == "norm"} - self.patterns
        if recorder.merged:  # what was merged into a layer passes for that layer
            owner = [n for n, layer in enumerate(recorder.layers) for _ in range(layer.size)]
            stream = {owner[node] for pair in recorder.merged for node in pair}
            for kind in (self.norms, self.patterns):
                kind |= stream if kind & stream else set()
            self.norms -= self.patterns
        assert recorder.cuts is not None
        self.leaves = {n: leaf for n, leaf in recorder.cuts.leaves.items() if n < number}
        self.size = value.shape[axis]
        self.silent: list[tuple[str, str]] = []

    def missing(self, generator: torch.Generator) -> list[str]:
        """Disagreements of this reading, as messages."""
        if not self.value.requires_grad or not self.leaves:
            if (self.factors > 0).any() and self.leaves:
                owners = {layer.name for layer in self.recorder.layers if self._joined(layer)}
                self.silent += [(name, self.layer.name) for name in sorted(owners)]
            return []
        found = []
        half = torch.randperm(self.size, generator=generator)[: max(1, self.size // 2)]
        weights, sizes, gradients = self._gradients(half, generator)
        top = max((float(size.max()) for size in sizes.values()), default=0.0)
        tolerance = 100 * torch.finfo(self.value.dtype).eps * top
        for number, size in sizes.items():
            layer, on = self.recorder.layers[number], self._on(number, half)
            if number not in self.norms | self.patterns and (size[~on] > tolerance).any():
                count = int((size[~on] > tolerance).sum())
                found.append(self._message(layer, f"{count} channels that the trace does not join"))
            if on.any() and not (size[on] > 0).any() and not self.recorder.merged:
                self.silent.append((layer.name, self.layer.name))
            found += self._slope(number, weights, gradients[number])
        return found + self._outweighed(generator) + self._blurred(generator)

    def _gradients(self, columns, generator):
        """Random weights on some channels, {layer: (channels,) gradient sizes} and gradients."""
        shape = [1] * self.value.ndim
        shape[self.axis] = self.size
        chosen = torch.zeros(self.size).index_fill(0, columns, 1.0).reshape(shape)
        weights = (torch.randn(self.value.shape, generator=generator) * chosen).to(self.value)
        ends = [leaf for leaf, _ in self.leaves.values()]
        given = torch.autograd.grad(self.value, ends, weights, retain_graph=True, allow_unused=True)
        sizes, gradients = {}, {}
        for (number, (_, axis)), gradient in zip(self.leaves.items(), given, strict=True):
            gradients[number] = gradient
            if gradient is None:
                sizes[number] = np.zeros(self.recorder.layers[number].size)
                continue
            by = gradient.abs().flatten(1) if axis is None else gradient.abs().movedim(axis, -1)
            sizes[number] = by.reshape(-1, by.shape[-1]).double().sum(0).cpu().numpy()
        return weights, sizes, gradients

    def _on(self, number: int, columns) -> np.ndarray:
        """(channels,) whether the trace joins them to any of the chosen input channels."""
        layer = self.recorder.layers[number]
        wanted = np.isin(self.columns, columns.numpy()) & (self.factors > 0)
        own = self.roots[layer.first : layer.first + layer.size]
        return np.isin(own, self.roots[self.nodes[wanted]])

    def _joined(self, layer) -> bool:
        inside = (self.nodes >= layer.first) & (self.nodes < layer.first + layer.size)
        return bool((self.factors[inside] > 0).any())

    def _outweighed(self, generator: torch.Generator) -> list[str]:
        """Layers whose norm was passed by although the channels left aside weigh more."""
        layers = {number: self.recorder.layers[number] for number in self.norms & {*self.leaves}}
        doubted = {number for number, layer in layers.items() if self._joined(layer)}
        joined, others = np.zeros((2, len(self.recorder.layers)))
        strongest = 0.0
        for draw in range(DRAWS if self.size >= NARROW else 0):
            column = torch.randint(self.size, (1,), generator=generator)
            _, sizes, _ = self._gradients(column, generator)
            strongest += max(float(size.max()) for size in sizes.values())
            for number in doubted:
                on, alive = self._on(number, column), sizes[number] > 0
                if (on & alive).any() and (~on & alive).sum() >= NARROW - 1:
                    joined[number] += sizes[number][on & alive].mean()
                    others[number] += sizes[number][~on & alive].mean()
            if draw % 2:  # two draws are enough where nothing is doubtful
                doubted = {number for number in doubted if others[number] > joined[number]}
                doubted -= {n for n in doubted if self._gates(n) and others[n] < FAINT * strongest}
            if not doubted:
                break
        what = "channels that were taken for the statistics of a norm and weigh more than its own"
        return [self._message(layers[number], what) for number in sorted(doubted)
                if others[number] > joined[number]]  # fmt: skip

    def _gates(self, number: int) -> bool:
        """Whether the layer has one value for all positions: a scale that a later norm over
        positions divides out again, so that only its share in statistics is left."""
        leaf = self.leaves[number][0]
        return leaf.numel() // self.recorder.layers[number].size < self.value.numel() // self.size

    def _blurred(self, generator: torch.Generator) -> list[str]:
        """Layers joined channel by channel to all inputs, where gradients are one to one."""
        found = []
        for number in self.leaves:
            layer = self.recorder.layers[number]
            inside = (self.nodes >= layer.first) & (self.nodes < layer.first + layer.size)
            several = inside.sum() > NARROW * len(np.unique(self.columns[inside]))
            if not several or layer.size != self.size or self.recorder.merged:
                continue
            predicted = np.zeros((layer.size, self.size))
            predicted[self.nodes[inside] - layer.first, self.columns[inside]] = self.factors[inside]
            seen = np.zeros((2, 2))  # own channel and others, by the trace and by numbers
            for _ in range(DRAWS):
                column = torch.randint(self.size, (1,), generator=generator)
                own = np.arange(self.size) == int(column)
                _, sizes, _ = self._gradients(column, generator)
                for row, values in enumerate((predicted[:, int(column)], sizes[number])):
                    seen[row] += values[own].sum(), values[~own].mean()
            if seen[1, 0] * seen[0, 1] > CLEARLY * seen[1, 1] * seen[0, 0] > 0:
                what = "single channels, and the trace joins all of them to each input"
                found.append(self._message(layer, what))
        return found

    def _slope(self, number: int, weights: torch.Tensor, gradient) -> list[str]:
        """A layer whose channels all arrive with one constant factor, other than the trace's."""
        (leaf, axis), layer = self.leaves[number], self.recorder.layers[number]
        if gradient is None or axis is None or number in self.norms | self.patterns:
            return []
        if self.recorder.merged:  # which leaves out how a stream is rescaled on its way
            return []
        if leaf.shape != self.value.shape or (axis - self.axis) % leaf.ndim:
            return []
        own = self.nodes - layer.first == self.columns
        inside = (self.nodes >= layer.first) & (self.nodes < layer.first + layer.size)
        if not own[inside].any() or not own[inside].all() or not self.recorder.options.fold:
            return []
        predicted = np.zeros(layer.size)
        predicted[self.columns[inside]] = self.factors[inside]
        ratio = (gradient.abs() / weights.abs()).movedim(axis, 0).flatten(1).double().cpu().numpy()
        ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, np.nan)
        known = (~np.isnan(ratio)).any(1) & (predicted > 0)
        if known.sum() < NARROW - 1:
            return []
        relative = ratio[known] / predicted[known][:, None]
        low, high = np.nanmin(relative), np.nanmax(relative)
        if high > low * (1 + CONSTANT) or abs(high - 1) < 10 * CONSTANT:
            return []
        if not STRAIGHT.issuperset(operations(self.value, None)):  # SiLU has slope 1/2 at 0
            return []
        return [self._message(layer, f"{high:.3g} times the factor that the trace gives")]

    def _message(self, layer, what: str) -> str:
        through = ", ".join(operations(self.value)) or "no operation"
        return f"{layer.name!r} reaches {self.layer.name!r} by {what} (through {through})"


def operations(value: torch.Tensor, most: int | None = OPERATIONS_SHOWN) -> list[str]:
    """Names of the operations before a tensor, the nearest first."""
    names: dict[str, None] = {}
    seen, queue = set(), [value.grad_fn]
    while queue and (most is None or len(names) < most):
        node = queue.pop(0)
        if node is None or node in seen:
            continue
        seen.add(node)
        name = node.name().rpartition("Backward")[0].lower()
        if name not in ("clone", ""):
            names[name] = None
        queue += [one for one, _ in node.next_functions]
    return list(names)
