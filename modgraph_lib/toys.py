"""Graphs and networks whose answers are known, to calibrate a measure before trusting it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from modgraph_lib.lesions import Submodule

__all__ = [
    "Relay",
    "placed_strands",
    "relay",
    "rescaled",
    "straggler",
    "strands",
    "two_triangles",
]

HIDDEN = 3  # hidden layers of a relay


def two_triangles() -> np.ndarray:
    """(6, 6) adjacency of two triangles joined by one edge, all weights 1.

    Each triangle has volume 7, of which 1 leaves: its split has n-cut 1/7 + 1/7.
    """
    adjacency = np.zeros((6, 6))
    for one, two in ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)):
        adjacency[one, two] = adjacency[two, one] = 1.0
    return adjacency


def straggler(link: float) -> np.ndarray:
    """(6, 6) adjacency of four nodes joined each to each, and a pair hanging on by `link`.

    Cutting the pair off costs link / (2 + link) + link / (12 + link), next to nothing for a
    weak link, although the other four nodes have no clusters at all.

    Raises:
        ValueError: a negative link.
    """
    if link < 0:
        raise ValueError(f"link must not be negative, got {link}")
    adjacency = np.zeros((6, 6))
    adjacency[:4, :4] = 1.0 - np.eye(4)
    adjacency[4, 5] = adjacency[5, 4] = 1.0
    adjacency[3, 4] = adjacency[4, 3] = link
    return adjacency


def strands(
    count: int, layers: Sequence[int], *, leak: float, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Weights of a network of `count` parallel strands, and the strand of each node.

    Args:
        count: number of strands; every layer is dealt out to them in turn.
        layers: nodes of each layer, at least two layers and `count` nodes in each.
        leak: factor on the weights between different strands, 0 (separate) to 1 (one network).
        seed: fixes the weights, absolute values of standard normals.

    Returns:
        Weight matrices (outputs, inputs) as torch keeps them, and (N,) labels in layer order.

    Raises:
        ValueError: a leak outside [0, 1], too few layers, or a layer too small.
    """
    if not 0 <= leak <= 1:
        raise ValueError(f"leak must lie between 0 and 1, got {leak}")
    if len(layers) < 2 or min(layers) < count:
        raise ValueError(f"need two layers or more of at least {count} nodes, got {list(layers)}")
    rng = np.random.default_rng(seed)
    labels = [np.arange(size) % count for size in layers]
    weights = []
    for before, after in zip(labels[:-1], labels[1:], strict=True):
        same = after[:, None] == before[None, :]
        strength = np.abs(rng.standard_normal((len(after), len(before))))
        weights.append(strength * np.where(same, 1.0, leak))
    return weights, np.concatenate(labels)


