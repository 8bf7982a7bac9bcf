"""Pictures of first-layer clusters, and how one-sided they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.detecting_modularity.s01_two_halves.experiment import decoded
from book.papers.detecting_modularity.s01_two_halves.measures import selective
from modgraph_lib import plots
from modgraph_lib.plots import style

__all__ = ["clusters_beside_random", "one_big_cluster", "selective_shares", "sides", "unit_sides"]

MOST = 12


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that have pictures; the first network's."""
    with_pictures = rows[rows["pictures"].map(bool)]
    return with_pictures[with_pictures["key"] == with_pictures["key"].iloc[0]].head(1)


def clusters_beside_random(rows: pd.DataFrame, *, most: int = MOST) -> Figure:
    """First-layer clusters of one partition, most one-sided first, above random sets of their size.

    Args:
        rows: of ``experiment.table``; the first that has pictures is drawn.
        most: clusters shown.
    """
    row = kept(rows).iloc[0]
    order = np.argsort(-row["true"])[:most]
    drawn = [[decoded(text, row["shape"]) for text in row["pictures"][i]] for i in order]
    lines = [list(line) for line in zip(*drawn, strict=True)]
    titles = [f"{row['size'][i]} units\n{row['true'][i]:.2f}" for i in order]
    names = ["cluster", *["random"] * (len(lines) - 1)]
    return plots.image_rows(lines, names=names, titles=titles)


def sides(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """One-sidedness of every cluster over its size, with the middle half of its random sets.

    Args:
        panels: title -> rows of ``experiment.table``.
    """
    with style.styled():
        figure, axes = style.axes(1, len(panels), height=3, sharey=True)
        for axis, (title, rows) in zip(axes, panels.items(), strict=True):
            for true, random, size in zip(rows["true"], rows["random"], rows["size"], strict=True):
                low, high = np.quantile(random, [0.05, 0.95], axis=1)
                axis.vlines(size, low, high, color=style.FAINT, linewidth=3)
                axis.plot(size, true, "D", color=style.NETWORK, markersize=4)
            axis.set(title=title, xlabel="units of the cluster", ylim=(0, 1))
        axes[0].set_ylabel("one-sidedness")
    return figure


def selective_shares(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Share of clusters more one-sided than 95% of random sets, a point a network.

    Args:
        panels: partition -> rows, one a network.
    """
    with style.styled():
        figure, (axis,) = style.axes(height=2.2)
        for place, rows in enumerate(panels.values()):
            shares = 100 * selective(rows)
            axis.plot(np.full(len(shares), place), shares, "o", color=style.NETWORK, alpha=0.6)
        axis.axhline(5, color=style.FAINT, linestyle="--")
        axis.axhline(90, color=style.PAPER, linestyle=":")
        axis.set_xticks(range(len(panels)), list(panels))
        axis.set(ylabel="% of clusters selective", ylim=(0, 102))
    return figure


def unit_sides(values: Mapping[str, np.ndarray]) -> Figure:
    """How one-sided single units are, before anything is averaged.

    Args:
        values: title -> (units,).
    """
    with style.styled():
        figure, axes = style.axes(1, len(values), height=2.2, sharey=True)
        for axis, (title, sides_of) in zip(axes, values.items(), strict=True):
            axis.hist(sides_of, bins=np.linspace(0, 1, 21), color=style.NETWORK)
            axis.set(title=title, xlabel="one-sidedness of a unit")
        axes[0].set_ylabel("units")
    return figure


def one_big_cluster(rows: pd.DataFrame, *, names: Sequence[str] = ("largest", "others")) -> Figure:
    """One-sidedness of the largest first-layer cluster of each network, beside its other clusters.

    Args:
        rows: of ``experiment.table``, one partition.
    """
    with style.styled():
        figure, (axis,) = style.axes(height=2.2, width=4.5)
        for seed, row in enumerate(
            rows.rename(columns={"size": "size_of"}).itertuples(index=False)
        ):
            big = int(np.argmax(row.size_of))
            others = np.delete(row.true, big)
            axis.plot(np.full(len(others), seed), others, "o", color=style.FAINT, markersize=4)
            axis.plot([seed], [row.true[big]], "D", color="#D55E00")
            axis.annotate(f" {row.size_of[big]} units", (seed, row.true[big]), fontsize=7.5)
        axis.set(xlabel="network", ylabel="one-sidedness", ylim=(0, 1), xticks=range(len(rows)))
        axis.plot([], [], "D", color="#D55E00", label=names[0])
        axis.plot([], [], "o", color=style.FAINT, label=names[1])
        axis.legend()
    return figure
