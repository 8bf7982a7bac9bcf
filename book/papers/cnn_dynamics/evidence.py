"""Rows that may decide a claim, and what their scale is called."""

from __future__ import annotations

import pandas as pd

from book.lab.evidence import Results, experiment_table, remembered
from book.papers.cnn_dynamics import zoo
from book.papers.cnn_dynamics.s03_predicting import experiment as predictions

__all__ = ["ARCHITECTURES", "grid", "predicted"]

# What the paper calls its networks on each data set.
ARCHITECTURES = {
    "cifar10": ("lenet", "alexnet", "vgg1613", "resnet44"),
    "tiny_imagenet": ("lenet", "alexnet", "resnet50"),
}
PAPER = 480  # networks of a grid


@remembered
def grid(
    results: Results, *, network: str, data: str = "cifar10", whole: bool = False
) -> pd.DataFrame:
    """Networks of the paper's grid that trained as the paper says, one a row.

    That is on all images, of 32 pixels, for up to 50 epochs. Where there are none, and ``whole``
    does not insist, those at 16 pixels stand in, and ``scale`` says so.
    """
    rows = experiment_table(results, "cnn_zoo", zoo.COLUMNS)
    rows = rows[(rows["network"] == network) & (rows["data"] == data)]
    exact = rows[(rows["pixels"] == 32) & (rows["images"] == 0) & (rows["epochs"] == 50)]
    small = rows[(rows["pixels"] == 16) & (rows["epochs"] >= 15)]
    found = exact if whole or len(exact) else small
    return found.assign(scale=[_scale(len(found), *row) for row in zip(
        found["pixels"], found["images"], found["epochs"], strict=True)])  # fmt: skip


def _scale(networks: int, pixels: int, images: int, epochs: int) -> str:
    facts = [f"{networks} of the paper's {PAPER} networks"] if networks < PAPER else []
    facts += [f"{pixels} pixels"] if pixels != 32 else []
    facts += [f"{images:,} images"] if images else []
    facts += [f"{epochs} epochs"] if epochs != 50 else []
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
) -> pd.DataFrame:
    """Records of one kind of predictor over the largest set of that grid's networks, one a horizon.

    ``scale`` says which networks; ``runs`` is their number.
    """
    rows = experiment_table(results, "cnn_predictions", predictions.COLUMNS)
    networks = grid(results, network=network, data=data)
    if rows.empty or networks.empty:
        return rows.assign(scale="", last=0).head(0)
    first = networks.iloc[0]
    for name in ("network", "data", "pixels", "images", "epochs"):
        rows = rows[rows[name] == first[name]]
    asked = {"features": features, "model": model, "average": average, "learners": learners}
    for name, value in asked.items():
        rows = rows[rows[name] == value]
    rows = rows[~rows["permuted"].astype(bool)]
    if rows.empty:
        return rows.assign(scale="", last=0)
    # a grid that has grown was asked again: the larger one counts
    most = rows.groupby("digest")["networks"].first().idxmax()
    rows = rows[rows["digest"] == most]
    rows = rows.assign(last=[max(seen) for seen in rows["epochs_seen"]])
    facts = [int(rows["networks"].iloc[0]), *(first[n] for n in ("pixels", "images", "epochs"))]
    return rows.assign(scale=_scale(*facts)).sort_values("last").reset_index(drop=True)
