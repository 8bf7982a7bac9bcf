"""Tables and sentences of the page on lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown
from torch import nn

from book.lab import ledger
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import cell, of_mlps
from book.papers.detecting_modularity.page import NOT_RUN, WORDS, conditions, p_text
from modgraph_lib import graphs, partitions, proxies
from modgraph_lib.proxies import ProxyTest

__all__ = ["answer", "evidence", "floors", "of_network", "which_reading"]


def evidence() -> pd.DataFrame:
    """Rows of MLPs of the paper's size, of both readings."""
    return of_mlps(ledger.load_results()["dm_lesions"])


def answer() -> Markdown:
    """The page's answer in numbers, from the rows at the paper's size."""
    results = ledger.load_results()
    table = conditions(results, ("drop", "range", "range_per_drop", "range_residual"))
    table = table[table["networks"] > 0]
    if table.empty:
        return Markdown(NOT_RUN)
    said = []
    for reading, own in table.groupby("reading", sort=False):
        counts = {
            proxy: int((rows["p"] <= settings.CRITICAL).sum())
            for proxy, rows in own.groupby("proxy", sort=False)
        }
        networks = int(own["networks"].max())
        said.append(
            f"In {networks} networks ({WORDS[str(reading)]}), clusters are important in "
            f"{counts['drop']} of 4 partitions. They are class-coherent as described in "
            f"{counts['range']}, when divided by the mean drop in {counts['range_per_drop']}, and "
            f"beyond what the drop explains in {counts['range_residual']}"
        )
    return Markdown(f"{'. '.join(said)}. These counts are of p ≤ 0.025.")


def which_reading() -> Markdown:
    """What the third reading says of the first two, from the rows."""
    table = conditions(ledger.load_results(), ("range", "range_per_drop", "range_residual"))
    table = table[table["networks"] > 0]
    if table.empty:
        return Markdown(NOT_RUN)
    third = table[table["proxy"] == "range_residual"]
    hits = int((third["p"] <= settings.CRITICAL).sum())
    listed = "; ".join(
        f"{row.partition} ({WORDS[row.reading]}) {p_text(row.p)}" for row in third.itertuples()
    )
    inside = "; ".join(
        f"{row.partition} {p_text(within_reach(row.partition, row.reading))}"
        for row in third.itertuples()
    )
    return Markdown(
        f"The residual is significant in {hits} of {len(third)} conditions: {listed}. There, the "
        "losses of classes differ more than in random sets that do as much damage, and dividing by "
        "the damage has hidden this. We can also use only the sub-clusters whose mean drop lies "
        "among those of their random sets, so that no line is extended beyond its points. The "
        f"results are then {inside}."
    )


def within_reach(partition: str, reading: str) -> float:
    """The residual's p-value over sub-clusters that do no more and no less than random ones."""
    edges, scope = partition.split("/")
    results, found = ledger.load_results(), []
    given = {"architecture": "mlp", "data": "mnist", "edges": edges, "scope": scope}
    rows = {
        proxy: cell(results, proxy=proxy, reading=reading, runs=settings.NETWORKS, **given)
        for proxy in ("class_mean_drop", "range_residual")
    }
    for drop, rest in zip(*(own["test"] for own in rows.values()), strict=True):
        if drop is None:
            continue
        low, high = drop.controls.min(1), drop.controls.max(1)
        keep = (drop.true >= low) & (drop.true <= high)
        if keep.any():
            found.append(ProxyTest(rest.true[keep], rest.controls[keep]))
    return proxies.combine(found, ties="count").p_value if found else float("nan")


def floors(
    models: dict[str, nn.Module], values: Sequence[float], *, k: int = 16, seed: int = 0
) -> pd.DataFrame:
    """Usable sub-clusters and n-cut of weight graphs whose smallest weights are taken for zero."""
    lines = []
    for reading, model in models.items():
        for floor in values:
            cut = partitions.partition(model, k=k, seed=seed, floor=floor)
            try:
                groups = len(partitions.subclusters(cut))
            except ValueError:
                groups = 0
            isolated = int(sum((row < 0).sum() for row in cut.labels.values()))
            lines.append(
                {
                    "reading": reading,
                    "floor": floor,
                    "erased": cut.erased,
                    "units left out": isolated,
                    "groups": groups,
                    "ncut": cut.ncut,
                }
            )
    return pd.DataFrame(lines)


def tiny_weights(model: nn.Module) -> str:
    """How many weights of a model are below single precision's eyes, in words."""
    graph = graphs.weight_graph(model, floor=0)
    blocks = list(graph.blocks.values())
    small = sum(int(((b > 0) & (b < graphs.FLOOR * b.max())).sum()) for b in blocks)
    subnormal = sum(int(((b > 0) & (b < np.finfo(np.float32).tiny)).sum()) for b in blocks)
    total = sum(b.size for b in blocks)
    return f"{small} of {total} weights are below 2^-24 of the largest, {subnormal} are subnormal"


def of_network(table: pd.DataFrame, proxy: str, partition: str, reading: str, seed: int = 0):
    """The test of one network of this page."""
    edges, scope = partition.split("/")
    rows = table[
        (table["proxy"] == proxy)
        & (table["edges"] == edges)
        & (table["scope"] == scope)
        & (table["variant"] == "described")
        & (table["reading"] == reading)
        & (table["seed"] == seed)
    ]
    return rows["test"].iloc[0]


def before_relu() -> pd.DataFrame | Markdown:
    """Agreement of clusters over two halves of the images before and after the ReLU, by reading."""
    rows = of_mlps(ledger.load_results()["dm_relu"])
    if rows.empty:
        return Markdown(NOT_RUN)
    found = rows.groupby(rows["reading"].map(WORDS), sort=False)
    frame = found[["before", "after"]].mean().round(2)
    frame["responses below zero"] = found["silent"].mean().round(2)
    return frame.assign(networks=found["seed"].nunique())
