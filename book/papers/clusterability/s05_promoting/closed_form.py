"""The gradient of an eigenvalue as the paper writes it, term by term, beside finite differences.

For checking and for the page: dense and slow. Training uses ``promoting.eigenvalues``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["differences", "distance", "eigenvalue", "example", "gradient"]


def example(seed: int, *, layers: Sequence[int] = (5, 4, 4, 3)) -> list[np.ndarray]:
    """Kernels (outputs, inputs) of a small random network, standard normal weights."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in zip(layers[1:], layers[:-1], strict=True)]


def eigenvalue(kernels: Sequence[np.ndarray], *, which: int = 2) -> float:
    """The eigenvalue lambda_which (from 1) of the normalised Laplacian of the whole graph."""
    return float(_decomposed(kernels)[0][which - 1])


def differences(
    kernels: Sequence[np.ndarray], *, which: int = 2, step: float = 1e-6
) -> list[np.ndarray]:
    """Gradient of lambda_which by central differences, one array a kernel."""
    slopes = []
    for place, kernel in enumerate(kernels):
        slope = np.empty_like(kernel)
        for entry in np.ndindex(kernel.shape):
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in kernels]
                moved[place][entry] += sign * step
                ends.append(eigenvalue(moved, which=which))
            slope[entry] = (ends[0] - ends[1]) / (2 * step)
        slopes.append(slope)
    return slopes


def gradient(
    kernels: Sequence[np.ndarray], *, which: int = 2, factor: float = 0.5
) -> list[np.ndarray]:
    """Gradient of lambda_which by the closed form of appendix A.9.

    With a and b the nodes that the weight w joins, and u the unit eigenvector of L_sym,

        sum_ij u_i u_j dL_ij/dw = sgn(w) [2 factor (P_a + P_b) - 2 u_a u_b / sqrt(d_a d_b)],
        P_a = sum_j u_a u_j A_aj d_a^(-3/2) d_j^(-1/2).

    The paper prints ``factor`` = 1/4. Its degrees are d_i = (sum_k A_ik + sum_l A_li) / 2, and a
    weight enters both A_ab and A_ba, hence twice each degree; the printed derivation takes one
    of the two to be zero. The right factor is 1/2.

    Source: Clusterability in Neural Networks, appendix A.9.
    """
    _, vectors, adjacency, degrees = _decomposed(kernels)
    u = vectors[:, which - 1]
    scaled = u / np.sqrt(degrees)
    p = u * degrees**-1.5 * (adjacency @ scaled)
    whole = 2 * factor * (p[:, None] + p[None, :]) - 2 * np.outer(scaled, scaled)
    starts = np.cumsum([0, *(kernel.shape[1] for kernel in kernels)])
    found = []
    for kernel, start in zip(kernels, starts, strict=False):
        outputs, inputs = kernel.shape
        after = start + inputs
        found.append(np.sign(kernel) * whole[after : after + outputs, start:after])
    return found


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Largest difference of two gradients over the largest entry of the second."""
    apart = max(float(abs(a - b).max()) for a, b in zip(one, other, strict=True))
    return apart / max(float(abs(b).max()) for b in other)


def _decomposed(kernels: Sequence[np.ndarray]):
    """Eigenvalues, eigenvectors, adjacency and degrees of the dense graph."""
    sizes = [kernels[0].shape[1], *(len(kernel) for kernel in kernels)]
    starts = np.cumsum([0, *sizes])
    adjacency = np.zeros((starts[-1], starts[-1]))
    for place, kernel in enumerate(kernels):
        rows = slice(starts[place], starts[place + 1])
        columns = slice(starts[place + 1], starts[place + 2])
        adjacency[rows, columns] = abs(kernel).T
    adjacency += adjacency.T
    degrees = adjacency.sum(1)
    laplacian = np.eye(len(degrees)) - adjacency / np.sqrt(np.outer(degrees, degrees))
    return *np.linalg.eigh(laplacian), adjacency, degrees
