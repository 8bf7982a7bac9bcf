"""Where in a deep network its clusters lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modgraph_lib.plots import style
from modgraph_lib.plots.networks import layer_words
from modgraph_lib.plots.nulls import null_histogram
from modgraph_lib.statistics import Numbers

MOST_NAMES = 24


def clusters_by_layer(
    sizes: pd.DataFrame, *, ncut: float, shuffled: Numbers, k: int, title: str = ""
) -> Figure:
    """The share of every layer that lies in each cluster, over the n-cut beside its null.

    Args:
        sizes: one row a layer, columns 1..k with the nodes of each cluster, and "nodes".
        ncut: n-cut of the network.
        shuffled: n-cuts of its shuffles.
        k: number of clusters.

    Networks of many layers fit, since a layer is one column of a matrix.

    Raises:
        ValueError: columns that are not the clusters 1..k.

    >>> weights, _ = toys.strands(2, (8, 8), leak=0.1, seed=0)
    >>> found = report.clusterability(weights, k=2, shuffles=9)
    >>> figure = plots.clusters_by_layer(found.cluster_sizes, ncut=0.2, shuffled=[0.9, 1], k=2)
    >>> figure.axes[0].get_title("left")
    'share of each layer in each cluster'
    """
    missing = [cluster for cluster in range(1, k + 1) if cluster not in sizes]
    if missing or "nodes" not in sizes:
        raise ValueError(f"sizes needs the columns 1..{k} and 'nodes', got {list(sizes.columns)}")
    with style.styled():
        side = 0.6 + 0.24 * k
        figure, (above, below) = style.axes(
            2, 1, height=side + 3.0, height_ratios=[side + 0.6, 2.0]
        )
        _draw_shares(above, sizes, k)
        above.set_title(f"{title}: share of each layer in each cluster".lstrip(": "))
        null_histogram(ncut, shuffled, k=k, ax=below)
    return figure


def cluster_profiles(sizes: pd.DataFrame, flows: np.ndarray, clusters: Sequence[int]) -> Figure:
    """For each chosen cluster: which layers it lies in, and where its edge weight goes.

    Args:
        sizes: one row a layer, columns 1..k and "nodes".
        flows: (k, k) edge weight between clusters; row c is cluster c + 1.
        clusters: numbers to show, 1..k.

    Raises:
        ValueError: no cluster, or one that there is not.

    >>> weights, _ = toys.strands(2, (8, 8), leak=0.1, seed=0)
    >>> found = report.clusterability(weights, k=2, shuffles=9)
    >>> len(plots.cluster_profiles(found.cluster_sizes, np.eye(2), [1, 2]).axes)
    4
    """
    known = [int(c) for c in sizes.columns if isinstance(c, int | np.integer)]
    unknown = [cluster for cluster in clusters if cluster not in known]
    if not len(clusters) or unknown:
        raise ValueError(f"choose clusters from 1 to {max(known)}, got {list(clusters)}")
    colours = style.cluster_colours(len(known))
    with style.styled():
        figure, grid = style.axes(
            len(clusters), 2, height=1.15 * len(clusters) + 0.7, width_ratios=[3, 2]
        )
        for line, cluster in enumerate(clusters):
            left, right = grid[2 * line], grid[2 * line + 1]
            share = (sizes[cluster] / sizes["nodes"]).to_numpy(float)
            left.bar(range(len(share)), share, color=colours[cluster - 1], width=0.9)
            left.set_ylim(0, 1)
            left.set_xlim(-0.6, len(share) - 0.4)
            left.set_title(f"cluster {cluster}: {int(sizes[cluster].sum())} nodes", fontsize=9)
            row = flows[cluster - 1] / max(flows[cluster - 1].sum(), 1e-300)
            shades = [style.NETWORK if c == cluster else style.SHUFFLE for c in known]
            right.bar(known, row, color=shades)
            right.set_ylim(0, 1)
            right.set_title(f"{row[cluster - 1]:.0%} of its weight stays inside", fontsize=9)
        grid[-2].set_xlabel("layer, in order (bar: share of the layer's nodes)")
        grid[-1].set_xlabel("cluster at the other end")
    return figure


def _draw_shares(axes: Axes, sizes: pd.DataFrame, k: int) -> None:
    shares = sizes[range(1, k + 1)].to_numpy(float).T / sizes["nodes"].to_numpy(float)
    picture = axes.imshow(
        shares, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    colours = style.cluster_colours(k)
    totals = sizes[range(1, k + 1)].sum().to_numpy()
    for place, colour in enumerate(colours):
        axes.plot([-0.5, -0.5], [place - 0.46, place + 0.46], color=colour, lw=5, clip_on=False)
    axes.set_yticks(range(k), [f"{n + 1}  ({total} nodes)" for n, total in enumerate(totals)])
    names = layer_words(list(sizes.index))
    every = max(1, int(np.ceil(len(names) / MOST_NAMES)))
    shown = range(0, len(names), every)
    axes.set_xticks(
        shown,
        [names[i] for i in shown],
        rotation=55,
        ha="right",
        fontsize=7,
        rotation_mode="anchor",
    )
    axes.tick_params(length=0)
    axes.set_ylabel("cluster")
    for edge in np.arange(0.5, k - 1):
        axes.axhline(edge, color="white", linewidth=1.2)
    axes.figure.colorbar(picture, ax=axes, label="share of the layer", shrink=0.8, pad=0.01)
    for side in axes.spines.values():
        side.set_visible(False)
