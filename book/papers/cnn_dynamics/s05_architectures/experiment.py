"""Other networks' grids, and classifiers that are trained on some and tested on others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
import pandas as pd

from book.lab import sweep
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.cnn_dynamics import features, predict, settings, zoo
from book.papers.cnn_dynamics.s03_predicting import experiment as predictions
from book.papers.cnn_dynamics.settings import GridParameters
from modgraph_lib import cache, provenance, training

__all__ = ["PAPER_TRANSFERS", "ArchitecturesParameters", "TransferConfig", "run", "table"]

# Figure 10: trained on, tested on, networks in the training sample.
PAPER_TRANSFERS = (
    (("resnet32",), "resnet44", 250),
    (("resnet34",), "resnet50", 250),
    (("lenet", "alexnet", "vgg1613"), "resnet32", 400),
    (("lenet", "alexnet", "vgg1613"), "resnet44", 400),
)


@dataclass(frozen=True)
class TransferConfig:
    """An SVM on degree signatures of some architectures, tested on all networks of another.

    Attributes:
        sample: networks of the training sample, half of them accurate, or as many as there are.
        threshold: one accuracy (%) for all, which the paper does not state.
    """

    trained_on: tuple[str, ...]
    tested_on: str
    data: str
    pixels: int
    images: int
    epochs: int
    horizon: int = 9
    sample: int = 250
    threshold: float = 40.0
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "trained_on", tuple(self.trained_on))


def _networks(config: TransferConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Networks to train the classifier on, and to test it on."""
    found = [
        predictions.networks_of(_Grid(name, config))
        for name in (*config.trained_on, config.tested_on)
    ]
    return pd.concat(found[:-1], ignore_index=True), found[-1]


class _Grid:
    """A grid as ``networks_of`` asks for it."""

    def __init__(self, network: str, config: TransferConfig) -> None:
        self.network = network
        self.data, self.pixels = config.data, config.pixels
        self.images, self.epochs = config.images, config.epochs


def key(config: TransferConfig, root: str | None = None) -> dict[str, Any]:
    """The configuration together with the networks it is asked of."""
    keys = "".join(key for own in _networks(config) for key in own["key"])
    return {**cache.canonical(config), "networks": hashlib.sha256(keys.encode()).hexdigest()[:16]}


def measure(
    config: TransferConfig, *, device: str = "cpu", root: str | None = None
) -> dict[str, Any]:
    """Accuracy (%) on the other architecture's networks, balanced too, one a repeat."""
    start = time.perf_counter()
    seen = range(1, config.horizon + 1)
    known, other = _networks(config)
    x, unknown = (features.matrix(own, "rolled.degree", seen) for own in (known, other))
    high, truth = (own["accuracy"].to_numpy() > config.threshold for own in (known, other))
    scores = []
    with training.single_thread():
        for repeat in range(config.repeats):
            rng = np.random.default_rng([config.seed, repeat])
            sample = predict.balanced(high, rng, each=config.sample // 2)
            asked = predict.balanced(truth, rng)
            fitted = predict.classifier("svm", repeat).fit(x[sample], high[sample])
            scores.append(100 * float((fitted.predict(unknown[asked]) == truth[asked]).mean()))
    result = {
        "scores": [round(score, 4) for score in scores],
        "trained": len(known),
        "networks": len(other),
        "sample": len(sample),
    }
    note = training.data_note(config.data, root)
    seconds = time.perf_counter() - start
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def run(
    wanted: Sequence[TransferConfig], *, workers: int | None = None, root: str | None = None
) -> list[dict]:
    """Records of all transfers for which both sides have enough networks of either kind."""
    ready = []
    for config in wanted:
        sides = [own["accuracy"] > config.threshold for own in _networks(config)]
        if min(min(high.sum(), (~high).sum()) for high in sides) >= predict.FEWEST:
            ready.append(config)
    one = joblib.delayed(EXPERIMENT.run_one)
    parallel = joblib.Parallel(n_jobs=sweep.jobs("cpu", workers))
    return list(parallel(one(config, root=root) for config in ready))


def rows(record: dict) -> list[dict[str, Any]]:
    """One row a transfer: networks on either side, mean score and spread."""
    result = record["result"]
    found = {
        **result,
        "digest": record["config"]["networks"],
        "scores": np.mean(result["scores"]),
        "scores_sd": np.std(result["scores"], ddof=1),
    }
    return [found]


EXPERIMENT = Experiment(
    "cnn_transfers",
    TransferConfig,
    measure,
    rows=rows,
    columns=("digest", "trained", "networks", "scores", "scores_sd"),
    key=key,
    keep=lambda record: record["config"]["data"] != "digits" and record["config"]["epochs"] >= 15,
)
table = EXPERIMENT.table


@dataclass(frozen=True)
class ArchitecturesParameters(GridParameters):
    """Parameters of ``cnn_dynamics/05_architectures``; the defaults are quick."""

    networks: list[str] = parameter(
        ["lenet"], "which networks (paper: all six)", choices=zoo.NETWORKS
    )
    horizons: list[int] = parameter([3], "epochs seen by the classifiers: 1 to this", at_least=1)
    repeats: int = parameter(5, "balanced draws and random splits (paper scale: 20)", at_least=2)
    classifiers: list[str] = parameter(
        ["svm"], "classifiers (paper: svm and mlp)", choices=predict.CLASSIFIERS
    )
    unrolled: bool = parameter(False, "use AlexNet's unrolled degrees too (paper)")


def transfers(parameters: ArchitecturesParameters) -> list[TransferConfig]:
    """Figure 10's transfers between the networks of the section that can be made."""
    p = parameters
    found = []
    for known, other, sample in PAPER_TRANSFERS:
        if {*known, other} <= set(p.networks):
            facts = (p.data, p.pixels, p.images, p.epochs)
            found.append(TransferConfig(known, other, *facts, sample=sample))
    return [replace(config, horizon=min(9, p.epochs)) for config in found]


def sweeps(parameters: ArchitecturesParameters) -> list[Sweep]:
    """What the section runs: every grid, then the predictors of each, then the transfers."""
    p = parameters
    grids = [Sweep(zoo.run, settings.chunks(p, name)) for name in p.networks]
    asked = [
        predictions.asked(p, name, p.horizons, p.repeats, p.classifiers, p.unrolled)
        for name in p.networks
    ]
    return [
        *grids,
        *(Sweep(predictions.run, configs, on_device=False, reads_all=True) for configs in asked),
        Sweep(run, transfers(p), on_device=False, reads_all=True),
    ]


SECTION = Section("cnn_dynamics/05_architectures", ArchitecturesParameters, sweeps)
