"""What the units of a network respond to images, before the activation function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks, hooks
from modgraph_lib.device import pick_device
from modgraph_lib.pixels import fewer, scaled

__all__ = ["REDUCTIONS", "hidden_layers", "pre_activations"]

BATCH = 500
# A channel's map (N, units, height, width) as one number a unit.
REDUCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "l1": lambda maps: maps.abs().sum((2, 3)),
    "matrix_l1": lambda maps: maps.abs().sum(2).amax(2),
    "mean": lambda maps: maps.mean((2, 3)),
}


def hidden_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of the layers whose units are clustered: convolutions, or linear layers but the last.

    Raises:
        ValueError: there is none.

    >>> activations.hidden_layers(models.mlp(4, 2, widths=(8, 8), seed=0))
    ('1', '3')
    """
    modules = list(_checks.filled(model).named_modules())
    found = [name for name, module in modules if isinstance(module, nn.Conv2d)]
    found = found or [name for name, module in modules if isinstance(module, nn.Linear)][:-1]
    if not found:
        raise ValueError("the model has no convolution and no hidden linear layer: name layers")
    return tuple(found)


def pre_activations(
    model: nn.Module,
    images: torch.Tensor | np.ndarray,
    *,
    layers: Sequence[str] | None = None,
    reduce: str = "l1",
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """Outputs of linear layers and convolutions, biases included, all layers in one pass.

    Args:
        model: a torch module; it is run in evaluation mode and left as it was.
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        layers: names; by default those of ``hidden_layers``.
        reduce: one number for a channel's map: "l1" (sum of absolute values, as the paper says),
            "matrix_l1" (largest column sum, what the released code computes) or "mean".
        device: "auto" is cuda, then mps, then cpu.

    Returns:
        layer -> (N, units) float32.

    Raises:
        ValueError: no image, an unknown layer or reduction, a layer that runs twice or never.

    Source: Detecting Modularity, section 3.1.

    >>> model = models.mlp(64, 10, widths=(8, 8), seed=0)
    >>> found = activations.pre_activations(model, torch.zeros(5, 8, 8))
    >>> {name: values.shape for name, values in found.items()}
    {'1': (5, 8), '3': (5, 8)}
    """
    if reduce not in REDUCTIONS:
        raise ValueError(f"reduce is one of {', '.join(REDUCTIONS)}; got {reduce!r}")
    images = _checks.tensor(images, "images")
    if not images.ndim or not len(images):
        raise ValueError("no images to run the model on")
    modules = hooks.find_modules(model, hidden_layers(model) if layers is None else layers)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in modules}

    def heard(name: str, output: torch.Tensor) -> None:
        values = REDUCTIONS[reduce](output) if output.ndim == 4 else output
        if values.ndim != 2:
            raise ValueError(f"layer {name!r} gives {tuple(output.shape)}: no units to tell apart")
        # A copy: an activation function that works in place overwrites what it was given.
        parts[name].append(values.detach().float().cpu().numpy().copy())

    where = torch.device(pick_device(device))
    home = next((p.device for p in model.parameters()), where)
    batch = fewer(BATCH, math.prod(images.shape[1:][-2:]))
    batches = range(0, len(images), batch)
    try:
        with hooks.evaluating(model.to(where)), torch.no_grad(), hooks.listening(modules, heard):
            for first in batches:
                model(scaled(images[first : first + batch].to(where)))
    finally:
        model.to(home)
    for name, found in parts.items():
        if len(found) != len(batches):
            times = "never ran" if not found else "runs more than once a pass"
            raise ValueError(f"layer {name!r} {times}: name other layers")
    return {name: np.concatenate(found) for name, found in parts.items()}
