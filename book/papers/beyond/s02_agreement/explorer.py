"""Any measure of structure over any measure of function, chosen on the page."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from book.lab.scorecard import Html
from book.lab.states import chooser
from book.papers.beyond.page import NOT_RUN
from book.papers.beyond.s02_agreement import pictures
from book.papers.beyond.s02_agreement.experiment import MEASURES
from book.papers.beyond.s02_agreement.measures import FUNCTION, STRUCTURE, correlation

__all__ = ["still"]


def still(rows: pd.DataFrame, *, name: str) -> Html | Markdown:
    """Every pair as a picture and its rank correlation, in an explorer that needs no kernel."""
    if len(rows) < 10:
        return Markdown(NOT_RUN)
    states = {
        (MEASURES[one], MEASURES[two]): (pictures.scatter(rows, one, two), _said(rows, one, two))
        for one in (*STRUCTURE, "degrees", "sample_q")
        for two in FUNCTION
    }
    return chooser(states, ("across", "up"), name=name)


def _said(rows: pd.DataFrame, one: str, two: str) -> str:
    all_of, alike = (
        correlation(rows, one, two, within=within, draws=200)
        for within in (("data",), ("data", "regime"))
    )
    return (
        f"Up {MEASURES[two]}, across {MEASURES[one]}. Rank correlation {all_of.value:.2f} "
        f"[{all_of.low:.2f}, {all_of.high:.2f}]; within regimes {alike.value:.2f} "
        f"[{alike.low:.2f}, {alike.high:.2f}]."
    )
