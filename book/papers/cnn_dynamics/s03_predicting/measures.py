"""Measurements for the claims about predicting accuracy (sections 4.1 and 4.2, appendix A.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.predict import CLASSIFIERS
from book.papers.cnn_dynamics.s03_predicting.experiment import WINDOWS

__all__ = ["NAMES", "difference", "scores", "windows"]

NAMES = {
    "lenet": "LeNet", "alexnet": "AlexNet", "vgg1613": "VGG", "resnet32": "ResNet-32",
    "resnet44": "ResNet-44", "resnet50": "ResNet-50",
}  # fmt: skip


def word(value: str) -> str:
    """A network as the names of parts have it."""
    return NAMES.get(value, value)


def scores(
    results: Results, *, network: str, features: str, model: str, data: str, last: Sequence[int]
) -> pd.DataFrame:
    """Classification records of one kind at the horizons asked for; empty while one is missing."""
    rows = evidence.predicted(results, network=network, features=features, model=model, data=data)
    rows = rows[rows["last"].isin(last)]
    return rows if set(rows["last"]) == set(last) else rows.head(0)


def _part(name: str, rows: pd.DataFrame, value: float, spread: float) -> Part:
    """``spread`` is a standard error: of the scores over balanced draws, which share networks."""
    if rows.empty:
        return Part(name)
    return Part(
        name, float(value), float(spread), int(rows["networks"].min()), "se",
        tuple(sorted(rows["key"])), "; ".join(sorted(set(rows["scale"]) - {""})),
    )  # fmt: skip


def _name(network: str, features: str) -> str:
    return f"{NAMES[network]}, {features.replace('.', ' ')}"


@measurement
def classification(
    results: Results,
    *,
    networks: Sequence[str],
    features: Sequence[str],
    horizons: Sequence[int],
    models: Sequence[str] = CLASSIFIERS,
    data: str = "cifar10",
    runs: int,
) -> list[Part]:
    """Best mean accuracy (%) over horizons and classifiers, one part a network and features."""
    found = []
    for network in networks:
        for one in features:
            tables = [
                scores(
                    results, network=network, features=one, model=model, data=data,
                    last=horizons,
                )
                for model in models
            ]  # fmt: skip
            whole = all(len(table) for table in tables)
            rows = pd.concat(tables) if whole else tables[0].head(0)
            best = rows.sort_values("scores").tail(1)
            value, spread = (best["scores"].sum(), best["scores_sd"].sum()) if whole else (0, 0)
            found.append(_part(_name(network, one), best, value, spread))
    return found


@measurement
def both_classifiers(
    results: Results, *, networks: Sequence[str], horizon: int, data: str = "cifar10", runs: int
) -> list[Part]:
    """Mean accuracy (%) of each classifier with degree signatures at one horizon."""
    found = []
    for network in networks:
        for model in CLASSIFIERS:
            rows = scores(
                results, network=network, features="rolled.degree", model=model, data=data,
                last=[horizon],
            )  # fmt: skip
            value, spread = rows["scores"].sum(), rows["scores_sd"].sum()
            found.append(_part(f"{NAMES[network]}, {model.upper()}", rows, value, spread))
    return found


@measurement
def better_features(
    results: Results,
    *,
    networks: Sequence[str],
    better: str,
    worse: str,
    horizons: Sequence[int],
    models: Sequence[str] = CLASSIFIERS,
    data: str = "cifar10",
    runs: int,
) -> list[Part]:
    """Accuracy with one kind of signature minus that with another, the mean over horizons.

    Both saw the same balanced draws; the spread is that of the differences over draws.
    """
    found = []
    for network in networks:
        pairs = [
            [
                scores(
                    results, network=network, features=features, model=model, data=data,
                    last=horizons,
                )
                for features in (better, worse)
            ]
            for model in models
        ]  # fmt: skip
        name = f"{NAMES[network]}: {better.replace('.', ' ')} against {worse.replace('.', ' ')}"
        found.append(difference(name, pairs))
    return found


@measurement
def better_classifier(
    results: Results,
    *,
    networks: Sequence[str],
    features: Sequence[str],
    better: str,
    horizons: Sequence[int],
    data: str = "cifar10",
    runs: int,
) -> list[Part]:
    """Accuracy of one classifier minus that of the other, the mean over horizons."""
    worse = next(model for model in CLASSIFIERS if model != better)
    found = []
    for network in networks:
        for one in features:
            pair = [
                scores(
                    results, network=network, features=one, model=model, data=data,
                    last=horizons,
                )
                for model in (better, worse)
            ]  # fmt: skip
            found.append(difference(_name(network, one), [pair]))
    return found


def difference(name: str, pairs: list[list[pd.DataFrame]]) -> Part:
    """First minus second of each pair of tables, the mean; without a number if one is empty."""
    if any(table.empty for pair in pairs for table in pair):
        return Part(name)
    means, draws = [], []
    for one, other in pairs:
        count = min(map(len, [*one["all_scores"], *other["all_scores"]]))
        first, second = (
            np.array([found[:count] for found in table["all_scores"]]) for table in (one, other)
        )
        means.append((first - second).mean())
        draws.append((first - second).mean(0))
    fewest = min(map(len, draws))
    spread = np.mean([draw[:fewest] for draw in draws], 0).std(ddof=1)
    rows = pd.concat([table for pair in pairs for table in pair])
    return _part(name, rows, float(np.mean(means)), float(spread))


def windows(results: Results, network: str, data: str, whole: bool = False) -> pd.DataFrame:
    """Records of least squares by window; empty while one of the paper's four is missing."""
    rows = evidence.predicted(
        results,
        network=network,
        features="rolled.degree",
        model="least squares",
        data=data,
        whole=whole,
    )
    rows = rows.drop_duplicates("epochs_seen").set_index("epochs_seen")
    wanted = list(WINDOWS[data])
    return rows.loc[wanted] if set(wanted) <= set(rows.index) else rows.head(0)


