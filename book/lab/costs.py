"""What it takes to compute a record anew: its seconds, and those of training its network."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, safe_open

from book.lab import registry, store, sweep
from book.lab.experiment import Experiment, rebuilt
from modgraph_lib import cache
from modgraph_lib.datasets._fetch import needs
from modgraph_lib.datasets._load import where
from modgraph_lib.datasets._places import roots

__all__ = ["Costs"]

IN_PART = 5.0  # seconds of what is recomputed in part


@dataclass(frozen=True)
class Costs:
    """Seconds of training by network, as records tell them, and which networks are here.

    A network is named by the digest of its canonical configuration.
    """

    training: Mapping[str, float]
    cached: frozenset[str]

    @classmethod
    def known(cls, *, train: bool) -> Costs:
        """What records and networks say now; ``train``: as if there were no networks."""
        found: dict[str, float] = {}
        for experiment in registry.experiments():
            try:
                records = store.read(experiment.name)
            except ValueError:  # a damaged file, which is told elsewhere
                continue
            for record in records:
                if "train_seconds" in record["result"] and "train" in record["config"]:
                    key = _key(record["config"]["train"])
                    found[key] = record["result"]["train_seconds"]
        return cls(found, frozenset() if train else _networks())

    def holds(self, network: Any) -> bool:
        """Whether the trained network of a configuration is in the cache."""
        return _key(network) in self.cached

    def of(self, experiment: Experiment, record: dict) -> tuple[float, str]:
        """Seconds that a record should take, or why it cannot be computed here."""
        config, own = record["config"], experiment.share * record["provenance"]["seconds"]
        if not experiment.recomputes:
            return 0.0, "no way to compute it anew"
        if config.get("weights") == "imagenet":
            return 0.0, "ImageNet weights are not kept here"
        train = config.get("train")
        name = (train or config).get("data")
        if isinstance(name, str) and not _is_here(name):
            return 0.0, f"{name} is not here"
        if experiment.in_part:
            return IN_PART, ""
        if train is None or config.get("stage") == "untrained" or experiment.key is sweep.own_key:
            return own, ""
        network = rebuilt(experiment.config, config).train
        epochs = config.get("epoch", network.epochs)
        watched = "epoch" in config  # which trains even a network that is there
        if epochs == 0 or (not watched and self.holds(network)):
            return own, ""
        seconds = self._training(network)
        if seconds is None:
            return 0.0, "no record tells how long its training takes"
        return own + seconds * epochs / network.epochs, ""

    def _training(self, network: Any) -> float | None:
        seconds = self.training.get(_key(network))
        parent = getattr(network, "parent", None)
        if parent is None or seconds is None or self.holds(parent):
            return seconds
        before = self._training(parent)
        return None if before is None else seconds + before


def _networks() -> frozenset[str]:
    """Of which configurations there are trained networks; files are checked when used."""
    found = set()
    cached = (cache.cache_root() / "networks").glob("*.safetensors")
    for path in (*cached, *store.shipped_networks()):
        damaged = suppress(SafetensorError, OSError, KeyError, TypeError, ValueError)
        with damaged, safe_open(path, "pt") as file:
            found.add(_key(json.loads(file.metadata()["facts"])["config"]))
    return frozenset(found)


@functools.cache
def _is_here(name: str) -> bool:
    return all(where(source, roots(None)) for source in needs(name))


def _key(train: Any) -> str:
    return cache.config_key("costs", 1, train)
