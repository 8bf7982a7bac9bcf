"""Pictures of the law, and of what instruments find in networks with planted modules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from book.papers.beyond.s01_calibration.experiment import INSTRUMENTS
from book.papers.beyond.s01_calibration.explorer import State
from modgraph_lib import clustering
from modgraph_lib.plots import style

__all__ = ["eigenvalues", "power", "states"]

MARKS = dict(zip(INSTRUMENTS, "osD^v*P", strict=True))
COLOURS = dict(zip(INSTRUMENTS, style.CLUSTERS, strict=False))


def power(curves: pd.DataFrame, *, label: str = "agreement with the modules (ARI)") -> Figure:
    """A curve an instrument over the leak, a panel for separate and one for mixed inputs.

    Args:
        curves: columns instrument, inputs, leak, mean, sem.
    """
    kinds = [kind for kind in ("separate", "mixed") if kind in set(curves["inputs"])]
    with style.styled():
        figure, axes = style.axes(1, len(kinds), height=3.6, sharey=True)
        for axis, kind in zip(axes, kinds, strict=True):
            for place, name in enumerate(INSTRUMENTS):
                own = curves[(curves["inputs"] == kind) & (curves["instrument"] == name)]
                axis.errorbar(
                    own["leak"] + 0.004 * (place - 3), own["mean"], own["sem"].fillna(0),
                    color=COLOURS[name], marker=MARKS[name], markersize=5, linewidth=1,
                    label=INSTRUMENTS[name],
                )  # fmt: skip
            axis.axhline(0, color=style.FAINT, linewidth=0.8)
            axis.set(xlabel="leak", title=f"{kind} inputs")
        axes[0].set_ylabel(label)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def eigenvalues(blocks: int) -> Figure:
    """The strands' eigenvalue over the leak, beside those of depth, and where it falls below."""
    leaks = np.linspace(0, 1, 201)
    with style.styled():
        figure, (axis,) = style.axes(height=3.2, width=5.6)
        axis.plot(leaks, (1 - leaks) / (1 + leaks), color=style.NETWORK, label="strands")
        for j in range(1, (blocks + 1) // 2):
            value, limit = np.cos(np.pi * j / blocks), clustering.strand_limit(blocks, k=j + 1)
            axis.axhline(value, color=style.INK, linestyle="--", linewidth=1)
            words = f"depth, cos({'' if j == 1 else j}π/{blocks})"
            axis.text(0.995, value, words, ha="right", va="bottom")
            axis.plot([limit], [value], "o", color=style.PAPER)
            axis.annotate(
                f"k = {j + 1}: {limit:.3f}", (limit, value), (8, 5), textcoords="offset points"
            )
        axis.set(xlabel="leak", ylabel="eigenvalue", ylim=(0, 1.05), xlim=(0, 1))
        axis.legend(loc="lower left")
    return figure


def states(found: Sequence[State]) -> Figure:
    """For each state the strands, the n-cut's and layered Q's answer: layers side by side."""
    with style.styled():
        figure, axes = style.axes(len(found), 3, height=1.9 * len(found) + 0.2)
        colours = ListedColormap(style.CLUSTERS[:2])
        for row, state in enumerate(found):
            for column, (name, labels) in enumerate(state.answers.items()):
                axis = axes[3 * row + column]
                grid = np.array(np.split(labels, len(state.layers))).T
                axis.imshow(grid, cmap=colours, vmin=0, vmax=1, aspect="auto")
                for (y, x), label in np.ndenumerate(grid):
                    axis.text(x, y, str(label + 1), ha="center", va="center", color="white",
                              fontsize=6)  # fmt: skip
                axis.set_xticks(range(len(state.layers)))
                axis.set_yticks([])
                axis.set_title(
                    f"{name}" if column == 0 else f"{name}: ARI {state.agreement[name]:.2f}"
                )
            axes[3 * row].set_ylabel(f"leak {state.leak:g}\n{state.blocks} blocks")
        for axis in axes[-3:]:
            axis.set_xlabel("layer")
    return figure
