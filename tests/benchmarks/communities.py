"""Q after every layer of a VGG-16: streamed and from class sums, or the way that is published."""

from __future__ import annotations

import time

import networkx as nx
import torch
from torch.nn import functional

from modgraph_lib import cifar_networks, communities, datasets
from modgraph_lib.hooks import find_modules, listening

NEIGHBOURS = 3


def curve_500(contender: str) -> tuple[float, float]:
    """N = 500, the nine last layers; outcome: the mean Q."""
    return _curve(contender, 500, slice(-9, None))


def curve_5000(contender: str) -> tuple[float, float]:
    """N = 5,000 (the digits have 299), the three last layers; outcome: the mean Q."""
    return _curve(contender, 5_000, slice(-3, None))


def _curve(contender: str, samples: int, wanted: slice) -> tuple[float, float]:
    from tests.benchmarks.cases import data_name

    test = datasets.load(data_name(), "test")
    # In double precision on both sides: at single, near-ties among neighbours fall either way.
    images, labels = test.images[:samples, None].double() / 255, test.labels[:samples]
    model = cifar_networks.build("vgg16", tuple(images.shape[1:]), width=16, seed=0)
    model = model.eval().double()
    layers = cifar_networks.measured_layers(model)[wanted]
    begin = time.perf_counter()
    one = _ours if contender == "ours" else _published
    values = one(model, images, labels, layers)
    return time.perf_counter() - begin, sum(values) / len(values)


def _ours(model, images, labels, layers) -> list[float]:
    return communities.modularity_curve(
        model, images, labels, layers=layers, k=NEIGHBOURS, device="cpu"
    ).q.tolist()


@torch.no_grad()
def _published(model, images, labels, layers) -> list[float]:
    """All features at once; for each node its similarities and edges; networkx's modularity."""
    features = {}
    with listening(find_modules(model, layers), lambda name, out: features.update({name: out})):
        model(images)
    groups = [set(torch.nonzero(labels == c).ravel().tolist()) for c in labels.unique()]
    return [_networkx_q(features[name].flatten(1), groups) for name in layers]


def _networkx_q(rows: torch.Tensor, groups: list[set[int]]) -> float:
    graph = nx.Graph()
    graph.add_nodes_from(range(len(rows)))
    for node in range(len(rows)):
        similarity = functional.cosine_similarity(rows[node : node + 1], rows)
        similarity[node] = 0
        weights, nearest = similarity.topk(NEIGHBOURS)
        for weight, other in zip(weights.tolist(), nearest.tolist(), strict=True):
            # (D + D^T) / 2: half of a choice from each side
            known = graph.get_edge_data(node, other, {"weight": 0.0})["weight"]
            graph.add_edge(node, other, weight=known + weight / 2)
    return nx.community.modularity(graph, groups)
