"""Spectral clustering of a network's graph, its n-cut, and the shuffle test of that n-cut."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse
import torch

from modgraph_lib import _checks, statistics
from modgraph_lib.clustering import spectral, symmetry
from modgraph_lib.clustering.kmeans import kmeans, kmeans_restarts
from modgraph_lib.clustering.layered import (
    LayeredClustering,
    LayeredTest,
    cluster_layered,
    depth_share,
    layered_modularity,
    layered_shuffle_test,
    strand_limit,
)
from modgraph_lib.clustering.shuffles import SHUFFLE_METHODS, check_method, shuffle_graph
from modgraph_lib.device import pick_device, single_thread
from modgraph_lib.graphs import LayeredGraph

__all__ = [
    "SHUFFLE_METHODS",
    "Clustering",
    "LayeredClustering",
    "LayeredTest",
    "ShuffleTest",
    "cluster",
    "cluster_layered",
    "depth_share",
    "layered_modularity",
    "layered_shuffle_test",
    "ncut",
    "shuffle_graph",
    "shuffle_test",
    "shuffle_tests",
    "spectral_clustering",
    "strand_limit",
]

Graph: TypeAlias = LayeredGraph | scipy.sparse.sparray | np.ndarray
EQUAL = 1e-6  # inertias that differ by less, relatively, are equally good
BATCH, BATCH_WEIGHTS = 8, 20_000_000  # shuffles at once, and weights of them all


@dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of a graph.

    Attributes:
        k: number of clusters asked for.
        labels: (N,) int labels in 0..k-1; -1 for isolated nodes.
        ncut: n-cut of the labels.
        ambiguous: whether k ends within a multiple eigenvalue: the graph has more clusters of the
            same standing than k, or fewer, and other choices of k say more about it.
    """

    k: int
    labels: np.ndarray
    ncut: float
    ambiguous: bool


@dataclass(frozen=True, eq=False)
class ShuffleTest:
    """A network's n-cut beside the n-cuts of its shuffles.

    Attributes:
        k: number of clusters asked for.
        ncut: n-cut of the network's own clustering.
        labels: (N,) clusters of the network; -1 marks isolated nodes.
        shuffled: (S,) n-cut of every shuffle, in the order drawn.
        method: how weights were shuffled.
        ambiguous: whether the network's k ends within a multiple eigenvalue, see ``cluster``.
    """

    k: int
    ncut: float
    labels: np.ndarray
    shuffled: np.ndarray
    method: str
    ambiguous: bool = False

    @property
    def p_value(self) -> float:
        """(r + 1) / (S + 1) with r shuffles at or below the network's n-cut (North et al.)."""
        return statistics.empirical_p_value(self.ncut, self.shuffled)

    @property
    def z_score(self) -> float:
        """Distance to the shuffles' mean in their standard deviations; negative: clusterable."""
        return statistics.z_score(self.ncut, self.shuffled)

    @property
    def significant(self) -> bool:
        """Whether the network's n-cut lies below that of every shuffle."""
        return bool(self.ncut < self.shuffled.min())


def spectral_clustering(graph: Graph, k: int, *, n_init: int = 10, seed: int = 0) -> np.ndarray:
    """Normalised spectral clustering (Shi and Malik) of a weighted graph.

    Args:
        graph: a layered graph, or a symmetric non-negative adjacency (N, N).
        k: number of clusters.
        n_init: k-means restarts; the one of lowest inertia is kept.
        seed: fixes k-means (and ARPACK's start on graphs with skip connections).

    Returns:
        (N,) int labels in 0..k-1; -1 for isolated nodes. When nodes coincide in the embedding
        a cluster can be empty.

    Raises:
        ValueError: k is not between 1 and the number of nodes with an edge; a bad adjacency.

    Source: Neural networks are surprisingly modular, section 2.1, algorithm 1.

    >>> clustering.spectral_clustering(toys.two_triangles(), 2)
    array([0, 0, 0, 1, 1, 1])
    """
    return cluster(graph, k, n_init=n_init, seed=seed).labels


