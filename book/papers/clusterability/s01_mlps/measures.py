"""Measurements for claims of "Clusterability in Neural Networks" alone.

Those it shares with its predecessor are in ``networks`` and ``identities``.
"""

from __future__ import annotations

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.ncut.cells import INITIAL_SEEDS, NAMES, cell, initial, label
from book.papers.ncut.measures import BOTH

REGULARIZERS = ("none", "dropout", "l1", "l2")
DATA = ("mnist", "fashion_mnist")


@measurement
def highest_ncut(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Highest n-cut in each cell but pruned L1: "all networks below" is about the worst one."""
    parts = []
    for stage in BOTH:
        for regularizer in REGULARIZERS:
            if (regularizer, stage) == ("l1", "pruned"):
                continue
            rows = cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
            parts.append(
                part(
                    label(regularizer=regularizer, stage=stage),
                    [rows],
                    lambda rows=rows: rows["ncut"].max(),
                )
            )
    return parts


@measurement
def near_zero_count(results: Results, *, k: int, runs: int, threshold: float) -> list[Part]:
    """L2 networks (both data sets, both stages) with an n-cut below ``threshold``."""
    cells = [
        cell(results, data=data, regularizer="l2", stage=stage, k=k, runs=runs)
        for data in DATA
        for stage in BOTH
    ]
    rows = pd.concat(cells)
    name = f"L2 networks with n-cut below {threshold:g}"
    if min(len(cell) for cell in cells) < runs / 2:
        return [Part(name)]
    return [part(name, [rows], lambda: (rows["ncut"] < threshold).sum())]


@measurement
def share_below_initial(results: Results, *, k: int, runs: int) -> list[Part]:
    """Share of trained networks with a lower n-cut than every untrained one, per data set."""
    untrained = initial(results, k=k, runs=INITIAL_SEEDS[k])
    parts = []
    for data in DATA:
        cells = _trained(results, data=data, k=k, runs=runs)
        # a floor taken from a handful of untrained networks would be too high
        ready = len(untrained) == INITIAL_SEEDS[k]
        parts.append(
            part(
                NAMES[data],
                cells if ready else [untrained.iloc[:0]],
                lambda cells=cells: (pd.concat(cells)["ncut"] < untrained["ncut"].min()).mean(),
            )
        )
    return parts


@measurement
def share_relatively_clusterable(results: Results, *, k: int, runs: int) -> list[Part]:
    """Share below every shuffle among networks with dropout, pruning or both, per data set."""
    return [
        part(
            NAMES[data],
            cells,
            lambda cells=cells: pd.concat(cells)["significant"].astype(float).mean(),
        )
        for data in DATA
        for cells in [_trained(results, data=data, k=k, runs=runs, treated=True)]
    ]


def _trained(
    results: Results, *, data: str, k: int, runs: int, treated: bool = False
) -> list[pd.DataFrame]:
    """Cells of one data set; ``treated``: only those with dropout or pruning."""
    return [
        cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
        for stage in BOTH
        for regularizer in REGULARIZERS
        if not treated or stage == "pruned" or regularizer == "dropout"
    ]
