"""Adversarial images, and Q over layers of clean and adversarial ones (figure 6a)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modgraph_lib.plots import style

__all__ = ["attacked_images", "adversarial_curves"]

# Attack -> colour, marker and word, the same in every picture.
ATTACKS = {
    "fgsm": ("#0072B2", "o", "FGSM"),
    "pgd": ("#332288", "s", "PGD"),
    "jsma": ("#D55E00", "^", "JSMA"),
    "cw": ("#009E73", "D", "CW"),
    "one_pixel": ("#A6528A", "P", "OnePixel"),
    "local_search": ("#8A7A00", "X", "LocalSearch"),
}
CLEAN = style.INK


def attacked_images(
    rows: Mapping[str, np.ndarray], answers: Mapping[str, Sequence[object]]
) -> Figure:
    """The same images before and after attacks, each with the class that the network gives it.

    Args:
        rows: name of the row -> images (M, C, H, W) with 1 or 3 channels in 0..1; the first row
            is the clean one.
        answers: name of the row -> (M,) classes.

    Raises:
        ValueError: rows of different length, or without answers.
    """
    counts = {len(images) for images in rows.values()}
    if len(counts) != 1 or any(len(answers.get(name, ())) not in counts for name in rows):
        raise ValueError("every row needs the same number of images, and as many answers")
    (count,) = counts
    with style.styled():
        figure, grid = style.axes(len(rows), count, height=0.25 + 0.98 * len(rows))
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03)
        for line, (name, images) in enumerate(rows.items()):
            for place in range(count):
                axes = grid[line * count + place]
                picture = np.moveaxis(np.asarray(images[place]), 0, -1)
                colours = {"cmap": "gray_r", "vmin": 0, "vmax": 1} if picture.shape[-1] == 1 else {}
                axes.imshow(picture.squeeze(-1) if colours else picture, **colours)
                axes.set(xticks=[], yticks=[])
                axes.set_title(f"“{answers[name][place]}”", loc="center", fontsize=9, pad=2)
                if place == 0:
                    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def adversarial_curves(table: pd.DataFrame, *, kind: str = "adversarial") -> Figure:
    """Q over layers of images misled by each attack, beside that of clean images.

    Args:
        table: rows of ``s02_adversarial.experiment.table`` with a column ``title``, one
            panel a title.
        kind: "adversarial" (communities are the true classes) or "answers" (the classes that the
            network gives).

    The clean line is the mean over draws and records; its band is one standard deviation.

    Raises:
        ValueError: no row with this kind.
    """
    rows = table[table["kind"] == kind]
    if rows.empty:
        raise ValueError(f"no rows of kind {kind!r}")
    titles = list(dict.fromkeys(rows["title"]))
    columns = min(2, len(titles))
    lines = -(-len(titles) // columns)
    width = style.WIDTH if columns > 1 else 0.7 * style.WIDTH
    with style.styled():
        figure, panels = style.axes(
            lines, columns, height=3.0 * lines + 0.6, width=width, sharey=True
        )
        for panel in panels[len(titles) :]:
            panel.set_visible(False)
        for place, (panel, title) in enumerate(zip(panels, titles, strict=False)):
            here = table[table["title"] == title]
            _clean(panel, here[here["kind"] == "clean"])
            own = here[here["kind"] == kind].groupby(["attack", "layer"], sort=False)["q"].mean()
            for attack, (colour, marker, _) in ATTACKS.items():
                if attack in own.index.get_level_values(0):
                    curve = own[attack].sort_index()
                    panel.plot(
                        curve.index, curve, color=colour, marker=marker, markersize=4, linewidth=1
                    )
            panel.set_title(title)
            panel.set_xlabel("layer")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(axis="y", color="#E6E6E6", linewidth=0.6)
            if place % columns == 0:
                panel.set_ylabel("modularity Q")
        shown = [attack for attack in ATTACKS if (rows["attack"] == attack).any()]
        figure.legend(
            handles=_handles(shown), loc="outside lower center", ncols=7 if columns > 1 else 4
        )
    return figure


def _clean(panel: Axes, rows: pd.DataFrame) -> None:
    layers = rows.groupby("layer")["q"]
    mean, spread = layers.mean(), layers.std(ddof=1).fillna(0)
    panel.plot(mean.index, mean, color=CLEAN, linestyle="--", linewidth=1.6, zorder=3)
    panel.fill_between(mean.index, mean - spread, mean + spread, color=CLEAN, alpha=0.15, lw=0)


def _handles(attacks: Sequence[str]) -> list[Line2D]:
    clean = Line2D([], [], color=CLEAN, linestyle="--", linewidth=1.6, label="clean")
    return [
        clean,
        *(
            Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1, label=word)
            for colour, marker, word in (ATTACKS[attack] for attack in attacks)
        ),
    ]
