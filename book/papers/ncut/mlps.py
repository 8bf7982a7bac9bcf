"""Clusterability of multi-layer perceptrons: the experiment both n-cut papers share.

One record is one (network, stage): its n-cuts at several k beside those of its shuffles. The
network comes from the cache of ``training``, so that papers, tables and k share it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from book.lab import compare, sweep
from book.lab.experiment import Experiment
from book.papers.ncut import settings
from modgraph_lib import clustering, datasets, graphs, models, training
from modgraph_lib.training import TrainConfig

__all__ = [
    "InitialConfig",
    "NcutConfig",
    "by_seed",
    "condition",
    "initial_table",
    "regularizer_of",
    "rows",
    "run",
    "run_initial",
    "table",
    "variant_of",
    "words",
]

REGULARIZERS = ("none", "dropout", "l1", "l2")
VARIANTS = ("described", "published", "regrowth")
PENALTY = 5e-5
COLUMNS = (
    "regularizer", "variant", "width", "k", "ncut", "shuffle_mean", "shuffled", "p_value",
    "significant", "test_accuracy", "nodes", "isolated",
)  # fmt: skip


@dataclass(frozen=True)
class NcutConfig:
    """Clustering of one trained network at one stage, with its shuffle test."""

    train: TrainConfig
    stage: str
    cluster_counts: tuple[int, ...]
    shuffles: int
    method: str = "layer"
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cluster_counts", tuple(self.cluster_counts))
        if self.stage not in ("unpruned", "pruned"):
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")
        epochs = self.train.epochs if self.stage == "unpruned" else self.train.prune_epochs
        if epochs == 0:
            raise ValueError(f"the {self.stage} stage has no epochs, so it has no network")


@dataclass(frozen=True)
class InitialConfig:
    """Clustering of untrained networks: how clusterable is the starting point?"""

    inputs: int = 784
    outputs: int = 10
    widths: tuple[int, ...] = (256, 256, 256, 256)
    cluster_counts: tuple[int, ...] = (2, 4, 7, 10, 12)
    first_seed: int = 0
    networks: int = 50
    n_init: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "cluster_counts", tuple(self.cluster_counts))
        if self.networks < 1:
            raise ValueError(f"networks must be at least 1, got {self.networks}")


def condition(
    data: str,
    regularizer: str,
    seed: int,
    *,
    variant: str = "described",
    epochs: int = 20,
    prune_epochs: int = 20,
    width: int = 256,
    batch_size: int = 128,
    dropout: float | None = None,
    images: int = 0,
) -> TrainConfig:
    """The training run of one cell of the papers' tables.

    ``settings.of(data)`` has what differs between data sets: dropout is 0.5, and 0.2 on
    CIFAR-10; CIFAR-10 is pruned for 40 epochs where the others take 20; and so on. ``epochs``
    and ``prune_epochs`` are those of a network on MNIST, and scale with it: 10 mean 20 epochs
    of pruning on CIFAR-10. L1 and L2 are 5e-5. ``images`` limits the training set.

    ``variant="published"`` follows the released code where it does something else than the
    text: with dropout CIFAR-10 first trains five times as long (100 epochs), mixtures with
    CIFAR-10 1.5 times, and the "L2" condition puts L1 on the first kernel.
    ``variant="regrowth"`` lets pruned weights come back, an order inside the training step that
    neither paper excludes in words.

    Raises:
        ValueError: unknown data set, regulariser or variant.

    Source: Neural networks are surprisingly modular, section 3; Clusterability in Neural
    Networks, section 2.
    """
    datasets.check_name(data)
    if regularizer not in REGULARIZERS:
        raise ValueError(f"regularizer is one of {', '.join(REGULARIZERS)}; got {regularizer!r}")
    if variant not in VARIANTS:
        raise ValueError(f"variant is one of {', '.join(VARIANTS)}; got {variant!r}")
    usual = settings.of(data)
    if regularizer != "dropout":
        rate = 0.0
    else:
        rate = usual.dropout if dropout is None else dropout
    published = variant == "published"
    first = (
        settings.published_epochs(data, dropout=regularizer == "dropout")
        if published
        else usual.epochs
    )
    return TrainConfig(
        data=data,
        seed=seed,
        widths=(width,) * 4,
        dropout=rate,
        l1=PENALTY if regularizer == "l1" else 0.0,
        l2=PENALTY if regularizer == "l2" else 0.0,
        first_layer_l1=published and regularizer == "l2",
        regrowth=variant == "regrowth",
        epochs=epochs * first // settings.MLP.epochs,
        prune_epochs=prune_epochs * usual.prune_epochs // settings.MLP.prune_epochs,
        batch_size=batch_size,
        loss=usual.loss,
        reshuffle=usual.reshuffle,
        images=images,
    )


def initial_configs(
    data: str, width: int, cluster_counts: Sequence[int], networks: int
) -> list[InitialConfig]:
    """Untrained networks for a data set's image size, in records of at most 50.

    The paper's own network (784 inputs, width 256) is measured at every k either paper uses, so
    that both share the records.
    """
    inputs = settings.of(data).inputs
    standard = InitialConfig()
    if (inputs, width) == (standard.inputs, standard.widths[0]):
        cluster_counts = sorted({*standard.cluster_counts, *cluster_counts})
    return [
        InitialConfig(
            inputs=inputs,
            widths=(width,) * 4,
            cluster_counts=tuple(sorted(cluster_counts)),
            first_seed=first,
            networks=min(50, networks - first),
        )
        for first in range(0, networks, 50)
    ]


def check_sizes(data: Sequence[str], width: int, cluster_counts: Sequence[int]) -> None:
    """Refuse a k that the smallest of the networks' graphs cannot hold.

    Raises:
        ValueError: names the k, the graph's size and the largest possible k.
    """
    sizes = [settings.of(name) for name in data]
    nodes = min(size.inputs + size.outputs for size in sizes) + 4 * width
    for k in cluster_counts:
        if k > nodes:
            raise ValueError(
                f"{k} clusters cannot be found in a graph of {nodes} nodes (inputs, 4 x {width} "
                f"hidden units, outputs); choose at most {nodes}"
            )


def measure(config: NcutConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """The result of one configuration computed anew and not stored (what ``verify`` compares)."""
    network = training.trained(config.train, root=root)
    graph = graphs.weight_graph(network.model(config.stage), floor=0)
    return sweep.measured(config, network, graph, device=device, root=root)


def rows(record: dict) -> list[dict]:
    """One row a k: the n-cut beside those of its shuffles, and what the network is like."""
    result = record["result"]
    about = {**words(record), **result["metrics"]}
    about |= {name: result[name] for name in ("nodes", "isolated", "train_seconds")}
    return [
        {**about, "k": int(k), **_clustered(found, record["config"]["method"])}
        for k, found in result["clusterings"].items()
    ]


def _clustered(found: dict, method: str) -> dict:
    null = np.asarray(found["shuffled"])
    test = clustering.ShuffleTest(0, found["ncut"], np.empty(0), null, method)
    return {
        "ncut": found["ncut"],
        "shuffle_mean": null.mean(),
        "shuffle_std": null.std(),
        "shuffles": len(null),
        "shuffled": null,
        "p_value": test.p_value,
        "z_score": test.z_score,
        "significant": test.significant,
        "cluster_sizes": tuple(found["cluster_sizes"]),
    }


def words(record: dict) -> dict:
    """How a record's network was trained, in words, and the width of its layers."""
    train = record["config"]["train"]
    return {
        "regularizer": regularizer_of(train),
        "variant": variant_of(train),
        "width": train["widths"][0],
    }


