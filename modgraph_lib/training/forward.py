"""Forward passes in training and in evaluation: inputs, arithmetic, losses, hits."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from modgraph_lib.pixels import channels_last, scaled
from modgraph_lib.training.augment import augment

__all__ = ["Bound", "autocast", "count_hits", "evaluate", "sample_losses", "training_batch"]


class Bound(nn.Module):
    """A template module called with the weights of one member."""

    def __init__(self, template: nn.Module, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.template, self.weights = template, weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional_call(self.template, self.weights, (x,))


@torch.no_grad()
def evaluate(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, batch_size: int = 2000
) -> tuple[float, float | None]:
    """Mean loss and accuracy (None for regression targets) in evaluation mode.

    Args:
        model: maps (N, ...) inputs to (N, classes) logits or (N, targets).
        images: uint8 pixels (scaled by 1/255 here) or float inputs.
        labels: (N,) integer classes, or (N, targets) floats.

    >>> model, digits = models.mlp(64, 10, widths=(8,), seed=0), datasets.load("digits", "test")
    >>> loss, accuracy = training.evaluate(model, pixels.scaled(digits.images), digits.labels)
    >>> accuracy < 0.3
    True
    """
    was_training = model.training
    model.eval()
    loss, correct = 0.0, 0
    for begin in range(0, len(images), batch_size):
        target = labels[begin : begin + batch_size]
        output = model(scaled(images[begin : begin + batch_size])).float()
        loss += float(sample_losses(output, target).sum())
        if target.ndim == 1:
            correct += int((output.argmax(1) == target).sum())
    model.train(was_training)
    return loss / len(images), correct / len(images) if labels.ndim == 1 else None


def training_batch(
    images: torch.Tensor, augmentation: str, precision: str, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Images as a training step reads them: scaled, distorted, laid out for the convolutions.

    Args:
        images: (..., N, C, H, W) pixels, or (..., N, D) features without augmentation.
        augmentation: as ``augment`` takes it.
        precision: "float32" or "bfloat16".
        generators: one, or for images (M, N, C, H, W) one for each of M networks.
    """
    batch = scaled(images)
    if augmentation != "none":
        members = batch if batch.ndim > 4 else [batch]
        pairs = zip(members, generators, strict=True)
        drawn = [augment(member, augmentation, own) for member, own in pairs]
        batch = torch.stack(drawn) if batch.ndim > 4 else drawn[0].view_as(batch)
    if precision == "bfloat16" and batch.ndim == 4:
        batch = channels_last(batch)
    return batch


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Products in bfloat16 where ``precision`` says so; weights and sums stay in float32."""
    if precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def sample_losses(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Per-sample loss: cross-entropy for classes, mean squared error for targets."""
    if target.ndim == 1:
        return functional.cross_entropy(output, target, reduction="none")
    return (output - target).square().mean(1)


def count_hits(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Correct predictions of each member; zeros for regression."""
    if target.dtype.is_floating_point:
        return torch.zeros(output.shape[:-2], device=output.device)
    return (output.argmax(-1) == target).sum(-1)
