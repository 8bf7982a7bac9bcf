"""Measurements for the claims about sizes, runtimes and graph theory (sections 3 and 4.3)."""

from __future__ import annotations

import numpy as np

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, once, one_per_seed, part
from book.papers.cnn_dynamics import settings
from book.papers.cnn_dynamics.s01_graphs import sizes
from book.papers.cnn_dynamics.s01_graphs.experiment import EXPERIMENT, RuntimeConfig
from book.papers.cnn_dynamics.s03_predicting.measures import NAMES
from modgraph_lib import graphs

__all__ = ["graph_size"]

FAR = 2.0  # "far smaller": Rule 7
EPOCHS = 15  # snapshots of a network: the paper's longest horizon
# Table 2: the earliest epoch at which a network of the grid stopped.
EARLIEST = {"lenet": 11, "alexnet": 30, "vgg1613": 45, "resnet44": 16}


@measurement
@once
def graph_size(results: Results, *, network: str, data: str, what: str, runs: int) -> list[Part]:
    """Nodes or edges of a network's graphs: ``what`` names a field of ``sizes.Sizes``."""
    value = getattr(sizes.counted(network, data), what)
    return [Part(what.replace("_", " "), float(value), runs=1)]


@measurement
@once
def layouts_that_fit(results: Results, *, runs: int) -> list[Part]:
    """How many layouts of common widths have the VGG's rolled counts."""
    return [Part("layouts that fit", float(len(sizes.vgg_layouts())), runs=1)]


@measurement
@once
def size_ratios(results: Results, *, networks: tuple[str, ...], runs: int) -> list[Part]:
    """Unrolled over rolled, nodes and edges."""
    found = []
    for name in networks:
        own = sizes.counted(name, "cifar10")
        assert own.unrolled_nodes and own.unrolled_edges
        pairs = {"nodes": own.unrolled_nodes / own.nodes, "edges": own.unrolled_edges / own.edges}
        found += [Part(f"{NAMES[name]}, {what}", ratio, runs=1) for what, ratio in pairs.items()]
    return found


@measurement
@once
def triangles(results: Results, *, networks: tuple[str, ...], runs: int) -> list[Part]:
    """Triangles of the rolled graph (six times each: the trace of the adjacency's cube)."""
    found = []
    for name in networks:
        graph = graphs.rolled_graph(sizes.network(name, "cifar10"), example=sizes.IMAGE)
        joined = (graph.adjacency() > 0).astype(np.int64)
        found.append(Part(NAMES[name], float((joined @ joined).multiply(joined).sum()), runs=1))
    return found


@measurement
@once
def nodes_beyond_units(results: Results, *, network: str, runs: int) -> list[Part]:
    """Nodes of Table 5's graph, minus filters and dense units."""
    model = sizes.network(network, "cifar10")
    with_image = graphs.rolled_graph(model, example=sizes.IMAGE).nodes
    units = graphs.rolled_graph(model, inputs=False, example=sizes.IMAGE).nodes
    return [Part(NAMES[network], float(with_image - units), runs=1)]


@measurement
@once
def chance(results: Results, *, runs: int) -> list[Part]:
    """Mean accuracy (%) of a thousand random guesses on a balanced sample of 250 networks."""
    rng = np.random.default_rng(0)
    labels = np.repeat([True, False], 125)
    guesses = rng.random((1000, len(labels))) < 0.5
    return [Part("random guesses", float(100 * (guesses == labels).mean()), runs=1)]


@measurement
@once
def grid_size(results: Results, *, runs: int) -> list[Part]:
    """Different networks of the grid with the paper's learning rates and dropouts."""
    parameters = settings.GridParameters(
        mantissas=[1 + 0.5 * step for step in range(8)],
        exponents=list(range(-6, 0)),
        dropouts=[round(0.1 * step, 1) for step in range(10)],
    )
    chunks = settings.chunks(parameters, "lenet")
    members = [member for chunk in chunks for member in chunk.members]
    return [Part("networks", float(len(set(members))), runs=1)]


@measurement
def share_of_training(
    results: Results, *, networks: tuple[str, ...], graph: str, runs: int
) -> list[Part]:
    """Seconds for graphs and features of 15 epochs, over those of training to the earliest stop.

    Both centralities. ``graph``: "rolled" or "unrolled" (positive and negative).
    """
    table = EXPERIMENT.among(results)
    table = equal(table, lambda row: RuntimeConfig(row.network, seed=row.seed))
    found = []
    for name in networks:
        rows = one_per_seed(table[table["network"] == name])
        looking = rows[f"{graph}_seconds"] * EPOCHS
        training = rows["epoch_seconds"] * EARLIEST[name]
        found.append(part(NAMES[name], [rows], (looking / training).mean))
    return found
