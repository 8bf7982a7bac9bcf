"""Single lesions: what each sub-module costs, and which classes pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modgraph_lib.plots import style

__all__ = ["class_bars", "lesion_maps", "lesion_null", "two_kinds"]

# Class of importance -> (colour, marker, size).
IMPORTANCE = {
    "important": ("#D55E00", "s", 46),
    "sig-but-not-diff": ("#E69F00", "^", 40),
    "diff-but-not-sig": ("#009E73", "D", 32),
    "other": ("#0072B2", "o", 26),
    "small": ("#8C8C8C", "x", 24),
    "complete": ("#7B3FA0", "P", 40),
}
HALO = [effects.withStroke(linewidth=2.5, foreground="white")]


def lesion_maps(panels: Mapping[str, pd.DataFrame], *, named: Sequence[str] = ()) -> Figure:
    """Loss of accuracy over a sub-module's share of its layer, one panel a network.

    Args:
        panels: title -> columns name, proportion, loss (fractions), importance, and random_mean
            (mean change under random lesions, a fraction), which is drawn as a grey tick.
        named: names to print besides those of the important sub-modules.

    Source: SM figure 5.

    Raises:
        ValueError: no panel, or an empty one.
    """
    check_panels(panels)
    with style.styled():
        figure, all_axes = style.axes(1, len(panels), height=3.9, sharex=True, sharey=True)
        for axes, (title, rows) in zip(all_axes, panels.items(), strict=True):
            axes.axhline(1, color=style.FAINT, linewidth=0.8, linestyle="--", zorder=0)
            axes.axvline(0.05, color=style.FAINT, linewidth=0.8, linestyle=":", zorder=0)
            for row in rows.itertuples(index=False):
                expected = -100 * row.random_mean
                axes.plot(
                    [row.proportion] * 2,
                    [expected, 100 * row.loss],
                    color=style.FAINT,
                    linewidth=0.7,
                    zorder=1,
                )
                axes.plot([row.proportion], [expected], marker="_", color=style.SHUFFLE, zorder=2)
            for kind, (colour, marker, size) in IMPORTANCE.items():
                some = rows[rows["importance"] == kind]
                axes.scatter(
                    some["proportion"],
                    100 * some["loss"],
                    c=colour,
                    marker=marker,
                    s=size,
                    zorder=3,
                )
            # linear up to one point, so that the many small losses do not lie on each other
            axes.set_yscale("symlog", linthresh=1, subs=[2, 5])
            axes.yaxis.set_major_formatter("{x:g}")
            _print_names(axes, rows[(rows["importance"] == "important") | rows["name"].isin(named)])
            axes.set_title(title)
            axes.set_xlabel("share of the layer's units")
            axes.margins(0.08)
        all_axes[0].set_ylabel("loss of accuracy, points")
        figure.legend(handles=_importance_handles(panels), loc="outside lower center", ncols=4)
    return figure


def class_bars(
    panels: Mapping[str, np.ndarray],
    intact: np.ndarray,
    classes: Sequence[str],
    *,
    columns: int = 3,
) -> Figure:
    """Accuracy of each class under some lesions (bars) and without (ticks).

    Args:
        panels: title -> (C,) accuracies by class.
        intact: (C,) accuracies of the network as it is.
        classes: C names.
        columns: panels in a row.

    Raises:
        ValueError: no panel, or one that does not have C numbers.
    """
    if not panels:
        raise ValueError("class_bars needs at least one panel")
    if any(len(values) != len(classes) for values in (intact, *panels.values())):
        raise ValueError(f"every panel needs {len(classes)} accuracies, one a class")
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    with style.styled():
        figure, all_axes = style.axes(
            lines, columns, height=lines * (0.17 * len(classes) + 0.55) + 0.45, sharex=True,
            sharey=True,
        )  # fmt: skip
        for axes in all_axes[len(panels) :]:
            axes.set_visible(False)
        places = np.arange(len(classes))
        for axes, (title, values) in zip(all_axes, panels.items(), strict=False):
            lost = np.nan_to_num(intact) - np.nan_to_num(values) > 0.05
            axes.barh(places[~lost], values[~lost], color=style.NETWORK, height=0.62)
            axes.barh(places[lost], values[lost], color="#D55E00", height=0.62, hatch="////",
                      edgecolor="white")  # fmt: skip
            for place in places[lost & (np.nan_to_num(values) == 0)]:
                axes.text(0.015, place, "0", va="center", color="#D55E00", fontweight="bold")
            axes.plot(intact, places, linestyle="none", marker="|", markersize=9, color=style.INK)
            axes.set_title(title, fontsize=8.5)
            axes.set_xlim(0, 1.03)
        all_axes[0].set_yticks(places, classes)
        all_axes[0].invert_yaxis()
        handles = [
            Patch(color=style.NETWORK, label="accuracy of the class, lesioned"),
            Patch(facecolor="#D55E00", hatch="////", edgecolor="white",
                  label="more than 5 points lost"),
            Line2D([], [], color=style.INK, marker="|", linestyle="none", label="not lesioned"),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def lesion_null(accuracy: float, random: Sequence[float], *, name: str) -> Figure:
    """Accuracy with one sub-module lesioned, over the histogram for random sets of its size.

    Args:
        accuracy: a fraction.
        random: (R,) fractions.
        name: of the sub-module.

    Raises:
        ValueError: no random set.
    """
    if not len(random):
        raise ValueError("lesion_null needs at least one random set")
    with style.styled():
        figure, (axes,) = style.axes(height=2.6)
        axes.hist(
            100 * np.asarray(random),
            bins="auto" if len(random) > 1 else 1,
            color=style.SHUFFLE,
            alpha=0.75,
            label=f"{len(random)} random sets",
        )
        axes.axvline(100 * accuracy, color=style.NETWORK, linewidth=2, label=f"without {name}")
        axes.plot([100 * accuracy], [0], marker="o", color=style.NETWORK, clip_on=False, zorder=5)
        axes.set_xlabel("accuracy with the lesion, %")
        axes.set_ylabel("random sets")
        axes.legend(loc="best")
    return figure


def two_kinds(weights: pd.DataFrame, zero: pd.DataFrame) -> Figure:
    """Loss of every sub-module under the two definitions of a lesion, one mark a sub-module.

    Args:
        weights: bias kept; columns seed, name, depth, loss (a fraction).
        zero: activation zero; the same columns, for the same networks or some of them.

    Raises:
        ValueError: no sub-module is in both.
    """
    both = weights.merge(zero, on=["seed", "name", "depth"], suffixes=("_weights", "_zero"))
    if both.empty:
        raise ValueError("no sub-module was lesioned in both ways")
    colours = style.cluster_colours(int(both["depth"].max()))
    with style.styled():
        figure, (axes,) = style.axes(height=3.9, width=0.72 * style.WIDTH)
        both[["loss_weights", "loss_zero"]] *= 100
        ends = [
            both[["loss_weights", "loss_zero"]].min().min(),
            both[["loss_weights", "loss_zero"]].max().max(),
        ]
        axes.plot(ends, ends, color=style.FAINT, linewidth=0.9, zorder=0)
        for depth, rows in both.groupby("depth"):
            axes.scatter(
                rows["loss_zero"],
                rows["loss_weights"],
                color=colours[depth - 1],
                marker="os^Dv*"[(depth - 1) % 6],
                s=30,
                alpha=0.85,
                label=f"layer {depth}",
            )
        axes.set_xscale("symlog", linthresh=1)
        axes.set_yscale("symlog", linthresh=1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.set_xlabel("loss with activations at zero, points")
        axes.set_ylabel("loss with the bias kept, points")
        axes.legend()
    return figure


def check_panels(panels: Mapping[str, pd.DataFrame]) -> None:
    if not panels:
        raise ValueError("need at least one panel")
    if empty := [title for title, rows in panels.items() if not len(rows)]:
        raise ValueError(f"nothing to draw for {', '.join(empty)}")


def _print_names(axes: Axes, rows: pd.DataFrame) -> None:
    for row in rows.itertuples(index=False):
        axes.annotate(
            row.name,
            (row.proportion, 100 * row.loss),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=8.5,
            path_effects=HALO,
            zorder=5,
        )


def _importance_handles(panels: Mapping[str, pd.DataFrame]) -> list[Line2D]:
    present = {kind for rows in panels.values() for kind in rows["importance"]}
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=kind)
        for kind, (colour, marker, _) in IMPORTANCE.items()
        if kind in present
    ]
    tick = {"color": style.SHUFFLE, "marker": "_", "linestyle": "none"}
    return [*handles, Line2D([], [], label="mean of random sets", **tick)]