@measurement
def regression(
    results: Results,
    *,
    networks: Sequence[str],
    score: str,
    ends: Sequence[str] = (),
    data: str = "cifar10",
    whole: bool = False,
    runs: int,
) -> list[Part]:
    """Mean test MAE (points) or R2 of least squares, one part a network and window ("5-7").

    ``whole``: at the paper's scale only, since errors in points depend on how accurate networks
    become.
    """
    chosen = ends or ["-".join(map(str, window)) for window in WINDOWS[data]]
    found = []
    for network in networks:
        rows = windows(results, network, data, whole)
        for window in chosen:
            seen = tuple(int(end) for end in window.split("-"))
            name = f"{NAMES[network]}, epochs {window}"
            if rows.empty:
                found.append(Part(name))
                continue
            row = rows.loc[[seen]]
            found.append(_part(name, row, row[score].iloc[0], row[f"{score}_sd"].iloc[0]))
    return found


@measurement
def later_windows(
    results: Results, *, networks: Sequence[str], data: str = "cifar10", runs: int
) -> list[Part]:
    """Rank correlation of R2 with the window's place, one part a network."""
    found = []
    for network in networks:
        rows = windows(results, network, data)
        value = math.nan
        if len(rows):
            ranks = rows["r2"].rank().to_numpy()
            value = float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
        found.append(_part(NAMES[network], rows, value, math.nan))
    return found


@measurement
def heaviest_features(
    results: Results, *, network: str, data: str = "cifar10", runs: int
) -> list[Part]:
    """How many of mean, sd and median are among the three heaviest of a linear SVM's five.

    A statistic's weight is the sum over epochs of the sizes of its weights.
    """
    rows = evidence.predicted(
        results, network=network, features="rolled.degree", model="linear svm", data=data
    ).tail(1)
    if rows.empty:
        return [Part(NAMES[network])]
    weights = np.array(rows["weights"].iloc[0]).reshape(-1, 5).sum(0)
    heaviest = set(np.argsort(weights)[-3:].tolist())
    return [_part(NAMES[network], rows, len(heaviest & {0, 1, 2}), math.nan)]
