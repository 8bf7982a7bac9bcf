"""Measurements for the claims that are mathematics: checked on graphs of networks, not on rows.

The graphs are those of 784-256x4-10 networks at initialisation and after magnitude pruning to
90% (with isolated neurons, which the definitions leave out), and of a small network where an
eigenvalue problem is solved densely. The library's ``ncut`` is set against the definition
written out on the adjacency matrix, or against a simulation of the experiment it describes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, once

if TYPE_CHECKING:
    from modgraph_lib.graphs import LayeredGraph

SIZES = {"large": (784, (256, 256, 256, 256), 10), "small": (64, (32, 32), 10)}
SPARSITIES = {"untrained": 0.0, "pruned to 90%": 0.9}
DRAWS = 1_000_000


@measurement
@once
def rescaled_ratio(results: Results, *, k: int, runs: int) -> list[Part]:
    """n-cut after multiplying every weight by one constant, over n-cut before (SM footnote 9)."""
    from modgraph_lib import clustering

    parts = []
    for name in SPARSITIES:
        matrices = _matrices("large", name)
        labels = _labels("large", name, k)
        before = clustering.ncut(_graph(matrices), labels)
        for factor in (0.001, 3.0, 1000.0):
            after = clustering.ncut(_graph([factor * matrix for matrix in matrices]), labels)
            parts.append(Part(f"{name}, weights times {factor:g}", after / before, runs=1))
    return parts


@measurement
@once
def conventional_ratio(results: Results, *, k: int, runs: int) -> list[Part]:
    """n-cut over its conventional form (half the sum of cut over volume; SM footnote 5)."""
    from modgraph_lib import clustering

    parts = []
    for name in SPARSITIES:
        graph, labels = _graph(_matrices("large", name)), _labels("large", name, k)
        adjacency = graph.adjacency().toarray()
        conventional = 0.0
        for cluster in np.unique(labels[labels >= 0]):
            inside = labels == cluster
            cut = adjacency[inside][:, ~inside].sum()
            conventional += 0.5 * cut / adjacency[inside].sum()
        parts.append(Part(name, clustering.ncut(graph, labels) / conventional, runs=1))
    return parts


@measurement
@once
def edge_stub_ratio(results: Results, *, k: int, runs: int) -> list[Part]:
    """Failure probability of the edge-stub experiment over n-cut/k (SM and CL, Appendix A.1).

    The experiment: a cluster at random, one of its edge stubs in proportion to weight; it
    fails if the other end lies in another cluster. Once by summing over all stubs, once by
    drawing ``DRAWS`` of them (relative standard error below 0.001).
    """
    from modgraph_lib import clustering

    parts = []
    for name in SPARSITIES:
        graph, labels = _graph(_matrices("large", name)), _labels("large", name, k)
        target = clustering.ncut(graph, labels) / k
        edges = graph.adjacency().tocoo()
        leaves = labels[edges.row] != labels[edges.col]
        draws = np.random.default_rng(0).multinomial(DRAWS, [1 / k] * k)
        exact, failures = 0.0, 0
        for cluster in range(k):
            stubs = np.flatnonzero(labels[edges.row] == cluster)
            cumulated = np.cumsum(edges.data[stubs], dtype=np.float64)
            exact += (edges.data[stubs] @ leaves[stubs]) / cumulated[-1] / k
            points = np.random.default_rng(1 + cluster).random(draws[cluster]) * cumulated[-1]
            picked = np.searchsorted(cumulated, points, side="right").clip(max=len(stubs) - 1)
            failures += int(leaves[stubs[picked]].sum())
        parts.append(Part(f"{name}, summed over stubs", exact / target, runs=1))
        parts.append(Part(f"{name}, {DRAWS:,} drawn stubs", failures / DRAWS / target, runs=1))
    return parts


@measurement
@once
def laplacian_spectrum(results: Results, *, runs: int) -> list[Part]:
    """Smallest real part and minus the largest imaginary part of the eigenvalues of D^-1 L.

    Both are at least zero exactly if all eigenvalues are real and non-negative (SM section 2.1).
    Solved as a general matrix: nothing tells the solver that the spectrum ought to be real.
    """
    parts = []
    for name in SPARSITIES:
        values = np.linalg.eigvals(_laplacians(name)[0])
        parts.append(Part(f"{name}, smallest real part", float(values.real.min()), runs=1))
        parts.append(
            Part(
                f"{name}, minus the largest imaginary part", -float(abs(values.imag).max()), runs=1
            )
        )
    return parts


@measurement
@once
def generalised_eigenpairs(results: Results, *, runs: int) -> list[Part]:
    """Distance between the eigenpairs of D^-1 L and of L u = lambda D u (CL section 1.2)."""
    parts = []
    for name in SPARSITIES:
        normalised, laplacian, degrees = _laplacians(name)
        values, vectors = scipy.linalg.eigh(laplacian, np.diag(degrees))
        other = np.sort(np.linalg.eigvals(normalised).real)
        residual = normalised @ vectors - vectors * values
        parts.append(
            Part(
                f"{name}, largest difference of eigenvalues",
                float(abs(values - other).max()),
                runs=1,
            )
        )
        parts.append(
            Part(f"{name}, largest residual of an eigenvector", float(abs(residual).max()), runs=1)
        )
    return parts


@functools.cache
def _matrices(size: str, sparsity: str) -> tuple[np.ndarray, ...]:
    """Absolute kernels, each (units before, units after), the smallest ones set to zero."""
    # torch costs seconds to import, and reading the table of claims does not need it
    from modgraph_lib import models

    inputs, widths, outputs = SIZES[size]
    kernels = models.kernels(models.mlp(inputs, outputs, widths=widths, seed=0))
    matrices = []
    for kernel in kernels:
        matrix = kernel.detach().abs().double().numpy().T.copy()
        matrix[matrix < np.quantile(matrix, SPARSITIES[sparsity])] = 0.0
        matrices.append(matrix)
    return tuple(matrices)


def _graph(matrices: tuple[np.ndarray, ...] | list[np.ndarray]) -> LayeredGraph:
    from modgraph_lib import graphs

    layers = (*(len(matrix) for matrix in matrices), matrices[-1].shape[1])
    return graphs.LayeredGraph(
        layers=layers,
        blocks={(i, i + 1): matrix for i, matrix in enumerate(matrices)},
        names=tuple(f"layer {i}" for i in range(len(layers))),
    )


@functools.cache
def _labels(size: str, sparsity: str, k: int) -> np.ndarray:
    from modgraph_lib import clustering

    return clustering.spectral_clustering(_graph(_matrices(size, sparsity)), k, seed=0)


def _laplacians(sparsity: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D^-1 L, L, degrees) of the small network without its isolated nodes, dense."""
    adjacency = _graph(_matrices("small", sparsity)).adjacency().toarray()
    kept = adjacency.sum(axis=1) > 0
    adjacency = adjacency[kept][:, kept]
    degrees = adjacency.sum(axis=1)
    laplacian = np.diag(degrees) - adjacency
    return laplacian / degrees[:, None], laplacian, degrees
