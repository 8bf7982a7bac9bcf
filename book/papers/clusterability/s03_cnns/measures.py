"""Measurements for the claims about the norm of a kernel slice (Clusterability, section 3)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.ncut.cells import label
from book.papers.ncut.cnn_rows import cnn_cell
from book.papers.ncut.measures import BOTH


@measurement
def cnn_norm_difference(
    results: Results, *, data: str, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Relative difference of a cell's mean n-cut between L2 and L1 edges, in absolute value."""
    return [
        part(
            name,
            [one, other],
            lambda one=one, other=other: abs(other["ncut"].mean() / one["ncut"].mean() - 1),
        )
        for name, one, other in _both_norms(results, data, runs, regularizers)
    ]


@measurement
def cnn_norm_agreement(
    results: Results, *, data: str, runs: int, regularizers: tuple[str, ...]
) -> list[Part]:
    """Share of networks for which L1 and L2 edges agree on "below all shuffles"."""
    cells = [pair for _, *pair in _both_norms(results, data, runs, regularizers)]

    def share() -> float:
        same = [
            one["significant"].astype(bool) == other["significant"].astype(bool).loc[one.index]
            for one, other in cells
        ]
        return float(pd.concat(same).mean())

    return [part("same answer with L1 and L2", [rows for pair in cells for rows in pair], share)]


def _both_norms(
    results: Results, data: str, runs: int, regularizers: tuple[str, ...]
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """(name, rows with L1 edges, rows with L2 edges) of each cell."""
    for stage in BOTH:
        for regularizer in regularizers:
            where = {"data": data, "regularizer": regularizer, "stage": stage, "runs": runs}
            one, other = (cnn_cell(results, variant=v, **where) for v in ("", "described L2"))
            yield label(regularizer=regularizer, stage=stage), one, other
