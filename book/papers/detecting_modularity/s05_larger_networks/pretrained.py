"""Lesions and visualisations of torchvision's ImageNet networks: one record a network and kind.

Weights are read from files that the user names, or fetched by torchvision; images from the user's
copy of ImageNet. Neither is to be had where this book is made, so the path is tested with random
weights on made images.

Source: Detecting Modularity, appendix A.2 (networks) and section 3.2 (nine random sets).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.detecting_modularity import networks, settings
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from book.papers.detecting_modularity.s04_what_excites_them import experiment as feature
from book.papers.ncut import imagenet_weights as imagenet
from modgraph_lib.datasets import _imagenet

__all__ = ["NETWORKS", "Pretrained", "PretrainedFeatures", "PretrainedLesions", "asked", "run"]

# The paper's, by what it measures of them; ResNet18 has only lesions, VGG-19 only pictures.
NETWORKS = {"vgg16": ("drop", "score"), "vgg19": ("score",), "resnet18": ("drop",)}


@dataclass(frozen=True)
class Pretrained:
    """A network of torchvision's.

    Attributes:
        architecture: torchvision's name, one of ``NETWORKS``.
        weights: "random" or "imagenet".
        seed: of random weights.
    """

    architecture: str
    weights: str = imagenet.IMAGENET
    data: str = "imagenet"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("architecture", tuple(NETWORKS)),
            ("weights", (imagenet.RANDOM, imagenet.IMAGENET)),
        ):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")


@dataclass(frozen=True)
class PretrainedLesions(lesion.LesionsConfig):
    """Lesions of one of torchvision's networks on the first ``test_images`` validation images."""

    train: Pretrained
    responses: int = settings.IMAGENET_RESPONSES
    controls: int = settings.IMAGENET_CONTROLS
    kind: str = settings.IMAGENET_KIND
    test_images: int = settings.IMAGENET_TEST_IMAGES


@dataclass(frozen=True)
class PretrainedFeatures(feature.FeaturesConfig):
    """Visualisations of one, with Lucid's own transformations: shift, scale and rotation."""

    train: Pretrained
    responses: int = settings.IMAGENET_RESPONSES
    controls: int = settings.IMAGENET_CONTROLS
    jitter: float = 8.0
    rotation: float = 10.0


def asked(network: Pretrained, proxy: str, **options) -> PretrainedLesions | PretrainedFeatures:
    """The paper's configuration of a network and a proxy; what differs goes into ``options``."""
    kind = PretrainedFeatures if proxy in feature.PROXIES else PretrainedLesions
    return kind(network, **options)


def run(
    configs: Sequence[PretrainedLesions | PretrainedFeatures],
    *,
    weights: str = imagenet.RANDOM,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    Args:
        weights: where ImageNet weights are: "torchvision" (fetches them), or a folder.
        root: folder that holds ``imagenet``.
    """
    return sweep.each(run_one, configs, device=device, workers=workers, weights=weights, root=root)


def run_one(
    config: PretrainedLesions | PretrainedFeatures,
    *,
    weights: str = imagenet.RANDOM,
    device: str = "cpu",
    root: str | None = None,
) -> dict:
    """The record of one configuration, as in ``imagenet_weights.record``."""
    experiment = LESIONS if isinstance(config, PretrainedLesions) else FEATURES
    train = config.train
    model = imagenet.of_pixels(imagenet.network(train, train.architecture, weights))
    items = imagenet.images(train.data, root)

    def parts(key: Mapping[str, Any]) -> dict:
        return measure(config, model, len(items), key, device=device, root=root)

    return imagenet.record(experiment, config, model, parts, items=items, device=device)


def measure(
    config: PretrainedLesions | PretrainedFeatures,
    model: nn.Module,
    total: int,
    key: Mapping[str, Any],
    *,
    device: str = "cpu",
    root: str | None = None,
) -> dict:
    """What the record of this ``key`` keeps. ``total``: validation images there are."""
    images = functools.partial(_imagenet.sample, config.train.data, root=root)
    order = np.random.default_rng([config.seed, 6]).permutation(total)
    seen, _ = images(order[: config.responses])
    found = list(networks.partitions_of(config, model, seen, device))
    if isinstance(config, PretrainedFeatures):
        shape = (seen.shape[1], seen.shape[2], seen.shape[3])
        return feature.visualised(config, model, found, shape, device, rotation=config.rotation)
    tested, labels = images(np.arange(min(total, config.test_images or total)))
    kept = lesion.lesioned(config, model, found, tested, labels, device=device, key=key)
    for row in kept["partitions"]:
        row.pop("by_class", None)  # a thousand numbers a sub-cluster, which nothing reads
    return kept


def _committed(record: dict) -> bool:
    return record["config"]["train"]["weights"] == imagenet.IMAGENET


LESIONS = Experiment(
    "dm_imagenet_lesions",
    PretrainedLesions,
    rows=lesion.rows,
    columns=lesion.EXPERIMENT.columns,
    keep=_committed,
)
FEATURES = Experiment(
    "dm_imagenet_features",
    PretrainedFeatures,
    rows=feature.rows,
    columns=feature.EXPERIMENT.columns,
    keep=_committed,
)
