"""Linear probes: how well a linear classifier reads the class off each layer's features.

The paper says that Q follows the accuracy of such probes and cites a study of them; it trains
none. Features are means over a 4x4 grid of each map (the whole map where it is smaller), scaled
to unit variance; the probe is a ridge classifier whose penalty is chosen by leave-one-out error
on the probe's own training images.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.1; probes after
Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from book.lab.experiment import Experiment
from book.papers.community_modularity import curves
from book.papers.community_modularity.features import layer_features, pooled
from modgraph_lib import cache, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig

__all__ = ["ProbeConfig", "measure", "probe_accuracies", "run", "run_one", "table"]

PENALTIES = tuple(10.0**power for power in range(6))


@dataclass(frozen=True)
class ProbeConfig:
    """The probes of one network.

    Attributes:
        train: the network.
        fit_images, test_images: how many of the training and of the test images the probes
            learn from and are judged on, drawn at random.
        layers: as in ``curves.CurveConfig``.
        seed: of the draws.
    """

    train: SgdConfig
    fit_images: int = 5000
    test_images: int = 2000
    layers: str = "described"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.fit_images, self.test_images) < 2:
            raise ValueError("probes need two images at least to learn from and to be judged on")


def measure(config: ProbeConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""

    def look(model: nn.Module) -> dict[str, Any]:
        sets = training.sets.pair(config.train.data, root)
        counts = (config.fit_images, config.test_images)
        (fit, fit_labels), (test, test_labels) = (
            _drawn(data, count, config.seed) for data, count in zip(sets, counts, strict=True)
        )
        layers = cifar_networks.measured_layers(model, config.layers)
        accuracies = probe_accuracies(
            model, fit, fit_labels, test, test_labels, layers, device=device
        )
        return {"layers": list(layers), "accuracy": cache.rounded(accuracies)}

    return curves.looked_at(config.train, "trained", look, device=device, root=root)


def probe_accuracies(
    model: nn.Module,
    fit: torch.Tensor,
    fit_labels: np.ndarray,
    test: torch.Tensor,
    test_labels: np.ndarray,
    layers: Sequence[str],
    *,
    device: str = "cpu",
) -> list[float]:
    """Share of test images that a linear probe on each layer's features classifies right.

    Args:
        fit, test: images (N, C, H, W); the labels: (N,).
    """
    learn = layer_features(model, fit, layers, reduce=pooled, device=device)
    judge = layer_features(model, test, layers, reduce=pooled, device=device)
    accuracies = []
    for name in layers:
        probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
        probe.fit(learn[name].numpy(), fit_labels)
        accuracies.append(float(probe.score(judge[name].numpy(), test_labels)))
    return accuracies


def rows(record: dict) -> list[dict]:
    """One row a layer, which counts from 1."""
    found = record["result"]
    of_network = {"test_accuracy": found["test_accuracy"]}
    return [
        {**of_network, "layer": layer, "accuracy": value}
        for layer, value in enumerate(found["accuracy"], 1)
    ]


def _drawn(data, count: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    images = training.with_channels(data.images)
    (chosen,) = curves.draws(len(images), min(count, len(images)), 1, "random", seed)
    return images[chosen], data.labels[chosen].numpy()


EXPERIMENT = Experiment(
    "community_probes",
    ProbeConfig,
    measure,
    rows,
    ("layer", "accuracy", "test_accuracy"),
    keep=curves.of_colour_images,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
