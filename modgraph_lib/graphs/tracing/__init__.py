"""The weight graph of a real architecture: skips, branches, batch norms, pooling, attention.

The network runs once on a small random input while ``recorder.Recorder`` listens to every
torch operation and keeps account of which earlier channels each number comes from. A recorded
pass is used rather than ``torch.fx``: it follows functional calls and ordinary Python control
flow alike, knows every shape, and needs no list of modules to treat as leaves.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs.tracing.assembly import MAX_EDGES, assembled, has_gaps
from modgraph_lib.graphs.tracing.check import TraceWarning, disagreements
from modgraph_lib.graphs.tracing.examples import Example, examples, is_convolutional, width
from modgraph_lib.graphs.tracing.recorder import (
    Cuts,
    Options,
    Recorder,
    TracingError,
    on_axis,
    plain_path,
)
from modgraph_lib.graphs.tracing.rules import RULES
from modgraph_lib.graphs.tracing.sources import IMAGE

__all__ = [
    "MAX_EDGES",
    "TraceWarning",
    "TracingError",
    "assembled",
    "check_option",
    "has_gaps",
    "record",
    "strength",
    "unwrapped",
]

KERNEL_NORMS = ("l1", "matrix_l1", "l2", "frobenius")
RESIDUAL, DEPTHWISE = ("walk", "merge"), ("scale", "nodes")
LOOKS = 4  # passes with other numbers before a layer counts as joined without any gradient


def strength(name: str, weight: np.ndarray | torch.Tensor, *, kernel_norm: str) -> np.ndarray:
    """(inputs, outputs) edge strengths of one kernel (outputs, inputs, ...)."""
    check_option("kernel_norm", kernel_norm, KERNEL_NORMS)
    weight = weight.toarray() if hasattr(weight, "toarray") else weight
    weight = _checks.tensor(weight, name).cpu()
    array = np.asarray(weight.to(torch.complex128) if weight.is_complex() else weight.double())
    if array.ndim == 2:
        return np.ascontiguousarray(np.abs(array).T)
    if not 3 <= array.ndim <= 5:
        raise ValueError(f"{name} has shape {array.shape}; expected a matrix or a kernel")
    spatial = tuple(range(2, array.ndim))
    if kernel_norm == "l1":
        norms = np.abs(array).sum(spatial)
    elif kernel_norm == "frobenius":
        norms = np.sqrt(np.square(np.abs(array)).sum(spatial))
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
    layers: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    check: bool = True,
) -> Recorder:
    """Run a module once and record its layers, kernels and what they read.

    Arguments and definitions are those of ``graphs.weight_graph``; ``assembled`` makes the graph
    of a recording. The model, its gradients and the global random state are left as they were.

    Raises:
        TracingError: names the layer or the operation that cannot be followed, and what to do.
        ValueError: an unknown option, or name of a layer.
    """
    check_option("kernel_norm", kernel_norm, KERNEL_NORMS)
    check_option("residual", residual, RESIDUAL)
    check_option("depthwise", depthwise, DEPTHWISE)
    model = unwrapped(model)
    options = Options(
        strength=functools.partial(strength, kernel_norm=kernel_norm),
        convolutional=is_convolutional(model, example),
        dense=dense,
        fold=fold_batch_norm,
        depthwise=depthwise,
        merge=residual == "merge",
        layers=None if layers is None else _names("layers", layers),
        leave_out=_names("leave_out", leave_out),
    )
    failures = []
    for inputs in examples(model, example):
        unchecked = ""
        with _untouched(model):
            try:
                try:
                    recorder = _pass(model, options, inputs, cuts=_cuts() if check else None)
                except TracingError:
                    raise
                except Exception as error:  # whatever gradients may disturb in a foreign forward
                    if not check:
                        raise
                    recorder = _pass(model, options, inputs)
                    unchecked = f"{type(error).__name__}: {error}"
            except TracingError:
                raise
            except Exception as error:  # whatever a foreign forward raises on an unfit input
                failures.append((inputs.sizes(), f"{type(error).__name__}: {error}"))
                if [text for _, text in failures[-3:]].count(failures[-1][1]) == 3:
                    break  # not a matter of size
                continue
            _check_nothing_lost(model, recorder, options, inputs)
            recorder.check_names()
            if check:
                found = [] if unchecked else _disagreements(model, recorder, options, inputs)
                _warn(model, [*recorder.notes, *found], unchecked)
        recorder.cuts = None
        return recorder
    tried = "; ".join(f"{size}: {text}" for size, text in failures)
    raise TracingError(
        f"{type(model).__name__} could not be run on an example input; pass example=(channels, "
        f"height, width), or the input tensors themselves. Tried {tried}"
    )


def _cuts(seed: int | None = None, *, detached: bool = False) -> Cuts:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return Cuts(generator, {}, [], detached)


def _pass(model, options: Options, inputs: Example, cuts: Cuts | None = None) -> Recorder:
    """One recorded pass."""
    recorder = Recorder(model, options, RULES, cuts)
    count = 0

    def begin(value: torch.Tensor) -> torch.Tensor:
        """The nodes of one input."""
        nonlocal count
        count += 1
        if options.convolutional:
            return recorder.put(value, torch.full((1,) * value.ndim, float(IMAGE)))
        size = width(model, value)
        tags = recorder.start("inputs" if count == 1 else f"inputs {count}", size)
        whole = size == value[0].numel()
        value = recorder.cut(value, None if whole else -1)
        shape = (1, *value.shape[1:])
        return recorder.put(value, tags.reshape(shape) if whole else on_axis(tags, -1, value.ndim))

    def given(value: torch.Tensor) -> torch.Tensor:
        nonlocal count
        if id(value) in masks:
            value = value.detach()
            return recorder.put(value, torch.full((1,) * value.ndim, float(IMAGE)))
        if value.is_floating_point() or value.is_complex():
            return begin(value.detach())
        if value.ndim > 1 and not any(isinstance(m, nn.Embedding) for m in model.modules()):
            recorder.raw[id(value)] = begin
        else:
            count += 1
        return recorder.put(value, torch.zeros(()))

    masks = inputs.masks(model)
    inputs = inputs.mapped(given)
    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(_entering(recorder, plain_path(name))))
        hooks.append(module.register_forward_hook(_leaving(recorder), always_call=True))
    try:
        model.eval()
        with torch.set_grad_enabled(cuts is not None), recorder:
            model(*inputs.args, **inputs.kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    return recorder


@contextlib.contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Modes, buffers, tensors kept by hooks and the random state are put back; Dynamo rests."""
    modules = list(model.modules())
    modes = [(module, module.training) for module in modules]
    buffers = [(b, b.detach().clone()) for b in model.buffers() if not b.is_meta]
    kept = [(m, k, x) for m in modules for k, x in vars(m).items() if isinstance(x, torch.Tensor)]
    devices = {p.device.index for p in model.parameters() if p.is_cuda}
    dynamo = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")
    eager = torch.compiler.set_stance("force_eager") if dynamo else contextlib.nullcontext()
    try:
        with torch.random.fork_rng(devices=sorted(devices)), eager, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")
            yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                if buffer.layout == torch.strided and not torch.equal(buffer, before):
                    buffer.copy_(before)
        for module, name, tensor in kept:
            module.__dict__[name] = tensor


