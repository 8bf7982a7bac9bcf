"""Measurements for the claims about Q during training (community paper, section 4.3)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.community_modularity import rows as community_rows
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.s03_training import shapes as training_shapes
from book.papers.community_modularity.s03_training.experiment import EXPERIMENT, EpochConfig
from book.papers.community_modularity.s03_training.shapes import EPOCHS
from modgraph_lib.training import SgdConfig

__all__ = ["watched"]


def watched(results: Results, *, network: str, runs: int = community_rows.RUNS) -> pd.DataFrame:
    """Rows of one network's first 30 epochs (all, where it has fewer), at the best scale.

    Seeds that lack an epoch are left out; epoch 0, before training, is kept where it is there.
    ``scale`` says how many epochs of how many were watched.
    """
    rows = community_rows.curves(
        results, network=network, runs=runs, experiment=EXPERIMENT, asked=_epoch
    )
    if rows.empty:
        return rows.assign(epoch=pd.Series(dtype=int))
    rows = rows[rows["epoch"] <= EPOCHS]
    last = min(EPOCHS, int(rows["epochs"].iloc[0]))
    whole = [
        seed for seed, own in rows.groupby("seed") if set(range(1, last + 1)) <= set(own["epoch"])
    ]
    rows = rows[rows["seed"].isin(whole)]
    width = rows["scale"].str.split(",").str[0]
    words = f", the first {last} of {rows['epochs'].max()} epochs"
    return rows.assign(scale=(width + words).where(rows["scale"] != "", ""))


def _epoch(row: Any, train: SgdConfig, curve: CurveConfig) -> EpochConfig:
    return EpochConfig(train, row.epoch, samples=curve.samples)


@measurement
def shallow_swings(results: Results, *, network: str, runs: int) -> list[Part]:
    """Range of each shallow layer's Q over epochs, over the last curve's range over layers."""
    tables, rows = _networks(results, network, runs)
    if not tables:
        return [Part("shallow layers")]
    layers = training_shapes.ends(int(rows["layers_in_all"].iloc[0]))[0]
    swings = pd.DataFrame([training_shapes.swings(table) for table in tables])
    one_each = rows.groupby("seed").first()
    return [
        part(f"layer {layer}", [one_each], swings[layer].mean, swings[layer].std)
        for layer in layers
    ]


@measurement
def deep_correlation(results: Results, *, network: str, runs: int) -> list[Part]:
    """Correlation over epochs of the deep layers' mean Q with test accuracy."""
    return _tracked(results, network, runs, "correlation", "correlation with accuracy")


@measurement
def deep_slope(results: Results, *, network: str, runs: int) -> list[Part]:
    """Slope of that Q on accuracy, over the slope of the line through the origin."""
    return _tracked(results, network, runs, "slope", "slope against a proportional one")


def _tracked(results: Results, network: str, runs: int, name: str, words: str) -> list[Part]:
    tables, rows = _networks(results, network, runs)
    if not tables:
        return [Part(words)]
    values = pd.Series([getattr(training_shapes.tracking(table), name) for table in tables])
    return [part(words, [rows.groupby("seed").first()], values.mean, values.std)]


def _networks(results: Results, network: str, runs: int) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The epochs of each network, from the first one on, and all their rows."""
    rows = watched(results, network=network, runs=runs)
    rows = rows[rows["epoch"] > 0]
    tables = [training_shapes.over_epochs(own) for _, own in rows.groupby("seed")]
    return tables, rows
