"""A weight graph, twice: as a matrix and as a layout, both ordered by cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modgraph_lib.plots import style

if TYPE_CHECKING:
    from modgraph_lib.graphs import LayeredGraph

PIXELS = 240  # a side of the matrix picture; larger graphs are averaged down to it


def block_matrices(panels: Mapping[str, tuple[Any, np.ndarray]]) -> Figure:
    """Adjacency matrices side by side, nodes ordered by cluster and inside a cluster by layer.

    Args:
        panels: title -> (graph, labels).  A graph is a LayeredGraph or a symmetric (N, N)
            array or sparse matrix; labels are (N,) integers, -1 for an isolated node, which
            is left out.

    Every panel has the same colour scale, so that darkness can be compared between them.
    Cluster boundaries are drawn as lines, and the clusters are numbered along both sides.

    Raises:
        ValueError: no panel, or labels that do not fit their graph.

    >>> figure = plots.block_matrices({"triangles": (toys.two_triangles(), [0, 0, 0, 1, 1, 1])})
    >>> figure.axes[0].get_title("left")
    'triangles'
    """
    if not panels:
        raise ValueError("block_matrices needs at least one panel")
    ordered = {title: ordered_matrix(*content) for title, content in panels.items()}
    positive = np.concatenate([matrix[matrix > 0] for matrix, _, _ in ordered.values()])
    top = float(np.quantile(positive, 0.995)) if positive.size else 1.0
    with style.styled():
        width = style.WIDTH if len(panels) > 1 else 0.62 * style.WIDTH
        side = width / len(panels)
        figure, all_axes = style.axes(1, len(panels), height=side + 0.35, width=width)
        for axes, (title, (matrix, bounds, numbers)) in zip(all_axes, ordered.items(), strict=True):
            draw_matrix(axes, matrix, bounds, numbers, top)
            axes.set_title(title)
    return figure


def layered_layout(
    graph: LayeredGraph, labels: np.ndarray, *, edges_per_block: int = 150, title: str = ""
) -> Figure:
    """The network with one column a layer and one horizontal band a cluster.

    Args:
        graph: layers and the weight block of each pair of joined layers.
        labels: (N,) cluster of each node, -1 for isolated nodes, which are left out.
        edges_per_block: only the heaviest edges of each block are drawn.

    An edge inside a cluster has the colour of its cluster, an edge between clusters is grey.

    Raises:
        ValueError: labels that do not fit the graph, or fewer than one edge a block.

    >>> weights, strand = toys.strands(2, (4, 4, 4), leak=0.1, seed=0)
    >>> figure = plots.layered_layout(graphs.weight_graph(weights), strand, title="two strands")
    >>> figure.axes[0].get_title("left")
    'two strands'
    """
    labels = _fitting_labels(labels, sum(graph.layers))
    if edges_per_block < 1:
        raise ValueError(f"edges_per_block must be at least 1, got {edges_per_block}")
    clusters = _clusters(labels)
    starts = np.concatenate([[0], np.cumsum(graph.layers)])
    positions = _banded_positions(graph.layers, starts, labels, clusters)
    colours = style.cluster_colours(len(clusters))
    rank = {cluster: place for place, cluster in enumerate(clusters)}
    with style.styled():
        figure, (axes,) = style.axes(height=4.2)
        segments, edge_colours, widths, above = _edges(
            graph, starts, labels, positions, rank, colours, edges_per_block
        )
        for inside in (False, True):
            chosen = above == inside
            axes.add_collection(
                LineCollection(
                    segments[chosen],
                    colors=edge_colours[chosen],
                    linewidths=widths[chosen],
                    alpha=0.55 if inside else 0.4,
                    zorder=1 + inside,
                )
            )
        for place, cluster in enumerate(clusters):
            members = np.flatnonzero(labels == cluster)
            axes.scatter(
                *positions[members].T,
                s=np.clip(3000 / len(labels), 4, 60),
                color=colours[place],
                zorder=3,
                linewidths=0,
            )
            _number(axes, -0.28, positions[members][:, 1].mean(), place + 1, colours[place])
        _dress_layout(axes, graph, title, int((labels < 0).sum()))
    return figure


def small_graph(
    adjacency: np.ndarray,
    labels: np.ndarray,
    *,
    names: tuple[str, ...] | None = None,
    title: str = "",
) -> Figure:
    """A graph of a few nodes, as a layout and as a matrix with its numbers printed.

    Args:
        adjacency: symmetric (N, N) weights, N at most 20.
        labels: (N,) cluster of each node.
        names: N node names; 1..N where absent.

    Raises:
        ValueError: too many nodes, or labels or names that do not fit.

    >>> figure = plots.small_graph(toys.two_triangles(), [0, 0, 0, 1, 1, 1], title="two triangles")
    >>> figure.axes[0].get_title("left")
    'two triangles'
    """
    adjacency = np.asarray(adjacency, dtype=float)
    count = adjacency.shape[0]
    if count > 20:
        raise ValueError(f"small_graph shows at most 20 nodes, got {count}; use block_matrices")
    labels = _fitting_labels(labels, count)
    names = names or tuple(str(index + 1) for index in range(count))
    if len(names) != count:
        raise ValueError(f"{count} nodes need {count} names, got {len(names)}")
    graph = nx.from_numpy_array(adjacency)
    positions = nx.kamada_kawai_layout(graph, weight=None)
    clusters = _clusters(labels)
    colours = style.cluster_colours(len(clusters))
    with style.styled():
        figure, (left, right) = style.axes(1, 2, height=3.0)
        for one, two, weight in graph.edges(data="weight"):
            inside = labels[one] == labels[two]
            ends = np.array([positions[one], positions[two]])
            left.plot(
                *ends.T,
                color=style.INK if inside else style.FAINT,
                linestyle="-" if inside else "--",
                linewidth=max(0.9, 1.2 * np.sqrt(weight)),
                zorder=1,
            )
        for place, cluster in enumerate(clusters):
            for node in np.flatnonzero(labels == cluster):
                x, y = positions[node]
                _number(left, x, y, names[node], colours[place], size=11)
        left.margins(0.15)
        left.set_aspect("equal")
        left.axis("off")
        left.set_title(title)
        _printed_matrix(right, adjacency, labels, names)
    return figure


def draw_matrix(
    axes: Axes,
    matrix: np.ndarray,
    bounds: np.ndarray,
    numbers: list[int],
    top: float,
    *,
    labelled: bool = True,
) -> None:
    """Draw what `ordered_matrix` returns; `top` is the weight that is drawn black."""
    norm = PowerNorm(0.5, vmin=0, vmax=top, clip=True)
    axes.imshow(matrix, cmap="Greys", norm=norm, interpolation="nearest")
    shown = numbers if labelled else [""] * len(numbers)
    _mark_clusters(axes, bounds, shown, matrix.shape[0])


def ordered_matrix(graph, labels) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Averaged-down matrix (P, P), cluster boundaries in its units, and cluster numbers."""
    adjacency = graph.adjacency() if hasattr(graph, "adjacency") else graph
    labels = _fitting_labels(labels, adjacency.shape[0])
    clusters = _clusters(labels)
    order = np.concatenate([np.flatnonzero(labels == cluster) for cluster in clusters])
    dense = adjacency.toarray() if hasattr(adjacency, "toarray") else np.asarray(adjacency)
    matrix = np.asarray(dense, dtype=float)[np.ix_(order, order)]
    sizes = np.array([(labels == cluster).sum() for cluster in clusters])
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(float)
    nodes = matrix.shape[0]
    if nodes > PIXELS:
        edges = np.linspace(0, nodes, PIXELS + 1).astype(int)[:-1]
        lengths = np.diff(np.append(edges, nodes))
        for axis in (0, 1):
            matrix = np.add.reduceat(matrix, edges, axis=axis)
        matrix = matrix / np.outer(lengths, lengths)
        bounds *= PIXELS / nodes
    return matrix, bounds, list(range(1, len(clusters) + 1))


