"""Which result rows may decide a claim, and the registry of measurements.

A row counts for a claim only if the network behind it was trained and tested as the paper
says. Everything else (quick and laptop scales, other widths or epochs, the readings of the
published code) is filtered out here, so that no measurement can forget to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.papers.ncut import settings
from modgraph_lib import statistics
from modgraph_lib.datasets.names import data_name

__all__ = [
    "MEASUREMENTS",
    "Results",
    "cell",
    "initial",
    "label",
    "measurement",
    "one_per_seed",
    "part",
]

# experiment name -> its table of rows, as experiments.<module>.table returns it
Results = Mapping[str, pd.DataFrame]

MEASUREMENTS: dict[str, Callable[..., list[Part]]] = {}

INPUTS = settings.MLP.inputs
INITIAL_SEEDS = {4: 200, 12: 100}

# fmt: off
CELL_COLUMNS = [
    "data", "regularizer", "stage", "k", "seed", "variant", "epochs", "prune_epochs",
    "batch_size", "width", "images", "nodes", "isolated", "method", "shuffles", "shuffled",
    "dropout", "ncut", "shuffle_mean", "shuffle_std", "p_value", "significant", "test_accuracy",
]
# fmt: on
INITIAL_COLUMNS = ["seed", "k", "ncut", "width", "inputs"]

NAMES = {name: data_name(name) for name in ("mnist", "fashion_mnist", "cifar10_grey")}


def measurement(function: Callable[..., list[Part]]) -> Callable[..., list[Part]]:
    """Register a pure function ``(results, *, runs, ...) -> list[Part]`` under its name."""
    name = function.__name__
    if name in MEASUREMENTS:
        raise ValueError(f"two measurements are called {name!r}")
    MEASUREMENTS[name] = function
    return function


def cell(
    results: Results,
    *,
    data: str,
    regularizer: str,
    stage: str,
    k: int,
    runs: int,
    dropout: float | None = None,
    variant: str = "described",
    method: str = "layer",
    epochs: int | None = None,
) -> pd.DataFrame:
    """Rows of one cell at the paper's settings, one per seed, sorted by seed.

    Args:
        results: tables by experiment; "mlp_ncut" is read, and may be absent.
        data, regularizer, stage, k: the cell.
        runs: the paper's number of networks; seeds 0 to runs-1 count.
        dropout: rate to ask for instead of the paper's usual one.
        variant: "described" decides claims; "published" is what the released code does.
        method: of the shuffles, "layer" or "layer_nonzero".
        epochs: epochs before pruning to ask for instead of the paper's usual ones.

    Returns:
        A frame with the columns of ``experiments.mlps.table``, indexed by seed; empty if none.
        Of more shuffles than the paper's, the first ones count.

    Raises:
        ValueError: the table lacks columns.
        KeyError: k is no setting of these papers.
    """
    table = experiment_table(results, "mlp_ncut", CELL_COLUMNS)
    usual = settings.of(data)
    rate = usual.dropout if regularizer == "dropout" else 0.0
    if epochs is None:
        epochs = usual.epochs
        if variant == "published":
            epochs = settings.published_epochs(data, dropout=regularizer == "dropout")
    keep = (
        (table["data"] == data)
        & (table["regularizer"] == regularizer)
        & (table["stage"] == stage)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["variant"] == variant)
        & (table["epochs"] == epochs)
        & (table["prune_epochs"] == usual.prune_epochs)
        & (table["batch_size"] == settings.BATCH_SIZE)
        & (table["width"] == settings.WIDTH)
        & (table["images"] == 0)
        & (table["nodes"] + table["isolated"] == usual.nodes)
        & (table["method"] == method)
        & (table["shuffles"] >= settings.SHUFFLES[k])
        & ((table["dropout"] - (rate if dropout is None else dropout)).abs() < 1e-9)
    )
    return first_shuffles(one_per_seed(table[keep]), settings.SHUFFLES[k])


def initial(results: Results, *, k: int, runs: int) -> pd.DataFrame:
    """Untrained 784-256x4-10 networks at one k, seeds 0 to runs-1, indexed by seed."""
    table = experiment_table(results, "mlp_initial_ncut", INITIAL_COLUMNS)
    keep = (
        (table["k"] == k)
        & (table["seed"] < runs)
        & (table["width"] == settings.WIDTH)
        & (table["inputs"] == INPUTS)
    )
    return one_per_seed(table[keep])


def part(
    name: str,
    cells: Iterable[pd.DataFrame],
    value: Callable[[], float],
    spread: Callable[[], float] | None = None,
    *,
    spread_is: str = "sd",
    fewest: int = 1,
) -> Part:
    """A part computed from cells, or a part without a number while any cell is too empty.

    Args:
        name: the part's name.
        cells: the frames it rests on; ``runs`` becomes the size of the smallest.
        value, spread: called only once every cell has at least ``fewest`` rows.
        spread_is: "sd" or "se".
        fewest: rows a cell needs for the formula to exist (2 for a standard deviation).
    """
    cells = list(cells)
    runs = min(len(frame) for frame in cells)
    if runs < fewest:
        return Part(name, runs=runs)
    # keys are absent where a caller built its rows by hand
    keys = {str(key) for frame in cells if "key" in frame for key in frame["key"]}
    scales = {scale for frame in cells if "scale" in frame for scale in frame["scale"]} - {""}
    return Part(
        name,
        observed=float(value()),
        spread=math.nan if spread is None else float(spread()),
        runs=runs,
        spread_is=spread_is,
        keys=tuple(sorted(keys)),
        scale="; ".join(sorted(scales)),
    )


def label(*, data: str = "", regularizer: str = "", stage: str = "") -> str:
    """Words for a cell, in the order data, regularizer, stage; empty ones left out."""
    words = {"none": "no regulariser", "l1": "L1", "l2": "L2", "dropout+l2": "dropout + L2"}
    return ", ".join(
        text for text in (data_name(data), words.get(regularizer, regularizer), stage) if text
    )


def experiment_table(results: Results, experiment: str, columns: list[str]) -> pd.DataFrame:
    """The experiment's table, or an empty one with these columns; checked for them."""
    table = results.get(experiment)
    if table is None or table.empty:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    if missing := [name for name in columns if name not in table]:
        raise ValueError(
            f"rows of {experiment} lack the columns {', '.join(missing)}; pass what "
            "book.papers.ncut.mlps makes of the records"
        )
    return table


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


def one_per_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest row of each seed: a repeated run replaces the earlier one, never joins it."""
    if "date" in rows:
        rows = rows.sort_values("date", kind="stable")
    return rows.drop_duplicates("seed", keep="last").set_index("seed").sort_index()
