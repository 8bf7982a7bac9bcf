"""Neural networks are surprisingly modular: what each section runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import mlps
from book.papers.ncut.mlps import InitialConfig, NcutConfig, condition

__all__ = ["ClusterabilityParameters", "clusterability", "initial_networks"]

DATA = ("digits", "mnist", "fashion_mnist", "cifar10_grey")
REGULARIZERS = ("none", "dropout")


@dataclass(frozen=True)
class ClusterabilityParameters(Run):
    """Parameters of ``surprisingly_modular/01_clusterability``; the defaults are quick."""

    data: list[str] = parameter(
        ["digits"], "data sets: digits, mnist, fashion_mnist, cifar10_grey", choices=DATA
    )
    seeds: int = parameter(3, "networks per data set and condition (paper: 10)", at_least=1)
    cluster_counts: list[int] = parameter(
        [4, 2, 7, 10], "numbers of clusters; the first is drawn (paper: 4)", at_least=2
    )
    shuffles: int = parameter(100, "shuffled networks per network (paper: 320)", at_least=1)
    epochs: int = parameter(20, "epochs before pruning (paper: 20)", at_least=1)
    prune_epochs: int = parameter(
        20, "epochs with pruning; CIFAR-10 takes twice as many (paper: 20)", at_least=1
    )
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    initial_networks: int = parameter(
        50, "untrained networks for the starting range (paper: 200)", at_least=1
    )
    variant: str = parameter(
        "described",
        "described (text), published (code) or regrowth (other pruning order)",
        choices=mlps.VARIANTS,
    )

    def __post_init__(self) -> None:
        mlps.check_sizes(self.data, self.width, self.cluster_counts)


def clusterability(parameters: ClusterabilityParameters) -> list[NcutConfig]:
    """Configurations behind Table 1, Tables A.1 to A.3 and Figure 2.

    Every network is clustered at all k after pruning, and at the first k before it.

    Source: Neural networks are surprisingly modular, section 3, table 1; appendix A.3.
    """
    p = parameters
    configs = []
    for seed in range(p.seed, p.seed + p.seeds):
        for data in p.data:
            for regularizer in REGULARIZERS:
                train = condition(
                    data,
                    regularizer,
                    seed,
                    **p.given("variant", "epochs", "prune_epochs", "width", "batch_size"),
                )
                configs += network_configs(train, p.cluster_counts, p.shuffles)
    return configs


def network_configs(train, cluster_counts: Sequence[int], shuffles: int) -> list[NcutConfig]:
    """What is measured on one network: every k when pruned, the first one before."""
    first, rest = cluster_counts[0], sorted(cluster_counts)
    return [
        NcutConfig(train, "pruned", tuple(rest), shuffles),
        NcutConfig(train, "unpruned", (first,), shuffles),
    ]


def initial_networks(parameters: ClusterabilityParameters) -> list[InitialConfig]:
    """Untrained networks of the same shape, in batches of 50 (Figure 3).

    Source: Neural networks are surprisingly modular, section 3, figure 3.
    """
    p = parameters
    return mlps.initial_configs(p.data[0], p.width, p.cluster_counts, p.initial_networks)


SECTION = Section(
    "surprisingly_modular/01_clusterability",
    ClusterabilityParameters,
    lambda p: [
        Sweep(mlps.run, clusterability(p)),
        Sweep(mlps.run_initial, initial_networks(p), on_device=False),
    ],
)
