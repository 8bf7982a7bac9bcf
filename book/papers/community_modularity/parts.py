"""Parts of claims about curves of Q: from the rows of networks to one number each.

``wide`` frames hold one row a seed, one column a layer, and scale and key, as
``community_rows.curve`` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, part, remembered
from book.papers.community_modularity.rows import curve, curves

__all__ = [
    "NETWORKS",
    "RESNETS",
    "SINGLE",
    "TENDS",
    "VGGS",
    "arrays",
    "compared_part",
    "count_part",
    "difference",
    "mean_part",
    "network_word",
    "networks_part",
    "of_networks",
    "of_seeds",
    "over_networks",
    "over_seeds",
    "paired_part",
]

VGGS = ("vgg11", "vgg13", "vgg16", "vgg19")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
NETWORKS = (*VGGS, *RESNETS)
SINGLE = ("vgg16", "resnet18")  # the paper's networks for everything but figure 4
TENDS = 0.8  # rule 11 of data/papers/criteria.md


def network_word(network: str) -> str:
    """ "ResNet18" for "resnet18"."""
    return network.replace("vgg", "VGG").replace("resnet", "ResNet")


def arrays(wide: pd.DataFrame) -> np.ndarray:
    """(seeds, layers) of what ``community_rows.curve`` returns."""
    return wide[[column for column in wide if isinstance(column, int | np.integer)]].to_numpy(float)


@remembered
def of_seeds(results: Results, network: str, **options) -> pd.DataFrame:
    """One row a seed: Q of each layer, scale and key; empty if there are none."""
    return curve(curves(results, network=network, **options))


def of_networks(results: Results, networks: Sequence[str], **options) -> dict[str, pd.DataFrame]:
    found = {network: of_seeds(results, network, **options) for network in networks}
    return {network: wide for network, wide in found.items() if len(wide)}


def over_seeds(wide: pd.DataFrame, of: Callable[[np.ndarray], float]) -> float:
    return float(np.mean([of(q) for q in arrays(wide)]))


def mean_part(name: str, wide: pd.DataFrame, of: Callable[[np.ndarray], float]) -> Part:
    """Mean and SD over seeds of a number of each curve."""
    values = [of(q) for q in arrays(wide)]
    sd = (lambda: np.std(values, ddof=1)) if len(values) > 1 else None
    return part(name, [wide], lambda: np.mean(values), sd)


def compared_part(name: str, one: pd.DataFrame, other: pd.DataFrame, of: Callable) -> Part:
    """Mean and SD over the seeds that both have of a number of two curves."""
    seeds = one.index.intersection(other.index)
    one, other = one.loc[seeds], other.loc[seeds]
    values = [of(*pair) for pair in zip(arrays(one), arrays(other), strict=True)]
    sd = (lambda: np.std(values, ddof=1)) if len(values) > 1 else None
    return part(name, [one, other], lambda: np.mean(values), sd)


def difference(one: pd.DataFrame, other: pd.DataFrame, of: Callable) -> Callable[[], float]:
    return lambda: over_seeds(one, of) - over_seeds(other, of)


def paired_part(name: str, one: pd.DataFrame, other: pd.DataFrame, of: Callable) -> Part:
    """Difference of means over seeds, with its standard error where both have two."""

    def error() -> float:
        spreads = [np.array([of(q) for q in arrays(wide)], dtype=float) for wide in (one, other)]
        if min(len(values) for values in spreads) < 2:
            return math.nan
        return math.hypot(*(values.std(ddof=1) / math.sqrt(len(values)) for values in spreads))

    return part(name, [one, other], difference(one, other, of), error, spread_is="se")


def count_part(
    name: str, found: dict[str, pd.DataFrame], fits: Callable[[np.ndarray], bool]
) -> Part:
    """How many networks' mean curves fit."""
    return over_networks(
        name, found, lambda: sum(bool(fits(arrays(wide).mean(0))) for wide in found.values())
    )


def over_networks(
    name: str, found: dict[str, pd.DataFrame], value: Callable[[], float], *, fewest: int = 1
) -> Part:
    if len(found) < fewest:
        return Part(name, runs=len(found))
    return networks_part(name, list(found.values()), len(found), value)


def networks_part(
    name: str, frames: Iterable[pd.DataFrame], networks: int, value: Callable[[], float]
) -> Part:
    """A part whose ``runs`` are networks, not seeds."""
    if not networks:
        return Part(name)
    made = part(name, frames, value)
    return Part(name, made.observed, runs=networks, keys=made.keys, scale=made.scale)
