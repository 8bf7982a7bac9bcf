"""What ``detecting_modularity/05_larger_networks`` runs: the lesions and visualisations of CNNs."""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from book.papers.detecting_modularity.s04_what_excites_them import experiment as feature

__all__ = ["LargerParameters", "configs"]


@dataclass(frozen=True)
class LargerParameters:
    """Parameters of ``detecting_modularity/05_larger_networks``; the defaults are quick."""

    data: str = parameter(
        "digits",
        "data set: digits, mnist (paper) or fashion_mnist",
        choices=("digits", "mnist", "fashion_mnist"),
    )
    readings: list[str] = parameter(
        ["described"],
        "described (plain) or published (dropout, L2)",
        choices=("described", "published"),
    )
    seeds: int = parameter(1, "small CNNs of each reading (paper: 5)", at_least=1)
    clusters: list[int] = parameter(
        [8, 12], "clusters of the whole graph (paper: 16; VGG also 8 and 12)", at_least=2
    )
    controls: int = parameter(19, "random sets per sub-cluster (paper: 19)", at_least=1)
    responses: int = parameter(500, "training images for correlations (code: 5000)", at_least=3)
    test_images: int = parameter(0, "images a lesion is tested on; 0 means all", at_least=0)
    steps: int = parameter(30, "steps of each visualisation (paper: 100)", at_least=1)
    epochs: int = parameter(6, "epochs (paper: 10)", at_least=1)
    width: int = parameter(16, "channels of each convolution (paper: 64)", at_least=4)
    batch_size: int = parameter(32, "images per optimiser step (paper: 64)", at_least=1)
    seed: int = parameter(0, "first network seed; later ones count up", at_least=0)
    device: str = parameter("auto", "auto, cpu, cuda or mps")
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)

    def __post_init__(self) -> None:
        for k in self.clusters:
            if k > 3 * self.width:
                raise ValueError(
                    f"{k} clusters cannot be found among {3 * self.width} channels (three "
                    f"convolutions of {self.width}); choose at most {3 * self.width}"
                )


def configs(
    parameters: LargerParameters,
) -> tuple[list[lesion.LesionsConfig], list[feature.FeaturesConfig]]:
    """Lesions and visualisations of each network and k; those of one network stand together."""
    p = parameters
    lesions, features = [], []
    for train in networks.chosen(p, "small_cnn", p.data):
        for k in p.clusters:
            shared = {"clusters": k, "responses": p.responses, "controls": p.controls}
            lesions.append(lesion.LesionsConfig(train, **shared, test_images=p.test_images))
            recipe = {**feature.of_recipe("described", p.data), "steps": p.steps}
            features.append(feature.FeaturesConfig(train, **shared, **recipe))
    return lesions, features


def sweeps(parameters: LargerParameters) -> list[Sweep]:
    """What the section runs."""
    lesions, features = configs(parameters)
    return [Sweep(lesion.run, lesions), Sweep(feature.run, features)]


SECTION = Section("detecting_modularity/05_larger_networks", LargerParameters, sweeps)
