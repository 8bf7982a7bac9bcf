"""Many states of the explorer at once, for readers without a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from book.papers.ncut.nulls import draw_violin
from modgraph_lib.plots import style
from modgraph_lib.plots.networks import draw_matrix, ordered_matrix

METHOD_WORDS = {"layer": "all weights shuffled", "layer_nonzero": "only non-zero weights shuffled"}
METHOD_HATCHES = {"layer": None, "layer_nonzero": "////"}


@dataclass(frozen=True, eq=False)
class State:
    """One choice in the explorer: a network, a k, and its n-cut beside each null.

    Attributes:
        name: the network.
        k: number of clusters.
        graph: LayeredGraph or symmetric (N, N) matrix.
        labels: (N,) clusters, -1 for isolated nodes.
        ncut: n-cut of those clusters.
        shuffled: kind of shuffle -> n-cuts of the shuffles.
    """

    name: str
    k: int
    graph: Any
    labels: np.ndarray
    ncut: float
    shuffled: Mapping[str, np.ndarray]


def state_grid(states: Sequence[State], *, columns: int) -> Figure:
    """Each state as a matrix with its nulls below it, `columns` states in a row.

    Raises:
        ValueError: no state.
    """
    if not states:
        raise ValueError("state_grid needs at least one state")
    lines = -(-len(states) // columns)
    with style.styled():
        side = style.WIDTH / columns
        figure, all_axes = style.axes(
            2 * lines,
            columns,
            height=lines * (side + 1.05) + 0.4,
            height_ratios=[side, 0.75] * lines,
        )
        for axes in all_axes:
            axes.set_visible(False)
        for index, state in enumerate(states):
            line, column = divmod(index, columns)
            above = all_axes[2 * line * columns + column]
            below = all_axes[(2 * line + 1) * columns + column]
            above.set_visible(True)
            below.set_visible(True)
            matrix, bounds, numbers = ordered_matrix(state.graph, state.labels)
            top = float(np.quantile(matrix[matrix > 0], 0.995))
            draw_matrix(above, matrix, bounds, numbers, top, labelled=False)
            above.set_title(f"{state.name}\nk = {state.k}, n-cut {state.ncut:.3f}", fontsize=8.5)
            _null_strip(below, state)
        figure.legend(handles=_handles(states), loc="outside lower center", ncols=3)
    return figure


def _null_strip(axes, state: State) -> None:
    for place, (method, values) in enumerate(state.shuffled.items()):
        draw_violin(axes, np.asarray(values), place, hatch=METHOD_HATCHES[method], width=0.8)
    axes.axvline(state.ncut, color=style.NETWORK, linewidth=1.8)
    axes.plot([state.ncut], [-0.6], marker="v", color=style.NETWORK, clip_on=False)
    axes.set_ylim(len(state.shuffled) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="x", labelsize=7.5)


def _handles(states: Sequence[State]) -> list:
    methods = dict.fromkeys(method for state in states for method in state.shuffled)
    network = Line2D([], [], color=style.NETWORK, marker="v", label="n-cut of the network")
    nulls = [
        Patch(
            facecolor=style.SHUFFLE,
            edgecolor="white",
            hatch=METHOD_HATCHES[method],
            alpha=0.6,
            label=METHOD_WORDS[method],
        )
        for method in methods
    ]
    return [network, *nulls]
