"""Measurements for made tasks: halves, polynomials, mixtures of two data sets (both n-cut papers).

Differences are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import (
    Results,
    equal,
    experiment_table,
    measurement,
    one_per_seed,
    part,
    standard_error,
)
from book.papers.ncut import mlps
from book.papers.ncut.cells import cell, label
from book.papers.ncut.measures import BOTH, mean_gap, rows_mean, rows_sd
from book.papers.ncut.second_looks import LookConfig

KINDS = ("same", "diff")
OBJECTIVE = "test_loss_penalised"
REGULARIZERS = ("none", "dropout")
SEPARATE = ":separate"
# The 2020 paper's mixtures, in the order of its Table A.16.
MIXTURES = ("lines+mnist", "lines+cifar10_grey", "mnist+cifar10_grey")
# Powers of x and y in the nine monomials; the first is the constant.
MONOMIALS = ("1", "y", "y^2", "x", "xy", "xy^2", "x^2", "x^2 y", "x^2 y^2")


@measurement
def halves_z_gap(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Mean Z-score of halves-same networks minus that of halves-diff networks, by stage."""
    parts = []
    for stage in BOTH:
        same, diff = _halves(results, data=data, stage=stage, k=k, runs=runs)
        parts.append(_gap(f"same minus diff, {stage}", same, diff, _z_scores))
    return parts


@measurement
def halves_ncut_excess(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Mean n-cut of halves-diff networks minus that of halves-same networks, by stage."""
    parts = []
    for stage in BOTH:
        same, diff = _halves(results, data=data, stage=stage, k=k, runs=runs)
        parts.append(mean_gap(f"diff minus same, {stage}", diff, same, relative=False))
    return parts


@measurement
def halves_highest_ncut(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Highest n-cut in each of the four cells: "all networks below" is about the worst one."""
    return [
        part(f"{kind}, {stage}", [rows], lambda rows=rows: rows["ncut"].max())
        for stage in BOTH
        for kind, rows in zip(
            KINDS, _halves(results, data=data, stage=stage, k=k, runs=runs), strict=True
        )
    ]


@measurement
def loss_extremes(
    results: Results, *, data: str, regularizer: str, k: int, runs: int
) -> list[Part]:
    """Lowest and highest test loss of any single network, before or after pruning."""
    cells = _stages(results, data=data, regularizer=regularizer, k=k, runs=runs)
    return [
        part("lowest", cells, lambda: _losses(cells).min()),
        part("highest", cells, lambda: _losses(cells).max()),
    ]


@measurement
def share_of_losses_between(
    results: Results, *, data: str, regularizer: str, least: float, most: float, k: int, runs: int
) -> list[Part]:
    """Share of single networks, before and after pruning, with a test loss in [least, most]."""
    cells = _stages(results, data=data, regularizer=regularizer, k=k, runs=runs)
    name = f"share between {least:g} and {most:g}"
    return [part(name, cells, lambda: _losses(cells).between(least, most).mean())]


@measurement
def test_loss(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = BOTH,
) -> list[Part]:
    """Mean test loss of each cell without any penalty, spread: SD over networks."""
    parts = []
    for stage in stages:
        for regularizer in regularizers:
            rows = cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
            name = label(regularizer=regularizer, stage=stage)
            mean, sd = rows_mean(rows, "test_loss"), rows_sd(rows, "test_loss")
            parts.append(part(name, [rows], mean, sd))
    return parts


@measurement
def loss_excess(results: Results, *, data: str, regularizer: str, k: int, runs: int) -> list[Part]:
    """Mean test loss with a regulariser minus without; spread: standard error."""
    parts = []
    for stage in BOTH:
        plain, other = (
            cell(results, data=data, regularizer=name, stage=stage, k=k, runs=runs)
            for name in ("none", regularizer)
        )
        name = f"{label(regularizer=regularizer)} minus none, {stage}"
        parts.append(_gap(name, other, plain, lambda rows: rows["test_loss"].astype(float)))
    return parts


@measurement
def mean_objective(
    results: Results, *, data: str, runs: int, regularizer: str, stages: tuple[str, ...] = BOTH
) -> list[Part]:
    """Mean of test loss plus penalty, which is what was trained; spread: SD over networks."""
    parts = []
    for stage in stages:
        rows = _objectives(results, data, regularizer, stage, runs)
        mean, sd = rows_mean(rows, OBJECTIVE), rows_sd(rows, OBJECTIVE)
        parts.append(part(f"with the penalty, {stage}", [rows], mean, sd))
    return parts


@measurement
def objective_extremes(results: Results, *, data: str, runs: int, regularizer: str) -> list[Part]:
    """Lowest and highest test loss plus penalty of any single network, either stage."""
    cells = [_objectives(results, data, regularizer, stage, runs) for stage in BOTH]
    return [
        part("lowest with the penalty", cells, lambda: pd.concat(cells)[OBJECTIVE].min()),
        part("highest with the penalty", cells, lambda: pd.concat(cells)[OBJECTIVE].max()),
    ]


@measurement
def generalisation_gap(
    results: Results, *, data: str, regularizer: str, stage: str, k: int, runs: int
) -> list[Part]:
    """Mean training accuracy, as the papers print it, minus mean test accuracy."""
    rows = cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)

    def gap() -> float:
        return float((rows["train_accuracy"] - rows["test_accuracy"]).astype(float).mean())

    return [part(label(regularizer=regularizer, stage=stage), [rows], gap)]