def _check_nothing_lost(model, recorder: Recorder, options: Options, inputs: Example) -> None:
    """A layer fed by a "constant" must see the same on another input, else its source was lost."""
    if not recorder.constants:
        return
    generator = torch.Generator().manual_seed(1)

    def other(value: torch.Tensor) -> torch.Tensor:
        drawn = torch.randn(value.shape, generator=generator)
        return drawn.to(value) if value.is_floating_point() else value

    again = _pass(model, options, inputs.mapped(other))
    for (name, one), (_, two) in zip(recorder.constants, again.constants, strict=True):
        if one.shape != two.shape or not torch.equal(one, two):
            raise TracingError(
                f"the input of layer {name!r} was computed in a way that cannot be listened to "
                "(a custom autograd function or a scripted part?); pass the weight matrices of "
                "one chain as a list"
            )


def _disagreements(model, recorder: Recorder, options: Options, inputs: Example) -> list[str]:
    """What the check by numbers finds, after a second look at layers without any gradient."""
    found, silent = disagreements(recorder)
    for look in range(LOOKS):
        if not silent:
            break
        cuts = _cuts(look, detached=look == LOOKS - 1)
        try:
            _, again = disagreements(_pass(model, options, inputs, cuts=cuts), seed=look)
        except Exception:  # numbers out of range, in a network that looks at them
            break
        silent = [pair for pair in silent if pair in again]
    return found + [f"the trace joins {a!r} to {b!r}, and no gradient does" for a, b in silent]


def _warn(model: nn.Module, found: Sequence[str], unchecked: str) -> None:
    if unchecked:
        found = [*found, f"it could not be checked by numbers ({unchecked})"]
    if found:
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        warnings.warn(
            f"the graph of {type(model).__name__} may be wrong: {shown}. Silence with check=False",
            TraceWarning,
            stacklevel=4,
        )


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside DataParallel or torch.compile; refuses scripted parts."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            break
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TracingError(
                f"{name or 'the model'!r} is compiled by torch.jit and cannot be listened to; pass "
                "the ordinary module it was made from, or the weight matrices as a list"
            )
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            _checks.plain(parameter, name)  # says what to do
    return model


def _entering(recorder: Recorder, name: str):
    return lambda module, inputs: recorder.stack.append(name)


def _leaving(recorder: Recorder):
    def leave(module, inputs, output) -> None:
        recorder.stack.pop()

    return leave


def _names(option: str, names: Sequence[str]) -> tuple[str, ...]:
    named = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if isinstance(names, str) or not named:
        raise ValueError(f"{option} takes a list of layer names or patterns; got {names!r}")
    return tuple(names)


def check_option(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a ValueError that lists what is known."""
    if value not in known:
        raise ValueError(f"{option} is one of {', '.join(known)}; got {value!r}")
