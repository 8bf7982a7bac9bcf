"""Pictures of a grid of networks: how accurate they became, and their graphs on the way."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from book.papers.cnn_dynamics.s02_training.measures import STATISTICS
from modgraph_lib.plots import style

__all__ = ["accuracy_grid", "curves", "degree_over_epochs", "early_degree", "portrait"]

HIGH, LOW = style.NETWORK, "#D55E00"  # accurate ● and inaccurate ×
GRIDLINE = "#E6E6E6"


def accuracy_grid(rows: pd.DataFrame) -> Figure:
    """Final test accuracy over learning rate and dropout; a cross marks what diverged."""
    with style.styled():
        table = rows.pivot_table(index="dropout", columns="learning_rate", values="accuracy")
        figure, (panel,) = style.axes(height=1.4 + 0.32 * len(table))
        image = panel.imshow(table, cmap="viridis", aspect="auto", vmin=0)
        figure.colorbar(image, ax=panel, label="accuracy (%)")
        lost = rows[rows["diverged"] >= 0]
        columns, lines = list(table.columns), list(table.index)
        for rate, dropout in zip(lost["learning_rate"], lost["dropout"], strict=True):
            panel.plot(columns.index(rate), lines.index(dropout), "x", color="white", ms=5)
        step = max(1, len(columns) // 8)
        panel.set_xticks(range(0, len(columns), step), [f"{c:g}" for c in columns[::step]])
        panel.set_yticks(range(len(lines)), [f"{line:g}" for line in lines])
        panel.set(xlabel="learning rate", ylabel="dropout")
    return figure


def curves(rows: pd.DataFrame) -> Figure:
    """Test accuracy over the epochs, one line a network, shaded by its learning rate."""
    with style.styled():
        figure, (panel,) = style.axes(height=3.1)
        rates = np.log10(rows["learning_rate"])
        norm = mpl.colors.Normalize(rates.min(), rates.max())
        shade = mpl.colormaps["viridis"]
        for curve, rate in zip(rows["curve"], rates, strict=True):
            panel.plot(curve, color=shade(0.92 * norm(rate)), linewidth=1)
            panel.plot(len(curve) - 1, curve[-1], "|", color=shade(0.92 * norm(rate)))
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(rates.min(), rates.max()), "viridis")
        figure.colorbar(scale, ax=panel, label="log10 learning rate")
        panel.set(xlabel="epochs finished", ylabel="test accuracy (%)", ylim=(0, None))
        panel.grid(axis="y", color=GRIDLINE, linewidth=0.6)
    return figure


def degree_over_epochs(
    rows: pd.DataFrame, threshold: float, statistics: Sequence[str] = ("mean", "sd", "median")
) -> Figure:
    """Statistics of rolled degree over epochs: accurate networks blue, inaccurate ones red."""
    with style.styled():
        figure, panels = style.axes(1, len(statistics), height=3.0, sharex=True)
        for panel, name in zip(panels, statistics, strict=True):
            _degrees(panel, rows, rows["accuracy"] > threshold, STATISTICS[name])
            panel.set(title=f"{name} degree", xlabel="epochs finished")
        panels[0].set_ylabel("degree")
        figure.legend(handles=_kinds(), loc="outside lower center", ncols=2)
    return figure


def early_degree(rows: pd.DataFrame, last: int) -> Figure:
    """Mean degree in the first epochs, relative to its start, without saying who is accurate."""
    with style.styled():
        figure, (panel,) = style.axes(height=3.0, width=0.75 * style.WIDTH)
        for own in rows["signatures"]:
            curve = np.array(own["rolled.degree"])[: last + 1, 1]
            panel.plot(curve / curve[0], color=style.INK, linewidth=0.9, alpha=0.6)
        panel.set(xlabel="epochs finished", ylabel="mean degree, start = 1")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(axis="y", color=GRIDLINE, linewidth=0.6)
    return figure


def portrait(rows: pd.DataFrame, places: Sequence[int], epochs: Sequence[int]) -> Figure:
    """Networks side by side: deciles of degree at some epochs, and the accuracy curve below.

    Args:
        places: rows to show.
        epochs: of the upper panels.
    """
    with style.styled():
        figure, panels = style.axes(2, len(places), height=4.4, sharey="row")
        for column, place in enumerate(places):
            row = rows.iloc[place]
            upper, lower = panels[column], panels[len(places) + column]
            deciles = np.array(row["deciles"])
            there = [epoch for epoch in epochs if epoch < len(deciles)]
            for number, epoch in enumerate(there):
                shade = mpl.colormaps["viridis"](0.9 * number / max(1, len(there) - 1))
                upper.plot(np.arange(0, 101, 10), deciles[epoch], ".-", color=shade, lw=1, ms=3)
                upper.text(101, deciles[epoch][-1], f"{epoch}", color=shade, fontsize=7)
            upper.set_title(f"rate {row['learning_rate']:g}, dropout {row['dropout']:g}")
            lower.plot(row["curve"], color=style.INK, marker=".", ms=3, lw=1)
            lower.set(xlabel="epochs finished", ylim=(0, 100))
            lower.xaxis.get_major_locator().set_params(integer=True)
            upper.set_xlabel("percent of nodes below")
        panels[0].set_ylabel("degree")
        panels[len(places)].set_ylabel("test accuracy (%)")
    return figure


def _degrees(panel: Axes, rows: pd.DataFrame, high: pd.Series, statistic: int) -> None:
    order = np.argsort(high.to_numpy(), kind="stable")  # accurate ones on top
    for place in order:
        table = np.array(rows["signatures"].iloc[place]["rolled.degree"])
        colour, mark = (HIGH, "o") if high.iloc[place] else (LOW, "x")
        values = table[:, statistic]
        panel.plot(values, color=colour, linewidth=0.9, alpha=0.7)
        panel.plot(len(values) - 1, values[-1], mark, color=colour, ms=3)
    panel.grid(axis="y", color=GRIDLINE, linewidth=0.6)
    low, top = panel.get_ylim()
    if top > 30 * max(low, 1e-9):
        panel.set_yscale("log")
    panel.xaxis.get_major_locator().set_params(integer=True)


def _kinds() -> list[Line2D]:
    return [
        Line2D([], [], color=HIGH, marker="o", ms=4, label="accurate in the end"),
        Line2D([], [], color=LOW, marker="x", ms=4, label="inaccurate"),
    ]
