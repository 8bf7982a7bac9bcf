"""Measurements for the questions about planted modules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, once, one_per_seed
from book.papers.beyond.s01_calibration.experiment import EXPERIMENT, FIRST_SEED, PlantedConfig
from modgraph_lib import clustering, graphs

__all__ = ["LEVEL", "asked_for", "planted_rows"]

LEVEL = 0.05  # of the shuffle tests


def asked_for(row) -> PlantedConfig:
    """The configuration that the whole experiment has for a row's leak, inputs and seed."""
    steps = PlantedConfig(0, 0).steps if row.trained else 0
    return PlantedConfig(row.leak, row.seed, mixed=row.inputs == "mixed", steps=steps)


def planted_rows(
    results: Results, *, instrument: str, leak: float, inputs: str, runs: int, trained: bool = True
) -> pd.DataFrame:
    """Networks of one kind under one instrument, one row per seed."""
    table = EXPERIMENT.among(results)
    keep = (
        (table["instrument"] == instrument)
        & (table["leak"] == leak)
        & (table["inputs"] == inputs)
        & (table["trained"] == trained)
        & (table["seed"] >= FIRST_SEED)
        & (table["seed"] < FIRST_SEED + runs)
    )
    return one_per_seed(equal(table[keep], asked_for))


@measurement
@once
def planted_law(results: Results, *, runs: int, blocks: Sequence[int], share: float) -> list[Part]:
    """scikit-learn's agreement with two strands at a share of the limit, less that beyond it."""
    parts = []
    for count in blocks:
        limit = clustering.strand_limit(count)
        inside = spectral_agreement(count, limit * share)
        beyond = spectral_agreement(count, limit / share) if limit < share else 0.0
        parts.append(Part(f"{count} blocks", inside - beyond, runs=1))
    return parts


def spectral_agreement(blocks: int, leak: float, *, width: int = 4) -> float:
    """Adjusted Rand index of scikit-learn's two clusters with strands of constant weights."""
    strand = np.arange(width) % 2
    block = np.where(strand[:, None] == strand, 1.0, leak)
    graph = graphs.weight_graph([block] * blocks)
    found = SpectralClustering(2, affinity="precomputed", random_state=0)
    labels = found.fit_predict(graph.matrix())
    return float(adjusted_rand_score(np.tile(strand, blocks + 1), labels))
