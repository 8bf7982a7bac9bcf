"""Features of images after chosen layers, small enough to be held whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib.hooks import find_modules, listening
from modgraph_lib.pixels import scaled

__all__ = ["flat", "layer_features", "pooled"]


def flat(output: torch.Tensor) -> torch.Tensor:
    """(N, ...) -> (N, M), as the paper's equation 3 takes features."""
    return output.flatten(1)


def pooled(output: torch.Tensor, cells: int = 4) -> torch.Tensor:
    """(N, C, H, W) -> (N, C * cells²) means over a grid of cells; smaller maps as they are."""
    if output.ndim == 4 and min(output.shape[2:]) > cells:
        output = functional.adaptive_avg_pool2d(output, cells)
    return output.flatten(1)


@torch.inference_mode()
def layer_features(
    model: nn.Module,
    images: torch.Tensor,
    layers: Sequence[str],
    *,
    reduce: Callable[[torch.Tensor], torch.Tensor] = flat,
    batch_size: int = 250,
    device: str = "cpu",
) -> dict[str, torch.Tensor]:
    """What each layer makes of the images: name -> (N, M) float32 on the CPU.

    Args:
        model: in evaluation mode; it is moved to ``device``.
        images: (N, C, H, W), uint8 or in 0..1.
        layers: names of modules.
        reduce: output of one layer (B, ...) -> (B, M).

    Raises:
        ValueError: a layer there is not, or a model in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() first")
    modules = find_modules(model.to(device), layers)
    found: dict[str, list[torch.Tensor]] = {name: [] for name in modules}

    def heard(name: str, output: torch.Tensor) -> None:
        found[name].append(reduce(output.detach()).float().cpu())

    with listening(modules, heard):
        for start in range(0, len(images), batch_size):
            model(scaled(images[start : start + batch_size].to(device)))
    return {name: torch.cat(parts) for name, parts in found.items()}
