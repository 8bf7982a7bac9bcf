"""Many lesioned forward passes at once, each sharing with others all that they have in common.

A lesion in one layer changes nothing before it, and two lesions that agree up to a layer agree
in everything before the next one. The model is therefore traced into its steps (torch.fx), and
a batch of lesions walks through them as a tree: one shared pass up to the first lesioned layer,
a branch for each different lesion of it, a branch of those for each different lesion of the
next layer. A model that cannot be traced is run whole for every lesion, with forward hooks.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from modgraph_lib.lesions import _branches, _steps
from modgraph_lib.lesions._branches import ON_ACCELERATORS, Branches, Changed, Masks, Room, Site
from modgraph_lib.lesions._steps import Tracer, end_of, is_elementwise, is_relu_of_kernel
from modgraph_lib.lesions._whole import Hooked, decided
from modgraph_lib.pixels import fewer

__all__ = ["Traced", "passes"]

Intact = dict[fx.Node, Any]  # step -> its value without a lesion
Values = dict[fx.Node, tuple[Any, int]]  # step -> its value, and the level of its branches

# Rows that walk together once nothing branches any more: what stays in a processor's second cache.
ROWS_TO_THE_END = {"cpu": 4096}
# A product with fewer columns than this is twice as fast the other way round.
NARROW = 32


def passes(model: nn.Module, where: Mapping[str, Site], probe: torch.Tensor) -> Traced | Hooked:
    """The fastest way to run this model's lesions that gives its own outputs on ``probe``."""
    with contextlib.suppress(Exception):
        traced = Traced(model, where)
        if traced.agrees(probe):
            return traced
    return Hooked(model, where)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some images under one block of lesions.

    Attributes:
        images: (b, ...).
        intact: value of every step without a lesion.
        of_parents: what steps after the last branching make of the branches before it.
    """

    images: torch.Tensor
    intact: Intact
    of_parents: dict[fx.Node, torch.Tensor] = field(default_factory=dict)


class Traced:
    """A traced model whose lesions share their common steps.

    Overwriting a few inputs of a linear layer or convolution changes its output by a product
    over those inputs alone, which is what a branch computes. The sum is rounded in another
    order then; rows whose two best classes are closer than that could matter are answered
    once more in the plain way. Several threads may ask for blocks of lesions at the same time.
    """

    threaded = True

    def __init__(self, model: nn.Module, where: Mapping[str, Site]) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self.nodes = list(Tracer(set(where)).trace(model).nodes)
        self.place = {node: place for place, node in enumerate(self.nodes)}
        self.sites: dict[fx.Node, Site] = {}
        for node in self.nodes:
            if node.op == "call_module" and node.target in where:
                site = where[node.target]
                self.sites[end_of(node, site.path, self.modules)] = site
        if len(self.sites) != len(where):
            raise ValueError("a layer that runs never, or more than once")
        # in the order in which they run: an activation may come later than its kernel
        self.sites = {node: self.sites[node] for node in self.nodes if node in self.sites}
        self.order = [site.layer for site in self.sites.values()]
        self.last_use = {arg: node for node in self.nodes for arg in node.all_input_nodes}
        self.fed: set[fx.Node] = set()  # steps with a row for each image, unlike parameters
        for node in self.nodes:
            if node.op == "placeholder" or any(arg in self.fed for arg in node.all_input_nodes):
                self.fed.add(node)
        self.mutating: set[fx.Node] = set()  # steps that write into their inputs
        self.read: dict[fx.Node, torch.Tensor] = {}  # step -> which of its units are kept
        self.rooms: defaultdict[tuple[int, fx.Node], Room] = defaultdict(Room)  # by thread
        self._drop_unread()

    @torch.no_grad()
    def agrees(self, probe: torch.Tensor) -> bool:
        """Whether branches without a lesion, side by side, give the model's own outputs."""
        expected = self.model(probe)
        self._find_mutating(probe)
        values = self.intact(probe)
        node, site = next(iter(self.sites.items()))
        units = len(self.read[node]) if node in self.read else values[node].shape[site.axis]
        nothing = {site.layer: torch.zeros(3, units, dtype=torch.bool, device=probe.device)}
        found = self._branched(probe, nothing, values, split_all=True)
        plain = self._plain(probe, {site.layer: nothing[site.layer][: len(probe)]})
        copies = expected.expand(3, *expected.shape)
        close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}
        return torch.allclose(found, copies, **close) and torch.allclose(plain, expected, **close)

    def intact(self, images: torch.Tensor) -> Intact:
        """Value of every step without a lesion; read by ``outputs``."""
        values: Intact = {}
        for node in self.nodes:
            values[node] = self._run(node, values.__getitem__, images)
        return values

    def whole(self, intact: Intact) -> torch.Tensor:
        """(b, classes) output without a lesion."""
        return intact[self.nodes[-1]]

    def guesses(self, images: torch.Tensor, masks: Masks, intact: Intact) -> torch.Tensor:
        """(M, b) classes that M lesioned networks give b images.

        Args:
            images: (b, ...).
            masks: layer -> (M, units) bool.
            intact: what ``intact(images)`` returned.
        """
        found, close = decided(self.outputs(images, masks, intact))
        lesion, image = close.nonzero(as_tuple=True)
        if len(lesion):
            chosen = {name: mask[lesion] for name, mask in masks.items()}
            found[lesion, image] = self._plain(images[image], chosen).argmax(1)
        return found

    def outputs(self, images: torch.Tensor, masks: Masks, intact: Intact) -> torch.Tensor:
        """(M, b, classes) outputs of M lesions on b images, up to rounding."""
        return self._branched(images, masks, intact)

    def _plain(self, images: torch.Tensor, masks: Masks) -> torch.Tensor:
        """(R, classes) outputs of image i with lesion i, nothing shared."""
        values: Intact = {}
        for node in self.nodes:
            values[node] = self._run(node, values.__getitem__, images)
            site = self.sites.get(node)
            if site and (mask := self._mask(node, masks)) is not None:
                values[node] = site.overwrite(values[node][:, None], mask)[:, 0]
        return values[self.nodes[-1]]

    def _branched(
        self, images: torch.Tensor, masks: Masks, intact: Intact, *, split_all: bool = False
    ) -> torch.Tensor:
        """As ``outputs``; ``split_all`` gives equal lesions a branch each, to check branches."""
        block = _Block(images, intact)
        branches = Branches(len(next(iter(masks.values()))), len(images))
        values: Values = {}
        begin = 0
        for node in self.sites:
            mask = self._mask(node, masks)
            if mask is None or not (split_all or mask.any()):
                continue
            end = self.place[node] + 1
            self._walk(self.nodes[begin:end], values, branches, block)
            whole = self._value(node, values, branches, block)
            values[node] = branches.split(whole, self.sites[node], mask, split_all), branches.level
            begin = end
        found = self._ends(self.nodes[begin:], values, branches, block)
        if np.array_equal(branches.of, np.arange(len(found))):
            return found
        return found[torch.from_numpy(branches.of).to(found.device)]

    def _ends(
        self, nodes: list[fx.Node], values: Values, branches: Branches, block: _Block
    ) -> torch.Tensor:
        """(branches, b, classes) outputs by way of the steps after the last one that branches.

        A few branches at a time, so that what is written and read stays in the processor's cache.
        """
        images = len(block.images)
        usual = ROWS_TO_THE_END.get(block.images.device.type, ON_ACCELERATORS)
        begun = [v.base if isinstance(v, Changed) else v for v, _ in values.values()]
        numbers = max((v[0].numel() for v in begun if isinstance(v, torch.Tensor)), default=1)
        several = max(1, fewer(usual, numbers, _branches.ROW) // images)
        found = []
        for first in range(0, branches.count, several):
            last = min(first + several, branches.count)
            some = branches.part(first, last)
            few = {
                node: (_part(value, first, last, images), level)
                if level == branches.level
                else (value, level)
                for node, (value, level) in values.items()
            }
            self._walk(nodes, few, some, block)
            ends = self._value(self.nodes[-1], few, some, block)
            found.append(ends.reshape(last - first, images, -1).clone())
        return found[0] if len(found) == 1 else torch.cat(found)

    def _walk(
        self, nodes: list[fx.Node], values: Values, branches: Branches, block: _Block
    ) -> None:
        """Add the values of those steps that depend on a lesion; forget what nobody reads again."""
        for node in nodes:
            if not any(arg in values for arg in node.all_input_nodes):
                continue
            values[node] = self._step(node, values, branches, block), branches.level
            for arg in node.all_input_nodes:
                if self.last_use[arg] is node:
                    values.pop(arg, None)

    def _value(self, node: fx.Node, values: Values, branches: Branches, block: _Block) -> Any:
        """What a step gives every branch, with a row for each of its images."""
        found, level = values.get(node, (block.intact[node], 0))
        found = found.tensor() if isinstance(found, Changed) else found
        spreads = node in self.fed and isinstance(found, torch.Tensor)
        return branches.spread(found, level) if spreads else found

    def _step(self, node: fx.Node, values: Values, branches: Branches, block: _Block) -> Any:
        """Value of a step that depends on a lesion: few units changed, or a whole tensor."""
        inputs = node.all_input_nodes
        found, level = values.get(inputs[0], (None, 0))
        if len(inputs) == 1 and isinstance(found, Changed) and level == branches.level:
            if is_elementwise(node, self.modules):
                fill = self._run(node, lambda _: found.fill, block.images)
                return found.mapped(self._of_parents(node, found, block), fill)
            module = self.modules.get(node.target) if node.op == "call_module" else None
            if _steps.is_pooling(module) and found.base.ndim == 4:
                return found.mapped(self._of_parents(node, found, block), found.fill)
            if found.narrows(module):
                whole = self._of_parents(node, found, block)
                return found.through(module, whole, self._room(node))
        if level == branches.level and is_relu_of_kernel(node, self.modules):
            return found.relu_()  # nobody else reads it, and new memory costs more than this

        def value(arg: fx.Node) -> Any:
            return self._value(arg, values, branches, block)

        if node.op == "call_module" and type(self.modules[node.target]) is nn.Linear:
            return self._linear_step(node, value(inputs[0]))
        result = self._run(node, value, block.images)
        if not isinstance(result, torch.Tensor):
            raise ValueError("a step that depends on a lesion gives no tensor")
        return result

    def _of_parents(self, node: fx.Node, found: Changed, block: _Block) -> torch.Tensor:
        """What a step makes of the branches that today's ones were split from."""
        if found.level == 0:
            return block.intact[node]
        if node not in block.of_parents:
            block.of_parents[node] = self._run(node, lambda _: found.base, block.images)
        return block.of_parents[node]

    def _room(self, node: fx.Node) -> Room:
        return self.rooms[threading.get_ident(), node]

    def _linear_step(self, node: fx.Node, rows: torch.Tensor) -> torch.Tensor:
        """A linear layer's values, in memory that it had before."""
        layer = self.modules[node.target]
        flat = rows.reshape(-1, layer.in_features)
        weight, bias = layer.weight, layer.bias
        if layer.out_features < NARROW:
            found = torch.mm(weight, flat.T).T
            found = found if bias is None else found.add_(bias)
            return found.unflatten(0, rows.shape[:-1])
        found = self._room(node).of(flat, len(flat), layer.out_features)
        if bias is None:
            torch.mm(flat, weight.T, out=found)
        else:
            torch.addmm(bias, flat, weight.T, out=found)
        return found.unflatten(0, rows.shape[:-1])

    def _run(self, node: fx.Node, value: Callable[[fx.Node], Any], images: torch.Tensor) -> Any:
        target: Any = node.target
        if node.op == "placeholder":
            return images
        if node.op == "get_attr":
            return operator.attrgetter(target)(self.model)
        if node in self.mutating:
            value = _copying(value)
        args = fx.node.map_arg(node.args, value)
        kwargs = fx.node.map_arg(node.kwargs, value)
        match node.op:
            case "call_module":
                module = self.modules[target]
                if _steps.is_pooling(module):
                    module = functools.partial(_steps.pooled, module)
                return module(*args, **kwargs)
            case "call_function":
                return target(*args, **kwargs)
            case "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
        return args[0]  # "output"

    def _mask(self, node: fx.Node, masks: Masks) -> torch.Tensor | None:
        """Masks of a layer over the units that are kept."""
        mask = masks.get(self.sites[node].layer)
        kept = self.read.get(node)
        return mask if mask is None or kept is None else mask[:, kept]

    def _drop_unread(self) -> None:
        """Leave out units whose outgoing weights are all zero, as pruning leaves many."""
        uses = Counter(node.target for node in self.nodes if node.op == "call_module")
        for node in self.nodes:
            if uses[node.target] != 1 or not isinstance(self.modules[node.target], nn.Linear):
                continue
            chain: list[fx.Node] = [node]
            reader: fx.Node | None = None
            while len(chain[-1].users) == 1:
                (reader,) = chain[-1].users
                if not is_elementwise(reader, self.modules):
                    break
                chain.append(reader)
            if reader is None or uses.get(reader.target) != 1:
                continue
            last = self.modules.get(reader.target)
            if not isinstance(last, nn.Linear):
                continue
            kept = last.weight.any(0)
            if not 0 < kept.sum() < len(kept):
                continue
            self.modules[node.target] = _linear(self.modules[node.target], rows=kept)
            self.modules[reader.target] = _linear(last, columns=kept)
            self.read |= dict.fromkeys(chain, kept)
        for node, site in self.sites.items():
            self.sites[node] = site.only(self.read.get(node))

    def _find_mutating(self, probe: torch.Tensor) -> None:
        """Steps such as ``x += y`` or an in-place ReLU, which must not touch shared values."""
        values: Intact = {}
        for node in self.nodes:
            inputs = [v for arg in node.all_input_nodes if torch.is_tensor(v := values[arg])]
            versions = [v._version for v in inputs]
            values[node] = self._run(node, values.__getitem__, probe)
            if versions != [v._version for v in inputs]:
                self.mutating.add(node)


def _linear(
    layer: nn.Linear, *, rows: torch.Tensor | None = None, columns: torch.Tensor | None = None
) -> nn.Linear:
    """A linear layer with some of its outputs or inputs."""
    weight: torch.Tensor = layer.weight
    bias: torch.Tensor | None = layer.bias
    if rows is not None:
        weight, bias = weight[rows], None if bias is None else bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    part = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    part.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        part.bias = nn.Parameter(bias, requires_grad=False)
    return part.eval()


def _part(value: torch.Tensor | Changed, first: int, last: int, images: int) -> Any:
    """The value for some of the branches."""
    if isinstance(value, Changed):
        return value.part(first, last)
    return value[first * images : last * images]


def _copying(value: Callable[[fx.Node], Any]) -> Callable[[fx.Node], Any]:
    def copied(node: fx.Node) -> Any:
        found = value(node)
        return found.clone() if isinstance(found, torch.Tensor) else found

    return copied
