"""Table 5, counted on real modules; and what its own numbers leave open about the networks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modgraph_lib import graphs, models
from modgraph_lib.models import cifar_networks

__all__ = [
    "PAPER",
    "Sizes",
    "counted",
    "dense_layouts",
    "divisor_of_edges",
    "network",
    "vgg_layouts",
]

IMAGE = (3, 32, 32)
SMALL = (3, 4, 4)
# Table 5: nodes and edges, rolled and unrolled; None where the paper gives none.
PAPER = {
    ("cifar10", "lenet"): (239, 12_954, 11_166, 658_024),
    ("cifar10", "alexnet"): (2_925, 1_160_480, 54_986, 45_997_696),
    ("cifar10", "vgg1613"): (1_613, 304_576, 205_066, 119_714_496),
    ("cifar10", "resnet32"): (1_149, 51_888, None, None),
    ("cifar10", "resnet44"): (1_597, 73_392, None, None),
    ("tiny_imagenet", "lenet"): (713, 115_362, 11_640, 843_376),
    ("tiny_imagenet", "alexnet"): (3_015, 1_206_560, 55_076, 46_043_776),
    ("tiny_imagenet", "resnet50"): (22_823, 10_821_824, None, None),
}
CLASSES = {"cifar10": 10, "tiny_imagenet": 100}
COMMON = (64, 128, 256, 512)  # widths of a VGG


@dataclass(frozen=True)
class Sizes:
    """Nodes and edges of the two graphs of one network; None where there is no unrolled graph."""

    nodes: int
    edges: int
    unrolled_nodes: int | None
    unrolled_edges: int | None


def network(name: str, data: str) -> nn.Module:
    """The network that a column of Table 5 is about, untrained."""
    outputs = CLASSES[data]
    if name.startswith("resnet"):
        return cifar_networks.build(name, IMAGE, outputs, seed=0)
    if name == "lenet" and outputs == 100:
        return models.lenet(IMAGE, outputs, dense=(336, 252), seed=0)
    makers = {"lenet": models.lenet, "alexnet": models.alexnet, "vgg1613": models.vgg1613}
    return makers[name](IMAGE, outputs, seed=0)


@functools.cache
def counted(name: str, data: str) -> Sizes:
    """Counts of one column of Table 5, from the graphs of a real module."""
    return sizes_of(network(name, data), unrolled=not name.startswith("resnet"))


def sizes_of(model: nn.Module, *, unrolled: bool = True) -> Sizes:
    """Counts of any module, for images of 32x32 in colour."""
    # Without dense layers behind a flattening the rolled graph is the same for small images.
    rolled = graphs.rolled_graph(model, example=IMAGE if unrolled else SMALL)
    edges = sum(block.size for block in rolled.blocks.values())
    if not unrolled:
        return Sizes(rolled.nodes, edges, None, None)
    graph = graphs.unrolled_graph(model, IMAGE)
    return Sizes(rolled.nodes, edges, graph.nodes, graph.edges)


@functools.cache
def dense_layouts(filters: Sequence[int], outputs: int, nodes: int, edges: int) -> list[tuple]:
    """Pairs of hidden dense widths that give these rolled counts with known filters.

    Two equations, two unknowns: the nodes give the sum of the widths, the edges a quadratic.
    """
    before = (3, *filters)
    total = nodes - sum(before) - outputs
    left = edges - sum(a * b for a, b in itertools.pairwise(before))
    return [
        (one, total - one)
        for one in range(1, total)
        if before[-1] * one + one * (total - one) + (total - one) * outputs == left
    ]


@functools.cache
def vgg_layouts(nodes: int = 1_613, edges: int = 304_576) -> list[tuple[tuple, tuple]]:
    """Layouts (filters, two dense widths) of the usual widths that have these rolled counts.

    Five to ten convolutions whose filters never become fewer, and two hidden dense layers.
    """
    found = []
    dense = list(itertools.product(COMMON, repeat=2))
    for depth in range(5, 11):
        for filters in itertools.combinations_with_replacement(COMMON, depth):
            for pair in dense:
                layers = np.array([3, *filters, *pair, 10])
                if layers.sum() == nodes and layers[:-1] @ layers[1:] == edges:
                    found.append((filters, pair))
    return found


def divisor_of_edges(model: nn.Module) -> int:
    """Largest power of two that divides the edges of every layer of the unrolled graph.

    Where it does not divide the paper's number, the layout cannot be the paper's.
    """
    graph = graphs.unrolled_graph(model, IMAGE)
    common = int(np.gcd.reduce([block.edges() for block in graph.blocks]))
    return common & -common
