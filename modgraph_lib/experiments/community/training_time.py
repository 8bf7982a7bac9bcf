"""Q of every layer and test accuracy after each of the first epochs: one record an epoch.

Records are stored as the epochs end, so no weights of early epochs are kept and a killed run
goes on with the next. The finished network stays in the cache for the other experiments.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.3 and figure 6(b).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import joblib
import pandas as pd

from modgraph_lib import store, training
from modgraph_lib.experiments.community import curves
from modgraph_lib.experiments.community.curves import CurveConfig
from modgraph_lib.training import SgdConfig, sgd

__all__ = ["EpochConfig", "run", "table"]

EXPERIMENT, SCHEMA = "community_epochs", 1


@dataclass(frozen=True)
class EpochConfig:
    """One epoch of one training run; ``epoch`` counts finished epochs, 0 is before training.

    The other fields are those of ``curves.CurveConfig``. All epochs look at the same images.
    """

    train: SgdConfig
    epoch: int
    samples: int = 500
    neighbours: tuple[int, ...] = (3,)
    layers: str = "described"
    sampling: str = "random"
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "neighbours", tuple(self.neighbours))
        if not 0 <= self.epoch <= self.train.epochs:
            raise ValueError(f"epoch lies in 0..{self.train.epochs}, got {self.epoch}")

    def curve(self) -> CurveConfig:
        """How each epoch is measured."""
        names = ("samples", "neighbours", "layers", "sampling", "repeats", "seed")
        return CurveConfig(self.train, **{name: getattr(self, name) for name in names})


def run(
    configs: Sequence[EpochConfig],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """All epochs up to 30 (or the run's last) of each configuration, in order of epoch.

    Args:
        configs: one a training run; their ``epoch`` is where watching ends.
    """
    device = training.pick_device(device)
    jobs = 1 if device != "cpu" else workers or joblib.cpu_count()
    watch = joblib.delayed(_watch)
    found = joblib.Parallel(n_jobs=jobs)(watch(config, device, root) for config in configs)
    return [record for records in found for record in records]


def _watch(last: EpochConfig, device: str, root: str | None) -> list[dict]:
    epochs = [replace(last, epoch=epoch) for epoch in range(last.epoch + 1)]
    keys = [curves.store_key(config, root) for config in epochs]
    if all(store.get(EXPERIMENT, SCHEMA, key) for key in keys):
        return [store.get(EXPERIMENT, SCHEMA, key) for key in keys]
    _, test = training.sets.pair(last.train.data, root)
    note = training.data_note(last.train.data, root)

    def look(model, epoch: int, entry: dict[str, float]) -> None:
        if epoch > last.epoch or store.get(EXPERIMENT, SCHEMA, keys[epoch]):
            return
        start = time.perf_counter()
        found = curves.curves_of(model, test.images, test.labels, last.curve(), device=device)
        result = {**store.canonical(entry), **found}
        seconds = time.perf_counter() - start
        origin = store.provenance(device=device, threads=1, seconds=seconds, data_note=note)
        store.put(EXPERIMENT, SCHEMA, keys[epoch], result, origin)

    with training.single_thread() if device == "cpu" else contextlib.nullcontext():
        model, _ = curves.network(last.train, "untrained", root=root)
        look(model, 0, {})
        sgd.trained(last.train, device=device, root=root, after_epoch=look)
    return [store.get(EXPERIMENT, SCHEMA, key) for key in keys]


def table(records: Iterable[dict]) -> pd.DataFrame:
    """One row a run, epoch, repeat and layer: the columns of ``curves.table``, and epoch.

    ``test_accuracy`` is that epoch's; it is missing before training.
    """
    found = []
    for record in records:
        config = {**record["config"], "stage": "trained", "similarity": "cosine"}
        config["symmetrise"] = "mean"
        rows = curves.table([{**record, "config": config}])
        found.append(rows.assign(epoch=record["config"]["epoch"]))
    if not found:
        return pd.DataFrame(columns=[*curves.COLUMNS, "epoch"])
    return pd.concat(found, ignore_index=True)