def placed_strands(
    count: int, layers: Sequence[int], *, place: str, leak: float, kept: float, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """A sparse network of parallel strands that are all topology, or all placement of weights.

    Either way two nodes have the same expected weight between them: `kept` within a strand,
    `kept` times `leak` between strands. With "topology" it is the weights' presence that differs
    and every weight is 1; with "weights" all are present alike and differ in size.

    Args:
        count, layers: as for ``strands``.
        place: where the strands are, "topology" or "weights".
        leak: expected weight between strands relative to that within, 0 to 1.
        kept: share of weights present within a strand, above 0 to 1.
        seed: fixes which weights are present.

    Returns:
        Weight matrices (outputs, inputs) and (N,) labels in layer order, as ``strands``.

    Raises:
        ValueError: another place, a share or a leak out of range, or layers that ``strands``
            would refuse.
    """
    if place not in ("topology", "weights"):
        raise ValueError(f'place is "topology" or "weights", got {place!r}')
    if not 0 < kept <= 1:
        raise ValueError(f"kept must lie in (0, 1], got {kept}")
    pattern, labels = strands(count, layers, leak=leak, seed=seed)
    rng = np.random.default_rng(seed)
    parts = np.split(labels, np.cumsum(layers)[:-1])
    weights = []
    for matrix, before, after in zip(pattern, parts[:-1], parts[1:], strict=True):
        strength = np.where(after[:, None] == before[None, :], 1.0, leak)
        drawn = rng.random(matrix.shape)
        if place == "topology":
            weights.append((drawn < kept * strength).astype(float))
        else:
            weights.append(np.where(drawn < kept, strength, 0.0))
    return weights, labels


def rescaled(model: nn.Module, *, spread: float, seed: int) -> nn.Module:
    """A copy of a ReLU network with the same function and other weights.

    Each hidden unit's incoming weights and bias are multiplied by a positive factor and its
    outgoing weights divided by it, which a ReLU does not notice.

    Args:
        model: linear layers that follow one another, with ReLU (and dropout) between them.
        spread: standard deviation of the factors' logarithms.
        seed: fixes the factors.
    """
    twin = copy.deepcopy(model)
    layers = [layer for layer in twin.modules() if isinstance(layer, nn.Linear)]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for before, after in itertools.pairwise(layers):
            factors = torch.exp(spread * torch.randn(before.out_features, generator=generator))
            before.weight *= factors[:, None]
            before.bias *= factors
            after.weight /= factors[None, :]
    return twin


@dataclass(frozen=True, eq=False)
class Relay:
    """A network of separate strands, one a class, with its four kinds of image.

    Attributes:
        model: linear layers and ReLUs; one more output than classes, for "none of these".
        images: (classes, classes), image c has a one at pixel c.
        labels: (classes,).
        parts: what strand c has in each hidden layer, by layer and then by strand.
    """

    model: nn.Sequential
    images: torch.Tensor
    labels: torch.Tensor
    parts: tuple[Submodule, ...]


def relay(classes: int, *, units: int, bias: float = 0.0) -> Relay:
    """Each class has a strand of `units` units in three hidden layers that hands its pixel on.

    A strand answers while at least one of its units is left in every layer, so that lesioning a
    whole strand anywhere costs its class and nothing else, and a random set of as many units
    costs nothing.  With a `bias` the units of the first hidden layer are on by themselves and
    their weights hold them down: without these weights they are stuck at `bias`.

    Raises:
        ValueError: fewer than two classes, fewer than two units, or a negative bias.
    """
    if classes < 2 or units < 2 or bias < 0:
        raise ValueError(
            f"need at least 2 classes, 2 units and a bias of 0 or more, got {classes}, {units} "
            f"and {bias}"
        )
    width = classes * units
    strand = torch.arange(width) // units
    same = (strand[:, None] == strand[None, :]).float() / units
    own = (strand[:, None] == torch.arange(classes)[None, :]).float()
    answer = torch.cat([own.T / units, torch.zeros(1, width)])
    nothing = torch.zeros(classes + 1)
    nothing[-1] = 0.5 / units  # below what a single unit can say
    first = nn.Linear(classes, width)
    parts: list[nn.Module] = [first, nn.ReLU()]
    with torch.no_grad():
        first.weight.copy_(own - bias)
        first.bias.fill_(bias)
        for _ in range(HIDDEN - 1):
            layer = nn.Linear(width, width)
            layer.weight.copy_(same)
            layer.bias.zero_()
            parts += [layer, nn.ReLU()]
        last = nn.Linear(width, classes + 1)
        last.weight.copy_(answer)
        last.bias.copy_(nothing)
    model = nn.Sequential(*parts, last).eval()
    everyone = np.arange(width)
    strands_of = [np.flatnonzero(strand.numpy() == c) for c in range(classes)]
    pieces = tuple(
        Submodule(str(2 * depth), depth + 1, c, strands_of[c], everyone, width)
        for depth in range(HIDDEN)
        for c in range(classes)
    )
    return Relay(model, torch.eye(classes), torch.arange(classes), pieces)