def cluster(graph: Graph, k: int, *, n_init: int = 10, seed: int = 0) -> Clustering:
    """``spectral_clustering`` with its n-cut, and whether k suits the graph.

    Where the k-th and the next eigenvalue are equal (equal strands, copies of one part, more
    parts than k), the k leading eigenvectors are an arbitrary choice among more. There all of
    them are used, and the result is marked ambiguous. There, and wherever else eigenvalues show
    a symmetry, the arithmetic is the same on every machine, and of equally good restarts the one
    of lowest n-cut is kept; but an eigenspace too wide to be found whole (``symmetry.eigenspace``)
    is cut as the processor's rounding has it.

    Args and errors as in ``spectral_clustering``.

    >>> strands = graphs.weight_graph([np.eye(4), np.eye(4)])
    >>> [clustering.cluster(strands, k).ambiguous for k in (3, 4)]
    [True, False]
    """
    graph = _checked(graph)
    k, n_init = _checks.whole(k, "k"), _checks.whole(n_init, "n_init", least=1)
    seed = _checks.whole(seed, "seed")
    points, values = spectral.leading(graph, k, seed=seed)
    ambiguous = symmetry.is_cut(values, k)
    if symmetry.is_symmetric(values, k):
        labels = _cluster_symmetric(graph, k, n_init, seed)
        if labels is not None:
            return Clustering(k, labels, ncut(graph, labels), ambiguous)
    present = torch.from_numpy(_degrees(graph) > 0)[None]
    batch = torch.from_numpy(points.astype(np.float32))[None]
    labels = kmeans(batch, k, present=present, n_init=n_init, seeds=[seed])[0].numpy()
    return Clustering(k, labels, ncut(graph, labels), ambiguous)


def _cluster_symmetric(
    graph: LayeredGraph | scipy.sparse.csr_array, k: int, n_init: int, seed: int
) -> np.ndarray | None:
    """Labels by the whole eigenspace in which k ends; None where that is too wide."""
    points = symmetry.eigenspace(graph, k, seed=seed)
    if points is None:
        return None
    present = _degrees(graph) > 0
    found, inertia = kmeans_restarts(points[present], k, n_init=n_init, seed=seed)
    good = np.unique(found[inertia <= inertia.min() * (1 + EQUAL)], axis=0)
    whole = np.full((len(good), len(present)), -1)
    whole[:, present] = good
    cuts = [round(ncut(graph, labels), 9) for labels in whole]
    return whole[int(np.argmin(cuts))]


def ncut(graph: Graph, labels: np.ndarray, *, epsilon: float = 0.0) -> float:
    """Normalised cut: sum over clusters of W(X, not X) / vol(X), without the factor 1/2.

    Args:
        graph: a layered graph, or a symmetric non-negative adjacency (N, N).
        labels: (N,) integers; negative labels mark nodes left out. A cluster without volume
            adds nothing.
        epsilon: added to every volume. 0 is the papers' definition; their released code has 1e-8,
            which makes a cluster of units with next to no weights free instead of costing 1.

    Returns:
        A number between 0 and the number of clusters.

    Raises:
        ValueError: labels of the wrong length, or nothing labelled.

    Source: Neural networks are surprisingly modular, section 2.1 (footnote 5 on the factor);
    Clusterability in Neural Networks, section 1.2.

    >>> round(clustering.ncut(toys.two_triangles(), np.array([0, 0, 0, 1, 1, 1])), 3)
    0.286
    """
    graph = _checked(graph)
    labels, epsilon = np.asarray(labels), _checks.number(epsilon, "epsilon", least=0)
    nodes = graph.nodes if isinstance(graph, LayeredGraph) else graph.shape[0]
    if labels.shape != (nodes,):
        raise ValueError(f"need one label for each of {nodes} nodes, got shape {labels.shape}")
    labels = _checks.integers(labels, "labels")
    if labels.max(initial=-1) < 0:
        raise ValueError("every node is left out (all labels are negative)")
    k = int(labels.max()) + 1
    within, volume = np.zeros(k), np.zeros(k)
    if isinstance(graph, LayeredGraph):
        parts = np.split(_one_hot(labels, k), graph.offsets[1:-1])
        for (i, j), block in graph.blocks.items():
            between = parts[i].T @ (block @ parts[j])
            if i == j:  # holds each edge twice
                within += np.diag(between)
                volume += between.sum(1)
                continue
            within += 2 * np.diag(between)
            volume += between.sum(1) + between.sum(0)
    else:
        member = _one_hot(labels, k)
        between = member.T @ (graph @ member)
        within, volume = np.diag(between), between.sum(1)
    cut = np.divide(volume - within, volume + epsilon, out=np.zeros(k), where=volume > 0)
    return float(cut.sum())


