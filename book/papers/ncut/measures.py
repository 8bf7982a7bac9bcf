"""What measurements of both n-cut papers share."""

from __future__ import annotations

import math

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import part, standard_error

BOTH = ("unpruned", "pruned")


def mean_gap(name: str, first: pd.DataFrame, second: pd.DataFrame) -> Part:
    """Part: mean n-cut of ``first`` minus that of ``second``, spread: its standard error."""
    return part(
        name,
        [first, second],
        lambda: first["ncut"].mean() - second["ncut"].mean(),
        lambda: math.hypot(*(standard_error(rows["ncut"]) for rows in (first, second))),
        spread_is="se",
        fewest=2,
    )
