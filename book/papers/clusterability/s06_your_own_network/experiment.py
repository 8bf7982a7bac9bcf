"""Clusterability of one's own network, and of which architectures a graph can be made.

``python -m book.papers.clusterability.s06_your_own_network.experiment [NAME ...]`` tries
architectures (all of ``ARCHITECTURES`` by default) and commits their records.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from book.lab import store, sweep
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from modgraph_lib import clustering, graphs, noise, provenance, report, training

__all__ = [
    "ARCHITECTURES",
    "ArchitectureConfig",
    "YourOwnParameters",
    "measure",
    "options",
    "residual_stack",
    "run",
    "table",
    "two_strands_with_a_skip",
    "untrained_nulls",
]

METHODS = ("auto", "layer", "layer_nonzero", "kernel")
# Above this many edges one clustering is not timed: it takes minutes.
CLUSTERED = 6_000_000
# torchvision's name -> options of the graph, where the default does not fit.
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "alexnet": {},
    "vgg16": {},
    "vgg19_bn": {},
    "squeezenet1_1": {},
    "resnet18": {},
    "resnet34": {},
    "resnet50": {},
    "resnet101": {},
    "resnext50_32x4d": {},
    "wide_resnet50_2": {},
    "inception_v3": {},
    "googlenet": {},
    "densenet121": {},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "mnasnet1_0": {},
    "shufflenet_v2_x0_5": {},
    "efficientnet_b0": {},
    "efficientnet_v2_s": {},
    "regnet_y_400mf": {},
    "convnext_tiny": {},
    "swin_t": {},
    "swin_v2_t": {},
    "vit_b_16": {},
    "vit_b_16, merged": {"residual": "merge"},
    "maxvit_t": {},
    "maxvit_t, merged": {"residual": "merge"},
}
_PLAIN_START = ("inception_v3", "googlenet")  # their own initialisation takes minutes


@dataclass(frozen=True)
class YourOwnParameters:
    """Parameters of ``clusterability/06_your_own_network``; the defaults are quick."""

    factory: str = parameter(
        "torchvision.models:shufflenet_v2_x0_5", "package.module:function or file.py:Class"
    )
    weights: str = parameter("", "a .safetensors or .pt file; empty: as the factory made it")
    arguments: str = parameter("{}", "keyword arguments of the factory, as JSON")
    clusters: int = parameter(12, "number of clusters k (paper: 12)", at_least=2)
    shuffles: int = parameter(15, "shuffled networks (paper: 50, ImageNet 100)", at_least=1)
    method: str = parameter("auto", "null: auto, layer, layer_nonzero or kernel", choices=METHODS)
    residual: str = parameter(
        "walk", "residual sums: walk through or merge", choices=("walk", "merge")
    )
    fold_batch_norm: bool = parameter(True, "multiply weights by the batch norm's factor")
    depthwise: str = parameter(
        "scale", "depthwise convolutions: scale a channel, or nodes", choices=("scale", "nodes")
    )
    dense: bool = parameter(False, "include the dense layers of a convolutional network")
    input_shape: list[int] = parameter(
        [], "channels, height, width of one image; empty: found by trying", may_be_empty=True,
        may_repeat=True,
    )  # fmt: skip
    architectures: list[str] = parameter(
        ["squeezenet1_1", "shufflenet_v2_x0_5"],
        "networks to try, or all",
        choices=(*ARCHITECTURES, "all"),
    )
    seed: int = parameter(0, "fixes random weights, shuffles and k-means", at_least=0)
    workers: int = parameter(0, "parallel threads; 0 means one per core", at_least=0)

    def __post_init__(self) -> None:
        try:
            given = json.loads(self.arguments)
        except json.JSONDecodeError as error:
            raise ValueError(f"arguments is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise ValueError(f"arguments is a JSON object in braces, got {self.arguments}")

    def model(self) -> nn.Module:
        """The network, with random weights fixed by the seed where no file is given."""
        with noise.seeded(self.seed):
            return report.load_model(self.factory, self.weights, json.loads(self.arguments))

    def report(self, model: nn.Module) -> report.Report:
        """The clusterability report of ``model`` under these parameters."""
        return report.clusterability(
            model,
            k=self.clusters,
            shuffles=self.shuffles,
            seed=self.seed,
            method="" if self.method == "auto" else self.method,
            name=self.factory.rpartition(":")[2],
            workers=self.workers or None,
            **options(self),
        )


@dataclass(frozen=True)
class ArchitectureConfig:
    """One architecture of torchvision with random weights."""

    name: str
    residual: str = "walk"
    clusters: int = 12
    seed: int = 0


def options(parameters: YourOwnParameters) -> dict[str, Any]:
    """The parameters that say how a network becomes a graph."""
    p = parameters
    return {
        "residual": p.residual,
        "fold_batch_norm": p.fold_batch_norm,
        "depthwise": p.depthwise,
        "dense": p.dense,
        "example": tuple(p.input_shape) or None,
    }


def configs(names: Sequence[str]) -> list[ArchitectureConfig]:
    """Configurations of some entries of ``ARCHITECTURES``; "all" stands for every one."""
    chosen = list(ARCHITECTURES) if "all" in names else names
    return [ArchitectureConfig(n.partition(",")[0], **ARCHITECTURES[n]) for n in chosen]


def run(config: ArchitectureConfig, *, fresh: bool = False) -> dict:
    """The record of one architecture, from the store or computed and stored."""
    record = None if fresh else EXPERIMENT.stored(config)
    if record is not None:
        return record
    start = time.perf_counter()
    with training.single_thread():
        result = measure(config)
    origin = provenance.stamp(device="cpu", threads=1, seconds=time.perf_counter() - start)
    return EXPERIMENT.put(config, result, origin)


def rows(record: dict) -> list[dict]:
    """One row an architecture: what its graph is like, or why it has none."""
    config = record["config"]
    merged = ", merged" if config["residual"] == "merge" else ""
    without = dict.fromkeys(COLUMNS)  # what only a network with a graph has
    return [{**without, **record["result"], "network": config["name"] + merged}]


def table(records: Iterable[dict]) -> pd.DataFrame:
    """The rows of architectures, small graphs first."""
    found = EXPERIMENT.table(records)
    return found.sort_values(["nodes", "network"], ignore_index=True, na_position="last")


COLUMNS = ("layers", "nodes", "edges", "bipartite", "seconds", "cluster_seconds", "ncut", "reason")


def two_strands_with_a_skip(leak: float = 0.1) -> nn.Module:
    """A residual network of three 1x1 convolutions with two channels each, in two strands.

    Every kernel joins channel to channel with weight 1 and across with ``leak``, so that each
    strand is a triangle: first to second, second to third, and over the skip first to third.
    At k = 2 each strand has volume 6 + 6 leak, of which 6 leak leave, so that the n-cut is
    2 leak / (1 + leak).
    """

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = (nn.Conv2d(2, 2, 1) for _ in range(3))
            kernel = torch.full((2, 2), leak) + (1 - leak) * torch.eye(2)
            for layer in (self.first, self.second, self.third):
                layer.weight = nn.Parameter(kernel[:, :, None, None].clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.third(x + self.second(x).relu())

    return Residual()


def residual_stack(blocks: int = 4, width: int = 32) -> nn.Module:
    """A stem, residual blocks of two 3x3 convolutions with batch norm, and a last convolution."""
    from modgraph_lib._torchvision import torchvision  # slow to import

    block = torchvision.models.resnet.BasicBlock
    middle = [block(width, width) for _ in range(blocks)]
    return nn.Sequential(nn.Conv2d(3, width, 1), *middle, nn.Conv2d(width, width, 1))


def untrained_nulls(*, networks: int, shuffles: int, clusters: int) -> pd.DataFrame:
    """z and p of untrained residual stacks against two nulls; columns seed, method, z, p."""
    rows = []
    for seed in range(networks):
        with noise.seeded(seed):
            model = residual_stack()
        for method in ("layer", "kernel"):
            found = report.clusterability(
                model, clusters, shuffles, seed, method=method, example=(3, 16, 16),
                depth_blind=False,
            )  # fmt: skip
            rows.append({"seed": seed, "method": method, "z": found.z, "p": found.p})
    return pd.DataFrame(rows)


def measure(config: ArchitectureConfig) -> dict[str, Any]:
    """The result of one architecture computed anew and not stored."""
    plain = {"init_weights": False} if config.name in _PLAIN_START else {}
    with noise.seeded(config.seed):
        model = report.load_model(f"torchvision.models:{config.name}", arguments=plain)
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters())}
    start = time.process_time()
    try:
        graph = graphs.weight_graph(model, residual=config.residual, floor=0)
    except graphs.tracing.TracingError as error:
        return {**found, "reason": str(error)}
    found |= {
        "layers": len(graph.layers),
        "nodes": graph.nodes,
        "edges": sum(int(np.count_nonzero(block)) for block in graph.blocks.values()),
        "bipartite": graph.is_bipartite,
        "seconds": round(time.process_time() - start, 2),
        "reason": "",
    }
    if found["edges"] <= CLUSTERED:
        start = time.process_time()
        labels = clustering.spectral_clustering(graph, config.clusters, seed=config.seed)
        found["cluster_seconds"] = round(time.process_time() - start, 2)
        found["ncut"] = round(clustering.ncut(graph, labels), 4)
    return found


def main(names: Sequence[str]) -> None:
    """Try architectures one after the other and commit what is known."""
    for config in configs(names or ["all"]):
        result = run(config)["result"]
        said = f"{result['nodes']} nodes" if result.get("nodes") else result["reason"]
        print(f"{config.name} ({config.residual}): {said}", flush=True)
    print(store.commit_records(EXPERIMENT.name))


EXPERIMENT = Experiment(
    "architectures",
    ArchitectureConfig,
    rows=rows,
    columns=("network", *COLUMNS),
    key=sweep.own_key,
    recompute=measure,
)


def run_all(wanted: Sequence[ArchitectureConfig], *, workers: int | None = None) -> list[dict]:
    """Records of architectures, one after the other."""
    return [run(config) for config in wanted]


def sweeps(parameters: YourOwnParameters) -> list[Sweep]:
    """What the section keeps records of."""
    return [Sweep(run_all, configs(parameters.architectures), on_device=False)]


SECTION = Section("clusterability/06_your_own_network", YourOwnParameters, sweeps)

if __name__ == "__main__":
    main(sys.argv[1:])
