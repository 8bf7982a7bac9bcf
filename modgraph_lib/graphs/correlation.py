"""Graphs whose edges say how alike two units respond, whatever the weights between them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modgraph_lib import _checks
from modgraph_lib.graphs.layered import LayeredGraph

__all__ = ["MEASURES", "activation_graph", "standardised"]

MEASURES = ("spearman", "pearson")


def activation_graph(
    activations: Mapping[str, np.ndarray], *, measure: str = "spearman"
) -> LayeredGraph:
    """Units joined by their squared correlation over images, within layers and across them.

    Args:
        activations: layer -> (N, units) responses to the same N images, for instance from
            ``activations.pre_activations``.
        measure: "spearman" (of ranks) or "pearson".

    A unit that responds to every image alike has no correlation and is isolated.

    Raises:
        TypeError: no mapping of arrays.
        ValueError: no layer, fewer than 3 images, layers of unequal numbers of images, NaN or
            infinite responses (names layer and unit), an unknown measure, or no edge.

    Source: Detecting Modularity, section 3.1.

    >>> responses = {"a": np.array([[1.0, 3], [2, 1], [3, 2]]), "b": np.array([[1.0], [4], [9]])}
    >>> graph = graphs.activation_graph(responses)
    >>> graph.blocks[0, 1].round(2).tolist(), graph.degrees().round(2).tolist()
    ([[1.0], [0.25]], [1.25, 0.5, 1.25])
    """
    if measure not in MEASURES:
        raise ValueError(f"measure is one of {', '.join(MEASURES)}; got {measure!r}")
    _checks.instance(activations, Mapping, "activations by the name of their layer")
    arrays = {name: _responses(values, name) for name, values in activations.items()}
    if not arrays:
        raise ValueError("no layer: activations is empty")
    counts = {name: len(values) for name, values in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"all layers must have seen the same images, got {counts} of them")
    if min(counts.values()) < 3:
        raise ValueError(f"a correlation needs at least 3 images, got {min(counts.values())}")
    points = {name: standardised(values, measure=measure) for name, values in arrays.items()}
    blocks, names = {}, list(points)
    for i, first in enumerate(names):
        for j, second in enumerate(names[i:], i):
            block = np.square(points[first].T @ points[second])
            if i == j:
                block = (block + block.T) / 2
                np.fill_diagonal(block, 0)
            blocks[i, j] = block
    layers = tuple(values.shape[1] for values in points.values())
    return LayeredGraph(layers, blocks, tuple(names))


def standardised(values: np.ndarray, *, measure: str = "spearman") -> np.ndarray:
    """(N, units) columns of mean 0 and length 1, of ranks for "spearman"; constant ones are 0.

    The product of two such columns is their correlation.

    >>> graphs.correlation.standardised(np.array([[1.0, 5], [2, 5], [9, 5]])).round(2).tolist()
    [[-0.71, 0.0], [0.0, 0.0], [0.71, 0.0]]
    """
    from scipy import stats  # slow to import

    flat = (values == values[:1]).all(0)
    if measure == "spearman":  # twice as fast along contiguous rows
        points = stats.rankdata(np.ascontiguousarray(values.T), axis=1).T
    else:
        points = values.astype(float)
    points -= points.mean(0)
    length = np.sqrt(np.square(points).sum(0))
    return np.divide(points, length, out=np.zeros_like(points), where=(length > 0) & ~flat)


def _responses(values: np.ndarray, name: str) -> np.ndarray:
    array = _checks.numbers(values, f"activations of layer {name!r}")
    if array.ndim != 2:
        raise ValueError(
            f"activations of layer {name!r} have shape {array.shape}, expected (images, units)"
        )
    bad = np.flatnonzero(~np.isfinite(array).all(0))
    if len(bad):
        raise ValueError(
            f"unit {bad[0]} of layer {name!r} has NaN or infinite activations"
            + (f", and so have {len(bad) - 1} more units" if len(bad) > 1 else "")
        )
    return array
