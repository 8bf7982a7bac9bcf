"""k-means of many point sets with many restarts at once, on any torch device.

One Lloyd iteration of all restarts is two matrix products, which is what makes a shuffle test
fast. Seeding is k-means++ with local trials and the stopping rule is scikit-learn's, so that
the two reach the same inertia.
"""

from __future__ import annotations

import math

import numpy as np
import torch

__all__ = ["kmeans", "kmeans_restarts"]

GRID = 2.0**20  # steps from the middle of a point set to its farthest coordinate


@torch.no_grad()
def kmeans(
    points: torch.Tensor,
    k: int,
    *,
    present: torch.Tensor | None = None,
    n_init: int = 10,
    seeds: list[int],
    max_iterations: int = 300,
    tolerance: float = 1e-4,
) -> torch.Tensor:
    """Labels of the best of ``n_init`` k-means runs for each point set.

    Args:
        points: (S, N, D) floats, S point sets.
        k: number of clusters.
        present: (S, N) booleans; absent points take no part and get label -1. Default: all.
        n_init: restarts; the one with the lowest inertia wins.
        seeds: S integers; a set's labels depend on its own seed, not on its neighbours.
        max_iterations: bound of Lloyd iterations.
        tolerance: stop when the squared shift of the centres falls below this fraction of the
            mean variance of the coordinates.

    Returns:
        (S, N) int64 labels in 0..k-1, or -1 where absent. A cluster can end up empty when
        points coincide.

    Raises:
        ValueError: k < 1, fewer present points than k, or points that are not finite.
    """
    sets, count, _ = points.shape
    if present is None:
        present = torch.ones(sets, count, dtype=torch.bool, device=points.device)
    if k < 1 or n_init < 1:
        raise ValueError(f"k and n_init must be at least 1, got {k} and {n_init}")
    if int(present.sum(1).min()) < k:
        raise ValueError(f"{int(present.sum(1).min())} points cannot form {k} clusters")
    if not torch.isfinite(points).all():
        raise ValueError("points hold NaN or infinite coordinates")
    mass = present.to(points.dtype)
    sizes = mass.sum(1, keepdim=True)
    mean = (points * mass[..., None]).sum(1, keepdim=True) / sizes[..., None]
    # Centred points keep single precision accurate: distances come from scalar products.
    centred = (points - mean) * mass[..., None]
    limit = tolerance * centred.square().sum((1, 2)) / sizes[:, 0] / points.shape[2]
    centres = _plus_plus(centred, mass, k, n_init, seeds)
    centres, inertia = _lloyd(centred, mass, centres, limit, max_iterations)
    best = inertia.argmin(1)
    chosen = centres[torch.arange(sets, device=points.device), best]
    labels = _scores(centred, chosen[:, None])[:, 0].argmax(1)
    return torch.where(present, labels, -1)


