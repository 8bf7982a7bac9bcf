"""Measurements for the claims about pictures of clusters, and about a network that adds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, once, one_per_seed
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.conditions import PARTITIONINGS
from book.papers.detecting_modularity.measures import keys
from book.papers.detecting_modularity.s01_two_halves.experiment import EXPERIMENT, HalvesConfig
from modgraph_lib.proxies import ProxyTest

__all__ = ["DATA", "halves_rows"]

DATA = "mnist_halves_diff"


def halves_rows(
    results: Results,
    *,
    edges: str,
    scope: str,
    runs: int,
    reading: str = "described",
    variant: str = "described",
) -> pd.DataFrame:
    """Networks on halves of MNIST at the paper's size, one per seed, with a first-layer picture."""
    table = EXPERIMENT.among(results)
    if table.empty:
        return table.set_index("seed")
    keep = (
        (table["data"] == DATA)
        & (table["reading"] == reading)
        & (table["edges"] == edges)
        & (table["scope"] == scope)
        & (table["variant"] == variant)
        & (table["seed"] < runs)
        & (table["size"].map(len) > 0)
    )

    def asked(row):
        return HalvesConfig(networks.condition("mlp", DATA, reading, row.seed))

    # how many pictures a record keeps changes nothing that is measured
    return one_per_seed(equal(table[keep], asked, free=("kept_pictures",)))


def selective(rows: pd.DataFrame) -> np.ndarray:
    """(networks,) share of first-layer sub-clusters more one-sided than 95% of random sets."""
    return np.array(
        [
            (ProxyTest(true, random).percentiles("count") <= 0.05).mean()
            for true, random in zip(rows["true"], rows["random"], strict=True)
        ]
    )


@measurement
def dm_selective_share(results: Results, *, runs: int) -> list[Part]:
    """Mean share of first-layer sub-clusters that are selective for one half, by partitioning."""
    parts = []
    for edges, scope in PARTITIONINGS:
        rows = halves_rows(results, edges=edges, scope=scope, runs=runs)
        share = selective(rows)
        mean = float(share.mean()) if len(share) else math.nan
        spread = float(share.std(ddof=1)) if len(share) > 1 else math.nan
        parts.append(Part(f"{edges}/{scope}", mean, spread, runs=len(rows), keys=keys(rows)))
    return parts


@measurement
def dm_one_sidedness(results: Results, *, runs: int) -> list[Part]:
    """Mean one-sidedness of true sub-clusters less that of random sets, by partitioning."""
    parts = []
    for edges, scope in PARTITIONINGS:
        rows = halves_rows(results, edges=edges, scope=scope, runs=runs)
        gaps = np.array(
            [t.mean() - r.mean() for t, r in zip(rows["true"], rows["random"], strict=True)]
        )
        mean = float(gaps.mean()) if len(gaps) else math.nan
        error = float(gaps.std(ddof=1) / len(gaps) ** 0.5) if len(gaps) > 1 else math.nan
        parts.append(
            Part(f"{edges}/{scope}", mean, error, runs=len(rows), spread_is="se", keys=keys(rows))
        )
    return parts


@measurement
@once
def dm_modular_sum(results: Results, *, runs: int, base: int) -> list[Part]:
    """Largest error of a ReLU network with base^2 units (weights 1, bias -1) that adds."""
    first, second = np.divmod(np.arange(base**2), base)
    incoming = np.concatenate([np.eye(base)[first], np.eye(base)[second]], 1)  # a unit a pair
    outgoing = np.eye(base)[(first + second) % base]
    inputs = incoming  # all pairs of one-hot digits
    hidden = np.maximum(inputs @ incoming.T - 1, 0)
    error = np.abs(hidden @ outgoing - outgoing).max()
    return [Part(f"{base} digits, {base**2} hidden units", float(error), runs=1)]
