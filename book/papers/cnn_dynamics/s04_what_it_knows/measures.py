"""What is added to the settings, and with what certainty: fixed before the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from book.lab.evidence import Results
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.s04_what_it_knows.experiment import HORIZON, SETTINGS

__all__ = ["MATTERS", "Gain", "gain", "gains"]

MATTERS = 1.0  # points of accuracy
RESAMPLES = 10_000


@dataclass(frozen=True)
class Gain:
    """By how much a predictor's error shrinks when something is added to the settings.

    Attributes:
        points: mean absolute error with the settings alone, minus that with the addition.
        low, high: ends of the 95% interval over draws of learning rates with replacement.
        networks: how many.
    """

    points: float
    low: float
    high: float
    networks: int

    @property
    def answer(self) -> str:
        """ "yes" where the interval lies above 0; "nothing that matters" where it stays below one
        point and reaches 0 or less; else "open"."""
        if self.low > 0:
            return "yes"
        return "nothing that matters" if self.high < MATTERS else "open"


def gain(without: pd.Series, added: pd.Series) -> Gain:
    """The gain of one record of a forest over another on the same networks.

    Raises:
        ValueError: records of different networks.
    """
    if without["digest"] != added["digest"] or without["rates"] != added["rates"]:
        raise ValueError("the two predictors saw different networks")
    accuracy = np.array(without["accuracy"])
    smaller = np.abs(np.array(without["predicted"]) - accuracy)
    smaller = smaller - np.abs(np.array(added["predicted"]) - accuracy)
    _, group = np.unique(without["rates"], return_inverse=True)
    sums, counts = np.bincount(group, smaller), np.bincount(group)
    draws = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Gain(float(smaller.mean()), float(low), float(high), len(accuracy))


def gains(
    results: Results, *, network: str, data: str, model: str, learners: float, added: list[str]
) -> dict[str, Gain]:
    """The gain of each addition; without those that are not there."""
    chosen = {"network": network, "data": data, "model": model, "learners": learners}
    base = evidence.predicted(results, features=SETTINGS, **chosen)
    found = {}
    for name in added:
        rows = evidence.predicted(results, features=name, **chosen)
        rows = rows[(rows["last"] == HORIZON) & rows["digest"].isin(base["digest"])]
        if len(base) and len(rows):
            found[name] = gain(base.iloc[-1], rows.iloc[-1])
    return found
