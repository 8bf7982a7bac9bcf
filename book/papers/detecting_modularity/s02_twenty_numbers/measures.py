"""Measurements of the statistical machinery itself: closed forms, simulations, our networks."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, once
from book.lab.printed import paper_table
from book.papers.detecting_modularity.conditions import COLUMNS, PARTITIONINGS, cell, tests_of
from book.papers.detecting_modularity.measures import keys
from modgraph_lib import statistics

__all__ = ["critical", "false_positives", "printed_p_values"]

GROUPS = (20, 45, 120)  # sub-clusters of a network: few, as for weights, and many
DRAWS = 40_000


def printed_p_values(tables: tuple[str, ...] = ("table_4", "table_5")) -> np.ndarray:
    """All p-values of the paper's Tables 4 and 5."""
    values = []
    for table, prefix in COLUMNS.values():
        if table in tables:
            rows = paper_table(f"detecting_modularity/{table}")
            values += [float(text) for text in rows[f"{prefix}_fisher_bates_p"]]
    return np.array(values)


def critical(tables: tuple[str, ...]) -> float:
    """Critical value of Benjamini and Hochberg over the p-values of these tables."""
    return statistics.benjamini_hochberg(printed_p_values(tables)).critical


def false_positives(controls: int, groups: int, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Share of networks with p <= 0.05 by Fisher's method where ranks mean nothing; no ties."""
    rng = np.random.default_rng([seed, controls, groups])
    count = 0
    terms = -2 * np.log((np.arange(controls + 1) + 0.5) / (controls + 1))
    limit = stats.chi2.isf(0.05, 2 * groups)
    for size in [2000] * (draws // 2000):
        ranks = rng.integers(0, controls + 1, (size, groups))
        count += int((terms[ranks].sum(1) >= limit).sum())
    return count / draws


@measurement
@once
def dm_critical(results: Results, *, runs: int) -> list[Part]:
    """The critical value over all 80 printed p-values."""
    return [Part("Tables 4 and 5 together", critical(("table_4", "table_5")), runs=1)]


@measurement
@once
def dm_effect_meaning(results: Results, *, runs: int, effect: float) -> list[Part]:
    """x/mu - 1 where 2x/(x + mu) is this effect."""
    return [Part(f"effect {effect}", effect / (2 - effect) - 1, runs=1)]


@measurement
@once
def dm_fisher_law(results: Results, *, runs: int) -> list[Part]:
    """Largest distance of the Fisher statistic of uniform numbers from its chi-squared law."""
    parts = []
    for groups in GROUPS:
        rng = np.random.default_rng([1, groups])
        sums = [-2 * np.log(rng.random((2000, groups))).sum(1) for _ in range(DRAWS // 2000)]
        law = stats.chi2(2 * groups).cdf
        distance = stats.kstest(np.concatenate(sums), law).statistic
        parts.append(Part(f"{groups} percentiles", float(distance), runs=1))
    return parts


@measurement
@once
def dm_bates_law(results: Results, *, runs: int) -> list[Part]:
    """Largest distance of the mean of five uniform numbers from the Bates law."""
    means = np.sort(np.random.default_rng(2).random((DRAWS, 5)).mean(1))
    places = np.linspace(0, DRAWS - 1, 400).astype(int)
    law = np.array([statistics.bates_p_value([means[place]] * 5) for place in places])
    distance = np.abs(law - (places + 0.5) / DRAWS).max()
    return [Part("five p-values", float(distance), runs=1)]


@measurement
@once
def dm_false_positives(results: Results, *, runs: int) -> list[Part]:
    """False positive rate at 0.05 for 19 and for 9 random sets, without ties."""
    return [
        Part(f"{controls} random sets, {groups} sub-clusters", false_positives(controls, groups),
             runs=1)
        for controls in (19, 9)
        for groups in GROUPS
    ]  # fmt: skip


@measurement
def dm_effect_bounds(results: Results, *, runs: int) -> list[Part]:
    """Smallest and largest 2x/(x + mu) of any sub-cluster of the MLPs, all four proxies."""
    values, names, fewest = [], set(), []
    for proxy in COLUMNS:
        for edges, scope in PARTITIONINGS:
            rows = cell(
                results, architecture="mlp", data="mnist", proxy=proxy, edges=edges, scope=scope,
                runs=runs,
            )  # fmt: skip
            values += [test.effect().values for test in tests_of(rows)]
            names |= set(keys(rows))
            fewest.append(len(rows))
    every = np.concatenate(values) if values else np.array([math.nan])
    ends = {"smallest": every.min(), "largest": every.max()}
    return [
        Part(name, float(end), runs=min(fewest), keys=tuple(sorted(names)))
        for name, end in ends.items()
    ]


@measurement
def dm_dependence(results: Results, *, runs: int) -> list[Part]:
    """Rank correlation of two proxies of the same sub-clusters: mean over networks, partitions."""
    parts = []
    for first, second in (("drop", "range"), ("drop", "score"), ("score", "entropy")):
        values, names, fewest = [], set(), []
        for edges, scope in PARTITIONINGS:
            given = {"architecture": "mlp", "data": "mnist", "edges": edges, "scope": scope}
            one, two = (cell(results, proxy=p, runs=runs, **given) for p in (first, second))
            fewest.append(min(len(one), len(two)))
            names |= {*keys(one), *keys(two)}
            for seed in one.index.intersection(two.index):
                a, b = one.loc[seed, "test"], two.loc[seed, "test"]
                if a is not None and b is not None:
                    pair = stats.spearmanr(a.percentiles("middle"), b.percentiles("middle"))
                    values.append(float(pair.statistic))
        mean = float(np.mean(values)) if values else math.nan
        name = f"{first} and {second}"
        parts.append(Part(name, mean, runs=min(fewest), keys=tuple(sorted(names))))
    return parts
