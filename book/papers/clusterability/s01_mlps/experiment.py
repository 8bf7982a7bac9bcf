"""Clusterability in Neural Networks: what each section runs."""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import dead_units, mlps
from book.papers.ncut.mlps import InitialConfig, NcutConfig, condition

__all__ = ["MlpsParameters", "initial_networks", "mlp_networks"]

DATA = ("digits", "mnist", "fashion_mnist")


@dataclass(frozen=True)
class MlpsParameters(Run):
    """Parameters of ``clusterability/01_mlps``; the defaults are quick."""

    data: list[str] = parameter(["digits"], "data sets: digits, mnist, fashion_mnist", choices=DATA)
    regularizers: list[str] = parameter(
        list(mlps.REGULARIZERS), "conditions: none, dropout, l1, l2", choices=mlps.REGULARIZERS
    )
    seeds: int = parameter(2, "networks per data set and condition (paper: 5)", at_least=1)
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(50, "shuffled networks per network (paper: 50)", at_least=1)
    epochs: int = parameter(20, "epochs before pruning (paper: 20)", at_least=1)
    prune_epochs: int = parameter(20, "epochs with pruning (paper: 20)", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    initial_networks: int = parameter(
        50, "untrained networks for the starting range (paper: 100)", at_least=1
    )
    variant: str = parameter(
        "described",
        "described (text), published (code) or regrowth (other pruning order)",
        choices=mlps.VARIANTS,
    )

    def __post_init__(self) -> None:
        mlps.check_sizes(self.data, self.width, [self.clusters])


def mlp_networks(parameters: MlpsParameters) -> list[NcutConfig]:
    """Configurations behind Tables A.5 and A.6 and Figures 2 and 3.

    Source: Clusterability in Neural Networks, section 2; appendix A.4.
    """
    p = parameters
    return [
        NcutConfig(
            condition(
                data,
                regularizer,
                seed,
                **p.given("variant", "epochs", "prune_epochs", "width", "batch_size"),
            ),
            stage,
            (p.clusters,),
            p.shuffles,
        )
        for seed in range(p.seed, p.seed + p.seeds)
        for data in p.data
        for regularizer in p.regularizers
        for stage in ("unpruned", "pruned")
    ]


def initial_networks(parameters: MlpsParameters) -> list[InitialConfig]:
    """Untrained networks of the same shape (Figure A.1).

    Source: Clusterability in Neural Networks, section 2, figure A.1.
    """
    p = parameters
    return mlps.initial_configs(p.data[0], p.width, [p.clusters], p.initial_networks)


def sweeps(parameters: MlpsParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    configs = mlp_networks(parameters)
    return [
        Sweep(mlps.run, configs),
        Sweep(mlps.run_initial, initial_networks(parameters), on_device=False),
        Sweep(dead_units.run, dead_units.among(configs)),
    ]


SECTION = Section("clusterability/01_mlps", MlpsParameters, sweeps)
