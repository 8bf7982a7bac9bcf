"""The networks of Part IV, their partitions, and what records keep of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from book.lab.parameters import Run, parameter
from book.papers.detecting_modularity import settings
from book.papers.ncut import mlps
from modgraph_lib import datasets, graphs, partitions, training
from modgraph_lib.lesions import Submodule
from modgraph_lib.partitions import Partition
from modgraph_lib.training import TrainConfig, Trained

__all__ = [
    "MlpParameters",
    "ModulesConfig",
    "condition",
    "labels_of",
    "of_paper_size",
    "partition_record",
    "partitions_of",
    "prepared",
    "readings",
    "test_set",
    "usable",
    "words",
]

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # clusters in a record, one letter a unit


def readings(*default: str) -> Any:
    """The parameter of that name."""
    help = "described (text) or published (dropout, L2)"
    return parameter(list(default), help, choices=settings.READINGS)


@dataclass(frozen=True)
class MlpParameters(Run):
    """What the sections on the paper's MLPs can be asked; the defaults are quick."""

    data: str = parameter(
        "digits",
        "data set: digits, mnist (paper) or fashion_mnist",
        choices=("digits", "mnist", "fashion_mnist"),
    )
    readings: list[str] = readings("described")
    seeds: int = parameter(5, "networks of each reading (paper: 5)", at_least=1)
    clusters: int = parameter(16, "clusters of the whole graph (paper: 16)", at_least=2)
    controls: int = parameter(19, "random sets per sub-cluster (paper: 19)", at_least=1)
    responses: int = parameter(5000, "training images for correlations (code: 5000)", at_least=3)
    epochs: int = parameter(40, "epochs (paper: 20)", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=4)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    images: int = parameter(0, "training images; 0 means all", at_least=0)


