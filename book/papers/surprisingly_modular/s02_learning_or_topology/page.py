"""Tables and sentences of the chapter on learning and topology."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, mean_and_sd, number, plus_minus, styled
from book.papers.ncut import beside
from book.papers.ncut.beside import DATA as WORDS
from book.papers.ncut.topology_tables import (
    TABLES,
    both_nulls,
    effective_shuffles,
    printed_topology,
    topology_beside_ours,
    topology_rows,
)
from book.papers.surprisingly_modular.s02_learning_or_topology.experiment import distance_moved
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style
from modgraph_lib.training import TrainConfig

__all__ = [
    "both_nulls",
    "counted_shuffles",
    "distances",
    "kinds_of_p",
    "networks_listed",
    "noise_here",
    "nulls_here",
    "ours",
    "printed_topology",
    "spread_checked",
    "twelve_tables",
]


def ours() -> pd.DataFrame:
    """Our networks at the paper's settings that have both kinds of shuffle at k = 4."""
    return topology_rows(ledger.load_results())


def noise_here(table: pd.DataFrame, *, name: str) -> Styler:
    """What this execution measured on noise: one line a data set and condition, mean ± SD."""
    lines = []
    for (data, regularizer), rows in table.groupby(["data", "regularizer"], sort=False):
        before, after = (rows[rows["stage"] == stage] for stage in ("unpruned", "pruned"))
        lines.append(
            {
                "data": _noise_name(data),
                "images": f"{rows['images'].iloc[0] or 'all'}",
                "regulariser": style.condition(regularizer)[2],
                "train acc.": f"{after['train_accuracy'].mean():.3f}",
                "unpruned n-cut": mean_and_sd(before["ncut"]),
                "n-cut": mean_and_sd(after["ncut"]),
                "shuffles' n-cut": plus_minus(
                    after["shuffle_mean"].mean(), after["shuffle_std"].mean()
                ),
                "below all": f"{after['significant'].sum()} of {len(after)}",
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def nulls_here(table: pd.DataFrame, *, name: str) -> Styler:
    """Both kinds of shuffle by cell, from ``both_nulls``: means over networks."""
    lines = []
    for keys, rows in table.groupby(["data", "regularizer", "stage"], sort=False):
        data, regularizer, stage = keys
        lines.append(
            {
                "data": data_name(data),
                "regulariser": style.condition(regularizer)[2],
                "stage": stage,
                "n-cut": f"{rows['ncut'].mean():.3f}",
                "all shuffled": f"{rows['shuffle_mean'].mean():.3f}",
                "non-zero shuffled": f"{rows['nonzero_mean'].mean():.3f}",
                "d": f"{rows['cohens_d'].mean():+.2f}",
                "below all": f"{rows['below_all'].sum()} of {len(rows)}",
                "below non-zero": f"{rows['below_nonzero'].sum()} of {len(rows)}",
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def twelve_tables(rows: pd.DataFrame, *, name: str) -> Styler:
    """Tables A.4 to A.15 in one, a pair of lines a table, the paper's and ours."""
    lines = {}
    for table, line in topology_beside_ours(rows).iterrows():
        data, regularizer, stage = TABLES[table]
        words = f"{data_name(data)}, {style.condition(regularizer)[2]}, {stage}"
        for who in ("paper", "ours"):
            lines[f"{table[6:].upper().replace('A', 'A.')} {words}", who] = _line(line, who)
    frame = pd.DataFrame(list(lines.values()), index=pd.MultiIndex.from_tuples(lines))
    return styled(frame, name)


def networks_listed(rows: pd.DataFrame, *, name: str) -> Styler:
    """Every network of Tables A.4 to A.15, the paper's beside ours of the same number.

    The numbers only order the networks: run 3 of the paper and our seed 3 have nothing in
    common.
    """
    sides = {"paper": printed_topology(), "ours": rows}
    shown = {}
    for table, (data, regularizer, stage) in TABLES.items():
        words = f"{data_name(data)}, {style.condition(regularizer)[2]}, {stage}"
        for run in range(10):
            line = {}
            for who, frame in sides.items():
                one = frame[(frame["table"] == table) & (frame["seed"] == run)]
                line |= {f"{key}, {who}": text for key, text in _network(one).items()}
            shown[table[6:].upper().replace("A", "A."), words, str(run)] = line
    frame = pd.DataFrame(list(shown.values()), index=pd.MultiIndex.from_tuples(shown))
    order = sorted(frame.columns, key=lambda column: column.endswith("ours"))
    return styled(frame[order], name)


def kinds_of_p() -> pd.DataFrame:
    """The printed p-values by kind of shuffle, and how many have the form (10 m + 1)/321."""
    printed = beside.printed_p_values()
    inside = printed[printed["between"]]
    by = [frame.groupby("shuffle")["multiple_of_ten"] for frame in (printed, inside)]
    table = pd.DataFrame(
        {
            "printed": by[0].size(),
            "of the form": by[0].sum(),
            "strictly between": by[1].size(),
            "of those, of the form": by[1].sum(),
        }
    )
    return table.rename_axis(index="shuffled")


def counted_shuffles(rows: pd.DataFrame) -> Markdown:
    """How many shuffles the d of unpruned networks speak of, the paper's and ours."""
    said = []
    for who, table in (("The paper's", printed_topology()), ("Ours", rows)):
        d = table.loc[table["stage"] == "unpruned", "cohens_d"] if len(table) else []
        if len(d) == 0:
            said.append(f"{who}: not run yet.")
            continue
        found = effective_shuffles(d)
        said.append(
            f"{who} ({len(d)} unpruned networks): **{found.estimate:.0f} shuffles** of each kind "
            f"(95% interval {found.low:.0f} to {found.high:.0f})."
        )
    return Markdown(" ".join(said))


def spread_checked() -> pd.DataFrame:
    """SD of n-cut in Table 1, and from the appendix's ten pruned networks by either formula."""
    printed = printed_topology()
    first = ledger.paper_table("surprisingly_modular/table_1")
    lines = []
    for table, (data, regularizer, stage) in TABLES.items():
        if stage == "pruned":
            ncuts = printed.loc[printed["table"] == table, "ncut"]
            same = first["dataset"].map(WORDS).eq(data)
            same &= first["dropout"].eq("yes" if regularizer == "dropout" else "no")
            lines.append(
                {
                    "cell": f"{data_name(data)}, {regularizer}",
                    "Table 1": first.loc[same, "ncut_std"].item(),
                    "n - 1": round(float(ncuts.std(ddof=1)), 3),
                    "n": round(float(ncuts.std(ddof=0)), 3),
                }
            )
    return pd.DataFrame(lines).set_index("cell")


def distances(trains: Iterable[TrainConfig], *, name: str) -> Styler:
    """How far training carried the weights, beside what it taught: a line a network."""
    lines = [
        {
            "data": _noise_name(train.data),
            "images": train.images or "all",
            "regulariser": "dropout" if train.dropout else "none",
            "seed": train.seed,
            "distance from the start": f"{distance_moved(train):.2f}",
        }
        for train in trains
    ]
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def _noise_name(data: str) -> str:
    """The name without the paper's number of images, for lines that state their own."""
    return data_name(data.removesuffix("_memorisation"))


def _line(line: pd.Series, who: str) -> dict[str, str]:
    networks = line["networks", who]
    if not networks:
        names = ("n-cut", "all", "non-zero", "mean d", "d < 0", "below all", "below non-zero")
        return {**dict.fromkeys(names, MISSING), "n-cut": "not run yet"}
    sign = f"{line['d', who]:+.2f}"
    spread = line["SD of d", who]
    return {
        "n-cut": number(line["n-cut", who]),
        "all": number(line["shuffles", who]),
        "non-zero": number(line["non-zero shuffles", who]),
        "mean d": sign if pd.isna(spread) else f"{sign} ± {spread:.2f}",
        "d < 0": f"{line['negative', who]:.0f} of {networks:.0f}",
        "below all": f"{line['below all', who]:.0f} of {networks:.0f}",
        "below non-zero": f"{line['below non-zero', who]:.0f} of {networks:.0f}",
    }


def _network(one: pd.DataFrame) -> dict[str, str]:
    """A network's line, or dashes."""
    if one.empty:
        return dict.fromkeys(("n-cut", "all", "p", "non-zero", "p non-zero", "d"), MISSING)
    row = one.iloc[0]
    return {
        "n-cut": f"{row['ncut']:.3f}",
        "all": f"{row['shuffle_mean']:.3f} ± {row['shuffle_std']:.3f}",
        "p": f"{row['p_value']:.3f}",
        "non-zero": f"{row['nonzero_mean']:.3f} ± {row['nonzero_std']:.3f}",
        "p non-zero": f"{row['nonzero_p_value']:.3f}",
        "d": f"{row['cohens_d']:+.2f}",
    }
