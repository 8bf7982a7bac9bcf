"""Pictures of the page on transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modgraph_lib import statistics
from modgraph_lib.plots import style

__all__ = [
    "angles",
    "beside_nulls",
    "composition",
    "lesions",
    "nulls_apart",
    "turned_pair",
    "turns",
]

MOST = 5  # networks of one kind that are drawn


def beside_nulls(found: Mapping[str, pd.DataFrame], *, null: str = "rotated") -> Figure:
    """The n-cut of each network (diamond) and of its nulls (dots), a line a network.

    Args:
        found: words -> rows of ``experiment.table``; the first few of each are drawn.
    """
    lines = [
        (word if place == 0 else "", row)
        for word, rows in found.items()
        for place, row in enumerate(rows.head(MOST).itertuples())
    ]
    with style.styled():
        figure, (axis,) = style.axes(height=0.9 + 0.26 * len(lines))
        for place, (_, row) in enumerate(lines):
            values = getattr(row, null)
            axis.plot(
                values,
                np.full(len(values), place),
                "o",
                color=style.SHUFFLE,
                alpha=0.6,
                markersize=4,
            )
            axis.plot([row.score], [place], "D", color=style.NETWORK, markersize=6)
        axis.plot([], [], "D", color=style.NETWORK, label="network")
        axis.plot([], [], "o", color=style.SHUFFLE, label=null)
        axis.set_yticks(range(len(lines)), [word for word, _ in lines])
        axis.invert_yaxis()
        axis.set_xlim(0, lines[0][1].clusters)
        axis.set_xlabel(f"n-cut at k = {lines[0][1].clusters} (lower: more clusterable)")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def nulls_apart(rows: pd.DataFrame) -> Figure:
    """z of untrained networks beside rotations and beside shuffles."""
    words = {"rotated": "beside rotations", "shuffled": "beside shuffles"}
    with style.styled():
        figure, (axis,) = style.axes(height=1.8)
        for place, null in enumerate(words):
            z = [
                statistics.z_score(score, values)
                for score, values in zip(rows["score"], rows[null], strict=True)
            ]
            marker = "o" if null == "rotated" else "s"
            axis.plot(z, np.full(len(z), place), marker, color=style.NETWORK, alpha=0.6)
        axis.axvline(0, color=style.FAINT)
        axis.set_yticks(range(len(words)), list(words.values()))
        axis.set(
            xlabel="z of an untrained network (negative: called clusterable)", ylim=(-0.6, 1.6)
        )
    return figure


def turns(rows: pd.DataFrame) -> Figure:
    """z on the stream's coordinates, as trained and turned, a line a network."""
    with style.styled():
        figure, (axis,) = style.axes(height=1.1 + 0.3 * len(rows))
        for place, z in enumerate(rows["z"]):
            axis.plot(z[1:], np.full(len(z) - 1, place), "o", color=style.SHUFFLE)
            axis.plot(z[:1], [place], "D", color=style.NETWORK)
        axis.plot([], [], "D", color=style.NETWORK, label="as trained")
        axis.plot([], [], "o", color=style.SHUFFLE, label="turned")
        axis.set_yticks(range(len(rows)), [f"network {place}" for place in range(len(rows))])
        axis.set(xlabel="z on the stream's coordinates (negative: clusterable)")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def angles(degrees: Sequence[float], ncuts: Mapping[str, Sequence[float]]) -> Figure:
    """n-cut of one division over the angle of the toy's stream, a line a graph."""
    looks = zip(ncuts.items(), ((style.SHUFFLE, "--"), (style.NETWORK, "-")), strict=True)
    with style.styled():
        figure, (axis,) = style.axes(height=2.2, width=5)
        for (word, values), (colour, line) in looks:
            axis.plot(degrees, values, line, color=colour, label=word)
        axis.set(xlabel="the stream turned by (degrees)", ylabel="n-cut of the two pairs")
        axis.set_ylim(-0.05, 1.05)
        axis.legend(loc="best")
    return figure


