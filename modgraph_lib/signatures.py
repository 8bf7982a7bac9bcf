"""Signatures of weighted graphs: node centralities, and five numbers that sum them up.

Source: Convolutional Neural Network Dynamics: A Graph Perspective, sections 2.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import scipy.sparse.linalg

from modgraph_lib import _checks
from modgraph_lib.graphs.layered import LayeredGraph
from modgraph_lib.graphs.unrolled import UnrolledGraph

__all__ = ["STATISTICS", "eigenvector_centrality", "signature", "temporal", "weighted_degree"]

STATISTICS = ("median", "mean", "sd", "skewness", "kurtosis")
AVERAGES = ("none", "linear", "exponential")
STEPS = 200  # of the power method, before Lanczos takes over
TOLERANCE = 1e-12
DENSE = 512  # nodes up to which one dense block is faster than many
SPARSE = 200_000  # edges up to which writing them out is faster than convolving


class Graph(Protocol):
    """What a signature needs of a graph: a ``LayeredGraph`` or an ``UnrolledGraph``."""

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def is_bipartite(self) -> bool: ...
    def degrees(self) -> np.ndarray: ...
    def matvec(self, x: np.ndarray) -> np.ndarray: ...


def weighted_degree(graph: Graph) -> np.ndarray:
    """(N,) sum of the weights of each node's edges.

    Source: section 2.1.

    >>> weights = [np.array([[1.0, 2.0]]), np.array([[3.0]])]
    >>> signatures.weighted_degree(graphs.weight_graph(weights))
    array([1., 2., 6., 3.])
    """
    return graph.degrees()


def eigenvector_centrality(graph: Graph) -> np.ndarray:
    """(N,) entries, none negative, of the leading eigenvector of the adjacency, of unit norm.

    A graph of layers without shortcuts is bipartite: its eigenvalues come in pairs +s and -s, so
    that the plain power method swings between two vectors for ever. Here B B' is iterated, whose
    leading vector is one half; the other half is B' times it, and each has norm 1/sqrt(2).
    Where the leading eigenvalue is multiple (pieces that tie), the eigenvector that is nearest
    to the constant vector is meant, which is where the iteration leads.

    Args:
        graph: a ``LayeredGraph`` (shortcuts allowed) or an ``UnrolledGraph``.

    Raises:
        ValueError: a graph without an edge.

    Source: section 2.1; Bonacich (1972).

    >>> weights = [np.array([[1.0, 1.0]])]  # a path of three nodes
    >>> signatures.eigenvector_centrality(graphs.weight_graph(weights)).round(4)
    array([0.5   , 0.5   , 0.7071])
    """
    degrees = graph.degrees()
    if not degrees.any():
        raise ValueError("the graph has no edge: no node is more central than another")
    if not graph.is_bipartite:
        return _leading(graph.matvec, np.ones(len(degrees)), shift=degrees.max())
    even = np.repeat(np.arange(len(graph.layers)) % 2 == 0, graph.layers)
    found = np.empty(len(even))
    if isinstance(graph, LayeredGraph) and len(even) <= DENSE:
        block = _between_sides(graph)
        found[even] = _leading(lambda x: block @ (x @ block), np.ones(len(block)))
        found[~even] = found[even] @ block
    elif isinstance(graph, UnrolledGraph) and graph.edges <= SPARSE:
        # Of a small image, written-out edges are multiplied sooner than kernels are called.
        sparse = graph.adjacency()[even][:, ~even]
        across = sparse.T.tocsr()
        found[even] = _leading(lambda x: sparse @ (across @ x), np.ones(sparse.shape[0]))
        found[~even] = across @ found[even]
    else:
        one = _leading(
            lambda x: graph.matvec(graph.matvec(x)),
            even.astype(float),
            rounding=getattr(graph, "rounding", 0.0),
        )
        found[:] = np.where(even, one, graph.matvec(one))
    for side in (even, ~even):
        found[side] /= np.linalg.norm(found[side]) * np.sqrt(2)
    return found


def _between_sides(graph: LayeredGraph) -> np.ndarray:
    """(nodes of even layers, nodes of odd layers) weights: the block B of a bipartite graph."""
    sizes = graph.layers
    starts = [sum(sizes[place % 2 : place : 2]) for place in range(len(sizes))]
    found = np.zeros((sum(sizes[::2]), sum(sizes[1::2])))
    for (i, j), block in graph.blocks.items():
        one, other, weights = (i, j, block) if i % 2 == 0 else (j, i, block.T)
        rows = slice(starts[one], starts[one] + sizes[one])
        found[rows, starts[other] : starts[other] + sizes[other]] = weights
    return found


def _leading(
    product: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    shift: float = 0.0,
    rounding: float = 0.0,
) -> np.ndarray:
    """Leading eigenvector of a symmetric matrix without negative entries, from ``start``.

    ``shift`` times the identity is added: what keeps a non-bipartite graph from swinging.
    ``rounding`` is that of the product, where it is coarser than float64.
    """
    x = start / np.linalg.norm(start)
    for _ in range(STEPS):
        y = product(x) + shift * x
        y /= np.linalg.norm(y)
        if np.abs(y - x).max() < max(TOLERANCE, 8 * rounding * y.max()):
            # What is left on the other pieces of a graph that falls apart is no centrality.
            return np.where(y < TOLERANCE / 100, 0.0, y)
        x = y
    # Two leading eigenvalues are close: Lanczos, from where the power method came to.
    operator = scipy.sparse.linalg.LinearOperator((len(x), len(x)), product, dtype=np.float64)
    tolerance = max(TOLERANCE, rounding)
    _, vectors = scipy.sparse.linalg.eigsh(operator, k=1, which="LA", v0=x, tol=tolerance)
    return np.abs(vectors[:, 0])


def signature(values: np.ndarray) -> np.ndarray:
    """(5,) median, mean, standard deviation, skewness and excess kurtosis of a node feature.

    The moments are those of the population. Values that are all equal have skewness and kurtosis
    0. Of a unit eigenvector of N nodes two of the five are one number: mean² + sd² = 1/N.

    Args:
        values: (N,) finite numbers.

    Raises:
        ValueError: no values, more than one axis, or NaN or infinite ones.

    Source: section 3.2, step S3.

    >>> signatures.signature([0.0, 0.0, 0.0, 4.0]).round(4)
    array([ 0.    ,  1.    ,  1.7321,  1.1547, -0.6667])
    """
    values = _checks.numbers(values, "values")
    if values.ndim != 1 or not len(values):
        raise ValueError(f"expected values (N,), one a node, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("values hold NaN or infinite numbers: of a network that diverged?")
    scale = np.abs(values).max() or 1.0  # moments of tiny numbers would vanish
    around = (values - values.mean()) / scale
    sd = np.sqrt(np.mean(around**2))
    if sd < 1e-14:
        return np.array([np.median(values), values.mean(), 0.0, 0.0, 0.0])
    skew, kurtosis = np.mean(around**3) / sd**3, np.mean(around**4) / sd**4 - 3
    return np.array([np.median(values), values.mean(), sd * scale, skew, kurtosis])


def temporal(
    signatures: np.ndarray, epochs: Sequence[int], *, average: str = "none", alpha: float = 0.5
) -> np.ndarray:
    """(5 E,) the signatures of chosen epochs, one after the other.

    Args:
        signatures: (T, 5), one row an epoch, from before training (0) on.
        epochs: E rows to take, in this order.
        average: what stands for an epoch t: "none", its own signature; "linear", the mean of
            epochs 1 to t weighted by their number; "exponential", alpha s(t) + (1 - alpha) times
            the average before. Either starts at epoch 1 and leaves epoch 0 as it is.
        alpha: of the exponential average, in (0, 1].

    Raises:
        ValueError: an epoch that is not there (says how many are), an unknown average, or an
            alpha outside (0, 1].

    Source: section 3.2, step S3 (formulas damaged in the text at hand; read as above).

    >>> signatures.temporal(np.arange(10.0).reshape(2, 5), [0, 1]).shape
    (10,)
    """
    table = _checks.numbers(signatures, "signatures")
    if table.ndim != 2:
        raise ValueError(f"expected signatures (T, 5), one row an epoch, got {table.shape}")
    if average not in AVERAGES:
        raise ValueError(f"average is one of {', '.join(AVERAGES)}; got {average!r}")
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha lies in (0, 1], got {alpha}")
    last = len(table) - 1
    if wrong := [epoch for epoch in epochs if not 0 <= epoch <= last]:
        raise ValueError(f"no signature of epoch {wrong[0]}: there are epochs 0 to {last}")
    if average == "linear":
        numbers = np.arange(1, last + 1)[:, None]
        means = np.cumsum(numbers * table[1:], 0) / np.cumsum(numbers, 0)
        table = np.concatenate([table[:1], means])
    elif average == "exponential":
        table = table.copy()
        for epoch in range(2, last + 1):
            table[epoch] = alpha * table[epoch] + (1 - alpha) * table[epoch - 1]
    return table[list(epochs)].ravel()
