"""A clusterability report of one's own network.

Five lines::

    from modgraph_lib import report

    model = report.load_model("torchvision.models:resnet18", weights="resnet18.safetensors")
    found = report.clusterability(model, k=12, shuffles=50)
    print(found.summary())
    found.figure()
"""

from __future__ import annotations

import difflib
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from torch import nn

from modgraph_lib import _checks, _memory, _report_files, clustering, graphs
from modgraph_lib._loading import fill, load_model, load_weights
from modgraph_lib.graphs import LayeredGraph, kernel_shuffles, weight_graph

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Report", "clusterability", "fill", "load_model", "load_weights"]

ERASED = 1e-8  # of the median degree
EDGE_BYTES = 80  # of memory at the peak of a shuffle test, measured on chains of 2 to 8 million
STARTS = 2  # of the search for layered Q, in the network and its shuffles alike


@dataclass(frozen=True, eq=False)
class Report:
    """How clusterable one network is.

    Attributes:
        name: what the network is called.
        k: number of clusters.
        ncut: n-cut of the network's clustering.
        p: (r + 1) / (S + 1), r of S shuffles at or below the network's n-cut.
        z: distance to the shuffles' mean in their standard deviations; negative: clusterable.
        shuffled: (S,) n-cuts of the shuffles.
        cluster_sizes: one row a layer; columns 1..k (clusters, the largest first), isolated, nodes.
        labels: (N,) cluster 1..k of each node, in the order of the layers; 0 for isolated nodes.
        graph: the graph, isolated nodes included.
        method: how weights were shuffled.
        seconds: of wall time, for the graph and for the shuffle test.
        ambiguous: whether k ends within a multiple eigenvalue, see ``clustering.cluster``.
        depth: normalised mutual information of the clusters with the layers: 0 for clusters that
            run through the network, 1 for the layers themselves.
        layered: the same question asked blind to depth, see ``clustering.layered_modularity``;
            its z_score is positive for a modular network. None where it was not asked for.
    """

    name: str
    k: int
    ncut: float
    p: float
    z: float
    shuffled: np.ndarray = field(repr=False)
    cluster_sizes: pd.DataFrame = field(repr=False)
    labels: np.ndarray = field(repr=False)
    graph: LayeredGraph = field(repr=False)
    method: str
    seconds: float
    ambiguous: bool
    depth: float
    layered: clustering.LayeredTest | None = field(repr=False)

    def summary(self) -> str:
        """The report in words, a few lines."""
        sizes = self.cluster_sizes.drop(columns=["isolated", "nodes"]).sum()
        beaten = int((self.shuffled > self.ncut).sum())
        isolated = int(self.cluster_sizes["isolated"].sum())
        edges = sum(int(np.count_nonzero(block)) for block in self.graph.blocks.values())
        notes = "" if not isolated else f", {isolated} of them isolated and left out"
        null = f"{self.shuffled.mean():.3f} ± {self.shuffled.std():.3f}"
        return "\n".join(
            [
                f"{self.name}: {len(self.graph.layers)} layers, {self.graph.nodes} nodes{notes}, "
                f"{edges} edges",
                f"n-cut at k = {self.k}: {self.ncut:.3f}; its shuffles: {null} "
                f"({len(self.shuffled)}, method {self.method!r})",
                f"below {beaten} of {len(self.shuffled)} shuffles: p = {self.p:.3f}, "
                f"z = {self.z:.1f}",
                f"an edge end leaves its cluster with probability {self.ncut / self.k:.2f} on "
                f"average over clusters; {self.shuffled.mean() / self.k:.2f} in shuffles",
                f"cluster sizes: {', '.join(str(int(size)) for size in sizes)}; "
                f"{self.depth:.0%} of what they say is the layer (normalised mutual information)",
                *self._blind(),
                *self._ambiguous(),
                *self._erased(),
                f"{self.seconds:.1f} s",
            ]
        )

    def _blind(self) -> list[str]:
        """A line on the test that is blind to depth."""
        if (test := self.layered) is None:
            return []
        return [
            f"blind to depth: layered Q {test.q:.3f}; its shuffles: {test.shuffled.mean():.3f}; "
            f"p = {test.p_value:.3f}, z = {test.z_score:.1f} (above zero: modular)"
        ]

    def _ambiguous(self) -> list[str]:
        """A line where another k would say more."""
        if not self.ambiguous:
            return []
        return [
            f"k = {self.k} is ambiguous: eigenvalues {self.k} and {self.k + 1} are equal (equal "
            "parts, or more separate ones than k); the clusters are one choice of several"
        ]

    def _erased(self) -> list[str]:
        """A line on units that weight decay has all but erased, if there are any."""
        if count := self.graph.erased:
            return [f"weights too small to count, taken for zero: {count} (floor=0 keeps them)"]
        degrees = self.graph.degrees()
        degrees = degrees[degrees > 0]
        limit = float(f"{ERASED * np.median(degrees):.0e}")
        erased = int((degrees <= limit).sum())
        if not erased:
            return []
        return [
            f"nodes with next to no weights: {erased} (degree at most {limit:.0e}); alone in a "
            f"cluster each costs 1. Without: clusterability(graph.without_isolated({limit:.0e})[0])"
        ]

    def figure(self) -> Figure:
        """Which layers each cluster lies in, and the n-cut beside its null."""
        from modgraph_lib.plots.clusters import clusters_by_layer  # loads matplotlib

        return clusters_by_layer(
            self.cluster_sizes, ncut=self.ncut, shuffled=self.shuffled, k=self.k, title=self.name
        )

    def save(self, path: str | Path) -> None:
        """Keep the report as ``path``, a JSON file, with its arrays beside it as safetensors.

        Raises:
            ValueError: a name that does not end in .json.
            OSError: the folder cannot be written.

        >>> weights, _ = toys.strands(2, (8, 8), leak=0.1, seed=0)
        >>> path = cache.cache_root() / "strands.json"
        >>> report.clusterability(weights, k=2, shuffles=9, name="strands").save(path)
        >>> report.Report.load(path).name
        'strands'
        """
        path = Path(_checks.instance(path, str | Path, "the path of a .json file"))
        if path.suffix != ".json":
            raise ValueError(f"a report is kept as a .json file, got {path}")
        _report_files.write(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """The report that ``save`` kept.

        Raises:
            FileNotFoundError: no such file, or its arrays are not beside it.
            ValueError: no report, or arrays that are not its own.
        """
        path = Path(_checks.instance(path, str | Path, "the path of a .json file"))
        facts, arrays, graph = _report_files.read(path)
        labels = arrays["labels"]
        sizes = _sizes(graph, labels, facts["k"])
        return cls(
            **facts, shuffled=arrays["shuffled"], cluster_sizes=sizes, labels=labels, graph=graph
        )

    def html(self) -> str:
        """The report as one HTML page that asks for nothing outside itself."""
        return _report_files.page(self)


def clusterability(
    network: nn.Module | LayeredGraph | Sequence[Any],
    k: int = 12,
    shuffles: int = 50,
    seed: int = 0,
    *,
    method: str = "",
    n_init: int = 10,
    name: str = "",
    workers: int | None = None,
    depth_blind: bool = True,
    **graph_options: Any,
) -> Report:
    """The clusterability report of a network.

    Args:
        network: a torch module, a list of weight matrices, or a graph made before.
        k: number of clusters.
        shuffles: size of the null sample; p can be no smaller than 1 / (shuffles + 1).
        seed: fixes shuffles and k-means.
        method: "layer" (the papers'), "layer_nonzero" where zeros belong to the architecture, or
            "kernel", which keeps gaps and ties that splits, groups and sums make
            (``graphs.kernel_shuffles``; modules only). "" chooses by the architecture: "layer"
            for a chain of whole kernels and for matrices; else "kernel", or "layer_nonzero" for a
            graph.
        n_init: k-means restarts.
        name: for text and picture; by default the class of the module.
        workers: threads; by default one per core.
        depth_blind: cluster network and shuffles by layered Q, too. On one core that takes as long
            again as the rest for 784-256x4-10, and four times as long for networks of a few
            hundred units; without it ``Report.layered`` is None.
        graph_options: of ``graphs.weight_graph`` (residual="merge", example=(1, 28, 28), ...).

    Raises:
        TypeError: graph options together with a graph.
        MemoryError: a graph that does not fit, before it is clustered.
        ValueError: what ``graphs.weight_graph`` or ``clustering.shuffle_test`` cannot take.

    >>> weights, _ = toys.strands(2, (12, 12, 12), leak=0.05, seed=0)
    >>> found = report.clusterability(weights, k=2, shuffles=19)
    >>> round(found.ncut, 2), found.p, found.z < -3
    (0.09, 0.05, True)
    """
    start = time.perf_counter()
    _checks.whole(k, "k (one cluster has n-cut 0 in every network)", least=2)
    _checks.whole(shuffles, "shuffles", least=1)
    _checks.whole(seed, "seed")
    workers = _checks.threads(workers)
    if isinstance(network, LayeredGraph):
        if graph_options:
            raise TypeError(f"a graph is made already; drop {', '.join(graph_options)}")
        graph = network
    else:
        known = list(inspect.signature(weight_graph).parameters)[1:]
        for option in graph_options.keys() - set(known):
            close = difflib.get_close_matches(option, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
            raise TypeError(f"graphs.weight_graph has no option {option!r}{hint}")
        _check_size(graphs.edges_ahead(network))
        graph = weight_graph(network, **graph_options)
    _check_size(sum(int(np.count_nonzero(block)) for block in graph.blocks.values()))
    method = method or _fitting_method(network, graph)
    settings: dict[str, Any] = {"n_init": n_init, "seed": seed, "workers": workers}
    if method == "kernel":
        test, layered = _kernel_tests(
            network, graph, k, shuffles, graph_options, depth_blind=depth_blind, **settings
        )
    else:
        test = clustering.shuffle_test(graph, k, shuffles=shuffles, method=method, **settings)
        layered = None
        if depth_blind:
            layered = clustering.layered_shuffle_test(
                graph,
                k,
                shuffles=shuffles,
                method=method,
                n_init=STARTS,
                seed=seed,
                workers=workers,
            )
    labels = _by_size(test.labels, k)
    return Report(
        name=name or (type(network).__name__ if isinstance(network, nn.Module) else "network"),
        k=k,
        ncut=test.ncut,
        p=test.p_value,
        z=test.z_score,
        shuffled=test.shuffled,
        cluster_sizes=_sizes(graph, labels, k),
        labels=labels,
        graph=graph,
        method=method,
        seconds=time.perf_counter() - start,
        ambiguous=test.ambiguous,
        depth=clustering.depth_share(graph, test.labels),
        layered=layered,
    )


def _check_size(edges: int) -> None:
    what = f"clustering a graph of {edges:.2g} edges"
    _memory.check(edges * EDGE_BYTES, what, graphs.FEWER_EDGES)


def _fitting_method(network: Any, graph: LayeredGraph) -> str:
    if not isinstance(network, nn.Module):
        return "layer_nonzero" if graph.gaps else "layer"
    chain = all(j == i + 1 for i, j in graph.blocks)
    return "layer" if chain and not graph.gaps else "kernel"


def _kernel_tests(
    network: Any,
    graph: LayeredGraph,
    k: int,
    shuffles: int,
    options: Mapping[str, Any],
    *,
    depth_blind: bool,
    n_init: int,
    seed: int,
    workers: int,
) -> tuple[clustering.ShuffleTest, clustering.LayeredTest | None]:
    """Both shuffle tests, against networks whose kernels are permuted."""
    if not isinstance(network, nn.Module):
        raise ValueError("method 'kernel' permutes a module's kernels; pass the module itself")
    own = clustering.cluster(graph, k, n_init=n_init, seed=seed)
    seeds = [[seed, index] for index in range(shuffles)]

    def blind(one: LayeredGraph) -> clustering.LayeredClustering:
        return clustering.cluster_layered(one, k, n_init=STARTS, seed=seed)

    def scores(shuffled: LayeredGraph, pair: list[int]) -> tuple[float, float]:
        start = clustering.hash_seed(*pair)
        ncut = clustering.cluster(shuffled, k, n_init=n_init, seed=start).ncut
        return ncut, blind(shuffled).q if depth_blind else 0.0

    made = kernel_shuffles(network, seeds=seeds, **options)
    tasks = (joblib.delayed(scores)(*pair) for pair in zip(made, seeds, strict=True))
    null = np.array(joblib.Parallel(workers, prefer="threads", pre_dispatch=2)(tasks)).T
    test = clustering.ShuffleTest(k, own.ncut, own.labels, null[0], "kernel", own.ambiguous)
    if not depth_blind:
        return test, None
    found = blind(graph)
    return test, clustering.LayeredTest(k, found.q, found.labels, null[1], "kernel")


def _by_size(labels: np.ndarray, k: int) -> np.ndarray:
    """Labels 1..k, the largest cluster first; 0 for isolated nodes."""
    order = np.argsort(-np.bincount(labels[labels >= 0], minlength=k), kind="stable")
    rank = np.empty(k, dtype=int)
    rank[order] = np.arange(1, k + 1)
    return np.where(labels >= 0, rank[labels], 0)


def _sizes(graph: LayeredGraph, labels: np.ndarray, k: int) -> pd.DataFrame:
    import pandas as pd  # slow to import

    parts = np.split(labels, graph.offsets[1:-1])
    counts = np.array([np.bincount(part, minlength=k + 1) for part in parts])
    frame = pd.DataFrame(counts[:, 1:], columns=range(1, k + 1), index=list(graph.names))
    frame.index.name = "layer"
    return frame.assign(isolated=counts[:, 0], nodes=list(graph.layers))
