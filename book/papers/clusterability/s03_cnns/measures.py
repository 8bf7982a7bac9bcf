"""Measurements for the claims about convolutional networks (Clusterability, section 3).

``data`` names a data set, or with "mnist_stack" both of its stack sets. Differences
are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part, standard_error
from book.papers.ncut.cells import label
from book.papers.ncut.cnn_rows import cnn_cell, cnn_initial
from book.papers.ncut.measures import BOTH, mean_gap, rows_mean, rows_sd

NONE = ("none",)
KINDS = ("same", "diff")


@measurement
def cnn_initial_share_inside(
    results: Results, *, architecture: str, low: float, high: float, runs: int
) -> list[Part]:
    """Share of untrained networks with an n-cut in [low, high] (Figures A.2 and A.3)."""
    rows = cnn_initial(results, architecture=architecture, runs=runs)
    name = f"share between {low:g} and {high:g}"
    return [part(name, [rows], lambda: rows["ncut"].between(low, high).mean())]


@measurement
def cnn_test_accuracy(
    results: Results,
    *,
    data: str,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Mean test accuracy of each cell, spread: SD over networks."""
    return [
        part(name, [rows], rows_mean(rows, "test_accuracy"), rows_sd(rows, "test_accuracy"))
        for name, rows in _cells(results, data, runs, regularizers, stages)
    ]


@measurement
def cnn_significant(
    results: Results,
    *,
    data: str,
    runs: int,
    regularizers: tuple[str, ...] = NONE,
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Networks of each cell whose n-cut lies below every one of their shuffles."""
    return [
        part(name, [rows], lambda rows=rows: rows["significant"].astype(bool).sum())
        for name, rows in _cells(results, data, runs, regularizers, stages)
    ]


@measurement
def cnn_regularizer_gap(
    results: Results,
    *,
    data: str,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Mean n-cut without regulariser minus with it; spread: standard error of the difference."""
    parts = []
    for stage in stages:
        (_, plain), *others = _cells(results, data, runs, ("none", *regularizers), (stage,))
        parts += [mean_gap(f"none minus {name}", plain, rows, relative=False)
                  for name, rows in others]  # fmt: skip
    return parts


@measurement
def cnn_highest_ncut(
    results: Results,
    *,
    data: str,
    runs: int,
    regularizers: tuple[str, ...] = NONE,
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Highest n-cut of each cell: "all networks below" is about the worst one."""
    return [
        part(name, [rows], lambda rows=rows: rows["ncut"].max())
        for name, rows in _cells(results, data, runs, regularizers, stages)
    ]


@measurement
def cnn_lowest_ncut(
    results: Results,
    *,
    data: str,
    runs: int,
    regularizers: tuple[str, ...] = NONE,
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Lowest n-cut of each cell: "no network below" is about the worst one."""
    return [
        part(name, [rows], lambda rows=rows: rows["ncut"].min())
        for name, rows in _cells(results, data, runs, regularizers, stages)
    ]


@measurement
def cnn_pruning_gap(
    results: Results, *, data: str, runs: int, regularizers: tuple[str, ...] = NONE
) -> list[Part]:
    """Mean fall of n-cut when the same network is pruned; spread: paired standard error."""
    before = _cells(results, data, runs, regularizers, ("unpruned",))
    after = _cells(results, data, runs, regularizers, ("pruned",))
    parts = []
    for (name, first), (_, second) in zip(before, after, strict=True):
        seeds = first.index.intersection(second.index)
        fall = (first["ncut"] - second["ncut"]).loc[seeds]
        parts.append(
            part(
                name.replace("unpruned", "unpruned minus pruned"),
                [first.loc[seeds], second.loc[seeds]],
                lambda fall=fall: fall.mean(),
                lambda fall=fall: standard_error(fall),
                spread_is="se",
                fewest=2,
            )
        )
    return parts


@measurement
def cnn_same_minus_diff(
    results: Results, *, data: str, runs: int, column: str = "ncut"
) -> list[Part]:
    """Mean of stack-same minus stack-diff networks, of "ncut" or "z_score", in each stage."""
    parts = []
    for stage in BOTH:
        same, diff = (
            cnn_cell(
                results, data=f"{data}_stack_{kind}", regularizer="none", stage=stage, runs=runs
            )
            for kind in KINDS
        )
        parts.append(
            part(
                f"{column.replace('ncut', 'n-cut').replace('_', '-')}, {stage}",
                [same, diff],
                lambda same=same, diff=diff: same[column].mean() - diff[column].mean(),
                lambda same=same, diff=diff: np.hypot(
                    standard_error(same[column]), standard_error(diff[column])
                ),
                spread_is="se",
                fewest=2,
            )
        )
    return parts


@measurement
def cnn_norm_difference(
    results: Results, *, data: str, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Relative difference of a cell's mean n-cut between L2 and L1 edges, in absolute value."""
    first = _cells(results, data, runs, regularizers, BOTH)
    second = _cells(results, data, runs, regularizers, BOTH, variant="described L2")
    return [
        part(
            name,
            [one, other],
            lambda one=one, other=other: abs(other["ncut"].mean() / one["ncut"].mean() - 1),
        )
        for (name, one), (_, other) in zip(first, second, strict=True)
    ]


@measurement
def cnn_norm_agreement(
    results: Results, *, data: str, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Share of networks for which L1 and L2 edges agree on "below all shuffles"."""
    first = [rows for _, rows in _cells(results, data, runs, regularizers, BOTH)]
    second = [
        rows for _, rows in _cells(results, data, runs, regularizers, BOTH, variant="described L2")
    ]

    def share() -> float:
        same = [
            (one["significant"].astype(bool) == other["significant"].astype(bool).loc[one.index])
            for one, other in zip(first, second, strict=True)
        ]
        return float(pd.concat(same).mean())

    return [part("same answer with L1 and L2", [*first, *second], share)]


def _cells(
    results: Results,
    data: str,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...],
    variant: str = "",
) -> list[tuple[str, pd.DataFrame]]:
    """(name, rows) of each cell; the data set is named where there are several."""
    names = [f"{data}_{kind}" for kind in KINDS] if data.endswith("_stack") else [data]
    return [
        (
            label(data=one, stage=stage)
            if len(names) > 1
            else label(regularizer=regularizer, stage=stage),
            cnn_cell(
                results, data=one, regularizer=regularizer, stage=stage, runs=runs, variant=variant
            ),
        )
        for stage in stages
        for one in names
        for regularizer in regularizers
    ]
