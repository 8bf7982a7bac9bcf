"""What each instrument says of networks whose modules are known: records and their table.

One record is one network: trained on two tasks with a leak between its halves, or not trained at
all, where there is nothing to find. The graph is clustered in seven ways; those that are scores of
a graph are tested against its shuffles, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score, homogeneity_score

from book.lab import compare
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.beyond.s01_calibration import depth
from modgraph_lib import activations, cache, clustering, graphs, provenance, statistics, training
from modgraph_lib.graphs import LayeredGraph
from modgraph_lib.training import planted
from modgraph_lib.training.planted import Planted

__all__ = ["INSTRUMENTS", "LEAKS", "PlantedConfig", "PlantedParameters", "configs", "run", "table"]

LEAKS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
FIRST_SEED = 1  # seed 0 was looked at while the instruments were built
INSTRUMENTS = {
    "ncut_2": "n-cut, k = 2",
    "ncut_4": "n-cut, k = 4",
    "ncut_12": "n-cut, k = 12",
    "layered_2": "layered Q, 2 clusters",
    "layered_12": "layered Q, up to 12",
    "newman": "Newman's Q, whole graph",
    "activations": "activation correlation, k = 2",
}


@dataclass(frozen=True)
class PlantedConfig:
    """One network with planted modules, and how it is looked at.

    Attributes:
        leak: factor on weights between modules.
        mixed: inputs turned, so that none belongs to one task.
        steps: of training; 0: the network as it starts.
        width: units in each of the four hidden layers.
        shuffles: of each test.
    """

    leak: float
    seed: int
    mixed: bool = False
    data: str = "digits"
    steps: int = 700
    width: int = 48
    shuffles: int = 19

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.width,) * 4


@dataclass(frozen=True)
class PlantedParameters:
    """Parameters of ``beyond/01_calibration``; the defaults are quick."""

    data: str = parameter(
        "digits", "data set whose images the two tasks show", choices=("digits", "mnist")
    )
    leaks: list[float] = parameter(
        [0.0, 0.3, 1.0], "factors on weights between modules", at_least=0, at_most=1
    )
    inputs: list[str] = parameter(["separate"], "separate or mixed", choices=("separate", "mixed"))
    seeds: int = parameter(2, "networks of each kind (whole: 20)", at_least=1)
    untrained: int = parameter(2, "untrained networks (whole: 20)", at_least=0)
    width: int = parameter(48, "units in each of the four hidden layers", at_least=4)
    steps: int = parameter(300, "steps of the optimiser (whole: 700)", at_least=1)
    shuffles: int = parameter(9, "shuffles of each test (whole: 19)", at_least=1)
    reread: list[str] = parameter(
        [],
        "data sets of the n-cut papers whose clusterings are read again",
        choices=("mnist", "fashion_mnist", "cifar10_grey"),
        may_be_empty=True,
    )
    seed: int = parameter(1, "first network seed; later ones count up", at_least=0)
    workers: int = parameter(0, "parallel processes; 0 means one per core", at_least=0)


def configs(parameters: PlantedParameters) -> list[PlantedConfig]:
    """One configuration a network, seed by seed, so that an early end leaves no kind out."""
    p = parameters
    found = []
    for seed in range(p.seed, p.seed + max(p.seeds, p.untrained)):
        shared = {"seed": seed, "data": p.data, "width": p.width, "shuffles": p.shuffles}
        if seed < p.seed + p.seeds:
            found += [
                PlantedConfig(leak, mixed=kind == "mixed", steps=p.steps, **shared)
                for kind in p.inputs
                for leak in p.leaks
            ]
        if seed < p.seed + p.untrained:
            found.append(PlantedConfig(1.0, steps=0, **shared))
    return found


def made(config: PlantedConfig, root: str | None = None) -> Planted:
    """The network of a configuration, trained anew (a second or two)."""
    train_data, test_data = training.sets.pair(config.data, root)
    with training.single_thread():
        return planted.train(
            train_data,
            test_data,
            leak=config.leak,
            seed=config.seed,
            mixed=config.mixed,
            widths=config.widths,
            steps=config.steps,
        )


def measure(config: PlantedConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    start = time.perf_counter()
    network = made(config, root)
    trained = time.perf_counter() - start
    with training.single_thread():
        result = looked_at(network, config)
    result["train_seconds"] = round(trained, 3)
    seconds = time.perf_counter() - start
    note = training.data_note(config.data, root)
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def looked_at(network: Planted, config: PlantedConfig) -> dict[str, Any]:
    """Every instrument's clusters beside the truth, and its test against shuffles."""
    graph = graphs.weight_graph(network.model)
    hidden = slice(graph.layers[0], graph.nodes - graph.layers[-1])
    truth = network.modules[hidden]
    layers = activations.hidden_layers(network.model)
    responses = activations.pre_activations(network.model, network.inputs, layers=layers)
    found: dict[str, Any] = {}
    for name, look in _looks(graph, config).items():
        start = time.perf_counter()
        labels, score, null = look()
        seconds = time.perf_counter() - start
        found[name] = {
            **_agreement(truth, labels[hidden]),
            **_tested(score, null, lower=name.startswith("ncut")),
            "depth": round(clustering.depth_share(graph, labels), 4),
            "seconds": round(seconds, 3),
        }
    start = time.perf_counter()
    correlations = graphs.activation_graph(responses)
    test = clustering.shuffle_test(correlations, 2, shuffles=config.shuffles, workers=1)
    found["activations"] = {
        **_agreement(truth, test.labels),
        **_tested(test.ncut, test.shuffled, lower=True),
        "depth": round(clustering.depth_share(correlations, test.labels), 4),
        "seconds": round(time.perf_counter() - start, 3),
    }
    totals = [float(block.sum()) for _, block in sorted(graph.blocks.items())]
    return {
        "accuracy": cache.rounded(np.array(network.accuracy), 4),
        "limits": {str(k): round(clustering.strand_limit(totals, k=k), 4) for k in (2, 4, 12)},
        "instruments": found,
    }


