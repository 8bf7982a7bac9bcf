"""What a predictor is given of each network: signatures, and everything they compete with.

A set of features is named like "settings+change.rolled.degree"; its parts are put side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from book.papers.cnn_dynamics.looks import LAST
from modgraph_lib import signatures

__all__ = ["BASELINES", "GRAPHS", "matrix"]

GRAPHS = {
    "rolled.degree": ("rolled.degree",),
    "rolled.eigenvector": ("rolled.eigenvector",),
    **{
        f"unrolled.{sign}.{centrality}": tuple(f"unrolled.{one}.{centrality}" for one in signs)
        for centrality in ("degree", "eigenvector")
        for sign, signs in {
            "absolute": ("absolute",),
            "positive": ("positive",),
            "negative": ("negative",),
            "both": ("positive", "negative"),
        }.items()
    },
}
# What there is without any graph.
BASELINES = ("settings", "accuracy", "loss", "norms", "weights")


def matrix(
    networks: pd.DataFrame, name: str, epochs: Sequence[int], average: str = "none"
) -> np.ndarray:
    """(networks, features) at the given epochs.

    Args:
        networks: rows of ``zoo.table``.
        name: names joined by "+": one of ``GRAPHS`` (the signatures), "change." and one of them
            (minus the signature before training), "start." and one of them (before training
            alone); "settings" (log10 of the learning rate, dropout: no training), "accuracy"
            (test accuracy), "loss" (training loss and accuracy), "norms" (of the layers) or
            "weights" (mean, variance and quantiles of each tensor, at the last of the epochs).
        average: of the signatures, as ``signatures.temporal`` takes it.

    A network that diverged keeps the last graph that it had, and the loss of chance.

    Raises:
        ValueError: an unknown name, or an epoch that the records do not hold.
    """
    if not 0 <= min(epochs, default=-1) <= max(epochs) <= LAST:
        raise ValueError(f"records hold what happened in epochs 0 to {LAST}, not {list(epochs)}")
    parts = [_one(networks, part, list(epochs), average) for part in name.split("+")]
    return np.concatenate(parts, axis=1)


def _one(networks: pd.DataFrame, name: str, epochs: list[int], average: str) -> np.ndarray:
    if name == "settings":
        return np.stack([np.log10(networks["learning_rate"]), networks["dropout"]], 1)
    if name == "accuracy":
        return np.array([_held(curve, epochs) for curve in networks["curve"]])
    if name == "loss":
        chance = np.log(10)
        losses = [
            [chance if loss is None or np.isnan(loss) else loss for loss in found]
            for found in networks["losses"]
        ]
        both = [_held(one, epochs) for one in losses]
        return np.concatenate([np.array(both), _one(networks, "accuracy", epochs, average)], 1)
    if name == "norms":
        return np.array([_held(norms, epochs).ravel() for norms in networks["layer_norms"]])
    if name == "weights":
        return np.array([_weights(found, epochs[-1]) for found in networks["weights"]])
    kind, _, rest = name.partition(".")
    graph = rest if kind in ("change", "start") else name
    if graph not in GRAPHS:
        known = ", ".join([*GRAPHS, *BASELINES])
        raise ValueError(f"no features {name!r}; there are {known}, change.GRAPH and start.GRAPH")
    found = []
    for own in networks["signatures"]:
        tables = [np.asarray(own[one]) for one in GRAPHS[graph]]
        if kind == "start":
            found.append(np.concatenate([table[0] for table in tables]))
            continue
        tables = [_long(table, max(epochs)) for table in tables]
        if kind == "change":
            tables = [table - table[0] for table in tables]
        rows = [signatures.temporal(table, epochs, average=average) for table in tables]
        found.append(np.concatenate(rows))
    return np.array(found)


def _held(curve: Sequence, epochs: list[int]) -> np.ndarray:
    return _long(np.asarray(curve, dtype=float), max(epochs))[epochs]


def _long(table: np.ndarray, last: int) -> np.ndarray:
    """Rows up to an epoch; where a network stopped before, its last row stands for the rest."""
    missing = max(0, last + 1 - len(table))
    return np.concatenate([table, np.repeat(table[-1:], missing, axis=0)])


def _weights(found: dict[str, list], epoch: int) -> np.ndarray:
    there = [int(one) for one in found if int(one) <= epoch]
    if not there:
        raise ValueError(f"no statistics of weights up to epoch {epoch}")
    return np.asarray(found[str(max(there))]).ravel()
