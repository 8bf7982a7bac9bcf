"""Q after every block of torchvision's ResNets on ImageNet: one record a network.

Weights are read from files that the user names, or fetched by torchvision; images from the
user's copy of ImageNet. Neither is to be had where this book is made, so the path is tested with
random weights on made images.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.1 and figure 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.community_modularity import curves
from book.papers.ncut import imagenet_weights as imagenet
from modgraph_lib import cache, communities
from modgraph_lib.datasets import _imagenet

__all__ = ["NETWORKS", "PretrainedConfig", "blocks", "load", "measure", "run", "run_one", "table"]

NETWORKS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


@dataclass(frozen=True)
class PretrainedConfig:
    """The curves of one of torchvision's ResNets.

    Attributes:
        network: torchvision's name.
        weights: "random" or "imagenet".
        data: "imagenet50" draws validation images of the paper's fifty classes, "imagenet" of
            all. Figure 5 does not say: 500 images of 1,000 classes have few of one class, so that
            no graph with k = 3 could come near the values it is drawn for.
        samples, neighbours, repeats, seed: as in ``curves.CurveConfig``.
    """

    network: str
    weights: str = imagenet.RANDOM
    data: str = "imagenet50"
    samples: int = 500
    neighbours: int = 3
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("network", NETWORKS),
            ("weights", (imagenet.RANDOM, imagenet.IMAGENET)),
            ("data", tuple(_imagenet.FOLDERS)),
        ):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")
        if self.samples < 2 or self.repeats < 1:
            raise ValueError("a curve needs two samples and one repeat at least")


def run(
    configs: Sequence[PretrainedConfig],
    *,
    weights: str = imagenet.RANDOM,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    Args:
        weights: where ImageNet weights are: "torchvision" (fetches them), or a folder.
        root: folder that holds ``imagenet`` or ``imagenet50``.
    """
    return sweep.each(run_one, configs, device=device, workers=workers, weights=weights, root=root)


def run_one(
    config: PretrainedConfig,
    *,
    weights: str = imagenet.RANDOM,
    device: str = "cpu",
    root: str | None = None,
) -> dict:
    """The record of one configuration, as in ``imagenet_weights.record``."""
    model, items = load(config, weights), imagenet.images(config.data, root)

    def curves_of(_) -> dict[str, Any]:
        return measure(config, model, len(items), device=device, root=root)

    return imagenet.record(EXPERIMENT, config, model, curves_of, items=items, device=device)


def load(config: PretrainedConfig, weights: str = imagenet.RANDOM) -> nn.Module:
    """The network, which takes pixels in 0..1; errors as in ``imagenet_weights.network``."""
    return imagenet.of_pixels(imagenet.network(config, config.network, weights))


def blocks(model: nn.Module) -> tuple[str, ...]:
    """Names of the residual blocks, from the bottom up."""
    kinds = ("BasicBlock", "Bottleneck")
    return tuple(n for n, module in model.named_modules() if type(module).__name__ in kinds)


def measure(
    config: PretrainedConfig,
    model: nn.Module,
    total: int,
    *,
    device: str = "cpu",
    root: str | None = None,
) -> dict[str, Any]:
    """Layers, Q and inside share as (repeats, blocks); not stored.

    Args:
        model: of ``load``.
        total: how many validation images there are to draw from.
    """
    layers = blocks(model)
    found: dict[str, list] = {"q": [], "inside": []}
    for chosen in curves.draws(total, config.samples, config.repeats, "random", config.seed):
        images, labels = _imagenet.sample(config.data, chosen, root)
        curve = communities.modularity_curve(
            model,
            images,
            labels,
            layers=layers,
            k=config.neighbours,
            zero_norm="isolate",
            batch_size=25,
            device=device,
        )
        found["q"].append(cache.rounded(curve.q))
        found["inside"].append(cache.rounded(curve.inside))
    return {"layers": list(layers), **found}


def rows(record: dict) -> list[dict]:
    """One row a draw and block, which counts from 1."""
    result = record["result"]
    return [
        {**point, "repeat": repeat, "layers_in_all": len(result["layers"])}
        for repeat, values in enumerate(zip(result["q"], result["inside"], strict=True))
        for point in curves.points(result["layers"], *values)
    ]


EXPERIMENT = Experiment(
    "community_pretrained",
    PretrainedConfig,
    rows=rows,
    columns=("layer", "q"),
    keep=lambda record: record["config"]["weights"] == "imagenet",
)
table = EXPERIMENT.table
