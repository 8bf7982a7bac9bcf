"""Tables of the section on one's own network."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab.show import MISSING
from modgraph_lib.report import Report

__all__ = ["architectures", "clusters", "layers", "nulls", "refused", "text"]


def text(report: Report) -> Markdown:
    """A report's summary as it is printed."""
    return Markdown(f"```text\n{report.summary()}\n```")


def architectures(table: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """Supported networks of ``experiments.your_own.table``: size of the graph, time it takes."""
    known = table[table["nodes"].notna()]
    if known.empty:
        return Markdown("*Not run yet.*")
    shown = pd.DataFrame(
        {
            "network": known["network"],
            "million weights": known["parameters"] / 1e6,
            "layers": known["layers"],
            "nodes": known["nodes"],
            "million edges": known["edges"] / 1e6,
            "bipartite": known["bipartite"].map({True: "yes", False: "no"}),
            "graph, s": known["seconds"],
            "12 clusters, s": known["cluster_seconds"],
        }
    )
    forms = {
        "million weights": "{:.1f}",
        "layers": "{:.0f}",
        "nodes": "{:,.0f}",
        "million edges": "{:.2f}",
        "graph, s": "{:.1f}",
        "12 clusters, s": "{:.1f}",
    }
    return shown.style.set_uuid(name).format(forms, na_rep=MISSING).hide(axis="index")


def nulls(table: pd.DataFrame, *, name: str) -> Styler:
    """``experiments.your_own.untrained_nulls``: one line a network, both nulls side by side."""
    wide = table.pivot(index="seed", columns="method", values=["z", "p"])
    words = {"layer": "blocks", "kernel": "kernels"}
    shown = pd.DataFrame(
        {
            "network": [f"seed {seed}" for seed in wide.index],
            **{
                f"{value}, {word}": wide[value, method].to_numpy()
                for method, word in words.items()
                for value in ("z", "p")
            },
        }
    )
    forms = dict.fromkeys(shown.columns[1:], "{:.2f}")
    return shown.style.set_uuid(name).format(forms).hide(axis="index")


def refused(table: pd.DataFrame) -> Markdown:
    """Networks without a graph, each with the reason the library gives."""
    rows = table[table["nodes"].isna()]
    if rows.empty:
        return Markdown("Every network tried has a graph.")
    said = "\n".join(f"- `{row.network}`: {row.reason}" for row in rows.itertuples())
    return Markdown(f"Without a graph, in the library's own words:\n\n{said}")


def clusters(table: pd.DataFrame, *, name: str) -> Styler:
    """``browser.cluster_table`` for reading."""
    words = {
        "main_layer": "main layer",
        "share_of_layer": "share of it",
        "inside": "weight inside",
        "neighbour": "joined most to",
    }
    forms = {"share of it": "{:.0%}", "weight inside": "{:.0%}"}
    shown = table.rename(columns=words).reset_index()
    return shown.style.set_uuid(name).format(forms, na_rep=MISSING).hide(axis="index")


def layers(report: Report, *, name: str, most: int = 12) -> Styler:
    """Nodes of each layer in each cluster, for the first ``most`` layers."""
    return report.cluster_sizes.head(most).style.set_uuid(name)
