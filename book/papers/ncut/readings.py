"""Second looks at rows that are already there: is a number big, and what decides it?

Each function takes a table of ``mlps.table`` (one row a network, stage and k) and
returns a small frame with one line a condition.  Nothing is run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

__all__ = [
    "accuracy_definitions",
    "fewer_shuffles",
    "natural_spread",
    "spread_over_networks",
    "worst_cells",
]

CONDITION = ["data", "regularizer", "stage", "k"]
# Of two networks the SD is a fifth of the true one or less in one case of six.
FEWEST = 3


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


def spread_over_networks(beside: pd.DataFrame) -> pd.Series:
    """The larger of the paper's and our SD over networks, by cell of ``paper_beside_ours``.

    Ours counts from three networks on. NaN where neither is known, or both are 0.
    """
    spreads = beside["SD"].astype(float)
    spreads["ours"] = spreads["ours"].where(beside["networks", "ours"] >= FEWEST)
    larger = spreads.max(axis=1)
    return larger.where(larger > 0)


def worst_cells(beside: pd.DataFrame, *, deviations: float = 2.0) -> pd.DataFrame:
    """Cells of ``beside.paper_beside_ours`` whose n-cut is far from the printed one.

    Far is more than `deviations` of ``spread_over_networks``. Cells that are not run, or without
    a spread, are left out.

    Returns:
        Columns cell, paper, ours, difference, deviations; the farthest first.
    """
    paper, ours = beside["n-cut", "paper"].astype(float), beside["n-cut", "ours"].astype(float)
    found = pd.DataFrame(
        {
            "cell": beside.index,
            "paper": paper.to_numpy(),
            "ours": ours.to_numpy(),
            "difference": (ours - paper).to_numpy(),
            "deviations": ((ours - paper) / spread_over_networks(beside)).to_numpy(),
        }
    )
    far = found[found["deviations"].abs() > deviations]
    return far.sort_values("deviations", key=abs, ascending=False, ignore_index=True)


def _by_condition(table: pd.DataFrame, summarise) -> pd.DataFrame:
    lines = [
        {**dict(zip(CONDITION, keys, strict=True)), **summarise(rows)}
        for keys, rows in table.groupby(CONDITION, sort=False)
    ]
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=CONDITION)
