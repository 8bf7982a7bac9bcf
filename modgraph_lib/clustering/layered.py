"""Modularity of a layered graph against a null of its own in every pair of layers.

Spectral clustering of a deep network can return depth: neighbouring layers share all their edges,
so that a cut between two layers is cheap (``strand_limit`` says when). Here every block of weights
is compared with what the strengths of its own rows and columns lead one to expect. All of a
network's nodes in one cluster then score 0, any cut between layers scores 0 too, and what is left
is which unit talks to which.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch

from modgraph_lib import _checks, statistics
from modgraph_lib.clustering.kmeans import kmeans
from modgraph_lib.clustering.search import GAIN, Blocks, centred_blocks, score, search
from modgraph_lib.clustering.shuffles import check_method, shuffle_graph
from modgraph_lib.device import single_thread
from modgraph_lib.graphs import LayeredGraph

__all__ = [
    "LayeredClustering",
    "LayeredTest",
    "cluster_layered",
    "depth_share",
    "layered_modularity",
    "layered_shuffle_test",
    "strand_limit",
]

DENSE_LIMIT = 600  # nodes of a graph whose start is an eigen-decomposition of the whole


@dataclass(frozen=True, eq=False)
class LayeredClustering:
    """Clusters of a layered graph that score high in ``layered_modularity``.

    Attributes:
        k: the most clusters allowed.
        labels: (N,) int labels from 0, the largest cluster first; -1 for isolated nodes.
        q: their layered modularity.
    """

    k: int
    labels: np.ndarray
    q: float


@dataclass(frozen=True, eq=False)
class LayeredTest:
    """A network's layered modularity beside those of its shuffles.

    Attributes:
        k: the most clusters allowed.
        q: layered modularity of the network's own clustering.
        labels: (N,) clusters of the network; -1 for isolated nodes.
        shuffled: (S,) layered modularity of every shuffle, each clustered anew.
        method: how weights were shuffled.
    """

    k: int
    q: float
    labels: np.ndarray
    shuffled: np.ndarray
    method: str

    @property
    def p_value(self) -> float:
        """(r + 1) / (S + 1) with r shuffles at or above the network's Q (North et al.)."""
        return statistics.empirical_p_value(-self.q, -self.shuffled)

    @property
    def z_score(self) -> float:
        """Distance to the shuffles' mean in their standard deviations; positive: modular."""
        return statistics.z_score(self.q, self.shuffled)


def layered_modularity(graph: LayeredGraph, labels: np.ndarray) -> float:
    """Modularity against a configuration model within each pair of layers, so that depth cancels.

    With W_b the weights of block b, r and c its row and column sums, m_b its sum and M that of all
    blocks: Q = 1/M sum_b sum_ij (W_b[i, j] - r_i c_j / m_b) [label_i = label_j]. One block between
    two layers is Barber's bipartite modularity, one block inside a layer is Newman's.

    Args:
        graph: a layered graph.
        labels: (N,) integers in the order of the layers; negative: left out.

    Returns:
        A number from -1/2 to 1 - 1/k for k clusters; 0 for one cluster, and for any clustering in
        which whole layers stay together.

    Raises:
        TypeError: no layered graph.
        ValueError: labels of the wrong length, or no integers.

    Source: Barber, Modularity and community detection in bipartite networks (2007), for a block;
    their sum is this project's.

    >>> weights, strand = toys.strands(2, (4, 4, 4), leak=0, seed=0)
    >>> graph = graphs.weight_graph(weights)
    >>> depth = np.repeat([0, 1, 1], 4)
    >>> scores = [clustering.layered_modularity(graph, labels) for labels in (strand, depth)]
    >>> [round(q, 2) + 0.0 for q in scores]
    [0.5, 0.0]
    """
    _checks.instance(graph, LayeredGraph, "a layered graph (graphs.weight_graph makes one)")
    labels = np.asarray(labels)
    if labels.shape != (graph.nodes,):
        raise ValueError(f"need one label for each of {graph.nodes} nodes, got {labels.shape}")
    labels = _checks.integers(labels, "labels")
    parts = np.split(labels, graph.offsets[1:-1])
    return score(centred_blocks(graph), parts, max(1, int(labels.max(initial=0)) + 1))