def _clusters(labels: np.ndarray) -> list[int]:
    """Cluster labels from the largest cluster to the smallest; -1 is none."""
    found, sizes = np.unique(labels[labels >= 0], return_counts=True)
    if not found.size:
        raise ValueError("no node belongs to a cluster: every label is -1")
    return [int(found[index]) for index in np.argsort(-sizes, kind="stable")]


def _fitting_labels(labels, nodes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (nodes,):
        raise ValueError(
            f"a graph of {nodes} nodes needs labels of shape ({nodes},), got {labels.shape}"
        )
    return labels


def _mark_clusters(axes: Axes, bounds: np.ndarray, numbers: Sequence[object], side: int) -> None:
    colours = style.cluster_colours(len(numbers))
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in bounds[1:-1] - 0.5:
        axes.axhline(edge, color=style.NETWORK, linewidth=0.6)
        axes.axvline(edge, color=style.NETWORK, linewidth=0.6)
    for place, number in enumerate(numbers):
        low, high = bounds[place] - 0.5, bounds[place + 1] - 0.5
        bar = {"color": colours[place], "linewidth": 4, "solid_capstyle": "butt", "clip_on": False}
        offset = -0.5 - 0.02 * side
        axes.plot([offset, offset], [low, high], **bar)
        axes.plot([low, high], [side - 0.5 + 0.02 * side] * 2, **bar)
        if high - low > 0.03 * side:
            place_of = {"ha": "center", "va": "center", "fontsize": 8}
            axes.text(-0.5 - 0.055 * side, (low + high) / 2, str(number), **place_of)
            axes.text((low + high) / 2, side - 0.5 + 0.06 * side, str(number), **place_of)
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.6)


