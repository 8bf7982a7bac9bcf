"""Pictures of the two graphs of a CNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.cnn_dynamics.s01_graphs.sizes import PAPER, Sizes
from modgraph_lib import signatures
from modgraph_lib.graphs import LayeredGraph, UnrolledGraph
from modgraph_lib.plots import style

__all__ = ["convergence", "degree_maps", "layers", "masses", "matrix", "runtimes", "table_5"]


def layers(graph: LayeredGraph) -> Figure:
    """A small layered graph: nodes with their degrees, edges as wide as their weights."""
    with style.styled():
        figure, (panel,) = style.axes(height=2.6, width=0.7 * style.WIDTH)
        places = [
            [(i, (size - 1) / 2 - n) for n in range(size)] for i, size in enumerate(graph.layers)
        ]
        largest = max(block.max() for block in graph.blocks.values())
        for (i, j), block in graph.blocks.items():
            for a, b in np.argwhere(block > 0):
                x, y = zip(places[i][a], places[j][b], strict=True)
                width = 6 * block[a, b] / largest
                panel.plot(x, y, color=style.FAINT, linewidth=width, zorder=1)
        degrees = graph.degrees()
        for place, (x, y) in enumerate(spot for column in places for spot in column):
            panel.scatter(x, y, s=420, color=style.NETWORK, zorder=2)
            panel.text(x, y, f"{degrees[place]:g}", color="white", ha="center", va="center")
        panel.set(xticks=range(len(graph.layers)), yticks=[])
        panel.set_xticklabels(graph.names)
        panel.spines[["left", "bottom"]].set_visible(False)
        panel.margins(0.15, 0.25)
    return figure


def matrix(graph: LayeredGraph) -> Figure:
    """The adjacency as a picture, layers marked; darker is stronger."""
    with style.styled():
        figure, (panel,) = style.axes(height=4.2, width=4.8)
        dense = graph.adjacency().toarray()
        panel.imshow(np.sqrt(dense), cmap="Blues", interpolation="nearest")
        for edge in graph.offsets[1:-1]:
            panel.axhline(edge - 0.5, color=style.FAINT, linewidth=0.5)
            panel.axvline(edge - 0.5, color=style.FAINT, linewidth=0.5)
        middle = (graph.offsets[:-1] + graph.offsets[1:]) / 2
        shown = [place for place, size in enumerate(graph.layers) if size > 12]
        panel.set_xticks(middle[shown], [str(graph.layers[place]) for place in shown])
        panel.set_yticks(middle[shown], [str(graph.layers[place]) for place in shown])
        panel.set(xlabel="node (sizes of the larger layers)", ylabel="node")
    return figure


def degree_maps(graph: UnrolledGraph, shapes: Mapping[str, tuple[int, int, int]]) -> Figure:
    """Degrees of one channel of several layers, as images.

    Args:
        shapes: title -> (number of the layer, channels, width).
    """
    with style.styled():
        figure, panels = style.axes(1, len(shapes), height=2.3)
        parts = np.split(graph.degrees(), graph.offsets[1:-1])
        for panel, (title, (layer, channels, width)) in zip(panels, shapes.items(), strict=True):
            image = parts[layer].reshape(channels, width, width)[0]
            shown = panel.imshow(image, cmap="viridis", vmin=0)
            figure.colorbar(shown, ax=panel, shrink=0.7)
            panel.set(title=title, xticks=[], yticks=[])
    return figure


def convergence(graph: LayeredGraph, steps: int = 60) -> Figure:
    """Change in each step of the plain power method, and of the one on B B'."""
    adjacency = graph.adjacency()
    even = np.repeat(np.arange(len(graph.layers)) % 2 == 0, graph.layers)
    runs = {
        "A: swings": (lambda x: adjacency @ x, np.ones(graph.nodes)),
        "B B': converges": (lambda x: adjacency @ (adjacency @ x), even.astype(float)),
    }
    with style.styled():
        figure, (panel,) = style.axes(height=3.0, width=0.75 * style.WIDTH)
        for (label, (product, x)), mark in zip(runs.items(), "so", strict=True):
            moved = []
            for _ in range(steps):
                y = product(x)
                y /= np.linalg.norm(y)
                moved.append(max(np.abs(y - x).max(), 1e-17))
                x = y
            colour = style.NETWORK if mark == "o" else style.SHUFFLE
            panel.semilogy(range(1, steps + 1), moved, mark, ms=3, ls="-", lw=1, color=colour)
            panel.text(steps, moved[-1] * 3, label, ha="right", color=colour)
        panel.set(xlabel="step", ylabel="largest change of an entry")
    return figure


def masses(graph: UnrolledGraph) -> Figure:
    """How much of the eigenvector's squared norm lies in each layer."""
    with style.styled():
        figure, (panel,) = style.axes(height=2.6, width=0.8 * style.WIDTH)
        values = signatures.eigenvector_centrality(graph) ** 2
        sums = [part.sum() for part in np.split(values, graph.offsets[1:-1])]
        panel.bar(range(len(sums)), sums, color=style.NETWORK)
        words = [f"{i}\n{size}" for i, size in enumerate(graph.layers)]
        panel.set_xticks(range(len(sums)), words)
        panel.set(xlabel="layer and its units", ylabel="share of the eigenvector", ylim=(0, 1))
    return figure


def table_5(found: Mapping[tuple[str, str], Sizes], names: Mapping[str, str]) -> Figure:
    """Edges of both graphs, ours and the paper's, one line a network."""
    with style.styled():
        figure, (panel,) = style.axes(height=3.6)
        for line, ((data, network), own) in enumerate(found.items()):
            paper = PAPER[data, network]
            pairs = ((own.edges, paper[1], "o"), (own.unrolled_edges, paper[3], "s"))
            for ours, theirs, mark in pairs:
                if ours is not None:
                    panel.plot(ours, line, mark, color=style.NETWORK, ms=7)
                if theirs is not None:
                    panel.plot(theirs, line, mark, color=style.PAPER, ms=11, mfc="none")
        words = [f"{names[n]}, {'CIFAR-10' if d == 'cifar10' else '100 classes'}" for d, n in found]
        panel.set_yticks(range(len(words)), words)
        panel.invert_yaxis()
        panel.set(xscale="log", xlabel="edges (● rolled, ■ unrolled; large and hollow: the paper)")
        panel.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    return figure


def runtimes(rows: pd.DataFrame, names: Mapping[str, str], epochs: Sequence[int]) -> Figure:
    """Seconds of training to the earliest stop, and of 15 epochs' graphs.

    Args:
        rows: of the table of runtimes.
        epochs: of the earliest stop, one a row.
    """
    with style.styled():
        figure, (panel,) = style.axes(height=3.0)
        places = np.arange(len(rows))
        bars = {
            "training to the earliest stop": (rows["epoch_seconds"] * list(epochs), "#009E73", ""),
            "unrolled graphs of 15 epochs": (rows["unrolled_seconds"] * 15, "#8C8C8C", "//"),
            "rolled graphs of 15 epochs": (rows["rolled_seconds"] * 15, style.NETWORK, ".."),
        }
        for shift, (label, (seconds, colour, hatch)) in enumerate(bars.items()):
            height = seconds.fillna(0)
            panel.bar(
                places + 0.27 * (shift - 1), height, 0.25, color=colour, hatch=hatch, label=label
            )
        panel.set_xticks(places, [names[name] for name in rows["network"]])
        panel.set(yscale="log", ylabel="seconds of one core")
        figure.legend(loc="outside upper center", ncols=2)
    return figure
