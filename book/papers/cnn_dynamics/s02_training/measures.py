"""Measurements for the claims about the grid itself and about degree over epochs (appendix A)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.looks import GLOBALS
from book.papers.cnn_dynamics.settings import threshold

__all__ = ["accurate", "moves", "trend"]

EARLY = 3  # epochs in which a spike would come
STATISTICS = {"median": 0, "mean": 1, "sd": 2}


def accurate(rows: pd.DataFrame) -> pd.Series:
    """Which networks are above the paper's threshold."""
    first = rows.iloc[0]
    return rows["accuracy"] > threshold(first["data"], first["network"], int(first["images"]))


def moves(rows: pd.DataFrame, statistic: str) -> list[np.ndarray]:
    """Each network's statistic of degree over epochs, over its value before training."""
    place = STATISTICS[statistic]
    curves = [np.array(own["rolled.degree"])[:, place] for own in rows["signatures"]]
    return [curve / curve[0] for curve in curves]


@measurement
def extreme_accuracy(
    results: Results, *, network: str, end: str, data: str = "cifar10", runs: int
) -> list[Part]:
    """Lowest or highest final accuracy (%) of a grid trained as the paper says."""
    rows = evidence.grid(results, network=network, data=data, whole=True)
    extreme = rows["accuracy"].min if end == "lowest" else rows["accuracy"].max
    return [part(f"{end} accuracy", [rows], extreme)]


@measurement
def global_change(
    results: Results, *, network: str, data: str = "cifar10", runs: int
) -> list[Part]:
    """Range over epochs of three statistics of the whole graph, over that of mean degree.

    Both as shares of their value before training; the median over accurate networks.
    """
    rows = evidence.grid(results, network=network, data=data)
    if rows.empty or not accurate(rows).any():
        return [Part(name.replace("_", " ")) for name in GLOBALS]
    learned = rows[accurate(rows)]
    degree = np.array([np.ptp(curve) for curve in moves(learned, "mean")])
    found = []
    for place, name in enumerate(GLOBALS):
        curves = [np.array([v[place] for v in own.values()]) for own in learned["globals"]]
        shares = [np.ptp(curve / curve[0]) for curve in curves] / degree
        words = name.replace("_", " ")
        found.append(part(words, [rows], lambda s=shares: float(np.median(s))))
    return found


@measurement
def degree_patterns(
    results: Results, *, network: str, statistics: tuple[str, ...], data: str = "cifar10", runs: int
) -> list[Part]:
    """Shares of networks whose degree moves over the epochs as the paper says.

    Inaccurate ones "spike": their largest step of an epoch comes in the first three, is at least
    1% of the start, and at least three times any later step. They "stay flat": after the third
    epoch they move by at most a tenth of what accurate ones (in the median) move in all.
    Accurate ones "change smoothly": a rank correlation with the epoch of at least 0.8 in size.
    """
    rows = evidence.grid(results, network=network, data=data)
    names = ("inaccurate ones spike", "inaccurate ones stay flat", "accurate ones change smoothly")
    if rows.empty or not 0 < accurate(rows).sum() < len(rows):
        return [Part(f"{one}: {name}") for one in statistics for name in names]
    high = accurate(rows)
    found = []
    for one in statistics:
        learned, rest = moves(rows[high], one), moves(rows[~high], one)
        usual = float(np.median([np.ptp(curve) for curve in learned]))
        rest = [curve for curve in rest if len(curve) > EARLY + 1] or [np.ones(EARLY + 2)]
        shares = (
            np.mean([_spikes(curve) for curve in rest]),
            np.mean([np.ptp(curve[EARLY:]) <= usual / 10 for curve in rest]),
            np.mean([abs(trend(curve)) >= 0.8 for curve in learned]),
        )
        for name, share in zip(names, shares, strict=True):
            found.append(part(f"{one}: {name}", [rows], lambda s=share: float(s)))
    return found


def _spikes(curve: np.ndarray) -> bool:
    steps = np.abs(np.diff(curve))
    early, late = steps[:EARLY].max(), steps[EARLY:].max(initial=0.0)
    return bool(early >= 0.01 and early >= 3 * late)


def trend(curve: np.ndarray) -> float:
    """Rank correlation with the epoch."""
    ranks = pd.Series(curve).rank()
    return float(ranks.corr(pd.Series(range(len(curve))))) if ranks.nunique() > 1 else math.nan