def _banded_positions(layers, starts, labels, clusters) -> np.ndarray:
    """(N, 2) positions: x the layer, y spread evenly inside the band of the node's cluster."""
    shares = np.array(
        [
            max(
                (labels[starts[i] : starts[i + 1]] == cluster).sum() / layers[i]
                for i in range(len(layers))
            )
            for cluster in clusters
        ]
    )
    heights = np.maximum(shares, 0.04)
    heights = heights / heights.sum()
    tops = np.concatenate([[0], np.cumsum(heights)])
    positions = np.full((len(labels), 2), np.nan)
    for layer in range(len(layers)):
        here = np.arange(starts[layer], starts[layer + 1])
        for place, cluster in enumerate(clusters):
            members = here[labels[here] == cluster]
            gap = 0.08 * heights[place]
            y = np.linspace(tops[place] + gap, tops[place + 1] - gap, len(members) + 2)[1:-1]
            positions[members, 0] = layer
            positions[members, 1] = y
    return positions


def _edges(graph, starts, labels, positions, rank, colours, edges_per_block):
    """Segments (M, 2, 2), colours, widths and whether each edge stays inside a cluster."""
    segments, edge_colours, widths, inside = [], [], [], []
    for (first, second), block in graph.blocks.items():
        block = np.asarray(block)
        flat = block.ravel()
        count = min(edges_per_block, int((flat > 0).sum()))
        if count == 0:
            continue
        chosen = np.argpartition(-flat, count - 1)[:count]
        rows, columns = np.unravel_index(chosen, block.shape)
        one, two = starts[first] + rows, starts[second] + columns
        segments.append(np.stack([positions[one], positions[two]], axis=1))
        same = labels[one] == labels[two]
        inside.append(same)
        edge_colours += [
            colours[rank[int(labels[a])]] if stays else style.SHUFFLE
            for a, stays in zip(one, same, strict=True)
        ]
        widths.append(0.3 + 1.1 * flat[chosen] / flat[chosen].max())
    if not segments:
        empty = np.zeros(0)
        return np.zeros((0, 2, 2)), np.zeros(0, dtype=object), empty, empty.astype(bool)
    return (
        np.concatenate(segments),
        np.array(edge_colours, dtype=object),
        np.concatenate(widths),
        np.concatenate(inside),
    )


def _dress_layout(axes: Axes, graph, title: str, isolated: int) -> None:
    axes.set_xlim(-0.5, len(graph.layers) - 0.6)
    axes.set_ylim(1.01, -0.01)
    words = layer_words(graph.names)
    names = [f"{word}\n{size} nodes" for word, size in zip(words, graph.layers, strict=True)]
    axes.set_xticks(range(len(graph.layers)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_title(title)
    handles = [
        Line2D(
            [],
            [],
            color=style.NETWORK,
            linewidth=1.4,
            label="edge inside a cluster (in its colour)",
        ),
        Line2D([], [], color=style.SHUFFLE, linewidth=1.4, label="edge between clusters"),
    ]
    note = f"{isolated} isolated nodes not drawn" if isolated else None
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, title=note
    )


def layer_words(names: Sequence[str]) -> list[str]:
    """Names a reader understands: the numbers of modules in a Sequential become layers."""
    if len(names) < 2 or not all(name.isdigit() for name in names[1:]):
        return list(names)
    return [names[0], *(f"hidden {place}" for place in range(1, len(names) - 1)), "outputs"]


def _number(axes: Axes, x: float, y: float, text: Any, colour: str, *, size: float = 8.5) -> None:
    axes.text(
        x,
        y,
        str(text),
        ha="center",
        va="center",
        fontsize=size,
        fontweight="bold",
        color="white",
        bbox={"boxstyle": "circle,pad=0.28", "facecolor": colour, "edgecolor": "none"},
        zorder=4,
    )


def _printed_matrix(axes: Axes, adjacency: np.ndarray, labels: np.ndarray, names) -> None:
    inside = (labels[:, None] == labels[None, :]) & (adjacency > 0)
    shade = np.where(inside, 2, np.where(adjacency > 0, 1, 0))
    axes.imshow(shade, cmap=ListedColormap(["white", "#DDDDDD", "#9EC7E3"]), vmin=0, vmax=2)
    for row, column in np.ndindex(adjacency.shape):
        value = adjacency[row, column]
        axes.text(
            column,
            row,
            f"{value:g}" if value else "·",
            ha="center",
            va="center",
            color=style.INK if value else style.SHUFFLE,
            fontweight="bold" if inside[row, column] else "normal",
        )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_title("adjacency: bold inside a cluster")
