"""Measurements for the claims about several architectures (appendix A.3 and A.4, figure 5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, part
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.s02_training.measures import accurate, moves, trend
from book.papers.cnn_dynamics.s03_predicting.measures import NAMES, difference
from book.papers.cnn_dynamics.s05_architectures.experiment import (
    EXPERIMENT,
    PAPER_TRANSFERS,
    TransferConfig,
)

__all__ = ["transfer_accuracy"]

ENOUGH = 0.8


@measurement
def transfer_accuracy(
    results: Results,
    *,
    trained_on: tuple[str, ...],
    tested_on: str,
    horizon: int,
    data: str,
    runs: int,
) -> list[Part]:
    """Mean accuracy (%) of an SVM on an architecture that it has not seen."""
    name = f"{', '.join(NAMES.get(one, one) for one in trained_on)} to {NAMES[tested_on]}"
    rows = EXPERIMENT.among(results)
    wanted = rows["trained_on"].map(lambda found: tuple(found) == tuple(trained_on))
    rows = rows[wanted & (rows["tested_on"] == tested_on) & (rows["data"] == data)]
    rows = rows[rows["horizon"] == horizon]
    rows = equal(rows, _transfer, free=("networks",)).sort_values(["pixels", "networks"]).tail(1)
    if rows.empty:
        return [Part(name)]
    row = rows.iloc[0]
    scale = f"{row['networks']} networks, {row['pixels']} pixels, {row['epochs']} epochs"
    return [
        Part(
            name, float(row["scores"]), float(row["scores_sd"]), int(row["networks"]), "se",
            (str(row["key"]),), scale,
        )
    ]  # fmt: skip


def _transfer(row: Any) -> TransferConfig:
    sample = {(known, other): size for known, other, size in PAPER_TRANSFERS}
    facts = (row.data, row.pixels, row.images, row.epochs, row.horizon)
    known = tuple(row.trained_on)
    return TransferConfig(known, row.tested_on, *facts, sample=sample[known, row.tested_on])


@measurement
def averaged_wins(results: Results, *, network: str, data: str, runs: int) -> list[Part]:
    """MLP on exponentially averaged degree signatures of five epochs, minus each rival."""
    chosen = {"network": network, "data": data, "features": "rolled.degree"}

    def at_five(model: str, average: str):
        rows = evidence.predicted(results, model=model, average=average, **chosen)
        return rows[rows["last"] == 5]

    best = at_five("mlp", "exponential")
    rivals = [("mlp", "none"), ("svm", "none"), ("svm", "exponential")]
    return [
        difference(f"against {model.upper()}, {average}", [[best, at_five(model, average)]])
        for model, average in rivals
    ]


@measurement
def degree_contrast(
    results: Results,
    *,
    network: str,
    statistics: tuple[str, ...],
    grows: bool,
    data: str = "cifar10",
    runs: int,
) -> list[Part]:
    """Shares of accurate networks whose degree goes with the epoch, and of inaccurate flat ones.

    ``grows``: upwards only. Flat: at most a tenth of what accurate ones (in the median) move.
    """
    rows = evidence.grid(results, network=network, data=data)
    names = ("accurate ones move", "inaccurate ones stay flat")
    if rows.empty or not 0 < accurate(rows).sum() < len(rows):
        return [Part(f"{one}: {name}") for one in statistics for name in names]
    high = accurate(rows)
    found = []
    for one in statistics:
        learned, rest = moves(rows[high], one), moves(rows[~high], one)
        usual = float(np.median([np.ptp(curve) for curve in learned]))
        trends = np.array([trend(curve) for curve in learned])
        shares = (
            np.mean((trends if grows else np.abs(trends)) >= ENOUGH),
            np.mean([np.ptp(curve) <= usual / 10 for curve in rest]),
        )
        for name, share in zip(names, shares, strict=True):
            found.append(part(f"{one}: {name}", [rows], lambda s=share: float(s)))
    return found
