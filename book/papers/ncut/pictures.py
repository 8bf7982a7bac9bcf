"""n-cut by training condition: against accuracy, and against the shuffles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from book.papers.ncut.nulls import draw_violin, single_k
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style


def ncut_against_accuracy(table: pd.DataFrame) -> Figure:
    """Test accuracy over n-cut, one mark a network and stage; one panel a data set.

    Args:
        table: columns data, regularizer, stage ("unpruned" or "pruned"), ncut, test_accuracy
            and k (one value).

    Colour is the training condition, shape the stage.  Source: SM Figure 2.

    Raises:
        ValueError: an empty table, or more than one k.
    """
    k = single_k(table)
    datasets = list(dict.fromkeys(table["data"]))
    with style.styled():
        figure, all_axes = style.axes(1, len(datasets), height=3.3, sharex=True)
        for axes, data in zip(all_axes, datasets, strict=True):
            here = table[table["data"] == data]
            for (regularizer, stage), rows in here.groupby(["regularizer", "stage"]):
                colour = style.condition(regularizer)[0]
                axes.scatter(
                    rows["ncut"],
                    rows["test_accuracy"],
                    color=colour,
                    s=30,
                    alpha=0.85,
                    marker=style.STAGES[stage],
                    edgecolors="white",
                    linewidths=0.5,
                )
            axes.set_title(data_name(data))
            axes.set_xlabel(f"n-cut at k = {k}")
            axes.margins(0.12)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.grid(color="#EAEAEA", linewidth=0.6)
            axes.set_axisbelow(True)
        all_axes[0].set_ylabel("test accuracy")
        figure.legend(handles=_accuracy_handles(table), loc="outside upper center", ncols=4)
    return figure


def ncut_by_condition(table: pd.DataFrame, *, stage: str) -> Figure:
    """n-cut of each network beside the violin of its shuffles, by condition and data set.

    Args:
        table: columns data, regularizer, stage, ncut, shuffled, significant and k (one value).
        stage: "unpruned" (CL Figure 2) or "pruned" (CL Figure 3).

    A filled mark is a network below every one of its shuffles; the count is printed on top.

    Raises:
        ValueError: no row of that stage, or more than one k.
    """
    if stage not in style.STAGES:
        raise ValueError(f"stage must be one of {', '.join(style.STAGES)}; got {stage!r}")
    rows = table[table["stage"] == stage]
    k = single_k(rows)
    datasets = list(dict.fromkeys(rows["data"]))
    with style.styled():
        figure, all_axes = style.axes(1, len(datasets), height=3.6, sharey=True)
        for axes, data in zip(all_axes, datasets, strict=True):
            _condition_columns(axes, rows[rows["data"] == data])
            axes.set_title(f"{data_name(data)}, {stage}", pad=16)
        all_axes[0].set_ylabel(f"n-cut at k = {k}")
        figure.legend(handles=condition_handles(), loc="outside lower center", ncols=3)
    return figure


def _condition_columns(axes: Axes, table: pd.DataFrame) -> None:
    groups = []
    for name in style.CONDITIONS:
        if name in set(table["regularizer"]):
            colour, marker, word = style.condition(name)
            groups.append((word, colour, marker, table[table["regularizer"] == name]))
    draw_columns(axes, groups)


def draw_columns(axes: Axes, groups: Sequence[tuple[str, str, str, pd.DataFrame]]) -> None:
    """A column of marks beside the violin of its shuffles for each (word, colour, marker, rows).

    A filled mark is a network below every one of its shuffles; the count is printed on top.
    """
    for place, (_, colour, marker, group) in enumerate(groups):
        rows = group.sort_values("ncut")
        null = np.concatenate([np.asarray(values, dtype=float) for values in rows["shuffled"]])
        draw_violin(axes, null, place + 0.2, vertical=True)
        x = place - 0.2 + np.linspace(-0.12, 0.12, len(rows)) * (len(rows) > 1)
        significant = rows["significant"].to_numpy(dtype=bool)
        for filled in (True, False):
            chosen = significant == filled
            axes.scatter(
                x[chosen],
                rows["ncut"].to_numpy()[chosen],
                marker=marker,
                s=30,
                zorder=4,
                facecolors=colour if filled else "white",
                edgecolors=colour,
                linewidths=1.1,
            )
        axes.annotate(
            f"{significant.sum()}/{len(rows)}",
            (place, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=8.5,
        )
    axes.set_xticks(range(len(groups)), [word for word, *_ in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def _accuracy_handles(table: pd.DataFrame) -> list[Line2D]:
    present = [name for name in style.CONDITIONS if name in set(table["regularizer"])]
    stages = [name for name in style.STAGES if name in set(table["stage"])]
    colours = [
        Patch(color=style.condition(name)[0], label=style.condition(name)[2]) for name in present
    ]
    shapes = [
        Line2D([], [], color=style.INK, marker=style.STAGES[name], linestyle="none", label=name)
        for name in stages
    ]
    return colours + shapes


def condition_handles() -> list:
    """Legend of ``draw_columns``."""
    plain = {"linestyle": "none", "marker": "o", "markeredgecolor": style.INK}
    return [
        Line2D([], [], markerfacecolor=style.INK, label="network below all its shuffles", **plain),
        Line2D([], [], markerfacecolor="white", label="network not below all", **plain),
        Patch(color=style.SHUFFLE, alpha=0.55, label="shuffles"),
    ]
