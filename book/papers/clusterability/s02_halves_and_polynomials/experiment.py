"""Tasks made to be solved in parts: two half images, 512 polynomials, two data sets mixed.

What ``clusterability/02_halves_and_polynomials`` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import dead_units, mixtures, mlps
from book.papers.ncut.mlps import NcutConfig, condition

__all__ = [
    "PAPER_HALVES",
    "PAPER_MIXTURES",
    "TasksParameters",
    "halves_networks",
    "mixture_networks",
    "polynomial_networks",
]

STAGES = ("unpruned", "pruned")
KINDS = ("same", "diff")
# Data sets of the paper's halves (Table A.7) and mixtures (Tables A.20 and A.21).
PAPER_HALVES = (
    "mnist_halves_same",
    "mnist_halves_diff",
    "fashion_mnist_halves_same",
    "fashion_mnist_halves_diff",
)
PAPER_MIXTURES = ("lines+mnist", "lines+mnist:separate")
BASES = ("digits", "mnist", "fashion_mnist", "cifar10_grey")


@dataclass(frozen=True)
class TasksParameters(Run):
    """Parameters of ``clusterability/02_halves_and_polynomials``; the defaults are quick."""

    halves: list[str] = parameter(
        ["digits"],
        "data sets to make halves of: digits, mnist, fashion_mnist",
        choices=BASES,
        may_be_empty=True,
    )
    mixtures: list[str] = parameter(
        [], "pairs A+B, or A+B:separate, of data sets", may_be_empty=True
    )
    regularizers: list[str] = parameter(
        ["none", "l1", "l2"],
        "for the polynomials: none, dropout, l1, l2",
        choices=mlps.REGULARIZERS,
        may_be_empty=True,
    )
    seeds: int = parameter(2, "networks per data set and condition (paper: 5)", at_least=1)
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(50, "shuffled networks per network (paper: 50)", at_least=1)
    epochs: int = parameter(15, "epochs before pruning (paper: 20)", at_least=1)
    prune_epochs: int = parameter(15, "epochs with pruning (paper: 20)", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    images: int = parameter(0, "training images of each data set; 0 means all", at_least=0)
    points: int = parameter(
        750, "training points of the polynomials; 0 means all 60,000 (paper: not stated)",
        at_least=0,
    )  # fmt: skip

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
                **p.given("epochs", "prune_epochs", "width", "batch_size"),
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


def sweeps(parameters: TasksParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    polynomials = polynomial_networks(parameters)
    return [
        Sweep(mlps.run, halves_networks(parameters)),
        Sweep(mlps.run, polynomials),
        Sweep(dead_units.run, dead_units.among(polynomials)),
        Sweep(mlps.run, mixture_networks(parameters)),
    ]


SECTION = Section("clusterability/02_halves_and_polynomials", TasksParameters, sweeps)
