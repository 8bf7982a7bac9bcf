"""A group of units as a picture: how each pixel goes with what the units respond.

Source: Detecting Modularity, figure 1 and appendix A.4 (after Watanabe 2019).
"""

from __future__ import annotations

import numpy as np

from modgraph_lib import _checks
from modgraph_lib.graphs.correlation import standardised

__all__ = ["aligned", "group_picture", "one_sidedness", "unit_pictures"]

SWEEPS = 20


def unit_pictures(
    activations: np.ndarray, pixels: np.ndarray, *, measure: str = "spearman"
) -> np.ndarray:
    """(units, pixels) correlation of each unit with each pixel over images.

    Args:
        activations: (N, units), before the activation function.
        pixels: (N, ...) of the same images.
        measure: "spearman", or "pearson" which needs no ranks.

    A constant pixel or unit has correlation 0.

    Raises:
        ValueError: unequal numbers of images, fewer than 3.

    Source: appendix A.4.

    >>> pixels = np.array([[0.0, 1], [1, 1], [2, 1]])
    >>> pictures.unit_pictures(pixels[:, :1] ** 2, pixels).round(2).tolist()
    [[1.0, 0.0]]
    """
    units = _checks.numbers(activations, "activations")
    flat = _checks.numbers(pixels, "pixels")
    flat = flat.reshape(len(flat), -1)
    if units.ndim != 2 or len(units) != len(flat) or len(units) < 3:
        raise ValueError(
            f"need (N, units) activations and N images, at least 3; got {units.shape} and "
            f"{flat.shape}"
        )
    return standardised(units, measure=measure).T @ standardised(flat, measure=measure)


def aligned(pictures: np.ndarray, *, sweeps: int = SWEEPS) -> np.ndarray:
    """(units,) signs, 1 or -1, that turn pictures the same way before they are averaged.

    Units respond to a feature or against it. Sweep after sweep, a picture whose cosines with the
    others add up to less than 0 is turned round, until none is.

    Source: appendix A.4 (20 sweeps).

    >>> pictures.aligned(np.array([[1.0, 0], [-1, 0.1], [1, 0.1]])).tolist()
    [1.0, -1.0, 1.0]
    """
    length = np.linalg.norm(pictures, axis=1, keepdims=True)
    unit = np.divide(pictures, length, out=np.zeros_like(pictures), where=length > 0)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0)
    signs = np.ones(len(pictures))
    for _ in range(sweeps):
        turned = False
        for i in range(len(signs)):
            if signs[i] * (cosines[i] @ signs) < 0:
                signs[i], turned = -signs[i], True
        if not turned:
            break
    return signs


def group_picture(pictures: np.ndarray, *, sweeps: int = SWEEPS) -> np.ndarray:
    """(pixels,) mean of aligned pictures (units, pixels).

    >>> pictures.group_picture(np.array([[1.0, 0], [1, 0.4], [1, 0], [-1, 0]])).round(2).tolist()
    [1.0, 0.1]
    """
    return (aligned(pictures, sweeps=sweeps)[:, None] * pictures).mean(0)


def one_sidedness(picture: np.ndarray) -> float:
    """|L - R| / (L + R) for the squared values of the left and the right half; 0 to 1.

    Args:
        picture: (height, width); of an odd width the middle column counts for neither half. An
            empty picture has no side and gives 0.

    >>> pictures.one_sidedness(np.array([[2.0, 0], [0, 1]]))
    0.6
    """
    if picture.ndim != 2:
        raise ValueError(f"a picture is (height, width), got shape {picture.shape}")
    energy, half = np.square(picture), picture.shape[1] // 2
    left, right = energy[:, :half].sum(), energy[:, picture.shape[1] - half :].sum()
    return float(abs(left - right) / (left + right)) if left + right > 0 else 0.0
