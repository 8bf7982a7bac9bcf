"""Pictures of what the graph knows beside the learning rate."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.cnn_dynamics.s04_what_it_knows.measures import MATTERS, Gain
from modgraph_lib.plots import style

__all__ = ["WORDS", "errors", "gains", "predictions", "sure", "thermometer"]

WORDS = {
    "settings": "learning rate and dropout (no training)",
    "change.rolled.degree": "change of degree",
    "rolled.degree": "degree",
    "change.rolled.eigenvector": "change of centrality",
    "start.rolled.degree": "degree before training",
    "norms": "layer norms (no graph)",
    "weights": "weight statistics (no graph)",
    "accuracy": "accuracy so far",
    "loss": "loss and accuracy so far",
    "settings+change.rolled.degree": "settings + change of degree",
    "settings+norms": "settings + layer norms",
    "settings+accuracy": "settings + accuracy so far",
    "settings+accuracy+change.rolled.degree": "settings + accuracy + degree",
}


def thermometer(rows: pd.DataFrame, epoch: int = 1) -> Figure:
    """Size of the change of mean degree by an epoch, against the learning rate."""
    with style.styled():
        figure, (panel,) = style.axes(height=3.3, width=0.8 * style.WIDTH)
        shade, marks = mpl.colormaps["viridis"], "osD^vPX*hp"
        for number, (dropout, own) in enumerate(rows.groupby("dropout")):
            curves = [np.array(one["rolled.degree"])[:, 1] for one in own["signatures"]]
            moved = [
                abs(curve[epoch] - curve[0]) if len(curve) > epoch else np.nan for curve in curves
            ]
            panel.loglog(
                own["learning_rate"], moved, marks[number % len(marks)], ms=5, alpha=0.8,
                color=shade(0.9 * number / max(1, rows["dropout"].nunique() - 1)),
                label=f"dropout {dropout:g}",
            )  # fmt: skip
        panel.set(xlabel="learning rate", ylabel=f"change of mean degree, epoch 0 to {epoch}")
        panel.grid(color="#E6E6E6", linewidth=0.6)
        panel.legend(loc="upper left")
    return figure


def errors(rows: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Mean absolute error of each predictor, out of fold; without a graph hollow.

    Args:
        rows: records of a forest, one a set of features.
        order: which sets, from the top down; those that are not there are left out.
    """
    with style.styled():
        there = [name for name in order if name in set(rows["features"])]
        figure, (panel,) = style.axes(height=0.8 + 0.3 * len(there))
        values = rows.set_index("features")["mae"].astype(float)
        for line, name in enumerate(there):
            graph = "rolled" in name
            face = style.NETWORK if graph else "white"
            panel.plot([0, values[name]], [line, line], color=style.FAINT, linewidth=1)
            panel.plot(values[name], line, "o", ms=7, color=style.NETWORK, mfc=face)
            panel.text(values[name], line - 0.28, f" {values[name]:.2f}", fontsize=8)
        panel.set_yticks(range(len(there)), [WORDS[name] for name in there])
        panel.invert_yaxis()
        panel.set(xlabel="mean absolute error (points of accuracy)", xlim=(0, None))
    return figure


def gains(found: Mapping[str, Mapping[str, Gain]]) -> Figure:
    """Points of error saved by an addition to the settings, with 95% intervals.

    Args:
        found: group ("all networks") -> addition -> gain.
    """
    with style.styled():
        names = list(dict.fromkeys(name for group in found.values() for name in group))
        figure, (panel,) = style.axes(height=1.0 + 0.45 * len(names))
        marks = "os^D"
        for number, (group, own) in enumerate(found.items()):
            for line, name in enumerate(names):
                if name not in own:
                    continue
                gain, y = own[name], line + 0.18 * (number - (len(found) - 1) / 2)
                colour = style.NETWORK if number == 0 else "#D55E00"
                panel.plot([gain.low, gain.high], [y, y], color=colour, linewidth=1.5)
                label = group if line == 0 else None
                panel.plot(gain.points, y, marks[number], color=colour, ms=6, label=label)
        panel.axvline(0, color=style.INK, linewidth=0.8)
        panel.axvspan(0, MATTERS, color=style.FAINT, alpha=0.25, linewidth=0)
        panel.set_yticks(range(len(names)), [WORDS[name] for name in names])
        panel.invert_yaxis()
        panel.set_xlabel("points of error saved over the settings alone (grey: less than one)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def predictions(rows: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Predicted against true accuracy, out of fold, one panel a set of features."""
    with style.styled():
        there = [name for name in names if name in set(rows["features"])]
        figure, panels = style.axes(1, len(there), height=2.9, sharey=True, sharex=True)
        for panel, name in zip(panels, there, strict=True):
            row = rows[rows["features"] == name].iloc[-1]
            top = 1.05 * max(*row["accuracy"], *row["predicted"])
            panel.plot([0, top], [0, top], color=style.SHUFFLE, linewidth=0.8)
            panel.plot(row["accuracy"], row["predicted"], "o", ms=4, alpha=0.6, color=style.NETWORK)
            panel.set(title=textwrap.fill(WORDS[name], 24), xlabel="true accuracy (%)")
        panels[0].set_ylabel("predicted (%)")
    return figure


def sure(rows: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Right predictions of an SVM in balanced samples, with their spread over draws."""
    with style.styled():
        there = [name for name in order if name in set(rows["features"])]
        figure, (panel,) = style.axes(height=0.8 + 0.3 * len(there))
        own = rows.set_index("features")
        for line, name in enumerate(there):
            score, spread = float(own.loc[name, "scores"]), float(own.loc[name, "scores_sd"])
            face = style.NETWORK if "rolled" in name else "white"
            panel.errorbar(score, line, xerr=spread, fmt="o", color=style.NETWORK, mfc=face, ms=7)
        panel.axvline(50, color=style.SHUFFLE, linewidth=1, linestyle=":")
        panel.set_yticks(range(len(there)), [WORDS[name] for name in there])
        panel.invert_yaxis()
        panel.set(xlabel="right (%), five-fold, balanced", xlim=(30, 102))
    return figure
