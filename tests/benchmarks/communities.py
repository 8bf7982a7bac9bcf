"""Q after every layer of a VGG-16: streamed and from class sums, or the way that is published."""

from __future__ import annotations

import time

import networkx as nx
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import communities, datasets
from modgraph_lib.hooks import find_modules, listening
from modgraph_lib.models import cifar_networks

NEIGHBOURS, BATCH = 3, 100


def curve_500(contender: str) -> tuple[float, float]:
    """N = 500, the nine last layers; outcome: the mean Q."""
    return _curve(contender, 500, slice(-9, None))


def curve_5000(contender: str) -> tuple[float, float]:
    """N = 5,000 (the digits have 299), the three last layers; outcome: the mean Q."""
    return _curve(contender, 5_000, slice(-3, None))


def _curve(contender: str, samples: int, wanted: slice) -> tuple[float, float]:
    from tests.benchmarks.cases import data_name

    test = datasets.load(data_name(), "test")
    images, labels = test.images[:samples, None].float() / 255, test.labels[:samples]
    model = cifar_networks.build("vgg16", tuple(images.shape[1:]), width=16, seed=0).eval()
    model = _InDouble(model, cifar_networks.measured_layers(model)[wanted]).eval()
    one = _ours if contender == "ours" else _published
    # Having freed a large block once, glibc keeps later ones. The peer allocates one at every
    # step: at N = 5,000 page faults would take it from 77 s to 300.
    torch.empty(30 * 2**20, dtype=torch.uint8).fill_(0)
    begin = time.perf_counter()
    values = one(model, images, labels)
    return time.perf_counter() - begin, sum(values) / len(values)


class _InDouble(nn.Module):
    """A network in single precision whose wanted layers can be heard in double.

    Both sides then rank the same numbers exactly; at single precision near-ties among
    neighbours fall either way.
    """

    def __init__(self, model: nn.Module, layers: list[str]) -> None:
        super().__init__()
        self.model, self.layers = model, layers
        self.heard = nn.ModuleList(nn.Identity() for _ in layers)

    @property
    def names(self) -> list[str]:
        return [f"heard.{i}" for i in range(len(self.layers))]

    def forward(self, images: torch.Tensor) -> None:
        found = {}
        with listening(find_modules(self.model, self.layers), found.__setitem__):
            self.model(images)
        for layer, identity in zip(self.layers, self.heard, strict=True):
            identity(found[layer].double())


def _ours(model, images, labels) -> list[float]:
    return communities.modularity_curve(
        model, images, labels, layers=model.names, k=NEIGHBOURS, batch_size=BATCH, device="cpu"
    ).q.tolist()


@torch.no_grad()
def _published(model, images, labels) -> list[float]:
    """For each node its similarities and edges; networkx's modularity."""
    features = {name: [] for name in model.names}
    with listening(find_modules(model, model.names), lambda name, out: features[name].append(out)):
        for batch in images.split(BATCH):
            model(batch)
    groups = [set(torch.nonzero(labels == c).ravel().tolist()) for c in labels.unique()]
    return [_networkx_q(torch.cat(features[name]).flatten(1), groups) for name in model.names]


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
