"""Measurements on both kinds of shuffle, side by side (SM section 3.3; CL appendix A.6).

A full shuffle moves every weight of a layer, zeros included; a topology-preserving one permutes
the non-zero weights among their own places. Cohen's d says how far apart the two nulls of one
network lie, and is positive where its topology alone is already clusterable.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import signal, stats

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, part, standard_error
from book.papers.ncut.cells import cell, label
from modgraph_lib import statistics

__all__ = ["both_shuffles", "cohens_d", "modes", "right_tailed"]

# A mode counts from a tenth of the highest: what is seen as a bump in a violin plot.
PROMINENCE = 0.1
# Sample skewness and excess kurtosis of a normal sample: sqrt(6/n) and sqrt(24/n).
NORMAL_SKEWNESS, NORMAL_KURTOSIS = 6.0, 24.0


@measurement
def mean_cohens_d(
    results: Results,
    *,
    data: str,
    k: int,
    runs: int,
    regularizers: tuple[str, ...],
    stages: tuple[str, ...] = ("pruned",),
    sign: int = 1,
) -> list[Part]:
    """Mean over networks of Cohen's d between full and topology-preserving shuffles.

    ``sign=-1`` turns it round, for a claim that it is negative. Spread: standard error.
    """
    parts = []
    for stage in stages:
        for regularizer in regularizers:
            full, kept = both_shuffles(
                results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs
            )
            frame = full.assign(d=sign * cohens_d(full, kept))
            parts.append(
                part(
                    f"{'minus ' if sign < 0 else ''}d, "
                    + label(data=data, regularizer=regularizer, stage=stage),
                    [frame, kept],
                    frame["d"].mean,
                    lambda frame=frame: standard_error(frame["d"]),
                    spread_is="se",
                    fewest=2,
                )
            )
    return parts


@measurement
def share_of_shape(
    results: Results, *, data: str, k: int, runs: int, regularizer: str, stage: str, shape: str
) -> list[Part]:
    """Share of networks whose shuffles' n-cuts are "bimodal" or "right_tailed", for each kind.

    Source: Neural networks are surprisingly modular, appendix A.4, figures A.2 and A.3.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape is one of {', '.join(SHAPES)}; got {shape!r}")
    full, kept = both_shuffles(
        results, data=data, regularizer=regularizer, stage=stage, k=k, runs=runs
    )
    return [
        part(
            f"{kind} shuffles",
            [rows],
            lambda rows=rows: np.mean([SHAPES[shape](null) for null in rows["shuffled"]]),
        )
        for kind, rows in (("all", full), ("non-zero", kept))
    ]


def both_shuffles(
    results: Results, *, data: str, regularizer: str, stage: str, k: int, runs: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of one cell with full and with topology-preserving shuffles, for seeds with both."""
    full, kept = (
        cell(
            results,
            data=data,
            regularizer=regularizer,
            stage=stage,
            k=k,
            runs=runs,
            method=method,
        )
        for method in ("layer", "layer_nonzero")
    )
    seeds = full.index.intersection(kept.index)
    return full.loc[seeds], kept.loc[seeds]


def modes(values: np.ndarray) -> int:
    """Modes of a Gaussian kernel density (Scott's bandwidth, as violin plots take it).

    Only those whose prominence is a tenth of the highest count; 0 for values all alike.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 3 or np.ptp(values) == 0:
        return 0
    margin = np.ptp(values) / 4
    grid = np.linspace(values.min() - margin, values.max() + margin, 1024)
    density = stats.gaussian_kde(values)(grid)
    return len(signal.find_peaks(density, prominence=PROMINENCE * density.max())[0])


def right_tailed(values: np.ndarray) -> bool:
    """Skewed to the right with a long tail, each beyond two standard errors of a normal sample."""
    values = np.asarray(values, dtype=float)
    if len(values) < 3 or np.ptp(values) == 0:
        return False
    skewed = stats.skew(values) > 2 * (NORMAL_SKEWNESS / len(values)) ** 0.5
    return bool(skewed and stats.kurtosis(values) > 2 * (NORMAL_KURTOSIS / len(values)) ** 0.5)


SHAPES = {"bimodal": lambda null: modes(null) >= 2, "right_tailed": right_tailed}


def cohens_d(full: pd.DataFrame, kept: pd.DataFrame) -> pd.Series:
    """Cohen's d of each network's full shuffles against its topology-preserving ones."""
    pairs = zip(full["shuffled"], kept["shuffled"], strict=True)
    return pd.Series([statistics.cohens_d(*pair) for pair in pairs], index=full.index, dtype=float)
