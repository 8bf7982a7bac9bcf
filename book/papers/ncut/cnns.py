"""Clusterability of convolutional networks: small CNNs and a VGG, each in several readings.

One record is one (network, stage, reading): how the kernels between two channels became an
edge weight, and whether batch norms were folded in. The network is trained once for all its
readings. Clustering, shuffles and the shape of a record are those of ``mlps``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.ncut import mlps
from book.papers.ncut.cnn_settings import READINGS
from modgraph_lib import datasets, graphs, models, training
from modgraph_lib.graphs import tracing
from modgraph_lib.training import TrainConfig

__all__ = [
    "READINGS",
    "InitialConfig",
    "NcutConfig",
    "initial_configs",
    "initial_table",
    "measure",
    "readings",
    "run",
    "run_initial",
    "small_cnn",
    "table",
    "vgg",
]

REGULARIZERS = mlps.REGULARIZERS
VGG_REGULARIZERS = (*REGULARIZERS, "dropout+l2")
STAGES = ("unpruned", "pruned")
VARIANTS = ("described", "published")
PENALTY, VGG_L2 = 5e-5, 5e-4
CONV_DROPOUT, DROPOUT = 0.25, 0.5
# Shape of the images that a VGG's graph is traced with; a small CNN's needs none.
IMAGE_SHAPES = {"small_cnn": (1, 28, 28), "vgg": (3, 32, 32)}


@dataclass(frozen=True)
class NcutConfig:
    """One reading of one trained network at one stage, with its shuffle test.

    ``kernel_norm`` and ``fold_batch_norm`` are those of ``graphs.weight_graph``.
    """

    train: TrainConfig
    stage: str
    kernel_norm: str = "l1"
    fold_batch_norm: bool = True
    cluster_counts: tuple[int, ...] = (12,)
    shuffles: int = 50
    method: str = "layer"
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cluster_counts", tuple(self.cluster_counts))
        if self.train.architecture not in IMAGE_SHAPES:
            raise ValueError(f"{self.train.architecture} is no convolutional network; use mlps")
        tracing.check_option("kernel_norm", self.kernel_norm, tracing.KERNEL_NORMS)
        if self.stage not in STAGES:
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")
        epochs = self.train.epochs if self.stage == "unpruned" else self.train.prune_epochs
        if epochs == 0:
            raise ValueError(f"the {self.stage} stage has no epochs, so it has no network")


@dataclass(frozen=True)
class InitialConfig:
    """Clustering of untrained networks: how clusterable is the starting point?

    Batch norms start as the identity, but for one factor that all channels share, so folding
    them changes nothing here.
    """

    architecture: str = "small_cnn"
    width: int = 64
    kernel_norm: str = "l1"
    cluster_counts: tuple[int, ...] = (12,)
    first_seed: int = 0
    networks: int = 50
    n_init: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "cluster_counts", tuple(self.cluster_counts))
        tracing.check_option("architecture", self.architecture, tuple(IMAGE_SHAPES))
        tracing.check_option("kernel_norm", self.kernel_norm, tracing.KERNEL_NORMS)
        if self.networks < 1:
            raise ValueError(f"networks must be at least 1, got {self.networks}")


def small_cnn(
    data: str,
    regularizer: str,
    seed: int,
    *,
    epochs: int = 10,
    prune_epochs: int = 10,
    width: int = 64,
    batch_size: int = 64,
    precision: str = "bfloat16",
) -> TrainConfig:
    """The training run of one cell of Tables A.8, A.9 and A.12.

    Dropout is 0.25 after each convolution and 0.5 after the dense layer; L1 and L2 are 5e-5.
    The released code trains these networks as the text says.

    Raises:
        ValueError: unknown data set or regulariser.

    Source: Clusterability in Neural Networks, sections 3 and 3.2.
    """
    datasets.check_name(data)
    tracing.check_option("regularizer", regularizer, REGULARIZERS)
    dropped = regularizer == "dropout"
    return TrainConfig(
        data=data,
        seed=seed,
        architecture="small_cnn",
        widths=(width,),
        dropout=CONV_DROPOUT if dropped else 0.0,
        dense_dropout=DROPOUT if dropped else 0.0,
        l1=PENALTY if regularizer == "l1" else 0.0,
        l2=PENALTY if regularizer == "l2" else 0.0,
        epochs=epochs,
        prune_epochs=prune_epochs,
        batch_size=batch_size,
        precision=precision,
    )


def vgg(
    regularizer: str,
    seed: int,
    *,
    data: str = "cifar10",
    variant: str = "described",
    epochs: int = 200,
    prune_epochs: int = 50,
    width: int = 64,
    batch_size: int = 128,
    precision: str = "bfloat16",
) -> TrainConfig:
    """The training run of one cell of Table A.10.

    Dropout as in ``models.vgg``; L1 is 5e-5, L2 5e-4 (from the released code, the text does not
    say). Images are turned, shifted and mirrored in both phases: by 0 to 15 degrees as the text
    says, or with ``variant="published"`` by -15 to 15.

    Raises:
        ValueError: unknown data set, regulariser or variant.

    Source: Clusterability in Neural Networks, section 3; appendix A.4.
    """
    datasets.check_name(data)
    tracing.check_option("regularizer", regularizer, VGG_REGULARIZERS)
    tracing.check_option("variant", variant, VARIANTS)
    given = regularizer.split("+")
    return TrainConfig(
        data=data,
        seed=seed,
        architecture="vgg",
        widths=(width,),
        dropout=DROPOUT if "dropout" in given else 0.0,
        l1=PENALTY if "l1" in given else 0.0,
        l2=VGG_L2 if "l2" in given else 0.0,
        epochs=epochs,
        prune_epochs=prune_epochs,
        batch_size=batch_size,
        precision=precision,
        augmentation=variant,
    )


def readings(
    train: TrainConfig,
    *,
    stages: Sequence[str] = STAGES,
    names: Sequence[str] = tuple(READINGS),
    cluster_counts: Sequence[int] = (12,),
    shuffles: int = 50,
) -> list[NcutConfig]:
    """Configurations for one network: each stage in each of the named ``READINGS``.

    Without batch norms there is nothing to fold, and every reading says so in the same way.
    """
    normed = not train.stacks
    return [
        NcutConfig(
            train,
            stage,
            READINGS[name][0],
            READINGS[name][1] or not normed,
            tuple(cluster_counts),
            shuffles,
        )
        for name in names
        for stage in stages
    ]


def initial_configs(
    architecture: str,
    *,
    networks: int = 100,
    width: int = 64,
    names: Sequence[str] = tuple(READINGS),
    cluster_counts: Sequence[int] = (12,),
) -> list[InitialConfig]:
    """Untrained networks in the named readings, in records of at most 25.

    Source: Clusterability in Neural Networks, figures A.2 and A.3.
    """
    return [
        InitialConfig(
            architecture,
            width,
            READINGS[name][0],
            tuple(cluster_counts),
            first,
            min(25, networks - first),
        )
        for name in names
        for first in range(0, networks, 25)
    ]


def measure(config: NcutConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Config, result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, root=root)
    graph = graphs.weight_graph(
        network.model(config.stage),
        kernel_norm=config.kernel_norm,
        fold_batch_norm=config.fold_batch_norm,
        example=network.image_shape,
        floor=0,
    )
    return sweep.measured(config, network, graph, device=device, root=root)


def measure_initial(config: InitialConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """n-cuts of untrained networks computed anew and not stored."""

    shape = IMAGE_SHAPES[config.architecture]

    def graph(seed: int) -> graphs.LayeredGraph:
        model = _untrained(config, shape, seed).eval()
        return graphs.weight_graph(model, kernel_norm=config.kernel_norm, example=shape, floor=0)

    seeds = range(config.first_seed, config.first_seed + config.networks)
    return sweep.untrained(config, seeds, graph)


def _untrained(config: InitialConfig, shape: tuple[int, int, int], seed: int) -> nn.Module:
    if config.architecture == "vgg":
        return models.vgg(shape, width=config.width, seed=seed)
    return models.small_cnn(shape, channels=config.width, seed=seed)


def rows(record: dict) -> list[dict]:
    """One row a k, as ``mlps.rows`` has it.

    ``reading`` is a key of ``READINGS``, or norm and folding where no reading is meant; ``variant``
    is the training's: "published" for a VGG whose images turn both ways.
    """
    train = record["config"]["train"]
    published = train["architecture"] == "vgg" and train.get("augmentation") == "published"
    own = {"variant": "published" if published else "described", "reading": _reading(record)}
    return [{**row, **own} for row in mlps.rows(record)]


def untrained_rows(record: dict) -> list[dict]:
    """One row per (untrained network, k) in one reading."""
    config = record["config"]
    reading = NORM_NAMES[config["kernel_norm"]]
    return [{**row, "reading": reading} for row in mlps.by_seed(record, config["first_seed"])]


NORM_NAMES = {norm: name for name, (norm, _) in READINGS.items()}


def _reading(record: dict) -> str:
    """The name of a reading; without batch norms the norm alone decides."""
    config = record["config"]
    norm, folded = config["kernel_norm"], config["fold_batch_norm"]
    name = NORM_NAMES[norm]
    if config["train"]["architecture"] == "small_cnn" or READINGS[name][1] == folded:
        return name
    return f"{norm}, {'folded' if folded else 'not folded'}"


EXPERIMENT = Experiment(
    "cnn_ncut",
    NcutConfig,
    measure,
    rows,
    (*mlps.COLUMNS, "reading"),
    keep=lambda record: not record["config"]["train"]["data"].startswith("digits"),
)
INITIAL = Experiment(
    "cnn_initial_ncut",
    InitialConfig,
    measure_initial,
    untrained_rows,
    ("seed", "k", "ncut", "reading"),
    key=sweep.own_key,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
initial_table = INITIAL.table
run_initial = functools.partial(INITIAL.run, device="cpu")