Look = Callable[[], tuple[np.ndarray, float, np.ndarray]]


def _looks(graph: LayeredGraph, config: PlantedConfig) -> dict[str, Look]:
    """Instrument -> labels of all nodes, the score, and the scores of shuffles."""

    def ncut(k: int) -> tuple[np.ndarray, float, np.ndarray]:
        test = clustering.shuffle_test(graph, k, shuffles=config.shuffles, workers=1)
        return test.labels, test.ncut, test.shuffled

    def layered(k: int, shuffles: int) -> tuple[np.ndarray, float, np.ndarray]:
        if not shuffles:
            found = clustering.cluster_layered(graph, k)
            return found.labels, found.q, np.array([])
        test = clustering.layered_shuffle_test(graph, k, shuffles=shuffles, workers=1)
        return test.labels, test.q, test.shuffled

    def newman() -> tuple[np.ndarray, float, np.ndarray]:
        own = newman_clusters(graph)
        shuffled = (clustering.shuffle_graph(graph, seed=[0, i]) for i in range(config.shuffles))
        return own.labels, own.q, np.array([newman_clusters(one).q for one in shuffled])

    return {
        "ncut_2": lambda: ncut(2),
        "ncut_4": lambda: ncut(4),
        "ncut_12": lambda: ncut(12),
        "layered_2": lambda: layered(2, config.shuffles),
        "layered_12": lambda: layered(12, 0),  # a test of its own would cost as much as all others
        "newman": newman,
    }


def newman_clusters(graph: LayeredGraph) -> clustering.LayeredClustering:
    """Clusters of high plain modularity: the whole graph as a single layer."""
    one = LayeredGraph((graph.nodes,), {(0, 0): graph.matrix()})
    return clustering.cluster_layered(one, 12, n_init=1)


def _agreement(truth: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index, and how far every cluster lies within one module (0 to 1)."""
    return {
        "ari": round(float(adjusted_rand_score(truth, labels)), 4),
        "homogeneity": round(float(homogeneity_score(truth, labels)), 4),
    }


def _tested(score: float, null: np.ndarray, *, lower: bool) -> dict[str, float | None]:
    """Score, p and z with the sign that is positive for a modular network; None without a null."""
    if not len(null):
        return {"score": round(float(score), 5), "p": None, "z": None}
    sign = 1 if lower else -1
    z = -sign * statistics.z_score(score, null)
    return {
        "score": round(float(score), 5),
        "p": round(statistics.empirical_p_value(sign * score, sign * null), 4),
        "z": round(float(z), 2) if np.isfinite(z) else None,
    }


def rows(record: dict) -> list[dict]:
    """One row per instrument.

    Own columns: inputs ("separate", "mixed"), trained; accuracy (mean of both tasks), limit
    (``strand_limit`` at k = 2 for the network's own blocks); ari, homogeneity, score, p, z
    (positive: modular), depth, seconds.
    """
    config, result = record["config"], record["result"]
    own = {
        "inputs": "mixed" if config["mixed"] else "separate",
        "trained": config["steps"] > 0,
        "accuracy": float(np.mean(result["accuracy"])),
        "limit": result["limits"]["2"],
    }
    return [
        {
            **own,
            "instrument": name,
            **values,
            **{test: np.float64(values[test]) for test in ("p", "z")},  # of None it is NaN
        }
        for name, values in result["instruments"].items()
    ]


def key(config: PlantedConfig, root: str | None = None) -> dict[str, Any]:
    """The configuration and the data it draws from."""
    return {
        **cache.canonical(config),
        "data_fingerprint": training.fingerprint(config.data, root),
    }


def recompute(config: PlantedConfig) -> dict[str, Any]:
    """A record's result anew."""
    return measure(config)["result"]


def compared(before: dict[str, Any], now: dict[str, Any]) -> tuple[str, str]:
    """Identical as a whole, or alike in what another processor's training leaves alike."""
    found = compare.results(before, now)
    if found[0] != "differs":
        return found
    names = ("accuracy", "limits")
    outcome, detail = compare.results(*({n: one[n] for n in names} for one in (before, now)))
    return "agrees" if outcome == "identical" else outcome, detail


def keep(record: dict[str, Any]) -> bool:
    """Whether a record is of the whole experiment, not of a quick look."""
    config = record["config"]
    whole = PlantedConfig(config["leak"], config["seed"], config["mixed"])
    return (
        config["seed"] >= FIRST_SEED
        and all(config[name] == getattr(whole, name) for name in ("data", "width", "shuffles"))
        and config["steps"] in (0, whole.steps)
    )


SCORES = ("ari", "homogeneity", "score", "p", "z", "depth")
EXPERIMENT = Experiment(
    "planted",
    PlantedConfig,
    measure,
    rows,
    ("inputs", "trained", "accuracy", "limit", "instrument", *SCORES),
    key=key,
    recompute=recompute,
    compare=compared,
    keep=keep,
)
run, table = EXPERIMENT.run, EXPERIMENT.table


def sweeps(parameters: PlantedParameters) -> list[Sweep]:
    """What the section runs."""
    reread = depth.configs(parameters.reread)
    return [Sweep(run, configs(parameters), on_device=False), Sweep(depth.run, reread)]


SECTION = Section("beyond/01_calibration", PlantedParameters, sweeps)
