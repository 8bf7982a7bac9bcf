"""Tables A.4 to A.15 of "Neural networks are surprisingly modular" beside our networks.

Each of the twelve tables has ten networks of one cell, with their n-cut, both kinds of shuffle
and Cohen's d between the two.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from book.lab.evidence import Results
from book.lab.printed import paper_table
from book.papers.ncut.beside import DATA as WORDS
from book.papers.ncut.measures import BOTH
from book.papers.ncut.topology_measures import both_shuffles
from modgraph_lib import statistics
from modgraph_lib.statistics import Interval

__all__ = [
    "COLUMNS",
    "TABLES",
    "both_nulls",
    "effective_shuffles",
    "printed_topology",
    "topology_beside_ours",
    "topology_rows",
]

# Table -> (data set, regulariser, stage), in the order of the paper's appendix A.4.
TABLES = {
    f"table_a{4 + 4 * place + 2 * late + dropout}": (
        data,
        ("none", "dropout")[dropout],
        BOTH[late],
    )
    for place, data in enumerate(("mnist", "fashion_mnist", "cifar10_grey"))
    for late in (0, 1)
    for dropout in (0, 1)
}
# Ours -> the column of the transcribed tables.
PRINTED = {
    "ncut": "ncut",
    "p_value": "p_value",
    "shuffle_mean": "shuffle_ncut_mean",
    "shuffle_std": "shuffle_ncut_std",
    "nonzero_p_value": "nonzero_p_value",
    "nonzero_mean": "nonzero_shuffle_ncut_mean",
    "nonzero_std": "nonzero_shuffle_ncut_std",
    "cohens_d": "cohens_d",
}
COLUMNS = ["table", "data", "regularizer", "stage", "seed", *PRINTED, "below_all", "below_nonzero"]
NULL_COLUMNS = [*COLUMNS[1:4], "k", *COLUMNS[4:], "shuffled", "nonzero_shuffled"]


def printed_topology() -> pd.DataFrame:
    """Tables A.4 to A.15 as one frame, 120 networks, with the columns of ``COLUMNS``.

    ``below_all`` and ``below_nonzero`` say whether the printed p-value is the smallest there is,
    0.003; ``seed`` is the paper's number of the run and has nothing to do with our seeds.
    """
    smallest = f"{1 / 321:.3f}"
    frames = []
    for name, (data, regularizer, stage) in TABLES.items():
        printed = paper_table(f"surprisingly_modular/{name}")
        if set(printed["dataset"].map(WORDS)) != {data}:
            raise ValueError(f"{name} is not about {data}; TABLES is out of step with it")
        frames.append(
            pd.DataFrame(
                {
                    "table": name,
                    "data": data,
                    "regularizer": regularizer,
                    "stage": stage,
                    "seed": printed["run"].astype(int),
                    **{ours: printed[theirs].astype(float) for ours, theirs in PRINTED.items()},
                    "below_all": printed["p_value"] == smallest,
                    "below_nonzero": printed["nonzero_p_value"] == smallest,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def topology_rows(results: Results, *, k: int = 4, runs: int = 10) -> pd.DataFrame:
    """Our networks at the paper's settings, as ``both_nulls`` gives them, with their ``table``."""
    frames = []
    for name, (data, regularizer, stage) in TABLES.items():
        where = {"data": data, "regularizer": regularizer, "stage": stage, "k": k, "runs": runs}
        pair = [frame.reset_index() for frame in both_shuffles(results, **where)]
        # data sets that nobody has run would make an untyped empty frame
        if len(pair[0]):
            frames.append(both_nulls(pd.concat(pair, ignore_index=True)).assign(table=name))
    columns = ["table", *NULL_COLUMNS]
    return (
        pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    )


