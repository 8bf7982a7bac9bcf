"""Q of every layer and test accuracy after each of the first epochs: one record an epoch.

Records are stored as the epochs end, so no weights of early epochs are kept and a killed run
goes on with the next. The finished network stays in the cache for the other experiments.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.3 and figure 6(b).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import joblib

from book.lab import sweep
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.community_modularity import curves, settings
from book.papers.community_modularity.curves import CurveConfig
from modgraph_lib import cache, provenance, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, sgd

__all__ = ["EpochConfig", "TrainingTimeParameters", "run", "runs", "table"]


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
    jobs = sweep.jobs(device, workers)
    watch = joblib.delayed(_watch)
    found = joblib.Parallel(n_jobs=jobs)(watch(config, device, root) for config in configs)
    return [record for records in found for record in records]


def _watch(last: EpochConfig, device: str, root: str | None) -> list[dict]:
    epochs = [replace(last, epoch=epoch) for epoch in range(last.epoch + 1)]
    found = [EXPERIMENT.stored(config, root) for config in epochs]
    if all(found):
        return found
    _, test = training.sets.pair(last.train.data, root)
    note = training.data_note(last.train.data, root)

    def look(model, epoch: int, entry: dict[str, float]) -> None:
        if epoch > last.epoch or EXPERIMENT.stored(epochs[epoch], root):
            return
        start = time.perf_counter()
        found = curves.curves_of(model, test.images, test.labels, last.curve(), device=device)
        result = {**cache.canonical(entry), **found}
        seconds = time.perf_counter() - start
        origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
        EXPERIMENT.put(epochs[epoch], result, origin, root)

    with training.threads_for(device):
        model, _ = curves.network(last.train, "untrained", root=root)
        look(model, 0, {})
        sgd.trained(last.train, device=device, root=root, after_epoch=look)
    return [EXPERIMENT.stored(config, root) for config in epochs]


@dataclass(frozen=True)
class TrainingTimeParameters(settings.TrainedParameters):
    """Parameters of ``community_modularity/03_training``; the defaults are quick."""

    networks: list[str] = parameter(
        ["resnet18", "vgg16"], "networks that are watched (paper: resnet18 and vgg16)"
    )
    watch: int = parameter(12, "epochs that are watched (paper: 30)", at_least=1)
    samples: int = parameter(250, "test images in a graph (paper: 500)", at_least=20)

    def __post_init__(self) -> None:
        for network in self.networks:
            cifar_networks.plan_of(network)


def runs(parameters: TrainingTimeParameters) -> list[EpochConfig]:
    """What the section watches: one configuration a network, whose epoch is the last one."""
    p = parameters
    return [
        EpochConfig(
            settings.training_run(
                network,
                p.seed + number,
                **p.given("data", "scale", "width", "epochs", "batch_size", "precision"),
            ),
            min(p.watch, p.epochs),
            samples=p.samples,
            neighbours=(p.neighbours,),
            repeats=p.repeats,
        )
        for number in range(p.seeds)
        for network in p.networks
    ]


class _Reached(Exception):
    """The epoch that is asked for; training need not go on."""


def _again(config: EpochConfig) -> dict[str, Any]:
    """One epoch's record, trained up to it."""
    _, test = training.sets.pair(config.train.data, None)
    result: dict[str, Any] = {}

    def look(model, epoch: int, entry: dict[str, float]) -> None:
        if epoch == config.epoch:
            found = curves.curves_of(model, test.images, test.labels, config.curve(), device="cpu")
            result.update({**cache.canonical(entry), **found})
            raise _Reached

    with training.threads_for("cpu"), suppress(_Reached):
        look(curves.network(config.train, "untrained")[0], 0, {})
        sgd.trained(config.train, after_epoch=look)
    return result


EXPERIMENT = Experiment(
    "community_epochs",
    EpochConfig,
    rows=curves.rows,
    columns=curves.COLUMNS,
    recompute=_again,
    keep=curves.of_colour_images,
)
table = EXPERIMENT.table


SECTION = Section(
    "community_modularity/03_training", TrainingTimeParameters, lambda p: [Sweep(run, runs(p))]
)
