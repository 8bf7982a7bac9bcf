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
from unittest import mock

import numpy as np

from modgraph_lib import datasets, store, training
from modgraph_lib.experiments import mlps
from modgraph_lib.training import TrainConfig

__all__ = ["TOLERANCES", "Comparison", "verify"]

# n-cut and the shuffles' mean relative, accuracies absolute; wide enough for another
# processor's rounding, narrow enough for any change of method to show.
TOLERANCES = {"ncut": 0.05, "shuffle_mean": 0.02, "accuracy": 0.05}


@dataclass(frozen=True)
class Comparison:
    """One recomputed record: its key, what it is, and the outcome.

    ``outcome`` is "identical", "agrees" (within ``TOLERANCES``) or "differs".
    """

    key: str
    what: str
    outcome: str
    detail: str


def verify(*, records: int = 4, limit_seconds: float = 20.0, seed: int = 0) -> list[Comparison]:
    """Recompute up to ``records`` committed records that took less than ``limit_seconds``.

    Args:
        records: how many ``mlp_ncut`` records to draw; one record of untrained networks is
            always among those compared.
        limit_seconds: training and measuring time above which a record is not a candidate
            (give ``inf`` to draw from all, minutes each at paper scale).
        seed: fixes the draw.

    Raises:
        FileNotFoundError: there are no committed records.
    """
    committed = [r for r in _committed(mlps.EXPERIMENT) if _cost(r) <= limit_seconds]
    committed = [r for r in committed if _available(r["config"]["train"]["data"])]
    order = np.random.default_rng(seed).permutation(len(committed))[:records]
    with _empty_cache():
        found = [_initial(r) for r in _committed(mlps.INITIAL_EXPERIMENT)[:1]]
        return found + [_network(committed[i]) for i in order]


def _committed(experiment: str) -> list[dict]:
    path = store.results_root() / f"{experiment}.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: no committed records to verify")
    with _empty_cache():
        return store.read(experiment)


@contextlib.contextmanager
def _empty_cache():
    """Nothing computed before may vouch for itself."""
    with (
        tempfile.TemporaryDirectory() as empty,
        mock.patch.dict(os.environ, {"MODGRAPH_CACHE": empty}),
    ):
        yield


def _cost(record: dict) -> float:
    return record["result"]["train_seconds"] + record["provenance"]["seconds"]


def _available(data: str) -> bool:
    try:
        training.fingerprint(data)
    except datasets.DataMissing:
        return False
    return True


def _network(record: dict) -> Comparison:
    fields = dict(record["config"])
    fingerprint = fields.pop("data_fingerprint")
    config = mlps.NcutConfig(**{**fields, "train": TrainConfig(**fields["train"])})
    train = config.train
    what = f"{train.data}, {config.stage}, seed {train.seed}, k {list(config.cluster_counts)}"
    if training.fingerprint(train.data) != fingerprint:
        return Comparison(record["key"], what, "differs", "another copy of the data")
    result = mlps.measure(config)["result"]
    return Comparison(record["key"], what, *_compare(record["result"], result))


def _compare(before: dict, now: dict) -> tuple[str, str]:
    """Outcome and a line of detail for two results of the same configuration."""
    same = all(before[name] == now[name] for name in ("metrics", "nodes", "clusterings"))
    worst = {"ncut": 0.0, "shuffle_mean": 0.0, "accuracy": 0.0}
    for k, old in before["clusterings"].items():
        new = now["clusterings"][k]
        means = np.mean(old["shuffled"]), np.mean(new["shuffled"])
        worst["ncut"] = max(worst["ncut"], abs(new["ncut"] / old["ncut"] - 1))
        worst["shuffle_mean"] = max(worst["shuffle_mean"], abs(means[1] / means[0] - 1))
    for name, old in before["metrics"].items():
        if name.endswith("accuracy") and old is not None:
            worst["accuracy"] = max(worst["accuracy"], abs(now["metrics"][name] - old))
    detail = ", ".join(f"{name} off by {value:.2g}" for name, value in worst.items())
    if same:
        return "identical", detail
    within = all(value <= TOLERANCES[name] for name, value in worst.items())
    return ("agrees" if within else "differs"), detail


def _initial(record: dict, networks: int = 5) -> Comparison:
    networks = min(networks, record["config"]["networks"])
    config = mlps.InitialConfig(**{**record["config"], "networks": networks})
    now = mlps.run_initial([config], workers=1)[0]["result"]["ncuts"]
    before = {k: values[:networks] for k, values in record["result"]["ncuts"].items()}
    worst = max(abs(new / old - 1) for k in now for old, new in zip(before[k], now[k], strict=True))
    what = f"{networks} untrained networks"
    outcome = "identical" if now == before else "agrees" if worst < 0.02 else "differs"
    return Comparison(record["key"], what, outcome, f"n-cut off by {worst:.2g}")
