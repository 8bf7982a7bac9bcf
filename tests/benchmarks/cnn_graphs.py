"""Rolled and unrolled graphs of CNNs against networkx and ARPACK; a zoo against a plain loop."""

from __future__ import annotations

import time

import networkx
import numpy as np
import scipy.sparse.linalg
import torch
from torch.nn import functional

from modgraph_lib import datasets, graphs, models, signatures, training
from modgraph_lib.training import zoo

__all__ = ["CASES"]

IMAGE = (3, 32, 32)
RATES, STEPS, BATCH = (0.1, 0.05, 0.02, 0.01), 40, 128


def _networkx(graph: graphs.LayeredGraph) -> networkx.Graph:
    """As one would first write it: an edge at a time."""
    network, starts = networkx.Graph(), graph.offsets
    for (i, j), block in graph.blocks.items():
        for a, b in np.ndindex(block.shape):
            network.add_edge(int(starts[i]) + a, int(starts[j]) + b, weight=block[a, b])
    return network


def _timed(repeats: int, function) -> tuple[float, float]:
    with training.single_thread():
        begin = time.perf_counter()
        for _ in range(repeats):
            found = function()
        return time.perf_counter() - begin, float(found)


def degrees(model) -> tuple:
    """Degrees of a rolled graph from its blocks; outcome: their standard deviation."""
    graph = graphs.rolled_graph(model)

    def theirs() -> float:
        return np.std([d for _, d in _networkx(graph).degree(weight="weight")])

    return lambda: graph.degrees().std(), theirs


def centralities(model) -> tuple:
    """Eigenvector centralities of a rolled graph; outcome: their mean."""
    graph = graphs.rolled_graph(model)

    def theirs() -> float:
        found = networkx.eigenvector_centrality_numpy(_networkx(graph), weight="weight")
        return np.mean(list(found.values()))

    return lambda: signatures.eigenvector_centrality(graph).mean(), theirs


def _case(measure, make, repeats: dict[str, int]):
    """A case in which ours, being short, is repeated more often: seconds are of one snapshot."""

    def case(contender: str) -> tuple[float, float]:
        pair = dict(zip(("ours", "peer"), measure(make(seed=0)), strict=True))
        seconds, outcome = _timed(repeats[contender], pair[contender])
        return seconds / repeats[contender], outcome

    return case


lenet_degree = _case(degrees, models.lenet, {"ours": 2000, "peer": 20})
vgg_degree = _case(degrees, models.vgg1613, {"ours": 500, "peer": 1})
lenet_eigenvector = _case(centralities, models.lenet, {"ours": 200, "peer": 10})
vgg_eigenvector = _case(centralities, models.vgg1613, {"ours": 20, "peer": 1})


def lenet_arpack(contender: str) -> tuple[float, float]:
    """A hundred snapshots of LeNet, the graph being there; outcome: mean centrality."""
    graph = graphs.rolled_graph(models.lenet(seed=0))
    if contender == "ours":
        return _timed(100, lambda: signatures.eigenvector_centrality(graph).mean())
    return _timed(100, lambda: _arpack(graph.adjacency()))


def unrolled_lenet(contender: str) -> tuple[float, float]:
    """Five snapshots of unrolled LeNet; outcome: mean centrality."""
    graph = graphs.unrolled_graph(models.lenet(seed=0), IMAGE)
    if contender == "ours":
        return _timed(5, lambda: signatures.eigenvector_centrality(graph).mean())
    return _timed(5, lambda: _arpack(graph.adjacency()))


def unrolled_vgg(contender: str) -> tuple[float, float]:
    """One snapshot of the narrow VGG unrolled, 205,066 nodes; outcome: mean centrality."""
    graph = graphs.unrolled_graph(models.vgg1613(seed=0), IMAGE, dtype=torch.float32)
    if contender == "ours":
        return _timed(1, lambda: signatures.eigenvector_centrality(graph).mean())
    shape = (graph.nodes, graph.nodes)
    operator = scipy.sparse.linalg.LinearOperator(shape, graph.matvec, dtype=np.float64)
    return _timed(1, lambda: _arpack(operator, 1e-6))


def zoo_steps(contender: str) -> tuple[float, float]:
    """Forty steps of four LeNets on one thread; outcome: mean training loss of the last epoch."""
    generator = torch.Generator().manual_seed(0)
    shape = (STEPS * BATCH, *IMAGE)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (len(images),), generator=generator)
    data = datasets.make("noise", images, labels)
    few = data.take(slice(BATCH))
    networks = [models.lenet(seed=seed) for seed in range(4)]
    with training.single_thread():
        begin = time.perf_counter()
        if contender == "ours":
            found = zoo.train(networks, RATES, data, few, epochs=1, batch_size=BATCH, seed=0)
            losses = [member.history[-1]["train_loss"] for member in found]
        else:
            losses = [_loop(*pair, data) for pair in zip(networks, RATES, strict=True)]
        return time.perf_counter() - begin, float(np.mean(losses))


def _loop(model, rate, data) -> float:
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    images = data.images.float() / 255
    total = 0.0
    for batch in torch.randperm(len(images)).split(BATCH):
        loss = functional.cross_entropy(model(images[batch]), data.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
    return total / len(images)


def _arpack(adjacency, tolerance: float = 1e-12) -> float:
    start = np.ones(adjacency.shape[0])
    _, vectors = scipy.sparse.linalg.eigsh(adjacency, k=1, which="LA", v0=start, tol=tolerance)
    return float(np.abs(vectors[:, 0]).mean())


EIGSH = "scipy eigsh (ARPACK) on the sparse adjacency"
NETWORKX = "networkx: a graph made an edge at a time"
CASES = {
    "lenet_degree": {
        "function": lenet_degree,
        "title": "degrees of LeNet's rolled graph",
        "peer": NETWORKX,
        "outcome": "standard deviation of degree",
    },
    "lenet_eigenvector": {
        "function": lenet_eigenvector,
        "title": "eigenvector centrality of LeNet's rolled graph",
        "peer": NETWORKX + ", eigenvector_centrality_numpy",
        "outcome": "mean centrality",
    },
    "vgg_degree": {
        "function": vgg_degree,
        "title": "degrees of a VGG's rolled graph (1,613 nodes)",
        "peer": NETWORKX,
        "outcome": "standard deviation of degree",
    },
    "vgg_eigenvector": {
        "function": vgg_eigenvector,
        "title": "eigenvector centrality of a VGG's rolled graph (1,613 nodes)",
        "peer": NETWORKX + ", eigenvector_centrality_numpy",
        "outcome": "mean centrality",
    },
    "lenet_arpack": {
        "function": lenet_arpack,
        "title": "eigenvector centrality of LeNet's rolled graph, 100 snapshots",
        "peer": EIGSH,
        "outcome": "mean centrality",
    },
    "unrolled_lenet": {
        "function": unrolled_lenet,
        "title": "eigenvector centrality of unrolled LeNet (11,166 nodes), 5 snapshots",
        "peer": EIGSH + ", its making included",
        "outcome": "mean centrality",
    },
    "unrolled_vgg": {
        "function": unrolled_vgg,
        "title": "eigenvector centrality of an unrolled VGG (205,066 nodes), no edge stored",
        "peer": "scipy eigsh (ARPACK) with the same products",
        "outcome": "mean centrality",
    },
    "zoo": {
        "function": zoo_steps,
        "title": "40 steps of four LeNets of different learning rates, one thread",
        "peer": "a plain PyTorch loop, one network after another",
        "outcome": "mean training loss",
    },
}
