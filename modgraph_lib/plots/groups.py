"""Pictures of groups of units: what excites them, what losing them costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from modgraph_lib.plots import style

if TYPE_CHECKING:
    from modgraph_lib.modules import Modules

__all__ = ["image_rows", "modules_figure"]


def modules_figure(found: Modules, *, most: int = 8) -> Figure:
    """The most damaging sub-clusters: the image that excites each, and the accuracy it costs.

    >>> r = toys.relay(3, units=4)
    >>> found = modules.find(r.model, r.images, r.labels, k=3, steps=5, device="cpu")
    >>> len(plots.modules_figure(found, most=4).axes)
    8
    """
    order = np.argsort([-one.loss for one in found.lesions])[:most]
    count = len(order)
    limit = max(max(100 * found.lesions[i].loss for i in order), 1)
    with style.styled():
        figure, axes = style.axes(2, count, height=3, width=max(3.0, 0.95 * count))
        for top, below, place in zip(axes[:count], axes[count:], order, strict=True):
            one, seen = found.lesions[place], found.coherences[place]
            top.imshow(_picture(seen.image), cmap="gray", vmin=0, vmax=1)
            top.set_axis_off()
            units = len(one.submodule.units)
            top.set_title(f"{one.submodule.name}\n{units} units", fontsize=8)
            null = 100 * (one.intact - one.random)
            below.plot(np.zeros(len(null)), null, "_", color=style.SHUFFLE, markersize=14)
            below.plot([0], [100 * one.loss], "D", color=style.NETWORK, markersize=5)
            below.set(xticks=[], ylim=(-0.1 * limit, 1.1 * limit), xlim=(-1, 1))
        axes[count].set_ylabel("points lost")
    return figure


def image_rows(
    rows: list[list[np.ndarray]],
    *,
    names: list[str],
    titles: Sequence[str] = (),
    signed: bool = True,
) -> Figure:
    """Pictures (height, width) in rows, each on its own scale.

    Args:
        rows: pictures of each row, as many in each.
        names: of the rows.
        titles: of the columns, or none.
        signed: whether 0 is the middle of the scale (correlations), or its lower end (images).

    >>> picture = np.array([[1.0, -1]])
    >>> len(plots.image_rows([[picture, picture]], names=["true"]).axes)
    2
    """
    count = max(len(row) for row in rows)
    size = {"width": min(style.WIDTH, 0.8 * count + 1.2), "height": 0.62 * len(rows) + 0.3}
    with style.styled():
        figure, axes = style.axes(len(rows), count, **size)
        for place, (row, name) in enumerate(zip(rows, names, strict=True)):
            line = axes[place * count : (place + 1) * count]
            for axis in line:
                axis.set(xticks=[], yticks=[])
                axis.set_frame_on(False)
            for axis, picture in zip(line, row, strict=False):
                top = max(float(np.abs(picture).max()), 1e-12)
                axis.imshow(
                    picture,
                    cmap="RdBu_r" if signed else "gray",
                    vmin=-top if signed else 0.0,
                    vmax=top,
                )
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, title in zip(axes, titles, strict=False):
            axis.set_title(title, fontsize=7.5, loc="center")
    return figure


def _picture(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) for matplotlib of an image (C, H, W)."""
    return image[0] if len(image) != 3 else image.transpose(1, 2, 0)
