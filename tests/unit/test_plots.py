"""Figures hold the data they claim to show; no pixel is compared."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from book.papers.ncut import nulls, pictures
from modgraph_lib import plots
from modgraph_lib.plots import networks, style

TRIANGLES = np.zeros((6, 6))
for one, two in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (2, 3)]:
    TRIANGLES[one, two] = TRIANGLES[two, one] = 1.0
HALVES = np.array([0, 0, 0, 1, 1, 1])


class Layered:
    """The two members of a LayeredGraph that pictures use."""

    def __init__(self, layers, blocks):
        self.layers, self.blocks = layers, blocks
        self.names = tuple(f"layer {index}" for index in range(len(layers)))

    def adjacency(self):
        starts = np.concatenate([[0], np.cumsum(self.layers)])
        full = np.zeros((starts[-1], starts[-1]))
        for (i, j), block in self.blocks.items():
            full[starts[i] : starts[i + 1], starts[j] : starts[j + 1]] = block
        return scipy.sparse.csr_array(full + full.T)


@pytest.fixture
def layered():
    rng = np.random.default_rng(0)
    layers = (6, 5, 4)
    blocks = {(i, i + 1): rng.random((layers[i], layers[i + 1])) for i in range(2)}
    return Layered(layers, blocks), np.arange(15) % 3


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    rows = []
    for data in ("mnist", "fashion_mnist"):
        for regularizer in ("none", "dropout", "l1", "l2"):
            for stage in ("unpruned", "pruned"):
                for seed in range(3):
                    shuffled = rng.normal(2.04, 0.02, 20)
                    ncut = 2.0 + 0.1 * rng.random()
                    rows.append(
                        {
                            "data": data,
                            "regularizer": regularizer,
                            "stage": stage,
                            "seed": seed,
                            "k": 4,
                            "ncut": ncut,
                            "shuffled": shuffled,
                            "significant": ncut < shuffled.min(),
                            "test_accuracy": 0.9 + 0.01 * rng.random(),
                        }
                    )
    return pd.DataFrame(rows)


def points(axes):
    """Offsets of all scatter collections of an axes, stacked."""
    found = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
    return np.concatenate(found)


def test_block_matrix_is_ordered_by_cluster():
    labels = np.array([1, 0, 1, 0, 1, 0])
    figure = plots.block_matrices({"toy": (TRIANGLES, labels)})
    (axes,) = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    order = [1, 3, 5, 0, 2, 4]
    assert (shown == TRIANGLES[np.ix_(order, order)]).all()
    assert {text.get_text() for text in axes.texts} == {"1", "2"}
    assert isinstance(figure, Figure)


def test_block_matrix_leaves_isolated_nodes_out_and_shares_its_scale(layered):
    graph, labels = layered
    labels = labels.copy()
    labels[:2] = -1
    figure = plots.block_matrices({"a": (graph, labels), "b": (graph, labels[::-1])})
    assert [axes.images[0].get_array().shape for axes in figure.axes] == [(13, 13), (13, 13)]
    assert len({axes.images[0].norm.vmax for axes in figure.axes}) == 1


def test_large_matrices_are_averaged_and_keep_their_total():
    nodes = networks.PIXELS * 2 + 37
    rng = np.random.default_rng(0)
    dense = rng.random((nodes, nodes))
    matrix, bounds, _ = networks.ordered_matrix(dense + dense.T, np.arange(nodes) % 3)
    assert matrix.shape == (networks.PIXELS, networks.PIXELS)
    assert bounds[-1] == networks.PIXELS
    assert matrix.mean() == pytest.approx((dense + dense.T).mean(), rel=0.01)


def test_layout_draws_the_heaviest_edges_and_every_node(layered):
    graph, labels = layered
    (axes,) = plots.layered_layout(graph, labels, edges_per_block=7, title="x").axes
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in lines) == 14
    assert len(points(axes)) == 15
    same_layer = points(axes)[:, 0]
    assert sorted(np.unique(same_layer)) == [0, 1, 2]
    widest = max(width for c in lines for width in c.get_linewidths())
    assert widest == pytest.approx(1.4)


def test_layout_separates_clusters_by_position_too(layered):
    graph, labels = layered
    (axes,) = plots.layered_layout(graph, labels).axes
    bands = [c.get_offsets()[:, 1] for c in axes.collections if isinstance(c, PathCollection)]
    spans = sorted((y.min(), y.max()) for y in bands)
    assert all(low[1] < high[0] for low, high in itertools.pairwise(spans))


def test_layout_of_a_graph_without_edges_and_with_isolated_nodes():
    graph = Layered((3, 2), {(0, 1): np.zeros((3, 2))})
    figure = plots.layered_layout(graph, np.array([0, 0, 1, 1, -1]))
    assert "1 isolated nodes not drawn" in figure.axes[0].get_legend().get_title().get_text()


def test_small_graph_prints_its_numbers():
    left, right = plots.small_graph(TRIANGLES, HALVES, title="toy").axes
    assert len(left.lines) == 7
    assert [line.get_linestyle() for line in left.lines].count("--") == 1
    assert [text.get_text() for text in right.texts].count("1") == 14


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.block_matrices({}), "at least one panel"),
        (lambda: plots.block_matrices({"a": (TRIANGLES, HALVES[:5])}), r"shape \(6,\)"),
        (lambda: plots.block_matrices({"a": (TRIANGLES, -np.ones(6))}), "every label is -1"),
        (lambda: plots.small_graph(np.zeros((21, 21)), np.zeros(21)), "at most 20 nodes"),
        (lambda: plots.small_graph(TRIANGLES, HALVES, names=("a",)), "need 6 names"),
        (lambda: plots.initial_ncuts([], k=4), "non-empty"),
        (lambda: plots.null_histogram(2.0, [np.nan], k=4), "not finite"),
        (lambda: style.condition("l3"), "known: none, dropout, l1, l2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tables_of_several_k_or_no_rows_are_refused(table):
    mixed = pd.concat([table, table.assign(k=7)])
    for function in (pictures.ncut_against_accuracy, nulls.null_against_networks):
        with pytest.raises(ValueError, match="different k"):
            function(mixed)
        with pytest.raises(ValueError, match="nothing has been run"):
            function(table.iloc[:0])
    with pytest.raises(ValueError, match="stage must be one of"):
        pictures.ncut_by_condition(table, stage="prune")


def test_null_against_networks_shows_every_network_and_the_paper(table):
    rows = table[table["stage"] == "pruned"]
    paper = pd.DataFrame(
        {
            "data": ["mnist"],
            "regularizer": ["none"],
            "ncut_mean": [2.0],
            "ncut_std": [np.nan],
            "shuffle_ncut_mean": [2.042],
            "shuffle_ncut_std": [0.017],
        }
    )
    first, second = nulls.null_against_networks(rows, paper).axes
    assert first.get_title(loc="left") == "MNIST"
    shown = sorted(points(first)[:, 0])
    assert shown == pytest.approx(sorted(rows.loc[rows["data"] == "mnist", "ncut"]))
    marks = [line for line in first.lines if line.get_color() == style.PAPER]
    assert [line.get_xdata()[0] for line in marks] == [2.0, 2.042]
    assert not [line for line in second.lines if line.get_color() == style.PAPER]


def test_ncut_against_accuracy_uses_shape_for_stage(table):
    figure = pictures.ncut_against_accuracy(table)
    assert len(figure.axes) == 2
    assert len(points(figure.axes[0])) == 24
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["none", "dropout", "L1", "L2", "unpruned", "pruned"]


def test_ncut_by_condition_fills_only_significant_networks(table):
    figure = pictures.ncut_by_condition(table, stage="pruned")
    rows = table[(table["stage"] == "pruned") & (table["data"] == "mnist")]
    axes = figure.axes[0]
    counts = [text.get_text() for text in axes.texts]
    expected = [
        f"{rows.loc[rows['regularizer'] == name, 'significant'].sum()}/3"
        for name in style.CONDITIONS
        if name in set(rows["regularizer"])
    ]
    assert counts == expected
    hollow = sum(
        len(c.get_offsets())
        for c in axes.collections
        if isinstance(c, PathCollection) and (c.get_facecolor()[:, :3] == 1).all()
        if len(c.get_offsets())
    )
    assert hollow == (~rows["significant"]).sum()


def test_initial_ncuts_counts_every_network():
    values = np.random.default_rng(0).normal(2.37, 0.02, 60)
    (axes,) = plots.initial_ncuts(values, k=4, paper=(2.3, 2.45)).axes
    area = sum(patch.get_width() * patch.get_height() for patch in axes.patches[1:])
    assert area == pytest.approx(1.0)
    assert "60 untrained networks" in axes.get_legend().get_texts()[0].get_text()


def test_degenerate_nulls_still_draw():
    assert plots.null_histogram(2.0, [2.0], k=4).axes
    assert plots.initial_ncuts([2.3, 2.3], k=4).axes
    figure, (axes,) = style.axes(height=1)
    nulls.draw_violin(axes, np.array([np.nan]), 0)
    nulls.draw_violin(axes, np.array([2.0, 2.0, 2.0]), 0)
    assert len(axes.lines) == 1
    assert figure is axes.figure


def test_figures_leave_no_trace_in_pyplot_or_its_settings(table):
    before = dict(mpl.rcParams)
    pictures.ncut_by_condition(table, stage="pruned")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_palette_roles_are_distinct():
    roles = [style.NETWORK, style.SHUFFLE, style.PAPER]
    conditions = [colour for colour, _, _ in style.CONDITIONS.values()]
    markers = [marker for _, marker, _ in style.CONDITIONS.values()]
    assert len({*roles, *conditions}) == len(roles) + len(conditions) - 1  # none is the network
    assert len(set(markers)) == len(markers)
    assert len(set(style.CLUSTERS)) == len(style.CLUSTERS)
