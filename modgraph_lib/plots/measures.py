"""A measure of every layer, or of every pair of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from modgraph_lib.plots import style

if TYPE_CHECKING:
    from modgraph_lib.communities import ModularityCurve
    from modgraph_lib.communities.cka import CkaMatrix

__all__ = ["cka_by_layer", "curve_by_layer"]

MOST_NAMES = 24


def curve_by_layer(curve: ModularityCurve) -> Figure:
    """Modularity of the classes after every layer.

    >>> model = models.mlp(6, 6, widths=(6,), seed=0).eval()
    >>> images, classes = torch.eye(6), [0, 0, 0, 1, 1, 1]
    >>> curve = communities.modularity_curve(model, images, classes, k=1, zero_norm="isolate")
    >>> plots.curve_by_layer(curve).axes[0].get_ylabel()
    'modularity Q'
    """
    with style.styled():
        figure, (axes,) = style.axes(height=3.4)
        depth = np.arange(len(curve.layers))
        axes.plot(depth, curve.q, color=style.NETWORK, marker="o", markersize=4, linewidth=1.2)
        axes.set(ylabel="modularity Q", ylim=(min(0, curve.q.min()), 1))
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
        _name(axes.set_xticks, curve.layers, rotation=55, ha="right", rotation_mode="anchor")
    return figure


def cka_by_layer(found: CkaMatrix) -> Figure:
    """CKA of all pairs of layers; rows are the first network's, columns the second's.

    >>> model = models.mlp(6, 6, widths=(6,), seed=0).eval()
    >>> found = communities.cka.cka_matrix(model, torch.eye(6))
    >>> plots.cka_by_layer(found).axes[0].images[0].get_array().shape
    (2, 2)
    """
    rows, columns = found.values.shape
    with style.styled():
        side = style.WIDTH * min(1.2, max(0.4, rows / columns))
        figure, (axes,) = style.axes(height=side)
        picture = axes.imshow(
            found.values, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        figure.colorbar(picture, ax=axes, label="linear CKA", shrink=0.8, pad=0.01)
        _name(axes.set_xticks, found.columns, rotation=55, ha="right", rotation_mode="anchor")
        _name(axes.set_yticks, found.layers)
    return figure


def _name(ticks: Callable, names: Sequence[str], **looks) -> None:
    """Names at every n-th place, so that no more than two dozen stand side by side."""
    shown = range(0, len(names), -(-len(names) // MOST_NAMES))
    ticks(shown, [names[place] for place in shown], fontsize=7, **looks)
