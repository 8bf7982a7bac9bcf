"""Leading eigenvectors of the normalised adjacency, by the cheapest exact route.

The spectral embedding of a graph is the k leading eigenvectors of D^-1/2 A D^-1/2, each divided
by sqrt(degree) (the generalised eigenvectors of L u = lambda D u). A layered network without
skip connections is bipartite between even and odd layers, so those eigenvectors are singular
vectors of one block B, and an eigen-decomposition of the smaller Gram matrix B B^T (522 x 522
for the papers' MLP of 1,818 nodes) gives them all. Larger Gram matrices (VGG-16: 1,984) and other
graphs go through ARPACK, which multiplies by the blocks between layers: no Gram matrix and no
sparse adjacency is ever made of a layered graph.

One eigenvalue more than asked for is computed each time, to see whether it equals the k-th
(``clustering.symmetry``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import torch

from modgraph_lib.graphs import LayeredGraph

__all__ = [
    "BipartitePlan",
    "embedding",
    "embeddings",
    "embeddings_on_device",
    "leading",
]

DENSE_LIMIT = 400  # nodes of a graph that is decomposed whole
DENSE_INSIDE = 3000  # the same where layers have edges inside, so that nothing is sparse
GRAM_LIMIT = 800  # nodes of a Gram matrix that is decomposed whole
SPARSE = 0.2  # share of non-zero weights below which a block is multiplied as a sparse one
SMALLEST_SINGULAR_VALUE = 1e-5


class BipartitePlan:
    """Where each layer sits in the two sides of a bipartite layered graph.

    The smaller side becomes the rows, so that the Gram matrix is as small as it can be.
    """

    def __init__(self, graph: LayeredGraph) -> None:
        even = sum(graph.layers[0::2])
        odd = sum(graph.layers[1::2])
        self.row_parity = 0 if even <= odd else 1
        self.shape = (even, odd) if self.row_parity == 0 else (odd, even)
        starts = [0, 0]
        self.start = []
        for index, size in enumerate(graph.layers):
            self.start.append(starts[index % 2])
            starts[index % 2] += size
        self.layers = graph.layers
        sides = [index % 2 == self.row_parity for index in range(len(graph.layers))]
        order = [
            start + np.arange(size) + (0 if is_row else self.shape[0])
            for start, size, is_row in zip(self.start, graph.layers, sides, strict=True)
        ]
        # nodes in layer order -> position in (rows, columns)
        self.order = np.concatenate(order)

    def fill(self, out: np.ndarray, pair: tuple[int, int], block: np.ndarray) -> None:
        """Write the weights between two layers into their place in the (rows, columns) matrix."""
        i, j = pair
        if i % 2 != self.row_parity:
            i, j, block = j, i, block.T
        row, column = self.start[i], self.start[j]
        out[row : row + self.layers[i], column : column + self.layers[j]] = block


def embedding(graph: LayeredGraph | scipy.sparse.sparray, k: int, *, seed: int = 0) -> np.ndarray:
    """(N, k) spectral embedding; rows of isolated nodes are zero.

    Args:
        graph: a layered graph (bipartite ones take the fast route) or a symmetric sparse
            adjacency (N, N).
        k: number of eigenvectors, the constant one included.
        seed: starting vector of ARPACK.

    Raises:
        ValueError: k is not between 1 and the number of nodes that have an edge.
    """
    return leading(graph, k, seed=seed)[0]


def leading(
    graph: LayeredGraph | scipy.sparse.sparray, k: int, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """``embedding``, and the k + 1 largest eigenvalues, falling (k where there are no more)."""
    if not isinstance(graph, LayeredGraph):
        degrees = np.asarray(graph.sum(1)).ravel()
        _check(k, degrees)
        return _general(graph, degrees, k, seed)
    _check(k, graph.degrees())
    if graph.is_bipartite:
        found = _bipartite(graph, k, seed)
        if found is not None:
            return found
    inner, kept = graph.without_isolated()
    points = np.zeros((graph.nodes, k))
    if inner.is_dense and inner.nodes <= DENSE_INSIDE:
        points[kept], values = _dense(inner.matrix(), inner.degrees(), k)
    elif inner.nodes <= DENSE_LIMIT or k >= inner.nodes // 2:
        points[kept], values = _general(inner.adjacency(), inner.degrees(), k, seed)
    else:
        points[kept], values = _layered(inner, k, seed)
    return points, values


def embeddings(
    graphs: Sequence[LayeredGraph], k: int, *, device: str = "cpu", seed: int = 0
) -> tuple[torch.Tensor, list[np.ndarray]]:
    """(S, N, k) float32 embeddings of equally layered graphs, on ``device``, and eigenvalues.

    On an accelerator bipartite graphs are decomposed in one batch; elsewhere one by one. Of the
    eigenvalues each graph has k + 1, falling, or k where there are no more.
    """
    if device != "cpu" and all(g.is_bipartite for g in graphs):
        batch, values = embeddings_on_device(graphs, k, torch.device(device))
        return batch.float(), values
    found = [leading(graph, k, seed=seed) for graph in graphs]
    points = np.stack([one for one, _ in found])
    return torch.from_numpy(points.astype(np.float32)).to(device), [values for _, values in found]


def embeddings_on_device(
    graphs: Sequence[LayeredGraph], k: int, device: torch.device
) -> tuple[torch.Tensor, list[np.ndarray]]:
    """(S, N, k) embeddings of bipartite graphs by one batched eigen-decomposition.

    In double precision where the device has it; k may not exceed the smaller side. And the k + 1
    largest eigenvalues of each graph.
    """
    for graph in graphs:
        _check(k, graph.degrees())
    plan = BipartitePlan(graphs[0])
    filled = np.zeros((len(graphs), *plan.shape))
    for matrix, graph in zip(filled, graphs, strict=True):
        for pair, block in graph.blocks.items():
            plan.fill(matrix, pair, block)
    kind = torch.float32 if device.type == "mps" else torch.float64
    batch = torch.from_numpy(filled).to(device, kind)
    rows, columns = batch.sum(2), batch.sum(1)
    total = rows.sum(1)
    row_scale, column_scale = (torch.where(d > 0, d, torch.inf).rsqrt() for d in (rows, columns))
    batch *= row_scale[:, :, None] * column_scale[:, None, :]
    values, vectors = torch.linalg.eigh(batch @ batch.mT)
    left = vectors[..., -k:].flip(-1)
    roots = values[:, -k:].flip(-1).clamp_min(SMALLEST_SINGULAR_VALUE**2).sqrt()
    right = (batch.mT @ left) / roots[:, None, :]
    points = torch.cat([left * row_scale[..., None], right * column_scale[..., None]], 1)
    points *= total.sqrt()[:, None, None]
    squares = values[:, -k - 1 :].flip(-1).cpu().numpy().astype(float)
    return points[:, torch.from_numpy(plan.order).to(device)], list(map(_singular, squares))


def _singular(squares: np.ndarray) -> np.ndarray:
    """Singular values from the falling eigenvalues of a Gram matrix."""
    return np.sqrt(np.clip(squares, 0, None))


def bipartite_embedding(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Embedding (R + C, k) of a bipartite graph given by its (R, C) block, R <= C.

    ``matrix`` is overwritten by its normalised form. Also returns the k + 1 largest eigenvalues;
    None when fewer than k singular values are distinguishable from zero.
    """
    rows, columns = matrix.sum(1), matrix.sum(0)
    row_scale, column_scale = _inverse_root(rows), _inverse_root(columns)
    matrix *= row_scale[:, None]
    matrix *= column_scale[None, :]
    size = len(matrix)
    if k > size:
        return None
    # B B^T through BLAS's symmetric update: half the work of a full product.
    gram = scipy.linalg.blas.dsyrk(1.0, matrix.T, trans=1, lower=1)
    squares, left = scipy.linalg.eigh(
        gram,
        subset_by_index=[max(0, size - k - 1), size - 1],
        driver="evr",
        check_finite=False,
        overwrite_a=True,
    )
    squares, left = squares[::-1], left[:, ::-1][:, :k]
    if squares[k - 1] < SMALLEST_SINGULAR_VALUE**2:
        return None
    right = (matrix.T @ left) / np.sqrt(squares[:k])
    points = np.concatenate([left * row_scale[:, None], right * column_scale[:, None]])
    # Scaled so that the constant eigenvector is 1 whatever the weights' unit.
    points *= np.sqrt(rows.sum())
    return points, _singular(squares)


