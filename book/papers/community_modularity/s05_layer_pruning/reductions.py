"""What taking away blocks saves, plan by plan, and the plans nearest to printed reductions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from modgraph_lib.layer_pruning import CONVENTIONS, Cost, cost
from modgraph_lib.models import cifar_networks

__all__ = ["matching", "removals"]


def removals(network: str = "resnet56", image_shape: Sequence[int] = (3, 32, 32)) -> pd.DataFrame:
    """What every way of taking blocks from a network's stages saves, in percent.

    Blocks of one stage cost the same, except the first, which always stays.

    Returns:
        One row a plan: stage_1, stage_2, ... (blocks taken away), blocks (their sum), and
        parameters, torch, thop, thop_new (reduction in percent of the whole network).

    Raises:
        ValueError: a network that is not a ResNet with a count for each stage in its name.
    """
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
