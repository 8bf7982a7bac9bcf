"""Listening to a forward pass: which nodes there are, and which of them each kernel reads.

``Recorder`` hears every torch function of the pass (``torch.overrides``), whether it is called
by a module, a functional call or an operator, so that nothing has to be traced symbolically.
What an operation does to the sources of its numbers is said in ``rules``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modgraph_lib.graphs.tracing.sources import DENSE, IMAGE, Sources, compact

__all__ = ["Kernel", "Layer", "Options", "Recorder", "TracingError"]

# Operations that make nodes, and so are looked at even where no input was computed.
MAKERS = ("linear", "conv", "embedding", "embedding_bag")
# Operations that look at the shape of their argument only.
_SHAPE_ONLY = """
    zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones
    new_full new_empty new_tensor size dim numel is_floating_point"""
SHAPE_ONLY = _SHAPE_ONLY.split()
CONVERSIONS = ("to", "float", "double", "half", "bfloat16", "type", "type_as")


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

    @property
    def reads(self) -> Kernel:
        """The kernel of a layer that has one."""
        assert self.kernel is not None
        return self.kernel


@dataclass(frozen=True)
class Options:
    """How a network becomes a graph; see ``graphs.weight_graph``."""

    strength: Callable[[str, torch.Tensor], np.ndarray]
    convolutional: bool
    dense: bool = False
    fold: bool = True
    depthwise: str = "scale"
    merge: bool = False
    layers: tuple[str, ...] | None = None
    leave_out: tuple[str, ...] = ()


@dataclass(eq=False)
class Cuts:
    """The network cut at every layer, for the check by numbers.

    Attributes:
        generator: where given, outputs of layers are drawn from it instead of computed.
        leaves: layer number -> its outputs, from which gradients are asked, and their axis (None:
            all but the first).
        readings: layer number, what it read and on which axis.
        detached: whether a network's own ``detach`` stops gradients (straight-through
            estimators) or is passed.
    """

    generator: torch.Generator | None
    leaves: dict[int, tuple[torch.Tensor, int | None]]
    readings: list[tuple[int, torch.Tensor, int]]
    detached: bool = False


class Recorder(TorchFunctionMode):
    """Records layers and their sources while a forward pass runs under it."""

    def __init__(
        self,
        model: nn.Module,
        options: Options,
        rules: Mapping[str, Callable],
        cuts: Cuts | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.rules = rules
        self.cuts = cuts
        self.sources = Sources()
        self.layers: list[Layer] = []
        # Of a merged residual stream: pairs of nodes that are one, and fixed factors that
        # belong to a node itself (to its incoming weights), not to its outgoing ones.
        self.merged: list[tuple[int, int]] = []
        self.incoming: dict[int, float] = {}
        self.constants: list[tuple[str, torch.Tensor]] = []
        self.notes: dict[str, None] = {}
        self.scaled = False  # by a depthwise convolution: its factors belong to channels
        self.stack: list[str] = []
        # Whole numbers of the input, which become input nodes where they are used as values.
        self.raw: dict[int, Callable[[torch.Tensor], torch.Tensor]] = {}
        self._nodes = 0
        self._uses: dict[str, int] = {}
        # Tensors are kept alive together with their tags, so that no id is used twice.
        self._tags: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._discrete: dict[int, torch.Tensor] = {}
        self._names: dict[int, list[str]] = {}
        for name, parameter in _parameters(model):
            name = plain_path(name)
            self._names.setdefault(id(parameter), []).append(name.rpartition(".")[0] or name)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = list(all_tensors((args, kwargs)))
        if not tensors:
            return func(*args, **kwargs)
        name = plain_name(func)
        # A network's own no_grad would hide a path from the check.
        with torch.set_grad_enabled(self.cuts is not None):
            if name in MAKERS or any(self.tags(tensor) is not None for tensor in tensors):
                result = self.rules.get(name, self.rules[""])(self, func, args, kwargs)
                if self.sources.mixed:
                    self.note(f"{name} in {self.here()} joins all channels to each of its results")
                    self.sources.mixed = False
                return result
            result = func(*args, **kwargs)
            if name not in SHAPE_ONLY and any(id(tensor) in self._discrete for tensor in tensors):
                if name in CONVERSIONS and id(args[0]) in self.raw:
                    return self.raw[id(args[0])](result)
                for one in all_tensors(result):
                    self.put(one, torch.full((1,) * one.ndim, float(IMAGE)))
            return result

    # -- the table of tags

    def tags(self, tensor: Any) -> torch.Tensor | None:
        """Compact tags of a tensor; None for a constant or something that is no tensor."""
        kept = self._tags.get(id(tensor))
        return None if kept is None else kept[1]

    def put(self, tensor: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        """Remember the tags of a tensor and return it."""
        if torch.is_floating_point(tensor) or torch.is_complex(tensor):
            self._tags[id(tensor)] = (tensor, compact(tags))
        else:
            self._discrete[id(tensor)] = tensor
        return tensor

    def computed(self, value: Any) -> torch.Tensor | None:
        """``tags``; of masks and indices that depend on the input, those of an image."""
        if id(value) in self._discrete:
            return torch.full((1,) * value.ndim, float(IMAGE))
        return self.tags(value)

    def start(self, name: str, size: int) -> torch.Tensor:
        """A new layer of nodes; (size,) tags of its outputs."""
        if self.left_out(name):
            self._uses[name] = self._uses.get(name, 0) + 1
            return torch.full((size,), float(IMAGE), dtype=torch.float64)
        self._uses[name] = self._uses.get(name, 0) + 1
        if self._uses[name] > 1:
            name = f"{name} #{self._uses[name]}"
        self.layers.append(Layer(name, self._nodes, size))
        self._nodes += size
        return self.sources.fresh(self._nodes - size, size, len(self.layers) - 1)

    def left_out(self, name: str) -> bool:
        """Whether a layer was left out, or not chosen, by its name or that of a part around it."""
        chosen = self.options.layers
        return (chosen is not None and not _matches(name, chosen)) or _matches(
            name, self.options.leave_out
        )

    def check_names(self) -> None:
        """ValueError for a name given to choose or leave out layers that no layer has."""
        for pattern in (*(self.options.layers or ()), *self.options.leave_out):
            if not any(_matches(name, [pattern]) for name in self._uses):
                close = difflib.get_close_matches(pattern, self._uses, n=1, cutoff=0.4)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"the network runs no layer {pattern!r}{hint}")

    def note(self, text: str) -> None:
        """Something to warn of once the pass is over."""
        self.notes[text] = None

    def cut(self, result: torch.Tensor, axis: int | None) -> torch.Tensor:
        """The outputs of the newest layer as the start of all gradients."""
        if self.cuts is None or not (result.is_floating_point() or result.is_complex()):
            return result
        value = result.detach().clone()
        if self.cuts.generator is not None:
            noise = torch.randn(value.shape, generator=self.cuts.generator).to(value)
            value = noise * (value.std(correction=0) + 0.1)
        self.cuts.leaves[len(self.layers) - 1] = (value.requires_grad_(), axis)
        return value.clone()  # which the network may change in place

    def name_of(self, weight: torch.Tensor) -> str:
        """The layer a weight belongs to: its owner, or the module that is running."""
        base = weight if weight._base is None else weight._base
        owners = self._names.get(id(weight)) or self._names.get(id(base), [])
        return owners[0] if owners and self.here() not in owners else self.here()

    def here(self) -> str:
        """Name of the module that is running."""
        return self.stack[-1] if self.stack and self.stack[-1] else "the network's forward"

    def failed(self, tensor: torch.Tensor, text: str, **kind: Any) -> torch.Tensor:
        """Mark a tensor as something no weight can be followed through."""
        if isinstance(tensor, torch.Tensor):
            tag = self.sources.problem(f"{text} in {self.here()}", **kind)
            self.put(tensor, torch.full((1,) * tensor.ndim, float(tag)))
        return tensor

    # -- layers with weights

    def kernel(
        self,
        name: str,
        strengths: np.ndarray,
        value: torch.Tensor,
        axis: int,
        result: torch.Tensor,
        *,
        groups: int = 1,
    ) -> torch.Tensor:
        """A kernel reads the channels of ``value`` on ``axis``; its result, with tags."""
        tags = self.tags(value)
        assert tags is not None  # a rule asks before it makes a kernel
        made = self.read(name, strengths, tags, axis, result.ndim, groups=groups, value=value)
        if self.left_out(name):
            return self.put(result.detach(), made)
        return self.put(self.cut(result, axis), made)

    def read(
        self,
        name: str,
        strengths: np.ndarray,
        tags: torch.Tensor,
        axis: int,
        ndim: int,
        *,
        groups: int = 1,
        value: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The nodes and edges of ``kernel``; compact tags of its output channels."""
        if self.left_out(name):
            return on_axis(self.start(name, strengths.shape[1]), axis, ndim)
        channels = self.channels(tags, axis, len(strengths)).numpy().astype(int)
        entries = [self.sources.entries[tag] for tag in np.unique(channels)]
        problem = next((entry.problem for entry in entries if entry.problem), "")
        if problem:
            raise TracingError(
                f"layer {name!r} reads the result of {problem}, which cannot be followed back to "
                "weights; pass the weight matrices of one chain as a list, or leave the layer out: "
                f"leave_out=[{name!r}]"
            )
        if (channels == DENSE).all():
            raise TracingError(
                f"layer {name!r} reads a dense layer, and dense layers of a network with "
                "convolutions are left out; include them with dense=True"
            )
        if len(strengths) > 1 and tags.shape[axis] == 1 and len(self.sources.unique(tags)) > 1:
            self.note(f"layer {name!r} reads positions: all channels are joined to all its inputs")
        made = self.start(name, strengths.shape[1])
        self.layers[-1].kernel = Kernel(strengths, channels, groups)
        if self.cuts is not None and value is not None:
            self.cuts.readings.append((len(self.layers) - 1, value.clone(), axis))
        return on_axis(made, axis, ndim)

    def channels(self, tags: torch.Tensor, axis: int, size: int) -> torch.Tensor:
        """(size,) tags of the channels on one axis, united over all other axes."""
        others = tuple(dim for dim in range(tags.ndim) if dim != axis % tags.ndim)
        return self.sources.over(tags, others).reshape(-1).expand(size)

    def constant(self, weight: torch.Tensor, value: torch.Tensor) -> None:
        """A layer that reads something not computed from the input (checked afterwards)."""
        self.constants.append((self.name_of(weight), value.detach()))

    def join(self, a: int, b: int) -> int:
        """Merge the nodes behind two tags that are added, where each is a single channel.

        Which nodes are merged depends on the architecture alone. Where a norm has rescaled a
        stream since it was merged (post-norm transformers), its factor is left out.
        """
        one, two = (self.sources.entries[tag].nodes for tag in (a, b))
        if len(one) != 1 or len(two) != 1 or one.keys() == two.keys():
            return self.sources.pair(a, b, how="sum")
        (first, here), (second, there) = next(iter(one.items())), next(iter(two.items()))
        self.merged.append((first, second))
        self.incoming.setdefault(second, there)
        tag = self.sources.beside(torch.tensor([float(a)]), self.sources.entries[b].side)
        if self.incoming.setdefault(first, here) != here and here:
            tag = self.sources.scale(tag, torch.tensor(self.incoming[first] / here))
        return int(tag[0])


def plain_name(func: Callable) -> str:
    """``add`` for torch.add, Tensor.add_ and Tensor.__add__; ``conv`` for all convolutions."""
    name = getattr(func, "__name__", str(func)).strip("_")
    return "conv" if name.startswith("conv") and name.rstrip("d")[-1:].isdigit() else name


def plain_path(name: str) -> str:
    """A module's name without the wrappers of torch.compile."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _matches(name: str, patterns) -> bool:
    return any(fnmatchcase(name, p) or name.startswith(f"{p}.") for p in patterns)


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
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)
