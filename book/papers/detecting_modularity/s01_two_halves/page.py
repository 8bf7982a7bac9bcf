"""Tables and sentences of the page on halves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.papers.detecting_modularity.conditions import PARTITIONINGS
from book.papers.detecting_modularity.page import NOT_RUN, WORDS, p_text
from book.papers.detecting_modularity.s01_two_halves.measures import halves_rows, selective
from modgraph_lib import statistics
from modgraph_lib.proxies import ProxyTest

__all__ = ["answer", "by_partition", "evidence", "of_page", "panels", "test_of"]

RUNS = 5


def evidence(results: Results | None = None, reading: str = "described") -> pd.DataFrame:
    """All rows at the paper's size, the four partitions one after the other."""
    return pd.concat([rows.reset_index() for rows in panels(results, reading).values()])


def panels(results: Results | None = None, reading: str = "described") -> dict[str, pd.DataFrame]:
    """Partition -> rows at the paper's size, one a network."""
    results = ledger.load_results() if results is None else results
    return {
        f"{edges}/{scope}": halves_rows(
            results, edges=edges, scope=scope, runs=RUNS, reading=reading
        )
        for edges, scope in PARTITIONINGS
    }


def of_page(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Partition -> rows of this page's own networks."""
    rows = table[table["variant"] == "described"]
    names = rows["edges"] + "/" + rows["scope"]
    return {str(name): own for name, own in rows.groupby(names, sort=False)}


def test_of(row: pd.Series) -> ProxyTest | None:
    """One network's clusters beside their random sets; None where it has none."""
    return ProxyTest(row["true"], row["random"]) if len(row["true"]) else None


def by_partition(found: dict[str, pd.DataFrame], *, name: str) -> Styler | Markdown:
    """One line a partition: clusters, one-sidedness, how many are selective, Fisher-Bates p."""
    lines = []
    for partition, rows in found.items():
        tests = [t for t in map(test_of, rows.to_dict("records")) if t is not None]
        if not tests:
            continue
        p = [test.exact(ties="count") for test in tests]
        lines.append(
            {
                "partition": partition,
                "networks": len(tests),
                "clusters": sum(len(test.true) for test in tests),
                "one-sidedness": np.mean([test.true.mean() for test in tests]),
                "random sets": np.mean([test.controls.mean() for test in tests]),
                "selective": np.mean(selective(rows[rows["true"].map(len) > 0])),
                "p": p_text(statistics.bates_p_value(p)),
            }
        )
    if not lines:
        return Markdown(NOT_RUN)
    forms = {"one-sidedness": "{:.2f}", "random sets": "{:.2f}", "selective": "{:.0%}"}
    frame = pd.DataFrame(lines)
    styled = frame.style.set_uuid(name).format(forms).hide(axis="index")
    return styled.set_properties(subset=["partition"], **{"text-align": "left"})


def answer(results: Results | None = None) -> Markdown:
    """The page's answer in numbers, from the rows at the paper's size."""
    found = panels(results)
    if not any(map(len, found.values())):
        return Markdown(NOT_RUN)
    true = [row.mean() for rows in found.values() for row in rows["true"]]
    random = [row.mean() for rows in found.values() for row in rows["random"]]
    shares = [float(selective(rows).mean()) for rows in found.values() if len(rows)]
    networks = max(map(len, found.values()))
    word = "network" if networks == 1 else "networks"
    if min(shares) >= 0.9:
        lead = "Almost all do"
    elif np.mean(true) > np.mean(random):
        lead = "More than random sets do, but not almost all"
    else:
        lead = "No more than random sets do"
    return Markdown(
        f"**{lead}.** In {networks} {word} ({WORDS['described']}), clusters have a one-sidedness "
        f"of {np.mean(true):.2f}, and random sets of their size have {np.mean(random):.2f}. "
        f"Depending on the partition, {min(shares):.0%} to {max(shares):.0%} of the clusters are "
        "more one-sided than 95% of random sets. The paper says almost all."
    )


def accuracy(rows: pd.DataFrame) -> str:
    """Test accuracy of the networks behind some rows, as a range in percent."""
    values = 100 * rows.drop_duplicates("key")["accuracy"]
    if values.empty:
        return "not known"
    low, high = values.min(), values.max()
    return f"{low:.1f}%" if math.isclose(low, high) else f"{low:.1f}% to {high:.1f}%"
