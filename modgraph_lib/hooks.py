"""Listening to the layers of any torch module: names, forward hooks, sizes."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from modgraph_lib import _checks

__all__ = ["default_layers", "find_modules", "layer_widths", "listening", "running"]


def default_layers(model: nn.Module) -> tuple[str, ...]:
    """The layers the paper measures, found by kind, in the order the model lists them.

    With residual blocks (a class name ending in Block or Bottleneck): every block, and the
    convolutions outside blocks. Otherwise every convolution; without any, every linear layer.

    >>> hooks.default_layers(models.small_cnn((1, 8, 8), channels=4, seed=0))
    ('0', '2', '5')
    """

    def is_block(module: nn.Module) -> bool:
        return type(module).__name__.endswith(("Block", "Bottleneck"))

    _checks.module(model)
    names: list[str] = []
    blocks: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{block}.") for block in blocks):
            continue
        if name and is_block(module):
            blocks.append(name)
            names.append(name)
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            names.append(name)
    if not names:
        names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise ValueError("found no block, convolution or linear layer: name some in layers=")
    return tuple(names)


def find_modules(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """The modules of these names; ValueError, with a suggestion, for a name there is not.

    >>> hooks.find_modules(models.mlp(4, 2, widths=(8,), seed=0), ["1"])
    {'1': Linear(in_features=4, out_features=8, bias=True)}
    """
    known = dict(_checks.module(model).named_modules())
    if isinstance(layers, str) or not all(isinstance(name, str) for name in layers):
        raise TypeError(f"layers are a list of names, got {layers!r}")
    for name in layers:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"the model has no layer {name!r}{hint}")
    return {name: known[name] for name in layers}


@contextmanager
def listening(
    modules: dict[str, nn.Module], heard: Callable[[str, torch.Tensor], None]
) -> Iterator[None]:
    """Call ``heard(name, output)`` whenever one of ``modules`` has run.

    >>> model = models.mlp(4, 2, widths=(8,), seed=0)
    >>> with hooks.listening({"1": model[1]}, lambda name, output: print(name, output.shape)):
    ...     _ = model(torch.zeros(5, 4))
    1 torch.Size([5, 8])
    """

    def hook(name: str) -> Callable:
        def call(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple | list) and output else output
            if not isinstance(first, torch.Tensor) or first.ndim < 2:
                raise ValueError(f"layer {name!r} does not return one tensor (N, ...)")
            heard(name, first)

        return call

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def running(
    model: nn.Module, modules: dict[str, nn.Module], one: torch.Tensor
) -> dict[str, nn.Module]:
    """Those of ``modules`` that a pass runs (auxiliary heads run in training mode only).

    >>> model = models.mlp(4, 2, widths=(8,), seed=0)
    >>> found = hooks.find_modules(model, ["1", "3"])
    >>> list(hooks.running(model, {**found, "aside": nn.Linear(4, 2)}, torch.zeros(1, 4)))
    ['1', '3']
    """
    heard: set[str] = set()
    handles = [
        module.register_forward_hook(lambda *_, name=name: heard.add(name))
        for name, module in modules.items()
    ]
    try:
        with _checks.answering(model, one):
            model(one)
    finally:
        for handle in handles:
            handle.remove()
    return {name: module for name, module in modules.items() if name in heard}


def layer_widths(
    model: nn.Module, modules: dict[str, nn.Module], one: torch.Tensor
) -> dict[str, int]:
    """Features per sample of each layer, from a single image; every layer must run once.

    >>> model = models.mlp(4, 2, widths=(8,), seed=0)
    >>> hooks.layer_widths(model, hooks.find_modules(model, ["1", "3"]), torch.zeros(1, 4))
    {'1': 8, '3': 2}
    """
    widths: dict[str, int] = {}

    def heard(name: str, output: torch.Tensor) -> None:
        if name in widths:
            raise ValueError(f"layer {name!r} runs more than once a pass: name another layer")
        if len(output) != 1:
            raise ValueError(f"layer {name!r} does not return one row a sample")
        widths[name] = output[0].numel()

    with listening(modules, heard), _checks.answering(model, one):
        model(one)
    silent = [name for name in modules if name not in widths]
    if silent:
        raise ValueError(f"the model never ran layer(s) {', '.join(map(repr, silent))}")
    return widths
