"""Which layers of a network to take away, and what that saves.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 5.2 and table 1.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from modgraph_lib import _checks
from modgraph_lib.models import cifar_networks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONVENTIONS", "Cost", "choose", "cost", "matching", "removals"]

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
    stays = np.append(True, np.diff(curve) > threshold)
    kept: list[tuple[int, ...]] = []
    first = 0
    for count in counts:
        kept.append(tuple(unit for unit in range(count) if unit == 0 or stays[first + unit]))
        first += count
    return tuple(kept)


def removals(network: str = "resnet56", image_shape: Sequence[int] = (3, 32, 32)) -> pd.DataFrame:
    """What every way of taking blocks from a network's stages saves, in percent.

    Blocks of one stage cost the same, except the first, which always stays.

    Returns:
        One row a plan: stage_1, stage_2, ... (blocks taken away), blocks (their sum), and
        parameters, torch, thop, thop_new (reduction in percent of the whole network).

    Raises:
        ValueError: a network that is not a ResNet with a count for each stage in its name.

    >>> plans = layer_pruning.removals("resnet18")
    >>> plans.round(1).iloc[1][["stage_4", "parameters", "torch"]].to_dict()
    {'stage_4': 1.0, 'parameters': 42.2, 'torch': 13.6}
    """
    import pandas as pd  # slow to import

    counts = cifar_networks.plan_of(network).counts
    whole = _vector(cost(network, image_shape))
    ones = np.eye(len(counts), dtype=int)
    shorter = ["_".join([network, *map(str, one)]) for one in ones]
    blocks = np.array([whole - _vector(cost(name, image_shape)) for name in shorter])
    plans = np.array(list(itertools.product(*(range(count) for count in counts))))
    saved = 100 * (plans @ blocks) / whole
    frame = pd.DataFrame(plans, columns=[f"stage_{i + 1}" for i in range(len(counts))])
    names = ["parameters", *CONVENTIONS]
    return frame.assign(blocks=plans.sum(1)).join(pd.DataFrame(saved, columns=names))


def matching(
    plans: pd.DataFrame, parameters: float | None, operations: float | None, *, count: str = "torch"
) -> pd.DataFrame:
    """Plans by their distance from two printed reductions, nearest first.

    Args:
        plans: as ``removals`` gives them.
        parameters, operations: printed reductions in percent; None where nothing is printed.
        count: which of ``CONVENTIONS`` counts the operations.

    Returns:
        The plans with ``distance``, the larger of the two differences in points, and ``exact``:
        both agree to the two digits that are printed.

    >>> plans = layer_pruning.removals("resnet18")
    >>> best = layer_pruning.matching(plans, parameters=40.0, operations=10.0)
    >>> best.round(1)[["stage_4", "parameters", "distance"]].head(2)
       stage_4  parameters  distance
    0        1        42.2       3.6
    1        1        52.8      17.2
    """
    if count not in CONVENTIONS:
        raise ValueError(f"count must be one of {', '.join(CONVENTIONS)}; got {count!r}")
    printed = {"parameters": parameters, count: operations}
    off = [(plans[name] - value).abs() for name, value in printed.items() if value is not None]
    if not off:
        raise ValueError("nothing printed to match")
    distance = np.max(off, axis=0)
    found = plans.assign(distance=distance, exact=distance <= 0.005 + 1e-9)
    return found.sort_values("distance", kind="stable", ignore_index=True)


def _vector(found: Cost) -> np.ndarray:
    return np.array([found.parameters, *(getattr(found, name) for name in CONVENTIONS)])
