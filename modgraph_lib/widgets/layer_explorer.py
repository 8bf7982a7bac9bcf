"""Slide through the layers of a network: the neighbour graph on the map, and Q on its curve.

`explore` is the live widget for Jupyter; `plots.layer_states` draws chosen layers once, so that a
static page shows what the widget would.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn

from modgraph_lib import communities, plots

__all__ = ["LayerMap", "explore", "layer_map"]


@dataclass(frozen=True, eq=False)
class LayerMap:
    """What there is to see of the same N samples after each of L layers.

    Attributes:
        layers: (L,) names, from the bottom up.
        points: (L, N, 2) places on a map of each layer, by t-SNE for instance.
        graphs: (L,) neighbour graphs (N, N), as ``communities.knn_graph`` makes them.
        labels: (N,) classes from 0.
        classes: name of each class.

    Raises:
        ValueError: parts that do not fit each other.
    """

    layers: tuple[str, ...]
    points: np.ndarray
    graphs: tuple[sparse.csr_array, ...]
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        count, samples = len(self.layers), len(self.labels)
        if not count:
            raise ValueError("the explorer needs at least one layer")
        if self.points.shape != (count, samples, 2):
            raise ValueError(
                f"{count} layers and {samples} samples need points of shape "
                f"({count}, {samples}, 2), got {self.points.shape}"
            )
        if [graph.shape for graph in self.graphs] != [(samples, samples)] * count:
            raise ValueError(f"{count} layers need as many graphs of {samples} samples each")
        if not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(f"labels have to lie in 0..{len(self.classes) - 1}")

    @functools.cached_property
    def q(self) -> np.ndarray:
        """(L,) modularity of the classes in each graph."""
        return np.array([communities.modularity(graph, self.labels) for graph in self.graphs])

    def inside(self, layer: int) -> float:
        """Share of a graph's edges, each counted once, that join samples of one class."""
        row, column = sparse.triu(self.graphs[layer]).nonzero()
        return float((self.labels[row] == self.labels[column]).mean())

    def describe(self, layer: int) -> str:
        """One sentence on a layer, counted from 0."""
        edges = sparse.triu(self.graphs[layer]).nnz
        step = (
            "" if layer == 0 else f", {self.q[layer] - self.q[layer - 1]:+.3f} from the one before"
        )
        return (
            f"Layer {layer + 1} of {len(self.layers)} ({self.layers[layer]}): Q = "
            f"{self.q[layer]:.3f}{step}; {self.inside(layer):.0%} of {edges} edges join images of "
            "one class."
        )

    def spread(self, count: int) -> tuple[int, ...]:
        """``count`` layers (at most all), evenly over the depth, first and last among them."""
        last = len(self.layers) - 1
        return tuple(sorted({round(place) for place in np.linspace(0, last, count)}))


def layer_map(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor | np.ndarray,
    points: np.ndarray,
    *,
    layers: Sequence[str],
    classes: Sequence[str],
    k: int = 3,
    device: str = "auto",
) -> LayerMap:
    """The map of a network.

    Args:
        model, images, layers, k, device: as for ``communities.modularity_curve``.
        labels: (N,) classes from 0.
        points: (L, N, 2), for instance ``s01_curves.maps.maps_of(...)["points"]``.
        classes: name of each class.
    """
    graphs = communities.layer_graphs(
        model, images, layers=layers, k=k, zero_norm="isolate", device=device
    )
    return LayerMap(
        tuple(graphs),
        np.asarray(points, dtype=float),
        tuple(graphs.values()),
        np.asarray(labels),
        tuple(classes),
    )


def explore(chart: LayerMap) -> Any:
    """The live explorer: an ipywidgets box with a slider, a button to play, and one picture."""
    import ipywidgets as widgets  # only a live notebook needs it

    last = len(chart.layers)
    slider = widgets.IntSlider(1, min=1, max=last, description="layer", continuous_update=False)
    play = widgets.Play(value=1, min=1, max=last, interval=1500)
    widgets.jslink((play, "value"), (slider, "value"))
    sentence = widgets.HTML()
    picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))

    @functools.cache
    def drawn(layer: int) -> bytes:
        return plots.png(plots.layer_state(chart, layer))

    def show(*_: Any) -> None:
        layer = slider.value - 1
        sentence.value = chart.describe(layer)
        picture.value = drawn(layer)

    slider.observe(show, names="value")
    show()
    return widgets.VBox([widgets.HBox([play, slider]), sentence, picture])
