"""Measurements about lesions that no other section shares."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, one_per_seed
from book.papers.detecting_modularity import networks, settings
from book.papers.detecting_modularity.conditions import tests_of
from book.papers.detecting_modularity.measures import conditions_of, keys
from book.papers.detecting_modularity.s03_lesions.experiment import EXPERIMENT, LesionsConfig

__all__ = ["some_but_not_most"]


@measurement
def dm_some_lowest(results: Results, *, runs: int) -> list[Part]:
    """Where p is significant and the effect at most 1: share of sub-clusters beyond all 19."""
    return [_part(name, lowest, rows) for name, rows, lowest, _ in some_but_not_most(results, runs)]


@measurement
def dm_more_than_mean(results: Results, *, runs: int) -> list[Part]:
    """In the same conditions: share of sub-clusters that do more damage than the random mean."""
    return [_part(name, above, rows) for name, rows, _, above in some_but_not_most(results, runs)]


def some_but_not_most(results: Results, runs: int):
    """(name, rows, share beyond all random sets, share above their mean) of such conditions."""
    found = []
    for name, rows, p, effect in conditions_of(results, "drop", runs):
        if p <= settings.CRITICAL and effect <= 1:
            tests = tests_of(rows)
            lowest = np.concatenate([test.ranks("count") == 0 for test in tests]).mean()
            above = np.concatenate([test.true > test.controls.mean(1) for test in tests]).mean()
            found.append((name, rows, float(lowest), float(above)))
    return found


def relu_rows(results: Results, *, runs: int) -> pd.DataFrame:
    """How well two halves of the images agree on clusters before and after the ReLU, by seed."""
    table = EXPERIMENT.among(results, "dm_relu")
    keep = (table["data"] == "mnist") & (table["reading"] == "described") & (table["seed"] < runs)

    def asked(row):
        return LesionsConfig(networks.condition("mlp", "mnist", "described", row.seed))

    return one_per_seed(equal(table[keep], asked))


def _part(name: str, value: float, rows) -> Part:
    return Part(name, value if len(rows) else math.nan, runs=len(rows), keys=keys(rows))
