"""Trained networks on demand: one, or many in the way that is fastest on the device at hand.

On a CPU several small networks train fastest as one single-threaded process each; on a GPU as
one vmapped stack. Either way a member's initial weights and batch order depend on its own seed
alone, and finished networks are kept in ``data/cache/networks`` as safetensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import joblib
import torch

from modgraph_lib import _checks, cache, provenance
from modgraph_lib.device import pick_device, single_thread, threads_for
from modgraph_lib.pixels import with_channels
from modgraph_lib.training import checkpoints, planted, sgd, zoo
from modgraph_lib.training.config import TrainConfig
from modgraph_lib.training.forward import evaluate
from modgraph_lib.training.loop import Trained, build, train
from modgraph_lib.training.pruning import PruningSchedule, magnitude_mask
from modgraph_lib.training.sets import data_note, fingerprint, pair
from modgraph_lib.training.sgd import SgdConfig

__all__ = [
    "PruningSchedule",
    "SgdConfig",
    "TrainConfig",
    "Trained",
    "build",
    "cache_path",
    "data_note",
    "evaluate",
    "fingerprint",
    "magnitude_mask",
    "pick_device",
    "planted",
    "sgd",
    "single_thread",
    "threads_for",
    "train",
    "train_many",
    "trained",
    "with_channels",
    "zoo",
]


def trained(
    config: TrainConfig,
    *,
    device: str = "cpu",
    root: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Trained:
    """One trained network, from the cache or trained now (continuing a killed run).

    >>> config = training.TrainConfig("digits", seed=0, widths=(8,), epochs=1, prune_epochs=0)
    >>> network = training.trained(config)
    >>> network.model("unpruned")(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 10])
    """
    return _trained_stack([config], device=device, root=root, progress=progress)[0]


def train_many(
    configs: Sequence[TrainConfig],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | Path | None = None,
) -> list[Trained]:
    """Trained networks in the order of their configurations.

    On a CPU each network is a task of ``joblib.Parallel``; no backend is named, so that
    ``joblib.parallel_config(backend="dask")`` takes the sweep to a cluster. On an accelerator
    configurations equal up to their seed are trained as one stack (those with batch norm one
    by one).

    Args:
        configs: what to train; networks found in the cache are not trained again.
        device: "auto", "cpu", "cuda", "mps".
        workers: parallel processes on a CPU; by default one per core.
        root: data root, as in ``datasets.load``.

    >>> config = training.TrainConfig("digits", seed=0, widths=(8,), epochs=1, prune_epochs=0)
    >>> found = training.train_many([config], device="cpu", workers=1)
    >>> sorted(found[0].metrics)
    ['unpruned']
    """
    device = pick_device(device)
    for config in _checks.instance(configs, Sequence, "a list of configurations"):
        _checks.instance(config, TrainConfig, "a TrainConfig")
    if device == "cpu":
        jobs = [joblib.delayed(trained)(config, root=root) for config in configs]
        return joblib.Parallel(n_jobs=_checks.threads(workers))(jobs)
    done: dict[TrainConfig, Trained] = {}
    ordered = sorted(configs, key=lambda c: (repr(c.without_seed()), c.seed))
    for _, group in groupby(ordered, key=lambda c: c.without_seed() if c.stacks else c):
        members = list(dict.fromkeys(group))
        stack = _trained_stack(members, device=device, root=root)
        done |= dict(zip(members, stack, strict=True))
    return [done[config] for config in configs]


def cache_path(config: TrainConfig, root: str | Path | None = None) -> Path:
    """Where the trained network of a configuration is, or will be, kept.

    >>> training.cache_path(training.TrainConfig("digits", seed=0)).suffix
    '.safetensors'
    """
    key = checkpoints.network_key([config], pair(config.data, root)[0])
    return cache.cache_root() / "networks" / f"{key}.safetensors"


def _trained_stack(configs, *, device, root, progress=None) -> list[Trained]:
    """Members from the cache; the missing ones trained together and cached one by one."""
    device = pick_device(device)
    for config in configs:
        _checks.instance(config, TrainConfig, "a TrainConfig")
    train_data, test_data = pair(configs[0].data, root)
    paths = {c: cache_path(c, root) for c in configs}
    cached = {c: _from_cache(c, path) for c, path in paths.items()}
    found = {c: network for c, network in cached.items() if network is not None}
    missing = [c for c in configs if c not in found]
    if missing:
        cache.check_writable()
        name = checkpoints.network_key(missing, train_data)
        checkpoint = cache.cache_root() / "checkpoints" / f"{name}.safetensors"
        with threads_for(device):
            fresh = train(
                missing,
                train_data,
                test_data,
                device=device,
                checkpoint=checkpoint,
                progress=progress,
            )
        for network in fresh:
            _to_cache(network, paths[network.config], device)
            found[network.config] = network
        checkpoint.unlink(missing_ok=True)
    return [found[c] for c in configs]


def _to_cache(network: Trained, path: Path, device: str) -> None:
    tensors = {
        f"{stage}.{name}": weight
        for stage, weights in network.weights.items()
        for name, weight in weights.items()
    }
    facts = {
        "config": cache.canonical(network.config),
        "image_shape": network.image_shape,
        "outputs": network.outputs,
        "metrics": network.metrics,
        "seconds": network.seconds,
        "provenance": provenance.stamp(
            device=device, threads=torch.get_num_threads(), seconds=network.seconds
        ),
    }
    checkpoints.save_tensors(path, tensors, facts)


def _from_cache(config: TrainConfig, path: Path) -> Trained | None:
    loaded = checkpoints.load_network(path, config)
    if loaded is None:
        return None
    tensors, facts = loaded
    weights: dict[str, dict[str, torch.Tensor]] = {stage: {} for stage in facts["metrics"]}
    for name, tensor in tensors.items():
        stage, _, parameter = name.partition(".")
        weights[stage][parameter] = tensor
    shape = tuple(facts["image_shape"])
    return Trained(config, shape, facts["outputs"], weights, facts["metrics"], facts["seconds"])