def shuffle_test(
    graph: LayeredGraph,
    k: int,
    *,
    shuffles: int = 50,
    method: str = "layer",
    n_init: int = 10,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
) -> ShuffleTest:
    """Is the network more clusterable than networks with the same weights in other places?

    Isolated nodes are removed before shuffling, and those that a shuffle isolates are removed
    again. Shuffle number i depends on (seed, i) alone, so a longer test extends a shorter one.

    Args:
        graph: layered graph of the network.
        k: number of clusters.
        shuffles: size of the null sample.
        method: "layer" or "layer_nonzero", see ``shuffle_graph``.
        n_init: k-means restarts for the network and for each shuffle alike.
        seed: fixes shuffles and k-means.
        device: "cpu", or a torch device for batched eigen-decompositions.
        workers: threads on a CPU; by default one per core.

    Raises:
        ValueError: unknown method, no shuffle, or k out of range.

    Source: Neural networks are surprisingly modular, section 3; Clusterability in Neural
    Networks, section 1.3; p-value of North, Curtis and Sham (2002).

    >>> weights, _ = toys.strands(2, (12, 12, 12), leak=0.05, seed=0)
    >>> test = clustering.shuffle_test(graphs.weight_graph(weights), 2, shuffles=19)
    >>> round(test.ncut, 2), test.p_value, test.z_score < -3
    (0.09, 0.05, True)
    """
    return shuffle_tests(
        graph,
        [k],
        shuffles=shuffles,
        method=method,
        n_init=n_init,
        seed=seed,
        device=device,
        workers=workers,
    )[k]


