"""Double lesions: what pairs of sub-modules cost, and who depends on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle

from book.papers.surprisingly_modular.s04_lesions.map_pictures import check_panels
from modgraph_lib.plots import style

__all__ = ["all_pairs", "dependency_graphs", "pair_matrix"]

# What an edge of the dependency graph stands for -> (colour, line style).
EDGES = {
    "the earlier one is not needed without the later": ("#0072B2", "-"),
    "the later one is not needed without the earlier": ("#D55E00", "--"),
    "neither is needed without the other": ("#222222", ":"),
}


def pair_matrix(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Conditional importance of pairs: two numbers a cell, bold where the lesion still matters.

    Args:
        panels: title -> columns x, y (names "layer-module"), delta_x, delta_y (fractions),
            x_important, y_important.

    The upper number is what lesioning the row's (earlier) sub-module costs once the column's is
    gone, the lower number the reverse. A cell in which at least one does not matter is shaded.

    Source: SM figure 6(a), table A.19.

    Raises:
        ValueError: no panel, or an empty one.
    """
    check_panels(panels)
    with style.styled():
        sizes = [(len(_ordered(rows["x"])), len(_ordered(rows["y"]))) for rows in panels.values()]
        figure, all_axes = style.axes(
            len(panels), 1, height=sum(0.42 * rows + 0.75 for rows, _ in sizes)
        )
        for axes, (title, rows) in zip(all_axes, panels.items(), strict=True):
            first, second = _ordered(rows["x"]), _ordered(rows["y"])
            for row in rows.itertuples(index=False):
                place = (second.index(row.y), first.index(row.x))
                depends = not (row.x_important and row.y_important)
                axes.add_patch(_cell(place, "#FBE3D6" if depends else "white"))
                for offset, delta, matters in (
                    (-0.2, row.delta_x, row.x_important),
                    (0.2, row.delta_y, row.y_important),
                ):
                    axes.text(
                        place[0],
                        place[1] + offset,
                        f"{100 * delta + 0:.1f} {'✓' if matters else '×'}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        fontweight="bold" if matters else "normal",
                        color=style.INK if matters else "#6E6E6E",
                        fontfamily="DejaVu Sans",
                    )
            axes.set_xlim(-0.5, len(second) - 0.5)
            axes.set_ylim(len(first) - 0.5, -0.5)
            axes.set_xticks(range(len(second)), second)
            axes.set_yticks(range(len(first)), first)
            axes.tick_params(length=0)
            axes.set_xlabel("Y, the later one")
            axes.set_ylabel("X")
            axes.set_title(title)
    return figure


