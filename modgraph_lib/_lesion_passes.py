"""Many lesioned forward passes at once, each sharing with others all that they have in common.

A lesion in one layer changes nothing before it, and two lesions that agree up to a layer agree
in everything before the next one. The model is therefore traced into its steps (torch.fx), and
a batch of lesions walks through them as a tree: one shared pass up to the first lesioned layer,
a branch for each different lesion of it, a branch of those for each different lesion of the
next layer. A model that cannot be traced is run whole for every lesion, with forward hooks.
"""

from __future__ import annotations

import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from modgraph_lib._lesion_branches import Branches, Changed, Masks, Site
from modgraph_lib.hooks import find_modules

__all__ = ["Hooked", "Traced", "decided", "evaluating", "passes", "sites"]

KERNELS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardswish, nn.Hardtanh,
)  # fmt: skip
ACTIVATION_FUNCTIONS = {
    functional.relu, functional.relu_, functional.gelu, functional.silu, functional.elu,
    functional.leaky_relu, torch.relu, torch.relu_, torch.sigmoid, torch.tanh, functional.sigmoid,
    functional.tanh,
}  # fmt: skip
ACTIVATION_METHODS = {"relu", "relu_", "sigmoid", "tanh"}
IDENTITIES = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity)
# Two classes closer than this share of the largest logit could change places by rounding.
CLOSE = 1e-4


def sites(model: nn.Module, layers: list[str], kind: str) -> dict[str, Site]:
    """A site for each layer.

    Raises:
        ValueError: an unknown layer, or one without incoming weights where those are lesioned.
    """
    modules = find_modules(model, layers)
    for name, module in modules.items():
        if kind != "activations" and not isinstance(module, KERNELS):
            raise ValueError(
                f"layer {name!r} is a {type(module).__name__} and has no incoming weights to "
                'lesion; name a linear or convolution layer, or use kind="activations"'
            )
    return {name: Site(name, module, kind) for name, module in modules.items()}


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the time being; every module is left in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def passes(model: nn.Module, where: Mapping[str, Site], probe: torch.Tensor) -> Traced | Hooked:
    """The fastest way to run this model's lesions that gives its own outputs on ``probe``."""
    with contextlib.suppress(Exception):
        traced = Traced(model, where)
        if traced.agrees(probe):
            return traced
    return Hooked(model, where)


