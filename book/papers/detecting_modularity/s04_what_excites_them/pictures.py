"""Pictures of what excites groups of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from modgraph_lib import plots
from modgraph_lib.features import Coherence
from modgraph_lib.plots import style

__all__ = ["entropy_spread", "excitements", "recipes", "scores_by_step"]


def excitements(found: Sequence[Coherence], randoms: np.ndarray, *, most: int = 10) -> Figure:
    """Images that excite clusters, strongest beside their random sets first, above random ones.

    Args:
        found: clusters.
        randoms: (n, C, H, W) images of one random set of each.
        most: clusters shown.
    """
    ratio = [one.score / one.random_scores.mean() for one in found]
    order = np.argsort(-np.array(ratio))[:most]
    rows = [[found[i].image.mean(0) for i in order], [randoms[i].mean(0) for i in order]]
    titles = [f"{found[i].submodule.name}\n×{ratio[i]:.2f}" for i in order]
    return plots.image_rows(rows, names=["cluster", "random"], titles=titles, signed=False)


def scores_by_step(curves: Mapping[str, np.ndarray], steps: Sequence[int]) -> Figure:
    """Score over the number of steps, cluster (line) and random sets (grey).

    Args:
        curves: title -> (steps, 1 + R) scores.
        steps: numbers of steps.
    """
    with style.styled():
        figure, axes = style.axes(1, len(curves), height=2.5)
        for axis, (title, values) in zip(axes, curves.items(), strict=True):
            axis.plot(steps, values[:, 1:], color=style.FAINT, linewidth=0.8)
            axis.plot(steps, values[:, 0], "o-", color=style.NETWORK, markersize=3)
            axis.set(title=title, xlabel="steps")
        axes[0].set_ylabel("score")
    return figure


def recipes(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Scores of the same groups by two recipes.

    Args:
        panels: title -> (pixels, Fourier) scores.
    """
    with style.styled():
        figure, axes = style.axes(1, len(panels), height=2.8)
        for axis, (title, (one, two)) in zip(axes, panels.items(), strict=True):
            axis.loglog(one, two, ".", color=style.NETWORK, alpha=0.4)
            ends = [min(one.min(), two.min()), max(one.max(), two.max())]
            axis.plot(ends, ends, color=style.FAINT)
            axis.set(title=title, xlabel="score, pixels", ylabel="score, Fourier")
    return figure


def entropy_spread(true: np.ndarray, controls: np.ndarray) -> Figure:
    """Entropies on a logarithmic axis: every cluster (diamond) among its random sets (dashes)."""
    order = np.argsort(np.median(controls, axis=1))
    with style.styled():
        figure, (axis,) = style.axes(height=2.8)
        x = np.arange(len(order))
        floor = 1e-6
        null = np.maximum(controls[order], floor)
        axis.plot(np.repeat(x, null.shape[1]), null.ravel(), "_", color=style.FAINT)
        axis.plot(x, null.mean(1), "_", color="#D55E00", markersize=9, label="their mean")
        axis.plot(x, np.maximum(true[order], floor), "D", color=style.NETWORK, markersize=4)
        axis.set(yscale="log", xlabel="sub-cluster, by random median", ylabel="entropy", xticks=[])
        axis.legend()
    return figure