def cluster_layered(
    graph: LayeredGraph, k: int, *, n_init: int = 4, seed: int = 0
) -> LayeredClustering:
    """Clusters of high layered modularity, k at most: local search from several starts.

    Starts are k-means of the leading eigenvectors of the graph less its null: scaled by degrees,
    unscaled, unscaled with four clusters; then random ones. From each, in turn and until nothing
    helps: every layer's nodes move to the cluster that suits them best; clusters that are one
    strand under two names on either side of some depth get one name (an assignment problem at each
    depth, which local moves cannot solve in a deep network); clusters that gain by it are merged.

    Args:
        graph: a layered graph.
        k: the most clusters; fewer where fewer score higher.
        n_init: starts.
        seed: of k-means and random starts.

    Raises:
        TypeError: no layered graph.
        ValueError: k is not between 1 and the number of nodes with an edge.

    >>> weights, strand = toys.strands(2, (8,) * 14, leak=0.3, seed=0)
    >>> graph = graphs.weight_graph(weights)  # 13 blocks: n-cut sees strands to a leak of 0.015
    >>> found = clustering.cluster_layered(graph, 2)
    >>> round(found.q, 3), len(set(zip(found.labels, strand, strict=True)))
    (0.256, 2)
    """
    _checks.instance(graph, LayeredGraph, "a layered graph (graphs.weight_graph makes one)")
    k, n_init = _checks.whole(k, "k", least=1), _checks.whole(n_init, "n_init", least=1)
    seed = _checks.whole(seed, "seed")
    inner, kept = graph.without_isolated()
    if k > inner.nodes:
        raise ValueError(f"k = {k}, but only {inner.nodes} nodes have an edge")
    centred = centred_blocks(inner)
    best, labels = -np.inf, np.zeros(inner.nodes, dtype=int)
    for start in _starts(inner, centred, k, n_init, seed):
        parts = np.split(start, inner.offsets[1:-1])
        q = search(centred, parts, k)
        if q > best + GAIN:
            best, labels = q, np.concatenate(parts)
    whole = np.full(graph.nodes, -1)
    whole[kept] = _by_size(labels)
    return LayeredClustering(k, whole, float(best))


def layered_shuffle_test(
    graph: LayeredGraph,
    k: int,
    *,
    shuffles: int = 50,
    method: str = "layer",
    n_init: int = 4,
    seed: int = 0,
    workers: int | None = None,
) -> LayeredTest:
    """Is the network more modular, depth aside, than networks with the same weights elsewhere?

    The shuffles are those of ``clustering.shuffle_test`` with the same seed and method.

    Args:
        graph, k, n_init, seed: as for ``cluster_layered``.
        shuffles: size of the null sample.
        method: "layer" or "layer_nonzero", see ``shuffle_graph``.
        workers: threads; by default one per core.

    Raises:
        ValueError: unknown method, no shuffle, or k out of range.

    >>> weights, _ = toys.strands(2, (12, 12, 12), leak=0.3, seed=0)
    >>> graph = graphs.weight_graph(weights)
    >>> test = clustering.layered_shuffle_test(graph, 2, shuffles=19)
    >>> round(test.q, 2), test.p_value, test.z_score > 3
    (0.27, 0.05, True)
    """
    _checks.instance(graph, LayeredGraph, "a layered graph (graphs.weight_graph makes one)")
    check_method(method)
    _checks.whole(shuffles, "shuffles", least=1)
    own = cluster_layered(graph, k, n_init=n_init, seed=seed)
    inner, _ = graph.without_isolated()

    def q(index: int) -> float:
        shuffled = shuffle_graph(inner, method=method, seed=[seed, index])
        return cluster_layered(shuffled, k, n_init=n_init, seed=seed).q

    with single_thread(), ThreadPoolExecutor(_checks.threads(workers)) as pool:
        null = np.array(list(pool.map(q, range(shuffles))))
    return LayeredTest(k, own.q, own.labels, null, method)


def depth_share(graph: LayeredGraph, labels: np.ndarray) -> float:
    """How much of a clustering is depth: its normalised mutual information with the layer.

    Args:
        graph: a layered graph.
        labels: (N,) integers in the order of the layers; negative: left out.

    Returns:
        0 for clusters that are dealt out evenly over the layers, 1 where they are the layers.

    Raises:
        ValueError: labels of the wrong length.

    >>> graph = graphs.weight_graph([np.ones((4, 4)), np.ones((4, 4))])
    >>> strand, depth = np.tile([0, 1], 6), np.repeat([0, 1, 2], 4)
    >>> [round(clustering.depth_share(graph, labels), 2) for labels in (strand, depth)]
    [0.0, 1.0]
    """
    from sklearn.metrics import normalized_mutual_info_score  # slow to import

    labels = np.asarray(labels)
    if labels.shape != (graph.nodes,):
        raise ValueError(f"need one label for each of {graph.nodes} nodes, got {labels.shape}")
    layer = np.repeat(np.arange(len(graph.layers)), graph.layers)
    return float(normalized_mutual_info_score(layer[labels >= 0], labels[labels >= 0]))


