"""How long training takes, and how long looking at the graphs: one record a network.

Seconds of the processor, on one thread: of one optimiser step, from which an epoch of 50,000
images follows, and of one snapshot's graphs, degrees and eigenvectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from book.lab import compare, sweep
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import zoo
from modgraph_lib import graphs, provenance, signatures, training

__all__ = ["GraphParameters", "RuntimeConfig", "run", "table"]

IMAGES = 50_000


@dataclass(frozen=True)
class RuntimeConfig:
    """One network whose training and graphs are timed; each time is the smallest of several."""

    network: str
    batch_size: int = 128
    pixels: int = 32
    repeats: int = 5
    seed: int = 0


def measure(config: RuntimeConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Seconds of an epoch, and of one snapshot's rolled and unrolled graphs with features."""
    start = time.perf_counter()
    shape = (3, config.pixels, config.pixels)
    made = zoo.NetworkConfig(config.network, 0.01, 0.5, config.seed)
    model = zoo.build(made, shape, 10)
    with training.single_thread():
        step = _smallest(_step(model, shape, config), config.repeats)
        result: dict[str, Any] = {"epoch_seconds": step * IMAGES / config.batch_size}
        model.eval()
        result["rolled_seconds"] = _smallest(lambda: _rolled(model, shape), config.repeats)
        if config.network in zoo.CHAINS:
            looks = min(2, config.repeats)
            result["unrolled_seconds"] = _smallest(lambda: _unrolled(model, shape), looks)
    origin = provenance.stamp(device="cpu", threads=1, seconds=time.perf_counter() - start)
    return {"result": {n: float(f"{s:.6g}") for n, s in result.items()}, "provenance": origin}


def _step(model: Any, shape: tuple[int, int, int], config: RuntimeConfig) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(config.seed)
    images = torch.rand((config.batch_size, *shape), generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (config.batch_size,), generator=generator)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimiser.step()

    return step


def _rolled(model: Any, shape: tuple[int, int, int]) -> None:
    graph = graphs.rolled_graph(model, example=shape)
    for measure in (signatures.weighted_degree, signatures.eigenvector_centrality):
        signatures.signature(measure(graph))


def _unrolled(model: Any, shape: tuple[int, int, int]) -> None:
    for sign in ("positive", "negative"):
        graph = graphs.unrolled_graph(model, shape, sign=sign, dtype=torch.float32)
        for measure in (signatures.weighted_degree, signatures.eigenvector_centrality):
            signatures.signature(measure(graph))


def _smallest(function: Callable[[], None], repeats: int) -> float:
    function()  # the first call pays for what later ones find ready
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def run(
    configs: Sequence[RuntimeConfig], *, workers: int | None = None, root: str | None = None
) -> list[dict]:
    """Records of all configurations, one after the other: times side by side disturb each other."""
    return [EXPERIMENT.run_one(config, root=root) for config in configs]


EXPERIMENT = Experiment(
    "cnn_runtimes",
    RuntimeConfig,
    measure,
    columns=("epoch_seconds", "rolled_seconds", "unrolled_seconds"),
    key=sweep.own_key,
    compare=compare.times,
    keep=lambda record: record["config"]["batch_size"] == 128,
)
table = EXPERIMENT.table


@dataclass(frozen=True)
class GraphParameters:
    """Parameters of ``cnn_dynamics/01_graphs``; the defaults are quick."""

    networks: list[str] = parameter(
        ["lenet"], "networks to time (paper: lenet, alexnet, vgg, resnet44)", choices=zoo.NETWORKS
    )
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)
    repeats: int = parameter(3, "measurements, of which the smallest counts", at_least=1)
    filters: list[int] = parameter(
        [6, 16], "your own layout: filters of 5x5 convolutions, each pooled", at_least=1
    )
    dense: list[int] = parameter([120, 84], "hidden dense units of your own layout", at_least=1)
    seed: int = parameter(0, "seed of initial weights", at_least=0)


def sweeps(parameters: GraphParameters) -> list[Sweep]:
    """What the section runs."""
    p = parameters
    configs = [
        RuntimeConfig(name, p.batch_size, repeats=p.repeats, seed=p.seed) for name in p.networks
    ]
    return [Sweep(run, configs, on_device=False)]


SECTION = Section("cnn_dynamics/01_graphs", GraphParameters, sweeps)
