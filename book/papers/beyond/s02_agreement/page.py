"""Tables and sentences of the page on agreement."""

from __future__ import annotations

import itertools
import math

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.show import MISSING
from book.papers.beyond.page import NOT_RUN
from book.papers.beyond.s02_agreement.experiment import MEASURES, REGIMES
from book.papers.beyond.s02_agreement.measures import (
    FUNCTION,
    STRUCTURE,
    Correlation,
    correlation,
    zoo,
)

__all__ = ["answer", "by_regime", "evidence", "matrix", "pairs_table", "start_said"]

OTHERS = {"accuracy": "accuracy", "dead": "dead units"}
WAYS = {
    "all networks": {},
    "given accuracy and dead units": {"given": ("accuracy", "dead")},
    "within regimes": {"within": ("data", "regime")},
}


def evidence(results: Results | None = None) -> pd.DataFrame:
    """All rows of the whole zoo, one per network."""
    return zoo(ledger.load_results() if results is None else results)


def answer(rows: pd.DataFrame) -> Markdown:
    """The page's answer in numbers."""
    if len(rows) < 10:
        return Markdown(NOT_RUN)
    said = {pair: _said(correlation(rows, *pair)) for pair in (
        ("ncut", "layered"), ("importance", "classes"), ("layered", "importance"),
        ("ncut", "importance"), ("sample_q", "accuracy"),
    )}  # fmt: skip
    return Markdown(
        f"We trained {len(rows)} small networks in {rows['regime'].nunique()} ways on "
        f"{rows['data'].nunique()} data sets. A rank correlation of 1 means that two measures put "
        f"networks in the same order. It is {said['ncut', 'layered']} for the two measures of "
        f"weights, and {said['importance', 'classes']} for lesion importance and class coherence. "
        f"For weights and lesions it is {said['layered', 'importance']} (layered Q) and "
        f"{said['ncut', 'importance']} (n-cut). For the sample modularity of Part I and plain "
        f"test accuracy it is {said['sample_q', 'accuracy']}."
    )


def _said(found: Correlation) -> str:
    return (
        MISSING
        if math.isnan(found.value)
        else (f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")
    )


def matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank correlations, within data sets, of every pair of measures, accuracy and dead units."""
    names = {**MEASURES, **OTHERS}
    found = pd.DataFrame(1.0, index=list(names.values()), columns=list(names.values()))
    for one, two in itertools.combinations(names, 2):
        value = correlation(rows, one, two, draws=1).value
        found.loc[names[one], names[two]] = found.loc[names[two], names[one]] = value
    return found


def pairs_table(rows: pd.DataFrame) -> Styler | Markdown:
    """Structure against function, in three ways: values and 95% intervals."""
    if len(rows) < 10:
        return Markdown(NOT_RUN)
    pairs = [("ncut", "layered"), *itertools.combinations(FUNCTION, 2)]
    pairs += list(itertools.product((*STRUCTURE, "degrees"), FUNCTION))
    lines = {
        f"{MEASURES[one]} and {MEASURES[two]}": {
            way: _said(correlation(rows, one, two, **options)) for way, options in WAYS.items()
        }
        for one, two in pairs
    }
    return pd.DataFrame(lines).T.style.set_uuid("agr02-pairs")


def by_regime(rows: pd.DataFrame, *, name: str = "agr02-regimes") -> Styler | Markdown:
    """Means over data sets and seeds, one line a regime."""
    if rows.empty:
        return Markdown(NOT_RUN)
    columns = {"accuracy": "accuracy", "dead": "dead units", "depth": "depth of clusters"}
    columns |= MEASURES
    means = rows.groupby("regime")[list(columns)].mean()
    order = [regime for regime in REGIMES if regime in means.index]
    table = means.loc[order].rename(columns=columns).rename_axis(index=None)
    table.insert(0, "networks", rows["regime"].value_counts()[order].to_numpy())
    forms = dict.fromkeys(columns.values(), "{:.2f}")
    forms |= {"accuracy": "{:.1%}", "dead units": "{:.0%}", "depth of clusters": "{:.0%}"}
    forms |= {MEASURES[name]: "{:.1f}" for name in STRUCTURE}
    return table.style.set_uuid(name).format(forms, na_rep=MISSING)


def start_said(rows: pd.DataFrame) -> Markdown:
    """What the clusterable start does to weights and to function, in a sentence."""
    means = rows.groupby("regime")[[*STRUCTURE, *FUNCTION]].mean()
    if not {"none", "clusterable start"} <= set(means.index):
        return Markdown(NOT_RUN)
    plain, start = means.loc["none"], means.loc["clusterable start"]
    said = "; ".join(
        f"{MEASURES[name]} {start[name]:.2f} (trained plainly {plain[name]:.2f})"
        for name in FUNCTION
    )
    return Markdown(
        f"Networks from the clusterable start have a layered Q z of {start['layered']:.0f} "
        f"(trained plainly {plain['layered']:.1f}). Measures of their function, where random sets "
        f"of units have 1, are: {said}."
    )