@torch.no_grad()
def kmeans_restarts(
    points: np.ndarray, k: int, *, n_init: int = 10, seed: int, max_iterations: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and inertia of every restart on one point set, the same on every machine.

    For point sets with symmetries, where distances tie. In floating point a tie is broken by the
    rounding of the linear algebra at hand; here points and centres lie on a grid of whole numbers,
    whose products and sums are exact, and a tie goes to the first.

    Args:
        points: (N, D), N at least k.
        k: number of clusters.
        n_init: restarts.
        seed: of the restarts, as in ``kmeans``.
        max_iterations: bound of Lloyd iterations.

    Returns:
        (n_init, N) labels and (n_init,) inertia, in squares of a grid step.
    """
    middle = points - points.mean(0)
    step = np.abs(middle).max() / GRID or 1.0
    grid = torch.from_numpy(np.rint(middle / step))[None]
    mass = torch.ones(1, len(points), dtype=grid.dtype)
    limit = torch.zeros(1, dtype=grid.dtype)
    centres = _plus_plus(grid, mass, k, n_init, [seed])
    centres, inertia = _lloyd(grid, mass, centres, limit, max_iterations, whole=True)
    return _scores(grid, centres)[0].argmax(1).numpy(), inertia[0].numpy()


def _scores(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """(S, R, k, N) of x.c - |c|^2/2: largest for the nearest centre."""
    sets, restarts, k, width = centres.shape
    flat = centres.reshape(sets, restarts * k, width)
    half = flat.square().sum(2, keepdim=True) / 2
    return torch.baddbmm(half, flat, points.mT, beta=-1).view(sets, restarts, k, -1)


def _lloyd(points, mass, centres, limit, max_iterations, *, whole=False):
    """Lloyd iterations of all restarts; returns centres (S, R, k, D) and inertia (S, R).

    ``whole`` keeps the centres on whole numbers.

    A restart that has converged is frozen, and leaves the computation once it has converged in
    every set: the slowest of ten restarts often takes three times the median.
    """
    centres = centres.clone()
    alive = torch.arange(centres.shape[1], device=points.device)
    done = torch.zeros(centres.shape[:2], dtype=torch.bool, device=points.device)
    for _ in range(max_iterations):
        current = centres[:, alive]
        moved = _means(points, mass, current)
        moved = moved.round() if whole else moved
        shift = (moved - current).square().sum((2, 3))
        frozen = done[:, alive]
        centres[:, alive] = torch.where(frozen[..., None, None], current, moved)
        done[:, alive] = frozen | (shift <= limit[:, None])
        alive = torch.nonzero(~done.all(0)).flatten()
        if len(alive) == 0:
            break
    best = _scores(points, centres).amax(2)
    square = (points.square().sum(2) * mass).sum(1)
    inertia = square[:, None] - 2 * torch.einsum("srn,sn->sr", best, mass)
    return centres, inertia


def _means(points, mass, centres):
    """(S, R, k, D) mean of the points nearest to each centre; an empty cluster stays put."""
    sets, restarts, k, width = centres.shape
    scores = _scores(points, centres)
    # In place, the scores become the 0/1 membership. Equality with the maximum assigns a point
    # to every tied centre: harmless, since tied centres coincide; final labels use argmax.
    member = scores.sub_(scores.amax(2, keepdim=True)).ge_(0).mul_(mass[:, None, None])
    weight = member.sum(3)[..., None]
    sums = torch.bmm(member.view(sets, restarts * k, -1), points)
    moved = sums.view(sets, restarts, k, width) / weight.clamp_min(1)
    return torch.where(weight > 0, moved, centres)


def _plus_plus(points, mass, k, restarts, seeds):
    """k-means++ centres (S, R, k, D), each the best of a few trials, as scikit-learn draws them."""
    sets, count, width = points.shape
    trials = 2 + int(math.log(k))
    draws = np.stack(
        [np.random.default_rng([seed, 7]).random((k, restarts, trials)) for seed in seeds]
    )
    uniform = torch.from_numpy(draws).to(points)
    square = points.square().sum(2)
    rows = torch.arange(sets, device=points.device)
    total = mass.cumsum(1)
    first = torch.searchsorted(total, uniform[:, 0, :, 0] * total[:, -1:], right=True)
    first = first.clamp_max(count - 1)
    centres = torch.empty(sets, restarts, k, width, dtype=points.dtype, device=points.device)
    centres[:, :, 0] = points[rows[:, None], first]
    closest = _distances(points, square, centres[:, :, 0]) * mass[:, None]
    for index in range(1, k):
        total = closest.cumsum(2)
        at = uniform[:, index] * total[:, :, -1:]
        candidate = torch.searchsorted(total, at, right=True).clamp_max(count - 1)
        candidates = points[rows[:, None, None], candidate]
        distance = _distances(points, square, candidates.view(sets, restarts * trials, width))
        distance = torch.minimum(
            distance.view(sets, restarts, trials, count), closest[:, :, None]
        ).mul_(mass[:, None, None])
        pick = distance.sum(3).argmin(2)
        closest = distance.gather(2, pick[..., None, None].expand(-1, -1, 1, count))[:, :, 0]
        chosen = pick[..., None, None].expand(-1, -1, 1, width)
        centres[:, :, index] = candidates.gather(2, chosen)[:, :, 0]
    return centres


def _distances(points, square, centres):
    """(S, C, N) squared distances of points (S, N, D) to centres (S, C, D)."""
    products = torch.bmm(centres, points.mT)
    norms = centres.square().sum(2, keepdim=True)
    return (square[:, None] + norms - 2 * products).clamp_min_(0)