def _bipartite(graph: LayeredGraph, k: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    plan = BipartitePlan(graph)
    if plan.shape[0] > max(GRAM_LIMIT, 4 * k):
        inner, kept = graph.without_isolated()
        found = _bipartite_lanczos(inner, k, seed)
        if found is None:
            return None
        points = np.zeros((graph.nodes, k))
        points[kept] = found[0]
        return points, found[1]
    matrix = np.zeros(plan.shape)
    for pair, block in graph.blocks.items():
        plan.fill(matrix, pair, block)
    both = bipartite_embedding(matrix, k)
    return None if both is None else (both[0][plan.order], both[1])


def _bipartite_lanczos(
    graph: LayeredGraph, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Leading eigenvectors of B B^T on the smaller side, and from them those of the graph.

    Squaring the spectrum puts its ends twice as far apart: half as many steps as on the graph.
    """
    plan, times, scale = BipartitePlan(graph), _multiplier(graph), _inverse_root(graph.degrees())
    ours = plan.order < plan.shape[0]
    if plan.shape[0] <= 2 * k:
        return None

    def gram(x: np.ndarray) -> np.ndarray:
        whole = np.zeros(graph.nodes)
        whole[ours] = x.ravel()
        for _ in range(2):  # to the other side and back
            whole = scale * times(scale * whole)
        return whole[ours]

    squares, left = _lanczos(gram, plan.shape[0], k, seed)
    if squares[k - 1] < SMALLEST_SINGULAR_VALUE**2:
        return None
    vectors = np.zeros((graph.nodes, k))
    vectors[ours] = left
    for column, value in zip(vectors.T, squares[:k], strict=True):
        column += scale * times(scale * column) / np.sqrt(value)
    points = vectors * scale[:, None] * np.sqrt(graph.degrees()[ours].sum())
    return points, _singular(squares)


def _layered(graph: LayeredGraph, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A graph with skip connections and without isolated nodes, multiplied block by block."""
    times, scale = _multiplier(graph), _inverse_root(graph.degrees())
    values, vectors = _lanczos(lambda x: scale * times(scale * x.ravel()), graph.nodes, k, seed)
    return vectors * scale[:, None] * np.sqrt(graph.degrees().sum()), values


def _multiplier(graph: LayeredGraph) -> Callable[[np.ndarray], np.ndarray]:
    """The product of the graph's adjacency (N, N) with a vector (N,)."""
    starts = graph.offsets
    parts = [
        (
            slice(starts[i], starts[i + 1]),
            slice(starts[j], starts[j + 1]),
            block
            if np.count_nonzero(block) > SPARSE * block.size
            else scipy.sparse.csr_array(block),
        )
        for (i, j), block in graph.blocks.items()
    ]

    def times(x: np.ndarray) -> np.ndarray:
        out = np.zeros(len(x))
        for here, there, block in parts:
            if x[there].any():  # of a bipartite graph one side is zero
                out[here] += block @ x[there]
            if here != there and x[here].any():
                out[there] += block.T @ x[here]
        return out

    return times


def _lanczos(
    product: Callable[[np.ndarray], np.ndarray] | scipy.sparse.sparray,
    count: int,
    k: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The k + 1 largest eigenvalues, falling, and eigenvectors (count, k) of an operator.

    ARPACK's usual basis of 2k + 1 vectors restarts so often on a network's flat spectrum that
    it takes up to thirty times the products; with 4k + 12 vectors k from 2 to 24 came within a
    third of the fewest.
    """
    start = np.random.default_rng(seed).uniform(-1, 1, count)
    if callable(product):
        shape = (count, count)
        product = scipy.sparse.linalg.LinearOperator(shape, matvec=product, dtype=float)
    basis = min(count, 4 * k + 12)
    values, vectors = scipy.sparse.linalg.eigsh(product, k + 1, which="LA", ncv=basis, v0=start)
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order[:k]]


def _general(
    adjacency: scipy.sparse.sparray, degrees: np.ndarray, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    present = np.flatnonzero(degrees > 0)
    inner = scipy.sparse.csr_array(adjacency)[present][:, present]
    scale = _inverse_root(degrees[present])
    normalised = (inner * scale[:, None]) * scale[None, :]
    count = len(present)
    if count <= DENSE_LIMIT or k >= count // 2:
        values, vectors = _decomposed(normalised.toarray(), k)
    else:
        values, vectors = _lanczos(normalised, count, k, seed)
    points = np.zeros((len(degrees), k))
    points[present] = vectors * scale[:, None] * np.sqrt(degrees.sum())
    return points, values


def _dense(matrix: np.ndarray, degrees: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A dense adjacency without isolated nodes, decomposed whole; ``matrix`` is overwritten."""
    scale = _inverse_root(degrees)
    matrix *= scale[:, None]
    matrix *= scale[None, :]
    values, vectors = _decomposed(matrix, k)
    return vectors * scale[:, None] * np.sqrt(degrees.sum()), values


def _decomposed(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k + 1 largest eigenvalues of a symmetric matrix, falling, and k eigenvectors."""
    count = len(matrix)
    wanted = [max(0, count - k - 1), count - 1]
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=wanted)
    return values[::-1], vectors[:, ::-1][:, :k]


def _inverse_root(degrees: np.ndarray) -> np.ndarray:
    """1/sqrt(d), and 0 where a node has no edge."""
    return np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)


def _check(k: int, degrees: np.ndarray) -> None:
    nodes = int((degrees > 0).sum())
    if not 1 <= k <= nodes:
        raise ValueError(f"k must be between 1 and the {nodes} nodes that have an edge, got {k}")
