"""Promoting clusterability: the eigenvalue regulariser, and clusterable initialisation.

One record is one (network, stage), clustered and shuffled as in ``mlps``. The MLPs that
clusterable initialisation is compared with are those of ``mlps``; small networks without the
regulariser and plain CNNs have records here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from book.lab import sweep
from book.lab.experiment import Experiment
from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import cnns, mlps
from book.papers.ncut.mlps import NcutConfig
from modgraph_lib import graphs, training
from modgraph_lib.training import TrainConfig

__all__ = [
    "InitialConfig",
    "PromotingParameters",
    "initial_configs",
    "initial_table",
    "initialised",
    "measure",
    "plain",
    "regularised",
    "regulariser_networks",
    "run",
    "run_initial",
    "table",
    "tagged_networks",
]

ARCHITECTURES = ("mlp", "small_cnn", "vgg")
VARIANTS = ("described", "published")
ARMS = ("none", "normalised", "eigenvalues")
DATA = ("digits", "mnist", "fashion_mnist", "cifar10", "mnist_7x7")
STAGES = ("unpruned", "pruned")
PENALTY = 0.1
TAGS = 10
BETA = {"mlp": 0.6, "small_cnn": 0.8, "vgg": 0.8}
SHAPES = {"digits": (8, 8), "mnist_7x7": (7, 7)}


@dataclass(frozen=True)
class InitialConfig:
    """n-cuts of untrained networks, clusterably initialised or not.

    ``train`` names the network; its seeds run from ``train.seed`` on.
    """

    train: TrainConfig
    image_shape: tuple[int, ...]
    cluster_counts: tuple[int, ...]
    networks: int = 20
    n_init: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        object.__setattr__(self, "cluster_counts", tuple(self.cluster_counts))
        if self.networks < 1:
            raise ValueError(f"networks must be at least 1, got {self.networks}")


@dataclass(frozen=True)
class PromotingParameters(Run):
    """Parameters of ``clusterability/05_promoting``; the defaults are quick."""

    data: list[str] = parameter(
        ["digits"],
        "data sets of the tagged start: digits, mnist, fashion_mnist, cifar10",
        choices=DATA,
    )
    small_data: str = parameter(
        "digits", "data set of the regulariser: digits or mnist_7x7", choices=DATA
    )
    architecture: str = parameter(
        "mlp", "networks that are initialised: mlp, small_cnn or vgg", choices=ARCHITECTURES
    )
    seeds: int = parameter(2, "networks per cell of the initialisation (paper: 5)", at_least=1)
    small_seeds: int = parameter(3, "networks per arm of the regulariser (paper: 10)", at_least=1)
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(20, "shuffled networks per network (paper: 50)", at_least=1)
    epochs: int = parameter(8, "epochs before pruning (paper: MLP 20, CNN 10, VGG 200)", at_least=1)
    prune_epochs: int = parameter(
        8, "epochs with pruning (paper: MLP 20, CNN 10, VGG 50)", at_least=1
    )
    small_epochs: int = parameter(
        10, "epochs for the regulariser, and again with pruning (paper: 10)", at_least=1
    )
    width: int = parameter(64, "units per hidden layer (paper: 256; CNN 64 channels)", at_least=2)
    small_width: int = parameter(64, "units per layer for the regulariser (paper: 64)", at_least=4)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128; CNN 64)", at_least=1)
    tags: int = parameter(10, "tags c (paper: 10)", at_least=2)
    beta: float = parameter(0.6, "factor between tags (paper: MLP 0.6, CNN 0.8)")
    penalty: float = parameter(0.1, "weight of each eigenvalue (paper: 0.1)")
    variant: str = parameter("described", "described (text) or published (code)", choices=VARIANTS)

    def __post_init__(self) -> None:
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta lies in (0, 1], got {self.beta}")
        if self.penalty <= 0:
            raise ValueError(f"penalty must be positive, got {self.penalty}")


def plain(
    data: str,
    seed: int,
    *,
    architecture: str = "mlp",
    epochs: int | None = None,
    prune_epochs: int | None = None,
    width: int | None = None,
    batch_size: int | None = None,
) -> TrainConfig:
    """A network without any promotion; settings not given are the paper's.

    Source: Clusterability in Neural Networks, sections 2 and 3.
    """
    given = {
        "epochs": epochs,
        "prune_epochs": prune_epochs,
        "width": width,
        "batch_size": batch_size,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if architecture == "mlp":
        return mlps.condition(data, "none", seed, **given)
    if architecture == "small_cnn":
        return cnns.small_cnn(data, "none", seed, **given)
    if architecture == "vgg":
        return cnns.vgg("none", seed, data=data, **given)
    raise ValueError(f"architecture is one of {', '.join(ARCHITECTURES)}; got {architecture!r}")


def initialised(
    train: TrainConfig, *, tags: int = TAGS, beta: float | None = None, variant: str = "described"
) -> TrainConfig:
    """The same network started from a clusterable initialisation.

    beta is 0.6 for MLPs and 0.8 for CNNs. ``variant="published"`` has the output layer of an
    MLP scaled too, class j with tag j, as the released code does; the text speaks of hidden
    layers. For CNNs both readings are the same.

    Source: Clusterability in Neural Networks, section 4.2.
    """
    _check_variant(variant)
    return replace(
        train,
        tags=tags,
        tag_beta=BETA[train.architecture] if beta is None else beta,
        tag_outputs=variant == "published" and train.architecture == "mlp",
    )


def regularised(
    seed: int,
    arm: str,
    *,
    data: str = "mnist_7x7",
    penalty: float = PENALTY,
    variant: str = "described",
    epochs: int = 10,
    width: int = 64,
    batch_size: int = 128,
) -> TrainConfig:
    """A network with three hidden layers in one arm of the regulariser's experiment.

    Arms: "eigenvalues" adds ``penalty`` (lambda_2 + lambda_3 + lambda_4) to the loss and
    normalises units; "normalised" does the latter alone; "none" is a plain network.
    ``variant="published"`` gives each eigenvalue a third of the penalty, as the released code
    does. The batch size is not stated; 128 is that of the other MLPs.

    Source: Clusterability in Neural Networks, section 4.1 and appendices A.9 and A.10.
    """
    _check_variant(variant)
    if arm not in ARMS:
        raise ValueError(f"arm is one of {', '.join(ARMS)}; got {arm!r}")
    share = 1 / 3 if variant == "published" else 1.0
    return TrainConfig(
        data=data,
        seed=seed,
        widths=(width,) * 3,
        epochs=epochs,
        prune_epochs=epochs,
        batch_size=batch_size,
        normalise=arm != "none",
        eigenvalue_penalty=penalty * share if arm == "eigenvalues" else 0.0,
    )


def tagged_networks(parameters: PromotingParameters, *, control: bool = False) -> list[NcutConfig]:
    """Configurations behind Tables A.13 and A.14, or their ``control`` without tags."""
    p = parameters
    found = []
    for seed in range(p.seed, p.seed + p.seeds):
        for data in p.data:
            train = plain(
                data,
                seed,
                **p.given("architecture", "epochs", "prune_epochs", "width", "batch_size"),
            )
            if not control:
                train = initialised(train, tags=p.tags, beta=p.beta, variant=p.variant)
            found += [NcutConfig(train, stage, (p.clusters,), p.shuffles) for stage in STAGES]
    return found


def regulariser_networks(
    parameters: PromotingParameters, arms: Sequence[str] = ARMS
) -> list[NcutConfig]:
    """Configurations behind Table 1 and Figure A.5, at k = 4 and the general k."""
    p = parameters
    return [
        NcutConfig(
            regularised(
                seed,
                arm,
                data=p.small_data,
                penalty=p.penalty,
                variant=p.variant,
                epochs=p.small_epochs,
                width=p.small_width,
                batch_size=p.batch_size,
            ),
            stage,
            tuple(sorted({4, p.clusters})),
            p.shuffles,
        )
        for seed in range(p.seed, p.seed + p.small_seeds)
        for arm in arms
        for stage in STAGES
    ]


def initial_configs(
    data: str = "mnist",
    *,
    architecture: str = "mlp",
    networks: int = 100,
    width: int | None = None,
    beta: float | None = None,
    variants: Sequence[str] = VARIANTS,
    cluster_counts: Sequence[int] = (12,),
) -> list[InitialConfig]:
    """Untrained, clusterably initialised networks in records of at most 20."""
    shape = (1, *SHAPES.get(data, (28, 28)))
    base = plain(data, 0, architecture=architecture, width=width)
    return [
        InitialConfig(
            replace(initialised(base, beta=beta, variant=variant), seed=first),
            shape,
            tuple(cluster_counts),
            min(20, networks - first),
        )
        for variant in variants
        for first in range(0, networks, 20)
    ]


# Networks are measured as in ``mlps``; only what was done to them differs.
measure = mlps.measure


def rows(record: dict) -> list[dict]:
    """One row a k: what ``mlps.rows`` says, and what was done to promote clusters."""
    return [{**row, **_promotion(record)} for row in mlps.rows(record)]


def untrained_rows(record: dict) -> list[dict]:
    """One row per (untrained network, k)."""
    train = record["config"]["train"]
    own = {"width": train["widths"][0], **_promotion(record)}
    return [{**row, **own} for row in mlps.by_seed(record, train["seed"])]


def _promotion(record: dict) -> dict:
    """How clusters were promoted: promotion, penalty (of each eigenvalue), beta; and the depth."""
    train = record["config"]["train"]
    penalty = train.get("eigenvalue_penalty", 0.0)
    if penalty:
        promotion = "eigenvalues"
    elif train.get("tags"):
        promotion = "tags"
    else:
        promotion = "normalised" if train.get("normalise") else "none"
    return {
        "promotion": promotion,
        "penalty": penalty,
        "beta": train.get("tag_beta", 1.0),
        "depth": len(train["widths"]),
    }


def measure_initial(config: InitialConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """n-cuts of untrained networks computed anew and not stored."""

    def graph(seed: int) -> graphs.LayeredGraph:
        return graphs.weight_graph(
            training.build(replace(config.train, seed=seed), config.image_shape, 10), floor=0
        )

    seeds = range(config.train.seed, config.train.seed + config.networks)
    return sweep.untrained(config, seeds, graph)


def _check_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"variant is one of {', '.join(VARIANTS)}; got {variant!r}")


PROMOTION = ("promotion", "penalty", "beta", "depth")
EXPERIMENT = Experiment(
    "promoting_ncut",
    NcutConfig,
    measure,
    rows,
    (*mlps.COLUMNS, *PROMOTION),
    keep=lambda record: not record["config"]["train"]["data"].startswith("digits"),
)
INITIAL = Experiment(
    "promoting_initial_ncut",
    InitialConfig,
    measure_initial,
    untrained_rows,
    ("k", "ncut", "width", *PROMOTION),
    key=sweep.own_key,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
initial_table = INITIAL.table
run_initial = functools.partial(INITIAL.run, device="cpu")


def sweeps(parameters: PromotingParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    control = tagged_networks(parameters, control=True)
    return [
        Sweep(run, regulariser_networks(parameters)),
        Sweep(run, tagged_networks(parameters) + control),
    ]


SECTION = Section("clusterability/05_promoting", PromotingParameters, sweeps)
