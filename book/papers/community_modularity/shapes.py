"""What the community paper says in words of a curve of Q over layers, as numbers.

Defined from the paper's sentences, before any curve of ours was looked at, and once for all
sections: its curves "rise", "drop", "reach a plateau", "keep the same tendency" and "almost
overlap". Every function takes plain arrays.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, sections 4.1, 4.4 and 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

__all__ = [
    "LEVEL",
    "STEP",
    "distance",
    "drops",
    "longest_plateau",
    "not_rising",
    "plateau_length",
    "rise",
    "same_trend",
    "spread",
    "steps",
    "trend",
]

# A layer that adds no more than this to Q stands still: section 5.2 calls what 0.01 brings
# "nearly no influence".
STEP = 0.01
# A plateau is level to this share of the curve's whole range, so that one rule serves easy data
# (where Q climbs to 0.8) and hard data (where it climbs to 0.3).
LEVEL = 0.05

Curve = Sequence[float] | np.ndarray


def trend(q: Curve) -> float:
    """Spearman's rank correlation of Q with depth: 1 where every layer adds, 0 for a flat curve.

    Args:
        q: (L,) Q after each layer, L >= 2.
    """
    return same_trend(q, np.arange(len(_curve(q))))


def same_trend(one: Curve, other: Curve) -> float:
    """Spearman's rank correlation of two curves (L,) over the same layers.

    0 where one of them is constant and so has no ranks.
    """
    one, other = _pair(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(stats.spearmanr(one, other).statistic)


def rise(q: Curve) -> float:
    """Q after the last layer minus Q after the first."""
    q = _curve(q)
    return float(q[-1] - q[0])


def steps(q: Curve) -> np.ndarray:
    """(L-1,) what each layer from the second on adds to Q."""
    return np.diff(_curve(q))


def not_rising(q: Curve, step: float = STEP) -> np.ndarray:
    """(L-1,) whether each layer from the second on adds no more than ``step``.

    These are the paper's "degradation and plateau" together.
    """
    return steps(q) <= step


def drops(q: Curve, step: float = STEP) -> int:
    """How many layers take more than ``step`` off Q: the paper's "degradation" alone."""
    return int((steps(q) < -step).sum())


def plateau_length(q: Curve, tolerance: float | None = None) -> int:
    """How many of the last layers add nothing: the plateau at the end of a curve.

    The longest run of layers up to the last one whose Q differ by no more than ``tolerance``,
    without its first layer, which brought Q there. 0 means that there is no plateau.

    Args:
        q: (L,) Q after each layer.
        tolerance: in Q; None is ``LEVEL`` times the curve's own range. A curve without a range
            is a plateau throughout.
    """
    q = _curve(q)
    return _level_run(q[::-1], _tolerance(q, tolerance)) - 1


def longest_plateau(q: Curve, tolerance: float | None = None) -> int:
    """As ``plateau_length`` for the longest plateau anywhere in the curve."""
    q = _curve(q)
    tolerance = _tolerance(q, tolerance)
    return max(_level_run(q[start:], tolerance) for start in range(len(q))) - 1


def distance(one: Curve, other: Curve) -> float:
    """Mean absolute difference of two curves (L,) over the same layers."""
    one, other = _pair(one, other)
    return float(np.abs(one - other).mean())


def spread(curves: Sequence[Curve] | np.ndarray) -> np.ndarray:
    """(L,) highest minus lowest Q of several curves (C, L), after each layer."""
    curves = np.asarray(curves, dtype=float)
    if curves.ndim != 2 or not curves.size:
        raise ValueError(f"curves of equal length (C, L) are needed, got shape {curves.shape}")
    return np.ptp(curves, axis=0)


def _level_run(q: np.ndarray, tolerance: float) -> int:
    """Length of the longest run from the start whose values differ by ``tolerance`` at most."""
    reach = np.maximum.accumulate(q) - np.minimum.accumulate(q)
    # A hair's breadth more: 0.81 - 0.80 is not 0.01 in binary.
    return int((reach <= tolerance + 1e-12).sum())


def _tolerance(q: np.ndarray, tolerance: float | None) -> float:
    if tolerance is None:
        return LEVEL * float(np.ptp(q))
    if not tolerance >= 0:
        raise ValueError(f"tolerance cannot be negative, got {tolerance}")
    return tolerance


def _pair(one: Curve, other: Curve) -> tuple[np.ndarray, np.ndarray]:
    one, other = _curve(one), _curve(other)
    if one.shape != other.shape:
        raise ValueError(f"two curves over the same layers are needed; {len(one)} and {len(other)}")
    return one, other


def _curve(q: Curve) -> np.ndarray:
    values = np.asarray(q, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"a curve has one axis and two layers at least, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("a curve has no NaN or infinite values")
    return values
