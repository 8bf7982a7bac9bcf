"""Which layers of a network to take away, and what that saves.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 5.2 and table 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from modgraph_lib import _checks
from modgraph_lib.models import cifar_networks

__all__ = ["CONVENTIONS", "Cost", "choose", "cost"]

# What of a network is counted as operations; each is a field of Cost.
CONVENTIONS = {
    "torch": "torch's counter: two for each multiply-add of convolutions and dense layers",
    "thop": "thop 0.0.31: one a multiply-add, one a convolution's bias, two a batch-normed value",
    "thop_new": "thop 0.1.1: one a multiply-add, four a batch-normed value",
}


@dataclass(frozen=True)
class Cost:
    """Size and work of a network for one image.

    Attributes:
        parameters: all of them, batch norms' and biases' included.
        torch, thop, thop_new: operations by each of ``CONVENTIONS``.
    """

    parameters: int
    torch: int
    thop: int
    thop_new: int


def cost(network: str | nn.Module, image_shape: Sequence[int] = (3, 32, 32), **options) -> Cost:
    """Parameters and operations for one image.

    Args:
        network: a module, or a name for ``cifar_networks.build`` (with its ``options``).
        image_shape: (C, H, W) of one image.

    >>> layer_pruning.cost("vgg11", width=4)
    Cost(parameters=39066, torch=1405568, thop=731200, thop_new=740672)
    """
    # torch's counter sees any product, but makes torch import its compiler (4 s), which the
    # networks built here do not need: all their products are layers'.
    counter = None if isinstance(network, str) else FlopCounterMode(display=False)
    if isinstance(network, str):
        image_shape = _checks.shape(image_shape, "image_shape")
        # Not on the meta device: drawing weights there imports the compiler, too.
        network = cifar_networks.build(network, image_shape, seed=0, **options)
    device = next(_checks.module(network).parameters()).device
    heard: dict[str, int] = {"multiplied": 0, "biases": 0, "normed": 0}

    def hear(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d):
            heard["normed"] += inputs[0].numel()
            return
        heard["multiplied"] += output.numel() * module.weight[0].numel()
        # thop counts the bias of a convolution and not that of a dense layer
        counts = isinstance(module, nn.Conv2d) and module.bias is not None
        heard["biases"] += output.numel() * counts

    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d
    hooks = [m.register_forward_hook(hear) for m in network.modules() if isinstance(m, kinds)]
    was_training = network.training
    try:
        with torch.no_grad(), counter or contextlib.nullcontext():
            network.eval()(torch.zeros(1, *image_shape, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        torch=counter.get_total_flops() if counter else 2 * heard["multiplied"],
        thop=heard["multiplied"] + heard["biases"] + 2 * heard["normed"],
        thop_new=heard["multiplied"] + 4 * heard["normed"],
    )


def choose(
    q: Sequence[float], counts: Sequence[int], threshold: float
) -> tuple[tuple[int, ...], ...]:
    """Which residual blocks stay when those go in which Q falls or grows too slowly.

    A block goes where Q after it minus Q after the block before is no more than the threshold.
    The first block of each stage stays: it makes the image smaller and the channels more.

    Args:
        q: (B,) modularity after each block; counts: blocks of each stage, B in all.
        threshold: 0 takes away where Q falls or stands still; more, also where it grows slowly.

    Returns:
        For each stage the blocks that stay, from 0.

    Raises:
        ValueError: another number of values than of blocks, or a value that is not finite.

    >>> layer_pruning.choose([0.1, 0.2, 0.15, 0.4, 0.4, 0.5], counts=(3, 3), threshold=0.0)
    ((0, 1), (0, 2))
    """
    curve = _checks.numbers(q, "q")
    if curve.shape != (sum(counts),) or not np.isfinite(curve).all():
        raise ValueError(f"{sum(counts)} blocks need as many finite values of Q, got {curve}")
    stays = np.append(True, np.diff(curve) > _checks.number(threshold, "threshold"))
    kept: list[tuple[int, ...]] = []
    first = 0
    for count in counts:
        kept.append(tuple(unit for unit in range(count) if unit == 0 or stays[first + unit]))
        first += count
    return tuple(kept)
