"""Second looks at rows that are already there: is a number big, and what decides it?

Each function takes a table of ``experiments.mlps.table`` (one row a network, stage and k) and
returns a small frame with one line a condition.  Nothing is run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

__all__ = ["accuracy_definitions", "fewer_shuffles", "natural_spread", "worst_cells"]

CONDITION = ["data", "regularizer", "stage", "k"]


def natural_spread(table: pd.DataFrame) -> pd.DataFrame:
    """The gap to the shuffles beside the two spreads it can be compared with.

    Returns:
        Columns data, regularizer, stage, k; gap (mean n-cut minus mean of the shuffles);
        over_networks (SD of n-cut, ddof 1), over_shuffles (mean SD of a network's shuffles);
        z (mean z-score); leaving (n-cut / k: chance that an edge stub of a randomly chosen
        cluster leaves it), leaving_shuffled (the same for the shuffles).
    """
    return _by_condition(
        table,
        lambda rows: {
            "gap": (rows["ncut"] - rows["shuffle_mean"]).mean(),
            "over_networks": rows["ncut"].std(ddof=1),
            "over_shuffles": rows["shuffle_std"].mean(),
            "z": rows["z_score"].mean(),
            "leaving": (rows["ncut"] / rows["k"]).mean(),
            "leaving_shuffled": (rows["shuffle_mean"] / rows["k"]).mean(),
        },
    )


def fewer_shuffles(table: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """How many networks lie below all of their first n shuffles, for each n in `counts`.

    The first n shuffles of a test are a valid test of their own, because the draws are
    independent.

    Returns:
        Columns data, regularizer, stage, k, networks, and one column for each count that
        every network has.

    Raises:
        ValueError: a count below 1.
    """
    if min(counts, default=0) < 1:
        raise ValueError(f"counts must be numbers from 1 up, got {list(counts)}")

    def below(rows: pd.DataFrame) -> dict[object, int]:
        found: dict[object, int] = {"networks": len(rows)}
        for count in counts:
            if (rows["shuffles"] >= count).all():
                found[count] = sum(
                    ncut < shuffled[:count].min()
                    for ncut, shuffled in zip(rows["ncut"], rows["shuffled"], strict=True)
                )
        return found

    return _by_condition(table, below)


def accuracy_definitions(table: pd.DataFrame) -> pd.DataFrame:
    """Training accuracy as a running average over the last epoch, and evaluated after it.

    The papers print the first; dropout is active while it is gathered, which lowers it.
    """
    return _by_condition(
        table,
        lambda rows: {
            "running average": rows["train_accuracy"].mean(),
            "evaluated": rows["train_accuracy_final"].mean(),
            "test": rows["test_accuracy"].mean(),
        },
    )


def worst_cells(beside: pd.DataFrame, *, deviations: float = 2.0) -> pd.DataFrame:
    """Cells of ``ledger.paper_beside_ours`` whose n-cut is far from the printed one.

    Far is more than `deviations` of the larger of the two SDs over networks (ours alone where
    the paper prints none).  Cells that are not run are left out.

    Returns:
        Columns cell, paper, ours, difference, deviations; the farthest first.
    """
    lines = []
    for name, row in beside.iterrows():
        paper, ours = row["n-cut", "paper"], row["n-cut", "ours"]
        spread = pd.Series([row["SD", "paper"], row["SD", "ours"]], dtype=float).max()
        if pd.isna(paper) or pd.isna(ours) or not spread > 0:
            continue
        away = (ours - paper) / spread
        if abs(away) > deviations:
            lines.append((name, paper, ours, ours - paper, away))
    found = pd.DataFrame(lines, columns=["cell", "paper", "ours", "difference", "deviations"])
    return found.sort_values("deviations", key=abs, ascending=False, ignore_index=True)


def _by_condition(table: pd.DataFrame, summarise) -> pd.DataFrame:
    lines = [
        {**dict(zip(CONDITION, keys, strict=True)), **summarise(rows)}
        for keys, rows in table.groupby(CONDITION, sort=False)
    ]
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=CONDITION)
