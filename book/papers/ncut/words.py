"""Computed prose of the n-cut sections: status line, differences, who ran what and when."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from IPython.display import Markdown

from book.lab import ledger
from book.lab.show import NOT_RUN
from book.lab.status import status_line
from book.lab.words import origin, work
from book.papers.ncut import beside, readings
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

NOT_RUN_YET = "not run yet"
# What tells one trained network from another.
NETWORK = ["data", "regularizer", "variant", "seed", "epochs", "prune_epochs", "dropout"]


def status(
    section: str,
    *,
    data: Sequence[str],
    experiment: str = "mlp_ncut",
    width: int = 256,
    rows: pd.DataFrame | None = None,
) -> Markdown:
    """The line under a chapter's title: paper, verdicts so far, evidence, cost, digests.

    Args:
        section: for instance "surprisingly_modular/01_clusterability".
        data: data sets of the paper's tables in this section.
        experiment: whose rows are the evidence.
        width: the width of the paper's networks.
        rows: the evidence itself, where width and data do not tell it from other rows.
    """
    results = ledger.load_results()
    paper = rows
    if paper is None:
        every = results[experiment]
        paper = every[(every["width"] == width) & every["data"].isin(data)]
    spent = f"{_work(paper)} for the rows so far" if len(paper) else NOT_RUN_YET
    cost = f"this page about a minute on 2 cores; paper scale {spent}"
    return status_line(section, paper, evidence=_evidence(paper), cost=cost, results=results)


def provenance(rows: pd.DataFrame) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    if rows.empty:
        return Markdown(NOT_RUN)
    networks = len(rows.drop_duplicates(NETWORK))
    made = origin(rows)
    number = "1 network" if networks == 1 else f"{networks} networks"
    return made.under(f"{number}, {_work(rows)}, {made.span}, commit {made.commits}.")


def differences(*names: str, rows: pd.DataFrame | None = None) -> Markdown:
    """Where our n-cuts are far from the printed ones, in words; the worst first."""
    results = ledger.load_results() if rows is None else {}
    frame = pd.concat(
        [
            beside.paper_beside_ours(name, results.get(beside.experiment_of(name), rows))
            for name in names
        ]
    )
    compared = int(frame["n-cut", "ours"].notna().sum())
    if not compared:
        return Markdown(NOT_RUN)
    off = (frame["n-cut", "ours"] - frame["n-cut", "paper"]).abs()
    far = readings.worst_cells(frame)
    spread = readings.spread_over_networks(frame)
    few = int((frame["n-cut", "ours"].notna() & spread.isna()).sum())
    text = (
        f"{compared} of {len(frame)} cells have been run. Our mean n-cut differs from the printed "
        f"one by {off.median():.3f} in the median and {off.max():.3f} at most"
    )
    if few == compared:
        return Markdown(
            f"{text}. With fewer than {readings.FEWEST} networks per cell there is no spread to "
            "compare this with."
        )
    if few:
        text += f" (cells of fewer than {readings.FEWEST} networks, without a spread: {few})"
    if far.empty:
        return Markdown(f"{text}. No cell is off by more than 2 SD over networks.")
    listed = "; ".join(
        f"{row.cell}: {row.ours:.3f} against {row.paper:.3f} ({row.deviations:+.1f} SD)"
        for row in far.itertuples(index=False)
    )
    return Markdown(f"{text}. These cells are off by more than 2 SD over networks: {listed}.")


def lowest(rows: pd.DataFrame, regularizer: str) -> Markdown:
    """Lowest n-cut of any network of a condition, by data set and stage."""
    rows = rows[rows["regularizer"] == regularizer] if len(rows) else rows
    if rows.empty:
        return Markdown(NOT_RUN)
    said = "; ".join(
        f"{data_name(data)}, {stage}: {values.min():.3f} (of {len(values)} networks)"
        for (data, stage), values in rows.groupby(["data", "stage"], sort=False)["ncut"]
    )
    return Markdown(f"The lowest n-cuts with {style.condition(regularizer)[2]} are {said}.")


def initial_range(untrained: pd.DataFrame, trained: pd.DataFrame) -> Markdown:
    """Extremes of untrained networks, and which trained conditions lie above them."""
    if untrained.empty:
        return Markdown(NOT_RUN)
    low, high = untrained["ncut"].min(), untrained["ncut"].max()
    text = f"Our {len(untrained)} untrained networks lie between {low:.3f} and {high:.3f}."
    if trained.empty:
        return Markdown(text)
    by = trained.groupby(["data", "regularizer", "stage"], sort=False)["ncut"]
    above = [
        f"{data_name(data)}, {style.condition(regularizer)[2]}, {stage} "
        f"({int((values > high).sum())} of {len(values)})"
        for (data, regularizer, stage), values in by
        if (values > high).any()
    ]
    said = "; ".join(above) or "none"
    return Markdown(f"{text} These trained networks lie above the highest of them: {said}.")


def _work(rows: pd.DataFrame) -> str:
    """Hours of work behind rows: each network's training once, each clustering once."""
    clustering = rows.drop_duplicates("key")["seconds"].sum()
    training = rows.drop_duplicates(NETWORK)["train_seconds"].sum()
    devices = ", ".join(sorted(set(rows["device"])))
    return f"{work(clustering + training)} ({devices})"


def _evidence(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "only digits so far; the paper's scale has not been run yet"
    found = rows.drop_duplicates(NETWORK)["data"].value_counts()
    said = ", ".join(f"{count} on {data_name(data)}" for data, count in found.items())
    return f"trained networks of the paper's size: {said}"
