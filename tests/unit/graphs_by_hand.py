"""Graphs small enough for exact fractions, shared by the tests."""

import numpy as np

from modgraph_lib.graphs import LayeredGraph


def two_triangles() -> np.ndarray:
    """Two triangles joined by one edge: each has volume 7 and cut 1, so n-cut is 2/7."""
    adjacency = np.zeros((6, 6))
    for i, j in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]:
        adjacency[i, j] = adjacency[j, i] = 1
    return adjacency


def two_chains(bridge: float = 0.1) -> LayeredGraph:
    """A 2-2-2 network of two parallel chains of weight 1, with weak bridges in layer one."""
    first = np.array([[1.0, bridge], [bridge, 1.0]])
    return LayeredGraph((2, 2, 2), {(0, 1): first, (1, 2): np.eye(2)})


def random_layers(sizes=(30, 20, 20, 5), density=0.4, seed=0) -> LayeredGraph:
    """A random pruned multi-layer perceptron's graph."""
    rng = np.random.default_rng(seed)
    blocks = {
        (i, i + 1): rng.random((a, b)) * (rng.random((a, b)) < density)
        for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True))
    }
    return LayeredGraph(tuple(sizes), blocks)
