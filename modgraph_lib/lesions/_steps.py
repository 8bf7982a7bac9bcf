"""What the steps of a traced network are: kernels, activations, steps that act on each unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from modgraph_lib.lesions._whole import KERNELS

__all__ = ["Tracer", "activation_of", "is_elementwise", "is_relu_of_kernel", "outgoing_of"]

Modules = Mapping[Any, nn.Module]  # by name, as a step's target gives it

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
CHANNELWISE = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip


class Tracer(fx.Tracer):
    """Traces down to torch's own modules, and stops at the layers to be lesioned."""

    def __init__(self, layers: set[str]) -> None:
        super().__init__()
        self.layers = layers

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return name in self.layers or super().is_leaf_module(module, name)


def activation_of(node: fx.Node, modules: Modules) -> fx.Node:
    """The activation function that follows a kernel as its only user, or the node itself."""
    if not isinstance(modules[node.target], KERNELS) or len(node.users) != 1:
        return node
    (user,) = node.users
    return user if is_elementwise(user, modules, ACTIVATIONS) else node


def outgoing_of(node: fx.Node, modules: Modules) -> fx.Node:
    """The last step before the kernels that read a layer, each of its channels still apart.

    Raises:
        ValueError: something else reads it too (a residual sum, a concatenation, the output), so
            that its outgoing weights are not a kernel's.
    """
    start = node
    while len(node.users) == 1:
        (user,) = node.users
        if not (is_elementwise(user, modules) or _is(user, modules, CHANNELWISE)):
            break
        node = user
    flat = [u for u in node.users if _is(u, modules, (nn.Flatten,)) or u.target is torch.flatten]
    readers = [u for u in node.users if u not in flat] + [v for u in flat for v in u.users]
    if not readers or not all(_is(reader, modules, KERNELS) for reader in readers):
        raise ValueError(
            f"layer {str(start.target)!r} is read by something else than linear layers and "
            'convolutions, so that it has no outgoing weights of its own; use kind="activations"'
        )
    return node


def _is(node: fx.Node, modules: Modules, kinds: tuple[type, ...]) -> bool:
    return node.op == "call_module" and isinstance(modules[node.target], kinds)


def is_relu_of_kernel(node: fx.Node, modules: Modules) -> bool:
    """Whether this ReLU is the only one to read what a kernel has just computed."""
    if node.op == "call_module":
        relu = type(modules[node.target]) is nn.ReLU
    else:
        relu = node.op == "call_function" and node.target in (functional.relu, torch.relu)
    if not relu:
        return False
    (before,) = node.all_input_nodes
    kernel = before.op == "call_module" and isinstance(modules[before.target], KERNELS)
    return kernel and len(before.users) == 1


def is_elementwise(
    node: fx.Node, modules: Modules, kinds: tuple[type, ...] = (*ACTIVATIONS, *IDENTITIES)
) -> bool:
    """Whether each unit after this step depends on the same unit before it alone."""
    match node.op:
        case "call_module":
            return isinstance(modules[node.target], kinds)
        case "call_function":
            return node.target in ACTIVATION_FUNCTIONS
    return node.op == "call_method" and node.target in ACTIVATION_METHODS
