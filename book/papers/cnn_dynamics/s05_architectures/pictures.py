"""Pictures of several architectures side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.cnn_dynamics.s03_predicting.pictures import LINES, LOOKS
from modgraph_lib.plots import style

__all__ = ["accuracies", "costs", "degrees", "signature_bars", "transfers"]


def degrees(found: Mapping[str, np.ndarray]) -> Figure:
    """Distribution of rolled degree, one box a network.

    Args:
        found: name -> (N,) degrees.
    """
    with style.styled():
        figure, (panel,) = style.axes(height=2.8)
        boxes = panel.boxplot(
            list(found.values()), vert=False, whis=(0, 100), patch_artist=True,
            medianprops={"color": style.INK},
        )  # fmt: skip
        for box in boxes["boxes"]:
            box.set(facecolor="#CFE3F1", edgecolor=style.NETWORK)
        panel.set_yticks(range(1, len(found) + 1), list(found))
        panel.invert_yaxis()
        panel.set(xscale="log", xlabel="degree before training (box: middle half; line: range)")
    return figure


def signature_bars(found: Mapping[str, np.ndarray], statistics: tuple[str, ...]) -> Figure:
    """The five statistics of several networks, one panel each."""
    with style.styled():
        figure, panels = style.axes(1, len(statistics), height=2.5)
        for place, (panel, name) in enumerate(zip(panels, statistics, strict=True)):
            panel.barh(range(len(found)), [own[place] for own in found.values()], color="#0072B2")
            panel.set_title(name)
            panel.invert_yaxis()
            panel.set_yticks(range(len(found)), list(found) if place == 0 else [""] * len(found))
    return figure


def accuracies(rows: Mapping[str, pd.DataFrame]) -> Figure:
    """Right predictions over epochs seen, one panel an architecture, both centralities.

    Raises:
        ValueError: no architecture.
    """
    if not rows:
        raise ValueError("accuracies needs at least one architecture")
    with style.styled():
        columns = min(3, len(rows))
        lines = -(-len(rows) // columns)
        figure, panels = style.axes(lines, columns, height=2.5 * lines + 0.5, sharey=True)
        for panel in panels[len(rows) :]:
            panel.set_visible(False)
        for panel, (name, table) in zip(panels, rows.items(), strict=False):
            for features in ("rolled.degree", "rolled.eigenvector"):
                colour, mark, words = LOOKS[features]
                for model, line in LINES.items():
                    own = table[(table["features"] == features) & (table["model"] == model)]
                    own = own[(own["average"] == "none") & ~own["permuted"].astype(bool)]
                    own = own.sort_values("last")
                    label = f"{words}, {model.upper()}"
                    panel.plot(
                        own["last"],
                        own["scores"],
                        line,
                        color=colour,
                        marker=mark,
                        ms=3,
                        label=label,
                    )
            panel.axhline(50, color=style.SHUFFLE, linewidth=1, linestyle=":")
            panel.set(title=name, xlabel="epochs seen", ylim=(40, 101))
        panels[0].set_ylabel("right (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def transfers(rows: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Right predictions on an architecture that the classifier has not seen."""
    with style.styled():
        figure, (panel,) = style.axes(height=1.0 + 0.4 * len(rows))
        for line, row in enumerate(rows.itertuples()):
            panel.errorbar(row.scores, line, xerr=row.scores_sd, fmt="o", color=style.NETWORK)
        words = [
            f"{', '.join(names.get(one, one) for one in row.trained_on)} to {names[row.tested_on]}"
            for row in rows.itertuples()
        ]
        panel.axvline(50, color=style.SHUFFLE, linewidth=1, linestyle=":")
        panel.set_yticks(range(len(words)), words)
        panel.set(xlabel="right (%), balanced", xlim=(0, 102))
    return figure


def costs(hours: Mapping[str, float]) -> Figure:
    """Hours of two cores for 120 networks of each kind at the paper's scale."""
    with style.styled():
        figure, (panel,) = style.axes(height=2.6)
        panel.barh(range(len(hours)), list(hours.values()), color=style.NETWORK)
        for line, value in enumerate(hours.values()):
            words = f" {value:.0f} hours" if value < 48 else f" {value / 24:.0f} days"
            panel.text(value, line, words, va="center")
        panel.set_yticks(range(len(hours)), list(hours))
        panel.invert_yaxis()
        panel.set(xscale="log", xlabel="hours of two cores for 120 networks, 50 epochs")
        panel.margins(x=0.25)
    return figure
