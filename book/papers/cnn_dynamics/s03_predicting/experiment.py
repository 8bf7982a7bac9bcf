"""One predictor on one set of networks: a record of its scores.

A record's key holds which networks it was computed from, so that a grid that has grown gives new
records and the old ones stay what they were.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd

from book.lab import store, sweep
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import features, predict, settings, zoo
from book.papers.cnn_dynamics.settings import GridParameters, OneGridParameters
from modgraph_lib import cache, provenance, training

__all__ = [
    "HORIZONS",
    "WINDOWS",
    "PredictParameters",
    "PredictionConfig",
    "configs",
    "networks_of",
    "run",
    "table",
]

HORIZONS = (1, 2, 3, 4, 5, 6, 9, 12, 15)
WINDOWS = {
    "cifar10": ((0, 2), (1, 3), (3, 5), (5, 7)),
    "tiny_imagenet": ((0, 3), (3, 5), (5, 7), (7, 9)),
}
FOREST = ("forest", "forest by rate")


@dataclass(frozen=True)
class PredictionConfig:
    """One predictor.

    Attributes:
        network, data, pixels, images, epochs: which networks of the grid are taken.
        features: see ``features.matrix``.
        epochs_seen: epochs whose features are given.
        model: "svm", "mlp" or "linear svm" (classify), "least squares", "forest" or "forest by
            rate" (folds grouped by learning rate).
        average: of the signatures.
        threshold: accuracy (%) above which a network is an accurate one.
        learners: leave out networks whose final accuracy is at most this (%); 0 keeps all.
        repeats: balanced draws, random splits, or repeats of the folds.
        permuted: with shuffled labels, as a control.
    """

    network: str
    data: str
    pixels: int
    images: int
    epochs: int
    features: str
    epochs_seen: tuple[int, ...]
    model: str
    average: str = "none"
    threshold: float = 40.0
    learners: float = 0.0
    repeats: int = 20
    permuted: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs_seen", tuple(self.epochs_seen))


GRID = ("network", "data", "pixels", "images", "epochs")


def networks_of(config: Any) -> pd.DataFrame:
    """The networks of a grid that are there, in one order, with an even row index.

    Raises:
        ValueError: they were trained on two copies of the data that differ.
    """
    found = zoo.table(store.read("cnn_zoo"))
    for name in GRID:
        found = found[found[name] == getattr(config, name)]
    copies = sorted({config["data_fingerprint"][:8] for config in found["config"]})
    if len(copies) > 1:
        raise ValueError(
            f"records on {config.data} rest on data that differ ({', '.join(copies)}); keep those "
            "of one copy"
        )
    return found.sort_values("key").reset_index(drop=True)


def key(config: PredictionConfig, root: str | None = None) -> dict[str, Any]:
    """The configuration together with the networks it is asked of."""
    keys = "".join(networks_of(config)["key"])
    return {**cache.canonical(config), "networks": hashlib.sha256(keys.encode()).hexdigest()[:16]}


def measure(
    config: PredictionConfig, *, device: str = "cpu", root: str | None = None
) -> dict[str, Any]:
    """Scores of one predictor, and how many networks it had; see ``predict``."""
    start = time.perf_counter()
    with training.single_thread():
        result = _scores(config, networks_of(config))
    seconds = time.perf_counter() - start
    note = training.data_note(config.data, root)
    return {
        "result": result,
        "provenance": provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note),
    }


def _scores(config: PredictionConfig, networks: pd.DataFrame) -> dict[str, Any]:
    networks = networks[networks["accuracy"] > config.learners]
    accuracy = networks["accuracy"].to_numpy()
    high = accuracy > config.threshold
    facts: dict[str, Any] = {"networks": len(networks), "high": int(high.sum())}
    x = features.matrix(networks, config.features, config.epochs_seen, config.average)
    options = {"seed": config.seed}
    if config.model in FOREST:
        rates = networks["learning_rate"].to_numpy()
        groups = rates if config.model == "forest by rate" else None
        found = predict.forest(x, accuracy, groups, repeats=config.repeats, **options)
        return {
            **facts,
            "predicted": found,
            "accuracy": [round(float(a), 4) for a in accuracy],
            "rates": rates.tolist(),
        }
    if config.model == "least squares":
        return {**facts, **predict.regress(x, accuracy, splits=config.repeats, **options)}
    if config.model == "linear svm":
        weights = predict.linear_weights(x, high, draws=config.repeats, **options)
        return {**facts, "weights": [round(weight, 6) for weight in weights]}
    permuted = config.permuted
    found = predict.classify(
        x, high, model=config.model, draws=config.repeats, permuted=permuted, **options
    )
    return {**facts, **found}


def run(
    wanted: Sequence[PredictionConfig], *, workers: int | None = None, root: str | None = None
) -> list[dict]:
    """Records of all predictors, from the store or computed now, in their order.

    Where a grid has too few accurate networks for a predictor, it is left out.
    """
    one = joblib.delayed(_run_one)
    parallel = joblib.Parallel(n_jobs=sweep.jobs("cpu", workers))
    found = parallel(one(config, root) for config in wanted)
    return [record for record in found if record is not None]


def _run_one(config: PredictionConfig, root: str | None) -> dict | None:
    networks = networks_of(config)
    high = networks["accuracy"] > config.threshold
    labelled = config.model not in (*FOREST, "least squares")
    too_few = labelled and min(high.sum(), (~high).sum()) < predict.FEWEST
    if (networks["accuracy"] > config.learners).sum() < 10 or too_few:
        return None
    return EXPERIMENT.run_one(config, root=root)


def rows(record: dict) -> list[dict[str, Any]]:
    """One row a predictor: number of networks, mean scores and their spread."""
    result = record["result"]
    row = {name: result.get(name) for name in RESULTS}
    row |= {"digest": record["config"]["networks"], "all_scores": result.get("scores")}
    for name in ("scores", "mae", "r2"):
        values = result.get(name)
        row[name] = np.mean(values) if values else np.nan
        row[f"{name}_sd"] = np.std(values, ddof=1) if values and len(values) > 1 else np.nan
    if result.get("predicted"):
        off = np.subtract(result["predicted"], result["accuracy"])
        row |= {"mae": np.abs(off).mean()}
        row |= {"r2": 1 - (off**2).sum() / np.var(result["accuracy"]) / len(off)}
    return [row]


# Of a record's result: how many networks, and what ``forest`` and ``linear svm`` give.
RESULTS = ("networks", "high", "sample", "weights", "predicted", "accuracy", "rates")
SCORES = ("scores", "scores_sd", "mae", "mae_sd", "r2", "r2_sd")


@dataclass(frozen=True)
class PredictParameters(OneGridParameters):
    """Parameters of ``cnn_dynamics/03_predicting``; the defaults are quick."""

    horizons: list[int] = parameter(
        [1, 3, 5], "epochs seen by the classifiers: 1 to this (paper: up to 15)", at_least=1
    )
    repeats: int = parameter(5, "balanced draws and random splits (paper scale: 20)", at_least=2)
    classifiers: list[str] = parameter(
        ["svm"], "classifiers (paper: svm and mlp)", choices=predict.CLASSIFIERS
    )
    unrolled: bool = parameter(False, "use unrolled signatures too (paper: LeNet, AlexNet)")


def grid_of(parameters: GridParameters, network: str) -> dict[str, Any]:
    """Which networks the predictors of a section are asked of."""
    facts = ("data", "pixels", "images", "epochs")
    return {"network": network, **{name: getattr(parameters, name) for name in facts}}


def up_to(last: int, parameters: GridParameters) -> tuple[int, ...]:
    """Epochs 1 to this one, or to the last of a short training."""
    return tuple(range(1, min(last, parameters.epochs) + 1))


def configs(parameters: PredictParameters) -> list[PredictionConfig]:
    """Every predictor of the section."""
    p = parameters
    return asked(p, p.network, p.horizons, p.repeats, p.classifiers, p.unrolled)


def asked(
    parameters: GridParameters,
    network: str,
    horizons: Sequence[int],
    repeats: int,
    classifiers: Sequence[str],
    unrolled: bool,
) -> list[PredictionConfig]:
    """Every predictor of one network's grid.

    Raises:
        ValueError: a horizon that the records do not hold.
    """
    p = parameters
    if max(horizons) > min(15, p.epochs):
        raise ValueError(
            f"there are signatures of epochs 1 to {min(15, p.epochs)}, not of {max(horizons)}"
        )
    threshold = settings.threshold(p.data, network, p.images)
    shared = {**grid_of(p, network), "threshold": threshold, "repeats": repeats}
    found = []

    def ask(names: str, seen: Sequence[int], model: str, **options: Any) -> None:
        config = PredictionConfig(
            **{**shared, **options}, features=names, epochs_seen=tuple(seen), model=model
        )
        found.append(config)

    graphs = ["rolled.degree", "rolled.eigenvector"]
    if unrolled and network in ("lenet", "alexnet"):
        there = ("degree", "eigenvector") if network == "lenet" else ("degree",)
        graphs += [f"unrolled.{s}.{c}" for c in there for s in ("negative", "positive", "both")]
    for model in classifiers:
        # a multi-layer perceptron takes a hundred times as long
        fewer = {"repeats": max(2, repeats // 2)} if model == "mlp" else {}
        for horizon in horizons:
            for names in graphs:
                ask(names, up_to(horizon, p), model, **fewer)
        for average in ("exponential", "linear"):
            ask("rolled.degree", up_to(5, p), model, average=average, **fewer)
    ask("rolled.degree", up_to(5, p), "svm", permuted=True)
    ask("rolled.degree", up_to(5, p), "linear svm")
    for window in WINDOWS.get(p.data, WINDOWS["cifar10"]):
        if max(window) <= p.epochs:
            ask("rolled.degree", window, "least squares")
    return found


EXPERIMENT = Experiment(
    "cnn_predictions",
    PredictionConfig,
    measure,
    rows=rows,
    columns=("digest", *RESULTS, *SCORES),
    key=key,
    keep=lambda record: record["config"]["data"] != "digits" and record["config"]["epochs"] >= 15,
)
table = EXPERIMENT.table


def sweeps(parameters: PredictParameters) -> list[Sweep]:
    """What the section runs: the grid, then the predictors, in one piece each."""
    return [
        Sweep(zoo.run, settings.chunks(parameters, parameters.network)),
        Sweep(run, configs(parameters), on_device=False, reads_all=True),
    ]


SECTION = Section("cnn_dynamics/03_predicting", PredictParameters, sweeps)
