"""Two kinds of shuffle side by side: all weights, or the non-zero ones in their own places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from book.papers.ncut.nulls import draw_violin, single_k
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

HATCH = "////"
APART = 0.22  # half the distance between a network's two violins
# d runs from about -3 to 25; near zero the axis is linear.
LINEAR = 1.0


def two_nulls(table: pd.DataFrame, *, stage: str) -> Figure:
    """Each network between the violins of its full and its topology-preserving shuffles.

    Args:
        table: one row a network, as ``topology_tables.both_nulls`` gives it: data,
            regularizer, stage, k (one value), seed, ncut, shuffled, nonzero_shuffled and
            below_nonzero.
        stage: "unpruned" or "pruned".

    One panel a data set and condition.  A filled mark is a network below every one of its
    topology-preserving shuffles.  Source: SM Figures 4 and A.2 to A.5.

    Raises:
        ValueError: no row of that stage, or more than one k.
    """
    rows = table[table["stage"] == stage]
    k = single_k(rows)
    cells = [
        (data, regularizer, cell)
        for data in dict.fromkeys(rows["data"])
        for regularizer in style.CONDITIONS
        if len(cell := rows[(rows["data"] == data) & (rows["regularizer"] == regularizer)])
    ]
    columns = min(2, len(cells))
    lines = -(-len(cells) // columns)
    with style.styled():
        figure, all_axes = style.axes(lines, columns, height=0.5 + 2.4 * lines, sharey="row")
        for axes, (data, regularizer, cell) in zip(all_axes, cells, strict=False):
            _network_columns(axes, cell.sort_values("seed"), regularizer)
            word = style.condition(regularizer)[2]
            axes.set_title(f"{data_name(data)}, {word}, {stage}")
        for axes in all_axes[len(cells) :]:
            axes.axis("off")
        for axes in all_axes[::columns]:
            axes.set_ylabel(f"n-cut at k = {k}")
        figure.legend(handles=_handles(), loc="outside lower center", ncols=2)
    return figure


def effect_sizes(printed: pd.DataFrame, ours: pd.DataFrame) -> Figure:
    """Cohen's d of every network, the paper's and ours side by side, one column a cell.

    Args:
        printed, ours: columns data, regularizer, stage and cohens_d; ``ours`` may be empty.

    The axis is linear from -1 to 1 and logarithmic beyond.  Source: SM Figure A.1.

    Raises:
        ValueError: nothing printed.
    """
    if printed.empty:
        raise ValueError("effect_sizes needs the printed d of at least one network")
    order = ["stage", "regularizer", "data"]
    cells = [tuple(cell) for cell in printed[order].drop_duplicates().to_numpy()]
    # before pruning first, and for each method of training the data sets as printed
    cells.sort(key=lambda cell: (cell[0] == "pruned", list(style.CONDITIONS).index(cell[1])))
    with style.styled():
        figure, (axes,) = style.axes(height=3.6)
        axes.axhline(0, color=style.INK, linewidth=0.8)
        for place, cell in enumerate(cells):
            for table, offset, colour, marker in (
                (printed, -0.17, style.PAPER, "x"),
                (ours, 0.17, style.NETWORK, "o"),
            ):
                rows = table[(table[order] == list(cell)).all(axis=1)] if len(table) else table
                values = rows["cohens_d"].to_numpy(float)
                x = place + offset + _jitter(len(values), 0.09)
                axes.scatter(x, values, color=colour, marker=marker, s=18, linewidths=1, zorder=3)
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.set_yticks([-3, -1, 0, 1, 3, 10, 30], ["-3", "-1", "0", "1", "3", "10", "30"])
        names = [
            f"{data_name(data)}\n{style.condition(regularizer)[2]}"
            for _, regularizer, data in cells
        ]
        axes.set_xticks(range(len(cells)), names, rotation=60, ha="right", fontsize=7.5)
        last = sum(stage == "unpruned" for stage, _, _ in cells)
        if 0 < last < len(cells):
            axes.axvline(last - 0.5, color=style.FAINT, linewidth=1)
        for stage, place in (("unpruned", 0.0), ("pruned", last / len(cells))):
            axes.annotate(stage, (place + 0.01, 1.01), xycoords="axes fraction", fontsize=8.5)
        axes.set_ylabel("Cohen's d, all minus non-zero")
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        marks = [
            Line2D([], [], color=style.PAPER, marker="x", linestyle="none", label="paper"),
            Line2D([], [], color=style.NETWORK, marker="o", linestyle="none", label="ours"),
        ]
        figure.legend(handles=marks, loc="outside upper center", ncols=2)
    return figure


def equal_nulls(d: Sequence[float], *, shuffles: Sequence[int] = (320, 32)) -> Figure:
    """Histogram of Cohen's d between equal nulls, under the normal curves of n shuffles each.

    Args:
        d: one value a network.
        shuffles: numbers of independent shuffles of either kind, at most two; the variance of d
            is 2/n.

    Raises:
        ValueError: no values, or more numbers of shuffles than there are line styles.
    """
    values = np.asarray(d, dtype=float)
    if not len(values) or len(shuffles) > 2:
        raise ValueError(f"need at least one d and at most 2 curves, got {len(values)}, {shuffles}")
    widest = max(np.abs(values).max() * 1.1, 3 * (2 / min(shuffles)) ** 0.5)
    grid = np.linspace(-widest, widest, 400)
    with style.styled():
        figure, (axes,) = style.axes(height=2.8)
        bins = np.linspace(-widest, widest, 31)
        label = f"{len(values)} printed values"
        axes.hist(values, bins=bins, density=True, color=style.PAPER, alpha=0.4, label=label)
        axes.plot(values, np.zeros_like(values), "|", color=style.INK, markersize=7)
        for count, line in zip(shuffles, ("--", "-"), strict=False):
            curve = stats.norm.pdf(grid, scale=(2 / count) ** 0.5)
            axes.plot(grid, curve, line, color=style.INK, label=f"{count} shuffles of each kind")
        axes.set_xlabel("Cohen's d between two shuffles that do the same")
        axes.set_ylabel("density")
        axes.legend(loc="upper right")
    return figure


def _network_columns(axes: Axes, rows: pd.DataFrame, regularizer: str) -> None:
    colour, marker, _ = style.condition(regularizer)
    for place, (_, row) in enumerate(rows.iterrows()):
        for offset, name, hatch in ((-APART, "shuffled", None), (APART, "nonzero_shuffled", HATCH)):
            null = np.asarray(row[name], dtype=float)
            draw_violin(axes, null, place + offset, vertical=True, width=0.4, hatch=hatch)
        axes.scatter(
            [place],
            [row["ncut"]],
            marker=marker,
            s=24,
            zorder=4,
            facecolors=colour if row["below_nonzero"] else "white",
            edgecolors=colour,
            linewidths=1.1,
        )
    axes.set_xticks(range(len(rows)), [str(seed) for seed in rows["seed"]])
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("network (seed)")
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def _handles() -> list:
    plain = {"linestyle": "none", "marker": "o", "markeredgecolor": style.INK}
    null = {"facecolor": style.SHUFFLE, "edgecolor": style.SHUFFLE, "alpha": 0.55}
    below, above = "network below all its non-zero shuffles", "network not below all of them"
    return [
        Patch(label="all weights shuffled", **null),
        Patch(label="non-zero weights shuffled", hatch=HATCH, **null),
        Line2D([], [], markerfacecolor=style.INK, label=below, **plain),
        Line2D([], [], markerfacecolor="white", label=above, **plain),
    ]


def _jitter(count: int, half: float) -> np.ndarray:
    return np.linspace(-half, half, count) if count > 1 else np.zeros(count)
