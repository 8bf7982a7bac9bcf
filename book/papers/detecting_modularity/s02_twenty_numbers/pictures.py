"""Pictures of ranks, p-values and what ties do to them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from modgraph_lib import statistics
from modgraph_lib.plots import style
from modgraph_lib.proxies import TIES

__all__ = [
    "benjamini",
    "conservative",
    "fisher_law",
    "five_means",
    "rank_of",
    "rules",
    "rules_mnist",
]

TIE_WORDS = {
    "count": "against the cluster",
    "ignore": "for the cluster (code)",
    "middle": "half",
    "random": "at random",
}
TIE_MARKS = {"count": "o", "ignore": "s", "middle": "^", "random": "D"}


def rank_of(true: float, random: np.ndarray, *, label: str) -> Figure:
    """One true value among its random ones, on a line.

    Args:
        true: of the cluster.
        random: (m,).
        label: what is measured.
    """
    with style.styled():
        figure, (axis,) = style.axes(height=1.1)
        axis.plot(random, np.zeros(len(random)), "|", color=style.SHUFFLE, markersize=16)
        axis.plot([true], [0], "D", color=style.NETWORK)
        axis.set(yticks=[], xlabel=label)
        axis.spines["left"].set_visible(False)
    return figure


def fisher_law(percentiles: np.ndarray) -> Figure:
    """The chi-squared density of the Fisher statistic, and where these percentiles put it."""
    count = len(percentiles)
    statistic = float(-2 * np.log(percentiles).sum())
    x = np.linspace(0, max(2 * count + 6 * (4 * count) ** 0.5, 1.1 * statistic), 400)
    with style.styled():
        figure, (axis,) = style.axes(height=2.2)
        axis.plot(x, stats.chi2(2 * count).pdf(x), color=style.SHUFFLE)
        beyond = x >= statistic
        axis.fill_between(x[beyond], stats.chi2(2 * count).pdf(x[beyond]), color=style.FAINT)
        axis.axvline(statistic, color=style.NETWORK)
        axis.set(xlabel="−2 Σ log percentile", yticks=[])
    return figure


def five_means(mean: np.ndarray) -> Figure:
    """The Bates probability of a mean of five p-values, on two logarithmic axes.

    Args:
        mean: values of the mean to draw.
    """
    with style.styled():
        figure, (axis,) = style.axes(height=2.4, width=4.5)
        y = [statistics.bates_p_value([value] * 5) for value in mean]
        axis.loglog(mean, y, color=style.NETWORK)
        axis.loglog(mean, mean, color=style.FAINT, linestyle="--")
        axis.set(xlabel="mean of five p-values", ylabel="p of the five")
    return figure


def benjamini(panels: Mapping[str, np.ndarray]) -> Figure:
    """Sorted p-values, the line that they have to stay below, and the critical value.

    Args:
        panels: title -> (m,) p-values.
    """
    with style.styled():
        figure, axes = style.axes(1, len(panels), height=2.6)
        for axis, (title, p) in zip(axes, panels.items(), strict=True):
            ordered, x = np.sort(p), np.arange(1, len(p) + 1)
            critical = statistics.benjamini_hochberg(p).critical
            hit = ordered <= critical
            axis.plot(x[hit], ordered[hit], "o", color=style.NETWORK, markersize=4)
            axis.plot(
                x[~hit], ordered[~hit], "o", color=style.SHUFFLE, fillstyle="none", markersize=4
            )
            axis.plot(x, 0.05 * x / len(p), color=style.INK, linewidth=1)
            axis.set(title=f"{title}: {critical:g}", xlabel="rank", yscale="symlog", ylim=(0, 1))
            axis.set_yscale("symlog", linthresh=0.01)
        axes[0].set_ylabel("p-value")
    return figure


def conservative(rates: pd.DataFrame) -> Figure:
    """False positive rate at 0.05 over the number of sub-clusters, by number of random sets.

    Args:
        rates: columns controls, groups, chi-squared and exact.
    """
    with style.styled():
        figure, axes = style.axes(1, 2, height=2.5, sharey=True)
        for axis, column in zip(axes, ("chi-squared", "exact"), strict=True):
            for (controls, rows), marker in zip(rates.groupby("controls"), "osD", strict=False):
                axis.plot(
                    rows["groups"], rows[column], marker=marker, label=f"{controls} random sets"
                )
            axis.axhline(0.05, color=style.FAINT, linestyle="--")
            axis.set(title=column, xlabel="sub-clusters", ylim=(0, 0.08))
        axes[0].set_ylabel("share with p ≤ 0.05")
        axes[1].legend()
    return figure


def rules(null: pd.DataFrame) -> Figure:
    """p-values of random partitions under each rule for ties, sorted; the diagonal is right.

    Args:
        null: of ``experiment.table``, one record.
    """
    proxies = list(dict.fromkeys(null["proxy"]))
    with style.styled():
        figure, axes = style.axes(1, len(proxies), height=2.9, sharey=True)
        for axis, proxy in zip(axes, proxies, strict=True):
            for ties in TIES:
                (row,) = null[(null["proxy"] == proxy) & (null["ties"] == ties)].to_dict("records")
                p = np.sort(row["p_values"])
                x = (np.arange(len(p)) + 0.5) / len(p)
                axis.plot(x, p, TIE_MARKS[ties], markersize=3, label=TIE_WORDS[ties])
            axis.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, zorder=0)
            axis.set(title=f"{NAMES[proxy]}\n{row['tied']:.0%} ties", xlabel="share of partitions")
        axes[0].set_ylabel("p-value")
        axes[min(2, len(axes) - 1)].legend(fontsize=7, loc="center right")
    return figure


NAMES = {
    "drop": "accuracy drop",
    "range": "class range",
    "range_per_drop": "range / mean drop",
    "range_residual": "range beyond drop",
}


def rules_mnist(shares: pd.DataFrame) -> Figure:
    """Share of p at most 0.05 when a random set stands in the place of each true one.

    Args:
        shares: columns partition, ties, share.
    """
    partitions = list(dict.fromkeys(shares["partition"]))
    with style.styled():
        figure, (axis,) = style.axes(height=2.3)
        for ties in TIES:
            rows = shares[shares["ties"] == ties]
            x = [partitions.index(name) for name in rows["partition"]]
            axis.plot(x, rows["share"], TIE_MARKS[ties], label=TIE_WORDS[ties])
        axis.axhline(0.05, color=style.FAINT, linestyle="--")
        axis.set_xticks(range(len(partitions)), partitions)
        axis.set(ylabel="share with p ≤ 0.05")
        axis.legend()
    return figure
