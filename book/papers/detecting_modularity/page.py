"""What the pages of Part IV show alike: status, provenance, conditions beside the paper."""

from __future__ import annotations

import math

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import words
from book.lab.evidence import Results
from book.lab.show import MISSING, NOT_RUN
from book.lab.status import status_line
from book.lab.words import command, drawn, say
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import PARTITIONINGS, cell, combined, printed
from modgraph_lib.datasets.names import data_name

__all__ = ["beside", "command", "conditions", "drawn", "p_text", "provenance", "say", "status"]

NETWORK = ["architecture", "data", "reading", "seed", "epochs", "width", "images"]
NAMES = {"mlp": "MLP", "small_cnn": "small CNN"}
WORDS = {"described": "no regulariser", "published": "dropout + L2"}
PAPER = {("mlp", "mnist"): "MLP", ("small_cnn", "mnist"): "CNN"}
PROXIES = {
    "drop": "accuracy drop",
    "class_mean_drop": "accuracy drop, mean over classes",
    "range": "class range",
    "range_per_drop": "class range / mean drop",
    "range_residual": "class range beyond the drop",
    "score": "visualisation score",
    "entropy": "softmax entropy",
}


def status(section: str, rows: pd.DataFrame) -> Markdown:
    """The line under a page's title: paper, verdicts so far, evidence, cost, digests."""
    cost = "this page under a minute on 2 cores"
    return status_line(section, rows, evidence=_evidence(rows), cost=cost)


def provenance(rows: pd.DataFrame) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    return words.provenance(rows, _evidence(rows))


def _evidence(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "only digits so far; the paper's scale has not been run yet"
    found = rows.drop_duplicates(NETWORK)
    groups = found.groupby(["architecture", "data", "reading"], sort=False)
    said = [
        f"{len(own)} {NAMES.get(architecture, architecture)}{'s' * (len(own) > 1)} on "
        f"{data_name(data)} "
        f"({WORDS.get(reading, reading)})"
        for (architecture, data, reading), own in groups
    ]
    return ", ".join(said)


def conditions(
    results: Results,
    proxies: tuple[str, ...],
    *,
    architecture: str = "mlp",
    data: str = "mnist",
    readings: tuple[str, ...] = settings.READINGS,
    published: bool = False,
    recipe: str = "described",
    runs: int = settings.NETWORKS,
) -> pd.DataFrame:
    """Our conditions beside the printed ones, one row each; NaN where not run or not printed.

    Args:
        published: take percentiles, effects and the local partition as the released code does.
    """
    rows = []
    for proxy in proxies:
        for reading in readings:
            for edges, scope in PARTITIONINGS:
                local = published and (edges, scope) == ("activations", "local")
                own = cell(
                    results,
                    architecture=architecture,
                    data=data,
                    proxy=proxy,
                    edges=edges,
                    scope=scope,
                    runs=runs,
                    reading=reading,
                    recipe=recipe,
                    variant="published" if local else "described",
                )
                found = combined(own, proxy=proxy, published=published)
                # A residual has mean zero, a quotient no bound: 2x/(x + mu) says nothing of them.
                odd = proxy == "range_residual" or (proxy == "range_per_drop" and not published)
                base = "range" if proxy.startswith("range") else proxy.replace("class_mean_", "")
                network = PAPER.get((architecture, data), "")
                said = printed(base, network, edges, scope)
                rows.append(
                    {
                        "proxy": proxy,
                        "reading": reading,
                        "partition": f"{edges}/{scope}",
                        "p": found.p_value if found else math.nan,
                        "effect": found.effect if found and not odd else math.nan,
                        "se": found.standard_error if found and not odd else math.nan,
                        "networks": len(own),
                        "groups": int(found.groups.sum()) if found else 0,
                        "tied": found.tied if found else math.nan,
                        "paper_p": said[0],
                        "paper_effect": said[1],
                        "paper_se": said[2],
                    }
                )
    return pd.DataFrame(rows)


def beside(table: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """``conditions`` as a table: p-values and effects, paper beside ours."""
    if not table["networks"].any():
        return Markdown(NOT_RUN)
    ours = table[table["networks"] > 0]
    frame = pd.DataFrame(
        {
            "proxy": ours["proxy"].map(PROXIES),
            "networks": ours["reading"].map(WORDS) + ours["networks"].map(" ({})".format),
            "partition": ours["partition"],
            "sub-clusters": ours["groups"],
            "ties": ours["tied"].map("{:.0%}".format),
            "p, paper": ours["paper_p"].map(p_text),
            "p, ours": ours["p"].map(p_text),
            "effect, paper": [
                _effect(e, s) for e, s in zip(ours["paper_effect"], ours["paper_se"], strict=True)
            ],
            "effect, ours": [
                _effect(e, s) for e, s in zip(ours["effect"], ours["se"], strict=True)
            ],
        }
    )
    words = ["proxy", "networks", "partition"]
    styled = frame.style.set_uuid(name).hide(axis="index")
    return styled.set_properties(subset=words, **{"text-align": "left"})


def p_text(p: float) -> str:
    """A p-value as prose writes it: 0.31, 0.004, 2e-17."""
    if pd.isna(p):
        return MISSING
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _effect(mean: float, error: float) -> str:
    if pd.isna(mean):
        return MISSING
    return f"{mean:.2f}" + ("" if pd.isna(error) else f" ± {error:.2f}")
