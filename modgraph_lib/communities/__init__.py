"""Communities of samples: does class structure, seen as a graph of images, grow over depth?

Each layer's features of N images make a graph: every image is joined to its k most similar
ones, and the modularity of the true classes as communities says how well the layer separates
them. Source: Understanding the Dynamics of DNNs Using Graph Modularity, sections 3.2 and 3.3,
equation 1. Works on any torch module and any features.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import numpy as np
import torch
from scipy import sparse
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.communities.streaming import each_layer, finite_rows
from modgraph_lib.hooks import default_layers

__all__ = [
    "ModularityCurve",
    "default_layers",
    "knn_graph",
    "layer_graphs",
    "modularity",
    "modularity_curve",
    "modularity_curves",
]

Similarity = Literal["cosine", "pearson"]
Symmetrise = Literal["mean", "union", "mutual"]
ZeroNorm = Literal["error", "isolate"]
Result = TypeVar("Result")

TIED = 0.05  # of the samples: fewer ties than that happen by rounding, and move nothing


# --- the graph of one layer -----------------------------------------------------------------


def _unit_rows(features: torch.Tensor, similarity: str, zero_norm: str, name: str) -> torch.Tensor:
    """Rows (N, M) scaled to length 1 (centred first for "pearson"); zero rows stay zero."""
    rows = finite_rows(features, name)
    # Dividing by the largest entry first keeps the squares of tiny and huge features in range.
    peak = rows.abs().amax(1, keepdim=True)
    rows = rows / peak.where(peak > 0, 1)
    if similarity == "pearson":
        centred = rows - rows.mean(1, keepdim=True)
        # A constant row minus its mean is rounding noise, not a direction.
        constant = (rows == rows[:, :1]).all(1, keepdim=True)
        rows = centred.masked_fill(constant, 0)
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    zeros = int((norm == 0).sum())
    if zeros and zero_norm == "error":
        what = "constant" if similarity == "pearson" else "all-zero"
        raise ValueError(
            f"{name}: {zeros} of {len(rows)} samples have {what} features, so their similarity "
            'is undefined; zero_norm="isolate" leaves them without edges of their own'
        )
    return rows / norm.where(norm > 0, 1)


def _check_options(k: int, count: int, similarity: str, symmetrise: str, zero_norm: str) -> None:
    _checks.whole(k, "k", least=1)
    if count < k + 1:
        raise ValueError(f"k={k} neighbours need at least {k + 1} samples, got {count}")
    for value, allowed, name in (
        (similarity, ("cosine", "pearson"), "similarity"),
        (symmetrise, ("mean", "union", "mutual"), "symmetrise"),
        (zero_norm, ("error", "isolate"), "zero_norm"),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _nearest(similarities: torch.Tensor, k: int, symmetrise: str) -> sparse.csr_array:
    """The graph of the k largest similarities of each row of a symmetric matrix (N, N)."""
    count = len(similarities)
    similarities = (similarities + similarities.T) / 2  # equal both ways to the last bit
    similarities.fill_diagonal_(0)
    weights, columns = similarities.topk(min(k + 1, count), dim=1)
    _warn_of_ties(weights, k)
    weights, columns = weights[:, :k], columns[:, :k]
    rows = np.repeat(np.arange(count), k)
    chosen = sparse.csr_array(
        (weights.double().cpu().numpy().ravel(), (rows, columns.cpu().numpy().ravel())),
        shape=(count, count),
    )
    chosen.eliminate_zeros()
    both = chosen + chosen.T
    if symmetrise == "mean":
        graph = both / 2
    else:
        present = chosen.astype(bool).astype(np.float64)
        mutual = chosen.multiply(present.T)
        graph = mutual if symmetrise == "mutual" else both - mutual
    graph = sparse.csr_array(graph)
    graph.eliminate_zeros()
    return graph.sorted_indices()


def _warn_of_ties(weights: torch.Tensor, k: int) -> None:
    """Tell where chance decides which neighbours are taken, of (N, k + 1) largest similarities."""
    last, following = weights[:, k - 1], weights[:, -1]
    tied = (last - following <= 4 * torch.finfo(weights.dtype).eps * last) & (following > 0)
    if weights.shape[1] > k and tied.sum() > TIED * len(weights):
        warnings.warn(
            f"{int(tied.sum())} of {len(weights)} samples have more equally similar others than "
            f"k={k}, so that which are taken depends on the order of the samples; leave out "
            "repeated ones, or take a larger k",
            stacklevel=2,
        )


def knn_graph(
    features: torch.Tensor | np.ndarray,
    k: int,
    *,
    similarity: Similarity = "cosine",
    symmetrise: Symmetrise = "mean",
    zero_norm: ZeroNorm = "error",
) -> sparse.csr_array:
    """Weighted graph of samples, each joined to its k most similar others.

    Args:
        features: (N, ...) one row a sample; flattened to (N, M).
        k: neighbours that each sample chooses.
        similarity: "cosine", or "pearson" (cosine of rows with their mean taken off).
        symmetrise: the choice D is directed and the paper does not say how it becomes
            symmetric. "mean" is (D + D^T) / 2, what its code does: a pair that chose each other
            weighs s, a one-sided choice s / 2. "union" weighs both s; "mutual" keeps only pairs
            that chose each other.
        zero_norm: samples without a direction are an "error", or stay without similarity
            ("isolate", the effect of the published code).

    Returns:
        (N, N) symmetric, zero diagonal. As in the paper a sample's similarity to itself counts
        as 0, so where fewer than k others are positively similar it makes fewer choices.
        Negative weights can occur then, and are kept. Ties are broken as ``torch.topk`` does, with
        a warning where more than a twentieth of the samples have them.

    Raises ValueError for fewer than k + 1 samples, NaN or infinite features, zero norms, or an
    unknown option.

    >>> communities.knn_graph(np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]]), k=1).toarray()
    array([[0., 1., 0., 0.],
           [1., 0., 0., 0.],
           [0., 0., 0., 1.],
           [0., 0., 1., 0.]])
    """
    features = _checks.tensor(features, "features")
    if features.ndim < 2:
        raise ValueError(f"features must be (N, ...) with one row a sample, got {features.shape}")
    _check_options(k, len(features), similarity, symmetrise, zero_norm)
    rows = _unit_rows(features, similarity, zero_norm, "features")
    return _nearest(rows @ rows.T, k, symmetrise)


# --- modularity -----------------------------------------------------------------------------


def _square(adjacency: Any) -> sparse.coo_array:
    if callable(getattr(adjacency, "adjacency", None)) and not sparse.issparse(adjacency):
        adjacency = adjacency.adjacency()
    if isinstance(adjacency, torch.Tensor):
        adjacency = _checks.plain(adjacency, "the adjacency").cpu().numpy()
    if not sparse.issparse(adjacency):
        adjacency = _checks.numbers(adjacency, "adjacency")
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"an adjacency matrix is square, got shape {adjacency.shape}")
    matrix = sparse.csr_array(adjacency, dtype=np.float64)
    if not np.isfinite(matrix.data).all():
        raise ValueError("the adjacency matrix has weights that are NaN or infinite")
    if matrix.nnz:
        unequal = abs(matrix - matrix.T)
        if unequal.nnz and unequal.max() > 1e-9 * abs(matrix.data).max():
            raise ValueError("the adjacency matrix is not symmetric; use (A + A.T) / 2")
    return matrix.tocoo()


def modularity(
    adjacency: Any,
    labels: Sequence | np.ndarray | torch.Tensor,
    *,
    resolution: float = 1.0,
    reading: Literal["standard", "literal"] = "standard",
) -> float:
    """Newman's modularity Q of given communities in a weighted undirected graph.

    Q = sum_c [ in_c / 2m - resolution (tot_c / 2m)^2 ], computed from class-block sums, where
    in_c is the weight sum over ordered pairs inside community c, tot_c the sum of its degrees
    and 2m = sum_ij a_ij. This equals (1/2m) sum_ij (a_ij - d_i d_j / 2m) [c_i = c_j].

    Args:
        adjacency: (N, N) symmetric: array, tensor, scipy sparse, or a graph with
            ``.adjacency()``. A diagonal entry is Newman's a_ii, twice a self-loop's weight.
        labels: (N,) community of each node, any kind of value.
        resolution: weight of the expected part.
        reading: "standard" is what the paper's code computes and its figures show. "literal"
            takes equation 1 at its word, where W = sum_ij a_ij stands for m and every edge is
            counted twice: sum_c [ in_c / 4m - resolution (tot_c / 4m)^2 ], always below 1/2.

    With weights >= 0 and resolution 1, Q lies in [-1/2, 1); one community for all gives 0 up to
    rounding. Raises ValueError for a matrix that is not square, symmetric and finite, for no
    positive total weight, or for the wrong number of labels.

    Example:
        >>> two_pairs = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
        >>> modularity(two_pairs, [0, 0, 1, 1])
        0.5
    """
    if reading not in ("standard", "literal"):
        raise ValueError(f'reading must be "standard" or "literal", got {reading!r}')
    _checks.number(resolution, "resolution", least=0)
    inside, squares = _shares(adjacency, labels)
    # Counting each edge twice halves every share.
    halves = 1.0 if reading == "standard" else 0.5
    return inside * halves - resolution * squares * halves**2


def _shares(adjacency: Any, labels: Any) -> tuple[float, float]:
    """Share of the weight inside communities, and sum over communities of squared shares."""
    matrix = _square(adjacency)
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    labels = np.asarray(labels)
    if labels.shape != (matrix.shape[0],):
        raise ValueError(f"{matrix.shape[0]} nodes need as many labels, got {labels.shape}")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError("labels hold NaN, which is no community")
    _, community = np.unique(labels, return_inverse=True)
    total = float(matrix.data.sum())
    if total <= 0:
        raise ValueError(f"modularity needs a positive total weight, got {total:g}")
    row, column = matrix.coords
    of_row = community[row]
    degrees = np.bincount(of_row, weights=matrix.data)
    inside = matrix.data[of_row == community[column]].sum()
    share = degrees / total
    return float(inside / total), float(share @ share)


# --- a curve over layers --------------------------------------------------------------------


class Options(TypedDict, total=False):
    """How layers become graphs: the arguments of ``modularity_curve`` after k."""

    layers: Sequence[str] | None
    similarity: Similarity
    symmetrise: Symmetrise
    zero_norm: ZeroNorm
    batch_size: int
    memory: float
    device: str


def layer_graphs(
    model: nn.Module, images: torch.Tensor, *, k: int = 3, **options: Unpack[Options]
) -> dict[str, sparse.csr_array]:
    """The graph of samples after each layer, (N, N) by name, as ``modularity_curve`` builds it.

    Arguments and errors are those of ``modularity_curve``.

    >>> model = models.mlp(4, 2, widths=(8,), seed=0).eval()
    >>> found = communities.layer_graphs(model, torch.eye(4), k=1)
    >>> {name: graph.shape for name, graph in found.items()}
    {'1': (4, 4), '3': (4, 4)}
    """
    found = _each_graph(model, images, (k,), lambda graph: graph, **options)
    return {name: graph for name, (graph,) in found.items()}


def _each_graph(
    model: nn.Module,
    images: torch.Tensor,
    counts: Sequence[int],
    look: Callable[[sparse.csr_array], Result],
    *,
    layers: Sequence[str] | None = None,
    similarity: Similarity = "cosine",
    symmetrise: Symmetrise = "mean",
    zero_norm: ZeroNorm = "error",
    batch_size: int = 100,
    memory: float = 1.0,
    device: str = "auto",
) -> dict[str, list[Result]]:
    """By layer: what ``look`` makes of its graph for each number of neighbours."""
    images = _checks.tensor(images, "images")
    for k in counts:
        _check_options(k, len(images), similarity, symmetrise, zero_norm)
    return each_layer(
        model,
        images,
        lambda products: [look(_nearest(products, k, symmetrise)) for k in counts],
        lambda output, name: _unit_rows(output, similarity, zero_norm, f"layer {name!r}"),
        layers=layers,
        batch_size=batch_size,
        memory=memory,
        device=device,
    )


@dataclass(frozen=True, eq=False)
class ModularityCurve:
    """Modularity after each layer.

    Attributes:
        layers: (L,) module names, in the order given.
        q: (L,) modularity of the classes in each layer's graph.
        inside: (L,) share of each graph's weight that lies inside classes: the first of the two
            terms of Q, whose second, ``inside - q``, is what equally strong nodes would have
            inside by chance.
        k: neighbours; samples: number of images.
    """

    layers: tuple[str, ...]
    q: np.ndarray
    inside: np.ndarray
    k: int
    samples: int

    @property
    def q_literal(self) -> np.ndarray:
        """(L,) Q by equation 1 as printed; see ``modularity``."""
        return self.inside / 2 - (self.inside - self.q) / 4


def modularity_curve(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor | np.ndarray | Sequence[int],
    *,
    k: int = 3,
    **options: Unpack[Options],
) -> ModularityCurve:
    """Modularity of the true classes in each layer's graph of samples.

    Args:
        model: any torch module, in evaluation mode; it is left as it was, on its device.
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        labels: (N,) classes, at least two different ones.
        k: neighbours, as in ``knn_graph``, and so are similarity, symmetrise and zero_norm.
        layers: module names as in ``model.named_modules()``; None for ``default_layers``.
        batch_size: images a forward pass, by default 100.
        memory: GiB of features held at once, by default 1. Wider networks take more forward
            passes, not more memory; besides, a few matrices of 8 N^2 bytes exist at a time. 5,000
            images on a ResNet18 of full width came to 3.2 GiB in all.
        device: "auto" (the default) is cuda, then mps, then cpu.

    The paper takes k = 3 and N = 500 (1,000 for CIFAR-100). Raises ValueError for a model in
    training mode, an unknown layer, one that never runs or runs twice a pass, a single class,
    fewer than k + 1 images, and features that are NaN or all zero.

    >>> images, labels = torch.eye(6), [0, 0, 0, 1, 1, 1]
    >>> model = models.mlp(6, 2, widths=(8, 8), seed=0).eval()
    >>> curve = communities.modularity_curve(model, images, labels, k=2)
    >>> dict(zip(curve.layers, curve.q.round(2).tolist()))
    {'1': 0.02, '3': -0.13, '5': -0.26}
    """
    return modularity_curves(model, images, labels, k=(k,), **options)[k]


def modularity_curves(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor | np.ndarray | Sequence[int],
    *,
    k: Sequence[int],
    **options: Unpack[Options],
) -> dict[int, ModularityCurve]:
    """``modularity_curve`` for several numbers of neighbours, from the same similarities.

    >>> model = models.mlp(6, 2, widths=(8,), seed=0).eval()
    >>> curves = communities.modularity_curves(model, torch.eye(6), [0, 0, 0, 1, 1, 1], k=(1, 2))
    >>> {k: curve.q.round(2).tolist() for k, curve in curves.items()}
    {1: [-0.04, -0.14], 2: [0.02, -0.28]}
    """
    images = _checks.tensor(images, "images")
    labels = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if labels.shape != (len(images),):
        raise ValueError(f"{len(images)} images need as many labels, got {labels.shape}")
    if isinstance(k, int):
        raise TypeError(f"k is a list of numbers here, got {k}; modularity_curve takes one")
    if not k:
        raise ValueError("k is empty: give at least one number of neighbours")
    if len(np.unique(labels)) < 2:
        raise ValueError("all images have one class: modularity would be 0 for every layer")
    shares = _each_graph(model, images, k, lambda graph: _shares(graph, labels), **options)
    found = np.array(list(shares.values()))  # (L, K, 2)
    inside, expected = found[..., 0], found[..., 1]
    return {
        count: ModularityCurve(
            tuple(shares), inside[:, i] - expected[:, i], inside[:, i], int(count), len(images)
        )
        for i, count in enumerate(k)
    }
