"""Q of every layer during training, and deep layers against accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from book.papers.community_modularity.s03_training import shapes as training_shapes
from modgraph_lib.plots import style

__all__ = ["DEPTHS", "deep_against_accuracy", "q_over_depth", "q_over_epochs"]

DEPTHS = "viridis"  # shallow is dark, deep is light
LIGHTEST = 0.88
MARKERS = ("o", "s", "^", "D", "v", "P")


def q_over_epochs(networks: Mapping[str, pd.DataFrame]) -> Figure:
    """Q of every layer after each epoch, one panel a network, with its test accuracy.

    Args:
        networks: title -> table of ``training_shapes.over_epochs``; epoch 0 is before training.

    Raises:
        ValueError: no network.
    """
    if not networks:
        raise ValueError("q_over_epochs needs at least one network")
    columns = min(2, len(networks))
    lines = -(-len(networks) // columns)
    with style.styled():
        figure, panels = style.axes(
            lines, columns, height=3.1 * lines + 0.4, sharex=True, sharey=True
        )
        for panel in panels[len(networks) :]:
            panel.set_visible(False)
        for place, (panel, (title, table)) in enumerate(
            zip(panels, networks.items(), strict=False)
        ):
            _draw_epochs(panel, table)
            panel.set_title(title)
            if place >= len(networks) - columns:
                panel.set_xlabel("epochs finished")
            if place % columns == 0:
                panel.set_ylabel("modularity Q, accuracy")
        dashed = Line2D([], [], color=style.INK, linestyle="--", marker="x", label="test accuracy")
        ends = [
            Line2D([], [], color=_shade(place), marker=marker, label=word)
            for place, marker, word in ((0, "v", "first layer"), (1, "^", "last layer"))
        ]
        figure.legend(handles=[*ends, dashed], loc="outside lower center", ncols=3)
    return figure


def q_over_depth(networks: Mapping[str, pd.DataFrame]) -> Figure:
    """The curve of Q over layers after each epoch, one panel a network.

    Args:
        networks: as for ``q_over_epochs``.

    Raises:
        ValueError: no network.
    """
    if not networks:
        raise ValueError("q_over_depth needs at least one network")
    columns = min(2, len(networks))
    lines = -(-len(networks) // columns)
    with style.styled():
        figure, panels = style.axes(lines, columns, height=2.9 * lines + 0.4, sharey=True)
        for panel in panels[len(networks) :]:
            panel.set_visible(False)
        for place, (panel, (title, table)) in enumerate(
            zip(panels, networks.items(), strict=False)
        ):
            curves = table.drop(columns="test_accuracy")
            depth, ends = np.arange(1, curves.shape[1] + 1), {0: "o", len(curves) - 1: "s"}
            for number, q in enumerate(curves.to_numpy()):
                shade = _shade(number / max(1, len(curves) - 1))
                marker = ends.get(number)
                panel.plot(depth, q, color=shade, marker=marker, markersize=4, linewidth=1.2)
            panel.set_title(title)
            panel.set_xlabel("layer")
            panel.set_ylim(min(-0.05, float(curves.min().min())), 1)
            panel.grid(axis="y", color="#E6E6E6", linewidth=0.6)
            panel.xaxis.get_major_locator().set_params(integer=True)
            if place % columns == 0:
                panel.set_ylabel("modularity Q")
        handles = [
            Line2D([], [], color=_shade(place), marker=marker, label=word)
            for place, marker, word in ((0, "o", "first curve"), (1, "s", "last epoch"))
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def deep_against_accuracy(networks: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean Q of the deep layers against test accuracy, one mark an epoch.

    Args:
        networks: as for ``q_over_epochs``. Epoch 0 has no accuracy and is left out.

    The line from the origin through each network's means is what proportional would be.

    Raises:
        ValueError: no network.
    """
    if not networks:
        raise ValueError("deep_against_accuracy needs at least one network")
    with style.styled():
        figure, (panel,) = style.axes(height=3.6, width=0.72 * style.WIDTH)
        for place, (title, table) in enumerate(networks.items()):
            known = table[table["test_accuracy"].notna()]
            deep = list(training_shapes.ends(known.shape[1] - 1)[1])
            accuracy, q = known["test_accuracy"].to_numpy(), known[deep].mean(axis=1).to_numpy()
            colour = style.CLUSTERS[place % len(style.CLUSTERS)]
            marker = MARKERS[place % len(MARKERS)]
            panel.plot(accuracy, q, marker, color=colour, markersize=5, alpha=0.85, label=title)
            end = max(1.0, accuracy.max())
            panel.plot([0, end], [0, end * q.mean() / accuracy.mean()], color=colour, linewidth=0.8)
        panel.set(xlim=(0, 1), xlabel="test accuracy", ylabel="mean Q of the deep layers")
        panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
        panel.grid(color="#E6E6E6", linewidth=0.6)
        figure.legend(loc="outside right center")
    return figure


def _draw_epochs(panel: Axes, table: pd.DataFrame) -> None:
    layers = [name for name in table.columns if name != "test_accuracy"]
    for place, layer in enumerate(layers):
        marker = {0: "v", len(layers) - 1: "^"}.get(place)
        depth = place / max(1, len(layers) - 1)
        panel.plot(table.index, table[layer], color=_shade(depth), marker=marker, markersize=4)
    panel.plot(
        table.index, table["test_accuracy"], color=style.INK, linestyle="--", marker="x",
        markersize=4, linewidth=1,
    )  # fmt: skip
    panel.set_ylim(min(-0.05, float(np.nanmin(table[layers]))), 1)
    panel.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    panel.xaxis.get_major_locator().set_params(integer=True)


def _shade(depth: float):
    """Colour of a layer at ``depth`` in 0..1."""
    return mpl.colormaps[DEPTHS](LIGHTEST * depth)
