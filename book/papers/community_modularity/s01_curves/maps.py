"""Maps of test images after every layer by t-SNE, and how far the classes lie apart in them.

The paper shows such maps (figure 1, left) and reads class separation off them by eye. Its t-SNE
settings are not stated: ours are scikit-learn's defaults after a projection onto at most 50
principal components. The number beside each map is the mean silhouette of the true classes: 1 for
tight classes far apart, 0 for classes on top of each other.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, introduction and figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import nn

from book.lab.experiment import Experiment
from book.papers.community_modularity import curves
from book.papers.community_modularity.features import layer_features
from modgraph_lib import cache, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig

__all__ = ["MapConfig", "maps_of", "measure", "points", "run", "run_one", "table"]

COMPONENTS = 50


@dataclass(frozen=True)
class MapConfig:
    """The maps of one network.

    Attributes:
        train: the network.
        samples: test images, drawn as the first draw of ``curves.CurveConfig`` draws them.
        perplexity: of t-SNE.
        layers: as in ``curves.CurveConfig``.
        seed: of the draw and of t-SNE.
    """

    train: SgdConfig
    samples: int = 500
    perplexity: float = 30.0
    layers: str = "described"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples <= self.perplexity:
            raise ValueError(f"a perplexity of {self.perplexity:g} needs more samples than that")


def measure(config: MapConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""

    def look(model: nn.Module) -> dict[str, Any]:
        _, test = training.sets.pair(config.train.data, root)
        (chosen,) = curves.draws(len(test.images), config.samples, 1, "random", config.seed)
        return maps_of(
            model,
            training.with_channels(test.images)[chosen],
            test.labels[chosen].numpy(),
            cifar_networks.measured_layers(model, config.layers),
            perplexity=config.perplexity,
            seed=config.seed,
            device=device,
        )

    return curves.looked_at(config.train, "trained", look, device=device, root=root)


def maps_of(
    model: nn.Module,
    images: torch.Tensor,
    labels: np.ndarray,
    layers: Sequence[str],
    *,
    perplexity: float = 30.0,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Any]:
    """A map of the images after each layer.

    Args:
        images: (N, C, H, W); labels: (N,) of at least two classes.

    Returns:
        layers, labels (N), points (L, N, 2) to three digits of each map's half width, silhouette
        (L,) of the classes in the map.
    """
    found = layer_features(model, images, layers, device=device)
    placed, separated = [], []
    for name in layers:
        features = found.pop(name).numpy()
        features = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
        spot = TSNE(perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(features)
        spot = (spot - spot.mean(0)) / np.abs(spot - spot.mean(0)).max()
        placed.append(np.round(spot.astype(float), 3).tolist())
        separated.append(silhouette_score(spot, labels))
    return {
        "layers": list(layers),
        "labels": np.asarray(labels).tolist(),
        "points": placed,
        "silhouette": cache.rounded(separated),
    }


def rows(record: dict) -> list[dict]:
    """One row a layer, which counts from 1."""
    found = record["result"]["silhouette"]
    return [{"layer": layer, "silhouette": value} for layer, value in enumerate(found, 1)]


def points(record: dict) -> tuple[np.ndarray, np.ndarray]:
    """Maps (L, N, 2) and labels (N,) of one record."""
    return np.array(record["result"]["points"]), np.array(record["result"]["labels"])


EXPERIMENT = Experiment(
    "community_maps",
    MapConfig,
    measure,
    rows,
    ("layer", "silhouette"),
    keep=curves.of_colour_images,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
