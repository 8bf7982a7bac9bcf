"""Measurements over conditions: networks x partitions x proxies, as Tables 4 and 5 have them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import (
    COLUMNS,
    PARTITIONINGS,
    cell,
    combined,
    tests_of,
)
from book.papers.ncut.cells import cell as mlp_cell
from book.papers.ncut.cnn_rows import cnn_cell

__all__ = ["conditions_of", "dm_p_values"]


def rows_of(
    results: Results, architecture: str, data: str, proxy: str, edges: str, scope: str, runs: int,
    clusters: int = settings.CLUSTERS,
) -> pd.DataFrame:  # fmt: skip
    """Rows that decide: networks, partition, visualisation and ties as the text describes them."""
    return cell(
        results,
        architecture=architecture,
        data=data,
        proxy=proxy,
        edges=edges,
        scope=scope,
        runs=runs,
        clusters=clusters,
    )


def conditions_of(
    results: Results, proxy: str, runs: int
) -> Iterator[tuple[str, pd.DataFrame, float, float]]:
    """(name, rows, p-value, effect) of the paper's twenty conditions; NaN where not run."""
    unit = "table_5" if COLUMNS[proxy][0] == "table_5" else "table_4"
    names = [
        network
        for network in settings.PRINTED
        if network[0] != ("ResNet18" if unit == "table_5" else "VGG-19")
    ]
    for network, (edges, scope) in itertools.product(names, PARTITIONINGS):
        architecture, data = settings.PRINTED[network]
        rows = rows_of(results, architecture, data, proxy, edges, scope, runs)
        enough = len(rows) >= (1 if data == "imagenet" else math.ceil(runs / 2))
        found = combined(rows, proxy=proxy) if enough else None
        p, effect = (found.p_value, found.effect) if found else (math.nan, math.nan)
        yield f"{network[0]}, {edges}/{scope}", rows, p, effect


@measurement
def dm_p_values(
    results: Results,
    *,
    runs: int,
    architecture: str,
    data: str,
    proxy: str,
    partitionings: tuple[str, ...] = (),
    clusters: int = settings.CLUSTERS,
) -> list[Part]:
    """Fisher-Bates p-value of one network's conditions."""
    parts = []
    for edges, scope in PARTITIONINGS:
        name = f"{edges}/{scope}"
        if partitionings and name not in partitionings:
            continue
        rows = rows_of(results, architecture, data, proxy, edges, scope, runs, clusters)
        found = combined(rows, proxy=proxy)
        p = found.p_value if found else math.nan
        parts.append(Part(name, p, runs=len(rows), keys=keys(rows)))
    return parts


@measurement
def dm_significant(
    results: Results, *, runs: int, architecture: str, data: str, proxy: str
) -> list[Part]:
    """How many of one network's four conditions have a p-value of at most 0.025."""
    parts = dm_p_values(results, runs=runs, architecture=architecture, data=data, proxy=proxy)
    fewest = min(part.runs for part in parts)
    together = tuple(sorted({key for part in parts for key in part.keys}))
    if any(math.isnan(part.observed) for part in parts):
        return [Part("conditions", runs=fewest, keys=together)]
    count = sum(part.observed <= settings.CRITICAL for part in parts)
    return [Part("conditions", float(count), runs=fewest, keys=together)]


@measurement
def dm_count(
    results: Results, *, runs: int, proxy: str, what: str, low: int, slack: int
) -> list[Part]:
    """How many of the twenty conditions are significant ("p") or have an effect above 1 ("effect").

    While conditions are missing there is a number only where none that they could add would bring
    the count to within ``slack`` of ``low``: then the nearest count that can still be reached.
    """
    found = list(conditions_of(results, proxy, runs))
    if what not in ("p", "effect"):
        raise ValueError(f'what is "p" or "effect", got {what!r}')
    seen = [
        (p <= settings.CRITICAL if what == "p" else effect > 1)
        for _, _, p, effect in found
        if not math.isnan(p)
    ]
    fewest, most = sum(seen), sum(seen) + len(found) - len(seen)
    if seen and (fewest > low + slack or most < low - slack or fewest == most):
        nearest = float(np.clip(low, fewest, most))
    else:
        nearest = math.nan
    name = f"conditions, {len(seen)} of {len(found)} run"
    return [Part(name, nearest, runs=_runs(found), keys=_keys_of(found))]


@measurement
def dm_largest_effect(results: Results, *, runs: int, proxy: str) -> list[Part]:
    """The largest effect of the twenty conditions; while some are missing, only one above 1.

    A claim about all conditions is refuted by one.
    """
    found = list(conditions_of(results, proxy, runs))
    effects = [effect for _, _, _, effect in found if not math.isnan(effect)]
    largest = max(effects, default=math.nan)
    if len(effects) < len(found) and not largest >= 1:
        largest = math.nan
    name = f"largest of {len(effects)} conditions (of {len(found)})"
    return [Part(name, largest, runs=_runs(found), keys=_keys_of(found))]


@measurement
def dm_lower_p(results: Results, *, runs: int, by: str) -> list[Part]:
    """Share of pairs in which activations ("edges") or local partitions ("scope") have the lower p.

    Pairs of conditions of one network and proxy that differ in that alone, over all four proxies.
    """
    wins, keys_seen, fewest = [], set(), []
    for proxy in COLUMNS:
        found = {name: (rows, p) for name, rows, p, _ in conditions_of(results, proxy, runs)}
        for name, (rows, p) in found.items():
            first, second = ("weights", "activations") if by == "edges" else ("global", "local")
            if first not in name:
                continue
            other_rows, other = found[name.replace(first, second)]
            wins.append(math.nan if math.isnan(p + other) else float(other < p))
            fewest.append(min(len(rows), len(other_rows)))
            keys_seen |= {*keys(rows), *keys(other_rows)}
    share = float(np.mean(wins))
    return [Part("pairs", share, runs=min(fewest), keys=tuple(sorted(keys_seen)))]


