"""Tables and sentences of the page on larger networks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.printed import paper_table
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import COLUMNS, PARTITIONINGS, printed
from book.papers.detecting_modularity.measures import conditions_of
from book.papers.detecting_modularity.page import PROXIES, conditions
from book.papers.detecting_modularity.s05_larger_networks import pretrained
from modgraph_lib import proxies

__all__ = ["answer", "by_k", "evidence", "not_run", "printed_matrix", "printed_over_k"]

# Kinds of networks, what one of each costs, and what keeps it from being run here.
NEEDS = {
    ("small_cnn",): ("small CNN, MNIST", "two hours of one core", "the command below"),
    ("vgg",): ("VGG, CIFAR-10", "40 minutes on an H100 (days on two cores)", "a GPU"),
    tuple(pretrained.NETWORKS): ("VGG-16, VGG-19, ResNet18", "hours on a GPU", "ImageNet"),
}


def evidence() -> pd.DataFrame:
    """Rows of the paper's larger networks that decide its claims."""
    results = ledger.load_results()
    found = [one for proxy in COLUMNS for one in conditions_of(results, proxy, settings.NETWORKS)]
    larger = [rows for name, rows, *_ in found if not name.startswith("MLP")]
    return pd.concat(larger).reset_index()


def answer() -> Markdown:
    """How much is run, from the rows, what it shows, and what the paper's own tables say."""
    matrix, rows = printed_matrix(), evidence()
    score = matrix[(matrix["proxy"] == "score") & (matrix["network"] == "CNN")]["p"]
    run, said = len(rows.drop_duplicates(["architecture", "data", "seed"])), ""
    which = {"architecture": "small_cnn", "readings": ("described",)}
    own = conditions(ledger.load_results(), ("drop", "score"), **which)
    own = own[2 * own["networks"] >= settings.NETWORKS]  # as many as decide a claim
    if {"drop", "score"} <= set(own["proxy"]):
        hits = (own["p"] <= settings.CRITICAL).groupby(own["proxy"]).sum()
        said = (
            f" Of the {len(PARTITIONINGS)} partitions of our small CNNs, {hits['drop']} have a "
            f"significant accuracy drop and {hits['score']} a significant visualisation score."
        )
    counts = [
        f"{int((own['p'] <= settings.CRITICAL).sum())} are significant for {PROXIES[str(proxy)]}"
        for proxy, own in matrix.groupby("proxy", sort=False)
    ]
    return Markdown(
        f"Of the paper's larger networks, {run} are run here at its size.{said} The paper's own "
        "tables say that the answer depends on the network. Of its small CNN's four partitions, "
        f"{int((score <= settings.CRITICAL).sum())} have a significant visualisation score. Of "
        f"{matrix.groupby('proxy')['p'].count().iloc[0]} conditions, {', '.join(counts)}."
    )


def printed_matrix() -> pd.DataFrame:
    """Every printed condition: network, partition, proxy, p, effect."""
    lines = []
    for proxy in COLUMNS:
        for network, _ in settings.PRINTED:
            for edges, scope in PARTITIONINGS:
                p, effect, _ = printed(proxy, network, edges, scope)
                if not math.isnan(p):
                    lines.append((network, f"{edges}/{scope}", proxy, p, effect))
    return pd.DataFrame(lines, columns=["network", "partition", "proxy", "p", "effect"])


def printed_over_k() -> pd.DataFrame:
    """The VGG's conditions of the paper's Tables 2 and 3, one row a partition, proxy and k."""
    lines = []
    for proxy, (_, prefix) in COLUMNS.items():
        table = "table_2" if proxy in ("drop", "range") else "table_3"
        for row in paper_table(f"detecting_modularity/{table}").to_dict("records"):
            lines.append(
                {
                    "proxy": proxy,
                    "partition": f"{row['edge_type']}/{row['scope']}",
                    "k": int(row["cluster_count"]),
                    "p": float(row[f"{prefix}_fisher_bates_p"]),
                    "effect": float(row[f"{prefix}_effect_mean"]),
                }
            )
    return pd.DataFrame(lines)


def by_k(*tables: pd.DataFrame) -> pd.DataFrame:
    """One row a partition, proxy and k of this page's networks: p, effect, sub-clusters."""
    lines = []
    for table in tables:
        rows = table[table["variant"] == "described"]
        rows = rows[rows["proxy"].isin(list(COLUMNS))]
        groups = rows.groupby(
            ["proxy", rows["edges"] + "/" + rows["scope"], "clusters"], sort=False
        )
        for (proxy, partition, k), own in groups:
            tests = [test for test in own["test"] if test is not None]
            if tests:
                found = proxies.combine(tests, ties="count")
                lines.append(
                    {
                        "proxy": proxy,
                        "partition": partition,
                        "k": int(k),
                        "p": found.p_value,
                        "effect": found.effect,
                        "groups": int(np.sum(found.groups)),
                    }
                )
    return pd.DataFrame(lines)


def not_run() -> Styler:
    """What is not run, what it would take, and what is missing."""
    seeds = evidence().groupby("architecture")["seed"].nunique()
    missing = []
    for names, (title, cost, needs) in NEEDS.items():
        asked = settings.NETWORKS if len(names) == 1 else 1
        if left := sum(asked - min(asked, seeds.get(name, 0)) for name in names):
            missing.append((title, f"{left} of {asked * len(names)}", cost, needs))
    rows = pd.DataFrame(missing, columns=["networks", "missing", "one costs", "needs"])
    styled = rows.style.set_uuid("dm05-needs").hide(axis="index")
    return styled.set_properties(**{"text-align": "left"})
