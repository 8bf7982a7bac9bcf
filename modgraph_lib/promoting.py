"""Ways to make a network clusterable: what to add to the loss, and how to start.

Everything here works on plain weights. Kernels are (..., outputs, inputs) as torch keeps them; a
leading axis holds the members of a stack. Training (``TrainConfig``) uses the same functions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import nn

from modgraph_lib import _checks

__all__ = [
    "Eigenvalues",
    "clusterable_initialisation",
    "eigenvalue_sum",
    "eigenvalues",
    "normalise_units",
    "tag_factors",
]

COUNT = 3  # eigenvalues 2, 3 and 4
SMALLEST_SINGULAR_VALUE = 1e-5
# Block iteration: vectors beyond the wanted ones, products a round, rounds, residual at the end.
GUARD, PRODUCTS, ROUNDS, RESIDUAL = 4, 3, 3, 1e-4
# Layers through which a positive factor passes unchanged.
_HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.Flatten)


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """The smallest eigenvalues of a network's normalised Laplacian after the first.

    Attributes:
        values: (..., count), lambda_2 and up, ascending.
        gradients: for each kernel the gradient of their sum, of the kernel's shape.
        basis: what ``eigenvalues`` takes as ``start`` for weights that are a little different.
    """

    values: torch.Tensor
    gradients: list[torch.Tensor]
    basis: np.ndarray | torch.Tensor | None = None


@torch.no_grad()
def eigenvalues(kernels: Sequence[torch.Tensor], *, count: int = COUNT, start=None) -> Eigenvalues:
    """lambda_2 ... lambda_(count + 1) of a layered network and the gradient of their sum.

    The graph holds every unit, inputs and outputs included, with edges |w|; units without an edge
    are left out. It is bipartite between even and odd layers, so the eigenvalues of
    L_sym = I - D^-1/2 A D^-1/2 are 1 - sigma for the singular values sigma of one block
    B = R^-1/2 M C^-1/2, and an eigen-decomposition of the smaller Gram matrix gives the leading
    ones. With y = D^-1/2 u for a unit eigenvector u of L_sym, and an edge of weight |w| between
    nodes a and b,

        d lambda / d w = sgn(w) [(y_a - y_b)^2 - lambda (y_a^2 + y_b^2)],

    which is the closed form of the paper's appendix A.9 with 1/2 in place of its 1/4, summed.

    The sum is differentiable when the eigenvalues in it coincide; at lambda_(count+1) =
    lambda_(count+2) it has a kink, and this is one of its supergradients there (the sum of the
    smallest eigenvalues of a symmetric matrix is concave in it). In a network that has come apart
    the eigenvalues at zero have gradient zero.

    Args:
        kernels: two or more kernels (..., outputs, inputs) that follow one another.
        count: how many eigenvalues.
        start: ``basis`` of a former call on weights of the same shapes. From one training step to
            the next a few block iterations then do instead of a decomposition (to 1e-4 in the
            residual; what does not get there is decomposed). Without effect on an accelerator.

    Raises:
        ValueError: kernels that do not follow one another, or a network too small.
        FloatingPointError: weights that are not finite.

    Source: Clusterability in Neural Networks, section 4.1 and appendix A.9.

    >>> weights, _ = toys.strands(2, (6, 6, 6), leak=0.1, seed=0)
    >>> promoting.eigenvalues([torch.tensor(w) for w in weights], count=2).values.round(decimals=2)
    tensor([0.1500, 0.5100], dtype=torch.float64)
    """
    _checks.whole(count, "count", least=1)
    sizes = _sizes(kernels)
    even, odd = sum(sizes[0::2]), sum(sizes[1::2])
    if min(even, odd) <= count:
        raise ValueError(
            f"{count} eigenvalues after the first need more than {count} units in the even and in "
            f"the odd layers; layers of {sizes} units are too small"
        )
    places = _places(sizes)
    matrix = kernels[0].new_zeros((*kernels[0].shape[:-2], even, odd))
    xp, (arrays, (zeros,)) = _arrays(kernels, [matrix])
    values, gradients, basis = _solved(xp, arrays, zeros, places, count, start)
    if xp is np:
        values, *gradients = map(torch.from_numpy, (values, *gradients))
    return Eigenvalues(values, gradients, basis)


def eigenvalue_sum(kernels: Sequence[torch.Tensor], *, count: int = COUNT) -> torch.Tensor:
    """lambda_2 + ... + lambda_(count + 1), to be added to a loss: shape (...), differentiable.

    ``loss + 0.1 * eigenvalue_sum(models.kernels(model))`` is the paper's regulariser. Errors as in
    ``eigenvalues``; first derivatives only.

    >>> kernels = [torch.ones(6, 4, requires_grad=True), torch.ones(5, 6)]
    >>> promoting.eigenvalue_sum(kernels).backward()
    >>> kernels[0].grad.shape
    torch.Size([6, 4])
    """
    return _EigenvalueSum.apply(count, *kernels)


class _EigenvalueSum(torch.autograd.Function):
    @staticmethod
    def forward(context, count, *kernels):
        found = eigenvalues(kernels, count=count)
        context.save_for_backward(*found.gradients)
        return found.values.sum(-1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, upstream):
        return None, *(upstream[..., None, None] * part for part in context.saved_tensors)


def normalise_units(model: nn.Sequential) -> nn.Sequential:
    """Give every hidden unit incoming weights (bias included) of norm sqrt 2, in place.

    The unit's outgoing weights are divided by the same factor, so the function of the network
    stays as it is. A unit whose incoming weights and bias are all zero never answers; its
    outgoing weights become zero.

    Args:
        model: linear layers with nothing but ReLU (leaky or not), dropout and flattening between.

    Raises:
        TypeError: another kind of layer (names it): the function would change.

    Source: Clusterability in Neural Networks, algorithm 2 (appendix A.10).

    >>> model = promoting.normalise_units(models.mlp(4, 2, widths=(8,), seed=0))
    >>> bool(torch.allclose(model[1].weight.norm(dim=1), torch.tensor(2.0).sqrt()))
    True
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"units are normalised in an nn.Sequential, got {type(model).__name__}")
    for name, part in model.named_children():
        if not isinstance(part, (nn.Linear, *_HOMOGENEOUS)):
            raise TypeError(
                f"layer {name} is a {type(part).__name__}, through which a factor does not pass; "
                "units can be normalised between linear layers with ReLU"
            )
    layers = [part for part in model if isinstance(part, nn.Linear)]
    normalise_kernels([part.weight for part in layers], [part.bias for part in layers])
    return model


