"""A zoo of small networks, each under seven notions of modularity: records and their table."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from book.lab.experiment import Experiment
from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from modgraph_lib import (
    activations,
    clustering,
    communities,
    datasets,
    features,
    graphs,
    lesions,
    partitions,
    provenance,
    signatures,
    training,
)
from modgraph_lib.proxies import ProxyTest
from modgraph_lib.training import TrainConfig

__all__ = ["DATA", "MEASURES", "REGIMES", "AgreementConfig", "AgreementParameters", "run", "table"]

DATA = ("digits", "mnist_7x7", "fashion_mnist")
WIDTH, CLUSTERS, SHUFFLES, CONTROLS = 48, 12, 19, 19
TEST_IMAGES, STEPS = 1000, 40
# What is done to a network; all else is as in "none". Strengths of penalties are the papers'
# or, for networks this small, one that costs no more than a few points of accuracy.
REGIMES: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout": {"dropout": 0.2},
    "L1": {"l1": 1e-4},
    "L2": {"l2": 1e-3},
    "pruned": {"prune_epochs": 10},
    "clusterable start": {"tags": 10, "tag_beta": 0.6},
    "regularised": {"eigenvalue_penalty": 0.1, "normalise": True},
    "wide": {"widths": (96,) * 4},
    "narrow": {"widths": (24,) * 4},
}
MEASURES = {
    "ncut": "n-cut z",
    "layered": "layered Q z",
    "degrees": "degree spread",
    "sample_q": "sample Q, last layer",
    "importance": "lesion importance",
    "classes": "class coherence",
    "pictures": "visualisation coherence",
}


@dataclass(frozen=True)
class AgreementConfig:
    """One network of the zoo and how it is looked at.

    Attributes:
        regime: what was done to it, a key of ``REGIMES``.
        clusters: of n-cut, of layered Q (at most), and of the lesions and pictures.
        shuffles: of both graph tests. controls: random sets beside each sub-cluster.
        test_images: the first so many. steps: of each picture.
    """

    train: TrainConfig
    regime: str
    clusters: int = CLUSTERS
    shuffles: int = SHUFFLES
    controls: int = CONTROLS
    test_images: int = TEST_IMAGES
    steps: int = STEPS

    @property
    def stage(self) -> str:
        return "pruned" if self.train.prune_epochs else "unpruned"


@dataclass(frozen=True)
class AgreementParameters(Run):
    """Parameters of ``beyond/02_agreement``; the defaults are quick."""

    data: list[str] = parameter(["digits"], "data sets (whole: three)", choices=DATA)
    regimes: list[str] = parameter(
        ["none", "clusterable start", "pruned"], "what is done to networks", choices=tuple(REGIMES)
    )
    seeds: int = parameter(2, "networks of each kind (whole: 8)", at_least=1)
    epochs: int = parameter(8, "epochs (whole: 15)", at_least=1)
    shuffles: int = parameter(9, "shuffles of each graph test (whole: 19)", at_least=1)
    controls: int = parameter(9, "random sets per sub-cluster (whole: 19)", at_least=1)


def config(data: str, regime: str, seed: int, *, epochs: int = 15, **options) -> AgreementConfig:
    """The zoo's configuration of one network."""
    base = TrainConfig(
        data,
        seed,
        widths=(WIDTH,) * 4,
        epochs=epochs,
        prune_epochs=0,
        batch_size=32 if data == "digits" else 64,
        images=0 if data == "digits" else 4000,
    )
    return AgreementConfig(replace(base, **REGIMES[regime]), regime, **options)


def configs(parameters: AgreementParameters) -> list[AgreementConfig]:
    """One configuration a network, seed by seed, so that an early end leaves no kind out."""
    p = parameters
    return [
        config(data, regime, seed, epochs=p.epochs, shuffles=p.shuffles, controls=p.controls)
        for seed in range(p.seed, p.seed + p.seeds)
        for data in p.data
        for regime in p.regimes
    ]


