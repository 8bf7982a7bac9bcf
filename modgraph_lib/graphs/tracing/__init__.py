"""The weight graph of a real architecture: skips, branches, batch norms, pooling, attention.

The network runs once on a small random input while ``recorder.Recorder`` listens to every
torch operation and keeps account of which earlier channels each number comes from. A recorded
pass is used rather than ``torch.fx``: it follows functional calls and ordinary Python control
flow alike, knows every shape, and needs no list of modules to treat as leaves.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib.graphs.tracing.assembly import MAX_EDGES, assembled
from modgraph_lib.graphs.tracing.recorder import Options, Recorder, TracingError, on_axis
from modgraph_lib.graphs.tracing.rules import RULES
from modgraph_lib.graphs.tracing.sources import IMAGE

__all__ = ["MAX_EDGES", "TracingError", "check_option", "record", "strength", "assembled"]

# Side lengths of images tried in turn; the graph does not depend on it where several work.
SIDES = (64, 224, 32, 28, 96, 128, 299, 256, 384, 518, 16, 8)
KERNEL_NORMS = ("l1", "matrix_l1", "l2", "frobenius")
RESIDUAL, DEPTHWISE = ("walk", "merge"), ("scale", "nodes")
_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def strength(name: str, weight: np.ndarray | torch.Tensor, *, kernel_norm: str) -> np.ndarray:
    """(inputs, outputs) edge strengths of one kernel (outputs, inputs, ...)."""
    check_option("kernel_norm", kernel_norm, KERNEL_NORMS)
    array = np.asarray(torch.as_tensor(weight).detach().cpu().double())
    if array.ndim == 2:
        return np.ascontiguousarray(np.abs(array).T)
    if not 3 <= array.ndim <= 5:
        raise ValueError(f"{name} has shape {array.shape}; expected a matrix or a kernel")
    spatial = tuple(range(2, array.ndim))
    if kernel_norm == "l1":
        norms = np.abs(array).sum(spatial)
    elif kernel_norm == "frobenius":
        norms = np.sqrt(np.square(array).sum(spatial))
    elif array.ndim != 4:
        raise TracingError(f"{name}: {kernel_norm} is a norm of 2-D kernels, use kernel_norm='l1'")
    elif kernel_norm == "matrix_l1":
        norms = np.abs(array).sum(2).max(2)
    else:
        norms = np.linalg.norm(array, ord=2, axis=(2, 3))
    return np.ascontiguousarray(norms.T)


def record(
    model: nn.Module,
    *,
    kernel_norm: str = "l1",
    fold_batch_norm: bool = True,
    dense: bool = False,
    depthwise: str = "scale",
    residual: str = "walk",
    example: Any = None,
) -> Recorder:
    """Run a module once and record its layers, kernels and what they read.

    Arguments and definitions are those of ``graphs.weight_graph``; ``assembled`` makes the graph
    of a recording.

    Raises:
        TracingError: names the layer or the operation that cannot be followed, and what to do.
        ValueError: an unknown option.
    """
    check_option("kernel_norm", kernel_norm, KERNEL_NORMS)
    check_option("residual", residual, RESIDUAL)
    check_option("depthwise", depthwise, DEPTHWISE)
    model = _unwrapped(model)
    options = Options(
        strength=functools.partial(strength, kernel_norm=kernel_norm),
        convolutional=_is_convolutional(model, example),
        dense=dense,
        fold=fold_batch_norm,
        depthwise=depthwise,
        merge=residual == "merge",
    )
    failures = []
    for inputs in _examples(model, example):
        recorder = Recorder(model, options, RULES)
        try:
            _run(model, recorder, inputs)
        except TracingError:
            raise
        except Exception as error:  # whatever a foreign forward raises on an unfit input
            failures.append((_sizes(inputs), f"{type(error).__name__}: {error}"))
            if [text for _, text in failures[-3:]].count(failures[-1][1]) == 3:
                break  # not a matter of size
            continue
        _check_nothing_lost(model, recorder, options, inputs)
        return recorder
    tried = "; ".join(f"{size}: {text}" for size, text in failures)
    raise TracingError(
        f"{type(model).__name__} could not be run on an example input; pass example=(channels, "
        f"height, width), or the input tensors themselves. Tried {tried}"
    )


def _run(model: nn.Module, recorder: Recorder, inputs: Sequence[torch.Tensor]) -> None:
    """One recorded pass in evaluation mode; hooks and modes are put back."""
    for index, value in enumerate(inputs):
        if not torch.is_floating_point(value):
            continue
        if recorder.options.convolutional:
            recorder.put(value, torch.full((1,) * value.ndim, float(IMAGE)))
        else:
            tags = recorder.start(
                "inputs" if index == 0 else f"inputs {index + 1}", _width(model, value)
            )
            whole = len(tags) == value[0].numel()
            recorder.put(
                value, tags.reshape(1, *value.shape[1:]) if whole else on_axis(tags, -1, value.ndim)
            )
    modes = [(module, module.training) for module in model.modules()]
    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(_entering(recorder, name)))
        hooks.append(module.register_forward_hook(_leaving(recorder), always_call=True))
    try:
        model.eval()
        with torch.no_grad(), recorder:
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training


def _check_nothing_lost(model, recorder: Recorder, options: Options, inputs) -> None:
    """A layer fed by a "constant" must see the same on another input, else its source was lost."""
    if not recorder.constants:
        return
    again = Recorder(model, options, RULES)
    _run(model, again, [torch.randn_like(x) if x.is_floating_point() else x for x in inputs])
    for (name, one), (_, two) in zip(recorder.constants, again.constants, strict=True):
        if one.shape != two.shape or not torch.equal(one, two):
            raise TracingError(
                f"the input of layer {name!r} was computed in a way that cannot be listened to "
                "(a custom autograd function or a scripted part?); pass the weight matrices of "
                "one chain as a list"
            )


def _examples(model: nn.Module, example: Any) -> list[list[torch.Tensor]]:
    """Inputs to try in turn, each a list of tensors for the model's forward."""
    if isinstance(example, torch.Tensor):
        return [[example]]
    if isinstance(example, Sequence) and example and isinstance(example[0], torch.Tensor):
        return [list(example)]
    if example is not None:
        shapes = [tuple(int(size) for size in example)]
    else:
        shapes = _shapes(model)
    weight = next(model.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    return [
        [torch.randn((2, *shape), generator=generator).to(weight.device, weight.dtype)]
        for shape in shapes
    ]


def _sizes(inputs: Sequence[torch.Tensor]) -> str:
    return ", ".join(str(tuple(value.shape)) for value in inputs)


def _shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of one sample that fit the first layer."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            return [(module.in_features,), (4, module.in_features)]
        if isinstance(module, nn.modules.conv._ConvNd):
            spatial = len(module.kernel_size)
            return [(module.in_channels, *(side,) * spatial) for side in SIDES]
    raise TracingError("no weights between layers: need a linear layer or two convolutions")


def _is_convolutional(model: nn.Module, example: Any) -> bool:
    """Whether the input is an image whose pixels are no nodes."""
    if any(isinstance(module, _CONVOLUTIONS) for module in model.modules()):
        return True
    if any(isinstance(module, nn.Linear) for module in model.modules()):
        return False
    return len(example.shape[1:] if isinstance(example, torch.Tensor) else example or ()) > 1


def _width(model: nn.Module, value: torch.Tensor) -> int:
    """Nodes of the input of a network without convolutions: features at each position, or all."""
    first = next((m for m in model.modules() if isinstance(m, nn.Linear)), None)
    if first is not None and value.ndim > 2 and value.shape[-1] == first.in_features:
        return value.shape[-1]
    return value[0].numel()


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside DataParallel or torch.compile; refuses scripted parts."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    model = getattr(model, "_orig_mod", model)
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TracingError(
                f"{name or 'the model'!r} is compiled by torch.jit and cannot be listened to; pass "
                "the ordinary module it was made from, or the weight matrices as a list"
            )
    return model


def _entering(recorder: Recorder, name: str):
    return lambda module, inputs: recorder.stack.append(name)


def _leaving(recorder: Recorder):
    def leave(module, inputs, output) -> None:
        recorder.stack.pop()

    return leave


def check_option(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a ValueError that lists what is known."""
    if value not in known:
        raise ValueError(f"{option} is one of {', '.join(known)}; got {value!r}")
