"""A graph's weights in other places: what its n-cut is compared with."""

from __future__ import annotations

import numpy as np

from modgraph_lib.graphs import LayeredGraph

__all__ = ["SHUFFLE_METHODS", "check_method", "shuffle_graph"]

SHUFFLE_METHODS = ("layer", "layer_nonzero")


def shuffle_graph(graph: LayeredGraph, *, method: str = "layer", seed: int | list[int]):
    """The graph with the weights between each pair of layers permuted.

    Args:
        graph: layered graph.
        method: "layer" permutes all entries of a block, zeros included; "layer_nonzero" only
            its non-zero entries among their places, which keeps the topology.
        seed: fixes the permutation.

    Source: Neural networks are surprisingly modular, sections 3 and 3.3; Clusterability in
    Neural Networks, section 1.3 and appendix A.6.

    >>> graph = graphs.weight_graph([np.diag([1.0, 2, 3])])
    >>> np.sort(clustering.shuffle_graph(graph, seed=0).blocks[0, 1].ravel())
    array([0., 0., 0., 0., 0., 0., 1., 2., 3.])
    """
    check_method(method)
    rng = np.random.default_rng(seed)
    blocks = {
        pair: (_shuffled_inside if pair[0] == pair[1] else _shuffled)(block, method, rng)
        for pair, block in graph.blocks.items()
    }
    return LayeredGraph(graph.layers, blocks, graph.names)


def _shuffled(block: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
    flat = block.ravel()
    places = np.flatnonzero(flat)
    out = np.zeros_like(flat)
    if method == "layer_nonzero":
        out[places] = rng.permutation(flat[places])
    else:
        # A random ordered choice of places for the non-zero weights: the same distribution as
        # permuting all entries, at a fraction of the draws when most entries are pruned.
        out[rng.choice(flat.size, len(places), replace=False)] = flat[places]
    return out.reshape(block.shape)


def _shuffled_inside(block: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
    """A block of edges inside a layer, each pair of units drawn once."""
    above = np.triu_indices(len(block), 1)
    out = np.zeros_like(block)
    out[above] = _shuffled(block[above], method, rng)
    return out + out.T


def check_method(method: str) -> None:
    """ValueError for another word."""
    if method not in SHUFFLE_METHODS:
        raise ValueError(f"method must be one of {', '.join(SHUFFLE_METHODS)}; got {method!r}")
