"""Clusterability of large networks trained on ImageNet, and of the same with random weights.

ImageNet weights are read from files that the user names, or fetched by torchvision; random ones
are torchvision's own initialisation. A record is one network under one reading of what its graph
and its shuffles are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.ncut import imagenet_weights, mlps
from book.papers.ncut.imagenet_weights import IMAGENET, RANDOM
from modgraph_lib import cache, clustering, graphs, models, noise, report, training
from modgraph_lib.clustering import spectral
from modgraph_lib.clustering.kmeans import kmeans

__all__ = [
    "NETWORKS",
    "READINGS",
    "ImagenetConfig",
    "ImagenetParameters",
    "configs",
    "fork",
    "layer_bound",
    "layer_eigenvalues",
    "leading_eigenvalues",
    "load",
    "measure",
    "run",
    "run_one",
    "table",
]

# torchvision's name -> the paper's; "mlp" is the yardstick for how stable a clustering is.
NETWORKS: Mapping[str, str] = {
    "vgg16": "VGG-16",
    "vgg19": "VGG-19",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "inception_v3": "Inception-V3",
}
MLP = "mlp"
# described: the text, with residual sums walked through, every block shuffled by itself.
# kernels: the same graph, every kernel shuffled once. published: the released code's graph.
READINGS = ("described", "kernels", "published")
RESTARTS, STARTS = 20, 10


@dataclass(frozen=True)
class ImagenetConfig:
    """Clustering of one network under one reading, with its shuffle test.

    ``weights`` is "random", "imagenet", or for the network "mlp" a data set it was trained on.
    """

    network: str
    weights: str = RANDOM
    reading: str = "described"
    seed: int = 0
    clusters: int = 12
    shuffles: int = 100
    n_init: int = 100

    def __post_init__(self) -> None:
        if self.network not in (*NETWORKS, MLP):
            raise ValueError(f"network is one of {', '.join(NETWORKS)}; got {self.network!r}")
        if self.reading not in READINGS:
            raise ValueError(f"reading is one of {', '.join(READINGS)}; got {self.reading!r}")
        if self.network != MLP and self.weights not in (RANDOM, IMAGENET):
            raise ValueError(f"weights are {RANDOM!r} or {IMAGENET!r}, got {self.weights!r}")
        for name in ("clusters", "shuffles", "n_init"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class ImagenetParameters:
    """Parameters of ``clusterability/04_imagenet``; the defaults are quick."""

    networks: list[str] = parameter(
        ["resnet18"], "networks, by torchvision's names (paper: six)", choices=tuple(NETWORKS)
    )
    weights: str = parameter(
        "random", "random, torchvision (downloads), or a folder of weights files"
    )
    readings: list[str] = parameter(
        ["described", "published"], "described, kernels and/or published", choices=READINGS
    )
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(8, "shuffled networks per network (paper: 100)", at_least=1)
    n_init: int = parameter(10, "k-means starts (paper: 100)", at_least=1)
    seed: int = parameter(0, "fixes random weights, shuffles and k-means", at_least=0)
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)


def configs(parameters: ImagenetParameters) -> list[ImagenetConfig]:
    """One configuration a network and reading.

    Source: Clusterability in Neural Networks, section 3.1, figure 10, table A.11.
    """
    p = parameters
    weights = RANDOM if p.weights == RANDOM else IMAGENET
    return [
        ImagenetConfig(name, weights, reading, p.seed, p.clusters, p.shuffles, p.n_init)
        for reading in p.readings
        for name in p.networks
    ]


def load(config: ImagenetConfig, weights: str = RANDOM) -> nn.Module:
    """The network of a configuration; its weights and errors as in ``imagenet_weights.network``."""
    if config.network == MLP:
        if config.weights != RANDOM:
            train = mlps.condition(config.weights, "none", config.seed)
            return training.trained(train).model("unpruned")
        return models.mlp(784, 10, widths=(256,) * 4, seed=config.seed).eval()
    # Its own initialisation takes minutes, and is overwritten where there are weights.
    plain = {"init_weights": False} if config.network == "inception_v3" else {}
    return imagenet_weights.network(config, config.network, weights, **plain)


def run(
    wanted: Sequence[ImagenetConfig], *, weights: str = RANDOM, workers: int | None = None
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    No backend is named, so ``joblib.parallel_config(backend="dask")`` takes it to a cluster. A
    process holds up to 3 GB for ResNet-50.
    """
    tasks = [joblib.delayed(run_one)(config, weights=weights) for config in wanted]
    return joblib.Parallel(n_jobs=workers or joblib.cpu_count())(tasks)


def run_one(config: ImagenetConfig, *, weights: str = RANDOM) -> dict:
    """The record of one configuration, as in ``imagenet_weights.record``."""
    model = load(config, weights)
    return imagenet_weights.record(EXPERIMENT, config, model, lambda _: measure(config, model))


