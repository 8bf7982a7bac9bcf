"""How numbers and tables are written on a page; ids are fixed, so that two runs give one page."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

__all__ = ["MISSING", "NOT_RUN", "mean_and_sd", "number", "plus_minus", "styled"]

MISSING = "–"
NOT_RUN = "*Not run yet at full scale.*"


def plus_minus(mean: float, deviation: float) -> str:
    if pd.isna(mean):
        return MISSING
    return f"{mean:.3f}" + ("" if pd.isna(deviation) else f" ± {deviation:.3f}")


def number(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}"


def mean_and_sd(values: pd.Series) -> str:
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def styled(table: pd.DataFrame, name: str) -> Styler:
    """A Styler with a fixed id, so that two executions give the same page; ours in bold."""
    styled = table.style.set_uuid(name)
    words = [column for column in ("data", "regulariser", "stage") if column in table]
    if words:
        styled = styled.set_properties(subset=words, **{"text-align": "left"})
    if table.index.nlevels > 1:
        ours = [index for index in table.index if index[-1].startswith("ours")]
        styled = styled.set_properties(subset=(ours, slice(None)), **{"font-weight": "bold"})
    return styled