@measurement
def mixture_between(
    results: Results, *, mixture: str, k: int, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Mean n-cut of A+B minus that of A, and that of B minus that of A+B (pruned)."""
    parts = []
    for regularizer in regularizers:
        first, second, mixed = _mixture(results, mixture, regularizer, k, runs)
        low, high = (label(data=name) for name in _parts(mixture))
        where = _where(mixture, regularizer)
        parts += [
            mean_gap(f"mixture minus {low}, {where}", mixed, first, relative=False),
            mean_gap(f"{high} minus mixture, {where}", second, mixed, relative=False),
        ]
    return parts


@measurement
def mixture_below_both(
    results: Results, *, mixture: str, k: int, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Mean n-cut of A minus that of A+B, and that of B minus that of A+B (pruned)."""
    parts = []
    for regularizer in regularizers:
        *singles, mixed = _mixture(results, mixture, regularizer, k, runs)
        where = _where(mixture, regularizer)
        parts += [
            mean_gap(f"{label(data=name)} minus mixture, {where}", single, mixed, relative=False)
            for name, single in zip(_parts(mixture), singles, strict=True)
        ]
    return parts


@measurement
def share_of_mixtures_below_both(results: Results, *, k: int, runs: int) -> list[Part]:
    """Share of the twelve pruned mixture conditions with a lower mean n-cut than either source."""
    cells = [
        _mixture(results, mixture + form, regularizer, k, runs)
        for mixture in MIXTURES
        for form in ("", SEPARATE)
        for regularizer in REGULARIZERS
    ]

    def share() -> float:
        means = np.array([[rows["ncut"].mean() for rows in three] for three in cells])
        return float((means[:, 2] < means[:, :2].min(axis=1)).mean())

    frames = [rows for three in cells for rows in three]
    return [part("twelve mixture conditions", frames, share)]


@measurement
def polynomial_count(results: Results, *, runs: int) -> list[Part]:
    """Distinct polynomials among the regression's targets."""
    return [Part("distinct targets", float(len(np.unique(_coefficients(), axis=0))), runs=1)]


@measurement
def monomial_occurrences(results: Results, *, runs: int) -> list[Part]:
    """In how many of the polynomials each monomial but the constant occurs."""
    uses = _coefficients().sum(axis=0)
    return [
        Part(name, float(count), runs=1)
        for name, count in zip(MONOMIALS[1:], uses[1:], strict=True)
    ]


def _objectives(
    results: Results, data: str, regularizer: str, stage: str, runs: int
) -> pd.DataFrame:
    """Rows of ``mlp_penalty`` at the paper's settings, one per seed."""
    table = experiment_table(
        results, "mlp_penalty", ["data", "regularizer", "stage", "seed", OBJECTIVE]
    )
    rows = table[
        (table["data"] == data)
        & (table["regularizer"] == regularizer)
        & (table["stage"] == stage)
        & (table["seed"] < runs)
    ]
    return one_per_seed(
        equal(rows, lambda row: LookConfig(mlps.condition(data, regularizer, row.seed), stage))
    )


def _coefficients() -> np.ndarray:
    # data sets pull in torch, which a reader of rows does not need
    from modgraph_lib.datasets import constructed

    return constructed.polynomial_coefficients()


def _halves(
    results: Results, *, data: str, stage: str, k: int, runs: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of halves-same and of halves-diff networks."""
    same, diff = (
        cell(results, data=f"{data}_halves_{kind}", regularizer="none", stage=stage, k=k, runs=runs)
        for kind in KINDS
    )
    return same, diff


def _stages(
    results: Results, *, data: str, regularizer: str, k: int, runs: int
) -> list[pd.DataFrame]:
    return [
        cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
        for stage in BOTH
    ]


def _losses(cells: list[pd.DataFrame]) -> pd.Series:
    return pd.concat([rows["test_loss"] for rows in cells]).astype(float)


def _z_scores(rows: pd.DataFrame) -> pd.Series:
    return (rows["ncut"] - rows["shuffle_mean"]) / rows["shuffle_std"]


def _gap(
    name: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    values: Callable[[pd.DataFrame], pd.Series],
) -> Part:
    """Part: mean value of ``first`` minus that of ``second``; spread: its standard error."""
    return part(
        name,
        [first, second],
        lambda: values(first).mean() - values(second).mean(),
        lambda: np.hypot(standard_error(values(first)), standard_error(values(second))),
        spread_is="se",
        fewest=2,
    )


def _parts(mixture: str) -> tuple[str, str]:
    first, second = mixture.removesuffix(SEPARATE).split("+")
    return first, second


def _mixture(
    results: Results, mixture: str, regularizer: str, k: int, runs: int
) -> list[pd.DataFrame]:
    """Pruned rows of the first constituent, the second, and the mixture."""
    return [
        cell(results, data=name, regularizer=regularizer, stage="pruned", k=k, runs=runs)
        for name in (*_parts(mixture), mixture)
    ]


def _where(mixture: str, regularizer: str) -> str:
    form = "separate" if mixture.endswith(SEPARATE) else "overlapping"
    return f"{form}, {label(regularizer=regularizer)}"