@torch.no_grad()
def normalise_kernels(
    kernels: Sequence[torch.Tensor], biases: Sequence[torch.Tensor | None]
) -> None:
    """Algorithm 2 on kernels (..., outputs, inputs) and biases (..., outputs), in place."""
    xp, (kernels, biases) = _arrays(kernels, biases)
    for kernel, bias, following in zip(kernels[:-1], biases[:-1], kernels[1:], strict=True):
        squares = xp.einsum("...ij,...ij->...i", kernel, kernel)
        if bias is not None:
            squares += bias * bias
        outgoing = (squares / 2) ** 0.5
        incoming = 1 / (outgoing + (outgoing == 0))
        kernel *= incoming[..., None]
        if bias is not None:
            bias *= incoming
        following *= outgoing[..., None, :]


@torch.no_grad()
def clusterable_initialisation(
    model: nn.Module, *, tags: int, beta: float, seed: int, outputs: bool = False
) -> nn.Module:
    """Deal one of ``tags`` tags to every hidden unit and favour edges within a tag, in place.

    A weight between different tags is multiplied by beta, one within a tag by
    1 + (1 - beta)(tags - 1), which leaves the expected absolute weight of a layer as it was.
    Weights from the inputs have no tag at their lower end and stay; so do the weights to the
    outputs, unless ``outputs`` gives class j the tag j (modulo ``tags``), which is what the
    published code does in MLPs. In a network with convolutions the units are the channels of the
    convolutions, in both readings.

    Args:
        model: layers that follow one another, for instance of ``models.mlp`` or ``small_cnn``.
        tags: number c of tags, at least 2.
        beta: factor on weights between tags, in (0, 1].
        seed: fixes the tags, on every device alike.
        outputs: whether the last linear layer of a network without convolutions is scaled too.

    Raises:
        ValueError: tags or beta out of range, or layers that do not follow one another.

    Source: Clusterability in Neural Networks, section 4.2.

    >>> model = models.mlp(4, 2, widths=(32, 32), seed=0)
    >>> _ = promoting.clusterable_initialisation(model, tags=2, beta=0.1, seed=0)
    >>> report.clusterability(model, k=2, shuffles=9).z < -2
    True
    """
    _checks.filled(model)
    _check_tags(tags, beta)
    layers: list[Any] = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    convolutions = [part for part in layers if isinstance(part, nn.Conv2d)]
    layers = convolutions or layers
    hidden = layers if convolutions else layers[:-1]
    rng = np.random.default_rng([_checks.whole(seed, "seed"), tags])
    dealt = [rng.integers(tags, size=part.weight.shape[0]) for part in hidden]
    if outputs and not convolutions:
        dealt.append(np.arange(layers[-1].weight.shape[0]) % tags)
    for (lower, upper), layer in zip(itertools.pairwise(dealt), layers[1:], strict=False):
        if layer.weight.shape[1] != len(lower):
            raise ValueError(
                f"a layer takes {layer.weight.shape[1]} inputs but the one before it has "
                f"{len(lower)} units: tags need layers that follow one another"
            )
        factors = torch.from_numpy(tag_factors(lower, upper, tags=tags, beta=beta))
        shape = (*factors.shape, *(1,) * (layer.weight.ndim - 2))
        layer.weight.mul_(factors.view(shape).to(layer.weight))
    return model