def measure(config: ImagenetConfig, model: nn.Module) -> dict[str, Any]:
    """n-cut, shuffles, and n-cuts of further clusterings that start elsewhere; not stored."""
    with training.single_thread():
        published = config.reading == "published" and config.network != MLP
        graph = graphs.input_graph(model) if published else graphs.weight_graph(model, floor=0)
        kernels = config.reading == "kernels"
        found = report.clusterability(
            model if kernels else graph,
            config.clusters,
            config.shuffles,
            config.seed,
            method="kernel" if kernels else "layer",
            n_init=config.n_init,
            workers=1,
            depth_blind=False,
        )
        return {
            "layers": len(graph.layers),
            "nodes": graph.nodes,
            "edges": sum(int(np.count_nonzero(block)) for block in graph.blocks.values()),
            "negative_gammas": _negative(model),
            "ncut": round(found.ncut, 6),
            "layer_bound": round(layer_bound(graph, config.clusters), 6),
            "shuffled": cache.rounded(found.shuffled, 6),
            "cluster_sizes": np.bincount(found.labels)[1:].tolist(),
            "restarts": cache.rounded(restarts(graph, config.clusters), 6),
        }


def layer_eigenvalues(graph: graphs.LayeredGraph) -> np.ndarray:
    """Eigenvalues, falling, of the graph of one node a layer that is joined by the sums of blocks.

    They are the non-zero eigenvalues of the network's graph if all weights of a block are equal.
    """
    count = len(graph.layers)
    sums = np.zeros((count, count))
    for (i, j), block in graph.blocks.items():
        sums[i, j] = sums[j, i] = block.sum()
    kept = sums.sum(1) > 0
    scale = 1 / np.sqrt(sums[kept].sum(1))
    return np.linalg.eigvalsh(sums[np.ix_(kept, kept)] * scale[:, None] * scale)[::-1]


def leading_eigenvalues(graph: graphs.LayeredGraph, count: int) -> np.ndarray:
    """The largest eigenvalues, falling, of the normalised adjacency of the network's graph."""
    points, degrees = spectral.embedding(graph, count), graph.degrees()
    within = (points * (graph.adjacency() @ points)).sum(0)
    return within / (points**2 * degrees[:, None]).sum(0)


def layer_bound(graph: graphs.LayeredGraph, k: int) -> float:
    """Least n-cut that k clusters of the network could have if all weights of a block were equal.

    No partition has an n-cut below k minus the k largest eigenvalues, and beyond those of the
    layers (``layer_eigenvalues``) all are zero then.
    """
    return float(k - layer_eigenvalues(graph)[:k].clip(min=0).sum())


def restarts(graph: graphs.LayeredGraph, k: int, *, count: int = RESTARTS) -> list[float]:
    """n-cuts of ``count`` clusterings of one embedding, 10 k-means starts each."""
    points = torch.from_numpy(spectral.embedding(graph, k).astype(np.float32))[None]
    present = torch.from_numpy(graph.degrees() > 0)[None]
    labels = [
        kmeans(points, k, present=present, n_init=STARTS, seeds=[clustering.hash_seed(1, seed)])
        for seed in range(count)
    ]
    return [clustering.ncut(graph, row[0].numpy()) for row in labels]


def rows(record: dict) -> list[dict]:
    """One row a record: what it holds of the graph, its test, and how far its restarts lie apart.

    ``beaten`` counts shuffles above the network; ``restart_spread`` is the standard deviation of
    the n-cut over clusterings that start elsewhere, as a share of their mean.
    """
    config, result = record["config"], record["result"]
    null, again = np.array(result["shuffled"]), np.array(result["restarts"])
    test = clustering.ShuffleTest(
        config["clusters"], result["ncut"], np.empty(0), null, config["reading"]
    )
    found = {
        **result,
        "shuffle_mean": null.mean(),
        "shuffle_std": null.std(),
        "shuffled": null,
        "p_value": test.p_value,
        "z_score": test.z_score,
        "beaten": int((null > result["ncut"]).sum()),
        "restart_spread": again.std(ddof=1) / again.mean(),
    }
    return [found]


def fork() -> nn.Module:
    """A stem of two channels, read by a convolution and by the projection beside it."""

    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 2, 1)
            self.path, self.projection = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)
            self.last = nn.Conv2d(3, 4, 1)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x).relu()
            x = (self.path(x) + self.projection(x)).relu()
            return self.fc(self.last(x).mean((2, 3)))

    with noise.seeded(0):
        return Fork().eval()


def _negative(model: nn.Module) -> int:
    """Negative factors of batch norms, which the released code makes negative edges of."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.weight is not None]
    return sum(int((norm.weight < 0).sum()) for norm in norms)


EXPERIMENT = Experiment(
    "imagenet_ncut",
    ImagenetConfig,
    rows=rows,
    columns=("ncut", "p_value", "beaten", "restart_spread"),
    recompute=lambda config: measure(config, load(config)),
)
table = EXPERIMENT.table


def sweeps(parameters: ImagenetParameters) -> list[Sweep]:
    """What the section runs."""
    run_all = functools.partial(run, weights=parameters.weights)
    return [Sweep(run_all, configs(parameters), on_device=False)]


SECTION = Section("clusterability/04_imagenet", ImagenetParameters, sweeps)
