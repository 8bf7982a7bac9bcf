"""Measurements on networks trained on noise, in both n-cut papers (SM Tables 2 to 4; CL A.16 to
A.18), and of mean n-cuts and training accuracies wherever a claim is about those.
"""

from __future__ import annotations

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.ncut.cells import cell, label
from book.papers.ncut.measures import mean_gap, rows_mean, rows_sd

MEMORISATION = "random_memorisation"


@measurement
def mean_ncut(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...] = ("none",),
    stages: tuple[str, ...] = ("pruned",),
    epochs: int | None = None,
) -> list[Part]:
    """Mean n-cut of each cell, spread: SD over networks."""
    return _means(results, "ncut", data, k, runs, regularizers, stages, epochs)


@measurement
def train_accuracy(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...] = ("none",),
    stages: tuple[str, ...] = ("pruned",),
    epochs: int | None = None,
) -> list[Part]:
    """Mean training accuracy of each cell as both papers print it: the running average over the
    last epoch, with dropout active. Spread: SD over networks.
    """
    return _means(results, "train_accuracy", data, k, runs, regularizers, stages, epochs)


@measurement
def memorising_networks(
    results: Results, *, k: int, runs: int, regularizer: str, threshold: float
) -> list[Part]:
    """Networks on 3,000 noise images whose training accuracy is above ``threshold``."""
    rows = cell(results, data=MEMORISATION, regularizer=regularizer, stage="pruned", k=k, runs=runs)
    return [
        part(
            f"{label(regularizer=regularizer)}: training accuracy above {threshold:g}",
            [rows],
            lambda: (rows["train_accuracy"].astype(float) > threshold).sum(),
        )
    ]


@measurement
def data_gap(
    results: Results,
    *,
    data: str,
    other: str,
    k: int,
    runs: int,
    data_runs: int = 0,
    regularizers: tuple[str, ...] = ("none",),
    stages: tuple[str, ...] = ("pruned",),
    relative: bool = False,
) -> list[Part]:
    """Mean n-cut of networks on ``data`` minus that on ``other``, trained in the same way.

    ``relative``: of n-cut minus shuffle mean. ``data_runs``: networks on ``data`` where the
    paper has more of them than on ``other``. Spread: standard error of the difference.
    """
    parts = []
    for stage in stages:
        for regularizer in regularizers:
            where = {"regularizer": regularizer, "stage": stage, "k": k}
            first = cell(results, data=data, runs=data_runs or runs, **where)
            second = cell(results, data=other, runs=runs, **where)
            name = f"{label(data=data)} minus {label(data=other)}, "
            name += label(regularizer=regularizer, stage=stage)
            parts.append(mean_gap(name, first, second, relative=relative))
    return parts


def _means(results, column, data, k, runs, regularizers, stages, epochs) -> list[Part]:
    parts = []
    for stage in stages:
        for regularizer in regularizers:
            rows = cell(
                results,
                data=data,
                regularizer=regularizer,
                stage=stage,
                k=k,
                runs=runs,
                epochs=epochs,
            )
            name = label(regularizer=regularizer, stage=stage)
            parts.append(part(name, [rows], rows_mean(rows, column), rows_sd(rows, column)))
    return parts
