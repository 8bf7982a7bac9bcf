"""Networks of each condition beside their shuffles, and what such pictures share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

__all__ = ["draw_violin", "null_against_networks", "single_k"]


def null_against_networks(table: pd.DataFrame, paper: pd.DataFrame | None = None) -> Figure:
    """Networks and their shuffles by condition, with the paper's mean ± SD as bands.

    Args:
        table: one row a network, columns data, regularizer, ncut, shuffled (array of n-cuts)
            and k (one value).  ``mlps.table`` gives it.
        paper: columns data, regularizer, ncut_mean, ncut_std, shuffle_ncut_mean,
            shuffle_ncut_std; a missing deviation is drawn as a line only.

    One panel a data set; each condition has two rows, the networks above their null.

    Raises:
        ValueError: an empty table, or more than one k.
    """
    k = single_k(table)
    datasets = list(dict.fromkeys(table["data"]))
    with style.styled():
        rows = max(_conditions_of(table, data).size for data in datasets)
        height = 0.9 + len(datasets) * (0.35 + 0.62 * rows)
        figure, all_axes = style.axes(len(datasets), 1, height=height, sharex=True)
        for axes, data in zip(all_axes, datasets, strict=True):
            here = table[table["data"] == data]
            _condition_rows(axes, here, None if paper is None else paper[paper["data"] == data])
            axes.set_title(data_name(data))
        all_axes[-1].set_xlabel(f"n-cut at k = {k} (lower: more clusterable)")
        figure.legend(handles=_null_handles(paper is not None), loc="outside upper center", ncols=4)
    return figure


def _condition_rows(axes: Axes, table: pd.DataFrame, paper: pd.DataFrame | None) -> None:
    names = _conditions_of(table, table["data"].iloc[0])
    ticks = []
    for place, regularizer in enumerate(names):
        colour, marker, word = style.condition(regularizer)
        rows = table[table["regularizer"] == regularizer]
        y_network, y_null = place - 0.2, place + 0.2
        ticks.append(word)
        null = np.concatenate([np.asarray(values, dtype=float) for values in rows["shuffled"]])
        draw_violin(axes, null, y_null)
        ncuts = rows["ncut"].to_numpy(dtype=float)
        jitter = np.linspace(-0.09, 0.09, len(ncuts)) if len(ncuts) > 1 else np.zeros(1)
        axes.scatter(
            ncuts,
            y_network + jitter,
            color=colour,
            marker=marker,
            s=26,
            zorder=4,
            edgecolors="white",
            linewidths=0.5,
        )
        if paper is not None:
            for _, row in paper[paper["regularizer"] == regularizer].iterrows():
                _band(axes, row["ncut_mean"], row.get("ncut_std"), y_network)
                _band(axes, row["shuffle_ncut_mean"], row.get("shuffle_ncut_std"), y_null)
    axes.set_yticks(range(len(ticks)), ticks)
    axes.set_ylim(len(ticks) - 0.5, -0.5)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def draw_violin(
    axes: Axes,
    values: np.ndarray,
    place: float,
    *,
    vertical: bool = False,
    width: float = 0.34,
    hatch: str | None = None,
) -> None:
    """Density of `values` at `place`; a plain mark where a density cannot be estimated."""
    values = values[np.isfinite(values)]
    if len(values) > 2 and np.ptp(values) > 0:
        parts = axes.violinplot(
            values,
            positions=[place],
            orientation="vertical" if vertical else "horizontal",
            widths=width,
            showextrema=False,
        )
        for body in parts["bodies"]:
            body.set(facecolor=style.SHUFFLE, edgecolor=style.SHUFFLE, alpha=0.55, hatch=hatch)
        mean = float(values.mean())
    elif len(values):
        mean = float(values.mean())
    else:
        return
    x, y = ([place], [mean]) if vertical else ([mean], [place])
    axes.plot(x, y, marker="_" if vertical else "|", color=style.INK, markersize=9, zorder=3)


def _band(axes: Axes, mean: float, deviation: float | None, y: float) -> None:
    half = 0.17
    if deviation is not None and np.isfinite(deviation):
        axes.fill_betweenx(
            [y - half, y + half],
            mean - deviation,
            mean + deviation,
            color=style.PAPER,
            alpha=0.2,
            linewidth=0,
            zorder=1,
        )
    axes.plot([mean, mean], [y - half, y + half], color=style.PAPER, linewidth=1.6, zorder=2)


def _null_handles(with_paper: bool) -> list:
    handles = [
        Line2D([], [], color=style.INK, marker="o", linestyle="none", label="a network, ours"),
        Patch(color=style.SHUFFLE, alpha=0.55, label="its shuffles, ours"),
    ]
    if with_paper:
        handles.append(Patch(color=style.PAPER, alpha=0.35, label="paper, mean ± SD"))
    return handles


def _conditions_of(table: pd.DataFrame, data: str) -> np.ndarray:
    present = set(table.loc[table["data"] == data, "regularizer"])
    return np.array([name for name in style.CONDITIONS if name in present])


def single_k(table: pd.DataFrame) -> int:
    """The one k of a table; ValueError for an empty table or several k."""
    if table.empty:
        raise ValueError("the table has no rows: nothing has been run for this figure yet")
    values = sorted(set(table["k"]))
    if len(values) != 1:
        raise ValueError(f"n-cuts of different k cannot share an axis; the table has k = {values}")
    return int(values[0])