def dependency_graphs(panels: Mapping[str, tuple[pd.DataFrame, Sequence[str]]]) -> Figure:
    """Sub-modules in columns by layer, an arrow where one depends on the other.

    Args:
        panels: title -> (pairs, names): pairs as for ``pair_matrix``, names of all important
            sub-modules, so that those without an edge are drawn too.

    A node's number and colour are its module's; arrows inside a module are thick.

    Source: SM figure 6(b).

    Raises:
        ValueError: no panel, or a panel without a name.
    """
    if not panels or any(not len(names) for _, names in panels.values()):
        raise ValueError("dependency_graphs needs at least one panel with at least one name")
    modules = sorted({_module(name) for _, names in panels.values() for name in names})
    colours = dict(zip(modules, style.cluster_colours(len(modules)), strict=True))
    with style.styled():
        figure, all_axes = style.axes(1, len(panels), height=4.0)
        for axes, (title, (pairs, names)) in zip(all_axes, panels.items(), strict=True):
            places = _columns(names)
            for row in pairs.itertuples(index=False):
                if row.x_important and row.y_important:
                    continue
                _arrow(axes, places[row.x], places[row.y], _edge(row), _same(row))
            for name, (x, y) in places.items():
                axes.scatter([x], [y], s=560, color=colours[_module(name)], zorder=3)
                axes.text(
                    x, y, name, ha="center", va="center", color="white", fontweight="bold", zorder=4
                )
            layers = sorted({_layer(name) for name in names})
            axes.set_xticks(layers, [f"layer {layer}" for layer in layers])
            axes.set_xlim(min(layers) - 0.4, max(layers) + 0.4)
            axes.set_ylim(-0.12, 1.12)
            axes.set_yticks([])
            axes.tick_params(length=0)
            for side in ("left", "bottom"):
                axes.spines[side].set_visible(False)
            axes.set_title(title)
        handles = [
            Line2D([], [], color=colour, linestyle=line, label=words)
            for words, (colour, line) in EDGES.items()
        ]
        handles.append(
            Line2D([], [], color=style.INK, linewidth=3.2, label="thick: inside one module")
        )
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def all_pairs(names: Sequence[str], singles: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """Every pair of sub-modules of different layers: what the row's adds to the column's.

    Args:
        names: rows and columns, in order.
        singles: columns name, loss; on the diagonal.
        pairs: columns x, y, delta_x, delta_y, p_x, p_y, lowest (the smallest possible p).

    A star: worse than every random set. A question mark: better than every one. Pairs of one
    layer are left empty, since nothing can depend there.

    Source: SM figure A.6.
    """
    place = {name: index for index, name in enumerate(names)}
    values = np.full((len(names), len(names)), np.nan)
    signs = np.full(values.shape, "", dtype=object)
    for row in singles.itertuples(index=False):
        values[place[row.name], place[row.name]] = 100 * row.loss
    for row in pairs.itertuples(index=False):
        for one, two, delta, p in (
            (row.x, row.y, row.delta_x, row.p_x),
            (row.y, row.x, row.delta_y, row.p_y),
        ):
            values[place[one], place[two]] = 100 * delta
            star = p < 1.5 * row.lowest
            signs[place[one], place[two]] = "*" if star else "?" if p > 1 - 1e-9 else ""
    with style.styled():
        figure, (axes,) = style.axes(height=style.WIDTH * 0.98)
        top = float(np.nanquantile(np.abs(values), 0.97)) or 1.0
        picture = axes.imshow(values, cmap="RdBu_r", vmin=-top, vmax=top)
        for row, column in np.ndindex(values.shape):
            if signs[row, column]:
                dark = abs(values[row, column]) > 0.6 * top
                axes.text(
                    column,
                    row,
                    signs[row, column],
                    ha="center",
                    va="center",
                    color="white" if dark else style.INK,
                    fontsize=7.5,
                )
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelsize=7, length=2)
        axes.set_xlabel("lesioned already")
        axes.set_ylabel("lesioned in addition")
        bar = figure.colorbar(picture, ax=axes, shrink=0.6, extend="both")
        bar.set_label("additional loss, points")
    return figure


def _layer(name: str) -> int:
    return int(name.partition("-")[0])


def _module(name: str) -> int:
    return int(name.partition("-")[2])


def _ordered(names: pd.Series) -> list[str]:
    return sorted(set(names), key=lambda name: (_layer(name), _module(name)))


def _same(row) -> bool:
    return _module(row.x) == _module(row.y)


def _edge(row) -> tuple[str, str]:
    """Style of an edge by which of the two is not important given the other."""
    words = list(EDGES)
    if row.y_important:
        return EDGES[words[0]]
    return EDGES[words[1]] if row.x_important else EDGES[words[2]]


def _columns(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """name -> (layer, height); sub-modules of a layer spread over the column, by module."""
    ordered = _ordered(pd.Series(list(names)))
    places = {}
    for layer in sorted({_layer(name) for name in ordered}):
        here = [name for name in ordered if _layer(name) == layer]
        # columns are shifted against each other, so that few arrows run through a node
        shift = 0.05 * (layer % 2)
        few = np.linspace(1, 0, len(here) + 2)[1:-1] - shift
        heights = few if len(here) < 3 else np.linspace(1 - shift, shift, len(here))
        places |= {name: (layer, float(y)) for name, y in zip(here, heights, strict=True)}
    return places


def _arrow(axes: Axes, one, two, look: tuple[str, str], inside: bool) -> None:
    colour, line = look
    far = two[0] - one[0] > 1
    axes.add_patch(
        FancyArrowPatch(
            one,
            two,
            arrowstyle="-|>",
            mutation_scale=13,
            shrinkA=12,
            shrinkB=12,
            color=colour,
            linestyle=line,
            linewidth=3.2 if inside else 1.4,
            connectionstyle=f"arc3,rad={-0.16 if far else 0.0}",
            zorder=2,
        )
    )


def _cell(place: tuple[int, int], colour: str) -> Rectangle:
    return Rectangle(
        (place[0] - 0.5, place[1] - 0.5),
        1,
        1,
        facecolor=colour,
        edgecolor=style.FAINT,
        linewidth=0.6,
    )