def untrained_rows(record: dict) -> list[dict]:
    """One row per (untrained network, k)."""
    config = record["config"]
    width = config["widths"][0]
    return [{**row, "width": width} for row in by_seed(record, config["first_seed"])]


def by_seed(record: dict, first: int) -> list[dict]:
    """seed, k and ncut of a record's untrained networks, whose seeds count up from ``first``."""
    return [
        {"seed": first + index, "k": int(k), "ncut": value}
        for k, values in record["result"]["ncuts"].items()
        for index, value in enumerate(values)
    ]


def measure_initial(config: InitialConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """n-cuts of untrained networks computed anew and not stored."""

    def graph(seed: int) -> graphs.LayeredGraph:
        model = models.mlp(config.inputs, config.outputs, widths=config.widths, seed=seed)
        return graphs.weight_graph(model, floor=0)

    seeds = range(config.first_seed, config.first_seed + config.networks)
    return sweep.untrained(config, seeds, graph)


def regularizer_of(train: dict) -> str:
    """The condition of a record's training run in words, "none" or what was given."""
    given = [name for name in ("dropout", "l1", "l2") if train[name]]
    return "+".join(given) or "none"


def variant_of(train: dict) -> str:
    """Which of ``VARIANTS`` a record's training run is."""
    if train.get("regrowth"):
        return "regrowth"
    if train["first_layer_l1"]:
        return "published"
    usual = settings.of(train["data"])
    published = settings.published_epochs(train["data"], dropout=bool(train["dropout"]))
    # Ratios, so that a smaller scale of the same schedule counts as the same reading.
    longer = train["epochs"] * usual.prune_epochs == published * train["prune_epochs"]
    return "published" if longer and published != usual.epochs else "described"


def of_paper_size(record: dict) -> bool:
    """The papers' width and every training image: not what a page trains while it is read."""
    train = record["config"]["train"]
    return train["widths"][0] == settings.WIDTH and not train.get("images")


def _first_untrained(config: InitialConfig, networks: int = 5) -> dict:
    few = replace(config, networks=min(networks, config.networks))
    return measure_initial(few)["result"]


EXPERIMENT = Experiment(
    "mlp_ncut",
    NcutConfig,
    measure,
    rows,
    COLUMNS,
    compare=compare.ncuts,
    keep=of_paper_size,
)
INITIAL = Experiment(
    "mlp_initial_ncut",
    InitialConfig,
    measure_initial,
    untrained_rows,
    ("seed", "k", "ncut", "width"),
    key=sweep.own_key,
    recompute=_first_untrained,
    in_part=True,
    compare=compare.initial,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
initial_table = INITIAL.table
run_initial = functools.partial(INITIAL.run, device="cpu")
