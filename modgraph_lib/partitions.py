"""Partitions of a network's hidden units: by its weights or by its activations, whole or by layer.

Source: Detecting Modularity in Deep Neural Networks, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks, clustering, graphs
from modgraph_lib.activations import pre_activations
from modgraph_lib.graphs import LayeredGraph
from modgraph_lib.lesions import Submodule, cut

__all__ = ["EDGES", "SCOPES", "Partition", "partition", "partition_graph", "subclusters"]

EDGES = ("weights", "activations")
SCOPES = ("global", "local")
VARIANTS = ("described", "published")


@dataclass(frozen=True, eq=False)
class Partition:
    """Clusters of hidden units, layer by layer.

    Attributes:
        edges, scope, variant: how they were found, see ``partition``.
        k: clusters asked for, of the whole graph.
        labels: layer -> (units,) int; -1 for units joined to nothing.
        ncut: of the whole graph; NaN for "local", which has a graph a layer.
        erased: weights that were too small to count, see ``graphs.weight_graph``.
    """

    edges: str
    scope: str
    variant: str
    k: int
    labels: Mapping[str, np.ndarray]
    ncut: float
    erased: int = 0

    @property
    def name(self) -> str:
        """For instance "weights/global"."""
        return f"{self.edges}/{self.scope}"

    @property
    def counts(self) -> dict[str, int]:
        """Clusters that have units in each layer."""
        return {name: len(np.unique(row[row >= 0])) for name, row in self.labels.items()}


def partition(
    model: nn.Module,
    *,
    edges: str = "weights",
    scope: str = "global",
    k: int = 16,
    images: torch.Tensor | np.ndarray | None = None,
    variant: str = "described",
    n_init: int = 25,
    seed: int,
    **graph_options: Any,
) -> Partition:
    """Cluster the hidden units of a network.

    Args:
        model: a torch module; convolutions are clustered by their channels.
        edges: "weights" (``graphs.weight_graph``) or "activations" (``graphs.activation_graph``).
        scope: "global" clusters all layers at once. "local" clusters each layer on the graph of
            itself and its neighbours, into as many clusters as the global partition has there.
        k: clusters of the global partition (16 in the paper).
        images: what activations are measured on; needed for "activations" alone.
        variant: "published" clusters activations locally within each layer, without neighbours,
            as the released code does; all else is the same.
        n_init: k-means restarts (25 in the released code).
        seed: of k-means.
        graph_options: those of ``graphs.weight_graph``, or "reduce" and "layers" of
            ``activations.pre_activations``.

    Raises:
        ValueError: an unknown option, activations without images, k above the number of units
            that are joined to anything, and what the graphs raise.

    Source: section 3.1.

    >>> model = toys.relay(3, units=4).model
    >>> partitions.partition(model, k=3, seed=0).counts
    {'0': 3, '2': 3, '4': 3}
    """
    _check(edges, scope, variant)
    graph = partition_graph(model, edges=edges, images=images, **graph_options)
    return of_graph(graph, edges=edges, scope=scope, k=k, variant=variant, n_init=n_init, seed=seed)


def partition_graph(
    model: nn.Module,
    *,
    edges: str = "weights",
    images: torch.Tensor | np.ndarray | None = None,
    **options: Any,
) -> LayeredGraph:
    """The graph behind ``partition``, for those who want several partitions of it.

    >>> partitions.partition_graph(toys.relay(3, units=4).model).layers
    (3, 12, 12, 12, 4)
    """
    _check(edges, "global", "described")
    if edges == "weights":
        return graphs.weight_graph(model, **options)
    if images is None:
        raise ValueError("activations are responses to images: pass images=")
    return graphs.activation_graph(pre_activations(model, images, **options))


def of_graph(
    graph: LayeredGraph,
    *,
    edges: str,
    scope: str = "global",
    k: int = 16,
    variant: str = "described",
    n_init: int = 25,
    seed: int,
) -> Partition:
    """``partition`` of a graph that ``partition_graph`` made."""
    _check(edges, scope, variant)
    hidden = _hidden(graph, edges)
    whole, ncut = _clustered(graph, k, n_init, seed)
    labels = {graph.names[i]: whole[graph.offsets[i] : graph.offsets[i + 1]] for i in hidden}
    if scope == "local":
        counts = {name: len(np.unique(row[row >= 0])) for name, row in labels.items()}
        reach = 0 if edges == "activations" and variant == "published" else 1
        labels = {
            graph.names[i]: _of_layer(graph, i, reach, counts[graph.names[i]], n_init, seed)
            for i in hidden
        }
        ncut = float("nan")
    return Partition(edges, scope, variant, k, labels, ncut, graph.erased)


def _of_layer(
    graph: LayeredGraph, place: int, reach: int, k: int, n_init: int, seed: int
) -> np.ndarray:
    """(units,) clusters of one layer on the graph of itself and ``reach`` layers on each side."""
    if not k:
        return np.full(graph.layers[place], -1)
    first = max(0, place - reach)
    near = graph.part(range(first, min(len(graph.layers), place + reach + 1)))
    labels, _ = _clustered(near, k, n_init, seed)
    return labels[near.offsets[place - first] : near.offsets[place - first + 1]]


def _clustered(graph: LayeredGraph, k: int, n_init: int, seed: int) -> tuple[np.ndarray, float]:
    inner, kept = graph.without_isolated()
    if not 1 <= k <= inner.nodes:
        raise ValueError(
            f"k is {k}, but {inner.nodes} of {graph.nodes} units are joined to anything; choose "
            f"k from 1 to {inner.nodes}"
        )
    found = clustering.cluster(inner, k, n_init=n_init, seed=seed)
    labels = np.full(graph.nodes, -1)
    labels[kept] = found.labels
    return labels, found.ncut


def _hidden(graph: LayeredGraph, edges: str) -> range:
    """Places of the hidden layers: all but inputs and outputs of an MLP's weight graph."""
    if edges == "weights" and graph.names[0] == "inputs":
        return range(1, len(graph.layers) - 1)
    return range(len(graph.layers))


