"""Networks beside their shuffles where there is one network a line (Clusterability, figure 10)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modgraph_lib.plots import style

SOURCES = {"paper": (style.PAPER, "D"), "ours": (style.NETWORK, "o"), "random": (style.INK, "s")}
WORDS = {
    "paper": "paper, ImageNet weights",
    "ours": "ours, ImageNet weights",
    "random": "ours, random weights",
}


def networks_and_shuffles(frames: dict[str, pd.DataFrame]) -> Figure:
    """n-cut (mark) and its shuffles (bar: mean ± 2 SD) of each network, by source.

    Args:
        frames: "paper", "ours" and "random", or some of them, to frames with the columns name,
            ncut, shuffle_mean, shuffle_std and p_value; empty ones are left out.

    Raises:
        ValueError: a source that has no place in the picture, or nothing to draw.
    """
    if unknown := sorted(set(frames) - set(SOURCES)):
        raise ValueError(f"unknown sources {', '.join(unknown)}; known: {', '.join(SOURCES)}")
    frames = {source: frame for source, frame in frames.items() if len(frame)}
    if not frames:
        raise ValueError("no network to draw")
    names = list(dict.fromkeys(name for frame in frames.values() for name in frame["name"]))
    with style.styled():
        figure, (axes,) = style.axes(height=1.0 + 0.62 * len(names))
        for place, (source, frame) in enumerate(frames.items()):
            colour, marker = SOURCES[source]
            for row in frame.itertuples(index=False):
                y = names.index(row.name) + 0.26 * (place - (len(frames) - 1) / 2)
                low = row.shuffle_mean - 2 * row.shuffle_std
                span = max(4 * row.shuffle_std, 0.012)
                axes.barh(y, span, left=low, height=0.17, color=style.FAINT)
                axes.plot(row.ncut, y, marker, color=colour, markersize=5)
                axes.annotate(
                    f"p = {row.p_value:.2g}",
                    (row.ncut, y),
                    xytext=(-7, 0),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    fontsize=7.5,
                )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel("n-cut (k = 12)")
        handles = [
            Line2D([], [], color=SOURCES[source][0], marker=SOURCES[source][1], linestyle="",
                   markersize=5, label=WORDS[source])
            for source in frames
        ]  # fmt: skip
        bar = Line2D([], [], color=style.FAINT, linewidth=6, label="its shuffles, mean ± 2 SD")
        figure.legend(handles=[*handles, bar], loc="outside lower center", ncols=2)
    return figure


def spectrum(network: Sequence[float], layers: Sequence[float], *, k: int) -> Figure:
    """Leading eigenvalues of a network's graph beside those of its graph of layers.

    Args:
        network: of the normalised adjacency, falling.
        layers: of the graph with one node a layer; those that are not positive are left out.
        k: number of clusters, marked by a line.
    """
    shown = [value for value in layers[: len(network)] if value > 0]
    with style.styled():
        figure, (axes,) = style.axes(height=2.9)
        axes.axvline(k + 0.5, color=style.FAINT, linewidth=1)
        axes.plot(range(1, len(network) + 1), network, "o", color=style.NETWORK, label="network")
        axes.plot(
            range(1, len(shown) + 1), shown, "x", color=style.INK, label="its layers", markersize=8
        )
        axes.set_ylim(0, 1.05)
        axes.set_xlabel(f"number of the eigenvalue (line: k = {k})")
        axes.set_ylabel("eigenvalue")
        figure.legend(loc="outside right upper")
    return figure
