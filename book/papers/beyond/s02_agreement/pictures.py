"""Pictures of which measures agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.beyond.s02_agreement.experiment import DATA, MEASURES, REGIMES
from book.papers.beyond.s02_agreement.measures import FUNCTION, STRUCTURE
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

__all__ = ["correlations", "scatter"]

MARKS = dict(zip(REGIMES, "osD^v*PXh", strict=True))
COLOURS = dict(zip(REGIMES, style.CLUSTERS, strict=False))


def correlations(matrix: pd.DataFrame) -> Figure:
    """A square of rank correlations with their numbers."""
    with style.styled():
        figure, (axis,) = style.axes(height=5.4, width=6.6)
        axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        for (y, x), value in np.ndenumerate(matrix.to_numpy()):
            if x != y and np.isfinite(value):
                colour = "white" if abs(value) > 0.6 else style.INK
                axis.text(x, y, f"{value:z.2f}", ha="center", va="center", color=colour)
        ticks = range(len(matrix))
        axis.set_xticks(ticks, matrix.columns, rotation=40, ha="right")
        axis.set_yticks(ticks, matrix.index)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
    return figure


def scatter(rows: pd.DataFrame, one: str = "layered", two: str = "importance") -> Figure:
    """One measure over another, a panel a data set, a marker a regime."""
    names = [name for name in DATA if name in set(rows["data"])]
    with style.styled():
        figure, axes = style.axes(1, len(names), height=3.4, sharey=True)
        for axis, data in zip(axes, names, strict=True):
            for regime in REGIMES:
                own = rows[(rows["data"] == data) & (rows["regime"] == regime)]
                axis.plot(own[one], own[two], MARKS[regime], color=COLOURS[regime],
                          markersize=5, alpha=0.8, label=regime)  # fmt: skip
            if two in FUNCTION:
                axis.axhline(1, color=style.FAINT, linewidth=0.8, zorder=0)
            if one in STRUCTURE:
                axis.axvline(0, color=style.FAINT, linewidth=0.8, zorder=0)
                axis.set_xscale("symlog", linthresh=5)
                axis.set_xticks([-10, 0, 10, 50], ["−10", "0", "10", "50"])
            axis.set(xlabel=MEASURES[one], title=data_name(data))
        axes[0].set_ylabel(MEASURES[two])
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
