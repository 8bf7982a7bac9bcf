"""What the section ``clusterability/03_cnns`` runs."""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import cnns, dead_units
from book.papers.ncut.cnns import InitialConfig, NcutConfig

__all__ = ["CnnsParameters", "initial_networks", "small_cnns", "stacks", "vggs"]

DATA = ("digits", "mnist", "fashion_mnist")
KINDS = ("same", "diff")


@dataclass(frozen=True)
class CnnsParameters(Run):
    """Parameters of ``clusterability/03_cnns``; the defaults are quick."""

    data: list[str] = parameter(["digits"], "data sets: digits, mnist, fashion_mnist", choices=DATA)
    regularizers: list[str] = parameter(
        list(cnns.REGULARIZERS), "conditions: none, dropout, l1, l2", choices=cnns.REGULARIZERS
    )
    seeds: int = parameter(2, "networks per data set and condition (paper: 5)", at_least=1)
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(50, "shuffled networks per network (paper: 50)", at_least=1)
    epochs: int = parameter(3, "epochs before pruning (paper: 10)", at_least=1)
    prune_epochs: int = parameter(3, "epochs with pruning (paper: 10)", at_least=1)
    width: int = parameter(32, "channels of each convolution (paper: 64)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 64)", at_least=1)
    precision: str = parameter(
        "float32", "float32 (paper) or bfloat16 (faster)", choices=("float32", "bfloat16")
    )
    initial_networks: int = parameter(
        40, "untrained small CNNs for the starting range (paper: 100)", at_least=1
    )
    initial_vggs: int = parameter(1, "untrained VGGs, a second each (paper: 100)", at_least=1)
    vgg_regularizers: list[str] = parameter(
        [],
        "VGGs to train: none, dropout, l1, l2, dropout+l2",
        choices=cnns.VGG_REGULARIZERS,
        may_be_empty=True,
    )
    vgg_epochs: int = parameter(200, "epochs of a VGG before pruning (paper: 200)", at_least=1)
    vgg_prune_epochs: int = parameter(50, "epochs of a VGG with pruning (paper: 50)", at_least=1)
    variant: str = parameter(
        "described", "VGGs as described (text) or published (code)", choices=cnns.VARIANTS
    )

    def __post_init__(self) -> None:
        if self.clusters > 3 * self.width:
            raise ValueError(
                f"{self.clusters} clusters cannot be found in a graph of {3 * self.width} nodes "
                f"(3 x {self.width} channels); choose at most {3 * self.width}"
            )


def small_cnns(parameters: CnnsParameters) -> list[NcutConfig]:
    """Configurations behind Tables A.8 and A.9 and Figures 6, 7 and A.4, in all readings.

    Source: Clusterability in Neural Networks, section 3.
    """
    p = parameters
    return [
        config
        for seed in _seeds(p)
        for data in p.data
        for regularizer in p.regularizers
        for config in _small(p, data, regularizer, seed)
    ]


def stacks(parameters: CnnsParameters) -> list[NcutConfig]:
    """Configurations behind Table A.12 and Figure 12: two images in two channels.

    Source: Clusterability in Neural Networks, section 3.2.
    """
    p = parameters
    return [
        config
        for seed in _seeds(p)
        for data in p.data
        for kind in KINDS
        for config in _small(p, f"{data}_stack_{kind}", "none", seed)
    ]


def vggs(parameters: CnnsParameters) -> list[NcutConfig]:
    """Configurations behind Table A.10 and Figures 8 and 9, as described and as published.

    Source: Clusterability in Neural Networks, section 3.
    """
    p = parameters
    return [
        config
        for seed in _seeds(p)
        for regularizer in p.vgg_regularizers
        for config in cnns.readings(
            cnns.vgg(
                regularizer,
                seed,
                variant=p.variant,
                epochs=p.vgg_epochs,
                prune_epochs=p.vgg_prune_epochs,
                precision=p.precision,
            ),
            names=("described", "published"),
            cluster_counts=(p.clusters,),
            shuffles=p.shuffles,
        )
    ]


def initial_networks(parameters: CnnsParameters) -> list[InitialConfig]:
    """Untrained small CNNs of this width, and VGGs of the paper's (Figures A.2 and A.3)."""
    p = parameters
    ks = (p.clusters,)
    small = cnns.initial_configs(
        "small_cnn", networks=p.initial_networks, width=p.width, cluster_counts=ks
    )
    large = cnns.initial_configs(
        "vgg", networks=p.initial_vggs, names=("described", "published"), cluster_counts=ks
    )
    return small + large


def _seeds(p: CnnsParameters) -> range:
    return range(p.seed, p.seed + p.seeds)


def _small(p: CnnsParameters, data: str, regularizer: str, seed: int) -> list[NcutConfig]:
    train = cnns.small_cnn(
        data,
        regularizer,
        seed,
        **p.given("epochs", "prune_epochs", "width", "batch_size", "precision"),
    )
    return cnns.readings(train, cluster_counts=(p.clusters,), shuffles=p.shuffles)


def sweeps(parameters: CnnsParameters) -> list[Sweep]:
    """What the section runs, in its order, and the VGGs."""
    configs = small_cnns(parameters)
    return [
        Sweep(cnns.run, configs),
        Sweep(dead_units.run, dead_units.among(configs)),
        Sweep(cnns.run_initial, initial_networks(parameters), on_device=False),
        Sweep(cnns.run, stacks(parameters)),
        Sweep(cnns.run, vggs(parameters)),
    ]


SECTION = Section("clusterability/03_cnns", CnnsParameters, sweeps)
