"""Tables and sentences of the page on p-values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.papers.detecting_modularity import settings
from book.papers.detecting_modularity.conditions import PARTITIONINGS, cell, shifted, tests_of
from book.papers.detecting_modularity.page import NOT_RUN, p_text
from book.papers.detecting_modularity.s02_twenty_numbers.measures import GROUPS, false_positives
from book.papers.detecting_modularity.s02_twenty_numbers.pictures import NAMES, TIE_WORDS
from modgraph_lib import proxies
from modgraph_lib.proxies import TIES

__all__ = ["answer", "evidence", "false_positive_rates", "null_table", "shifted_shares"]

PARTITIONS = 100


def evidence() -> pd.DataFrame:
    """The committed rows of a hundred random partitions."""
    rows = ledger.load_results()["dm_null"]
    return rows[rows["p_values"].map(len) >= PARTITIONS] if len(rows) else rows


def answer() -> Markdown:
    """The page's answer in numbers, from the committed rows."""
    rows = evidence()
    if rows.empty:
        return Markdown(NOT_RUN)
    share = {
        ties: float(
            (
                rows[(rows["proxy"] == "drop") & (rows["ties"] == ties)].iloc[0]["p_values"] <= 0.05
            ).mean()
        )
        for ties in TIES
    }
    tied = rows[rows["proxy"] == "drop"].iloc[0]["tied"]
    lead = "It depends on the ties" if share["ignore"] > 3 * 0.05 else "Ties matter little here"
    return Markdown(
        f"**{lead}.** Take {PARTITIONS} random partitions of a network, so that there is nothing "
        f"to find. Here {tied:.0%} of the random sets do exactly as much damage as the true one. "
        f"At p ≤ 0.05 the released code's rule calls {share['ignore']:.0%} of the partitions "
        "important, where 5% would be right. If ties are broken at random it is "
        f"{share['random']:.0%}, and if they count against the cluster {share['count']:.0%}."
    )


def null_table(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """Share of random partitions with p at most 0.05, by proxy and rule."""
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = [
        {
            "proxy": NAMES[proxy],
            "ties": f"{own['tied'].iloc[0]:.0%}",
            **{
                TIE_WORDS[row.ties]: f"{(row.p_values <= 0.05).mean():.0%} (mean p "
                f"{row.p_values.mean():.2f})"
                for row in own.itertuples()
            },
        }
        for proxy, own in rows.groupby("proxy", sort=False)
    ]
    styled = pd.DataFrame(lines).style.set_uuid(name).hide(axis="index")
    return styled.set_properties(subset=["proxy"], **{"text-align": "left"})


def false_positive_rates(*, draws: int = 10_000) -> pd.DataFrame:
    """False positive rates without ties, by Fisher's chi-squared law and by the exact one."""
    lines = []
    for controls in (9, 19):
        for groups in GROUPS:
            rng = np.random.default_rng([3, controls, groups])
            ranks = rng.integers(0, controls + 1, (draws, groups))
            lines.append(
                {
                    "controls": controls,
                    "groups": groups,
                    "chi-squared": false_positives(controls, groups, draws=draws),
                    "exact": _exact_rate(ranks, controls),
                }
            )
    return pd.DataFrame(lines)


def _exact_rate(ranks: np.ndarray, controls: int) -> float:
    """Share of rows (draws, n) of ranks with an exact p of at most 0.05.

    The p-value falls with the statistic, so that a dozen of them find where it passes 0.05.
    """
    statistic = -np.log((ranks + 0.5) / (controls + 1)).sum(1)
    order = np.argsort(-statistic)
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if proxies.fisher_exact(ranks[order[middle]], controls) <= 0.05:
            low = middle + 1
        else:
            high = middle
    return low / len(order)


def shifted_shares(proxy: str = "drop", reading: str = "published") -> pd.DataFrame:
    """Share of p at most 0.05 by partition and rule, each random set once as the true one.

    From the committed lesions of MNIST networks; nothing is lesioned again.
    """
    results, lines = ledger.load_results(), []
    for edges, scope in PARTITIONINGS:
        rows = cell(
            results, architecture="mlp", data="mnist", proxy=proxy, edges=edges, scope=scope,
            runs=settings.NETWORKS, reading=reading,
        )  # fmt: skip
        tests = tests_of(rows)
        for ties in TIES:
            p = [
                shifted(test, place).fisher(ties, seed=[seed, place])
                for seed, test in enumerate(tests)
                for place in range(test.controls.shape[1])
            ]
            if p:
                share = float(np.mean(np.array(p) <= 0.05))
                lines.append(
                    {"partition": f"{edges}/{scope}", "ties": ties, "share": share, "tests": len(p)}
                )
    return pd.DataFrame(lines, columns=["partition", "ties", "share", "tests"])


def five(p_values: list[float]) -> str:
    """Five p-values and what Bates makes of them."""
    from modgraph_lib import statistics

    said = ", ".join(p_text(p) for p in p_values)
    return f"{said}: {p_text(statistics.bates_p_value(p_values))}"
