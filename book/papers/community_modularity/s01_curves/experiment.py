"""What ``community_modularity/01_curves`` runs: its parameters, and configurations from them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.community_modularity import curves
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.s01_curves import maps, pretrained, probes
from book.papers.community_modularity.s01_curves.maps import MapConfig
from book.papers.community_modularity.s01_curves.pretrained import NETWORKS, PretrainedConfig
from book.papers.community_modularity.s01_curves.probes import ProbeConfig
from book.papers.community_modularity.settings import SAMPLES, training_run
from book.papers.ncut.imagenet_weights import IMAGENET, RANDOM
from modgraph_lib.datasets import NAMES
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig

__all__ = [
    "QUICK",
    "CurvesParameters",
    "base",
    "map_configs",
    "pretrained_configs",
    "probe_configs",
    "sensitivity",
    "trainings",
]

SCALES = ("quick", "short", "paper")
# Eight channels and twelve epochs are enough for digits of 8x8 pixels.
QUICK = {"width": 8, "epochs": 12, "batch_size": 64, "learning_rate": 0.03, "precision": "float32"}


@dataclass(frozen=True)
class CurvesParameters(Run):
    """Parameters of ``community_modularity/01_curves``; the defaults are quick."""

    data: list[str] = parameter(
        ["digits"], "digits, cifar10, cifar100, imagenet50, tiny_imagenet_50", choices=NAMES
    )
    networks: list[str] = parameter(
        ["vgg11", "resnet18"], "networks (paper: four VGGs, five ResNets)",
        choices=cifar_networks.NAMES,
    )  # fmt: skip
    seeds: int = parameter(1, "networks of each kind (paper: 1)", at_least=1)
    scale: str = parameter(
        "quick", "how networks are trained: quick, short or paper", choices=SCALES
    )
    samples: int = parameter(200, "images N in a graph (0: the paper's 500 or 1,000)", at_least=0)
    neighbours: int = parameter(3, "neighbours k of an image (paper: 3)", at_least=1)
    repeats: int = parameter(3, "draws of images (paper: 5)", at_least=1)
    map_network: str = parameter(
        "vgg11", "network whose layers are mapped by t-SNE", choices=cifar_networks.NAMES
    )
    sizes: list[int] = parameter(
        [80, 140, 260], "other N (paper: 200 to 5,000; empty: none)",
        at_least=10, may_be_empty=True,
    )  # fmt: skip
    ks: list[int] = parameter(
        [3, 5, 7, 9, 11, 40, 80, 160], "other k (paper: 3 to 11, 100 to 400; empty: none)",
        at_least=1, may_be_empty=True,
    )  # fmt: skip
    variations: bool = parameter(
        True, "also Pearson, other symmetrisations, untrained networks, published"
    )
    probes: bool = parameter(True, "also linear probes of every layer")
    imagenet_networks: list[str] = parameter(
        [], "torchvision's ResNets for Figure 5 (paper: five; empty: none)",
        choices=NETWORKS, may_be_empty=True,
    )  # fmt: skip
    imagenet_weights: str = parameter(
        "random", "random, torchvision (downloads), or a folder of weights"
    )
    imagenet_data: str = parameter(
        "imagenet50",
        "images for these networks: imagenet50 or imagenet",
        choices=("imagenet50", "imagenet"),
    )

    def __post_init__(self) -> None:
        for data in self.data:
            for k in (self.neighbours, *self.ks):
                if k >= _samples(self, data):
                    raise ValueError(
                        f"k = {k} needs more than {k} images, and samples is {_samples(self, data)}"
                    )


def trainings(parameters: CurvesParameters) -> list[SgdConfig]:
    """One training run a data set, network and seed."""
    p = parameters
    scale, changes = ("short", QUICK) if p.scale == "quick" else (p.scale, {})
    return [
        training_run(network, p.seed + number, data=data, scale=scale, **changes)
        for data in p.data
        for network in p.networks
        for number in range(p.seeds)
    ]


def base(parameters: CurvesParameters) -> list[CurveConfig]:
    """The curves of Figures 1 and 4, one a training run."""
    p = parameters
    return [_curve(p, train) for train in trainings(p)]


def sensitivity(parameters: CurvesParameters) -> list[CurveConfig]:
    """Figures 7, B1, B2 and B3, and the readings of text and code."""
    p = parameters
    found = []
    for train in trainings(p):
        if p.ks:
            found.append(_curve(p, train, neighbours=tuple(p.ks)))
        found += [_curve(p, train, samples=size) for size in p.sizes]
        if p.variations:
            found += [
                _curve(p, train, **change)
                for change in (
                    {"similarity": "pearson"},
                    {"stage": "untrained"},
                    {"symmetrise": "union"},
                    {"symmetrise": "mutual"},
                    {"layers": "published"},
                    {"sampling": "consecutive"},
                    {"layers": "published", "sampling": "consecutive"},
                )
            ]
    return found


def map_configs(parameters: CurvesParameters) -> list[MapConfig]:
    """One map of the first data set's first network of the kind that is mapped."""
    p = parameters
    runs = [train for train in trainings(p) if train.network == p.map_network]
    return [MapConfig(train, samples=_samples(p, train.data)) for train in runs[:1]]


def probe_configs(parameters: CurvesParameters) -> list[ProbeConfig]:
    """Probes of every network, or none."""
    p = parameters
    if not p.probes:
        return []
    small = {"fit_images": 1000, "test_images": 250}
    return [
        ProbeConfig(train, **(small if train.data == "digits" else {})) for train in trainings(p)
    ]


def pretrained_configs(parameters: CurvesParameters) -> list[PretrainedConfig]:
    """Figure 5, one a network; none unless some are named."""
    p = parameters
    weights = RANDOM if p.imagenet_weights == RANDOM else IMAGENET
    return [
        PretrainedConfig(
            network,
            weights,
            p.imagenet_data,
            samples=p.samples or SAMPLES["imagenet50"],
            **p.given("neighbours", "repeats", "seed"),
        )
        for network in p.imagenet_networks
    ]


def _samples(parameters: CurvesParameters, data: str) -> int:
    return parameters.samples or SAMPLES.get(data, SAMPLES["cifar10"])


def _curve(parameters: CurvesParameters, train: SgdConfig, **changes) -> CurveConfig:
    settings = {
        "samples": _samples(parameters, train.data),
        "neighbours": (parameters.neighbours,),
        "repeats": parameters.repeats,
        **changes,
    }
    return CurveConfig(train, **settings)


def sweeps(parameters: CurvesParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    pictured = functools.partial(pretrained.run, weights=parameters.imagenet_weights)
    return [
        Sweep(curves.run, base(parameters)),
        Sweep(maps.run, map_configs(parameters)),
        Sweep(pictured, pretrained_configs(parameters)),
        Sweep(curves.run, sensitivity(parameters)),
        Sweep(probes.run, probe_configs(parameters)),
    ]


SECTION = Section("community_modularity/01_curves", CurvesParameters, sweeps)
