"""Pictures of layers taken away: curves of variants, what removals cost, plans and blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modgraph_lib.plots import style

__all__ = ["costs_of_removal", "guided_blocks", "loss_against_q", "pruned_curves", "removal_plans"]

MARKERS = ("s", "^", "D", "v", "P", "X")


def pruned_curves(networks: pd.DataFrame) -> Figure:
    """Q after each layer of a network and of its variants; one panel a seed.

    Args:
        networks: columns seed, reading, removed and q, as ``s05_layer_pruning.rows.pruned``
            gives them. The control is left out.

    Raises:
        ValueError: no network.
    """
    _check(networks)
    seeds = sorted(set(networks["seed"]))
    with style.styled():
        figure, panels = style.axes(1, len(seeds), height=3.3, sharey=True)
        for panel, seed in zip(panels, seeds, strict=True):
            rows = networks[(networks["seed"] == seed) & (networks["reading"] != "control")]
            for place, row in enumerate(rows.sort_values("removed").itertuples()):
                _draw_curve(panel, row.q, row.removed, place)
            panel.set(xlabel="layer", title=f"seed {seed}")
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panels[0].set_ylabel("modularity Q")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def costs_of_removal(networks: pd.DataFrame, plateau: float | None = None) -> Figure:
    """Test accuracy against units removed: inherited, fine-tuned, and what nothing removed gives.

    Args:
        networks: columns seed, reading, removed, test_accuracy and start_accuracy.
        plateau: length of the parent's plateau, shaded; None for none.

    Raises:
        ValueError: no network.
    """
    _check(networks)
    variants = networks[networks["removed"] > 0]
    with style.styled():
        figure, (axes,) = style.axes(height=3.2)
        if plateau:
            axes.axvspan(0, plateau, color=style.FAINT, alpha=0.35, label="parent's plateau")
        for reading, marker, colour, words in (
            ("parent", "_", style.INK, "parent"),
            ("control", "D", style.SHUFFLE, "parent trained on (control)"),
        ):
            rows = networks[networks["reading"] == reading]
            if len(rows):
                axes.scatter(rows["removed"] * 0, 100 * rows["test_accuracy"], marker=marker,
                             color=colour, label=words, zorder=3, s=60)  # fmt: skip
                axes.axhline(100 * rows["test_accuracy"].mean(), color=colour, linewidth=0.8,
                             linestyle="-" if reading == "control" else ":")  # fmt: skip
        axes.scatter(variants["removed"], 100 * variants["test_accuracy"], color=style.NETWORK,
                     marker="o", label="variant, trained", zorder=4)  # fmt: skip
        inherited = variants.dropna(subset="start_accuracy")
        if len(inherited):
            axes.scatter(inherited["removed"], 100 * inherited["start_accuracy"].astype(float),
                         facecolors="white", edgecolors=style.NETWORK, marker="o", zorder=4,
                         label="variant, before any fine-tuning")  # fmt: skip
        axes.set(xlabel="layers removed", ylabel="test accuracy in percent")
        axes.set_xticks(sorted({0, *variants["removed"]}))
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def loss_against_q(steps: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Accuracy lost with a layer against what the layer adds to Q.  Source: figure 10(b).

    Args:
        steps: columns seed, step, delta_q and delta_accuracy (points); may be empty.
        printed: columns dataset, delta_q and delta_accuracy; a line from the origin through each
            pair is what proportional would be.
    """
    with style.styled():
        figure, (axes,) = style.axes(height=3.3)
        for (dataset, rows), marker in zip(
            printed.groupby("dataset", sort=False), ("s", "^"), strict=False
        ):
            axes.scatter(rows["delta_q"], rows["delta_accuracy"], color=style.PAPER, marker=marker,
                         label=f"paper, {dataset}", zorder=3)  # fmt: skip
            for row in rows.itertuples():
                axes.plot([0, row.delta_q], [0, row.delta_accuracy], color=style.PAPER,
                          linewidth=0.7, linestyle=":")  # fmt: skip
        for step, rows in steps.groupby("step"):
            axes.scatter(
                rows["delta_q"],
                rows["delta_accuracy"],
                marker=MARKERS[int(step) + 1],
                color=style.NETWORK,
                label=f"ours, removal {step}",
                zorder=4,
            )
        axes.axhline(0, color=style.FAINT, linewidth=0.8, zorder=1)
        axes.axvline(0, color=style.FAINT, linewidth=0.8, zorder=1)
        axes.set(xlabel="what the removed layer adds to Q", ylabel="accuracy lost, in points")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def guided_blocks(
    q: Sequence[float], counts: Sequence[int], kept: Sequence[Sequence[int]]
) -> Figure:
    """Q after each block of a ResNet, with the blocks that go hollow.

    Args:
        q: (B,); counts: blocks of each stage; kept: those of each stage that stay, from 0.
    """
    q = np.asarray(q, dtype=float)
    stays = np.concatenate([np.isin(np.arange(n), k) for n, k in zip(counts, kept, strict=True)])
    blocks = np.arange(1, len(q) + 1)
    with style.styled():
        figure, (axes,) = style.axes(height=2.9)
        axes.plot(blocks, q, color=style.SHUFFLE, linewidth=1, zorder=1)
        axes.scatter(blocks[stays], q[stays], color=style.NETWORK, label="stays", zorder=3)
        axes.scatter(blocks[~stays], q[~stays], facecolors="white", edgecolors=style.NETWORK,
                     label="goes", zorder=3)  # fmt: skip
        for edge in np.cumsum(counts)[:-1]:
            axes.axvline(edge + 0.5, color=style.FAINT, linestyle="--", linewidth=0.8)
        axes.set(xlabel="block (dashed: a new stage begins)", ylabel="modularity Q")
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def removal_plans(plans: pd.DataFrame, printed: pd.DataFrame, count: str = "thop_new") -> Figure:
    """What every way of removing blocks saves, with the printed reductions.

    Args:
        plans: as ``reductions.removals`` gives them.
        printed: columns method, parameters and operations, in percent; a missing number of
            parameters is drawn as a line.
        count: which convention counts the operations.
    """
    with style.styled():
        figure, (axes,) = style.axes(height=3.8)
        dots = axes.scatter(plans["parameters"], plans[count], c=plans["blocks"], s=7,
                            cmap="viridis", zorder=2)  # fmt: skip
        figure.colorbar(dots, ax=axes, label="blocks removed", pad=0.01)
        for row, marker in zip(printed.itertuples(), ("s", "^", "D"), strict=False):
            if np.isnan(row.parameters):
                axes.axhline(row.operations, color=style.PAPER, linestyle="--", linewidth=1,
                             label=row.method)  # fmt: skip
            else:
                axes.scatter(
                    row.parameters,
                    row.operations,
                    s=90,
                    facecolors="none",
                    edgecolors=style.PAPER,
                    linewidths=1.6,
                    marker=marker,
                    label=row.method,
                    zorder=4,
                )
        axes.set(xlabel="parameters saved, in percent", ylabel="operations saved, in percent")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _draw_curve(axes: Axes, q: np.ndarray, removed: int, place: int) -> None:
    layers = np.arange(1, len(q) + 1)
    if not removed:
        axes.plot(layers, q, color=style.INK, linewidth=2.2, marker="o", markersize=3.5,
                  label="nothing removed", zorder=2)  # fmt: skip
        return
    axes.plot(layers, q, color=style.CLUSTERS[(place - 1) % len(style.CLUSTERS)], linewidth=1,
              marker=MARKERS[(place - 1) % len(MARKERS)], markersize=4, label=f"minus {removed}",
              zorder=3)  # fmt: skip


def _check(networks: pd.DataFrame) -> None:
    if networks.empty:
        raise ValueError("there is no network to draw")