def turned_pair(degrees: float, columns: Sequence[Sequence[np.ndarray]]) -> Figure:
    """The toy at one angle: the stream with what is written, and either graph.

    Args:
        degrees: the angle.
        columns: for each graph its blocks (left, right) from left to right.
    """
    angle = np.radians(degrees)
    looks = ((style.CLUSTERS[0], "-"), (style.CLUSTERS[5], "--"))
    with style.styled():
        figure, (plane, *graphs) = style.axes(1, 3, height=2.1)
        for place, (colour, line) in enumerate(looks):
            at = angle + place * np.pi / 2
            plane.plot([0, np.cos(at)], [0, np.sin(at)], line, color=colour, linewidth=3)
            plane.annotate(f"pair {place + 1}", (np.cos(at), np.sin(at)), color=colour)
        plane.axhline(0, color=style.FAINT, zorder=0)
        plane.axvline(0, color=style.FAINT, zorder=0)
        plane.set(title="the stream", aspect="equal", xlim=(-1.1, 1.5), ylim=(-0.3, 1.3))
        plane.set_axis_off()
        for axis, blocks in zip(graphs, columns, strict=True):
            for depth, block in enumerate(blocks):
                for (one, two), weight in np.ndenumerate(block):
                    axis.plot(
                        [depth, depth + 1],
                        [-one, -two],
                        color=style.INK,
                        linewidth=5 * weight,
                        alpha=0.7,
                    )
            for depth in range(len(blocks) + 1):
                outer = depth in (0, len(blocks))
                for node, (colour, _) in enumerate(looks):
                    axis.plot(
                        depth,
                        -node,
                        "o" if outer else "s",
                        markersize=11,
                        color=colour if outer else style.FAINT,
                    )
            axis.set(xlim=(-0.4, len(blocks) + 0.4), ylim=(-1.4, 0.4))
            axis.set_axis_off()
        graphs[0].set_title("writers, coordinates, readers")
        graphs[1].set_title("writers, readers")
    return figure


def composition(row: pd.Series) -> Figure:
    """How much of each cluster lies in each part: share of the part's components."""
    counts = np.array(row["counts"], dtype=float)
    order = np.argsort(-counts.sum(0))
    shares = counts[:, order] / counts.sum(1, keepdims=True)
    with style.styled():
        figure, (axis,) = style.axes(height=3.4, width=5.5)
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for place, value in np.ndenumerate(shares):
            if value:
                axis.text(
                    place[1],
                    place[0],
                    f"{counts[place[0], order[place[1]]]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if value > 0.5 else style.INK,
                )
        axis.set_yticks(range(len(row["names"])), row["names"])
        axis.set_xticks(range(len(order)), [str(place) for place in range(1, len(order) + 1)])
        axis.set(xlabel="cluster, the largest first")
        figure.colorbar(image, label="share of the part")
    return figure


def lesions(rows: pd.DataFrame) -> Figure:
    """Damage of every sub-cluster (diamond) and the middle 90% of its random sets, by size."""
    row = rows.iloc[0]
    with style.styled():
        figure, (axis,) = style.axes(height=2.8)
        order = np.argsort(
            [f"{part} {c:03d}" for part, c in zip(row.part, row.cluster, strict=True)]
        )
        for place, index in enumerate(order):
            low, high = np.quantile(row.random[index], [0.05, 0.95])
            axis.vlines(place, low, high, color=style.FAINT, linewidth=4)
            axis.plot(place, row.true[index], "D", color=style.NETWORK, markersize=4)
        parts = [row.part[index] for index in order]
        starts = [i for i, part in enumerate(parts) if i == 0 or part != parts[i - 1]]
        axis.set_xticks(starts, [parts[i] for i in starts], rotation=45, ha="right", fontsize=7)
        axis.set_ylabel("damage")
        axis.set_yscale("symlog", linthresh=1e-4)
        axis.set_ylim(bottom=min(0, *row.true))
    return figure
