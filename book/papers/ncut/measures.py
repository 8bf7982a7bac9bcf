"""Measurements that both n-cut papers share: they read the same trained MLPs.

Each takes the tables of rows and returns one part per cell; ``runs`` is the paper's number of
networks a cell. Differences are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part, standard_error
from book.papers.ncut.cells import cell, initial, label

BOTH = ("unpruned", "pruned")


@measurement
def initial_share_inside(
    results: Results, *, k: int, low: float, high: float, runs: int
) -> list[Part]:
    """Share of untrained networks with an n-cut in [low, high] (SM Figure 3; CL Figure A.1)."""
    rows = initial(results, k=k, runs=runs)
    name = f"share between {low:g} and {high:g}"
    return [part(name, [rows], lambda: rows["ncut"].between(low, high).mean())]


@measurement
def test_accuracy(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...] = ("none",),
    stages: tuple[str, ...] = ("pruned",),
) -> list[Part]:
    """Mean test accuracy of each cell, spread: SD over networks."""
    return [
        part(
            label(regularizer=regularizer, stage=stage),
            [rows],
            rows_mean(rows, "test_accuracy"),
            rows_sd(rows, "test_accuracy"),
        )
        for regularizer, stage, rows in _cells(results, data, k, runs, regularizers, stages)
    ]


@measurement
def significant(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = ("pruned",),
    epochs: int | None = None,
) -> list[Part]:
    """Networks of each cell whose n-cut lies below every one of their shuffles."""
    cells = _cells(results, data, k, runs, regularizers, stages, epochs=epochs)
    return [
        part(label(regularizer=regularizer, stage=stage), [rows], _total(rows, "significant"))
        for regularizer, stage, rows in cells
    ]


@measurement
def significant_change(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = ("pruned",),
) -> list[Part]:
    """Significant networks with a regulariser minus without, scaled to the paper's runs."""
    parts = []
    for stage in stages:
        plain = cell(results, data=data, regularizer="none", stage=stage, k=k, runs=runs)
        for regularizer in regularizers:
            other = cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)

            def value(other: pd.DataFrame = other, plain: pd.DataFrame = plain) -> float:
                shares = [frame["significant"].astype(float).mean() for frame in (other, plain)]
                return runs * (shares[0] - shares[1])

            parts.append(
                part(
                    f"{label(regularizer=regularizer, stage=stage)} against none",
                    [other, plain],
                    value,
                )
            )
    return parts


@measurement
def pruning_gap(
    results: Results, *, data: str, k: int, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Mean fall of n-cut when the same network is pruned; spread: paired standard error."""
    parts = []
    for regularizer in regularizers:
        change = paired_fall(results, data=data, regularizer=regularizer, k=k, runs=runs)
        parts.append(
            part(
                f"{label(regularizer=regularizer)}: unpruned minus pruned",
                [change],
                rows_mean(change, "fall"),
                lambda change=change: standard_error(change["fall"]),
                spread_is="se",
                fewest=2,
            )
        )
    return parts


@measurement
def regularizer_gap(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = BOTH,
    relative: bool = False,
) -> list[Part]:
    """Mean n-cut without regulariser minus with it; ``relative``: of n-cut minus shuffle mean.

    The spread is the standard error of the difference of two independent means.
    """
    parts = []
    for stage in stages:
        plain = cell(results, data=data, regularizer="none", stage=stage, k=k, runs=runs)
        for regularizer in regularizers:
            other = cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
            parts.append(
                mean_gap(
                    f"none minus {label(regularizer=regularizer)}, {stage}",
                    plain,
                    other,
                    relative=relative,
                )
            )
    return parts


@measurement
def regularizer_excess(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...],
) -> list[Part]:
    """Mean n-cut with a regulariser minus without: the other way round from regularizer_gap."""
    return [
        mean_gap(
            f"{label(regularizer=regularizer)} minus none, {stage}",
            cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs),
            cell(results, data=data, regularizer="none", stage=stage, k=k, runs=runs),
            relative=False,
        )
        for stage in stages
        for regularizer in regularizers
    ]


@measurement
def shuffle_gap(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = ("pruned",),
    method: str = "layer",
) -> list[Part]:
    """Mean of (mean n-cut of a network's shuffles minus its own); spread: standard error."""
    cells = _cells(results, data, k, runs, regularizers, stages, method=method)
    return [
        part(
            f"shuffles minus network, {label(regularizer=regularizer, stage=stage)}",
            [rows],
            lambda rows=rows: (rows["shuffle_mean"] - rows["ncut"]).mean(),
            lambda rows=rows: standard_error(rows["shuffle_mean"] - rows["ncut"]),
            spread_is="se",
            fewest=2,
        )
        for regularizer, stage, rows in cells
    ]


def mean_gap(name: str, first: pd.DataFrame, second: pd.DataFrame, *, relative: bool) -> Part:
    """Part: mean n-cut of ``first`` minus that of ``second``, spread: its standard error."""

    def values(rows: pd.DataFrame) -> pd.Series:
        return rows["ncut"] - rows["shuffle_mean"] if relative else rows["ncut"]

    return part(
        name,
        [first, second],
        lambda: values(first).mean() - values(second).mean(),
        lambda: np.hypot(standard_error(values(first)), standard_error(values(second))),
        spread_is="se",
        fewest=2,
    )


def paired_fall(
    results: Results, *, data: str, regularizer: str, k: int, runs: int
) -> pd.DataFrame:
    """Columns ``fall`` (n-cut before minus after pruning) and ``key``, for seeds that have both."""
    before, after = (
        cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
        for stage in BOTH
    )
    if before.empty or after.empty:
        return pd.DataFrame(columns=["fall"])
    seeds = before.index.intersection(after.index)
    fall = (before["ncut"] - after["ncut"]).loc[seeds]
    frame = pd.DataFrame({"fall": fall})
    if "key" in after:
        frame["key"] = after.loc[seeds, "key"]
    return frame


def rows_mean(rows: pd.DataFrame, column: str) -> Callable[[], float]:
    """Mean of a column, to be taken once there are rows."""
    return lambda: rows[column].astype(float).mean()


def rows_sd(rows: pd.DataFrame, column: str) -> Callable[[], float]:
    """Sample SD of a column, to be taken once there are rows."""
    return lambda: rows[column].astype(float).std(ddof=1)


def _total(rows: pd.DataFrame, column: str) -> Callable[[], float]:
    return lambda: rows[column].astype(bool).sum()


def _cells(
    results: Results,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...],
    **which: object,
) -> list[tuple[str, str, pd.DataFrame]]:
    return [
        (
            regularizer,
            stage,
            cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs, **which),
        )
        for stage in stages
        for regularizer in regularizers
    ]