def decided(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(M, b) largest class of outputs (M, b, C), and (M, b) whether rounding could change it.

    Raises:
        ValueError: an output that is NaN or infinite.
    """
    # Classes first: over a short last dimension torch reduces several times more slowly.
    classes = outputs.flatten(0, 1).T.contiguous()
    (best, which), lowest = classes.max(0), classes.amin(0)
    if not (torch.isfinite(best).all() and torch.isfinite(lowest).all()):
        raise ValueError("the network gives NaN or infinite outputs; is it trained and finite?")
    second = classes.scatter_(0, which[None], -torch.inf).amax(0)
    close = best - second <= CLOSE * torch.maximum(best.abs(), lowest.abs())
    return which.view(outputs.shape[:2]), close.view(outputs.shape[:2])


class Traced:
    """A traced model whose lesions share their common steps.

    Overwriting a few inputs of a linear layer or convolution changes its output by a product
    over those inputs alone, which is what a branch computes. The sum is rounded in another
    order then; rows whose two best classes are closer than that could matter are answered
    once more in the plain way.
    """

    def __init__(self, model: nn.Module, where: Mapping[str, Site]) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self.nodes = list(_Tracer(set(where)).trace(model).nodes)
        self.sites: dict[fx.Node, Site] = {}
        for node in self.nodes:
            if node.op == "call_module" and node.target in where:
                site = where[node.target]
                self.sites[self._activation(node) if site.after_activation else node] = site
        if len(self.sites) != len(where):
            raise ValueError("a layer that runs never, or more than once")
        self.order = [site.layer for site in self.sites.values()]
        self.last_use = {arg: node for node in self.nodes for arg in node.all_input_nodes}
        self.fed: set[fx.Node] = set()  # steps with a row for each image, unlike parameters
        for node in self.nodes:
            if node.op == "placeholder" or any(arg in self.fed for arg in node.all_input_nodes):
                self.fed.add(node)
        self.mutating: set[fx.Node] = set()  # steps that write into their inputs
        self.read: dict[fx.Node, torch.Tensor] = {}  # step -> which of its units are kept
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
        close = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}
        return torch.allclose(found, copies, **close) and torch.allclose(plain, expected, **close)

    def intact(self, images: torch.Tensor) -> dict[fx.Node, Any]:
        """Value of every step without a lesion; read by ``outputs``."""
        values: dict[fx.Node, Any] = {}
        for node in self.nodes:
            values[node] = self._run(node, values.__getitem__, images)
        return values

    def whole(self, intact: dict[fx.Node, Any]) -> torch.Tensor:
        """(b, classes) output without a lesion."""
        return intact[self.nodes[-1]]

    def guesses(
        self, images: torch.Tensor, masks: Masks, intact: dict[fx.Node, Any]
    ) -> torch.Tensor:
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

    def outputs(
        self, images: torch.Tensor, masks: Masks, intact: dict[fx.Node, Any]
    ) -> torch.Tensor:
        """(M, b, classes) outputs of M lesions on b images, up to rounding."""
        return self._branched(images, masks, intact)

    def _plain(self, images: torch.Tensor, masks: Masks) -> torch.Tensor:
        """(R, classes) outputs of image i with lesion i, nothing shared."""
        values: dict[fx.Node, Any] = {}
        for node in self.nodes:
            values[node] = self._run(node, values.__getitem__, images)
            site = self.sites.get(node)
            if site and (mask := self._mask(node, masks)) is not None:
                values[node] = site.overwrite(values[node][:, None], mask)[:, 0]
        return values[self.nodes[-1]]

    def _branched(
        self,
        images: torch.Tensor,
        masks: Masks,
        base: dict[fx.Node, Any],
        *,
        split_all: bool = False,
    ) -> torch.Tensor:
        """As ``outputs``; ``split_all`` gives equal lesions a branch each, to check branches."""
        branches = Branches(len(next(iter(masks.values()))), len(images))
        values: dict[fx.Node, tuple[Any, int]] = {}

        def value(node: fx.Node) -> Any:
            found, level = values.get(node, (base[node], 0))
            found = found.tensor() if isinstance(found, Changed) else found
            spreads = node in self.fed and isinstance(found, torch.Tensor)
            return branches.spread(found, level) if spreads else found

        for node in self.nodes:
            site = self.sites.get(node)
            mask = self._mask(node, masks) if site else None
            splits = mask is not None and (split_all or bool(mask.any()))
            changed = any(arg in values for arg in node.all_input_nodes)
            if not splits and not changed:
                continue
            result = self._step(node, values, value, branches, base, images) if changed else None
            if splits:
                if result is None:
                    result = value(node)
                result = branches.split(
                    result.tensor() if isinstance(result, Changed) else result,
                    site,
                    mask,
                    split_all,
                )
            values[node] = (result, branches.level)
            for arg in node.all_input_nodes:
                if self.last_use[arg] is node:
                    values.pop(arg, None)
        found = value(self.nodes[-1]).view(branches.count, len(images), -1)
        if np.array_equal(branches.of, np.arange(len(found))):
            return found
        return found[torch.from_numpy(branches.of).to(found.device)]

    def _step(self, node, values, value, branches, base, images) -> Any:
        """Value of a step that depends on a lesion: few units changed, or a whole tensor."""
        inputs = node.all_input_nodes
        found, level = values.get(inputs[0], (None, 0))
        if len(inputs) == 1 and isinstance(found, Changed) and level == branches.level:
            if self._is_elementwise(node):
                return found.map(lambda tensor: self._run(node, lambda _: tensor, images))
            module = self.modules.get(node.target) if node.op == "call_module" else None
            if found.narrows(module):
                whole = base[node] if found.level == 0 else module(found.base)
                return found.through(module, whole)
        if level == branches.level and self._is_relu_of_kernel(node):
            return found.relu_()  # nobody else reads it, and new memory costs more than this
        result = self._run(node, value, images)
        if not isinstance(result, torch.Tensor):
            raise ValueError("a step that depends on a lesion gives no tensor")
        return result

    def _run(self, node: fx.Node, value: Callable[[fx.Node], Any], images: torch.Tensor) -> Any:
        if node.op == "placeholder":
            return images
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.model)
        if node in self.mutating:
            value = _copying(value)
        args = fx.node.map_arg(node.args, value)
        kwargs = fx.node.map_arg(node.kwargs, value)
        match node.op:
            case "call_module":
                return self.modules[node.target](*args, **kwargs)
            case "call_function":
                return node.target(*args, **kwargs)
            case "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
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
            chain, reader = [node], None
            while len(chain[-1].users) == 1:
                (reader,) = chain[-1].users
                if not self._is_elementwise(reader):
                    break
                chain.append(reader)
            last = self.modules.get(reader.target) if uses.get(reader.target) == 1 else None
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
        values: dict[fx.Node, Any] = {}
        for node in self.nodes:
            inputs = [v for arg in node.all_input_nodes if torch.is_tensor(v := values[arg])]
            versions = [v._version for v in inputs]
            values[node] = self._run(node, values.__getitem__, probe)
            if versions != [v._version for v in inputs]:
                self.mutating.add(node)

    def _activation(self, node: fx.Node) -> fx.Node:
        """The activation function that follows a kernel as its only user, or the node itself."""
        if not isinstance(self.modules[node.target], KERNELS) or len(node.users) != 1:
            return node
        (user,) = node.users
        return user if self._is_elementwise(user, ACTIVATIONS) else node

    def _is_relu_of_kernel(self, node: fx.Node) -> bool:
        """Whether this ReLU is the only one to read what a kernel has just computed."""
        if node.op == "call_module":
            relu = type(self.modules[node.target]) is nn.ReLU
        else:
            relu = node.op == "call_function" and node.target in (functional.relu, torch.relu)
        if not relu:
            return False
        (before,) = node.all_input_nodes
        kernel = before.op == "call_module" and isinstance(self.modules[before.target], KERNELS)
        return kernel and len(before.users) == 1

    def _is_elementwise(
        self, node: fx.Node, modules: tuple[type, ...] = (*ACTIVATIONS, *IDENTITIES)
    ) -> bool:
        match node.op:
            case "call_module":
                return isinstance(self.modules[node.target], modules)
            case "call_function":
                return node.target in ACTIVATION_FUNCTIONS
        return node.op == "call_method" and node.target in ACTIVATION_METHODS


class Hooked:
    """A model run whole for every lesion, its layers overwritten by forward hooks."""

    def __init__(self, model: nn.Module, where: Mapping[str, Site]) -> None:
        self.model = model
        self.sites = dict(where)
        self.order = list(where)

    def intact(self, images: torch.Tensor) -> torch.Tensor:
        """Output without a lesion; the lesioned passes can share nothing of it."""
        return self.model(images)

    def whole(self, intact: torch.Tensor) -> torch.Tensor:
        """(b, classes) output without a lesion."""
        return intact

    def guesses(self, images: torch.Tensor, masks: Masks, intact: torch.Tensor) -> torch.Tensor:
        """(M, b) classes that M lesioned networks give b images."""
        return decided(self.outputs(images, masks, intact))[0]

    def outputs(self, images: torch.Tensor, masks: Masks, intact: torch.Tensor) -> torch.Tensor:
        """(M, b, classes) outputs of M lesions on b images."""
        modules = find_modules(self.model, list(masks))
        found = []
        for index in range(len(next(iter(masks.values())))):
            with contextlib.ExitStack() as stack:
                for name, module in modules.items():
                    hook = self._hook(self.sites[name], masks[name][index])
                    stack.callback(module.register_forward_hook(hook).remove)
                found.append(self.model(images))
        return torch.stack(found)

    @staticmethod
    def _hook(site: Site, mask: torch.Tensor) -> Callable:
        def overwrite(module: nn.Module, inputs: Any, output: Any) -> torch.Tensor:
            if not isinstance(output, torch.Tensor):
                raise ValueError(f"layer {site.layer!r} does not return one tensor")
            return site.overwrite(output[None], mask[None])[0]

        return overwrite


class _Tracer(fx.Tracer):
    """Traces down to torch's own modules, and stops at the layers to be lesioned."""

    def __init__(self, layers: set[str]) -> None:
        super().__init__()
        self.layers = layers

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return name in self.layers or super().is_leaf_module(module, name)


def _linear(
    layer: nn.Linear, *, rows: torch.Tensor | None = None, columns: torch.Tensor | None = None
) -> nn.Linear:
    """A linear layer with some of its outputs or inputs."""
    weight, bias = layer.weight, layer.bias
    if rows is not None:
        weight, bias = weight[rows], None if bias is None else bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    part = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    part.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        part.bias = nn.Parameter(bias, requires_grad=False)
    return part.eval()


def _copying(value: Callable[[fx.Node], Any]) -> Callable[[fx.Node], Any]:
    def copied(node: fx.Node) -> Any:
        found = value(node)
        return found.clone() if isinstance(found, torch.Tensor) else found

    return copied
