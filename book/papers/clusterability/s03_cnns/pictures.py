"""Pictures of the section on convolutional networks: stacked images, n-cuts by data set."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from book.papers.ncut.nulls import draw_violin, single_k
from modgraph_lib.datasets import Dataset
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style


def stacked_images(*sets: Dataset, label: int, count: int = 5) -> Figure:
    """The first images with a label from stack sets; the two channels above each other.

    Args:
        sets: data sets with two-channel images (N, 2, H, W), one block of two rows each.
        label: which class to show.
        count: how many images.

    Raises:
        ValueError: images without two channels, or too few of the label.
    """
    with style.styled():
        figure, grid = style.axes(2 * len(sets), count, height=2.2 * len(sets))
        panels = np.array(grid, dtype=object).reshape(len(sets), 2, count)
        for block, data in zip(panels, sets, strict=True):
            chosen = data.images[data.labels == label][:count]
            if chosen.ndim != 4 or chosen.shape[1] != 2 or len(chosen) < count:
                raise ValueError(f"{data.name}: need {count} two-channel images of class {label}")
            for row, channel in enumerate(("first channel", "second channel")):
                for axes, image in zip(block[row], chosen[:, row], strict=True):
                    axes.imshow(image.numpy(), cmap="gray")
                    axes.set(xticks=[], yticks=[])
                block[row][0].set_ylabel(channel, fontsize=7)
            block[0][0].set_title(f"{data_name(data.name)}, label {label}")
    return figure


def ncut_by_data(table: pd.DataFrame) -> Figure:
    """n-cut of each network beside the violin of its shuffles, one row a data set and stage.

    Args:
        table: columns data, stage, ncut, shuffled, significant and k (one value).

    A filled mark is a network below every one of its shuffles.  Source: CL Figure 12.

    Raises:
        ValueError: an empty table, or more than one k.
    """
    k = single_k(table)
    groups = list(table.groupby(["data", "stage"], sort=False))
    groups.sort(key=lambda group: (group[0][1] == "pruned", group[0][0]))
    with style.styled():
        figure, (axes,) = style.axes(height=0.9 + 0.42 * len(groups))
        for place, (_, rows) in enumerate(groups):
            null = np.concatenate([np.asarray(x, dtype=float) for x in rows["shuffled"]])
            draw_violin(axes, null, place + 0.2)
            y = place - 0.2 + np.linspace(-0.1, 0.1, len(rows)) * (len(rows) > 1)
            for filled in (True, False):
                chosen = rows["significant"].to_numpy(dtype=bool) == filled
                axes.scatter(
                    rows["ncut"].to_numpy(dtype=float)[chosen],
                    y[chosen],
                    facecolors=style.NETWORK if filled else "white",
                    edgecolors=style.NETWORK,
                    s=26,
                    zorder=4,
                )
        words = [f"{data_name(data)}, {stage}" for (data, stage), _ in groups]
        axes.set_yticks(range(len(groups)), words)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlabel(f"n-cut at k = {k} (lower: more clusterable)")
        axes.grid(axis="x", color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        plain = {"linestyle": "none", "marker": "o", "markeredgecolor": style.NETWORK}
        handles = [
            Line2D([], [], markerfacecolor=style.NETWORK, label="below all its shuffles", **plain),
            Line2D([], [], markerfacecolor="white", label="not below all", **plain),
            Patch(color=style.SHUFFLE, alpha=0.55, label="shuffles"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
