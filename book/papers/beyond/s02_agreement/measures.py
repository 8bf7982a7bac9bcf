"""Rank correlations of the zoo's measures, and the questions that rest on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, standard_error
from book.papers.beyond.s02_agreement import experiment
from book.papers.beyond.s02_agreement.experiment import DATA, MEASURES, REGIMES

__all__ = ["FUNCTION", "STRUCTURE", "Correlation", "correlation", "zoo"]

STRUCTURE = ("ncut", "layered")
FUNCTION = ("importance", "classes", "pictures")
DRAWS = 500


@dataclass(frozen=True)
class Correlation:
    """A rank correlation, its bootstrap interval (95%) and standard error, and its networks."""

    value: float
    low: float
    high: float
    error: float
    networks: int


def correlation(
    rows: pd.DataFrame,
    one: str,
    two: str,
    *,
    within: Sequence[str] = ("data",),
    given: Sequence[str] = (),
    draws: int = DRAWS,
) -> Correlation:
    """Spearman's correlation of two columns, ranked within groups, beside others held fixed.

    Args:
        rows: one a network; those that lack a value are left out.
        within: ranks are taken, and centred, within each value of these columns.
        given: columns whose ranks are first fitted to both by least squares and taken off.
        draws: bootstrap samples of networks, drawn within the same groups.

    Returns:
        NaN where fewer than ten networks are left, or all are alike.
    """
    kept = rows.dropna(subset=[one, two, *given])
    if len(kept) < 10:
        return Correlation(math.nan, math.nan, math.nan, math.nan, len(kept))
    groups = kept.groupby(list(within), sort=True).ngroup().to_numpy()
    columns = kept[[one, two, *given]].to_numpy(float)
    places = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    value = _partial(columns[None], places)[0]
    if math.isnan(value):
        return Correlation(math.nan, math.nan, math.nan, math.nan, len(kept))
    rng = np.random.default_rng(0)
    chosen = np.empty((draws, len(kept)), dtype=int)
    for own in places:
        chosen[:, own] = own[rng.integers(len(own), size=(draws, len(own)))]
    drawn = _partial(columns[chosen], places)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Correlation(float(value), float(low), float(high), float(np.nanstd(drawn)), len(kept))


def _partial(columns: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """(draws,) correlations of the first two columns' ranks, those of the others taken off.

    Args:
        columns: (draws, networks, columns).
        places: the networks of each group, within which ranks are taken.
    """
    ranks = np.empty(columns.shape)
    for own in places:
        place = rankdata(columns[:, own], axis=1)
        ranks[:, own] = (place - place.mean(1, keepdims=True)) / len(own)
    pair, given = ranks[..., :2], ranks[..., 2:]
    if given.shape[2]:
        pair = pair - given @ (np.linalg.pinv(given) @ pair)
    lengths = np.linalg.norm(pair, axis=1).prod(1)
    lengths[lengths < 1e-12] = np.nan  # every network like every other
    return (pair[..., 0] * pair[..., 1]).sum(1) / lengths


def zoo(results: Results, *, runs: int = 8) -> pd.DataFrame:
    """The networks of the whole zoo, ``runs`` of each kind."""
    table = experiment.EXPERIMENT.among(results)
    keep = (table["seed"] < runs) & table["regime"].isin(list(REGIMES))

    def asked(row):
        return experiment.config(row.data, row.regime, row.seed)

    found = equal(table[keep], asked).drop_duplicates("key")
    return found.sort_values(["data", "regime", "seed"], ignore_index=True)


@measurement
def zoo_correlation(
    results: Results,
    *,
    runs: int,
    one: Sequence[str],
    two: Sequence[str],
    given: Sequence[str] = (),
    within: Sequence[str] = ("data",),
) -> list[Part]:
    """Rank correlation of each pair of measures over the zoo."""
    rows = zoo(results)
    parts = []
    for first in one:
        for second in two:
            found = correlation(rows, first, second, given=given, within=within)
            keys = tuple(rows["key"])
            name = f"{MEASURES[first]} and {MEASURES.get(second, second)}"
            parts.append(
                Part(
                    name,
                    found.value,
                    found.error,
                    runs=found.networks,
                    spread_is="se",
                    keys=keys,
                )
            )
    return parts


@measurement
def zoo_most(results: Results, *, runs: int, measure: str, regime: str) -> list[Part]:
    """A regime's mean of a measure less the highest mean of any other, on each data set."""
    rows = zoo(results, runs=runs).dropna(subset=[measure])
    parts = []
    for data in DATA:
        own = rows[rows["data"] == data].groupby("regime")[measure]
        means, counts = own.mean(), own.count()
        if regime not in means or len(means) < 2 or counts.min() < 2:
            parts.append(Part(data))
            continue
        rival = means.drop(regime).idxmax()
        errors = [standard_error(own.get_group(name)) for name in (regime, rival)]
        gap = means[regime] - means[rival]
        keys = tuple(rows.loc[rows["data"] == data, "key"])
        fewest = int(counts.min())
        parts.append(
            Part(f"{data}, beside {rival}", float(gap), math.hypot(*errors), fewest, "se", keys)
        )
    return parts


@measurement
def zoo_gap(results: Results, *, runs: int, measures: Sequence[str], regime: str) -> list[Part]:
    """A regime's mean of each measure less that of networks trained plainly, over data sets."""
    rows = zoo(results, runs=runs)
    parts = []
    for measure in measures:
        gaps, errors, fewest = [], [], runs
        for data in DATA:
            both = [
                rows.loc[(rows["data"] == data) & (rows["regime"] == name), measure].dropna()
                for name in (regime, "none")
            ]
            fewest = min(fewest, *map(len, both))
            if fewest >= 2:
                gaps.append(both[0].mean() - both[1].mean())
                errors.append(math.hypot(*map(standard_error, both)))
        if fewest < 2:
            parts.append(Part(MEASURES[measure], runs=fewest))
            continue
        error = float(np.linalg.norm(errors)) / len(errors)
        keys = tuple(rows["key"])
        parts.append(Part(MEASURES[measure], float(np.mean(gaps)), error, fewest, "se", keys))
    return parts
