"""Measurements for the claims on differences between layers (community paper, section 5.1)."""

from __future__ import annotations

import functools

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part, standard_error
from book.papers.community_modularity import rows as community_rows
from book.papers.community_modularity.s04_layer_difference import block_patterns
from book.papers.community_modularity.s04_layer_difference.experiment import (
    EXPERIMENT,
    DifferenceConfig,
)
from book.papers.community_modularity.settings import SAMPLES

__all__ = ["pairs_of_layers"]

WORDS = {"difference": "difference of Q", "cka": "1 - CKA"}


def pairs_of_layers(
    results: Results,
    *,
    network: str = "resnet18",
    data: str = "cifar10",
    parts: str = "units",
    stage: str = "trained",
    runs: int = community_rows.RUNS,
) -> pd.DataFrame:
    """Rows of one network's pairs of layers, at the paper's scale or else the short one."""
    table = EXPERIMENT.among(results)
    rows = table[(table["network"] == network) & (table["data"] == data) & (table["seed"] < runs)]
    samples = SAMPLES.get(data, 500)
    return community_rows.at_best_scale(
        rows, network, lambda row, train: DifferenceConfig(train, stage, parts, samples)
    )


@measurement
def block_gap(
    results: Results, *, measure: str, runs: int, network: str = "resnet18"
) -> list[Part]:
    """Mean distance of block outputs to the inside of other blocks, minus that to other outputs.

    ``measure`` is "difference" (of Q) or "cka" (its distance is 1 - CKA).
    """
    found, one_each = _networks(results, network, runs)
    gaps = pd.Series([block_patterns.contrast(rows, measure).gap for rows in found])
    name = f"{WORDS[measure]}: to the inside of blocks minus to other outputs"
    spread = functools.partial(standard_error, gaps)
    return [part(name, [one_each], gaps.mean, spread, spread_is="se", fewest=2)]


@measurement
def block_share(
    results: Results, *, measure: str, runs: int, network: str = "resnet18"
) -> list[Part]:
    """Share of block outputs that lie farther from the inside of other blocks than from outputs."""
    found, one_each = _networks(results, network, runs)
    shares = pd.Series([block_patterns.contrast(rows, measure).share for rows in found])
    return [part(f"{WORDS[measure]}: share of blocks", [one_each], shares.mean)]


@measurement
def difference_follows_cka(results: Results, *, runs: int, network: str = "resnet18") -> list[Part]:
    """Rank correlation of abs(Q_i - Q_j) with 1 - CKA over pairs of layers."""
    found, one_each = _networks(results, network, runs)
    values = pd.Series([block_patterns.alike(rows, permutations=0).correlation for rows in found])
    return [part("rank correlation over pairs of layers", [one_each], values.mean)]


def _networks(results: Results, network: str, runs: int) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The rows of each network, and one row for each."""
    rows = pairs_of_layers(results, network=network, runs=runs)
    return [own for _, own in rows.groupby("seed")], rows.groupby("seed").first()
