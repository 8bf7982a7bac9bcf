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
    """Linear CKA between the layers of a network, or of two.

    Attributes:
        layers: (L,) module names, in the order given.
        values: (L, P). Of one network: symmetric, with ones on the diagonal. Between 0 and 1;
            the unbiased estimator also goes a little below 0.
        samples: number of images.
        columns: (P,) module names of the second network; of one network, ``layers`` again.
    """

    layers: tuple[str, ...]
    values: np.ndarray
    samples: int
    columns: tuple[str, ...]


def linear_cka(
    x: torch.Tensor | np.ndarray, y: torch.Tensor | np.ndarray, *, unbiased: bool = False
) -> float:
    """Linear CKA of two representations of the same samples.

    For features X and Y with their column means taken off,
    ||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F). Computed from the centred Gram matrices
    K = X X^T and L = Y Y^T as <K, L> / (||K|| ||L||), which is the same number and needs
    (N, N) matrices only, however wide the layers are.

    Args:
        x, y: (N, ...) one row a sample; flattened to (N, M) and (N, P).
        unbiased: take <K, L> and the norms from the unbiased estimator of HSIC, which leaves the
            products of a sample with itself out.

    Returns:
        Between 0 and 1; 1 where one is the other rotated, reflected, scaled or shifted. The
        ordinary, biased form is above 0 even for unrelated features if there are fewer samples
        than features; the unbiased one is 0 for them on average, and goes below it.

    Raises:
        ValueError: unequal or fewer than two samples (four, unbiased), NaN or infinite features,
            or features that are the same for every sample.

    Source: Kornblith et al. (2019), equation 5; unbiased: Song et al., Feature Selection via
    Dependence Maximization (2012), equation 5, as in Nguyen et al. (2021), equation 3.

    Example:
        >>> round(linear_cka([[0.0], [1], [2]], [[0.0, 4], [2, 4], [4, 4]]), 6)
        1.0
    """
    x, y = _checks.tensor(x, "x"), _checks.tensor(y, "y")
    least = 4 if unbiased else 2
    for features, name in ((x, "x"), (y, "y")):
        if features.ndim < 2 or len(features) < least:
            raise ValueError(
                f"{name} must be (N, ...) with N of at least {least}, got {features.shape}"
            )
    if len(x) != len(y):
        raise ValueError(f"x and y need the same samples, got {len(x)} and {len(y)}")
    one, other = _of_features(x, "x", unbiased), _of_features(y, "y", unbiased)
    return min(1.0, float(one.cpu() @ other.cpu()))


def cka_matrix(
    model: nn.Module,
    images: torch.Tensor,
    other: nn.Module | None = None,
    *,
    unbiased: bool = False,
    layers: Sequence[str] | None = None,
    batch_size: int = 100,
    memory: float = 1.0,
    device: str = "auto",
) -> CkaMatrix:
    """Linear CKA between every two layers of a network, or every layer of it and of another.

    Args:
        model: any torch module, in evaluation mode; it is left as it was, on its device.
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        other: the second network, which gives the columns. It takes the same images.
        unbiased: see ``linear_cka``.
        layers: module names as in ``model.named_modules()``; None for ``hooks.default_layers``.
        batch_size: images a forward pass.
        memory: GiB of features held at once; besides, one matrix of 8 N^2 bytes a layer.
        device: "auto" is cuda, then mps, then cpu.

    Raises:
        ValueError: as ``communities.modularity_curve`` does for model, layers and features; fewer
            than two images (four, unbiased); a layer that is the same for every image.

    >>> model = models.mlp(6, 6, widths=(6,), seed=0).eval()
    >>> cka.cka_matrix(model, torch.eye(6)).values.round(2)
    array([[1.  , 0.75],
           [0.75, 1.  ]])
    """
    images = _checks.tensor(images, "images")
    least = 4 if unbiased else 2
    if images.ndim < 1 or len(images) < least:
        words = {2: "two", 4: "four"}[least]
        raise ValueError(
            f"CKA compares how samples lie to each other: give at least {words} images"
        )
    names, rows = [], []
    for network in (model,) if other is None else (model, other):
        found = each_layer(
            network,
            images,
            lambda products: products.double().cpu(),
            _rows,
            layers=layers,
            batch_size=batch_size,
            memory=memory / 2,  # rows are held in double precision
            device=device,
        )
        names.append(tuple(found))
        rows.append(
            torch.stack(
                [
                    _direction(products, products.diagonal().max(), f"layer {name!r}", unbiased)
                    for name, products in found.items()
                ]
            )
        )
    values = (rows[0] @ rows[-1].T).clamp(-1 if unbiased else 0, 1).numpy()
    if other is None:
        np.fill_diagonal(values, 1.0)
    return CkaMatrix(names[0], values, len(images), names[-1])


def _rows(output: torch.Tensor, name: str) -> torch.Tensor:
    found = finite_rows(output, f"layer {name!r}")
    return found if found.device.type == "mps" else found.double()


def _of_features(features: torch.Tensor, name: str, unbiased: bool) -> torch.Tensor:
    rows = finite_rows(features, name)
    rows = rows.double() if rows.device.type != "mps" else rows.cpu().double()
    peak = rows.abs().max()
    rows = rows / peak.where(peak > 0, 1)  # squares of squares stay in range
    size = rows.square().sum(1).max()
    rows = rows - rows.mean(0)
    # Centred before they are squared, equal samples leave the square of a double's rounding.
    return _direction(rows @ rows.T, size, name, unbiased, rounding=1e-26)


def _direction(
    products: torch.Tensor,
    size: torch.Tensor,
    name: str,
    unbiased: bool,
    rounding: float = 1e-13,
) -> torch.Tensor:
    """A matrix of dot products, centred on both sides and scaled to length 1, as (N * N,).

    ``size`` is the largest squared length of a sample before centring, ``rounding`` what part of
    it arithmetic leaves of samples that are equal.
    """
    if unbiased:  # the diagonal left out, so that sums of n - 1 products are what is taken off
        count = len(products)
        products = products - torch.diag(products.diagonal())
        sums = products.sum(0, keepdim=True) / (count - 2)
        centred = products - sums - sums.T + sums.sum() / (count - 1)
        centred.fill_diagonal_(0)
    else:
        means = products.mean(0, keepdim=True)
        centred = products - means - means.T + means.mean()
    length = torch.linalg.vector_norm(centred)
    # What is left of equal samples is rounding, not a way of lying to each other.
    if length <= rounding * len(products) * size:
        raise ValueError(f"{name} is the same for every sample, so that CKA is undefined")
    return (centred / length).flatten()