@measurement
def dm_spread_of_partitionings(results: Results, *, runs: int) -> list[Part]:
    """Significant conditions of the best partitioning less those of the worst, all proxies."""
    counts = {f"{edges}/{scope}": 0.0 for edges, scope in PARTITIONINGS}
    every = []
    for proxy in COLUMNS:
        for name, rows, p, effect in conditions_of(results, proxy, runs):
            counts[name.split(", ")[1]] += math.nan if math.isnan(p) else p <= settings.CRITICAL
            every.append((name, rows, p, effect))
    spread = max(counts.values()) - min(counts.values())
    spread = math.nan if any(map(math.isnan, counts.values())) else float(spread)
    return [Part("conditions", spread, runs=_runs(every), keys=_keys_of(every))]


@measurement
def dm_without_either(results: Results, *, runs: int, edges: str = "") -> list[Part]:
    """Networks without a significant accuracy drop, or without a significant score, in any of
    their conditions (or of those with these ``edges``); while networks are missing, only if some.
    """
    lacking, missing, every = set(), 0, []
    for proxy in ("drop", "score"):
        found = [c for c in conditions_of(results, proxy, runs) if edges in c[0]]
        every += found
        for network, group in itertools.groupby(found, key=lambda c: c[0].split(",")[0]):
            p_values = [p for _, _, p, _ in group]
            if any(map(math.isnan, p_values)):
                missing += 1
            elif min(p_values) > settings.CRITICAL:
                lacking.add(network)
    count = float(len(lacking)) if lacking or not missing else math.nan
    return [Part("networks", count, runs=_runs(every), keys=_keys_of(every))]


@measurement
def dm_over_k(results: Results, *, runs: int) -> list[Part]:
    """Share of the VGG's conditions whose significance and side of 1 agree for k of 8, 12, 16."""
    agree, fewest = [], []
    for proxy, (edges, scope) in itertools.product(COLUMNS, PARTITIONINGS):
        seen = set()
        for k in (8, 12, 16):
            rows = rows_of(results, "vgg", "cifar10", proxy, edges, scope, runs, k)
            fewest.append(len(rows))
            found = combined(rows, proxy=proxy)
            seen.add((found.p_value <= settings.CRITICAL, found.effect > 1) if found else None)
        agree.append(math.nan if None in seen else float(len(seen) == 1))
    return [Part("conditions", float(np.mean(agree)), runs=min(fewest))]


@measurement
def dm_uniformity(
    results: Results, *, runs: int, architecture: str, data: str, partitionings: tuple[str, ...]
) -> list[Part]:
    """p-value of a chi-squared test that score percentiles of one network are uniform."""
    parts = []
    for name in partitionings:
        rows = rows_of(results, architecture, data, "score", *name.split("/"), runs)
        tests = tests_of(rows)[:1]
        if not tests:
            parts.append(Part(name, runs=0))
            continue
        ranks = tests[0].ranks("random")
        counts = np.histogram(ranks, bins=np.arange(0, tests[0].controls.shape[1] + 2))[0]
        parts.append(Part(name, float(stats.chisquare(counts).pvalue), runs=1, keys=keys(rows)))
    return parts


@measurement
def dm_effect_lead(
    results: Results, *, runs: int, proxy: str, networks: tuple[str, ...] = ()
) -> list[Part]:
    """Smallest effect of the named conditions less the largest of all others of these networks.

    "VGG" compares its two activation-based conditions with its weight-based ones; without a name
    VGG-16's weights/global is compared with all nineteen others.
    """
    found = list(conditions_of(results, proxy, runs))
    if networks:
        found = [c for c in found if c[0].split(",")[0] in networks]
        named = [c for c in found if "activations" in c[0]]
    else:
        named = [c for c in found if c[0] == "VGG-16, weights/global"]
    others = [c for c in found if c not in named]
    lead = min((c[3] for c in named), default=math.nan) - max(
        (c[3] for c in others), default=math.nan
    )
    return [Part("lead", float(lead), runs=_runs(found), keys=_keys_of(found))]


def unpruned(
    results: Results, *, runs: int, data: str, architecture: str, regularizer: str = "none"
) -> pd.DataFrame:
    """Networks of the n-cut papers before any pruning, one a row."""
    where = {"data": data, "regularizer": regularizer, "stage": "unpruned", "runs": runs}
    if architecture == "mlp":
        return mlp_cell(results, k=12, **where)
    return cnn_cell(results, by_network=True, **where)


def keys(rows: pd.DataFrame) -> tuple[str, ...]:
    """Keys of the records behind some rows."""
    return tuple(sorted(set(rows["key"].astype(str)))) if "key" in rows else ()


def _keys_of(found: list[tuple]) -> tuple[str, ...]:
    return tuple(sorted({key for _, rows, _, _ in found for key in keys(rows)}))


def _runs(found: list[tuple]) -> int:
    """Networks of the smallest condition that was run at all.

    Of ImageNet's there is one each, which is as many as in the paper: the trained ones count.
    """
    counts = [(len(rows), name) for name, rows, p, _ in found if not math.isnan(p)]
    single = {network for network, data in settings.PRINTED if data == "ImageNet"}
    trained = [count for count, name in counts if name.split(",")[0] not in single]
    return min(trained or [count for count, _ in counts], default=0)
