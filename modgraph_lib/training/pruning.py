"""Magnitude pruning on the cubic schedule of Zhu and Gupta (2017).

Both n-cut papers prune from 50% to 90% sparsity, updating masks every 10 optimiser steps.
Every kernel is pruned, first and output layer included; biases are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from modgraph_lib import _checks

__all__ = ["PruningSchedule", "magnitude_mask"]


@dataclass(frozen=True)
class PruningSchedule:
    """Sparsity s(t) = final + (initial - final) (1 - t/T)^3 at steps t = 0, every, 2 every, ..."""

    initial: float = 0.5
    final: float = 0.9
    every: int = 10

    def __post_init__(self) -> None:
        _checks.number(self.initial, "initial_sparsity", least=0)
        _checks.number(self.final, "final_sparsity", below=1)
        if self.initial > self.final:
            raise ValueError(
                f"sparsities need 0 <= initial <= final < 1, got {self.initial}, {self.final}"
            )
        _checks.whole(self.every, "every", least=1)

    def updates_at(self, step: int) -> bool:
        """Whether masks are recomputed at this step."""
        return step % self.every == 0

    def sparsity(self, step: int, steps: int) -> float:
        """Fraction of zero weights asked for at ``step`` of ``steps``."""
        progress = min(step / steps, 1.0)
        return self.final + (self.initial - self.final) * (1 - progress) ** 3


@torch.no_grad()
def magnitude_mask(weight: torch.Tensor, sparsity: float) -> torch.Tensor:
    """Boolean mask of the round(size * (1 - sparsity)) largest magnitudes of each network.

    Args:
        weight: (M, ...) one kernel of M networks; each network is pruned on its own.
        sparsity: fraction to remove.

    Returns:
        Mask of the same shape. Weights tied with the largest removed one are removed too
        (in practice: exact zeros never count as kept).

    >>> training.magnitude_mask(torch.tensor([[[0.1, -3], [2, 0.5]]]), 0.5)
    tensor([[[False,  True],
             [ True, False]]])
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity lies in [0, 1], got {sparsity}")
    flat = weight.abs().flatten(1)
    removed = flat.shape[1] - round(flat.shape[1] * (1 - sparsity))
    if removed == 0:
        return torch.ones_like(weight, dtype=torch.bool)
    threshold = flat.kthvalue(removed, dim=1, keepdim=True).values
    return (flat > threshold).view_as(weight)
