"""One palette per role, the same on every page.

The hues are Okabe and Ito's set for colour-blind readers (Color Universal Design, 2008); the
cluster colours extend it.  No meaning rests on colour alone: conditions also have a marker,
stages a marker shape, significance a filled or hollow face, clusters a number and a position.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from io import BytesIO

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#222222"
FAINT = "#B8B8B8"

# Roles.
NETWORK = "#0072B2"
SHUFFLE = "#8C8C8C"
PAPER = "#7B3FA0"

# Regularizer -> (colour, marker, word used on axes and in legends).
CONDITIONS = {
    "none": ("#0072B2", "o", "none"),
    "dropout": ("#D55E00", "s", "dropout"),
    "l1": ("#009E73", "^", "L1"),
    "l2": ("#8A7A00", "D", "L2"),
    "dropout+l2": ("#A6528A", "P", "dropout + L2"),
    # Ways of promoting clusterability (clusterability/05_promoting).
    "normalised": ("#56B4E9", "h", "normalised"),
    "eigenvalues": ("#332288", "v", "eigenvalues"),
    "tags": ("#6B5D00", "p", "tags"),
}
STAGES = {"unpruned": "o", "pruned": "X"}

CLUSTERS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#A6528A",
    "#56B4E9",
    "#D55E00",
    "#6B5D00",
    "#332288",
    "#88CCAA",
    "#882255",
    "#44556B",
    "#C9A27E",
)

WIDTH = 7.2  # inches: the text column of the book at 100 dots an inch

_RC = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "font.size": 9,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
}


@contextmanager
def styled():
    """Apply the style inside a ``with`` block only; a user's own settings stay as they are."""
    with mpl.rc_context(_RC):
        yield


def axes(
    rows: int = 1, columns: int = 1, *, height: float, width: float = WIDTH, **options
) -> tuple[Figure, list[Axes]]:
    """New figure and the flat list of its axes.

    The figure is closed for pyplot at once: a notebook then shows it when it is returned, and
    only once, and a long run does not gather open figures.
    """
    figure, grid = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)
    return figure, list(grid.flat)


def condition(regularizer: str) -> tuple[str, str, str]:
    """Colour, marker and word of a training condition.

    Raises ValueError for a condition without a place in the palette.
    """
    if regularizer not in CONDITIONS:
        raise ValueError(f"unknown regularizer {regularizer!r}; known: {', '.join(CONDITIONS)}")
    return CONDITIONS[regularizer]


def cluster_colours(count: int) -> Sequence[str]:
    """`count` colours; beyond twelve they repeat, and only number and position tell apart."""
    return [CLUSTERS[index % len(CLUSTERS)] for index in range(count)]


def png(figure: Figure) -> bytes:
    """The figure as a PNG of the size a widget shows.

    >>> plots.png(plots.null_histogram(0.2, [0.8, 0.9], k=2))[1:4]
    b'PNG'
    """
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return stream.getvalue()
