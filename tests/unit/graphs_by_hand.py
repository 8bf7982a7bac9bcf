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


def equal_strands(count=6, layers=5, bridge=0.0, ring=False) -> LayeredGraph:
    """Chains of weight 1 side by side; their first layers bridged, all or each with the next."""
    strands = np.eye(count)
    bridges = np.roll(strands, 1, 1) if ring else 1 - strands
    blocks = {(i, i + 1): strands for i in range(layers - 1)}
    return LayeredGraph((count,) * layers, {**blocks, (0, 1): strands + bridge * bridges})


def thin_chains(count=4, layers=5, width=2) -> LayeredGraph:
    """Equal chains, each fed by ``width`` inputs of its own."""
    blocks = {(i, i + 1): np.eye(count) for i in range(1, layers - 1)}
    fed = {(0, 1): np.kron(np.eye(count), np.ones((width, 1)))}
    return LayeredGraph((count * width,) + (count,) * (layers - 1), {**fed, **blocks})


def copies(count=3, sizes=(4, 3, 2), seed=0) -> LayeredGraph:
    """The same random network several times, without a connection."""
    one = random_layers(sizes, 1.0, seed)
    blocks = {pair: np.kron(np.eye(count), block) for pair, block in one.blocks.items()}
    return LayeredGraph(tuple(count * n for n in sizes), blocks)


def all_ones(*sizes: int) -> LayeredGraph:
    """Every weight 1: no clusters at all, and 0 as an eigenvalue of nearly all."""
    pairs = enumerate(zip(sizes[:-1], sizes[1:], strict=True))
    return LayeredGraph(sizes, {(i, i + 1): np.ones(pair) for i, pair in pairs})


DEGENERATE = {
    "separate strands": equal_strands(),
    "bridged strands": equal_strands(6, 5, 0.1),
    "ten bridged strands": equal_strands(10, 5, 0.1),
    "a ring of strands": equal_strands(4, 5, 0.2, ring=True),
    "a ring of ten strands": equal_strands(10, 3, 0.2, ring=True),
    "thin chains": thin_chains(),
    "one chain": LayeredGraph((1,) * 13, {(i, i + 1): np.ones((1, 1)) for i in range(12)}),
    "three copies": copies(),
    "five copies": copies(5, (20, 15, 10)),
    "all ones": all_ones(8, 8, 8),
    "all ones, unequal layers": all_ones(12, 5, 3),
}
