"""The explorer of the law: strands with a leak, the n-cut's answer and layered Q's.

``explore`` is the live widget for Jupyter; ``still`` offers some of its states on a page without a
kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_rand_score

from book.lab.scorecard import Html
from book.lab.states import chooser
from modgraph_lib import clustering, graphs, plots, toys

__all__ = ["State", "explore", "state", "still"]

UNITS = 8  # in each layer


@dataclass(frozen=True, eq=False)
class State:
    """Two strands at one leak, and what was made of them.

    Attributes:
        leak, blocks, layers: of the network; every layer has as many units.
        answers: name -> (N,) labels 0 or 1, strands first.
        agreement: name -> adjusted Rand index with the strands.
    """

    leak: float
    blocks: int
    layers: tuple[int, ...]
    answers: dict[str, np.ndarray]
    agreement: dict[str, float]


@functools.lru_cache(maxsize=256)
def state(leak: float, blocks: int = 5, *, seed: int = 0) -> State:
    """Strands of random weights: the first half of a layer is one strand, the rest the other."""
    weights, strand = toys.strands(2, (UNITS,) * (blocks + 1), leak=leak, seed=seed)
    graph = graphs.weight_graph(weights)
    parts = {
        "strands": strand,
        "n-cut, k = 2": clustering.spectral_clustering(graph, 2),
        "layered Q": clustering.cluster_layered(graph, 2).labels,
    }
    order = np.argsort(strand.reshape(-1, UNITS), axis=1, kind="stable")
    shown = {
        name: np.take_along_axis(_named(labels, strand).reshape(-1, UNITS), order, 1).ravel()
        for name, labels in parts.items()
    }
    agreement = {name: float(adjusted_rand_score(strand, labels)) for name, labels in parts.items()}
    return State(leak, blocks, graph.layers, shown, agreement)


def _named(labels: np.ndarray, strand: np.ndarray) -> np.ndarray:
    """The labels 0 and 1 that fit the strands better."""
    return labels if (labels == strand).mean() >= 0.5 else 1 - labels


def still(
    draw: Callable[[Sequence[State]], Figure],
    *,
    leaks: Sequence[float],
    blocks: Sequence[int],
    name: str,
) -> Html:
    """States at these leaks and numbers of blocks, as an explorer that needs no kernel."""
    found = {(f"{leak:g}", str(depth)): state(leak, depth) for depth in blocks for leak in leaks}
    pictures = {choice: (draw([one]), _caption(one)) for choice, one in found.items()}
    return chooser(pictures, ("leak", "blocks"), name=name)


def _caption(one: State) -> str:
    limit = clustering.strand_limit(one.blocks)
    side = "below" if one.leak < limit else "beyond"
    agreement = ", ".join(
        f"{name} {value:.2f}" for name, value in one.agreement.items() if name != "strands"
    )
    return (
        f"Random weights, {one.blocks} blocks, leak {one.leak:g}, {side} the limit at k = 2 "
        f"({limit:.3f}). Agreement with the strands: {agreement}."
    )


def explore(
    draw: Callable[[Sequence[State]], Figure], *, leak: float = 0.2, blocks: int = 5
) -> Any:
    """The live widget: sliders for leak and number of blocks, and a sentence on the limit."""
    import ipywidgets as widgets  # only a live notebook needs it

    slider = widgets.FloatSlider(leak, min=0, max=1, step=0.02, description="leak")
    depth = widgets.IntSlider(blocks, min=2, max=13, description="blocks")
    sentence, picture = widgets.HTML(), widgets.Image(format="png")

    def show(*_: Any) -> None:
        limit = clustering.strand_limit(depth.value)
        side = "below" if slider.value < limit else "beyond"
        sentence.value = f"Limit at k = 2: {limit:.3f}. This leak is {side} it."
        picture.value = plots.png(draw([state(round(slider.value, 2), depth.value)]))

    for control in (slider, depth):
        control.observe(show, names="value")
    show()
    return widgets.VBox([widgets.HBox([slider, depth]), sentence, picture])
