"""Two modules on a stream, by hand: what a turn of the stream does to either graph."""

from __future__ import annotations

import numpy as np

from modgraph_lib import graphs
from modgraph_lib.graphs import LayeredGraph, StreamPart

__all__ = ["modules", "pairs"]

PLACES = (0, 0, 4, 4)  # first dimension of each writer and reader of ``modules``


def pairs(angle: float) -> tuple[LayeredGraph, LayeredGraph]:
    """Two writers and two readers on the two axes of a stream turned by an angle in radians.

    The graph on the stream's coordinates (writers, coordinates, readers), and virtual weights.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    write = graphs.mlp_part("write", [np.eye(2)], turn)
    read = graphs.mlp_part("read", [turn.T], np.eye(2))
    return graphs.weight_graph([turn, turn.T]), graphs.virtual_weights([write, read])


def modules(seed: int) -> list[StreamPart]:
    """Four writers and four readers, half of them in dimensions 0 to 3, half in 4 to 7; turned."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    write, read = (turn @ _directions(rng) for _ in range(2))
    return [
        graphs.mlp_part("write", [np.eye(4, 8)], write),
        graphs.mlp_part("read", [read.T], np.eye(8, 4)),
    ]


def _directions(rng: np.random.Generator) -> np.ndarray:
    found = np.zeros((8, 4))
    for column, start in enumerate(PLACES):
        found[start : start + 4, column] = rng.normal(size=4)
    return found
