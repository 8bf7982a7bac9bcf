"""Heat maps over pairs of layers, with a strip that says where each layer lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from modgraph_lib.plots import style

__all__ = ["difference_against_cka", "layer_differences"]

# Perceptually uniform and readable without colour vision; dark is far apart in both.
COLOURS = "cividis_r"
KINDS = ("stem", "inside", "after")
KIND_WORDS = {"stem": "stem", "inside": "inside a block", "after": "after an addition"}
KIND_GREYS = {"stem": "#E0E0E0", "inside": "white", "after": style.INK}

# Kinds of both ends -> word, colour, marker, size; the empty one is every other pair.
PAIRS = {
    "": ("another pair", style.FAINT, "o", 9),
    "after-inside": ("an output and an inside", "#D55E00", "^", 18),
    "after-after": ("two outputs", style.NETWORK, "s", 18),
}


def layer_differences(
    kinds: Sequence[str], difference: np.ndarray, alignment: np.ndarray, *, title: str = ""
) -> Figure:
    """Differences of Q beside linear CKA, both dark where two layers differ most.

    Args:
        kinds: (L,) "stem", "inside" or "after".
        difference: (L, L) abs(Q_i - Q_j).
        alignment: (L, L) linear CKA.

    Raises:
        ValueError: sizes that do not agree, or an unknown kind.
    """
    count = len(kinds)
    if difference.shape != (count, count) or alignment.shape != (count, count):
        raise ValueError(f"{count} layers need two ({count}, {count}) matrices")
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"unknown kinds of layer: {', '.join(unknown)}")
    with style.styled():
        figure, panels = style.axes(1, 2, height=4.9)
        top = float(difference.max()) or 1.0
        _heat(figure, panels[0], kinds, difference, "$|Q_i - Q_j|$", (0, top), COLOURS)
        _heat(figure, panels[1], kinds, alignment, "linear CKA", (0, 1), COLOURS.removesuffix("_r"))
        handles = [
            Patch(facecolor=KIND_GREYS[kind], edgecolor=style.INK, label=KIND_WORDS[kind])
            for kind in KINDS
            if kind in kinds
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        for panel in panels if title else ():
            panel.set_title(f"{title}: {panel.get_title(loc='left')}")
    return figure


def difference_against_cka(rows: pd.DataFrame) -> Figure:
    """abs(Q_i - Q_j) against 1 - CKA, one mark a pair of layers.

    Args:
        rows: of ``layer_difference.table``, of one network.

    Raises:
        ValueError: no rows.
    """
    if rows.empty:
        raise ValueError("there are no pairs of layers to draw")
    ends = rows[["kind_i", "kind_j"]].apply(lambda pair: "-".join(sorted(pair)), axis=1)
    with style.styled():
        figure, (panel,) = style.axes(height=3.6)
        for kinds, (word, colour, marker, size) in PAIRS.items():
            own = rows[ends == kinds] if kinds else rows[~ends.isin(list(PAIRS))]
            panel.scatter(
                1 - own["cka"].astype(float), own["difference"].astype(float), s=size,
                c=colour, marker=marker, linewidths=0, alpha=0.85, label=word,
            )  # fmt: skip
        panel.set(xlim=(0, 1), xlabel="1 - CKA", ylabel="difference of Q")
        panel.set_ylim(bottom=0)
        panel.grid(color="#E6E6E6", linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _heat(figure, axes: Axes, kinds, matrix, words, limits, colours) -> None:
    count = len(kinds)
    image = axes.imshow(
        matrix, cmap=colours, vmin=limits[0], vmax=limits[1], extent=(0.5, count + 0.5) * 2,
        origin="lower", interpolation="nearest",
    )  # fmt: skip
    codes = np.array([KINDS.index(kind) for kind in kinds], dtype=float)
    greys = ListedColormap([KIND_GREYS[kind] for kind in KINDS])
    strip = 0.045 * count
    for along in ("x", "y"):
        cells = codes[None, :] if along == "x" else codes[:, None]
        ends = (0.5, count + 0.5), (0.5 - 1.6 * strip, 0.5 - 0.6 * strip)
        box = (*ends[0], *ends[1]) if along == "x" else (*ends[1], *ends[0])
        axes.imshow(
            cells, cmap=greys, vmin=-0.5, vmax=2.5, extent=box, origin="lower",
            interpolation="nearest",
        )  # fmt: skip
    edge = 0.5 - 1.7 * strip
    axes.set(xlim=(edge, count + 0.5), ylim=(edge, count + 0.5), aspect="equal")
    for side in axes.spines.values():
        side.set_visible(False)
    ticks = [1, *range(5, count + 1, 5)]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(length=0)
    axes.set_xlabel("layer")
    axes.set_title(words)
    figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.8, aspect=30)
