"""Lesioned forward passes the plain way, and what every way of making them needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from modgraph_lib.hooks import find_modules
from modgraph_lib.lesions._activation import silenced
from modgraph_lib.lesions._branches import Masks, Site

__all__ = ["KERNELS", "Hooked", "decided", "evaluating", "sites"]

KERNELS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
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


class Hooked:
    """A model run whole for every lesion, its layers overwritten by forward hooks."""

    threaded = False  # two lesions at once would hang their hooks on the same layer

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
        found = []
        for index in range(len(next(iter(masks.values())))):
            one = {name: mask[index] for name, mask in masks.items()}
            with silenced(self.model, self.sites, one):
                found.append(self.model(images))
        return torch.stack(found)