def _check_tags(tags: int, beta: float) -> None:
    _checks.whole(tags, "tags", least=2)
    if not isinstance(beta, int | float) or not 0 < beta <= 1:
        raise ValueError(f"beta lies in (0, 1], got {beta!r}")


def tag_factors(lower: np.ndarray, upper: np.ndarray, *, tags: int, beta: float) -> np.ndarray:
    """(upper, lower) factors on the weights between two layers with these tags.

    Over uniformly random tags each factor has expectation 1: it is 1 + (1 - beta)(tags - 1) with
    probability 1/tags, else beta.

    Raises:
        ValueError: fewer than two tags, or beta outside (0, 1].

    >>> promoting.tag_factors(np.array([0, 1]), np.array([0, 0, 1]), tags=2, beta=0.5)
    array([[1.5, 0.5],
           [1.5, 0.5],
           [0.5, 1.5]])
    """
    _check_tags(tags, beta)
    same = np.asarray(upper)[:, None] == np.asarray(lower)[None, :]
    return np.where(same, 1 + (1 - beta) * (tags - 1), beta)


def _sizes(kernels: Sequence[torch.Tensor]) -> list[int]:
    """Units of each layer, the inputs first."""
    if not all(isinstance(kernel, torch.Tensor) for kernel in kernels):
        raise TypeError("expected kernels as tensors (..., outputs, inputs)")
    if len(kernels) < 2:
        raise ValueError(f"eigenvalues need at least 2 kernels, got {len(kernels)}")
    sizes = [kernels[0].shape[-1]]
    for place, kernel in enumerate(kernels):
        if kernel.shape[-1] != sizes[-1]:
            raise ValueError(
                f"kernel {place} takes {kernel.shape[-1]} inputs but the layer before it has "
                f"{sizes[-1]} units"
            )
        sizes.append(kernel.shape[-2])
    return sizes


