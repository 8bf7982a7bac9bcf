"""What is looked at in a network after an epoch, and how a record keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import scipy.linalg
import scipy.sparse.csgraph
import torch
from torch import nn

from modgraph_lib import communities, graphs, signatures
from modgraph_lib.graphs.layered import LayeredGraph
from modgraph_lib.training.zoo import Member

__all__ = ["CENTRALITIES", "GLOBALS", "LAST", "SIGNS", "look", "result"]

LAST = 15  # epochs 0 to 15 have signatures: no network stops before 11
CENTRALITIES = {
    "degree": signatures.weighted_degree,
    "eigenvector": signatures.eigenvector_centrality,
}
SIGNS = ("absolute", "positive", "negative")
GLOBAL_EPOCHS = (0, 5, 10, 15)
GLOBALS = ("algebraic_connectivity", "modularity", "mean_shortest_path")
WEIGHT_EPOCHS = (0, 1, 3, 5)
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
DECILES = np.linspace(0, 1, 11)
FINE = 10  # digits where changes are looked at: a rate of 1e-6 moves the seventh


def look(
    model: nn.Module, epoch: int, *, image_shape: tuple[int, int, int], unrolled: bool
) -> dict[str, Any]:
    """Signatures of one network after an epoch, norms of its layers, and seconds taken.

    Args:
        unrolled: look at the unrolled graph too. Its eigenvectors are left out where they would
            take a second each (AlexNet).

    Returns:
        Nothing after epoch 15. Else ``signatures`` (name -> 5 numbers), ``layer_norms`` (one a
        kernel), ``degree_deciles`` (11 quantiles of rolled degree), ``graph_seconds``; at a few
        epochs ``weight_statistics`` (7 numbers a tensor: mean, variance, 5 quantiles) and
        ``globals`` (three numbers of the whole graph).
    """
    if epoch > LAST:
        return {}
    clock = _Clock()
    rolled = clock("rolled graph", lambda: graphs.rolled_graph(model, example=image_shape))
    nodes = {
        name: clock(f"rolled {name}", lambda m=measure: m(rolled))
        for name, measure in CENTRALITIES.items()
    }
    found = {f"rolled.{name}": signatures.signature(values) for name, values in nodes.items()}
    for sign in SIGNS if unrolled else ():
        graph = clock(
            "unrolled graph", lambda s=sign: graphs.unrolled_graph(model, image_shape, sign=s)
        )
        for name, measure in CENTRALITIES.items():
            if name == "degree" or graph.edges < 1_000_000:
                values = clock(f"unrolled {name}", lambda m=measure, g=graph: m(g))
                found[f"unrolled.{sign}.{name}"] = signatures.signature(values)
    entry: dict[str, Any] = {
        "signatures": {name: _short(values, FINE) for name, values in found.items()},
        "layer_norms": _short(
            (p.detach().double().norm() for p in model.parameters() if p.ndim > 1), FINE
        ),
        "degree_deciles": _short(np.quantile(nodes["degree"], DECILES)),
        "graph_seconds": clock.seconds,
    }
    if epoch in WEIGHT_EPOCHS:
        entry["weight_statistics"] = [
            _short([w.mean(), w.var(), *torch.quantile(w, w.new_tensor(QUANTILES))])
            for w in (p.detach().double().flatten() for p in model.parameters())
            if len(w) < 2**24
        ]
    if epoch in GLOBAL_EPOCHS and rolled.nodes < 1000:
        entry["globals"] = _short(_globals(rolled))
    return entry


def _globals(graph: LayeredGraph) -> list[float]:
    """Algebraic connectivity, modularity of Louvain's communities, mean shortest path (1/weight).

    Of the weighted graph: without weights all three are constants of the architecture.
    """
    adjacency = graph.adjacency()
    dense = adjacency.toarray()
    laplacian = np.diag(dense.sum(0)) - dense
    connectivity = scipy.linalg.eigvalsh(laplacian, subset_by_index=[1, 1])[0]
    network = networkx.from_scipy_sparse_array(adjacency)
    labels = np.zeros(graph.nodes, dtype=int)
    for number, nodes in enumerate(networkx.community.louvain_communities(network, seed=0)):
        labels[list(nodes)] = number
    lengths = adjacency.copy()
    lengths.data = 1 / lengths.data
    paths = scipy.sparse.csgraph.dijkstra(lengths, directed=False)
    mean = paths[np.isfinite(paths) & (paths > 0)].mean()
    return [connectivity, communities.modularity(adjacency, labels), mean]


def result(member: Member) -> dict[str, Any]:
    """What a record keeps of a network's course."""
    history = member.history
    looked = [entry for entry in history if "signatures" in entry]
    names = sorted(looked[0]["signatures"]) if looked else []
    seconds = {"train": round(member.seconds, 3)}
    for entry in looked:
        for name, value in entry["graph_seconds"].items():
            seconds[name] = round(seconds.get(name, 0.0) + value, 5)
    curves = ("train_loss", "train_accuracy", "test_accuracy", "half_accuracy")
    return {
        "curves": {name: [_digits(entry.get(name)) for entry in history] for name in curves},
        "stopped": member.stopped,
        "diverged": member.diverged,
        "signatures": {name: [entry["signatures"][name] for entry in looked] for name in names},
        "layer_norms": [entry["layer_norms"] for entry in looked],
        "degree_deciles": [entry["degree_deciles"] for entry in looked],
        "weight_statistics": _at(history, "weight_statistics"),
        "globals": _at(history, "globals"),
        "seconds": seconds,
    }


def _at(history: list[dict], name: str) -> dict[str, Any]:
    return {str(epoch): entry[name] for epoch, entry in enumerate(history) if name in entry}


class _Clock:
    """Runs something and adds up the processor's seconds under a name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = function()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return found


def _short(values, digits: int = 6) -> list[float]:
    return [_digits(float(value), digits) for value in values]


def _digits(value: float | None, digits: int = 6) -> Any:
    """Digits that count: more than any test reads, and less than half of the bytes."""
    return None if value is None else float(f"{value:.{digits}g}")
