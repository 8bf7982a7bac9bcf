"""Linear CKA: how far two representations of the same samples agree.

Centred kernel alignment compares how two layers place the same N images towards each other,
whatever their widths. Source: Kornblith et al., Similarity of Neural Network Representations
Revisited (2019), section 3; used in Understanding the Dynamics of DNNs Using Graph Modularity,
section 5.1 and figure 8(b). Works on any torch module and any features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.communities.streaming import each_layer, finite_rows

__all__ = ["CkaMatrix", "cka_matrix", "linear_cka"]


@dataclass(frozen=True, eq=False)
class CkaMatrix:
    """Linear CKA between the layers of a network.

    Attributes:
        layers: (L,) module names, in the order given.
        values: (L, L) symmetric, between 0 and 1, ones on the diagonal.
        samples: number of images.
    """

    layers: tuple[str, ...]
    values: np.ndarray
    samples: int


def linear_cka(x: torch.Tensor | np.ndarray, y: torch.Tensor | np.ndarray) -> float:
    """Linear CKA of two representations of the same samples.

    For features X and Y with their column means taken off,
    ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F). Computed from the centred Gram matrices
    K = X X^T and L = Y Y^T as <K, L> / (||K|| ||L||), which is the same number and needs
    (N, N) matrices only, however wide the layers are.

    Args:
        x, y: (N, ...) one row a sample; flattened to (N, M) and (N, P).

    Returns:
        Between 0 and 1; 1 where one is the other rotated, reflected, scaled or shifted. This is
        the ordinary, biased form: with fewer samples than features it is above 0 even for
        unrelated ones.

    Raises:
        ValueError: unequal or fewer than two samples, NaN or infinite features, or features
            that are the same for every sample.

    Example:
        >>> round(linear_cka([[0.0], [1], [2]], [[0.0, 4], [2, 4], [4, 4]]), 6)
        1.0
    """
    x, y = _checks.tensor(x, "x"), _checks.tensor(y, "y")
    for features, name in ((x, "x"), (y, "y")):
        if features.ndim < 2 or len(features) < 2:
            raise ValueError(f"{name} must be (N, ...) with N of at least 2, got {features.shape}")
    if len(x) != len(y):
        raise ValueError(f"x and y need the same samples, got {len(x)} and {len(y)}")
    one, other = (_of_features(x, "x"), _of_features(y, "y"))
    return min(1.0, float(one.cpu() @ other.cpu()))


def cka_matrix(
    model: nn.Module,
    images: torch.Tensor,
    *,
    layers: Sequence[str] | None = None,
    batch_size: int = 100,
    memory: float = 1.0,
    device: str = "auto",
) -> CkaMatrix:
    """Linear CKA between every two layers.

    Args:
        model: any torch module, in evaluation mode; it is left as it was, on its device.
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        layers: module names as in ``model.named_modules()``; None for ``hooks.default_layers``.
        batch_size: images a forward pass.
        memory: GiB of features held at once; besides, one matrix of 8 N^2 bytes a layer.
        device: "auto" is cuda, then mps, then cpu.

    Raises:
        ValueError: as ``communities.modularity_curve`` does for model, layers and features; fewer
            than two images; a layer that is the same for every image.

    >>> model = models.mlp(6, 6, widths=(6,), seed=0).eval()
    >>> cka.cka_matrix(model, torch.eye(6)).values.round(2)
    array([[1.  , 0.75],
           [0.75, 1.  ]])
    """
    images = _checks.tensor(images, "images")
    if images.ndim < 1 or len(images) < 2:
        raise ValueError("CKA compares how samples lie to each other: give at least two images")

    def rows(output: torch.Tensor, name: str) -> torch.Tensor:
        found = finite_rows(output, f"layer {name!r}")
        return found if found.device.type == "mps" else found.double()

    found = each_layer(
        model,
        images,
        lambda products: products.double().cpu(),
        rows,
        layers=layers,
        batch_size=batch_size,
        memory=memory / 2,  # rows are held in double precision
        device=device,
    )
    grams = [
        _direction(products, products.diagonal().max(), f"layer {name!r}")
        for name, products in found.items()
    ]
    stacked = torch.stack(grams)
    values = (stacked @ stacked.T).clamp(0, 1).numpy()
    np.fill_diagonal(values, 1.0)
    return CkaMatrix(tuple(found), values, len(images))


def _of_features(features: torch.Tensor, name: str) -> torch.Tensor:
    rows = finite_rows(features, name)
    rows = rows.double() if rows.device.type != "mps" else rows.cpu().double()
    peak = rows.abs().max()
    rows = rows / peak.where(peak > 0, 1)  # squares of squares stay in range
    size = rows.square().sum(1).max()
    rows = rows - rows.mean(0)
    # Centred before they are squared, equal samples leave the square of a double's rounding.
    return _direction(rows @ rows.T, size, name, rounding=1e-26)


def _direction(
    products: torch.Tensor, size: torch.Tensor, name: str, rounding: float = 1e-13
) -> torch.Tensor:
    """A matrix of dot products, centred on both sides and scaled to length 1, as (N * N,).

    ``size`` is the largest squared length of a sample before centring, ``rounding`` what part of
    it arithmetic leaves of samples that are equal.
    """
    means = products.mean(0, keepdim=True)
    centred = products - means - means.T + means.mean()
    length = torch.linalg.vector_norm(centred)
    # What is left of equal samples is rounding, not a way of lying to each other.
    if length <= rounding * len(products) * size:
        raise ValueError(f"{name} is the same for every sample, so that CKA is undefined")
    return (centred / length).flatten()