def measure(config: AgreementConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    test = datasets.load(config.train.data, "test", root=root)
    images, labels = test.images[: config.test_images], test.labels[: config.test_images]
    with training.single_thread():
        start = time.perf_counter()
        result = looked_at(network.model(config.stage), images, labels, config)
        seconds = time.perf_counter() - start
    result["train_seconds"] = round(network.seconds, 3)
    result["accuracy"] = network.metrics[config.stage]["test_accuracy"]
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def looked_at(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: AgreementConfig
) -> dict[str, Any]:
    """All measures of one network; None where a network has nothing to measure.

    Signs are such that more is more modular. Lesions and pictures are of the sub-clusters that the
    n-cut's clusters have in the hidden layers, as effects beside random sets: 1 is no difference.
    """
    graph = graphs.weight_graph(model)
    options = {"shuffles": config.shuffles, "seed": config.train.seed, "workers": 1}
    cut = clustering.shuffle_test(graph, config.clusters, **options)
    blind = clustering.layered_shuffle_test(graph, config.clusters, **options)
    hidden = slice(graph.layers[0], graph.nodes - graph.layers[-1])
    degrees = signatures.weighted_degree(graph)[hidden]
    responses = activations.pre_activations(model, images)
    last = np.maximum(list(responses.values())[-1], 0)
    near = communities.knn_graph(torch.from_numpy(last), 3, zero_norm="isolate")
    found = {
        "ncut": -cut.z_score,
        "layered": blind.z_score,
        "depth": clustering.depth_share(graph, cut.labels),
        "degrees": float(degrees.std() / degrees.mean()),
        "sample_q": communities.modularity(near, labels),
        "dead": float(np.mean([(v <= 0).all(0).mean() for v in responses.values()])),
        **functional(model, images, labels, config),
    }
    return {
        n: None if v is None or not np.isfinite(v) else round(float(v), 5) for n, v in found.items()
    }


def functional(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: AgreementConfig
) -> dict[str, float | None]:
    """Effects of lesions and pictures on sub-clusters of the weight partition."""
    partition = partitions.partition(model, k=config.clusters, n_init=10, seed=config.train.seed)
    try:
        parts = partitions.subclusters(partition)
    except ValueError:  # every cluster is a layer, or a single unit of it
        return {"importance": None, "classes": None, "pictures": None, "parts": 0}
    shared = {"controls": config.controls, "seed": config.train.seed, "device": "cpu"}
    cuts = lesions.single_lesions(model, parts, images, labels, kind="weights_and_biases", **shared)
    nothing = {name: np.zeros(len(row), dtype=bool) for name, row in partition.labels.items()}
    intact = lesions.lesion_accuracies(model, nothing, images, labels, device="cpu")
    before = intact.intact_by_class
    seen = features.coherence(
        model, parts, image_shape=(1, *images.shape[1:]), steps=config.steps, **shared
    )
    tests = {
        "importance": ProxyTest([c.loss for c in cuts], [c.intact - c.random for c in cuts]),
        "classes": ProxyTest(
            [np.ptp(before - c.by_class) for c in cuts],
            [np.ptp(before - c.random_by_class, axis=1) for c in cuts],
        ),
        "pictures": ProxyTest([s.score for s in seen], [s.random_scores for s in seen]),
    }
    return {**{name: test.effect().mean for name, test in tests.items()}, "parts": len(parts)}


def rows(record: dict) -> list[dict]:
    """One row a network: accuracy (test), dead (share of hidden units), and the measures."""
    result = record["result"]
    measures = {name: np.float64(result[name]) for name in MEASURES}  # of None it is NaN
    seconds = result["train_seconds"] + record["provenance"]["seconds"]
    return [{**result, **measures, "seconds": seconds}]


def recompute(config: AgreementConfig) -> dict[str, Any]:
    """A record's result anew."""
    return measure(config)["result"]


def keep(record: dict[str, Any]) -> bool:
    """Whether a record is of the whole zoo, not of a quick look."""
    given = record["config"]
    names = ("clusters", "shuffles", "controls", "test_images", "steps")
    whole = (CLUSTERS, SHUFFLES, CONTROLS, TEST_IMAGES, STEPS)
    return given["train"]["epochs"] == 15 and all(
        given[name] == value for name, value in zip(names, whole, strict=True)
    )


EXPERIMENT = Experiment(
    "agreement",
    AgreementConfig,
    measure,
    rows,
    ("accuracy", "dead", "depth", "parts", *MEASURES),
    recompute=recompute,
    keep=keep,
)
run, table = EXPERIMENT.run, EXPERIMENT.table


SECTION = Section("beyond/02_agreement", AgreementParameters, lambda p: [Sweep(run, configs(p))])
