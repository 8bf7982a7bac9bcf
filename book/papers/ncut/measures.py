"""Measurements that both n-cut papers share: they read the same trained MLPs.

Each takes the tables of rows and returns one part per cell; ``runs`` is the paper's number of
networks a cell. Differences are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, part, standard_error
from book.papers.ncut.cells import cell

BOTH = ("unpruned", "pruned")


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
