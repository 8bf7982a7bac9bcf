"""Pictures of what lesions cost, and of the range of that over classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.detecting_modularity.pictures import p_axis
from modgraph_lib.plots import style
from modgraph_lib.proxies import ProxyTest

__all__ = ["floors", "range_over_drop", "readings", "ranges_beside"]

READINGS = {
    "range": "as described",
    "range_per_drop": "divided by mean drop (code)",
    "range_residual": "beyond what the drop explains",
}


def floors(rows: pd.DataFrame) -> Figure:
    """Usable sub-clusters and n-cut of the weight graph over what counts as a zero weight.

    Args:
        rows: columns floor, groups, ncut, reading.
    """
    with style.styled():
        figure, axes = style.axes(1, 2, height=2.4)
        for axis, column, label in zip(
            axes, ("groups", "ncut"), ("usable sub-clusters", "n-cut"), strict=True
        ):
            for reading, marker in (("described", "o"), ("published", "s")):
                own = rows[rows["reading"] == reading]
                axis.plot(
                    np.maximum(own["floor"], 1e-46), own[column], marker=marker, label=reading
                )
            axis.set(xscale="log", xlabel="smallest weight that counts, relative", ylabel=label)
        axes[0].legend()
    return figure


def range_over_drop(drop: ProxyTest, spread: ProxyTest, *, title: str = "") -> Figure:
    """Range of the drops of classes over the mean drop: random sets (dots), clusters (diamonds)."""
    with style.styled():
        figure, (axis,) = style.axes(height=3.2, width=5)
        x, y = 100 * drop.controls.ravel(), 100 * spread.controls.ravel()
        axis.plot(x, y, ".", color=style.FAINT, label="random sets")
        axis.plot(100 * drop.true, 100 * spread.true, "D", color=style.NETWORK, markersize=4,
                  label="clusters")  # fmt: skip
        axis.set_xscale("symlog", linthresh=0.5)
        axis.set_yscale("symlog", linthresh=1)
        axis.set(xlabel="mean drop over classes, points", ylabel="range over classes, points")
        axis.set_title(title)
        axis.legend()
    return figure


def readings(table: pd.DataFrame) -> Figure:
    """-log10 p of class coherence in its three readings.

    Args:
        table: as ``page.conditions`` gives it, for the three proxies.
    """
    partitions = list(dict.fromkeys(table["partition"]))
    kinds = [name for name in READINGS if (table["proxy"] == name).any()]
    with style.styled():
        figure, (axis,) = style.axes(height=2.6)
        for marker, name in zip("osD", kinds, strict=False):
            own = table[(table["proxy"] == name) & (table["networks"] > 0)]
            for reading, fill in (("described", "full"), ("published", "none")):
                rows = own[own["reading"] == reading]
                x = [partitions.index(p) + 0.15 * "osD".index(marker) for p in rows["partition"]]
                y = -np.log10(np.clip(rows["p"], 1e-150, 1))
                label = READINGS[name] if reading == "described" else None
                axis.plot(x, y, marker, fillstyle=fill, color=style.CLUSTERS["osD".index(marker)],
                          label=label)  # fmt: skip
        axis.axhline(-np.log10(0.025), color=style.FAINT, linestyle="--")
        axis.set_xticks(range(len(partitions)), partitions)
        p_axis(axis.yaxis)
        axis.set(ylabel="−log₁₀ p", ylim=(-0.1, None))
        axis.legend()
    return figure


def ranges_beside(tests: Mapping[str, ProxyTest]) -> Figure:
    """Percentile of every cluster in the three readings, sorted; the diagonal is nothing.

    Args:
        tests: title -> a test of one network.
    """
    with style.styled():
        figure, (axis,) = style.axes(height=2.8, width=4.2)
        for marker, (title, test) in zip("osD", tests.items(), strict=False):
            p = np.sort(test.percentiles("random"))
            x = (np.arange(len(p)) + 0.5) / len(p)
            axis.plot(x, p, marker, markersize=3, label=title)
        axis.plot([0, 1], [0, 1], color=style.FAINT)
        axis.set(xlabel="share of clusters", ylabel="percentile (low: coherent)")
        axis.legend()
    return figure
