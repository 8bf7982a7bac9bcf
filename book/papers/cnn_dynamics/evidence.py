"""Rows that may decide a claim, and what their scale is called."""

from __future__ import annotations

from typing import Any

import pandas as pd

from book.lab.evidence import Results, equal, remembered
from book.papers.cnn_dynamics import settings, zoo
from book.papers.cnn_dynamics.s03_predicting import experiment as predictions
from book.papers.cnn_dynamics.s03_predicting.experiment import PredictionConfig
from book.papers.cnn_dynamics.zoo import NetworkConfig

__all__ = ["grid", "predicted"]

PAPER = 480  # networks of a grid
# The scale that stands in for networks which would take days: a quarter of the pixels, a tenth of
# the images in batches an eighth as large. The rolled graph is the same, node for node.
SMALL = {"pixels": 16, "images": 5000, "batch_size": 16, "epochs": 15}
ENOUGH = 60  # half of the 120 networks that the tests ask for
# Balanced draws, splits or repeats of the folds at the paper's scale.
REPEATS = {"mlp": 10, "forest": 5, "forest by rate": 5}
GRID = ("network", "data", "pixels", "images", "epochs")


@remembered
def grid(
    results: Results, *, network: str, data: str = "cifar10", whole: bool = False
) -> pd.DataFrame:
    """Networks of the paper's grid that trained as the paper says, one a row.

    That is on all images, of 32 pixels, for up to 50 epochs. While there are fewer than a test
    asks for, and ``whole`` does not insist, those of ``SMALL`` stand in, and ``scale`` says so.
    """
    rows = zoo.EXPERIMENT.among(results)
    rows = rows[(rows["network"] == network) & (rows["data"] == data)]
    found = equal(rows, _member)
    if len(found) < ENOUGH and not whole:
        small = equal(rows, lambda row: _member(row, **SMALL))
        found = small if len(small) else found
    facts = zip(found["pixels"], found["images"], found["epochs"], strict=True)
    return found.assign(scale=[_scale(len(found), *one) for one in facts])


def _member(row: Any, **options: Any) -> NetworkConfig:
    rate = float(row.learning_rate)
    return settings.member(row.network, rate, float(row.dropout), data=row.data, **options)


def _scale(networks: int, pixels: int, images: int, epochs: int) -> str:
    facts = [f"{networks} of the paper's {PAPER} networks"] if networks < PAPER else []
    facts += [f"{pixels} pixels"] if pixels != 32 else []
    facts += [f"{images} images"] if images else []
    facts += [f"{epochs} epochs"] if epochs != 50 else []
    facts += ["half the paper's thresholds"] if images else []
    return ", ".join(facts)


@remembered
def predicted(
    results: Results,
    *,
    network: str,
    features: str,
    model: str,
    data: str = "cifar10",
    average: str = "none",
    learners: float = 0.0,
    whole: bool = False,
) -> pd.DataFrame:
    """Records of one kind of predictor over the largest set of that grid's networks, one a horizon.

    ``scale`` says which networks, ``last`` the last epoch seen; ``whole`` as for ``grid``.
    """
    rows = predictions.EXPERIMENT.among(results)
    networks = grid(results, network=network, data=data, whole=whole)
    if rows.empty or networks.empty:
        return rows.assign(scale="", last=0).head(0)
    first = networks.iloc[0]
    wanted = {name: first[name] for name in GRID} | {"features": features, "model": model}
    wanted |= {"average": average, "learners": learners}
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    rows = equal(rows, _predictor, free=("networks",))
    if rows.empty:
        return rows.assign(scale="", last=0)
    # a grid that has grown was asked again: the larger one counts
    most = rows.groupby("digest")["networks"].first().idxmax()
    rows = rows[rows["digest"] == most]
    rows = rows.assign(last=[max(seen) for seen in rows["epochs_seen"]])
    facts = [int(rows["networks"].iloc[0]), *(first[n] for n in ("pixels", "images", "epochs"))]
    return rows.assign(scale=_scale(*facts)).sort_values("last").reset_index(drop=True)


def _predictor(row: Any) -> PredictionConfig:
    """What a record of this predictor ought to be, whichever networks it had."""
    labelled = row.model not in predictions.FOREST
    threshold = settings.threshold(row.data, row.network, row.images) if labelled else 40.0
    return PredictionConfig(
        *(getattr(row, name) for name in GRID),
        row.features,
        row.epochs_seen,
        row.model,
        average=row.average,
        threshold=threshold,
        learners=row.learners,
        repeats=REPEATS.get(row.model, 20),
    )
