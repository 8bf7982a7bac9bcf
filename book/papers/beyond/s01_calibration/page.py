"""Tables and sentences of the page on planted modules."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results, equal
from book.lab.show import MISSING
from book.papers.beyond.page import NOT_RUN
from book.papers.beyond.s01_calibration.experiment import FIRST_SEED, INSTRUMENTS
from book.papers.beyond.s01_calibration.measures import LEVEL, asked_for
from modgraph_lib.datasets.names import data_name

__all__ = [
    "answer",
    "answer_table",
    "curves",
    "evidence",
    "here",
    "instruments_table",
    "reread",
    "reread_rows",
]

LEAK = 0.3  # of the networks that the answer speaks of
SEEN = {"ari": "agreement", "homogeneity": "keeps to a module", "depth": "is depth"}


def evidence(results: Results | None = None) -> pd.DataFrame:
    """All rows of the whole experiment, one per (network, instrument)."""
    rows = (ledger.load_results() if results is None else results)["planted"]
    return equal(rows[rows["seed"] >= FIRST_SEED], asked_for)


def reread_rows(results: Results | None = None) -> pd.DataFrame:
    """Rows of the n-cut papers' networks, one per (network, stage, k)."""
    rows = (ledger.load_results() if results is None else results)["depth"]
    stages = rows["stage"].map({"unpruned": 0, "pruned": 1})
    ordered = rows.assign(stage=stages).sort_values(
        ["data", "regularizer", "stage", "seed", "k"], ascending=[False, False, True, True, True]
    )
    return rows.loc[ordered.index]


def curves(rows: pd.DataFrame, quantity: str = "ari") -> pd.DataFrame:
    """Mean and standard error of a column, by instrument, inputs and leak; trained networks."""
    own = rows[rows["trained"]].groupby(["instrument", "inputs", "leak"], sort=False)[quantity]
    found = own.agg(["mean", "sem", "count"]).reset_index()
    return found.sort_values(["inputs", "instrument", "leak"], ignore_index=True)


def answer(rows: pd.DataFrame | None = None) -> Markdown:
    """The page's answer in words, from the rows of the whole experiment."""
    own = _at_leak(evidence() if rows is None else rows)
    if own.empty:
        return Markdown(NOT_RUN)
    return Markdown(
        f"We trained {own['key'].nunique()} networks with two modules, where each weight between "
        f"the modules is multiplied by {LEAK}. With two clusters, theory puts the limit of "
        f"spectral clustering at a leak of {own['limit'].mean():.2f} in these networks. With four "
        "and twelve clusters there is no limit."
    )


def answer_table(rows: pd.DataFrame) -> Styler | Markdown:
    """What every instrument makes of the networks of ``answer``."""
    own = _at_leak(rows)
    if own.empty:
        return Markdown(NOT_RUN)
    lines = {}
    for name, words in INSTRUMENTS.items():
        one = own[own["instrument"] == name]
        tested = one["p"].dropna()
        hits = f"{int((tested <= LEVEL + 1e-4).sum())} of {len(tested)}" if len(tested) else MISSING
        means = {heading: f"{one[column].mean():.2f}" for column, heading in SEEN.items()}
        lines[words] = {**means, "significant": hits}
    return pd.DataFrame(lines).T.style.set_uuid("cal01-answer")


def _at_leak(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["leak"] == LEAK) & (rows["inputs"] == "separate") & rows["trained"]]


def here(rows: pd.DataFrame) -> Styler:
    """This page's own networks: one line an instrument, one column a leak."""
    names = pd.Series(INSTRUMENTS)
    kind = np.where(rows["trained"], rows["leak"].map("leak {:g}".format), "untrained")
    rows = rows.assign(kind=kind)
    order = rows.sort_values(["trained", "leak"], ascending=[False, True])["kind"].unique()
    table = rows.pivot_table(index="instrument", columns="kind", values="ari", sort=False)[order]
    table.index = table.index.map(names).rename(None)
    return table.rename_axis(columns=None).style.set_uuid("cal01-here").format("{:.2f}")


