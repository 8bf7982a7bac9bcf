"""What the activation of a unit is, found by running the model, and how it is set to zero.

A unit of a linear layer or convolution goes on alone through steps that act on each unit by
itself: a norm, a pooling, an activation function, arithmetic with constants. Its *activation* is
what the first activation function gives, or, where there is none, the last of these steps. A lesion
of kind "activations" sets that to zero. A layer of another kind gives activations itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modgraph_lib.graphs.tracing.recorder import all_tensors, plain_name
from modgraph_lib.lesions._branches import Site

__all__ = ["Calls", "axis_of", "path_of", "silenced"]

# Steps on each unit by itself; a kernel and its activation function may have the others between.
_NAMES = {
    "activations": """
        relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish sigmoid logsigmoid tanh
        softplus softsign hardswish hardsigmoid hardtanh hardshrink softshrink tanhshrink
        threshold clamp clip clamp_min""",
    "norms": "batch_norm layer_norm group_norm instance_norm rms_norm",
    "pools": """
        max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
        adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d""",
    "arithmetic": """
        add sub rsub mul div truediv true_divide rdiv rtruediv neg reciprocal exp expm1 log log1p
        pow square sqrt rsqrt abs""",
    "dropouts": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout",
    "shapes": "view reshape flatten unflatten permute transpose t movedim squeeze unsqueeze",
}
_SETS = {kind: frozenset(names.split()) for kind, names in _NAMES.items()}
ACTIVATIONS, SHAPES = _SETS["activations"], _SETS["shapes"]
CHANNELWISE = _SETS["norms"] | _SETS["pools"]
PASSED = CHANNELWISE | _SETS["arithmetic"] | _SETS["dropouts"]
# Where zero before is not zero after, so that a lesion on the wrong side would be another one.
NOT_ZERO = {"sigmoid", "hardsigmoid", "logsigmoid", "softplus", "exp"}
LAST = {"linear", "layer_norm", "rms_norm", "embedding"}  # units on the last axis; else the second


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a torch function that gave a tensor from tensors."""

    name: str
    tensors: list[torch.Tensor]
    result: torch.Tensor


class Calls(TorchFunctionMode):
    """The calls of a pass, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Call] = []

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = list(all_tensors((args, kwargs or {})))
        if isinstance(result, torch.Tensor) and tensors:
            self.made.append(Call(plain_name(func), tensors, result))
        return result


def path_of(calls: list[Call], start: torch.Tensor, first: int, model: nn.Module) -> list[str]:
    """Names of the steps from a kernel's output to its activation; empty if it is one itself.

    Args:
        calls: of one pass.
        start: output of the kernel.
        first: number of the first call after it.

    Raises:
        ValueError: an activation function follows where units can no longer be told apart.
    """
    constants = {id(t) for t in (*model.parameters(), *model.buffers())}
    path: list[str] = []
    for call in _alone(calls, start, first):
        mixes = any(id(t) not in constants for t in call.tensors[1:])
        if mixes or call.name not in ACTIVATIONS | PASSED:
            break
        path.append(call.name)
        start, first = call.result, calls.index(call) + 1
        if call.name in ACTIVATIONS:
            return path
    for call in _alone(calls, start, first):
        if call.name in NOT_ZERO:
            raise ValueError(
                f"the activation function {call.name} comes after a step that moves or mixes "
                'units, so that kind="activations" cannot tell whose activations it gives; name '
                "the module of the activation function instead of the layer"
            )
        if call.name not in SHAPES:
            break
    return path


def _alone(calls: list[Call], tensor: torch.Tensor, first: int) -> Iterator[Call]:
    """The only call that reads a tensor, the only one that reads its result, and so on."""
    while True:
        readers = []
        for number in range(first, len(calls)):
            if any(t is tensor for t in calls[number].tensors):
                readers.append(number)
                if calls[number].result is tensor:  # in place: what comes later reads the new value
                    break
        if len(readers) != 1 or calls[readers[0]].tensors[0] is not tensor:
            return
        first = readers[0] + 1
        tensor = calls[readers[0]].result
        yield calls[readers[0]]


def axis_of(calls: list[Call], output: torch.Tensor, width: int, layer: str) -> int:
    """The axis of a module's output that counts its units, of which the masks have ``width``.

    Raises:
        ValueError: no axis has that many, or two have and no kernel before tells them apart.
    """
    axes = [axis for axis in (1, output.ndim - 1) if output.shape[axis] == width]
    if len(set(axes)) == 1:
        return axes[0]
    if not axes:
        shape = tuple(output.shape[1:])
        raise ValueError(f"layer {layer!r} gives {shape} a sample; its masks have {width} units")
    for call in reversed(calls):
        if call.result is output:
            if call.name in LAST:
                return -1
            if call.name == "conv" or call.name in CHANNELWISE:
                return 1
            if call.name not in ACTIVATIONS | PASSED:
                break
            output = call.tensors[0]
    raise ValueError(
        f"layer {layer!r} gives {tuple(output.shape[1:])} a sample, where {width} units and "
        f"{width} positions look alike; name the linear layer or convolution before it"
    )


@contextlib.contextmanager
def silenced(model: nn.Module, sites: Mapping[str, Site], masks: Mapping[str, torch.Tensor]):
    """Passes inside have the units of masks (units,) overwritten at their sites."""
    modules = dict(model.named_modules())
    mode = _Silencing()
    with contextlib.ExitStack() as stack:
        for name, mask in masks.items():
            hook = mode.hook(sites[name], mask)
            stack.callback(modules[name].register_forward_hook(hook).remove)
        stack.enter_context(mode)
        yield
        if mode.waiting:
            raise ValueError(
                f"layer {mode.waiting[0][0].layer!r} took other steps to its activation than in "
                "the pass before; the model decides by its data, so lesion another layer"
            )


class _Silencing(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        # (site, mask, tensor that is followed, steps it has still to take)
        self.waiting: list[tuple[Site, torch.Tensor, torch.Tensor, list[str]]] = []

    def hook(self, site: Site, mask: torch.Tensor) -> Any:
        def overwrite(module: nn.Module, inputs: Any, output: Any) -> torch.Tensor | None:
            if not isinstance(output, torch.Tensor):
                raise ValueError(f"layer {site.layer!r} does not return one tensor")
            if not site.path:
                return site.overwrite(output[None], mask[None])[0]
            self.waiting.append((site, mask, output, site.path))
            return None

        return overwrite

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs, name = kwargs or {}, plain_name(func)
        reads = next(all_tensors((args, kwargs)), None) if self.waiting else None
        result = func(*args, **kwargs)
        for number, (site, mask, tensor, path) in enumerate(self.waiting):
            if reads is tensor and name == path[0]:
                if path[1:]:
                    self.waiting[number] = (site, mask, result, path[1:])
                    return result
                del self.waiting[number]
                new = site.overwrite(result[None], mask[None])[0]
                return result.copy_(new) if result is reads else new
        return result