def both_nulls(table: pd.DataFrame) -> pd.DataFrame:
    """One row a network, stage and k, with both kinds of shuffle side by side.

    Args:
        table: as ``mlps.table`` gives it, with rows of both methods; networks with
            one kind only are left out.

    Returns:
        ``NULL_COLUMNS``: data, regularizer, stage, k, seed; ncut; p_value, shuffle_mean,
        shuffle_std (ddof 1), shuffled and below_all of the full shuffles; nonzero_p_value,
        nonzero_mean, nonzero_std, nonzero_shuffled and below_nonzero of the topology-preserving
        ones; cohens_d.
    """
    network = ["data", "regularizer", "stage", "k", "seed"]
    found = ["p_value", "shuffle_mean", "shuffled", "significant"]
    full, kept = (
        table[table["method"] == method].drop_duplicates(network, keep="last")
        for method in ("layer", "layer_nonzero")
    )
    pairs = full[[*network, "ncut", *found]].merge(
        kept[[*network, *found]], on=network, suffixes=("", "_nonzero")
    )
    nulls = [pairs["shuffled"], pairs["shuffled_nonzero"]]
    deviations = [[np.std(null, ddof=1) for null in column] for column in nulls]
    distances = [statistics.cohens_d(*pair) for pair in zip(*nulls, strict=True)]
    return pd.DataFrame(
        {
            **{name: pairs[name] for name in (*network, "ncut", "p_value", "shuffle_mean")},
            "shuffle_std": deviations[0],
            "nonzero_p_value": pairs["p_value_nonzero"],
            "nonzero_mean": pairs["shuffle_mean_nonzero"],
            "nonzero_std": deviations[1],
            "cohens_d": distances,
            "below_all": pairs["significant"].astype(bool),
            "below_nonzero": pairs["significant_nonzero"].astype(bool),
            "shuffled": pairs["shuffled"],
            "nonzero_shuffled": pairs["shuffled_nonzero"],
        },
        columns=NULL_COLUMNS,
    )


def topology_beside_ours(ours: pd.DataFrame) -> pd.DataFrame:
    """The twelve tables in one: a line a table, pairs (quantity, "paper" | "ours").

    Args:
        ours: what ``topology_rows`` gives; may be empty.

    Returns:
        Index: the table's name. Quantities: networks; n-cut, shuffles and non-zero shuffles
        (means over networks); d and its SD over networks (ddof 1); negative (networks with
        d < 0); below all, below non-zero (networks below every shuffle of the kind). NaN where
        nothing is run.
    """
    lines = {}
    sides = {"paper": printed_topology(), "ours": ours}
    for name in TABLES:
        line = {}
        for who, table in sides.items():
            rows = table[table["table"] == name]
            found = len(rows) > 0
            line |= {
                ("networks", who): len(rows),
                ("n-cut", who): rows["ncut"].mean() if found else np.nan,
                ("shuffles", who): rows["shuffle_mean"].mean() if found else np.nan,
                ("non-zero shuffles", who): rows["nonzero_mean"].mean() if found else np.nan,
                ("d", who): rows["cohens_d"].mean() if found else np.nan,
                ("SD of d", who): rows["cohens_d"].std(ddof=1) if len(rows) > 1 else np.nan,
                ("negative", who): (rows["cohens_d"] < 0).sum() if found else np.nan,
                ("below all", who): rows["below_all"].sum() if found else np.nan,
                ("below non-zero", who): rows["below_nonzero"].sum() if found else np.nan,
            }
        lines[name] = line
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(float)
    return frame.rename_axis(index="table")


def effective_shuffles(d: Iterable[float], *, level: float = 0.95) -> Interval:
    """How many independent shuffles a set of Cohen's d between equal nulls speaks of.

    Before pruning no weight is zero, so both kinds of shuffle draw from one distribution and d
    has mean 0 and variance 2/n for n shuffles of each kind. Then sum d^2 n/2 is chi-squared with
    one degree of freedom a network, which gives n back: no use is made of p-values. That the
    spreads in d are estimates makes the answer low by a share of 1/n or so.

    Args:
        d: Cohen's d of networks whose two nulls are the same distribution, at least one not 0.
        level: of the confidence interval.

    Raises:
        ValueError: no d, or all of them 0; a level outside (0, 1).
    """
    values = np.asarray(list(d), dtype=float)
    total = float((values**2).sum())
    if not len(values) or not total > 0:
        raise ValueError("need at least one d that is not 0")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    low, high = stats.chi2.ppf([(1 - level) / 2, (1 + level) / 2], len(values))
    return Interval(2 * len(values) / total, 2 * float(low) / total, 2 * float(high) / total)