def strand_limit(blocks: int | Sequence[float], *, k: int = 2) -> float:
    """The leak up to which the k leading eigenvectors of a network of two strands hold the strands.

    Two strands lie side by side, each with half of every layer, and weights across are `leak`
    times those within. The eigenvalues of the normalised adjacency are then products of one of the
    strands, 1 or (1 - leak) / (1 + leak), and one of the depth: those of a random walk between
    layers, joined by the blocks' total weights. Equal totals give cos(pi j / B), and the strands
    are among the first k while (1 - leak) / (1 + leak) > cos(pi (k - 1) / B), which is
    leak < tan^2(pi (k - 1) / 2B). Beyond, k-means is given depth alone.

    Args:
        blocks: number B of weight blocks of equal total weight, or each block's total.
        k: number of eigenvectors.

    Returns:
        A number from 0 to 1. It is exact where every weight is its expectation; for random weights
        as far as noise allows, and a limit for the embedding: what k-means makes of k > 2 columns
        is another matter.

    Raises:
        ValueError: no block, a total that is not positive, or k below 2.

    Source: this project, Part V.

    >>> [round(clustering.strand_limit(blocks), 3) for blocks in (2, 3, 5, 13)]
    [1.0, 0.333, 0.106, 0.015]
    >>> round(clustering.strand_limit([784 * 256, 256**2, 256**2, 256**2, 2560]), 3)
    0.113
    """
    k = _checks.whole(k, "k", least=2)
    if isinstance(blocks, int | np.integer):
        blocks = [1.0] * _checks.whole(blocks, "blocks", least=1)
    totals = np.array([_checks.number(total, "a block's total", above=0) for total in blocks])
    if not len(totals):
        raise ValueError("no block: a network has one block of weights at least")
    volume = np.append(totals, 0) + np.append(0, totals)
    step = totals / np.sqrt(volume[:-1] * volume[1:])
    values = scipy.linalg.eigvalsh_tridiagonal(np.zeros(len(volume)), step)[::-1]
    depth = values[k - 1] if k <= len(values) else 0.0
    return float(np.clip((1 - depth) / (1 + depth), 0, 1)) if depth > 1e-12 else 1.0


def _starts(graph: LayeredGraph, centred: Blocks, k: int, n_init: int, seed: int):
    """(N,) labels to start from: three spectral ones, then random ones."""
    rng = np.random.default_rng([seed, k])
    if k == 1:
        yield np.zeros(graph.nodes, dtype=int)
        return
    present = torch.ones(1, graph.nodes, dtype=torch.bool)
    scales = (graph.degrees() ** -0.5, np.ones(graph.nodes))
    most = min(k - 1, graph.nodes - 1)
    for start in range(n_init):
        count = k if start < 2 else min(k, 4)  # a search that starts from many ends with too many
        if start > 2 or (start == 2 and count == k):
            yield rng.integers(k, size=graph.nodes)
            continue
        if start < 2:
            points = _leading(graph, centred, scales[start], most, seed) * scales[start][:, None]
        batch = torch.from_numpy(points[:, 1 - count :].astype(np.float32))[None]
        found = kmeans(batch, count, present=present, n_init=4, seeds=[seed])
        yield found[0].numpy().astype(int)


def _leading(
    graph: LayeredGraph, centred: Blocks, scale: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """(N, count) leading eigenvectors of the centred adjacency, scaled on both sides."""
    cuts, nodes = graph.offsets[1:-1], graph.nodes

    def times(x: np.ndarray) -> np.ndarray:
        pieces = np.split(x.reshape(nodes, -1) * scale[:, None], cuts)
        out = [np.zeros_like(piece) for piece in pieces]
        for (i, j), block in centred.items():
            out[i] += block @ pieces[j]
            if i != j:
                out[j] += block.T @ pieces[i]
        return np.concatenate(out) * scale[:, None]

    if nodes <= DENSE_LIMIT or count >= nodes // 2:
        whole = times(np.eye(nodes))
        return scipy.linalg.eigh(whole, subset_by_index=[nodes - count, nodes - 1])[1]
    operator = scipy.sparse.linalg.LinearOperator((nodes, nodes), times, dtype=float)
    start = np.random.default_rng(seed).standard_normal(nodes)
    return scipy.sparse.linalg.eigsh(operator, count, which="LA", v0=start, tol=1e-3)[1]


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Labels from 0 without gaps, the largest cluster first."""
    names, counts = np.unique(labels, return_counts=True)
    rank = np.empty(names.max() + 1, dtype=int)
    rank[names[np.argsort(-counts, kind="stable")]] = np.arange(len(names))
    return rank[labels]
