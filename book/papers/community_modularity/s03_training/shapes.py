"""What a network's epochs say in numbers: which layers stay, and how deep ones follow accuracy.

The words are the paper's (section 4.3); what they mean here was fixed before any run and stands
in ``data/papers/criteria.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["EPOCHS", "Tracking", "ends", "over_epochs", "swings", "tracking"]

EPOCHS = 30  # that the paper watches


@dataclass(frozen=True)
class Tracking:
    """How Q of the deep layers follows accuracy over epochs.

    Attributes:
        correlation: Pearson's.
        slope: of the least-squares line, over the slope mean Q / mean accuracy of the line
            through the origin: 1 is proportional, 0 unmoved, above 1 steeper than proportional.
    """

    correlation: float
    slope: float


def ends(layers: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shallow and deep layers, counted from 1: the first and the last quarter of them.

    A quarter is rounded, and is one layer at least: 2 of 8, 3 of 13.

    Raises:
        ValueError: fewer than two layers.
    """
    if layers < 2:
        raise ValueError(f"shallow and deep need two layers at least, got {layers}")
    quarter = max(1, round(layers / 4))
    return tuple(range(1, quarter + 1)), tuple(range(layers - quarter + 1, layers + 1))


def over_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """Q of each layer by epoch, for one network.

    Args:
        rows: of ``training_time.table``, of one seed.

    Returns:
        Indexed by epoch; columns 1..L (Q, mean over draws) and test_accuracy (missing at 0).

    Raises:
        ValueError: no rows, or those of several networks.
    """
    if rows.empty or rows["seed"].nunique() > 1:
        raise ValueError("over_epochs takes the rows of one network")
    q = rows.pivot_table(index="epoch", columns="layer", values="q", aggfunc="mean")
    accuracy = pd.to_numeric(rows.groupby("epoch")["test_accuracy"].first())
    return q.assign(test_accuracy=accuracy)


def swings(table: pd.DataFrame) -> pd.Series:
    """Range of each layer's Q over the epochs, as a share of the last curve's range over layers.

    Args:
        table: as ``over_epochs`` gives it; the epochs that count.

    Returns:
        (L,) by layer; infinite where the last curve is flat.
    """
    q = _curves(table)
    last = q.iloc[-1]
    height = last.max() - last.min()
    spread = q.max() - q.min()
    return spread / height if height > 0 else spread * np.inf


def tracking(table: pd.DataFrame) -> Tracking:
    """How the mean Q of the deep layers follows test accuracy.

    Args:
        table: as ``over_epochs`` gives it; the epochs that count.

    NaN where accuracy or Q never changes, or fewer than three epochs are known.
    """
    known = table[table["test_accuracy"].notna()]
    q = _curves(known)
    deep = q[list(ends(q.shape[1])[1])].mean(axis=1).to_numpy(dtype=float)
    accuracy = known["test_accuracy"].to_numpy(dtype=float)
    if len(known) < 3 or np.ptp(accuracy) == 0 or np.ptp(deep) == 0:
        return Tracking(np.nan, np.nan)
    covariance = np.cov(accuracy, deep)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    slope = covariance[0, 1] / covariance[0, 0]
    through = deep.mean() / accuracy.mean()
    return Tracking(float(correlation), float(slope / through) if through else np.nan)


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="test_accuracy")
