"""Graphs and networks whose answers are known, to calibrate a measure before trusting it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.lesions import Submodule

__all__ = [
    "Relay",
    "placed_strands",
    "adder",
    "joined_strands",
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

    >>> round(clustering.ncut(toys.two_triangles(), np.array([0, 0, 0, 1, 1, 1])), 3)
    0.286
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

    >>> round(clustering.ncut(toys.straggler(0.1), np.array([0, 0, 0, 0, 1, 1])), 3)
    0.056
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

    >>> weights, strand = toys.strands(2, (4, 6), leak=0.1, seed=0)
    >>> weights[0].shape, strand
    ((6, 4), array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))
    """
    _checks.whole(count, "count", least=1)
    _checks.number(leak, "leak", least=0, most=1)
    _checks.whole(seed, "seed")
    _checks.instance(layers, Sequence, "layers as a list of sizes")
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

    >>> weights, strand = toys.placed_strands(2, (4, 4), place="topology", leak=0, kept=1, seed=0)
    >>> weights[0].astype(int), strand
    (array([[1, 0, 1, 0],
           [0, 1, 0, 1],
           [1, 0, 1, 0],
           [0, 1, 0, 1]]), array([0, 1, 0, 1, 0, 1, 0, 1]))
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


def joined_strands(count: int, layers: Sequence[int], *, together: int) -> list[np.ndarray]:
    """Weights, all 1, of `count` strands that are separate until the last blocks join them.

    Divide every layer evenly into k parts, k a multiple of `count`, so that no part mixes
    strands. With a share q of the weight in the joined blocks, the n-cut of this partition is
    k - count + q (count - 1): each strand beyond the first is worth 1 - q.

    Args:
        count: number of strands; node i of a layer belongs to strand i modulo `count`.
        layers: nodes of each layer, at least two layers.
        together: how many of the last blocks join every node with every node.

    Returns:
        Weight matrices (outputs, inputs) of ones and zeros.

    Raises:
        ValueError: too few layers, a layer that `count` does not divide, or `together` out of
            range.

    >>> [matrix.tolist() for matrix in toys.joined_strands(2, (2, 2, 2), together=1)]
    [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]
    """
    if len(layers) < 2 or any(size % count for size in layers):
        raise ValueError(f"need two layers or more, each divisible by {count}, got {list(layers)}")
    if not 0 <= together <= len(layers) - 1:
        raise ValueError(f"together lies between 0 and {len(layers) - 1} blocks, got {together}")
    separate = len(layers) - 1 - together
    weights = []
    for depth, (before, after) in enumerate(itertools.pairwise(layers)):
        same = (np.arange(after)[:, None] - np.arange(before)[None, :]) % count == 0
        weights.append(np.where(same | (depth >= separate), 1.0, 0.0))
    return weights


def adder(base: int, *, relays: int) -> tuple[nn.Sequential, np.ndarray]:
    """A network that adds two digits modulo `base` in two strands that meet only at the end.

    Its input is two one-hot digits (2 base numbers). `relays` hidden layers hand each digit on
    by itself; the last hidden layer has a unit for each pair of digits, on when both are there
    (weights 1 and 1, bias -1), and each output collects the pairs with its sum.

    Returns:
        The network, and labels (N,) of its nodes: 0 and 1 for the strands, 2 where they meet.
        This partition has n-cut 2 base / (2 relays + base) + 1/2.

    Raises:
        ValueError: a base below 2 or no relay.

    >>> model, _ = toys.adder(5, relays=1)
    >>> model(torch.eye(10)[[3]] + torch.eye(10)[[5 + 4]]).argmax().item()
    2
    """
    if base < 2 or relays < 1:
        raise ValueError(f"need a base of 2 or more and a relay or more, got {base} and {relays}")
    one, two = (digit.ravel() for digit in np.divmod(np.arange(base**2), base))
    pairs = torch.zeros(base**2, 2 * base)
    sums = torch.zeros(base, base**2)
    pairs[np.arange(base**2), one] = pairs[np.arange(base**2), base + two] = 1.0
    sums[(one + two) % base, np.arange(base**2)] = 1.0
    parts: list[nn.Module] = []
    for weight in [*[torch.eye(2 * base)] * relays, pairs, sums]:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.fill_(-1.0 if weight is pairs else 0.0)
        parts += [layer, nn.ReLU()]
    strand = np.repeat([0, 1], base)
    labels = np.concatenate([np.tile(strand, relays + 1), np.full(base**2 + base, 2)])
    return nn.Sequential(*parts[:-1]).eval(), labels


def rescaled(model: nn.Module, *, spread: float, seed: int) -> nn.Module:
    """A copy of a ReLU network with the same function and other weights.

    Each hidden unit's incoming weights and bias are multiplied by a positive factor and its
    outgoing weights divided by it, which a ReLU does not notice.

    Args:
        model: linear layers that follow one another, with ReLU (and dropout) between them.
        spread: standard deviation of the factors' logarithms.
        seed: fixes the factors.

    >>> model = models.mlp(4, 2, widths=(8,), seed=0)
    >>> twin = toys.rescaled(model, spread=1.0, seed=0)
    >>> torch.allclose(twin(torch.eye(4)), model(torch.eye(4)), atol=1e-6)
    True
    """
    twin = copy.deepcopy(model)
    layers = [layer for layer in twin.modules() if isinstance(layer, nn.Linear)]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for before, after in itertools.pairwise(layers):
            factors = torch.exp(spread * torch.randn(before.out_features, generator=generator))
            before.weight.mul_(factors[:, None])
            before.bias.mul_(factors)
            after.weight.div_(factors[None, :])
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

    >>> relay = toys.relay(3, units=2)
    >>> relay.model(relay.images).argmax(1), len(relay.parts)
    (tensor([0, 1, 2]), 9)
    """
    _checks.whole(classes, "classes", least=2)
    _checks.whole(units, "units", least=2)
    _checks.number(bias, "bias", least=0)
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
