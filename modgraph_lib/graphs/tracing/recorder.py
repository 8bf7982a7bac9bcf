"""Listening to a forward pass: which nodes there are, and which of them each kernel reads.

``Recorder`` hears every torch function of the pass (``torch.overrides``), whether it is called
by a module, a functional call or an operator, so that nothing has to be traced symbolically.
What an operation does to the sources of its numbers is said in ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modgraph_lib.graphs.tracing.sources import DENSE, Sources, compact

__all__ = ["Kernel", "Layer", "Options", "Recorder", "TracingError"]

# Operations that make nodes, and so are looked at even where no input was computed.
MAKERS = ("linear", "conv", "embedding")


class TracingError(ValueError):
    """A network whose graph is not defined; the message names the layer and what to do."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """One reading of activations by weights.

    Attributes:
        strengths: (inputs, outputs) edge strength of each input channel to each output.
        tags: (inputs,) where each input channel comes from.
        groups: equal groups of channels within which the kernel has its weights.
    """

    strengths: np.ndarray
    tags: np.ndarray
    groups: int = 1

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The strengths permuted, within each group."""
        made = np.zeros_like(self.strengths)
        rows, columns = (size // self.groups for size in made.shape)
        for group in range(self.groups):
            part = np.s_[group * rows : (group + 1) * rows, group * columns : (group + 1) * columns]
            made[part] = rng.permutation(self.strengths[part].ravel()).reshape(rows, columns)
        return made


@dataclass(eq=False)
class Layer:
    """A layer of nodes: ``size`` nodes from number ``first`` on, and the kernel into them."""

    name: str
    first: int
    size: int
    kernel: Kernel | None = None


@dataclass(frozen=True)
class Options:
    """How a network becomes a graph; see ``graphs.weight_graph``."""

    strength: Callable[[str, torch.Tensor], np.ndarray]
    convolutional: bool
    dense: bool = False
    fold: bool = True
    depthwise: str = "scale"
    merge: bool = False


class Recorder(TorchFunctionMode):
    """Records layers and their sources while a forward pass runs under it."""

    def __init__(self, model: nn.Module, options: Options, rules: Mapping[str, Callable]) -> None:
        super().__init__()
        self.options = options
        self.rules = rules
        self.sources = Sources()
        self.layers: list[Layer] = []
        # Of a merged residual stream: pairs of nodes that are one, and fixed factors that
        # belong to a node itself (to its incoming weights), not to its outgoing ones.
        self.merged: list[tuple[int, int]] = []
        self.incoming: dict[int, float] = {}
        self.constants: list[tuple[str, torch.Tensor]] = []
        self.stack: list[str] = []
        self._nodes = 0
        self._uses: dict[str, int] = {}
        # Tensors are kept alive together with their tags, so that no id is used twice.
        self._tags: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._names = {id(p): name.rpartition(".")[0] or name for name, p in _parameters(model)}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = plain_name(func)
        rule = self.rules.get(name, self.rules[""])
        heard = any(self.tags(tensor) is not None for tensor in all_tensors((args, kwargs)))
        return rule(self, func, args, kwargs) if heard or name in MAKERS else func(*args, **kwargs)

    # -- the table of tags

    def tags(self, tensor: Any) -> torch.Tensor | None:
        """Compact tags of a tensor; None for a constant or something that is no tensor."""
        kept = self._tags.get(id(tensor))
        return None if kept is None else kept[1]

    def put(self, tensor: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """Remember the tags of a tensor and return it."""
        if torch.is_floating_point(tensor) or torch.is_complex(tensor):
            self._tags[id(tensor)] = (tensor, compact(tags))
        return tensor

    def start(self, name: str, size: int) -> torch.Tensor:
        """A new layer of nodes; (size,) tags of its outputs."""
        self._uses[name] = self._uses.get(name, 0) + 1
        if self._uses[name] > 1:
            name = f"{name} #{self._uses[name]}"
        self.layers.append(Layer(name, self._nodes, size))
        self._nodes += size
        return self.sources.fresh(self._nodes - size, size)

    def name_of(self, weight: torch.Tensor) -> str:
        """The layer a weight belongs to: its owner, or the module that is running."""
        return self._names.get(id(weight)) or self.here()

    def here(self) -> str:
        """Name of the module that is running."""
        return self.stack[-1] if self.stack and self.stack[-1] else "the network's forward"

    def failed(self, tensor: torch.Tensor, text: str, *, pattern: bool = False) -> torch.Tensor:
        """Mark a tensor as something no weight can be followed through."""
        if isinstance(tensor, torch.Tensor):
            tag = self.sources.problem(f"{text} in {self.here()}", pattern=pattern)
            self.put(tensor, torch.full((1,) * tensor.ndim, float(tag)))
        return tensor

    # -- layers with weights

    def read(
        self,
        name: str,
        strengths: np.ndarray,
        tags: torch.Tensor,
        axis: int,
        ndim: int,
        *,
        groups: int = 1,
    ) -> torch.Tensor:
        """A kernel reads the channels on ``axis``; compact tags of its output channels."""
        channels = self.channels(tags, axis, len(strengths)).numpy().astype(int)
        entries = [self.sources.entries[tag] for tag in np.unique(channels)]
        problem = next((entry.problem for entry in entries if entry.problem), "")
        if problem:
            raise TracingError(
                f"layer {name!r} reads the result of {problem}, which cannot be followed back to "
                "weights; pass the weight matrices of one chain as a list"
            )
        if (channels == DENSE).all():
            raise TracingError(
                f"layer {name!r} reads a dense layer, and dense layers of a network with "
                "convolutions are left out; include them with dense=True"
            )
        made = self.start(name, strengths.shape[1])
        self.layers[-1].kernel = Kernel(strengths, channels, groups)
        return on_axis(made, axis, ndim)

    def channels(self, tags: torch.Tensor, axis: int, size: int) -> torch.Tensor:
        """(size,) tags of the channels on one axis, united over all other axes."""
        others = tuple(dim for dim in range(tags.ndim) if dim != axis % tags.ndim)
        return self.sources.over(tags, others).reshape(-1).expand(size)

    def constant(self, weight: torch.Tensor, value: torch.Tensor) -> None:
        """A layer that reads something not computed from the input (checked afterwards)."""
        self.constants.append((self.name_of(weight), value.detach()))

    def join(self, a: int, b: int) -> int:
        """Merge the nodes behind two tags that are added, where each is a single channel."""
        singles = [self._single(tag) for tag in (a, b)]
        if None in singles or a == b:
            return self.sources.pair(a, b, add=True)
        for node, factor in singles:
            self.incoming[node] = factor
        self.merged.append((singles[0][0], singles[1][0]))
        return a

    def _single(self, tag: int) -> tuple[int, float] | None:
        """The one node behind a tag and its factor; None when its stream was rescaled since."""
        nodes = self.sources.entries[tag].nodes
        if len(nodes) != 1:
            return None
        ((node, factor),) = nodes.items()
        return (node, factor) if self.incoming.get(node, factor) == factor else None


def plain_name(func: Callable) -> str:
    """``add`` for torch.add, Tensor.add_ and Tensor.__add__; ``conv`` for all convolutions."""
    name = getattr(func, "__name__", str(func)).strip("_")
    return "conv" if name.startswith("conv") and name.rstrip("d")[-1:].isdigit() else name


def all_tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested arguments."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from all_tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from all_tensors(one)


def on_axis(vector: torch.Tensor, axis: int, ndim: int) -> torch.Tensor:
    """A vector laid along one axis of ``ndim``, the others of size 1."""
    shape = [1] * ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)


def _parameters(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
