"""The grid of learning rates and dropouts, and the parameters that its sections share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from book.lab.parameters import Run, parameter
from book.papers.cnn_dynamics.zoo import CHAINS, NETWORKS, Chunk, NetworkConfig

__all__ = ["THRESHOLDS", "GridParameters", "OneGridParameters", "chunks", "member", "threshold"]


# Table 2: accuracy (%) from which a network counts as accurate.
THRESHOLDS = {
    ("cifar10", "lenet"): 40.0,
    ("cifar10", "alexnet"): 40.0,
    ("cifar10", "vgg1613"): 40.0,
    ("cifar10", "resnet32"): 40.0,
    ("cifar10", "resnet44"): 40.0,
    ("tiny_imagenet", "lenet"): 9.0,
    ("tiny_imagenet", "alexnet"): 10.0,
    ("tiny_imagenet", "resnet50"): 25.0,
}


def threshold(data: str, network: str, images: int) -> float:
    """Accuracy (%) above which a network counts as accurate: the paper's, Table 2.

    Half of it where only some of the images are trained on: networks then become half as
    accurate at best, and the paper's own threshold would leave hardly any above it.
    """
    own = THRESHOLDS.get((data, network), 40.0)
    return own / 2 if images else own


@dataclass(frozen=True)
class GridParameters(Run):
    """Parameters of grids; the defaults are quick."""

    data: str = parameter(
        "digits",
        "data set: digits, cifar10 (paper) or tiny_imagenet (paper, 100 classes)",
        choices=("digits", "cifar10", "tiny_imagenet"),
    )
    pixels: int = parameter(16, "width and height of the images (paper: 32)", at_least=16)
    images: int = parameter(0, "training images, 0 for all (paper: 50,000)", at_least=0)
    batch_size: int = parameter(16, "images per optimiser step (paper: 128)", at_least=1)
    epochs: int = parameter(8, "epochs at most (paper: 50)", at_least=1)
    patience: int = parameter(
        10, "epochs without a gain until a network stops (paper: 10)", at_least=0
    )
    mantissas: list[float] = parameter(
        [1.0, 3.0], "mantissas of learning rates (paper: 1 to 4.5 by 0.5)", at_least=1, below=10
    )
    exponents: list[int] = parameter(
        [-2, -4, -1, -6, -3, -5], "powers of ten for them (paper: -6 to -1)"
    )
    dropouts: list[float] = parameter(
        [0.0, 0.4], "dropout rates (paper: 0 to 0.9 by 0.1)", at_least=0, below=1
    )
    together: int = parameter(4, "networks that train side by side", at_least=1)
    seed: int = parameter(0, "seed of batch order and dropout noise", at_least=0)


@dataclass(frozen=True)
class OneGridParameters(GridParameters):
    """Parameters of the grid of one network; the defaults are quick."""

    network: str = parameter("lenet", "which network (paper: lenet)", choices=NETWORKS)


def chunks(parameters: GridParameters, network: str) -> list[Chunk]:
    """The grid of one network, dropout by dropout and decade by decade of learning rates.

    Neighbouring learning rates train side by side, since they stop at about the same time. A
    network's seed is its place in the grid, so that smaller grids are parts of larger ones.
    """
    p = parameters
    found = []
    for dropout in p.dropouts:
        for exponent in p.exponents:
            members = [
                member(
                    network,
                    float(f"{mantissa}e{exponent}"),
                    dropout,
                    **p.given("data", "pixels", "images", "batch_size", "epochs", "patience"),
                    grid_seed=p.seed,
                )
                for mantissa in p.mantissas
            ]
            side = p.together if network in CHAINS else 1
            found += [Chunk(tuple(members[i : i + side])) for i in range(0, len(members), side)]
    return found


def member(network: str, learning_rate: float, dropout: float, **options: Any) -> NetworkConfig:
    """One network of a grid; its seed is a number for its place, whatever part of it is run.

    Args:
        options: further fields of ``NetworkConfig``; the defaults are the paper's.
    """
    mantissa, exponent = f"{learning_rate:e}".split("e")
    place = round(10 * float(mantissa)) + 100 * (int(exponent) + 30)
    seed = place + 10_000 * round(100 * dropout)
    return NetworkConfig(network, learning_rate, dropout, seed, **options)