def subclusters(partition: Partition, *, least: int = 2, largest: float = 0.99) -> list[Submodule]:
    """What each cluster has in each layer, where that is more than one unit and not the layer.

    Args:
        partition: as ``partition`` makes it.
        least: fewest units (2 for lesions; the released code has 3 for visualisations).
        largest: share of the layer's joined units that it has to stay below.

    Raises:
        ValueError: nothing is left (says why), or a limit that makes no sense.

    Source: section 3.1; the limits are the released code's.

    >>> found = partitions.partition(toys.relay(3, units=4).model, k=3, seed=0)
    >>> [(part.layer, len(part.units)) for part in partitions.subclusters(found)][:2]
    [('0', 4), ('0', 4)]
    """
    _checks.instance(partition, Partition, "a partition (partitions.partition makes one)")
    _checks.whole(least, "least", least=1)
    if not 0 < largest <= 1:
        raise ValueError(f"largest is a share of the layer, above 0 and up to 1; got {largest}")
    every = cut(partition.labels)
    found = [part for part in every if least <= len(part.units) < largest * len(part.population)]
    if not found:
        labels = np.concatenate(list(partition.labels.values()))
        dead = int((labels < 0).sum())
        whole = sum(len(part.units) >= largest * len(part.population) for part in every)
        raise ValueError(
            f"no usable sub-cluster among {len(every)}: {whole} fill their layer, "
            f"{len(every) - whole} have fewer than {least} units, and {dead} of {len(labels)} "
            "units are joined to nothing; try another k, or look at the weights"
        )
    return found


def _check(edges: str, scope: str, variant: str) -> None:
    for name, value, allowed in (
        ("edges", edges, EDGES),
        ("scope", scope, SCOPES),
        ("variant", variant, VARIANTS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is one of {', '.join(allowed)}; got {value!r}")