def _places(sizes: Sequence[int]) -> list[tuple[slice, slice, bool]]:
    """Rows and columns of each kernel in the (even, odd) matrix, and whether it is transposed."""
    ends = [list(itertools.accumulate(sizes[parity::2])) for parity in (0, 1)]
    where = [
        slice(ends[layer % 2][layer // 2] - size, ends[layer % 2][layer // 2])
        for layer, size in enumerate(sizes)
    ]
    return [
        (where[i], where[i + 1], True) if i % 2 == 0 else (where[i + 1], where[i], False)
        for i in range(len(sizes) - 1)
    ]


def _arrays(*groups: Any) -> tuple[Any, Any]:
    """torch and the tensors, or on a CPU numpy and arrays that share their memory.

    The arithmetic on networks of a hundred units a layer is so small that torch's overhead a call
    would be half of the time.
    """
    if groups[0][0].device.type != "cpu":
        return torch, groups
    return np, [[None if t is None else t.detach().numpy() for t in group] for group in groups]


def _solved(xp, kernels: Sequence, matrix, places: Sequence[tuple], count: int, start) -> tuple:
    """Eigenvalues, gradients and basis in the array library ``xp``; ``matrix`` holds zeros."""
    for kernel, (rows, columns, turned) in zip(kernels, places, strict=True):
        matrix[..., rows, columns] = abs(kernel.mT if turned else kernel)
    # 1/sqrt(degree), and 0 for a unit without an edge.
    row_scale, column_scale = (
        xp.where(degrees > 0, degrees, xp.inf) ** -0.5
        for degrees in (matrix.sum(-1), matrix.sum(-2))
    )
    matrix *= row_scale[..., :, None]
    matrix *= column_scale[..., None, :]
    values, left, right, basis = _leading(matrix, count + 1, start)
    values, left, right = values[..., 1:], left[..., 1:], right[..., 1:]
    # Half of the unit eigenvector lies on either side of the graph.
    left = left * (row_scale * math.sqrt(0.5))[..., None]
    right = right * (column_scale * math.sqrt(0.5))[..., None]
    whole = (left * -2) @ right.mT
    whole += (left * left) @ values[..., None]
    whole += ((right * right) @ values[..., None]).mT
    gradients = []
    for kernel, (rows, columns, turned) in zip(kernels, places, strict=True):
        part = whole[..., rows, columns]
        gradients.append(xp.sign(kernel) * (part.mT if turned else part))
    return 1 - values, gradients, basis


def _leading(matrix, count: int, start) -> tuple:
    """``count`` leading singular values (..., count), descending, their vectors, and a basis."""
    wide = matrix.shape[-2] <= matrix.shape[-1]
    small = matrix if wide else matrix.mT
    squares, basis = _top_eigenpairs(small @ small.mT, count, start)
    vectors = basis[..., :count]
    values = squares.clip(SMALLEST_SINGULAR_VALUE**2) ** 0.5
    others = (small.mT @ vectors) / values[..., None, :]
    return (values, vectors, others, basis) if wide else (values, others, vectors, basis)


def _top_eigenpairs(gram, count: int, start) -> tuple:
    """``count`` largest eigenvalues of symmetric matrices, descending, and a basis.

    The basis (..., n, count + GUARD) has their eigenvectors as its first columns.
    """
    if isinstance(gram, torch.Tensor):
        values, vectors = torch.linalg.eigh(gram)
        return values[..., -count:].flip(-1), vectors[..., -count:].flip(-1)
    if not np.isfinite(gram.sum()):
        raise FloatingPointError("the weights are not finite; a diverged training run?")
    size = gram.shape[-1]
    width = min(count + GUARD, size)
    values = np.empty((*gram.shape[:-2], count), gram.dtype)
    basis = np.empty((*gram.shape[:-1], width), gram.dtype)
    for place in np.ndindex(gram.shape[:-2]):
        found = None if start is None else _tracked(gram[place], start[place], count)
        found = found or _decomposed(gram[place], width)
        values[place], basis[place] = found[0][:count], found[1]
    return values, basis


def _tracked(gram: np.ndarray, basis: np.ndarray, count: int) -> tuple | None:
    """Eigenpairs by block iteration from a nearby basis; None if they do not converge."""
    for _ in range(ROUNDS):
        for _ in range(PRODUCTS):
            basis = gram @ basis
        basis = np.linalg.qr(basis)[0]
        image = gram @ basis
        values, turn = np.linalg.eigh(basis.T @ image)
        values, turn = values[::-1], turn[:, ::-1]
        basis, image = basis @ turn, image @ turn
        residual = image[:, :count] - basis[:, :count] * values[:count]
        if np.vdot(residual, residual) < RESIDUAL**2:
            return values, basis
    return None


def _decomposed(gram: np.ndarray, width: int) -> tuple:
    """The same by LAPACK, whose selected eigenpairs cost half of a full decomposition."""
    size = len(gram)
    values, vectors = scipy.linalg.eigh(
        gram, subset_by_index=[size - width, size - 1], driver="evr", check_finite=False
    )
    return values[::-1], vectors[:, ::-1]
