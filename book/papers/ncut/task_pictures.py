"""Pictures for made tasks: sample images, n-cuts by kind or stage, mixtures and constituents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from book.papers.ncut.nulls import single_k
from book.papers.ncut.pictures import condition_handles, draw_columns
from modgraph_lib.datasets.names import PAIR, data_name
from modgraph_lib.plots import style

KINDS = ("same", "diff")


def image_rows(rows: Mapping[str, np.ndarray]) -> Figure:
    """One row of grey pictures for each name.

    Args:
        rows: name -> images (M, H, W), the same M in every row.

    Raises:
        ValueError: no rows, or rows of different length.
    """
    lengths = {len(images) for images in rows.values()}
    if len(lengths) != 1 or not all(lengths):
        raise ValueError(f"rows need one common number of images, got {sorted(lengths)}")
    (count,) = lengths
    with style.styled():
        figure, grid = style.axes(len(rows), count, height=0.75 * len(rows))
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        for place, axes in enumerate(grid):
            name = list(rows)[place // count]
            axes.imshow(rows[name][place % count], cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            if place % count == 0:
                axes.set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
    return figure


def halves(table: pd.DataFrame) -> Figure:
    """n-cut of networks on halves-same and halves-diff beside the violins of their shuffles.

    Args:
        table: columns data ("<base>_halves_<kind>"), regularizer, stage, ncut, shuffled,
            significant and k (one value).

    A column of panels a base, a row a stage.  Source: CL Figure 5.

    Raises:
        ValueError: an empty table, more than one k, or data that are no halves.
    """
    k = single_k(table)
    found = table["data"].str.extract(PAIR)
    if found.isna().any(axis=None):
        raise ValueError(f"not all data are halves or stacks: {sorted(set(table['data']))}")
    bases, stages = list(dict.fromkeys(found[0])), list(dict.fromkeys(table["stage"]))
    with style.styled():
        height = 0.5 + 2.6 * len(stages)
        figure, grid = style.axes(len(stages), len(bases), height=height, sharey="row")
        for place, axes in enumerate(grid):
            stage, base = stages[place // len(bases)], bases[place % len(bases)]
            here = table[(found[0] == base) & (table["stage"] == stage)]
            colour = style.condition(here["regularizer"].iloc[0])[0]
            kinds = [kind for kind in KINDS if here["data"].str.endswith(kind).any()]
            groups = [
                (f"halves-{kind}", colour, marker, here[here["data"].str.endswith(kind)])
                for kind, marker in zip(kinds, "oD", strict=False)
            ]
            draw_columns(axes, groups)
            axes.set_title(f"{data_name(base)}, {stage}", pad=16)
            if place % len(bases) == 0:
                axes.set_ylabel(f"n-cut at k = {k}")
        figure.legend(handles=condition_handles(), loc="outside lower center", ncols=3)
    return figure


def by_stage(table: pd.DataFrame) -> Figure:
    """n-cut by condition, a panel before pruning and one after, for one data set.

    Args:
        table: columns data (one value), regularizer, stage, ncut, shuffled, significant and k
            (one value).  Source: CL Figure A.7.

    Raises:
        ValueError: an empty table, more than one k or more than one data set.
    """
    k = single_k(table)
    if table["data"].nunique() != 1:
        raise ValueError(f"one data set at a time, got {sorted(set(table['data']))}")
    stages = [stage for stage in style.STAGES if stage in set(table["stage"])]
    with style.styled():
        figure, grid = style.axes(1, len(stages), height=3.6, sharey=True)
        for axes, stage in zip(grid, stages, strict=True):
            here = table[table["stage"] == stage]
            names = [name for name in style.CONDITIONS if name in set(here["regularizer"])]
            groups = []
            for name in names:
                colour, marker, word = style.condition(name)
                groups.append((word, colour, marker, here[here["regularizer"] == name]))
            draw_columns(axes, groups)
            axes.set_title(f"{data_name(here['data'].iloc[0])}, {stage}", pad=16)
        grid[0].set_ylabel(f"n-cut at k = {k}")
        figure.legend(handles=condition_handles(), loc="outside lower center", ncols=3)
    return figure


def mixtures(frame: pd.DataFrame, *, k: int, names: Sequence[str] = ()) -> Figure:
    """Mean n-cut of each mixture on the line between those of its two constituents.

    Args:
        frame: as ``experiments.mixtures.against_constituents`` returns it.
        k: number of clusters, for the axis label.
        names: mixtures in the order to draw them; default: as in the frame.

    A panel a training condition; whiskers are SDs over networks, where there are several.

    Raises:
        ValueError: an empty frame.
    """
    if frame.empty:
        raise ValueError("the frame has no rows: nothing has been run for this figure yet")
    names = [name for name in names or frame["mixture"] if name in set(frame["mixture"])]
    names = list(dict.fromkeys(names))
    regularizers = list(dict.fromkeys(frame["regularizer"]))
    with style.styled():
        height = 1.3 + 0.42 * len(names)
        figure, grid = style.axes(1, len(regularizers), height=height, sharey=True)
        for axes, regularizer in zip(grid, regularizers, strict=True):
            here = frame[frame["regularizer"] == regularizer].set_index("mixture")
            _lines_between(axes, here, names, style.condition(regularizer)[0])
            axes.set_title(f"regulariser: {style.condition(regularizer)[2]}")
            axes.set_xlabel(f"n-cut at k = {k}")
        grid[0].set_yticks(range(len(names)), [data_name(name) for name in names])
        grid[0].set_ylim(len(names) - 0.5, -0.5)
        figure.legend(handles=_mixture_handles(), loc="outside lower center", ncols=2)
    return figure


def dropout_modes(table: pd.DataFrame) -> Figure:
    """Accuracy with dropout on and off, on training and on test images; a line a network.

    Args:
        table: as ``second_looks.dropout_modes_table`` returns it.

    A panel a data set and stage. An overfitted network has training and test apart; one that
    needs its dropout has on and off apart.

    Raises:
        ValueError: an empty table.
    """
    if table.empty:
        raise ValueError("the table has no rows: nothing has been run for this figure yet")
    panels = list(table.groupby(["data", "stage"], sort=False))
    looks = {"train": ("o", style.INK, 0.96), "test": ("s", style.NETWORK, 1.04)}
    with style.styled():
        figure, grid = style.axes(1, len(panels), height=3.0, sharey=True)
        for axes, ((data, stage), rows) in zip(grid, panels, strict=True):
            for split, (marker, colour, shift) in looks.items():
                for row in rows.itertuples():
                    heights = [getattr(row, f"{split}_{mode}") for mode in ("on", "off")]
                    axes.plot([shift - 1, shift], heights, color=colour, marker=marker, alpha=0.8)
            axes.set_xticks([0, 1], ["dropout on", "dropout off"])
            axes.set(xlim=(-0.4, 1.4), ylim=(0, 1.02))
            axes.set_title(f"{data_name(data)},\n{stage}")  # side by side they are narrow
            axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
        grid[0].set_ylabel("accuracy")
        handles = [
            Line2D([], [], color=colour, marker=marker, label=word)
            for word, (marker, colour, _) in zip(
                ("training images", "test images"), looks.values(), strict=True
            )
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _lines_between(axes: Axes, rows: pd.DataFrame, names: Sequence[str], colour: str) -> None:
    for y, name in enumerate(names):
        if name not in rows.index:
            continue
        row = rows.loc[name]
        below, above = y + 0.16, y - 0.16  # apart, so that whiskers do not cover each other
        ends = [row["lower"], row["higher"]]
        axes.plot(ends, [below, below], color=style.FAINT, linewidth=4, zorder=1)
        for end in ("lower", "higher"):
            spread = row[f"{end}_sd"] if np.isfinite(row[f"{end}_sd"]) else None
            axes.errorbar(row[end], below, xerr=spread, fmt="|", color=style.INK, markersize=10)
        spread = row["mixed_sd"] if np.isfinite(row["mixed_sd"]) else None
        axes.errorbar(row["mixed"], above, xerr=spread, fmt="D", color=colour, markersize=6)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def _mixture_handles() -> list[Line2D]:
    plain = {"linestyle": "none", "color": style.INK}
    return [
        Line2D([], [], marker="D", label="networks on the mixture", **plain),
        Line2D([], [], marker="|", markersize=12, label="networks on either constituent", **plain),
    ]