def instruments_table(rows: pd.DataFrame) -> Styler | Markdown:
    """The table to cite: what each instrument finds, how often it is wrong, its cost."""
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = {}
    for name, words in INSTRUMENTS.items():
        own = rows[rows["instrument"] == name]
        line: dict[tuple[str, str], object] = {}
        for kind in ("separate", "mixed"):
            for leak in (0.1, 0.3, 0.5):
                cell = own[own["trained"] & (own["inputs"] == kind) & (own["leak"] == leak)]
                line[f"{kind} inputs", f"leak {leak:g}"] = (
                    f"{_number(cell['ari'])} / {_share(cell)}"
                )
        plain = own[own["trained"] & (own["leak"] == 1.0)]
        line["nothing planted", "leak 1"] = _share(plain)
        line["nothing planted", "untrained"] = _share(own[~own["trained"]])
        line["cost", "s"] = f"{own['seconds'].median():.1f}"
        lines[words] = line
    table = pd.DataFrame(lines).T
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table.style.set_uuid("cal01-instruments")


def _number(values: pd.Series) -> str:
    return f"{values.mean():.2f}" if len(values) else MISSING


def _share(rows: pd.DataFrame) -> str:
    """Share of networks significant at 5%."""
    tested = rows["p"].dropna()
    return f"{(tested <= LEVEL + 1e-4).mean():.0%}" if len(tested) else MISSING


def reread(rows: pd.DataFrame) -> Styler | Markdown:
    """The n-cut papers' networks: their test beside the one that is blind to depth."""
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for (data, regularizer, stage), own in rows.groupby(
        ["data", "regularizer", "stage"], sort=False
    ):
        line = {"data": data_name(str(data)), "regulariser": regularizer, "stage": stage}
        line["networks"] = own["seed"].nunique()
        for k in (4, 12):
            cut = own[own["k"] == k]
            line[f"n-cut z, k = {k}"] = f"{cut['z'].mean():.1f}"
            line[f"depth, k = {k}"] = f"{cut['depth'].mean():.0%}"
        once = own.drop_duplicates("key")
        line["layered Q z"] = f"{once['layered_z'].mean():.1f}"
        line["depth, layered"] = f"{once['layered_depth'].mean():.0%}"
        lines.append(line)
    styled = pd.DataFrame(lines).style.set_uuid("cal01-reread").hide(axis="index")
    words = ["data", "regulariser", "stage"]
    return styled.set_properties(subset=words, **{"text-align": "left"})


def reread_said(rows: pd.DataFrame) -> Markdown:
    """The same in a sentence: on how many networks the two tests agree."""
    if rows.empty:
        return Markdown(NOT_RUN)
    cut = rows[rows["k"] == 12]
    both = (cut["p"] <= LEVEL + 1e-4) == (cut["layered_p"] <= LEVEL + 1e-4)
    modular = int((cut["layered_p"] <= LEVEL + 1e-4).sum())
    return Markdown(
        f"Of {len(cut)} networks (a network before and after pruning counts twice), "
        f"{int((cut['p'] <= LEVEL + 1e-4).sum())} are significant by the n-cut at k = 12, and "
        f"{modular} by layered Q, which is blind to depth. The two tests agree on "
        f"{int(both.sum())}. Depth is {_span(rows, 2)} of the clusters at k = 2, {_span(rows, 4)} "
        f"at k = 4 and {_span(rows, 12)} at k = 12. No verdict on the papers changes: each of "
        "them is about the n-cut."
    )


def _span(rows: pd.DataFrame, k: int) -> str:
    depth = rows.loc[rows["k"] == k, "depth"]
    return f"{depth.min():.0%} to {depth.max():.0%}" if len(depth) else MISSING


def law_table(blocks: tuple[int, ...], limits: dict[tuple[int, int], float]) -> pd.DataFrame:
    """Limits by number of blocks (rows) and k (columns)."""
    ks = sorted({k for _, k in limits})
    return pd.DataFrame(
        [[limits.get((b, k), math.nan) for k in ks] for b in blocks],
        index=[f"{b} blocks" for b in blocks],
        columns=[f"k = {k}" for k in ks],
    )
