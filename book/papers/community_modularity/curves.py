"""Modularity of the true classes after every layer: one record a network and way of measuring.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.1 (figures 1, 4),
section 4.4 (figure 7) and appendix A.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from book.lab.experiment import Experiment
from modgraph_lib import cache, communities, provenance, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, sgd

__all__ = ["CurveConfig", "curves_of", "draws", "looked_at", "measure", "run", "table"]

STAGES = ("trained", "untrained")
LAYERS = ("described", "published")
SAMPLING = ("random", "consecutive")


@dataclass(frozen=True)
class CurveConfig:
    """The curves of one network.

    Attributes:
        train: the network; with stage "untrained" as it was before training.
        samples, neighbours: N, and every k to measure at.
        similarity, symmetrise: as in ``communities.knn_graph``.
        layers: after which layers, see ``cifar_networks.measured_layers``.
        sampling: "random" draws N test images anew for each repeat (the paper's text);
            "consecutive" takes the first N, the next N and so on (its code).
        repeats: of the draw; fewer where consecutive batches run out.
        seed: of the draws.
    """

    train: SgdConfig
    stage: str = "trained"
    samples: int = 500
    neighbours: tuple[int, ...] = (3,)
    similarity: str = "cosine"
    symmetrise: str = "mean"
    layers: str = "described"
    sampling: str = "random"
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "neighbours", tuple(self.neighbours))
        for name, allowed in (("stage", STAGES), ("layers", LAYERS), ("sampling", SAMPLING)):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")
        if self.samples < 2 or self.repeats < 1 or not self.neighbours:
            raise ValueError("a curve needs two samples, one repeat and one k at least")


def measure(config: CurveConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""

    def look(model: nn.Module) -> dict[str, Any]:
        _, test = training.sets.pair(config.train.data, root)
        return curves_of(model, test.images, test.labels, config, device=device)

    return looked_at(config.train, config.stage, look, device=device, root=root)


def looked_at(
    train: SgdConfig,
    stage: str,
    look: Callable[[nn.Module], dict[str, Any]],
    *,
    device: str = "cpu",
    root: str | None = None,
) -> dict[str, Any]:
    """Result and provenance of looking at one network, which is trained first if need be.

    Args:
        look: the network in evaluation mode, on the CPU -> what the result holds besides the
            facts of ``network``. Its seconds are the record's; training has its own.
    """
    with training.threads_for(device):
        model, facts = network(train, stage, device=device, root=root)
        start = time.perf_counter()
        found = look(model)
        seconds = time.perf_counter() - start
    note = training.data_note(train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": {**facts, **found}, "provenance": origin}


def network(
    train: SgdConfig, stage: str, *, device: str = "cpu", root: str | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """A network in evaluation mode, and what a record says of its training."""
    if stage == "untrained":
        return sgd.at_start(train, device=device, root=root), {}
    found = sgd.trained(train, device=device, root=root)
    facts = {
        "test_accuracy": round(found.test_accuracy, 6),
        "best_accuracy": round(found.best_accuracy, 6),
        "train_accuracy": round(found.history[-1]["train_accuracy"], 6),
        "train_seconds": round(found.seconds, 1),
    }
    return found.model(), facts


def curves_of(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    config: CurveConfig,
    *,
    device: str = "cpu",
) -> dict[str, Any]:
    """Layers, and for every k the Q and the inside share as (repeats, layers).

    Args:
        images: (N, C, H, W) or (N, H, W) to draw from; labels: (N,).
        config: its ``train`` and ``stage`` are not looked at.
    """
    images = training.with_channels(images)
    layers = cifar_networks.measured_layers(model, config.layers)
    found: dict[str, dict[str, list]] = {str(k): {"q": [], "inside": []} for k in config.neighbours}
    for chosen in draws(len(images), config.samples, config.repeats, config.sampling, config.seed):
        curves = communities.modularity_curves(
            model,
            images[chosen],
            labels[chosen],
            k=config.neighbours,
            layers=layers,
            similarity=config.similarity,
            symmetrise=config.symmetrise,
            zero_norm="isolate",  # as the released code; a dead layer is a result, not an error
            device=device,
        )
        for k, curve in curves.items():
            found[str(k)]["q"].append(cache.rounded(curve.q))
            found[str(k)]["inside"].append(cache.rounded(curve.inside))
    return {"layers": list(layers), "curves": found}


def draws(total: int, samples: int, repeats: int, sampling: str, seed: int) -> list[np.ndarray]:
    """Which images each repeat takes: (samples,) indices each.

    Raises:
        ValueError: fewer images than samples.
    """
    if samples > total:
        raise ValueError(f"{samples} samples cannot be drawn from {total} test images")
    if sampling == "consecutive":
        starts = range(0, min(repeats, total // samples) * samples, samples)
        return [np.arange(start, start + samples) for start in starts]
    rng = np.random.default_rng(seed)
    return [rng.permutation(total)[:samples] for _ in range(repeats)]


def rows(record: dict) -> list[dict]:
    """One row a k, repeat and layer: layer (from 1), name, q and inside."""
    result = record["result"]
    shared = {
        "test_accuracy": result.get("test_accuracy"),
        "best_accuracy": result.get("best_accuracy"),
        "layers_in_all": len(result["layers"]),
    }
    return [
        {**shared, **point, "k": int(k), "repeat": repeat}
        for k, found in result["curves"].items()
        for repeat, values in enumerate(zip(found["q"], found["inside"], strict=True))
        for point in points(result["layers"], *values)
    ]


def points(layers: Sequence[str], q: Sequence[float], inside: Sequence[float]) -> list[dict]:
    """One curve, a row a layer, which counts from 1."""
    return [
        {"layer": place, "name": name, "q": one, "inside": share}
        for place, (name, one, share) in enumerate(zip(layers, q, inside, strict=True), 1)
    ]


COLUMNS = ("k", "layer", "q", "test_accuracy", "best_accuracy")


def of_colour_images(record: dict) -> bool:
    """Not the digits of a quick run, nor a laptop's part of the training images."""
    train = record["config"]["train"]
    return train["data"] != "digits" and not train["images"]


EXPERIMENT = Experiment(
    "community_curves",
    CurveConfig,
    measure,
    rows,
    COLUMNS,
    keep=of_colour_images,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table
