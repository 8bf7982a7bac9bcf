"""The layer explorer on a network whose maps have been recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from book.lab.scorecard import Html
from book.lab.states import chooser
from book.papers.community_modularity import curves
from modgraph_lib import plots, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.widgets import layer_explorer
from modgraph_lib.widgets.layer_explorer import LayerMap

__all__ = ["layers_of", "still"]

MOST = 8  # layers on offer: more would make the page heavy


def layers_of(config: Any, record: dict[str, Any], *, k: int = 3) -> LayerMap:
    """Graphs of the images of a record of ``s01_curves.maps``, with its maps.

    Args:
        config: the record's ``MapConfig``: train, samples, layers and seed are read.
        record: its maps, (L, N, 2) at ``record["result"]["points"]``.
        k: neighbours of each image.

    The network comes from the cache, or is trained.
    """
    model, _ = curves.network(config.train, "trained")
    _, test = training.sets.pair(config.train.data)
    (chosen,) = curves.draws(len(test.images), config.samples, 1, "random", config.seed)
    images = training.with_channels(test.images)
    return layer_explorer.layer_map(
        model,
        images[chosen],
        test.labels[chosen],
        np.array(record["result"]["points"]),
        layers=cifar_networks.measured_layers(model, config.layers),
        classes=test.classes,
        k=k,
        device="cpu",
    )


def still(chart: LayerMap, *, name: str) -> Html:
    """The layers, or eight of many, as an explorer that needs no kernel; ``name`` is its anchor."""
    pictures = {
        (f"{layer + 1}: {chart.layers[layer]}",): (
            plots.layer_state(chart, layer),
            chart.describe(layer),
        )
        for layer in chart.spread(MOST)
    }
    return chooser(pictures, ("layer",), name=name)
