"""A sweep on a Dask cluster, and under joblib's own processes, on the same cores."""

from __future__ import annotations

import importlib
import time
from contextlib import contextmanager

import joblib
import numpy as np

from book.papers.ncut import mlps

CONFIGURATIONS, PROCESSES = 64, 2


def sweep(contender: str) -> tuple[float, float]:
    """Train, prune and cluster 64 small MLPs from an empty cache; outcome: their mean n-cut.

    Processes are up and have done one network each before the clock starts.
    """
    with _cluster() if contender == "ours" else _nothing():
        mlps.run(_configs(range(1000, 1000 + PROCESSES)), device="cpu", workers=PROCESSES)
        begin = time.perf_counter()
        found = mlps.run(_configs(range(CONFIGURATIONS)), device="cpu", workers=PROCESSES)
        seconds = time.perf_counter() - begin
    return seconds, float(np.mean([row["result"]["clusterings"]["4"]["ncut"] for row in found]))


def _configs(seeds: range) -> list[mlps.NcutConfig]:
    small = {"width": 32, "batch_size": 32, "epochs": 2, "prune_epochs": 2}
    return [
        mlps.NcutConfig(mlps.condition("digits", "none", seed, **small), "pruned", (4,), 5)
        for seed in seeds
    ]


@contextmanager
def _cluster():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(PROCESSES, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        # Two tasks may both fall to one worker, and the other would import torch on the clock.
        client.run(importlib.import_module, mlps.__name__)
        yield


@contextmanager
def _nothing():
    yield


CASES = {
    "cluster": {
        "function": sweep,
        "title": f"a sweep of {CONFIGURATIONS} small MLPs on a Dask cluster of "
        f"{PROCESSES} processes on this machine",
        "peer": f"the same sweep under joblib's own {PROCESSES} processes (loky)",
        "outcome": "mean n-cut",
    },
}
