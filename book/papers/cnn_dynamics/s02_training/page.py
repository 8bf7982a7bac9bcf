"""Tables of the section on watching a grid of networks train."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab.show import MISSING, styled
from book.lab.words import say
from book.papers.cnn_dynamics import settings
from book.papers.cnn_dynamics.page import NAMES, NOT_RUN, paper_table
from book.papers.cnn_dynamics.s02_training.measures import accurate, moves, trend

__all__ = ["answer", "risers", "table_2", "threshold", "three"]


def threshold(rows: pd.DataFrame) -> float:
    """Accuracy (%) from which a network of these rows counts as accurate."""
    if rows.empty:
        return 40.0
    first = rows.iloc[0]
    return settings.threshold(first["data"], first["network"], int(first["images"]))


def answer(rows: pd.DataFrame) -> Markdown:
    """What the grid shows, in two sentences with its numbers."""
    if rows.empty or not 0 < accurate(rows).sum() < len(rows):
        return Markdown("**The answer first.** The grid of this page has not been run yet.")
    high = accurate(rows)
    up, flat = (100 * np.median([np.ptp(c) for c in moves(rows[k], "mean")]) for k in (high, ~high))
    return say(
        f"""
        **The answer first.** Of {len(rows)} LeNets, {int(high.sum())} end above
        {threshold(rows):g}%. While these learn, the mean degree of their graphs moves by
        {up:.0f}% (median); in the others it moves by {flat:.2g}%. So a picture of degree over
        epochs does separate the two groups. Page 4 asks what it really separates.
        """
    )


def table_2(rows: pd.DataFrame) -> Styler | Markdown:
    """The LeNet column of Table 2 beside ours."""
    if rows.empty:
        return Markdown(NOT_RUN)
    paper = paper_table("table_2")
    line = paper[(paper["dataset"] == "CIFAR-10") & (paper["architecture"] == "LeNet")].iloc[0]
    learned = rows[accurate(rows)]
    table = pd.DataFrame(
        {
            "networks": ["480", f"{len(rows)}"],
            "stops between": [
                f"{line['early_stopping_epoch_min']} and {line['early_stopping_epoch_max']}",
                f"{rows['last_epoch'].min()} and {rows['last_epoch'].max()}",
            ],
            "lowest accuracy (%)": [
                f"{line['accuracy_min_percent']:g}", f"{rows['accuracy'].min():.1f}",
            ],
            "highest accuracy (%)": [
                f"{line['accuracy_max_percent']:g}", f"{rows['accuracy'].max():.1f}",
            ],
            "above 40%": [MISSING, f"{len(learned)}"],
            "diverged": [MISSING, f"{int((rows['diverged'] >= 0).sum())}"],
        },
        index=["paper", f"ours ({NAMES[rows['network'].iloc[0]]})"],
    )  # fmt: skip
    return styled(table, "cd02-table2")


def three(rows: pd.DataFrame) -> list[int]:
    """Places of three telling networks: the most accurate, one at chance, one that was too fast."""
    settled = rows.reset_index(drop=True)
    slow = settled["learning_rate"].idxmin()
    fast = settled.sort_values(["diverged", "learning_rate"]).index[-1]
    return [int(settled["accuracy"].idxmax()), int(slow), int(fast)]


def risers(rows: pd.DataFrame, last: int) -> pd.DataFrame:
    """Networks that moved most by an epoch, and what became of them."""
    early = [curve[: last + 1] for curve in moves(rows, "mean")]
    found = rows[["learning_rate", "dropout", "accuracy"]].assign(
        moved=[f"{100 * (curve[-1] - 1):+.2f}%" for curve in early],
        trend=[f"{trend(curve):.2f}" for curve in early],
        size=[abs(curve[-1] - 1) for curve in early],
    )
    found = found.sort_values("size", ascending=False).drop(columns="size")
    return found.head(8).round({"accuracy": 1}).set_index("learning_rate")
