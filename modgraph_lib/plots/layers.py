"""Samples on a map of each layer with the graph that joins them, beside the curve of Q."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import sparse

from modgraph_lib.plots import style

if TYPE_CHECKING:
    from modgraph_lib.widgets.layer_explorer import LayerMap

__all__ = ["layer_state", "layer_states"]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*", "p")
BETWEEN, WITHIN = "#C43B2B", "#9A9A9A"  # an edge between classes is dashed, too
MOST_NAMED = 12


def layer_state(chart: LayerMap, layer: int) -> Figure:
    """One layer (from 0): its graph on its map, and where it stands on the curve of Q.

    >>> from modgraph_lib.widgets.layer_explorer import LayerMap
    >>> graph, labels = communities.knn_graph(np.diag([1.0, 2, 4, 7]) + 1, k=1), np.arange(4) // 2
    >>> chart = LayerMap(("1",), np.arange(8.0).reshape(1, 4, 2), (graph,), labels, ("cat", "dog"))
    >>> plots.layer_state(chart, 0).axes[0].get_title("left")
    'after layer 1: 1'
    """
    with style.styled():
        figure, (left, right) = style.axes(1, 2, height=3.9, width_ratios=(1.35, 1))
        _draw_map(left, chart, layer, size=16)
        left.set_title(f"after layer {layer + 1}: {chart.layers[layer]}")
        _draw_curve(right, chart, (layer,))
        figure.legend(handles=_handles(chart), loc="outside lower center", ncols=6, fontsize=7.5)
    return figure


def layer_states(chart: LayerMap, layers: Sequence[int], *, columns: int = 3) -> Figure:
    """Several layers at once, and the curve of Q with all of them marked below.

    Raises:
        ValueError: no layer, or one there is not.

    >>> from modgraph_lib.widgets.layer_explorer import LayerMap
    >>> graph, labels = communities.knn_graph(np.diag([1.0, 2, 4, 7]) + 1, k=1), np.arange(4) // 2
    >>> chart = LayerMap(("1",), np.arange(8.0).reshape(1, 4, 2), (graph,), labels, ("cat", "dog"))
    >>> len(plots.layer_states(chart, [0]).axes)
    2
    """
    if not len(layers) or not all(0 <= layer < len(chart.layers) for layer in layers):
        raise ValueError(f"layers have to lie in 0..{len(chart.layers) - 1}, got {list(layers)}")
    columns = min(columns, len(layers))
    lines = -(-len(layers) // columns)
    side = style.WIDTH / columns
    with style.styled():
        figure = style.axes(height=lines * (side + 0.2) + 2.5)[0]
        figure.clear()
        grid = figure.add_gridspec(lines + 1, columns, height_ratios=[side] * lines + [1.7])
        for place, layer in enumerate(layers):
            panel = figure.add_subplot(grid[place // columns, place % columns])
            _draw_map(panel, chart, layer, size=9)
            panel.set_title(f"layer {layer + 1}: Q = {chart.q[layer]:.2f}")
        _draw_curve(figure.add_subplot(grid[lines, :]), chart, layers)
        figure.legend(handles=_handles(chart), loc="outside lower center", ncols=6, fontsize=7.5)
    return figure


def _draw_map(axes: Axes, chart: LayerMap, layer: int, *, size: float) -> None:
    points, labels = chart.points[layer], chart.labels
    row, column = sparse.triu(chart.graphs[layer]).nonzero()
    same = labels[row] == labels[column]
    ends = points[np.stack([row, column], axis=1)]
    axes.add_collection(LineCollection(ends[same], colors=WITHIN, linewidths=0.5, zorder=1))
    axes.add_collection(
        LineCollection(ends[~same], colors=BETWEEN, linewidths=0.5, linestyles="--", zorder=1)
    )
    for number, (colour, marker) in enumerate(_looks(chart)):
        own = points[labels == number]
        axes.scatter(*own.T, s=size, color=colour, marker=marker, linewidths=0, zorder=2)
    low, high = points.min(0), points.max(0)
    half = 0.53 * max(float((high - low).max()), 1e-9)  # square, however the points lie
    limits = [(centre - half, centre + half) for centre in (low + high) / 2]
    axes.set(xticks=[], yticks=[], aspect="equal", xlim=limits[0], ylim=limits[1])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(style.FAINT)


def _draw_curve(axes: Axes, chart: LayerMap, marked: Sequence[int]) -> None:
    depth = np.arange(1, len(chart.layers) + 1)
    axes.plot(depth, chart.q, color=style.NETWORK, marker="o", markersize=3, linewidth=1.2)
    places = np.array(list(marked))
    axes.plot(
        places + 1, chart.q[places], "D", color=style.INK, markersize=7, markerfacecolor="none"
    )
    axes.set(xlabel="layer", ylabel="modularity Q", ylim=(min(0, chart.q.min()), 1))
    axes.set_xlim(0.5, len(depth) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)


def _looks(chart: LayerMap) -> list[tuple[str, str]]:
    colours = style.cluster_colours(len(chart.classes))
    # beyond twelve classes the markers move on by one each round, so that pairs stay different
    turns = (number + number // len(style.CLUSTERS) for number in range(len(chart.classes)))
    return [
        (colour, MARKERS[turn % len(MARKERS)]) for colour, turn in zip(colours, turns, strict=True)
    ]


def _handles(chart: LayerMap) -> list[Line2D]:
    handles = []
    if len(chart.classes) <= MOST_NAMED:
        handles = [
            Line2D([], [], linestyle="none", color=colour, marker=marker, markersize=5, label=name)
            for name, (colour, marker) in zip(chart.classes, _looks(chart), strict=True)
        ]
    return [
        *handles,
        Line2D([], [], color=WITHIN, label="edge inside a class"),
        Line2D([], [], color=BETWEEN, linestyle="--", label="edge between classes"),
    ]
