"""Eigenvalues that coincide: seen, and their whole eigenspace in a basis of its own.

Where the k-th eigenvalue equals the next (equal strands, copies of one part, more parts than k),
the k leading eigenvectors are any k of a larger eigenspace, and which ones come out is decided by
the rounding of the linear algebra at hand. The whole eigenspace is no such choice.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from modgraph_lib.clustering import spectral
from modgraph_lib.graphs import LayeredGraph

__all__ = ["eigenspace", "is_cut", "is_symmetric"]

MULTIPLE = 1e-10  # eigenvalues nearer than this are one multiple eigenvalue
APART = 1e-6  # eigenvalues from 1 less this on belong to separate parts
WHOLE_LIMIT = 800  # nodes of a graph all of whose eigenvectors are computed for an eigenspace
WIDEST = 100  # dimensions of the largest eigenspace that is looked for in a larger graph


def is_cut(values: np.ndarray, k: int) -> bool:
    """Whether the first k of these falling eigenvalues end within a multiple eigenvalue.

    Not so for k = 1: one cluster holds everything, however many parts there are.

    >>> values = np.array([1, 0.5, 0.5, 0.2])
    >>> [symmetry.is_cut(values, k) for k in (1, 2, 3)]
    [False, True, False]
    """
    return 1 < k < len(values) and bool(values[k - 1] - values[k] <= MULTIPLE)


def is_symmetric(values: np.ndarray, k: int) -> bool:
    """Whether one of the first k falling eigenvalues below 1 is multiple, or k cuts one.

    1 is multiple in any graph of separate parts, which need not have any symmetry.

    >>> [symmetry.is_symmetric(np.array([1, x, x, 0.2]), 3) for x in (0.5, 1)]
    [True, False]
    """
    inside = -np.diff(values[:k]) <= MULTIPLE
    return is_cut(values, k) or bool((inside & (values[1:k] < 1 - APART)).any())


def eigenspace(
    graph: LayeredGraph | scipy.sparse.sparray, k: int, *, seed: int = 0
) -> np.ndarray | None:
    """(N, m) spectral embedding by all eigenvectors whose eigenvalue is at least the k-th.

    In a basis that the eigenspace alone decides: whatever basis an eigensolver returns, these are
    the same numbers up to rounding, and distances between rows do not depend on a basis at all.
    None where a graph of more than ``WHOLE_LIMIT`` nodes has an eigenspace of more than ``WIDEST``
    dimensions, as the null space of a graph of few different weights is.

    >>> strands = graphs.weight_graph([np.eye(4), np.eye(4)])
    >>> symmetry.eigenspace(strands, 2).shape
    (12, 4)
    """
    degrees = graph.degrees() if isinstance(graph, LayeredGraph) else np.asarray(graph.sum(1))
    degrees = degrees.ravel()
    count, m = int((degrees > 0).sum()), k
    points, values = spectral.leading(graph, m, seed=seed)
    level = values[k - 1]
    while is_cut(values, m):
        if count <= WHOLE_LIMIT:
            points, values = spectral.leading(graph, count, seed=seed)
        elif level < MULTIPLE or 2 * m + 8 > min(WIDEST, count):
            return None
        else:
            try:
                points, values = spectral.leading(graph, 2 * m + 8, seed=seed)
            except scipy.sparse.linalg.ArpackError:
                return None
        # All that equal the k-th, and no more.
        m = max(k, int((values[: points.shape[1]] >= level - MULTIPLE).sum()))
        points, values = points[:, :m], values[: m + 1]
    root = np.sqrt(degrees)[:, None]
    basis = _own_basis(points * root)
    return np.divide(basis, root, out=np.zeros_like(basis), where=root > 0)


def _own_basis(vectors: np.ndarray) -> np.ndarray:
    """The basis (N, m) of the span of orthogonal columns that some of its projected axes give.

    Gram and Schmidt on the columns of the projector V V^T, in their order; one that lies nearly
    in the span of those before it is passed over, which keeps the basis well conditioned.
    """
    lengths = np.linalg.norm(vectors, axis=0)
    unit = vectors / lengths
    left = (unit**2).sum(1)  # squared length of each column of the projector, less its projections
    basis = np.zeros_like(unit)
    for column in range(unit.shape[1]):
        # No simple fraction: ratios of symmetric graphs are, and would decide by rounding.
        first = int(np.argmax(left >= 0.3217 * left.max()))
        new = unit @ unit[first]
        for _ in range(2):
            new -= basis[:, :column] @ (basis[:, :column].T @ new)
        basis[:, column] = new / np.linalg.norm(new)
        left = left - basis[:, column] ** 2
    return basis * lengths[0]
