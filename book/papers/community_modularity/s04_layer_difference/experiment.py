"""Differences of Q between layers beside linear CKA: one record a network.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 5.1 and figure 8. The
model and the granularity of its figure cannot be recovered from the available text; it speaks of
layers inside ResNet blocks and after their additions, so both are measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.community_modularity import curves, settings
from modgraph_lib import cache, communities, training
from modgraph_lib.communities import cka
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig

__all__ = [
    "DifferenceConfig",
    "LayerDifferenceParameters",
    "differences_of",
    "matrices",
    "measure",
    "networks",
    "run",
    "run_one",
    "table",
]


@dataclass(frozen=True)
class DifferenceConfig:
    """Q and CKA of every layer of one ResNet.

    Attributes:
        train: the network; with stage "untrained" as it was before training.
        parts: "units" or "convolutions", see ``cifar_networks.sub_layers``.
        samples: test images drawn for a graph, and for a Gram matrix.
        neighbours: k of the graphs.
        repeats, seed: of the draw; Q and CKA are means over draws of the same images.
    """

    train: SgdConfig
    stage: str = "trained"
    parts: str = "units"
    samples: int = 500
    neighbours: int = 3
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("stage", ("trained", "untrained")),
            ("parts", ("units", "convolutions")),
        ):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")
        if cifar_networks.plan_of(self.train.network).family not in cifar_networks.RESNET_PLANS:
            raise ValueError(f"{self.train.network!r} has no residual blocks to look into")
        if self.samples < 2 or self.repeats < 1:
            raise ValueError("a comparison needs two samples and one repeat at least")


def measure(config: DifferenceConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""

    def look(model: nn.Module) -> dict[str, Any]:
        _, test = training.sets.pair(config.train.data, root)
        return differences_of(model, test.images, test.labels, config, device=device)

    return curves.looked_at(config.train, config.stage, look, device=device, root=root)


def differences_of(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    config: DifferenceConfig,
    *,
    device: str = "cpu",
) -> dict[str, Any]:
    """Layers and their kinds, Q as (repeats, layers), mean CKA as (layers, layers).

    Args:
        images: (N, C, H, W) or (N, H, W) to draw from; labels: (N,).
        config: its ``train`` and ``stage`` are not looked at.
    """
    images = training.with_channels(images)
    kinds = cifar_networks.sub_layers(model, config.parts)
    q, alignments = [], []
    for chosen in curves.draws(len(images), config.samples, config.repeats, "random", config.seed):
        curve = communities.modularity_curve(
            model,
            images[chosen],
            labels[chosen],
            layers=tuple(kinds),
            k=config.neighbours,
            zero_norm="isolate",  # as for the curves: a dead layer is a result, not an error
            device=device,
        )
        q.append(cache.rounded(curve.q))
        found = cka.cka_matrix(model, images[chosen], layers=tuple(kinds), device=device)
        alignments.append(found.values)
    mean = np.mean(alignments, axis=0)
    return {
        "layers": list(kinds),
        "kinds": list(kinds.values()),
        "q": q,
        "cka": [cache.rounded(row, 4) for row in mean],
    }


def matrices(rows: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Kinds of the layers (L,), and D and CKA (L, L), from the rows of one record."""
    count = int(rows["layers_in_all"].iloc[0])
    one, other = rows["layer_i"].to_numpy() - 1, rows["layer_j"].to_numpy() - 1
    difference, alignment = np.zeros((count, count)), np.eye(count)
    difference[one, other] = difference[other, one] = rows["difference"]
    alignment[one, other] = alignment[other, one] = rows["cka"]
    kinds = dict(zip(one, rows["kind_i"], strict=True))
    kinds |= dict(zip(other, rows["kind_j"], strict=True))
    return [kinds[layer] for layer in range(count)], difference, alignment


def rows(record: dict) -> list[dict]:
    """One row a pair of layers i < j.

    Own columns: k, layers_in_all, layer_i, layer_j (from 1), name_i, name_j, kind_i, kind_j,
    block_i, block_j (from 1; 0 is the stem), q_i, q_j (means over draws), difference =
    abs(q_i - q_j), cka, test_accuracy.
    """
    result = record["result"]
    names, kinds = np.array(result["layers"]), np.array(result["kinds"])
    # a block's output closes it, so the layers before it and itself share its number
    after = kinds == "after"
    block = np.where(kinds == "stem", 0, np.cumsum(after) - after + 1)
    q, alignment = np.mean(result["q"], axis=0), np.array(result["cka"])
    one, other = np.triu_indices(len(names), 1)
    pairs = {"layer_i": one + 1, "layer_j": other + 1}
    for side, index in (("i", one), ("j", other)):
        pairs |= {f"name_{side}": names[index], f"kind_{side}": kinds[index]}
        pairs |= {f"block_{side}": block[index], f"q_{side}": q[index]}
    pairs |= {"difference": np.abs(q[one] - q[other]), "cka": alignment[one, other]}
    own = {"k": record["config"]["neighbours"], "layers_in_all": len(names)}
    own |= {"test_accuracy": result.get("test_accuracy")}
    return pd.DataFrame(pairs).assign(**own).to_dict("records")


@dataclass(frozen=True)
class LayerDifferenceParameters(settings.TrainedParameters):
    """Parameters of ``community_modularity/04_layer_difference``; the defaults are quick."""

    network: str = parameter("resnet18", "a ResNet (the paper's cannot be recovered)")
    parts: list[str] = parameter(
        ["units"], "inside blocks: units (up to batch norm, ReLU) or convolutions",
        choices=("units", "convolutions"),
    )  # fmt: skip
    samples: int = parameter(250, "test images compared (paper: 500)", at_least=20)

    def __post_init__(self) -> None:
        if cifar_networks.plan_of(self.network).family not in cifar_networks.RESNET_PLANS:
            raise ValueError(f"network has to be a ResNet, got {self.network!r}")


def networks(parameters: LayerDifferenceParameters) -> list[DifferenceConfig]:
    """What the section compares: trained networks, and the same before training."""
    p = parameters
    return [
        DifferenceConfig(
            settings.training_run(
                p.network,
                p.seed + number,
                **p.given("data", "scale", "width", "epochs", "batch_size", "precision"),
            ),
            stage,
            parts,
            **p.given("samples", "neighbours", "repeats"),
        )
        for number in range(p.seeds)
        for stage in ("trained", "untrained")
        for parts in p.parts
    ]


EXPERIMENT = Experiment(
    "community_layer_difference",
    DifferenceConfig,
    measure,
    rows,
    ("k", "layer_i", "layer_j", "kind_i", "kind_j", "block_i", "block_j", "difference", "cka"),
    keep=curves.of_colour_images,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table


SECTION = Section(
    "community_modularity/04_layer_difference",
    LayerDifferenceParameters,
    lambda p: [Sweep(run, networks(p))],
)
