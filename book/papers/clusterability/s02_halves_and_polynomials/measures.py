"""Measurements for made tasks: halves, polynomials, mixtures of two data sets (both n-cut papers).

Differences are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, one_per_seed, part
from book.papers.ncut import mlps
from book.papers.ncut.cells import cell, label
from book.papers.ncut.measures import mean_gap
from book.papers.ncut.second_looks import PENALTY, LookConfig

KINDS = ("same", "diff")
REGULARIZERS = ("none", "dropout")
SEPARATE = ":separate"
# The 2020 paper's mixtures, in the order of its Table A.16.
MIXTURES = ("lines+mnist", "lines+cifar10_grey", "mnist+cifar10_grey")
# Powers of x and y in the nine monomials; the first is the constant.
MONOMIALS = ("1", "y", "y^2", "x", "xy", "xy^2", "x^2", "x^2 y", "x^2 y^2")


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
            mean_gap(f"mixture minus {low}, {where}", mixed, first),
            mean_gap(f"{high} minus mixture, {where}", second, mixed),
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
            mean_gap(f"{label(data=name)} minus mixture, {where}", single, mixed)
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


def objectives(
    results: Results, *, data: str, regularizer: str, stage: str, runs: int
) -> pd.DataFrame:
    """Rows of ``mlp_penalty`` at the paper's settings, one per seed."""
    table = PENALTY.among(results)
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
