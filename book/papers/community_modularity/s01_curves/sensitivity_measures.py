"""Measurements for the claims about what Q depends on besides the layer.

The number of samples N, of neighbours k, the similarity (community modularity, section 4.4 and
appendix A), and whether the network is trained at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.community_modularity import shapes
from book.papers.community_modularity.parts import (
    NETWORKS,
    SINGLE,
    arrays,
    compared_part,
    network_word,
    networks_part,
    of_seeds,
)

SIZES = (200, 500, 1000, 2000, 5000)
FEW, MANY = (3, 5, 7, 9, 11), (100, 200, 300, 400)
NEAR = shapes.LEVEL  # rule 13 of data/papers/criteria.md


@measurement
def early_q_by_samples(results: Results, *, runs: int) -> list[Part]:
    """Rank correlation of N with the mean Q of the first third of layers."""
    return _over(results, "samples", SIZES, lambda qs: shapes.trend(_third(qs).mean(1)))


@measurement
def late_spread_over_samples(results: Results, *, runs: int) -> list[Part]:
    """Spread of Q over N in the last third of layers, as a share of the range at N = 500."""
    return _over(
        results, "samples", SIZES,
        lambda qs: shapes.spread(_third(qs, last=True)).mean() / np.ptp(qs[1]),
    )  # fmt: skip


@measurement
def trend_kept(results: Results, *, over: str, runs: int) -> list[Part]:
    """Lowest rank correlation of a curve with the one at N = 500 and k = 3.

    Args:
        over: "samples" (all N) or "k" (large k).
    """
    if over not in ("samples", "k"):
        raise ValueError(f'over must be "samples" or "k", got {over!r}')
    values, base = (SIZES, 1) if over == "samples" else ((3, *MANY), 0)
    return _over(results, over, values, lambda qs: min(shapes.same_trend(qs[base], q) for q in qs))


@measurement
def spread_over_k(results: Results, *, runs: int) -> list[Part]:
    """Spread of Q over small k, mean over layers, as a share of the range at k = 3."""
    return _over(results, "k", FEW, lambda qs: shapes.spread(qs).mean() / np.ptp(qs[0]))


@measurement
def q_falls_with_k(results: Results, *, runs: int) -> list[Part]:
    """Rank correlation of large k, and 3, with the mean fall of Q."""
    return _over(results, "k", (3, *MANY), lambda qs: shapes.trend(-qs.mean(1)))


@measurement
def curves_alike_with_pearson(results: Results, *, runs: int) -> list[Part]:
    """Networks of nine whose two curves differ by at most a twentieth of their range."""
    both = {}
    for network in NETWORKS:
        pair = [of_seeds(results, network, similarity=name) for name in ("cosine", "pearson")]
        if all(len(wide) for wide in pair):
            both[network] = pair
    hits = 0
    for cosine, pearson in both.values():
        one, other = (arrays(wide).mean(0) for wide in (cosine, pearson))
        hits += shapes.distance(one, other) <= NEAR * np.ptp(one)
    frames = [wide for pair in both.values() for wide in pair]
    return [networks_part("networks with nearly the same curve", frames, len(both), lambda: hits)]


@measurement
def untrained_range(results: Results, *, network: str, runs: int) -> list[Part]:
    """Range of an untrained network's Q over layers, as a share of the trained one's."""
    trained, untrained = (
        of_seeds(results, network, stage=stage) for stage in ("trained", "untrained")
    )
    return [
        compared_part(
            network_word(network),
            untrained,
            trained,
            lambda one, other: np.ptp(one) / np.ptp(other),
        )
    ]


def _over(
    results: Results, over: str, values: Sequence[int], of: Callable[[np.ndarray], float]
) -> list[Part]:
    """For VGG16 and ResNet18, a number of the curves (values, layers) over one setting."""
    parts = []
    for network in SINGLE:
        found = [of_seeds(results, network, **{over: value}) for value in values]
        common = set.intersection(*(set(wide.index) for wide in found))
        found = [wide.loc[sorted(common)] for wide in found]
        cubes = np.stack([arrays(wide) for wide in found], 1) if common else ()
        numbers = [of(qs) for qs in cubes]
        sd = (lambda numbers=numbers: np.std(numbers, ddof=1)) if len(numbers) > 1 else None
        parts.append(
            part(network_word(network), found, lambda numbers=numbers: np.mean(numbers), sd)
        )
    return parts


def _third(qs: np.ndarray, *, last: bool = False) -> np.ndarray:
    """The first or last third of the layers of curves (C, L), rounded to whole layers."""
    count = max(1, round(qs.shape[1] / 3))
    return qs[:, -count:] if last else qs[:, :count]
