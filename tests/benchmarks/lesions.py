"""Random lesions of one pruned MLP: all in shared passes, or one forward pass a lesion."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch

from book.papers.ncut import mlps
from modgraph_lib import clustering, datasets, graphs, training
from modgraph_lib import lesions as library

CLUSTERS, SETS = 10, 20


def lesions(contender: str) -> tuple[float, float]:
    """Every sub-module and SETS random sets of its size lesioned; outcome: their mean accuracy."""
    from tests.benchmarks.cases import data_name

    name = data_name()
    model = _network(name)
    graph = graphs.weight_graph(model)
    parts = library.submodules(graph, clustering.spectral_clustering(graph, CLUSTERS))
    test = datasets.load(name, "test")
    wanted = [
        (part, mask)
        for part in parts
        for mask in (part.mask, *library.random_units(part, SETS, seed=part.module))
    ]
    begin = time.perf_counter()
    if contender == "ours":
        masks = {p.layer: np.zeros((len(wanted), p.width), dtype=bool) for p in parts}
        for row, (part, mask) in enumerate(wanted):
            masks[part.layer][row] = mask
        found = library.lesion_accuracies(model, masks, test.images, test.labels, device="cpu")
        accuracies = found.overall
    else:
        images = test.images.float() / 255
        accuracies = [
            _one_pass(model, part.layer, mask, images, test.labels) for part, mask in wanted
        ]
    return time.perf_counter() - begin, float(np.mean(accuracies))


@torch.no_grad()
def _one_pass(model, layer: str, mask: np.ndarray, images, labels) -> float:
    """A copy of the network, the weights into the units set to zero, and a forward pass."""
    damaged = copy.deepcopy(model)
    damaged.get_submodule(layer).weight[torch.from_numpy(mask)] = 0
    return float((damaged(images).argmax(1) == labels).float().mean())


def _network(name: str):
    """A network pruned after dropout: the paper-scale one if it is there, else one epoch each."""
    config = mlps.condition(name, "dropout", 0)
    if not training.cache_path(config).exists():
        config = mlps.condition(name, "dropout", 0, epochs=1, prune_epochs=1)
    return training.trained(config).model("pruned")
