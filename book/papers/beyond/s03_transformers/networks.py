"""The transformers of this section, and what is done to them: clustered, silenced, turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import ortho_group
from torch import nn
from torch.nn import functional

from book.lab.claims import load_claims
from book.papers.beyond.s03_transformers import minilm, vit
from modgraph_lib import clustering, graphs
from modgraph_lib.graphs import LayeredGraph
from modgraph_lib.lesions import Submodule

__all__ = [
    "NETWORKS",
    "StreamConfig",
    "composition",
    "coordinates",
    "damage_of",
    "network_of",
    "rotation",
    "sentences",
    "silenced",
]

NETWORKS = ("vit", "minilm")


@dataclass(frozen=True)
class StreamConfig:
    """Which transformer, and into how many clusters it is cut.

    Attributes:
        network: "vit" (digits) or "minilm".
        trained: or its random start.
        seed: of the network's start and training (MiniLM: of a random start).
        epochs: of training (ViT).
        clusters: k.
        n_init: k-means restarts.
    """

    network: str = "vit"
    trained: bool = True
    seed: int = 0
    epochs: int = 30
    clusters: int = 8
    n_init: int = 10

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network is one of {', '.join(NETWORKS)}; got {self.network!r}")


def network_of(config: StreamConfig, root: str | None = None) -> nn.Module:
    """The transformer of a configuration."""
    if config.network == "minilm":
        return minilm.trained() if config.trained else minilm.fresh(config.seed)
    return (
        vit.trained(config.seed, config.epochs, root) if config.trained else vit.fresh(config.seed)
    )


def sentences(count: int) -> list[str]:
    """Statements of the five papers in this project's words, evenly chosen."""
    claims = load_claims()["claim"].tolist()
    return [claims[place] for place in np.linspace(0, len(claims) - 1, count).astype(int)]


def composition(graph: LayeredGraph, labels: np.ndarray, k: int) -> dict[str, Any]:
    """Components of each cluster by part, and how strongly they are joined beside the part's mean.

    ``counts`` is (parts, k); ``strength`` (k,) the mean over a cluster of a component's degree as a
    multiple of the mean degree in its part.
    """
    parts = np.split(labels, graph.offsets[1:-1])
    degrees = np.split(graph.degrees(), graph.offsets[1:-1])
    relative = np.concatenate([degree / degree.mean() for degree in degrees])
    strength = [relative[labels == c].mean() if (labels == c).any() else 0.0 for c in range(k)]
    return {
        "names": list(graph.names),
        "counts": [np.bincount(part[part >= 0], minlength=k).tolist() for part in parts],
        "strength": [round(float(value), 4) for value in strength],
    }


def damage_of(model: nn.Module, texts: int, root: str | None) -> Callable[[], float]:
    """How far the network as it is now answers otherwise than it does intact.

    For the ViT the rise of the cross-entropy on the test images; for MiniLM one less the mean
    cosine of a sentence's two embeddings.
    """
    if isinstance(model, vit.Vit):
        images, labels = vit.images_of("test", root)

        def loss() -> float:
            return float(functional.cross_entropy(model(images), labels))

        intact = loss()
        return lambda: loss() - intact
    read = minilm.tokens(sentences(texts))
    before = model(*read)
    return lambda: float(1 - (model(*read) * before).sum(1).mean())


def silenced(
    model: nn.Module, part: Submodule, mask: np.ndarray, damage: Callable[[], float]
) -> float:
    """The damage while the components of a mask write nothing."""
    place, _, kind = part.layer.partition(".")
    block = model.encoder.layers[int(place)]
    writer = block.self_attn.out_proj if kind == "attention" else block.linear2
    columns = np.repeat(mask, writer.weight.shape[1] // len(mask))
    kept = writer.weight.clone()
    writer.weight[:, torch.from_numpy(columns)] = 0
    found = damage()
    writer.weight.copy_(kept)
    return found


def rotation(rng: np.random.Generator) -> np.ndarray:
    """(32, 32) random orthogonal matrix that leaves the vector of ones."""
    ones = np.ones((1, vit.WIDTH)) / vit.WIDTH**0.5
    rest = np.linalg.svd(ones)[2][1:]
    inner = ortho_group.rvs(vit.WIDTH - 1, random_state=rng)
    return ones.T @ ones + rest.T @ inner @ rest


def coordinates(model: vit.Vit, config: StreamConfig, shuffles: int) -> tuple[float, float]:
    """n-cut and z of the graph whose nodes include the stream's coordinates."""
    options = {"example": (1, vit.SIDE, vit.SIDE), "check": False}
    seeds = [[config.seed, 5, i] for i in range(shuffles)]
    own = graphs.weight_graph(model, **options)
    ncuts = [
        clustering.cluster(graph, config.clusters, n_init=config.n_init, seed=config.seed).ncut
        for graph in (own, *graphs.kernel_shuffles(model, seeds=seeds, **options))
    ]
    null = np.array(ncuts[1:])
    return ncuts[0], float((ncuts[0] - null.mean()) / null.std(ddof=1))
