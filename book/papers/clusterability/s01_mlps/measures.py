"""Measurements for claims of "Clusterability in Neural Networks" alone."""

from __future__ import annotations

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.ncut.cells import INITIAL_SEEDS, NAMES, cell, initial
from book.papers.ncut.measures import BOTH

REGULARIZERS = ("none", "dropout", "l1", "l2")
DATA = ("mnist", "fashion_mnist")


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
        cells = [
            cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
            for stage in BOTH
            for regularizer in REGULARIZERS
        ]
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
