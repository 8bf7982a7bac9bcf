"""Sweeps over networks: one task a network, all its measurements kept as records.

What experiments on trained networks have in common; each gives its own way from a configuration
to a result. A configuration names its network as ``train``; what ``measured`` needs besides are
the fields stage, cluster_counts, shuffles, method, n_init and seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from book.lab import store
from modgraph_lib import cache, clustering, provenance, training
from modgraph_lib.graphs import LayeredGraph
from modgraph_lib.training import TrainConfig, Trained

__all__ = [
    "Task",
    "by_network",
    "each",
    "jobs",
    "key_config",
    "measured",
    "networks",
    "own_key",
    "records",
    "untrained",
]

BAR_DELAY = 60
Measure = Callable[..., dict[str, Any]]
RunOne = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """Makes one record: what travels to a worker."""

    experiment: str
    schema: int
    measure: Measure
    key: Callable[[Any, str | None], Mapping[str, Any]]

    def __call__(self, config: Any, *, device: str = "cpu", root: str | None = None) -> dict:
        """The record of one configuration, from the store or computed and stored."""
        key = self.key(config, root)
        record = store.get(self.experiment, self.schema, key)
        if record is not None:
            return record
        found = self.measure(config, device=device, root=root)
        return store.put(self.experiment, self.schema, key, found["result"], found["provenance"])


def records(
    task: Task,
    configs: Sequence[Any],
    *,
    device: str,
    workers: int | None,
    root: str | None,
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    Each task of ``joblib.Parallel`` trains one network and makes all its measurements; no
    backend is named, so ``joblib.parallel_config(backend="dask")`` takes it to a cluster. On an
    accelerator networks are trained first, as stacks where that can be done, else one after
    another. A killed sweep continues where it was.

    Args:
        task: makes the record of one configuration.
        configs: what to measure; networks train in the order they first appear in.
    """
    device = training.pick_device(device)
    stacks = all(isinstance(getattr(config, "train", None), TrainConfig) for config in configs)
    if device != "cpu" and stacks:
        wanted = [
            config
            for config in configs
            if store.get(task.experiment, task.schema, task.key(config, root)) is None
        ]
        training.train_many(list({c.train: None for c in wanted}), device=device, root=root)
    count = workers or joblib.cpu_count() if stacks else jobs(device, workers)
    return by_network(task, configs, count=count, device=device, root=root)


def by_network(
    run_one: RunOne, configs: Sequence[Any], *, count: int, device: str, root: str | None
) -> list[dict]:
    """``run_one`` of every configuration, in their order; those of one network are one task.

    Args:
        run_one: ``run_one(config, device=..., root=...)``, a function of a module or a ``Task``.
        configs: what to measure; networks train in the order they first appear in.
        count: tasks at a time.
    """
    one_network = joblib.delayed(_of_one_network)
    tasks = [one_network(run_one, group, device, root) for group in networks(configs)]
    parallel = joblib.Parallel(n_jobs=count, return_as="generator")
    # The bar waits, so that quick runs stay quiet.
    done = tqdm(parallel(tasks), total=len(tasks), unit="network", delay=BAR_DELAY)
    by_config = {config: record for found in done for config, record in found.items()}
    return [by_config[config] for config in configs]


def networks(configs: Iterable[Any]) -> list[list[Any]]:
    """Configurations by the network they measure, in the order they first appear in.

    One that trains none, so that it has no field ``train``, stands alone.
    """
    groups: dict[Any, list[Any]] = {}
    for config in configs:
        groups.setdefault(getattr(config, "train", config), []).append(config)
    return list(groups.values())


def each(
    run_one: RunOne, configs: Sequence[Any], *, device: str, workers: int | None, **options: Any
) -> list[dict]:
    """``run_one`` of every configuration, in their order, each a task of its own."""
    device = training.pick_device(device)
    task = joblib.delayed(run_one)
    parallel = joblib.Parallel(n_jobs=jobs(device, workers))
    return parallel(task(config, device=device, **options) for config in configs)


def jobs(device: str, workers: int | None) -> int:
    """Tasks at a time: one on an accelerator, on a CPU what was asked for or one a core."""
    return 1 if device != "cpu" else workers or joblib.cpu_count()


def measured(
    config: Any, network: Trained, graph: LayeredGraph, *, device: str, root: str | None
) -> dict:
    """Result and provenance of a network's graph clustered and shuffled; not stored.

    Args:
        config: what to do; see the module.
        network: the trained network of ``config.train``.
        graph: its weight graph at ``config.stage``, in the experiment's own reading.
    """
    with training.single_thread():
        start = time.perf_counter()
        tests = clustering.shuffle_tests(
            graph,
            config.cluster_counts,
            shuffles=config.shuffles,
            method=config.method,
            n_init=config.n_init,
            seed=config.seed,
            device=device,
            workers=1,
        )
        seconds = time.perf_counter() - start
    kept = graph.degrees() > 0
    result = {
        "metrics": network.metrics[config.stage],
        "nodes": int(kept.sum()),
        "isolated": int((~kept).sum()),
        "train_seconds": round(network.seconds, 3),
        "clusterings": {str(k): _clustering(test) for k, test in tests.items()},
    }
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def untrained(
    config: Any, seeds: Sequence[int], graph: Callable[[int], LayeredGraph]
) -> dict[str, Any]:
    """Result and provenance of untrained networks' n-cuts; not stored.

    Args:
        config: has cluster_counts and n_init.
        seeds: of the networks, and of their clusterings.
        graph: seed -> weight graph.
    """
    start = time.perf_counter()
    ncuts: dict[str, list[float]] = {str(k): [] for k in config.cluster_counts}
    with training.single_thread():
        for seed in seeds:
            network = graph(seed)
            for k in config.cluster_counts:
                labels = clustering.spectral_clustering(network, k, n_init=config.n_init, seed=seed)
                ncuts[str(k)].append(round(clustering.ncut(network, labels), 6))
    seconds = time.perf_counter() - start
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds)
    return {"result": {"ncuts": ncuts}, "provenance": origin}


def _of_one_network(run_one, configs, device, root) -> dict:
    return {config: run_one(config, device=device, root=root) for config in configs}


def key_config(config: Any, root: str | None = None) -> dict:
    """The configuration together with the data it runs on: what a record's key is made of."""
    fingerprint = training.fingerprint(config.train.data, root)
    return {**cache.canonical(config), "data_fingerprint": fingerprint}


def own_key(config: Any, root: str | None = None) -> dict:
    """The configuration alone: the key of what rests on no data."""
    return cache.canonical(config)


def _clustering(test: clustering.ShuffleTest) -> dict:
    """What a record keeps of one shuffle test."""
    sizes = np.bincount(test.labels[test.labels >= 0], minlength=test.k)
    return {
        "ncut": round(test.ncut, 6),
        "shuffled": cache.rounded(test.shuffled, 5),
        "cluster_sizes": sorted((int(size) for size in sizes), reverse=True),
    }
