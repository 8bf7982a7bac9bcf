"""Is a number big?  A measurement drawn against the distribution it would have by chance."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from modgraph_lib.plots import style
from modgraph_lib.statistics import Numbers


def null_histogram(
    ncut: float, shuffled: Numbers, *, k: int, title: str = "", ax: Axes | None = None
) -> Figure:
    """One network's n-cut as a line over the histogram of its shuffles.

    Args:
        ncut: n-cut of the network itself.
        shuffled: n-cuts of its shuffles, at least one.
        k: number of clusters, for the axis label.
        ax: draw here instead of into a new figure.

    >>> plots.null_histogram(0.2, [0.8, 0.9, 1.1], k=2).axes[0].get_xlabel()
    'n-cut at k = 2 (lower: more clusterable)'
    """
    null = _values(shuffled, "shuffled")
    with style.styled():
        if ax is None:
            figure, (ax,) = style.axes(height=2.6)
        else:
            figure = ax.figure
        ax.hist(
            null,
            bins="auto" if len(null) > 1 else 1,
            color=style.SHUFFLE,
            alpha=0.75,
            label=f"{len(null)} shuffles",
        )
        ax.axvline(ncut, color=style.NETWORK, linewidth=2, label="this network")
        ax.plot([ncut], [0], marker="o", color=style.NETWORK, clip_on=False, zorder=5)
        ax.set_xlabel(f"n-cut at k = {k} (lower: more clusterable)")
        ax.set_ylabel("shuffles")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.set_title(title)
        ax.legend(loc="best")
    return figure


def initial_ncuts(ncuts: Numbers, *, k: int, paper: tuple[float, float] | None = None) -> Figure:
    """Histogram and kernel density of the n-cuts of untrained networks.

    `paper` is the range (low, high) the paper gives; drawn as a band.
    Source: SM Figure 3 (k = 4), CL Figure A.1 (k = 12).

    >>> plots.initial_ncuts([2.1, 2.2, 2.4], k=4, paper=(2, 2.5)).axes[0].get_xlabel()
    'n-cut at k = 4'
    """
    import seaborn as sns  # slow to import

    values = _values(ncuts, "ncuts")
    with style.styled():
        figure, (axes,) = style.axes(height=2.8)
        if paper is not None:
            axes.axvspan(*paper, color=style.PAPER, alpha=0.13, linewidth=0)
            for edge in paper:
                axes.axvline(edge, color=style.PAPER, linestyle="--", linewidth=1)
        many = len(values) > 2 and np.ptp(values) > 0
        sns.histplot(
            x=values,
            stat="density",
            kde=many,
            color=style.NETWORK,
            alpha=0.45,
            ax=axes,
            edgecolor="white",
        )
        axes.plot(values, np.zeros_like(values), "|", color=style.INK, markersize=7)
        handles = [
            Patch(color=style.NETWORK, alpha=0.45, label=f"{len(values)} untrained networks, ours")
        ]
        if paper is not None:
            label = f"range in the paper, {paper[0]:g} to {paper[1]:g}"
            handles.append(Patch(color=style.PAPER, alpha=0.3, label=label))
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2)
        axes.set_xlabel(f"n-cut at k = {k}")
        axes.set_ylabel("density")
    return figure


def _values(values: Numbers, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty list of numbers, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    return array
