"""What ``detecting_modularity/05_larger_networks`` runs: the lesions and visualisations of CNNs."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.detecting_modularity import networks, settings
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from book.papers.detecting_modularity.s04_what_excites_them import experiment as feature
from book.papers.detecting_modularity.s05_larger_networks import pretrained
from book.papers.ncut.imagenet_weights import IMAGENET, RANDOM

__all__ = ["LargerParameters", "configs"]


@dataclass(frozen=True)
class LargerParameters(Run):
    """Parameters of ``detecting_modularity/05_larger_networks``; the defaults are quick."""

    architecture: str = parameter(
        "small_cnn",
        "small_cnn, or vgg (on cifar10; wants a GPU)",
        choices=("small_cnn", "vgg"),
    )
    data: str = parameter(
        "digits",
        "data set: digits, mnist (paper), fashion_mnist or cifar10 (paper, VGG)",
        choices=("digits", "mnist", "fashion_mnist", "cifar10"),
    )
    readings: list[str] = networks.readings("described")
    seeds: int = parameter(1, "networks of each reading (paper: 5)", at_least=1)
    clusters: list[int] = parameter(
        [8, 12], "clusters of the whole graph (paper: 16; VGG also 8 and 12)", at_least=2
    )
    controls: int = parameter(19, "random sets per sub-cluster (paper: 19)", at_least=1)
    responses: int = parameter(500, "training images for correlations (code: 5000)", at_least=3)
    test_images: int = parameter(0, "images a lesion is tested on; 0 means all", at_least=0)
    steps: int = parameter(30, "steps of each visualisation (paper: 100)", at_least=1)
    epochs: int = parameter(6, "epochs; 0 means the paper's (10; VGG 200)", at_least=0)
    width: int = parameter(16, "channels of the first convolution (paper: 64)", at_least=4)
    batch_size: int = parameter(32, "images per step; 0: the paper's (64; VGG 128)", at_least=0)
    images: int = parameter(0, "training images; 0 means all", at_least=0)

    imagenet_networks: list[str] = parameter(
        [], "and torchvision's: vgg16, vgg19, resnet18", choices=tuple(pretrained.NETWORKS),
        may_be_empty=True,
    )  # fmt: skip
    imagenet_weights: str = parameter(
        "random", "random, torchvision (downloads), or a folder of weights"
    )

    def __post_init__(self) -> None:
        if self.architecture == "vgg" and self.data != "cifar10":
            raise ValueError(f"the VGG wants images of 32 pixels: data=cifar10, not {self.data}")
        units = settings.ARCHITECTURES[self.architecture].channels * self.width
        if beyond := [k for k in self.clusters if k > units]:
            raise ValueError(
                f"{beyond[0]} clusters cannot be found among {units} channels; ask for fewer"
            )


def configs(
    parameters: LargerParameters,
) -> tuple[list[lesion.LesionsConfig], list[feature.FeaturesConfig]]:
    """Lesions and visualisations of each network and k; those of one network stand together."""
    p = parameters
    lesions, features = [], []
    kind = settings.ARCHITECTURES[p.architecture].kind
    for train in networks.chosen(p, p.architecture, p.data):
        for k in p.clusters:
            shared = {"clusters": k, "responses": p.responses, "controls": p.controls}
            wanted = lesion.LesionsConfig(train, **shared, kind=kind, test_images=p.test_images)
            lesions.append(wanted)
            recipe = {**feature.of_recipe("described", p.data), "steps": p.steps}
            features.append(feature.FeaturesConfig(train, **shared, **recipe))
    return lesions, features


def of_imagenet(parameters: LargerParameters) -> list:
    """Lesions and visualisations of torchvision's networks; none unless some are named."""
    p = parameters
    weights = RANDOM if p.imagenet_weights == RANDOM else IMAGENET
    wanted = itertools.product(p.imagenet_networks, p.clusters, ("drop", "score"))
    return [
        pretrained.asked(pretrained.Pretrained(name, weights), proxy, clusters=k)
        for name, k, proxy in wanted
        if proxy in pretrained.NETWORKS[name]
    ]


def sweeps(parameters: LargerParameters) -> list[Sweep]:
    """What the section runs."""
    lesions, features = configs(parameters)
    given = functools.partial(pretrained.run, weights=parameters.imagenet_weights)
    return [
        Sweep(lesion.run, lesions),
        Sweep(feature.run, features),
        Sweep(given, of_imagenet(parameters)),
    ]


SECTION = Section("detecting_modularity/05_larger_networks", LargerParameters, sweeps)
