"""Recompute a sample of the committed records from nothing and compare.

Training is chaotic in the last bits, so another processor gives another network of the same
kind: identical numbers are expected on the machine that made a record, agreement within stated
tolerances elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from itertools import zip_longest
from unittest import mock

import numpy as np

from book.lab import registry, store
from book.lab.experiment import Experiment
from modgraph_lib import datasets, training

__all__ = ["Comparison", "verify"]


@dataclass(frozen=True)
class Comparison:
    """One recomputed record: its key, what it is, and the outcome.

    ``outcome`` is "identical", "agrees" (within ``compare.TOLERANCES``) or "differs".
    """

    key: str
    what: str
    outcome: str
    detail: str


def verify(*, records: int = 6, limit_seconds: float = 20.0, seed: int = 0) -> list[Comparison]:
    """Recompute up to ``records`` committed records that took less than ``limit_seconds``.

    Args:
        records: how many to draw; every experiment has its turn before any has a second one.
        limit_seconds: training and measuring time above which a record is not a candidate
            (give ``inf`` to draw from all, minutes each at paper scale).
        seed: fixes the draw.

    Raises:
        FileNotFoundError: there are no committed records.
    """
    rng = np.random.default_rng(seed)
    queues = []
    for experiment in registry.experiments():
        found = [
            record
            for record in _committed(experiment)
            if (experiment.in_part or _cost(record) <= limit_seconds) and _available(record)
        ]
        queues.append([(experiment, found[i]) for i in rng.permutation(len(found))])
    drawn = [pair for turn in zip_longest(*queues) for pair in turn if pair][:records]
    if not drawn:
        raise FileNotFoundError(
            f"no committed records under {limit_seconds:g} s in {store.results_root()}"
        )
    with _empty_cache():
        return [_compared(experiment, record) for experiment, record in drawn]


def _committed(experiment: Experiment) -> list[dict]:
    if experiment.recompute is None:
        return []
    with _empty_cache():
        return store.read(experiment.name)


@contextlib.contextmanager
def _empty_cache():
    """Nothing computed before may vouch for itself."""
    with (
        tempfile.TemporaryDirectory() as empty,
        mock.patch.dict(os.environ, {"MODGRAPH_CACHE": empty}),
    ):
        yield


def _cost(record: dict) -> float:
    return record["result"].get("train_seconds", 0) + record["provenance"]["seconds"]


def _available(record: dict) -> bool:
    """Whether the data and the weights a record rests on are here."""
    if record["config"].get("weights") == "imagenet":
        return False
    try:
        training.fingerprint(record["config"]["train"]["data"])
    except KeyError:
        return True
    except datasets.DataMissing:
        return False
    return True


def _compared(experiment: Experiment, record: dict) -> Comparison:
    config = record["config"]
    train = config.get("train", {})
    named = {**train, **config}
    parts = [f"{n} {named[n]}" for n in ("data", "name", "kind", "stage", "seed") if n in named]
    what = f"{experiment.name}: {', '.join(parts)}"
    known = config.get("data_fingerprint")
    if known is not None and training.fingerprint(named["data"]) != known:
        return Comparison(record["key"], what, "differs", "another copy of the data")
    now = experiment.again(record)
    return Comparison(record["key"], what, *experiment.compare(record["result"], now))
