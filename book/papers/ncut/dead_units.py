"""Units that weight decay has all but erased, and what they cost in an n-cut.

A unit that never fires has gradients from the L2 penalty alone, and Adam then shrinks all its
weights to numbers like 1e-30. It stays a node of the graph. Alone in a cluster it adds 1 to the
n-cut as the papers define it, since all its edges leave; the released code adds 1e-8 to every
volume, and such a cluster is free.

One record is one network at one stage: its n-cut by the definition, as the released code computes
it, and once more without those units, beside its shuffles.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from book.lab.experiment import Experiment
from book.papers.ncut import mlps
from modgraph_lib import cache, clustering, graphs, provenance, training
from modgraph_lib.training import TrainConfig

__all__ = ["EPSILON", "DeadConfig", "among", "measure", "of_graph", "run", "table"]

# What the released code adds to a cluster's volume; a unit of smaller degree counts as dead.
EPSILON = 1e-8


@dataclass(frozen=True)
class DeadConfig:
    """One trained network at one stage, clustered as in the experiments ``mlps`` and ``cnns``."""

    train: TrainConfig
    stage: str = "unpruned"
    clusters: int = 12
    shuffles: int = 50
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stage not in ("unpruned", "pruned"):
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")


def among(configs: Iterable[Any]) -> list[DeadConfig]:
    """Looks at the unpruned L2 networks among configurations of ``mlps`` or ``cnns``."""
    wanted = {
        DeadConfig(c.train, c.stage, max(c.cluster_counts), c.shuffles, c.n_init, c.seed): None
        for c in configs
        if c.train.l2 and c.stage == "unpruned"
    }
    return list(wanted)


def measure(config: DeadConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, root=root)
    graph = graphs.weight_graph(network.model(config.stage), example=network.image_shape, floor=0)
    with training.single_thread():
        start = time.perf_counter()
        result = of_graph(graph, config)
        seconds = time.perf_counter() - start
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def of_graph(graph: graphs.LayeredGraph, config: DeadConfig) -> dict:
    """The three n-cuts of a graph; dead, its nodes of positive degree below ``EPSILON``."""
    degrees = graph.degrees()
    labels = clustering.spectral_clustering(
        graph, config.clusters, n_init=config.n_init, seed=config.seed
    )
    living = clustering.shuffle_test(
        graph.without_isolated(EPSILON)[0],
        config.clusters,
        shuffles=config.shuffles,
        n_init=config.n_init,
        seed=config.seed,
        workers=1,
    )
    return {
        "dead": int(((degrees > 0) & (degrees < EPSILON)).sum()),
        "smallest_degree": float(degrees[degrees > 0].min()),
        "ncut": round(clustering.ncut(graph, labels), 6),
        "ncut_released": round(clustering.ncut(graph, labels, epsilon=EPSILON), 6),
        "living_ncut": round(living.ncut, 6),
        "living_shuffled": cache.rounded(living.shuffled, 5),
    }


def rows(record: dict) -> list[dict]:
    """One row a network and stage; living_shuffled is the (S,) n-cuts of the shuffles."""
    shuffled = np.asarray(record["result"]["living_shuffled"])
    own = {"k": record["config"]["clusters"], "living_shuffled": shuffled}
    return [{**record["result"], **mlps.words(record), **own}]


def _of_whole_sets(record: dict) -> bool:
    """Every image of a data set that is not the digits of a quick run."""
    train = record["config"]["train"]
    return not train["data"].startswith("digits") and not train.get("images")


EXPERIMENT = Experiment(
    "dead_units",
    DeadConfig,
    measure,
    rows,
    ("regularizer", "variant", "width", "k", "dead", "ncut"),
    keep=_of_whole_sets,
)
run, table = EXPERIMENT.run, EXPERIMENT.table