@dataclass(frozen=True)
class ModulesConfig:
    """One trained network and how it is divided: what all experiments of this part share.

    Attributes:
        train: the network.
        clusters: k of the global partitions.
        responses: training images that activations are correlated over (drawn by ``seed``).
        controls: random sets beside each sub-cluster.
        n_init: k-means restarts.
        floor: see ``graphs.weight_graph``.
        seed: of the clustering, the images and the random sets.
    """

    train: TrainConfig
    clusters: int = 16
    responses: int = 5000
    controls: int = 19
    n_init: int = 25
    floor: float = graphs.FLOOR
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("clusters", "controls", "n_init"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.responses < 3:
            raise ValueError(f"a correlation needs at least 3 images, got {self.responses}")


def chosen(parameters: Any, architecture: str, data: str) -> list[TrainConfig]:
    """The training runs that a section's parameters name, reading by reading and seed by seed.

    Args:
        parameters: with readings, seeds, seed, epochs, width, batch_size and images.
        architecture, data: as for ``condition``.
    """
    p = parameters
    options = p.given("epochs", "width", "batch_size", "images")
    return [
        condition(architecture, data, reading, seed, **options)
        for reading in p.readings
        for seed in range(p.seed, p.seed + p.seeds)
    ]


def condition(
    architecture: str,
    data: str,
    reading: str,
    seed: int,
    *,
    epochs: int = 0,
    width: int = 0,
    batch_size: int = 0,
    images: int = 0,
) -> TrainConfig:
    """The training run of one network, without pruning.

    Args:
        architecture: "mlp", "small_cnn" or "vgg".
        data: name of ``datasets.load``.
        reading: "described" trains without regulariser, as the text of appendix A.2 says (and as
            its test accuracies are); "published" with dropout and L2 5e-4, which is what the
            released code analyses. The text's own VGG is the latter, with distorted images.
        epochs, width, batch_size: 0 is the paper's.
        images: training images, 0: all.

    Raises:
        ValueError: an unknown architecture, reading or data set.

    Source: Detecting Modularity, appendix A.2; released code.
    """
    datasets.check_name(data)
    usual = settings.ARCHITECTURES.get(architecture)
    if usual is None or reading not in settings.READINGS:
        raise ValueError(
            f"architecture is one of {', '.join(settings.ARCHITECTURES)} and reading one of "
            f"{', '.join(settings.READINGS)}; got {architecture!r}, {reading!r}"
        )
    regularised = reading == "published" or not usual.plain
    return TrainConfig(
        data=data,
        seed=seed,
        architecture=architecture,
        widths=(width or usual.width,) * (4 if architecture == "mlp" else 1),
        dropout=usual.dropout if regularised else 0.0,
        dense_dropout=usual.dense_dropout if regularised else 0.0,
        l2=settings.L2 if regularised else 0.0,
        epochs=epochs or usual.epochs,
        prune_epochs=0,
        batch_size=batch_size or usual.batch_size,
        images=images,
        augmentation="none" if usual.plain else "described",
    )


def prepared(
    config: ModulesConfig, root: str | None = None
) -> tuple[Trained, nn.Module, list[Partition]]:
    """The network of a configuration, its module, and its partitions."""
    network = training.trained(config.train, root=root)
    model = network.model("unpruned").eval()
    return network, model, list(partitions_of(config, model, responses(config, root)))


def partitions_of(
    config: ModulesConfig, model: nn.Module, images: torch.Tensor, device: str = "cpu"
) -> Iterator[Partition]:
    """The five partitions of ``settings.PARTITIONS``, from two graphs."""
    shape = tuple(images.shape[1:])
    options: dict[str, dict[str, Any]] = {
        "weights": {"floor": config.floor},
        "activations": {"device": device},
    }
    if config.train.architecture != "mlp":
        options["weights"]["example"] = shape
    made: dict[str, graphs.LayeredGraph] = {}
    for edges, scope, variant in settings.PARTITIONS:
        if edges not in made:
            given = options[edges]
            made[edges] = partitions.partition_graph(model, edges=edges, images=images, **given)
        yield partitions.of_graph(
            made[edges],
            edges=edges,
            scope=scope,
            variant=variant,
            k=config.clusters,
            n_init=config.n_init,
            seed=config.seed,
        )


def responses(config: ModulesConfig, root: str | None = None) -> torch.Tensor:
    """The training images that activations are correlated over."""
    images = datasets.load(config.train.data, "train", root=root).images
    order = np.random.default_rng([config.seed, 6]).permutation(len(images))
    return _readable(config, images[torch.from_numpy(order[: config.responses])])


def test_set(
    config: ModulesConfig, count: int = 0, root: str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of the test set, or of its first ``count``."""
    data = datasets.load(config.train.data, "test", root=root)
    stop = count or len(data.images)
    return _readable(config, data.images[:stop]), data.labels[:stop]


def _readable(config: ModulesConfig, images: torch.Tensor) -> torch.Tensor:
    """Grey images with a channel where the network has convolutions."""
    return images if config.train.architecture == "mlp" else training.with_channels(images)


def usable(partition: Partition) -> tuple[list[Submodule], str]:
    """Its sub-clusters, or none and the reason why."""
    try:
        return partitions.subclusters(partition), ""
    except ValueError as error:
        return [], str(error)


def partition_record(partition: Partition, parts: Sequence[Submodule], reason: str) -> dict:
    """What a record keeps of a partition and its sub-clusters."""
    return {
        "edges": partition.edges,
        "scope": partition.scope,
        "variant": partition.variant,
        "ncut": None if math.isnan(partition.ncut) else round(partition.ncut, 5),
        "erased": partition.erased,
        "isolated": int(sum((row < 0).sum() for row in partition.labels.values())),
        "labels": {
            name: "".join("-" if label < 0 else DIGITS[label] for label in row)
            for name, row in partition.labels.items()
        },
        "unusable": reason,
        "layer": [part.depth for part in parts],
        "cluster": [part.module for part in parts],
        "size": [len(part.units) for part in parts],
        "population": [len(part.population) for part in parts],
    }


def labels_of(kept: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """layer -> (units,) clusters from what ``partition_record`` kept."""
    return {
        name: np.array([DIGITS.find(letter) for letter in row])
        for name, row in kept["labels"].items()
    }


def words(record: Mapping[str, Any]) -> dict[str, Any]:
    """How a record's network was trained, in a word, and its width; 0 for what others trained."""
    train = record["config"]["train"]
    if "widths" not in train:
        return {"reading": "described", "width": 0}
    return {"reading": reading_of(train), "width": train["widths"][0]}


def reading_of(train: Mapping[str, Any]) -> str:
    """ "described", "published", or what regularises a network that is neither."""
    words = mlps.regularizer_of(dict(train))
    if not settings.ARCHITECTURES[train["architecture"]].plain and words == "dropout+l2":
        return "described"
    return {"none": "described", "dropout+l2": "published"}.get(words, words)


def of_paper_size(record: Mapping[str, Any]) -> bool:
    """The paper's width and epochs on every training image."""
    train = record["config"]["train"]
    usual = settings.ARCHITECTURES.get(train["architecture"])
    return (
        usual is not None
        and train["widths"][0] == usual.width
        and train["epochs"] == usual.epochs
        and not train.get("images")
        and not train["data"].startswith("digits")
    )