def shuffle_tests(
    graph: LayeredGraph,
    ks: Sequence[int],
    *,
    shuffles: int = 50,
    method: str = "layer",
    n_init: int = 10,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
) -> dict[int, ShuffleTest]:
    """``shuffle_test`` for several k on the same shuffles: one eigen-decomposition serves all.

    >>> weights, _ = toys.strands(2, (12, 12, 12), leak=0.05, seed=0)
    >>> tests = clustering.shuffle_tests(graphs.weight_graph(weights), (2, 4), shuffles=9)
    >>> {k: round(test.ncut, 1) for k, test in tests.items()}
    {2: 0.1, 4: 1.5}
    """
    _checks.instance(graph, LayeredGraph, "a layered graph (graphs.weight_graph makes one)")
    check_method(method)
    _checks.whole(shuffles, "shuffles", least=1)
    device = pick_device(device)
    threads = 1 if device != "cpu" else _checks.threads(workers)
    if not ks:
        raise ValueError("no number of clusters given")
    graph, kept = graph.without_isolated()
    own = {k: cluster(graph, k, n_init=n_init, seed=seed) for k in ks}
    weights = sum(block.size for block in graph.blocks.values())
    batch = max(1, min(BATCH, BATCH_WEIGHTS // weights))
    batches = [range(i, min(i + batch, shuffles)) for i in range(0, shuffles, batch)]

    def run(indices: range) -> dict[int, list[float]]:
        graphs = [shuffle_graph(graph, method=method, seed=[seed, i]) for i in indices]
        return _ncuts(graphs, ks, n_init, [hash_seed(seed, i) for i in indices], device)

    # One thread of linear algebra for each of ours, or they would crowd each other out.
    with single_thread(), ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(run, batches))
    whole = {}
    for k in ks:
        full = np.full(len(kept), -1)
        full[kept] = own[k].labels
        null = np.array([value for part in parts for value in part[k]])
        whole[k] = ShuffleTest(k, own[k].ncut, full, null, method, own[k].ambiguous)
    return whole


def hash_seed(*parts: int) -> int:
    """One 32-bit seed made of several integers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _ncuts(graphs, ks, n_init, seeds, device) -> dict[int, list[float]]:
    """n-cuts of a batch of equally shaped graphs for each k, clustered together."""
    widest = max(ks)
    batch, values = spectral.embeddings(graphs, widest, device=device)
    present = torch.from_numpy(np.stack([g.degrees() > 0 for g in graphs])).to(device)
    found = {}
    for k in ks:
        labels = kmeans(batch[:, :, :k], k, present=present, n_init=n_init, seeds=seeds)
        rows = list(labels.cpu().numpy())
        for index, graph in enumerate(graphs):
            if symmetry.is_symmetric(values[index], k):
                whole = _cluster_symmetric(graph, k, n_init, seeds[index])
                rows[index] = rows[index] if whole is None else whole
        found[k] = [ncut(g, row) for g, row in zip(graphs, rows, strict=True)]
    return found


def _one_hot(labels: np.ndarray, k: int) -> np.ndarray:
    """(N, k) indicator; all-zero rows for negative labels."""
    member = np.zeros((len(labels), k))
    inside = np.flatnonzero(labels >= 0)
    member[inside, labels[inside]] = 1
    return member


def _checked(graph: Graph) -> LayeredGraph | scipy.sparse.csr_array:
    if isinstance(graph, LayeredGraph):
        return graph
    if hasattr(graph, "adj"):
        kind = type(graph).__name__
        raise TypeError(f"got a {kind}; pass networkx.to_scipy_sparse_array(graph)")
    if isinstance(graph, torch.Tensor):
        graph = _checks.plain(graph, "the adjacency").cpu().numpy()
    if isinstance(graph, np.ndarray) and (layer := _one_layer(graph)) is not None:
        return layer
    array = graph if scipy.sparse.issparse(graph) else np.asarray(graph)
    if array.dtype.kind not in "biufc" or not array.ndim:
        kind = type(graph).__name__
        raise TypeError(f"expected a layered graph or an adjacency of numbers, got a {kind}")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"an adjacency is square, got shape {array.shape}")
    adjacency = scipy.sparse.csr_array(array)
    if np.issubdtype(adjacency.dtype, np.complexfloating):
        raise ValueError("an adjacency has real weights; take absolute values of complex ones")
    adjacency = adjacency.astype(np.promote_types(adjacency.dtype, np.float32))
    if not np.isfinite(adjacency.data).all() or (adjacency.data < 0).any():
        raise ValueError("an adjacency needs finite, non-negative weights")
    if abs(adjacency - adjacency.T).max() > 1e-9 * max(adjacency.max(), 1e-300):
        raise ValueError("the adjacency is not symmetric; n-cut is defined for undirected graphs")
    return adjacency


def _one_layer(adjacency: np.ndarray) -> LayeredGraph | None:
    """A dense adjacency as a graph of one layer; None for what has to be looked at closely."""
    if adjacency.ndim != 2 or len(adjacency) <= spectral.DENSE_LIMIT or adjacency.dtype.kind != "f":
        return None
    if np.count_nonzero(adjacency) < spectral.SPARSE * adjacency.size:
        return None
    try:
        return LayeredGraph((len(adjacency),), {(0, 0): adjacency.astype(float)})
    except ValueError:
        return None


def _degrees(graph: LayeredGraph | scipy.sparse.csr_array) -> np.ndarray:
    return graph.degrees() if isinstance(graph, LayeredGraph) else np.asarray(graph.sum(1)).ravel()
