"""Parameters of the section on layer pruning, and the runs that they ask for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.community_modularity import settings, shapes
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.s05_layer_pruning import experiment as pruning
from modgraph_lib.training import SgdConfig

__all__ = ["PruningParameters", "family_looks", "guided_look", "tuning"]

DATA = ("digits", "cifar10", "cifar100", "imagenet50", "tiny_imagenet_50")
DEEP = ("vgg19", "resnet152")
SCALES = ("quick", *settings.SCALES)
# Eight channels and twelve epochs are enough for digits of 8x8 pixels.
QUICK = {"width": 8, "epochs": 12, "batch_size": 64, "learning_rate": 0.03, "precision": "float32"}
QUICK_GUIDED = {**QUICK, "width": 4, "epochs": 6}


@dataclass(frozen=True)
class PruningParameters(Run):
    """Parameters of ``community_modularity/05_layer_pruning``; the defaults are quick."""

    data: str = parameter(
        "digits", "data set: digits or cifar10 (paper; also cifar100, imagenet50)", choices=DATA
    )
    deep: str = parameter("vgg19", "network with a plateau: vgg19 or resnet152", choices=DEEP)
    deep_removed: list[int] = parameter(
        [1, 3, 6], "layers its variants lose (paper: 1 to 6; resnet152: 5 to 30)", at_least=1
    )
    shallow: str = parameter("vgg11", "network without one: vgg11", choices=("vgg11",))
    shallow_removed: list[int] = parameter(
        [1, 2, 3], "layers its variants lose (paper: 1, 2, 3)", at_least=1, at_most=3
    )
    guided: str = parameter(
        "resnet56", "network pruned by its own Q: resnet56, or none", choices=("resnet56", "none")
    )
    seeds: int = parameter(1, "networks of each kind (paper: 1)", at_least=1)
    scale: str = parameter(
        "quick", "how parents are trained: quick, short or paper", choices=SCALES
    )
    tune_epochs: int = parameter(3, "epochs of fine-tuning (paper: 150)", at_least=1)
    tune_rate: float = parameter(0.01, "highest rate of fine-tuning (paper: 0.01)")
    threshold: float = parameter(shapes.STEP, "a block is removed if Q grows by at most this")
    reading: str = parameter(
        "described", "described (fine-tuned) or published (from scratch)", choices=pruning.READINGS
    )
    samples: int = parameter(200, "test images in a graph (paper: 500)", at_least=4)
    neighbours: int = parameter(3, "neighbours k of each image (paper: 3)", at_least=1)
    repeats: int = parameter(3, "draws of test images (paper: 5)", at_least=1)

    def __post_init__(self) -> None:
        if self.tune_rate <= 0:
            raise ValueError(f"tune_rate must be positive, got {self.tune_rate}")
        if self.samples <= self.neighbours:
            raise ValueError(f"samples must be more than neighbours, got {self.samples}")


def tuning(p: PruningParameters) -> dict[str, float]:
    """In which fields fine-tuning differs from a parent's training."""
    return {"epochs": p.tune_epochs, "learning_rate": p.tune_rate}


def family_looks(p: PruningParameters, which: str) -> list[CurveConfig]:
    """What is measured of "deep" or "shallow": parents, controls and variants, seed by seed."""
    network, removed = getattr(p, which), getattr(p, f"{which}_removed")
    found = []
    for seed in range(p.seed, p.seed + p.seeds):
        runs = pruning.family(_parent(p, network, seed), removed, reading=p.reading, **tuning(p))
        found += [_look(p, run) for run in runs]
    return found


def guided_look(p: PruningParameters) -> CurveConfig | None:
    """What is measured of the network that its own Q prunes; None where none is asked for."""
    if p.guided == "none":
        return None
    return _look(p, _parent(p, p.guided, p.seed, QUICK_GUIDED))


def _parent(p: PruningParameters, network: str, seed: int, quick: dict = QUICK) -> SgdConfig:
    if p.scale != "quick":
        return settings.training_run(network, seed, data=p.data, scale=p.scale)
    run = settings.training_run(network, seed, data=p.data, scale="short")
    return replace(run, **quick)


def _look(p: PruningParameters, train: SgdConfig) -> CurveConfig:
    return CurveConfig(train, samples=p.samples, neighbours=(p.neighbours,), repeats=p.repeats)


def sweeps(parameters: PruningParameters) -> list[Sweep]:
    """What the section runs, in its order."""
    look = guided_look(parameters)
    families = [family_looks(parameters, which) for which in ("deep", "shallow")]
    return [
        *(Sweep(pruning.run, looks) for looks in families),
        Sweep(functools.partial(_guided, parameters), [look] if look else []),
    ]


def _guided(parameters: PruningParameters, looks: Sequence[CurveConfig], **where) -> list[dict]:
    (look,) = looks
    tuned = {**tuning(parameters), **where}
    return pruning.run_guided(look, threshold=parameters.threshold, **tuned)


SECTION = Section("community_modularity/05_layer_pruning", PruningParameters, sweeps)
