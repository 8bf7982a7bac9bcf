"""Measurements for claims of "Neural networks are surprisingly modular" alone."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part
from book.papers.ncut.cells import NAMES, cell, label
from book.papers.ncut.measures import BOTH

METHODS = ("none", "dropout")
PERMUTATIONS = 999


@measurement
def separation(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """P(a network without dropout has the higher n-cut than one with): the AUC, ties half.

    1 means that the two samples do not overlap, 0.5 that they cannot be told apart (Figure 2).
    """
    parts = []
    for stage in BOTH:
        plain, dropped = _methods(results, data=data, stage=stage, k=k, runs=runs)

        def auc(plain: pd.DataFrame = plain, dropped: pd.DataFrame = dropped) -> float:
            pairs = plain["ncut"].to_numpy()[:, None] - dropped["ncut"].to_numpy()[None, :]
            return float(np.mean((pairs > 0) + 0.5 * (pairs == 0)))

        parts.append(part(stage, [plain, dropped], auc))
    return parts


@measurement
def accuracy_correlation(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Pearson correlation of n-cut and test accuracy within a cell, mean over cells (Figure 2).

    Cells are the two stages, without and with dropout. The spread is that of the same mean when
    networks and accuracies are paired at random, a network's two stages together.
    """
    pairs = []
    for regularizer in METHODS:
        stages = [
            cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
            for stage in BOTH
        ]
        seeds = stages[0].index.intersection(stages[1].index)
        pairs.append([rows.loc[seeds] for rows in stages])
    rng = np.random.default_rng(0)

    @functools.cache
    def standardised() -> list[list[tuple[np.ndarray, np.ndarray]]]:
        names = ("ncut", "test_accuracy")
        return [
            [tuple(_standardised(rows[name].to_numpy(float)) for name in names) for rows in stages]
            for stages in pairs
        ]

    def mean(*, shuffled: bool = False) -> float:
        found = []
        for stages in standardised():
            count = len(stages[0][0])
            order = rng.permutation(count) if shuffled else np.arange(count)
            found += [ncut @ accuracy[order] / count for ncut, accuracy in stages]
        return float(np.mean(found))

    return [
        part(
            "mean correlation within cells",
            [rows for stages in pairs for rows in stages],
            mean,
            lambda: np.std([mean(shuffled=True) for _ in range(PERMUTATIONS)]),
            spread_is="se",
            fewest=3,
        )
    ]


@measurement
def spread_ratio(results: Results, *, k: int, runs: int) -> list[Part]:
    """SD of n-cut on CIFAR-10 over the larger of the two other data sets' (Figure 2)."""
    parts = []
    for stage in BOTH:
        for regularizer in METHODS:
            frames = {
                data: cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
                for data in NAMES
            }

            def ratio(frames: dict[str, pd.DataFrame] = frames) -> float:
                sd = {data: frame["ncut"].std(ddof=1) for data, frame in frames.items()}
                return sd["cifar10_grey"] / max(sd["mnist"], sd["fashion_mnist"])

            parts.append(
                part(label(regularizer=regularizer, stage=stage), frames.values(), ratio, fewest=2)
            )
    return parts


@measurement
def two_sample_z(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """(mean without - mean with dropout) / sqrt(s_a^2/n_a + s_b^2/n_b), pruned (footnote 11)."""
    plain, dropped = _methods(results, data=data, stage="pruned", k=k, runs=runs)

    def z() -> float:
        gap = plain["ncut"].mean() - dropped["ncut"].mean()
        variance = sum(frame["ncut"].var(ddof=1) / len(frame) for frame in (plain, dropped))
        return float(gap / variance**0.5) if variance > 0 else float("nan")

    return [part("Z", [plain, dropped], z, fewest=2)]


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values less their mean over their SD; not numbers where they are all the same."""
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else np.nan)


def _methods(
    results: Results, *, data: str, stage: str, k: int, runs: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows without and with dropout."""
    plain, dropped = (
        cell(results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs)
        for regularizer in METHODS
    )
    return plain, dropped
