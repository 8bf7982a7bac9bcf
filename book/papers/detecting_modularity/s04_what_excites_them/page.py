"""Tables and sentences of the page on visualisations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from IPython.display import Markdown

from book.lab import ledger
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import PARTITIONINGS, cell, of_mlps, tests_of
from book.papers.detecting_modularity.page import NOT_RUN, WORDS, conditions
from modgraph_lib import proxies
from modgraph_lib.partitions import Partition
from modgraph_lib.proxies import ProxyTest

__all__ = ["answer", "averages", "evidence", "of_network", "pairs"]


def evidence() -> pd.DataFrame:
    """Rows of MLPs of the paper's size."""
    return of_mlps(ledger.load_results()["dm_features"])


def answer() -> Markdown:
    """The page's answer in numbers, from the rows at the paper's size."""
    table = conditions(ledger.load_results(), ("score", "entropy"))
    table = table[table["networks"] > 0]
    if table.empty:
        return Markdown(NOT_RUN)
    said = []
    for reading, own in table.groupby("reading", sort=False):
        score, entropy = (own[own["proxy"] == name] for name in ("score", "entropy"))
        said.append(
            f"In {int(own['networks'].max())} networks ({WORDS[str(reading)]}), the score is "
            f"significant in {int((score['p'] <= settings.CRITICAL).sum())} of 4 partitions, with "
            f"effects of {score['effect'].min():.2f} to {score['effect'].max():.2f}, and the "
            f"entropy in {int((entropy['p'] <= settings.CRITICAL).sum())}"
        )
    return Markdown(f"{'. '.join(said)}.")


def averages(rows: pd.DataFrame) -> pd.DataFrame | Markdown:
    """Entropy effects with random sets averaged first, and draw by draw, by partition.

    Args:
        rows: of ``experiment.table``.
    """
    lines = []
    for partition, own in rows[rows["proxy"] == "entropy"].groupby(
        rows["edges"].astype(str) + "/" + rows["scope"].astype(str), sort=False
    ):
        tests = tests_of(own[own["variant"] == "described"])
        if tests:
            spread = [
                np.log10(t.controls.max(1) / np.maximum(t.controls.min(1), 1e-30)) for t in tests
            ]
            lines.append(
                {
                    "partition": partition,
                    "mean of the random sets first": proxies.combine(tests).effect,
                    "draw by draw": proxies.combine(tests, average="draw_by_draw").effect,
                    "decades spanned": float(np.median(np.concatenate(spread))),
                }
            )
    if not lines:
        return Markdown(NOT_RUN)
    return pd.DataFrame(lines).round(2).set_index("partition")


def of_network(table: pd.DataFrame, proxy: str, partition: str, **chosen) -> ProxyTest | None:
    """The test of one network of a table, by partition and any other columns."""
    edges, scope = partition.split("/")
    wanted = {"proxy": proxy, "edges": edges, "scope": scope, "variant": "described", **chosen}
    keep = np.logical_and.reduce([table[name] == value for name, value in wanted.items()])
    found = table[keep]
    return found["test"].iloc[0] if len(found) else None


def pairs(table: pd.DataFrame, partition: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the same groups, true and random, by the text's recipe and by the code's."""
    found = [
        of_network(table, "score", partition, recipe=recipe, seed=seed)
        for recipe in ("described", "published")
    ]
    if any(test is None for test in found):
        return np.empty(0), np.empty(0)
    one, two = (np.column_stack([t.true, t.controls]).ravel() for t in found if t is not None)
    return one, two


def printed_effects() -> tuple[float, float]:
    """Smallest and largest printed entropy effect of the MLP."""
    from book.papers.detecting_modularity.conditions import printed

    values = [printed("entropy", "MLP", edges, scope)[1] for edges, scope in PARTITIONINGS]
    values = [value for value in values if not math.isnan(value)]
    return min(values), max(values)


def names_of(cut: Partition) -> str:
    """How many clusters each layer has, in words."""
    return ", ".join(f"{count} in layer {name}" for name, count in cut.counts.items())


def rows_of(recipe: str) -> pd.DataFrame:
    """Entropy rows at the paper's size by one recipe, networks without regulariser."""
    results = ledger.load_results()
    found = [
        cell(
            results, architecture="mlp", data="mnist", proxy="entropy", edges=edges, scope=scope,
            runs=settings.NETWORKS, recipe=recipe,
        ).reset_index()
        for edges, scope in PARTITIONINGS
    ]  # fmt: skip
    return pd.concat(found)
