"""Measurements for the questions on transformers (data/papers/beyond/questions.yaml)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, one_per_seed, part
from book.lab.experiment import Experiment
from book.papers.beyond.s03_transformers.experiment import GRAPHS, LESIONS, TURNED, GraphConfig
from modgraph_lib import statistics
from modgraph_lib.proxies import ProxyTest

__all__ = ["below", "graph_rows", "lesion_rows", "turned_rows"]

ALPHA = 0.05
NULLS = {("vit", True): 19, ("vit", False): 19, ("minilm", True): 19, ("minilm", False): 9}


def graph_rows(
    results: Results, *, network: str, trained: bool, instrument: str = "ncut", runs: int = 1000
) -> pd.DataFrame:
    """Graphs beside their nulls at full size, one row a network."""
    rows = GRAPHS.among(results)
    if rows.empty:
        return rows.set_index("seed")
    rotations = NULLS[network, trained]
    shuffles = rotations if network == "vit" else 0
    kept = rows[
        (rows["network"] == network)
        & (rows["trained"] == trained)
        & (rows["instrument"] == instrument)
        & (rows["seed"] < runs)
    ]
    return one_per_seed(
        equal(
            kept,
            lambda row: GraphConfig(
                network,
                trained,
                row.seed,
                instrument=instrument,
                rotations=rotations,
                shuffles=shuffles,
            ),
        )
    )


def lesion_rows(results: Results, *, network: str, runs: int = 1000) -> pd.DataFrame:
    """Lesions of trained networks at full size, one row a network."""
    return _trained(results, LESIONS, network, runs)


def turned_rows(results: Results, *, runs: int = 1000) -> pd.DataFrame:
    """Trained ViTs with their streams turned, one row a network."""
    return _trained(results, TURNED, "vit", runs)


def _trained(results: Results, experiment: Experiment, network: str, runs: int) -> pd.DataFrame:
    rows = experiment.among(results)
    if rows.empty:
        return rows.set_index("seed")
    kept = rows[(rows["network"] == network) & rows["trained"] & (rows["seed"] < runs)]
    return one_per_seed(equal(kept, lambda row: experiment.config(network, True, row.seed)))


def below(rows: pd.DataFrame, null: str) -> np.ndarray:
    """(networks,) p-value of each graph beside a null: more modular than chance is small."""
    return np.array(
        [
            statistics.empirical_p_value(sign * row["score"], sign * np.array(row[null]))
            for row in rows.to_dict("records")
            for sign in [1 if row["instrument"] == "ncut" else -1]
        ]
    )


@measurement
def stream_called(
    results: Results,
    *,
    runs: int,
    network: str,
    trained: bool,
    beside: str,
    instrument: str = "ncut",
) -> list[Part]:
    """How many networks are called modular at 5% beside a null."""
    rows = graph_rows(results, network=network, trained=trained, instrument=instrument, runs=runs)
    word = f"{'trained' if trained else 'untrained'} {network}, {beside}, {instrument}"
    return [part(word, [rows], lambda: float((below(rows, beside) <= ALPHA).sum()))]


@measurement
def stream_ratio(results: Results, *, runs: int, network: str, trained: bool) -> list[Part]:
    """n-cut as a share of the mean over its rotations, averaged over networks."""
    rows = graph_rows(results, network=network, trained=trained, runs=runs)
    ratios = [row.score / np.mean(row.rotated) for row in rows.itertuples()]
    return [part(f"{network}, n-cut by that of rotations", [rows], lambda: float(np.mean(ratios)))]


@measurement
def stream_lesion_p(results: Results, *, runs: int, network: str) -> list[Part]:
    """p-value of sub-clusters' lesions beside random sets: Fisher in a network, Bates over all."""
    rows = lesion_rows(results, network=network, runs=runs)
    tests = [ProxyTest(np.array(row.true), np.array(row.random)) for row in rows.itertuples()]

    def value() -> float:
        p = [test.exact(ties="count") for test in tests]
        return p[0] if len(p) == 1 else statistics.bates_p_value(p)

    return [part(f"{network}, lesions of sub-clusters", [rows], value)]


@measurement
def stream_turned_edges(results: Results, *, runs: int) -> list[Part]:
    """Largest change of any virtual edge, and of any logit, under turns of the stream."""
    rows = turned_rows(results, runs=runs)
    return [
        part(f"largest change of {name}", [rows], lambda n=name: max(map(max, rows[n])))
        for name in ("edges", "logits")
    ]


@measurement
def stream_turned_z(results: Results, *, runs: int, least: float) -> list[Part]:
    """How many networks' z on the stream's coordinates ranges over more than ``least``."""
    rows = turned_rows(results, runs=runs)
    ranges = np.array([max(z) - min(z) for z in rows["z"]])
    word = f"z ranges over more than {least:g}"
    return [part(word, [rows], lambda: float((ranges > least).sum()), lambda: math.nan)]
