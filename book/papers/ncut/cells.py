"""Which rows of multi-layer perceptrons may decide a claim of the n-cut papers.

A row counts for a claim only if the network behind it was trained and tested as the paper
says. Everything else (quick and laptop scales, other widths or epochs, the readings of the
published code) is filtered out here, so that no measurement can forget to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from book.lab.evidence import Results, current_reading, equal, one_per_seed, remembered
from book.papers.ncut import mlps, settings
from modgraph_lib import statistics
from modgraph_lib.datasets.names import data_name

__all__ = ["cell", "first_shuffles", "initial", "label", "word"]

INITIAL_SEEDS = {4: 200, 12: 100}

NAMES = {name: data_name(name) for name in ("mnist", "fashion_mnist", "cifar10_grey")}


# fmt: off
WORDS = {
    "none": "no regulariser", "l1": "L1", "l2": "L2", "dropout+l2": "dropout + L2",
    "ncut": "n-cut", "z_score": "z-score",
}
# fmt: on


@remembered
def cell(
    results: Results,
    *,
    data: str,
    regularizer: str,
    stage: str,
    k: int,
    runs: int,
    dropout: float | None = None,
    variant: str = "",
    method: str = "layer",
    epochs: int | None = None,
) -> pd.DataFrame:
    """Rows of one cell at the paper's settings, one per seed, sorted by seed.

    Args:
        results: tables by experiment; "mlp_ncut" is read, and may be absent.
        data, regularizer, stage, k: the cell.
        runs: the paper's number of networks; seeds 0 to runs-1 count.
        dropout: rate to ask for instead of the paper's usual one.
        variant: "described" decides claims; "published" is what the released code does; if not
            given, ``evidence.current_reading``.
        method: of the shuffles, "layer" or "layer_nonzero".
        epochs: epochs before pruning to ask for instead of the paper's usual ones.

    Returns:
        A frame with the columns of ``mlps.table``, indexed by seed; empty if none.
        Of more shuffles than the paper's, the first ones count.

    Raises:
        ValueError: the table lacks columns.
        KeyError: k is no setting of these papers.
    """
    table = mlps.EXPERIMENT.among(results)
    variant = variant or current_reading()
    rows = table[
        (table["data"] == data)
        & (table["regularizer"] == regularizer)
        & (table["stage"] == stage)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["shuffles"] >= settings.SHUFFLES[k])
    ]

    def asked(row: Any) -> mlps.NcutConfig:
        train = mlps.condition(data, regularizer, row.seed, variant=variant, dropout=dropout)
        train = train if epochs is None else replace(train, epochs=epochs)
        return mlps.NcutConfig(train, stage, (k,), settings.SHUFFLES[k], method)

    rows = equal(rows, asked, free=("cluster_counts", "shuffles"))
    return first_shuffles(one_per_seed(rows), settings.SHUFFLES[k])


def initial(results: Results, *, k: int, runs: int) -> pd.DataFrame:
    """Untrained 784-256x4-10 networks at one k, seeds 0 to runs-1, indexed by seed."""
    table = mlps.INITIAL.among(results)
    rows = table[(table["k"] == k) & (table["seed"] < runs)]
    free = ("cluster_counts", "first_seed", "networks")
    return one_per_seed(equal(rows, lambda row: mlps.InitialConfig(), free=free))


def word(value: str) -> str:
    """A value of a cell as the names of parts have it."""
    return WORDS.get(value) or data_name(value)


def label(*, data: str = "", regularizer: str = "", stage: str = "") -> str:
    """Words for a cell, in the order data, regularizer, stage; empty ones left out."""
    return ", ".join(word(value) for value in (data, regularizer, stage) if value)


def first_shuffles(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The rows with their null cut to the first ``count`` shuffles and tested against those."""
    if (rows["shuffles"] == count).all():
        return rows
    nulls = [np.asarray(null)[:count] for null in rows["shuffled"]]
    pairs = list(zip(rows["ncut"], nulls, strict=True))
    return rows.assign(
        shuffled=pd.Series(nulls, index=rows.index, dtype=object),
        shuffles=count,
        shuffle_mean=[null.mean() for null in nulls],
        shuffle_std=[null.std() for null in nulls],
        p_value=[statistics.empirical_p_value(ncut, null) for ncut, null in pairs],
        z_score=[statistics.z_score(ncut, null) for ncut, null in pairs],
        significant=[bool(ncut < null.min()) for ncut, null in pairs],
    )
