"""Pictures that several pages of Part IV draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from book.papers.detecting_modularity.page import PROXIES, WORDS
from modgraph_lib.plots import style
from modgraph_lib.proxies import ProxyTest

__all__ = ["class_drops", "effects", "p_axis", "p_values", "percentiles", "true_against_random"]

READINGS = {"described": ("o", style.NETWORK), "published": ("s", "#D55E00")}


def p_values(table: pd.DataFrame, *, critical: float = 0.025) -> Figure:
    """Figure 3 of the paper as dots: -log10 p of each condition, printed and ours.

    Args:
        table: as ``page.conditions`` gives it.
    """
    proxies = list(dict.fromkeys(table["proxy"]))
    partitions = list(dict.fromkeys(table["partition"]))
    with style.styled():
        figure, axes = style.axes(1, len(proxies), height=0.42 * len(partitions) + 1.3, sharey=True)
        for axis, proxy in zip(axes, proxies, strict=True):
            rows = table[table["proxy"] == proxy]
            _dots(axis, rows, "paper_p", "d", style.PAPER, "paper", partitions)
            for reading, (marker, colour) in READINGS.items():
                own = rows[rows["reading"] == reading]
                _dots(axis, own, "p", marker, colour, f"ours, {WORDS[reading]}", partitions)
            axis.axvline(-np.log10(critical), color=style.FAINT, linestyle="--", linewidth=1)
            p_axis(axis.xaxis)
            axis.set(title=PROXIES[proxy], xlabel="−log₁₀ p", xlim=(-0.1, None))
        axes[0].set_yticks(range(len(partitions)), partitions)
        axes[0].invert_yaxis()
        axes[-1].legend(loc="lower right")
    return figure


def p_axis(axis: Axis) -> None:
    """Make an axis of −log10 p: even up to 2, where significance is decided, logarithmic beyond."""
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("symlog", linthresh=2)
    axis.set_major_locator(FixedLocator([0, 1, 2, 5, 10, 20, 50, 100]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def effects(table: pd.DataFrame) -> Figure:
    """Effect measures with their standard errors, printed and ours; the line is no effect.

    Args:
        table: as ``page.conditions`` gives it.
    """
    proxies = list(dict.fromkeys(table["proxy"]))
    partitions = list(dict.fromkeys(table["partition"]))
    with style.styled():
        figure, axes = style.axes(1, len(proxies), height=0.42 * len(partitions) + 1.3, sharey=True)
        for axis, proxy in zip(axes, proxies, strict=True):
            rows = table[table["proxy"] == proxy]
            given = [("paper_effect", "paper_se", "d", style.PAPER, "paper", rows, -0.22)]
            for place, (reading, (marker, colour)) in enumerate(READINGS.items()):
                own = rows[rows["reading"] == reading]
                label = f"ours, {WORDS[reading]}"
                given.append(("effect", "se", marker, colour, label, own, 0.22 * place))
            for mean, error, marker, colour, label, own, shift in given:
                own = own.dropna(subset=[mean]).drop_duplicates("partition")
                if own.empty:
                    continue
                y = np.array([partitions.index(name) for name in own["partition"]]) + shift
                axis.errorbar(
                    own[mean], y, xerr=2 * own[error].fillna(0), fmt=marker, color=colour,
                    label=label, markersize=5, linewidth=1,
                )  # fmt: skip
            axis.axvline(1, color=style.FAINT, linewidth=1)
            axis.set(title=PROXIES[proxy], xlabel="effect (± 2 SE)")
        axes[0].set_yticks(range(len(partitions)), partitions)
        axes[0].invert_yaxis()
        axes[-1].legend(loc="best")
    return figure


def _dots(axis, rows, column, marker, colour, label, partitions) -> None:
    rows = rows.dropna(subset=[column]).drop_duplicates("partition")
    if len(rows):
        x = -np.log10(np.clip(rows[column], 1e-150, 1))
        y = [partitions.index(name) for name in rows["partition"]]
        axis.plot(x, y, marker, color=colour, label=label, markersize=6, fillstyle="none")


def true_against_random(
    tests: Mapping[str, ProxyTest], *, label: str, percent: bool = False
) -> Figure:
    """Every true group (diamond) above its random ones (dashes), sorted by their mean.

    Args:
        tests: title -> a test; one panel each.
        label: of the upward axis.
        percent: show fractions in percent.
    """
    scale = 100 if percent else 1
    with style.styled():
        figure, axes = style.axes(1, len(tests), height=3, sharey=True)
        for axis, (title, test) in zip(axes, tests.items(), strict=True):
            order = np.argsort(test.controls.mean(1))
            x = np.arange(len(order))
            null = scale * test.controls[order]
            axis.plot(np.repeat(x, null.shape[1]), null.ravel(), "_", color=style.FAINT)
            axis.plot(x, scale * test.true[order], "D", color=style.NETWORK, markersize=4)
            axis.set(title=title, xlabel="sub-cluster, by random mean", xticks=[])
        axes[0].set_ylabel(label)
    return figure


def percentiles(tests: Mapping[str, ProxyTest], *, ties: str = "random") -> Figure:
    """Figure 5 of the paper: how many sub-clusters have each percentile; flat is nothing.

    Args:
        tests: title -> a test; one panel each.
    """
    with style.styled():
        figure, axes = style.axes(1, len(tests), height=2.3, sharey=True)
        for axis, (title, test) in zip(axes, tests.items(), strict=True):
            size = test.controls.shape[1] + 1
            axis.hist(test.percentiles(ties), bins=np.linspace(0, 1, size + 1), color=style.NETWORK)
            axis.axhline(len(test.true) / size, color=style.INK, linestyle="--", linewidth=1)
            axis.set(title=title, xlabel="percentile (low: modular)")
        axes[0].set_ylabel("sub-clusters")
    return figure


def class_drops(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: Sequence[str]
) -> Figure:
    """Points lost by each class: a true group (bars) and random sets of its size (dashes).

    Args:
        panels: title -> (C,) drops of the true group and (R, C) of the random ones, fractions.
        classes: their names.
    """
    with style.styled():
        figure, axes = style.axes(1, len(panels), height=2.6, sharey=True)
        for axis, (title, (true, random)) in zip(axes, panels.items(), strict=True):
            x = np.arange(len(true))
            axis.bar(x, 100 * true, color=style.NETWORK, width=0.6)
            axis.plot(
                np.tile(x, len(random)), 100 * random.ravel(), "_", color=style.INK, alpha=0.5
            )
            axis.axhline(0, color=style.INK, linewidth=0.8)
            axis.set_xticks(x, classes, fontsize=7)
            axis.set_title(title, fontsize=8.5)
        axes[0].set_ylabel("points lost")
    return figure
