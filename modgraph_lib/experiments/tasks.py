"""Tasks made to be solved in parts: two half images, 512 polynomials, two data sets mixed.

What ``clusterability/02_halves_and_polynomials`` runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import joblib
import pandas as pd
from torch import nn

from modgraph_lib import models, store, training
from modgraph_lib.experiments import mixtures, mlps
from modgraph_lib.experiments.mlps import NcutConfig, condition
from modgraph_lib.parameters import parameter
from modgraph_lib.training import TrainConfig

__all__ = [
    "PenaltyConfig",
    "TasksParameters",
    "halves_networks",
    "mixture_networks",
    "penalties",
    "penalty",
    "polynomial_networks",
    "run_penalties",
]

EXPERIMENT, SCHEMA = "mlp_penalty", 1
STAGES = ("unpruned", "pruned")
KINDS = ("same", "diff")
BASES = ("digits", "mnist", "fashion_mnist", "cifar10_grey")


@dataclass(frozen=True)
class TasksParameters:
    """Parameters of ``clusterability/02_halves_and_polynomials``; the defaults are quick."""

    halves: list[str] = parameter(
        ["digits"], "data sets to make halves of: digits, mnist, fashion_mnist", choices=BASES
    )
    mixtures: list[str] = parameter(
        ["digits+digits_halves_diff"], "pairs A+B, or A+B:separate, of data sets"
    )
    regularizers: list[str] = parameter(
        ["none", "l1", "l2"],
        "conditions of the polynomials: none, dropout, l1, l2",
        choices=mlps.REGULARIZERS,
    )
    seeds: int = parameter(3, "networks per data set and condition (paper: 5)", at_least=1)
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(50, "shuffled networks per network (paper: 50)", at_least=1)
    epochs: int = parameter(20, "epochs before pruning (paper: 20)", at_least=1)
    prune_epochs: int = parameter(20, "epochs with pruning (paper: 20)", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    images: int = parameter(0, "training images of each data set; 0 means all", at_least=0)
    points: int = parameter(
        1500, "training points of the polynomials; 0 means all 60,000 (paper: not stated)",
        at_least=0,
    )  # fmt: skip
    seed: int = parameter(0, "first network seed; later ones count up", at_least=0)
    device: str = parameter("auto", "auto, cpu, cuda or mps")
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)

    def __post_init__(self) -> None:
        data = ["polynomials", *_halves(self), *mixtures.with_constituents(self.mixtures)]
        mlps.check_sizes(data, self.width, [self.clusters])


def polynomial_networks(parameters: TasksParameters) -> list[NcutConfig]:
    """Configurations behind Table A.19 and Figure A.7.

    Source: Clusterability in Neural Networks, appendix A.7.
    """
    p = parameters
    return _networks(p, ["polynomials"], p.regularizers, STAGES, p.points)


def halves_networks(parameters: TasksParameters) -> list[NcutConfig]:
    """Configurations behind Table A.7 and Figure 5; no regulariser.

    Source: Clusterability in Neural Networks, section 2.1.
    """
    p = parameters
    return _networks(p, _halves(p), ["none"], STAGES, p.images)


def mixture_networks(parameters: TasksParameters) -> list[NcutConfig]:
    """Configurations behind Tables A.20 and A.21: constituents and mixtures, pruned.

    Source: Clusterability in Neural Networks, appendix A.8.
    """
    p = parameters
    data = mixtures.with_constituents(p.mixtures)
    return _networks(p, data, mixtures.REGULARIZERS, ["pruned"], p.images)


def _halves(parameters: TasksParameters) -> list[str]:
    return [f"{base}_halves_{kind}" for base in parameters.halves for kind in KINDS]


def _networks(
    p: TasksParameters,
    data: Sequence[str],
    regularizers: Sequence[str],
    stages: Sequence[str],
    images: int,
) -> list[NcutConfig]:
    return [
        NcutConfig(
            condition(
                name,
                regularizer,
                seed,
                epochs=p.epochs,
                prune_epochs=p.prune_epochs,
                width=p.width,
                batch_size=p.batch_size,
                images=images,
            ),
            stage,
            (p.clusters,),
            p.shuffles,
        )
        for seed in range(p.seed, p.seed + p.seeds)
        for name in data
        for regularizer in regularizers
        for stage in stages
    ]


@dataclass(frozen=True)
class PenaltyConfig:
    """The penalty that a trained network's weights carry at one stage."""

    train: TrainConfig
    stage: str

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")


def run_penalties(
    configs: Iterable[NcutConfig], *, workers: int | None = None, root: str | None = None
) -> list[dict]:
    """Records of the penalties of the networks of these configurations, in their order.

    The released code adds the penalty to every loss that it prints; the paper's text calls the
    loss a mean squared error.
    """
    wanted = list(dict.fromkeys(PenaltyConfig(c.train, c.stage) for c in configs))
    tasks = [joblib.delayed(_run_penalty)(config, root) for config in wanted]
    return joblib.Parallel(n_jobs=workers or joblib.cpu_count())(tasks)


def penalty(model: nn.Module, train: TrainConfig) -> float:
    """l1 sum|w| + l2 sum w^2 over the kernels of a network, as it was trained with."""
    total = 0.0
    for position, kernel in enumerate(models.kernels(model)):
        l1, l2 = train.l1, train.l2
        if train.first_layer_l1 and position == 0:
            l1, l2 = l1 + l2, 0.0
        weight = kernel.detach()
        total += l1 * float(weight.abs().sum()) + l2 * float(weight.square().sum())
    return total


def _run_penalty(config: PenaltyConfig, root: str | None) -> dict:
    fingerprint = training.fingerprint(config.train.data, root)
    key = {**store.canonical(config), "data_fingerprint": fingerprint}
    record = store.get(EXPERIMENT, SCHEMA, key)
    if record is not None:
        return record
    with training.single_thread():
        network = training.trained(config.train, root=root)
        start = time.perf_counter()
        result = {
            "penalty": penalty(network.model(config.stage), config.train),
            "test_loss": network.metrics[config.stage]["test_loss"],
        }
    note = training.data_note(config.train.data, root)
    seconds = time.perf_counter() - start
    origin = store.provenance(device="cpu", threads=1, seconds=seconds, data_note=note)
    return store.put(EXPERIMENT, SCHEMA, key, result, origin)


def penalties(records: Iterable[dict]) -> pd.DataFrame:
    """One row per (network, stage) of ``mlp_penalty`` records.

    Columns: data, regularizer, stage, seed, epochs, prune_epochs, width, batch_size, images,
    test_loss (mean squared error or cross-entropy), penalty, test_loss_penalised (their sum),
    key.
    """
    rows = []
    for record in records:
        config, result = record["config"], record["result"]
        train = config["train"]
        rows.append(
            {
                "data": train["data"],
                "regularizer": mlps._regularizer(train),
                "stage": config["stage"],
                "seed": train["seed"],
                **{name: train[name] for name in ("epochs", "prune_epochs", "batch_size")},
                "width": train["widths"][0],
                "images": train.get("images", 0),
                "test_loss": result["test_loss"],
                "penalty": result["penalty"],
                "test_loss_penalised": result["test_loss"] + result["penalty"],
                "key": record["key"],
            }
        )
    return pd.DataFrame(rows, columns=PENALTY_COLUMNS)


# fmt: off
PENALTY_COLUMNS = [
    "data", "regularizer", "stage", "seed", "epochs", "prune_epochs", "batch_size", "width",
    "images", "test_loss", "penalty", "test_loss_penalised", "key",
]
# fmt: on
