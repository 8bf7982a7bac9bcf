"""Learning or topology: what both n-cut papers run to find where clusterability comes from.

Networks trained on noise tell learning from mere training; shuffles that keep every zero in its
place tell the arrangement of weights from the topology that pruning leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import mlps, settings
from book.papers.ncut.mlps import NcutConfig, condition
from modgraph_lib import training
from modgraph_lib.training import TrainConfig

__all__ = [
    "LearningOrTopologyParameters",
    "distance_moved",
    "noise_networks",
    "topology_networks",
]

NOISES = ("noise", "kilo_epoch", "memorisation")
DATA = ("digits", "mnist", "fashion_mnist", "cifar10_grey")
REGULARIZERS = ("none", "dropout")
STAGES = ("unpruned", "pruned")
NOISE_DATA = {
    "noise": "random",
    "kilo_epoch": "random",
    "memorisation": "random_memorisation",
}
# The first section clusters pruned networks at four k at once; asking for the same keeps the
# two sections on one record.
SHARED = (2, 4, 7, 10)


@dataclass(frozen=True)
class LearningOrTopologyParameters(Run):
    """Parameters of ``surprisingly_modular/02_learning_or_topology``; the defaults are quick."""

    noises: list[str] = parameter(
        ["memorisation", "noise"],
        "noise experiments: noise, kilo_epoch, memorisation",
        choices=NOISES,
    )
    data: list[str] = parameter(
        ["digits"], "data sets: digits, mnist, fashion_mnist, cifar10_grey", choices=DATA
    )
    seeds: int = parameter(2, "networks per cell (paper: 10)", at_least=1)
    cluster_counts: list[int] = parameter(
        [4], "numbers of clusters; the first is drawn (papers: 4 and 12)", at_least=2
    )
    shuffles: int = parameter(
        50, "shuffles of each kind per network (papers: 320; 50 for 12 clusters)", at_least=1
    )
    noise_share: float = parameter(
        0.05, "share of the noise images to train on (paper: 1)", at_least=0.001, at_most=1
    )
    epochs: int = parameter(
        15, "epochs before pruning (paper: 20; memorisation 5 times that)", at_least=1
    )
    prune_epochs: int = parameter(
        15,
        "epochs with pruning (paper: 20; CIFAR-10 twice, memorisation 5 times that)",
        at_least=1,
    )
    kilo_epochs: int = parameter(
        1000, "epochs before pruning of kilo_epoch (paper: 1000)", at_least=1
    )
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(64, "images per optimiser step (paper: 128)", at_least=1)

    def __post_init__(self) -> None:
        data = [*self.data, *(NOISE_DATA[noise] for noise in self.noises)]
        mlps.check_sizes(data, self.width, self.cluster_counts)


def noise_networks(parameters: LearningOrTopologyParameters) -> list[NcutConfig]:
    """Configurations behind Tables 2, 3 and 4, and A.16 to A.18 of the second paper.

    Every network is clustered at each k before and after pruning, against full shuffles.

    Source: Neural networks are surprisingly modular, section 3.2; Clusterability in Neural
    Networks, appendix A.5.
    """
    p = parameters
    return [
        config
        for noise in p.noises
        for seed in range(p.seed, p.seed + p.seeds)
        for regularizer in REGULARIZERS
        for config in noise_configs(
            noise_network(
                noise,
                regularizer,
                seed,
                share=p.noise_share,
                epochs=p.kilo_epochs if noise == "kilo_epoch" else p.epochs,
                **p.given("prune_epochs", "width", "batch_size"),
            ),
            p.cluster_counts,
            p.shuffles,
        )
    ]


def noise_network(
    noise: str, regularizer: str, seed: int, *, share: float = 1.0, **options
) -> TrainConfig:
    """The training run of one network on noise; defaults are the paper's.

    Args:
        noise: "noise" (60,000 images), "kilo_epoch" (the same for 1000 epochs; give ``epochs``)
            or "memorisation" (3,000 images in a fixed order for 100 epochs).
        regularizer, seed, options: as ``mlps.condition`` takes them.
        share: share of the images to train on.

    Raises:
        ValueError: another noise, or a share that is not in (0, 1].
    """
    if noise not in NOISES:
        raise ValueError(f"noise is one of {', '.join(NOISES)}; got {noise!r}")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    if noise == "kilo_epoch":
        options.setdefault("epochs", 1000)
    every = 3_000 if noise == "memorisation" else 60_000
    # 0 means all: the configuration of the paper itself carries no limit
    images = 0 if share == 1 else max(1, round(share * every))
    return condition(NOISE_DATA[noise], regularizer, seed, images=images, **options)


def noise_configs(
    train: TrainConfig, cluster_counts: Sequence[int], shuffles: int
) -> list[NcutConfig]:
    """Both stages of one network at each k, whole layers shuffled."""
    return [
        NcutConfig(train, stage, (k,), most_shuffles(k, shuffles))
        for stage in STAGES
        for k in cluster_counts
    ]


def topology_networks(parameters: LearningOrTopologyParameters) -> list[NcutConfig]:
    """Configurations behind Figure 4, Tables A.4 to A.15 and Figures A.1 to A.5.

    Source: Neural networks are surprisingly modular, section 3.3 and appendix A.4;
    Clusterability in Neural Networks, appendix A.6.
    """
    p = parameters
    return [
        config
        for seed in range(p.seed, p.seed + p.seeds)
        for data in p.data
        for regularizer in REGULARIZERS
        for config in topology_configs(
            condition(
                data,
                regularizer,
                seed,
                **p.given("epochs", "prune_epochs", "width", "batch_size"),
            ),
            p.cluster_counts,
            p.shuffles,
        )
    ]


def topology_configs(
    train: TrainConfig, cluster_counts: Sequence[int], shuffles: int
) -> list[NcutConfig]:
    """Both stages of one network at each k, against both kinds of shuffle."""
    configs = []
    for stage in STAGES:
        for k in cluster_counts:
            count = most_shuffles(k, shuffles)
            shared = stage == "pruned" and (k, count) == (4, settings.SHUFFLES[4])
            configs += [
                NcutConfig(train, stage, SHARED if shared else (k,), count, "layer"),
                NcutConfig(train, stage, (k,), count, "layer_nonzero"),
            ]
    return configs


def most_shuffles(k: int, shuffles: int) -> int:
    """``shuffles``, but no more than the papers take at this k."""
    return min(shuffles, settings.SHUFFLES.get(k, shuffles))


def distance_moved(train: TrainConfig, stage: str = "unpruned") -> float:
    """How far training carried a network's kernels, in lengths of the initial ones.

    The root of the sum of squared changes over all kernels, over that of the initial kernels: 0
    for a network that stayed where it began. The network is trained unless it is in the cache.
    """
    network = training.trained(train)
    start = training.build(train, network.image_shape, network.outputs)
    pairs = [
        (after.detach(), before.detach())
        for after, before in zip(network.model(stage).parameters(), start.parameters(), strict=True)
        if after.ndim > 1
    ]
    moved = sum(float((after - before).square().sum()) for after, before in pairs)
    length = sum(float(before.square().sum()) for _, before in pairs)
    return (moved / length) ** 0.5


def sweeps(parameters: LearningOrTopologyParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    return [
        Sweep(mlps.run, noise_networks(parameters)),
        Sweep(mlps.run, topology_networks(parameters)),
    ]


SECTION = Section(
    "surprisingly_modular/02_learning_or_topology", LearningOrTopologyParameters, sweeps
)
