"""Parameters of the section on adversarial images, and the runs that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.community_modularity.s02_adversarial import experiment
from book.papers.community_modularity.s02_adversarial.experiment import (
    ATTACKS,
    FEWEST,
    VARIANTS,
    AdversarialConfig,
)
from book.papers.community_modularity.settings import TrainedParameters, training_run
from modgraph_lib import attacks
from modgraph_lib.models import cifar_networks

__all__ = ["AdversarialParameters", "runs"]

DATA = ("digits", "cifar10", "cifar100", "tiny_imagenet_50")


@dataclass(frozen=True)
class AdversarialParameters(TrainedParameters):
    """Parameters of ``community_modularity/02_adversarial``; the defaults are quick."""

    data: str = parameter("digits", "data set: digits, cifar10 (paper) or another", choices=DATA)
    networks: list[str] = parameter(["vgg11"], "networks (paper: vgg16 and resnet18)")
    attack_names: list[str] = parameter(
        ["fgsm", "jsma", "one_pixel"], "attacks (paper: all six)", choices=ATTACKS
    )
    samples: int = parameter(100, "misled images in a graph (paper: 500)", at_least=FEWEST)
    attempts: int = parameter(0, "images attacked at most; 0 is no limit", at_least=0)
    repeats: int = parameter(5, "draws of clean images to compare with (paper: 5)", at_least=1)
    cw_steps: int = parameter(60, "steps per search of CW (AdverTorch: 10000)", at_least=1)
    cw_searches: int = parameter(4, "searches of CW (AdverTorch: 9)", at_least=1)
    cw_constant: float = parameter(1.0, "constant CW starts from (AdverTorch: 0.001)")
    population: int = parameter(30, "candidates of OnePixel (its source: 400)", at_least=5)
    generations: int = parameter(10, "generations of OnePixel (its source: 100)", at_least=1)
    variant: str = parameter("described", "described (text) or published (code)", choices=VARIANTS)

    def __post_init__(self) -> None:
        for name in self.networks:
            cifar_networks.plan_of(name)
        if self.cw_constant <= 0:
            raise ValueError(f"cw_constant must be positive, got {self.cw_constant}")


def runs(parameters: AdversarialParameters) -> list[AdversarialConfig]:
    """Every attack on every network that a page's parameters ask for."""
    P = parameters
    networks = [
        training_run(
            network,
            seed,
            data=P.data,
            scale=P.scale,
            width=P.width,
            epochs=P.epochs,
            batch_size=P.batch_size,
            precision=P.precision,
        )
        for seed in range(P.seed, P.seed + P.seeds)
        for network in P.networks
    ]
    return [
        AdversarialConfig(
            train,
            attack,
            P.variant,
            samples=P.samples,
            attempts=P.attempts,
            settings=_changes(P, attack),
            neighbours=P.neighbours,
            repeats=P.repeats,
        )
        for train in networks
        for attack in P.attack_names
    ]


def _changes(parameters: AdversarialParameters, attack: str) -> tuple[tuple[str, object], ...]:
    """What the parameters change of an attack's settings; nothing where they say the default."""
    wanted: dict[str, object] = {}
    if attack == "cw":
        wanted = {
            "steps": parameters.cw_steps,
            "searches": parameters.cw_searches,
            "constant": parameters.cw_constant,
        }
    elif attack == "one_pixel" and parameters.variant == "described":
        wanted = {"population": parameters.population, "generations": parameters.generations}
    usual = attacks.SETTINGS[attack]
    return tuple((name, value) for name, value in wanted.items() if value != usual[name])


SECTION = Section(
    "community_modularity/02_adversarial",
    AdversarialParameters,
    lambda p: [Sweep(experiment.run, runs(p))],
)
