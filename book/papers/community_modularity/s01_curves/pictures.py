"""Curves of Q over layers, the graphs behind them, and maps of the samples.

Source of the counterparts: Understanding the Dynamics of DNNs Using Graph Modularity, figures 1,
2, 4, 5, 7, B1, B2 and B3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from modgraph_lib.plots import style

__all__ = ["class_maps", "curve_lines", "curve_panels", "graph_snapshots", "probes_and_q"]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "p", "*", "<", ">")
COLUMNS = ["network", "layer", "q", "seed", "repeat"]
ACROSS = 5  # panels in a row at most


def graph_snapshots(
    graphs: Sequence[np.ndarray], labels: np.ndarray, titles: Sequence[str]
) -> Figure:
    """The same nodes with other edges, side by side.

    Args:
        graphs: adjacency matrices (N, N), weights at least 0.
        labels: (N,) class of each node; the nodes of a class stand together.
        titles: one a graph.

    Raises:
        ValueError: as many titles as graphs are needed, and labels that fit.
    """
    labels = np.asarray(labels)
    if len(titles) != len(graphs) or any(len(graph) != len(labels) for graph in graphs):
        raise ValueError(
            f"{len(graphs)} graphs of {len(labels)} nodes need as many titles and labels"
        )
    kinds = np.unique(labels)
    place = np.empty((len(labels), 2))
    for number, kind in enumerate(kinds):
        members = np.flatnonzero(labels == kind)
        # Turned a little, so that no edge across runs along one inside.
        angle = 2 * np.pi * (np.arange(len(members)) / len(members) + 0.06)
        centre = 2 * np.pi * number / len(kinds)
        place[members] = 0.42 * np.c_[np.sin(angle), np.cos(angle)]
        place[members] += 0.75 * np.array([np.sin(centre), np.cos(centre)])
    colours = style.cluster_colours(len(kinds))
    with style.styled():
        figure, panels = style.axes(1, len(graphs), height=2.4)
        for axes, graph, title in zip(panels, graphs, titles, strict=True):
            heaviest = max(float(np.max(graph)), 1e-12)
            for one, two in zip(*np.nonzero(np.triu(graph)), strict=True):
                inside = labels[one] == labels[two]
                axes.plot(
                    *place[[one, two]].T,
                    color=style.INK if inside else style.SHUFFLE,
                    linestyle="-" if inside else (0, (2, 2)),
                    linewidth=1.6 * graph[one, two] / heaviest,
                    zorder=1,
                )
            for kind, colour, marker in zip(kinds, colours, MARKERS, strict=False):
                axes.plot(*place[labels == kind].T, marker, color=colour, markersize=7, zorder=2)
            axes.set(aspect="equal", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
            axes.axis("off")
            axes.set_title(title, loc="center", fontsize=9)
    return figure


def class_maps(points: np.ndarray, labels: np.ndarray, titles: Sequence[str]) -> Figure:
    """Maps of the same samples after several layers; every sample is the digit of its class.

    Args:
        points: (M, N, 2); labels: (N,) small whole numbers; titles: one a map.

    Raises:
        ValueError: shapes that do not fit.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 3 or points.shape[1:] != (len(labels), 2) or len(points) != len(titles):
        raise ValueError(f"maps (M, N, 2) with N labels and M titles needed, got {points.shape}")
    columns = min(4, len(points))
    rows = -(-len(points) // columns)
    colours = style.cluster_colours(int(labels.max()) + 1)
    with style.styled():
        figure, panels = style.axes(rows, columns, height=0.25 + 2.0 * rows)
        for axes, spots, title in zip(panels, points, titles, strict=False):
            for kind in np.unique(labels):
                axes.scatter(
                    *spots[labels == kind].T, marker=f"${kind}$", s=14, linewidths=0,
                    color=colours[kind],
                )  # fmt: skip
            axes.set(xticks=[], yticks=[], aspect="equal", xlim=(-1.08, 1.08), ylim=(-1.08, 1.08))
            axes.set_title(title, fontsize=8.5)
        for axes in panels[len(points) :]:
            axes.axis("off")
    return figure


def curve_panels(frame: pd.DataFrame, *, words: Mapping[str, str] | None = None) -> Figure:
    """Q over layers, one panel a network, one line a seed with a band of one SD over draws.

    Args:
        frame: columns ``COLUMNS``; networks in the order of the rows.
        words: network -> title.

    Raises:
        ValueError: columns missing, or no row.
    """
    _check(frame, COLUMNS)
    networks = list(dict.fromkeys(frame["network"]))
    with style.styled():
        figure, panels = _grid(len(networks))
        for axes, network in zip(panels, networks, strict=False):
            rows = frame[frame["network"] == network]
            seeds = sorted(rows["seed"].unique())
            for seed, colour, marker in zip(seeds, style.CLUSTERS, MARKERS, strict=False):
                _line(axes, rows[rows["seed"] == seed], colour, marker, band=True)
            axes.set_title((words or {}).get(network, network))
            axes.set_xlabel("layer")
        _same_q(panels[: len(networks)])
        seeds = sorted(frame["seed"].unique())
        if len(seeds) > 1:
            _legend(figure, [f"seed {seed}" for seed in seeds])
    return figure


def curve_lines(
    frame: pd.DataFrame, *, by: str, words: Mapping | None = None, columns: int = 2
) -> Figure:
    """Q over layers, one panel a network, one line a value of the column ``by``.

    Lines are means over seeds and draws. Curves of other lengths may stand in one panel.

    Args:
        frame: columns ``COLUMNS`` and ``by``; values in the order of the rows.
        words: value -> word in the legend.

    Raises:
        ValueError: columns missing, no row, or more values than there are markers.
    """
    _check(frame, [*COLUMNS, by])
    networks, values = (list(dict.fromkeys(frame[name])) for name in ("network", by))
    if len(values) > len(MARKERS):
        raise ValueError(f"{len(values)} lines in a panel; only {len(MARKERS)} can be told apart")
    titles = frame.attrs.get("titles", {})
    with style.styled():
        figure, panels = _grid(len(networks), columns, height=2.8)
        for axes, network in zip(panels, networks, strict=False):
            for value, colour, marker in zip(values, style.CLUSTERS, MARKERS, strict=False):
                rows = frame[(frame["network"] == network) & (frame[by] == value)]
                if len(rows):
                    _line(axes, rows, colour, marker)
            axes.set_title(titles.get(network, network))
            axes.set_xlabel("layer")
        _same_q(panels[: len(networks)])
        _legend(figure, [str((words or {}).get(value, value)) for value in values])
    return figure


def probes_and_q(frame: pd.DataFrame) -> Figure:
    """Accuracy of linear probes (top) above Q (bottom) over layers, one column a network.

    Args:
        frame: columns network, seed, layer, q and accuracy.

    Raises:
        ValueError: columns missing, or no row.
    """
    _check(frame, ["network", "seed", "layer", "q", "accuracy"])
    networks = list(dict.fromkeys(frame["network"]))
    titles = frame.attrs.get("titles", {})
    with style.styled():
        figure, panels = style.axes(2, len(networks), height=4.0, sharex="col", sharey="row")
        for column, network in enumerate(networks):
            rows = frame[frame["network"] == network]
            for seed, colour, marker in zip(
                sorted(rows["seed"].unique()), style.CLUSTERS, MARKERS, strict=False
            ):
                line = rows[rows["seed"] == seed].groupby("layer")[["accuracy", "q"]].mean()
                for place, name in enumerate(("accuracy", "q")):
                    axes = panels[place * len(networks) + column]
                    axes.plot(line.index, line[name], marker, linestyle="-", color=colour,
                              markersize=3.5, linewidth=1.2)  # fmt: skip
            panels[column].set_title(titles.get(network, network))
            panels[len(networks) + column].set_xlabel("layer")
        for axes in panels:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panels[0].set_ylabel("probe accuracy")
        panels[len(networks)].set_ylabel("Q")
        seeds = sorted(frame["seed"].unique())
        if len(seeds) > 1:
            _legend(figure, [f"seed {seed}" for seed in seeds])
    return figure


def _check(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame]:
        raise ValueError(f"curves need the columns {', '.join(missing)}")
    if frame.empty:
        raise ValueError("no curve to draw")


def _grid(count: int, columns: int = ACROSS, height: float = 2.1) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, panels = style.axes(rows, columns, height=0.5 + height * rows, sharey=True)
    for axes in panels[count:]:
        axes.axis("off")
    for axes in panels[::columns]:
        axes.set_ylabel("Q")
    for axes in panels[:count]:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure, panels


def _line(axes: Axes, rows: pd.DataFrame, colour: str, marker: str, *, band: bool = False) -> None:
    by = rows.groupby("layer")["q"]
    mean = by.mean()
    axes.plot(mean.index, mean, marker, linestyle="-", color=colour, markersize=3, linewidth=1.2)
    if band and rows["repeat"].nunique() > 1:
        sd = by.std(ddof=1)
        axes.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.25, linewidth=0)


def _same_q(panels: Sequence[Axes]) -> None:
    low = min(axes.dataLim.y0 for axes in panels)
    high = max(axes.dataLim.y1 for axes in panels)
    panels[0].set_ylim(min(0, low) - 0.02, max(0.3, high) * 1.06)


def _legend(figure: Figure, words: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.2, label=word)
        for word, colour, marker in zip(words, style.CLUSTERS, MARKERS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))
