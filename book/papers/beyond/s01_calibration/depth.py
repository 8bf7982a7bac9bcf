"""The n-cut papers' own networks read again: how much of their clusters is depth?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from book.lab.experiment import Experiment
from book.papers.ncut import mlps
from modgraph_lib import clustering, graphs, provenance, training
from modgraph_lib.training import TrainConfig

__all__ = ["COUNTS", "DepthConfig", "configs", "run", "table"]

COUNTS = (2, 4, 12)
BLIND = 12  # clusters at most, of layered Q
SEEDS = (8, 9)  # the two networks of each cell whose weights were kept
REGULARIZERS = ("none", "dropout")


@dataclass(frozen=True)
class DepthConfig:
    """A trained network at one stage; shuffles of n-cut's and of layered Q's test."""

    train: TrainConfig
    stage: str
    shuffles: int = 19


def configs(data: Sequence[str]) -> list[DepthConfig]:
    """Both stages of the papers' networks on these data sets, those of one network together."""
    return [
        DepthConfig(mlps.condition(name, regularizer, seed), stage)
        for name in data
        for regularizer in REGULARIZERS
        for seed in SEEDS
        for stage in ("unpruned", "pruned")
    ]


def measure(config: DepthConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    with training.single_thread():
        start = time.perf_counter()
        graph = graphs.weight_graph(network.model(config.stage))
        options = {"shuffles": config.shuffles, "seed": config.train.seed, "workers": 1}
        tests = clustering.shuffle_tests(graph, COUNTS, **options)
        blind = clustering.layered_shuffle_test(graph, BLIND, n_init=3, **options)
        totals = [float(block.sum()) for _, block in sorted(graph.blocks.items())]
        seconds = time.perf_counter() - start
    result = {
        "ncut": {
            str(k): {
                "ncut": round(test.ncut, 5),
                "p": round(test.p_value, 4),
                "z": round(float(-test.z_score), 3),
                "depth": round(clustering.depth_share(graph, test.labels), 4),
            }
            for k, test in tests.items()
        },
        "layered": {
            "q": round(blind.q, 5),
            "p": round(blind.p_value, 4),
            "z": round(float(blind.z_score), 3),
            "depth": round(clustering.depth_share(graph, blind.labels), 4),
            "clusters": int(blind.labels.max()) + 1,
        },
        "limit": round(clustering.strand_limit(totals), 4),
        "train_seconds": round(network.seconds, 3),
    }
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def rows(record: dict) -> list[dict]:
    """One row per k; layered Q's columns repeat for each."""
    result, train = record["result"], record["config"]["train"]
    own = {"regularizer": "dropout" if train["dropout"] else "none", "limit": result["limit"]}
    own |= {f"layered_{name}": value for name, value in result["layered"].items()}
    return [{**own, **cut, "k": int(k)} for k, cut in result["ncut"].items()]


def recompute(config: DepthConfig) -> dict[str, Any]:
    """A record's result anew, its network trained anew."""
    return measure(config)["result"]


COLUMNS = ("regularizer", "k", "ncut", "p", "z", "depth", "limit", "layered_q", "layered_p")
EXPERIMENT = Experiment("depth", DepthConfig, measure, rows, COLUMNS, recompute=recompute)
run, table = EXPERIMENT.run, EXPERIMENT.table
