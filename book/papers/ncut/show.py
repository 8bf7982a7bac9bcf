"""Tables of a chapter, each with a fixed id, so that two executions give the same page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, NOT_RUN, mean_and_sd, number, plus_minus, styled
from book.papers.ncut import beside as tables
from book.papers.ncut import readings
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style


def beside(name: str, rows: pd.DataFrame | None = None, *, variant: str = "described") -> Styler:
    """A table of the paper with ours under it, line by line: one pair of lines a cell.

    Args:
        name: a table that ``tables.paper_beside_ours`` knows.
        rows: as ``mlps.table`` gives them; None reads the store.
        variant: "described" or "published".
    """
    rows = ledger.load_results()[tables.experiment_of(name)] if rows is None else rows
    frame = tables.paper_beside_ours(name, rows, variant=variant)
    lines = {}
    for words, row in frame.iterrows():
        for who in ("paper", "ours"):
            lines[*_cell_words(words, frame.index), who] = _facts(row, who)
        ours, scale = lines[*_cell_words(words, frame.index), "ours"], row["scale", "ours"]
        if not row["networks", "ours"]:
            ours["n-cut"] = scale
        elif scale != "paper":
            ours["n-cut"] += f" ({scale})"
    return styled(paired(lines), name.replace("/", "-"))


def live(table: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """What this very execution measured: one line a condition, means over its networks."""
    if table.empty:
        return Markdown("*The parameters ask for no such network.*")
    lines = []
    for keys, rows in table.groupby(["data", "regularizer", "stage", "k"], sort=False):
        data, regularizer, stage, k = keys
        lines.append(
            {
                "data": data_name(data),
                "regulariser": style.condition(regularizer)[2],
                "stage": stage,
                "k": k,
                "n-cut": mean_and_sd(rows["ncut"]),
                "shuffles' n-cut": f"{rows['shuffle_mean'].mean():.3f} "
                f"± {rows['shuffle_std'].mean():.3f}",
                "below all": f"{rows['significant'].sum()} of {len(rows)}",
                "test acc.": number(pd.to_numeric(rows["test_accuracy"]).mean()),
                "test loss": number(pd.to_numeric(rows["test_loss"]).mean()),
                "isolated": f"{rows['isolated'].mean():.0f} of "
                f"{(rows['nodes'] + rows['isolated']).iloc[0]}",
            }
        )
    shown = _without_constants(pd.DataFrame(lines))
    # A regression has no accuracy; where there is one, it says more than the loss.
    empty = (shown["test acc."] == MISSING).all()
    shown = shown.drop(columns="test acc." if empty else "test loss")
    return styled(shown, name).hide(axis="index")


def spread(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """`readings.natural_spread` in words a reader can scan."""
    return _reading(
        rows,
        readings.natural_spread,
        name,
        {
            "gap": "gap",
            "over_networks": "SD networks",
            "over_shuffles": "SD shuffles",
            "z": "z",
            "leaving": "leaves",
            "leaving_shuffled": "leaves, shuffled",
        },
        {"z": "{:.1f}"},
    )


def counts(rows: pd.DataFrame, shuffles: Sequence[int], *, name: str) -> Styler | Markdown:
    """Networks below all of their first n shuffles, for each n."""
    words = {count: f"below the first {count}" for count in shuffles}
    form = dict.fromkeys([*words.values(), "networks"], "{:.0f}")
    return _reading(rows, lambda table: readings.fewer_shuffles(table, shuffles), name, words, form)


def accuracies(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """Training accuracy by both definitions, and test accuracy."""
    return _reading(rows, readings.accuracy_definitions, name, {}, {})


def variants(name: str, *, like: str, others: Sequence[str] = ("published",)) -> Styler | Markdown:
    """Rows of a table whose cell contains `like`: paper, text as described, other readings."""
    rows = ledger.load_results()[tables.experiment_of(name)]
    lines = {}
    for variant in ("described", *others):
        frame = tables.paper_beside_ours(name, rows, variant=variant)
        for word, row in frame[frame.index.str.contains(like, regex=False)].iterrows():
            cell_words = _cell_words(word, frame.index)
            lines.setdefault((*cell_words, "paper"), _facts(row, "paper"))
            lines[*cell_words, f"ours, {variant}"] = _facts(row, "ours")
    ordered = {key: lines[key] for key in sorted(lines, key=lambda key: key[:2])}
    return styled(paired(ordered), f"{name.replace('/', '-')}-variants")


def _facts(row: pd.Series, who: str) -> dict[str, str]:
    """One line of a table as text; `who` is "paper" or "ours"."""
    below, networks = row["below all shuffles", who], row["networks", who]
    facts = {
        "n-cut": plus_minus(row["n-cut", who], row["SD", who]),
        "shuffles' n-cut": plus_minus(row["shuffles", who], row["shuffles SD", who]),
        "below all": MISSING if pd.isna(below) else f"{below:.0f} of {networks:.0f}",
        "train acc.": number(row["training accuracy", who]),
        "test acc.": number(row["test accuracy", who]),
    }
    if ("n-cut before pruning", who) in row:
        before = plus_minus(row["n-cut before pruning", who], row["SD before pruning", who])
        facts = {"unpruned n-cut": before, **facts}
    if ("training loss", who) in row:
        losses = {"train loss": row["training loss", who], "test loss": row["test loss", who]}
        facts |= {name: number(value) for name, value in losses.items()}
    return facts


def _cell_words(words: str, all_words: Iterable[str]) -> tuple[str, str]:
    """("MNIST", "dropout") of "MNIST, dropout, pruned"; the stage stays where stages differ."""
    if all(", pruned" in one for one in all_words):
        words = words.removesuffix(", pruned")
    data, _, rest = words.partition(", ")
    return data, rest.replace("no regulariser", "none")


def paired(lines: dict[tuple[str, ...], dict[str, str]]) -> pd.DataFrame:
    """Lines by (data set, cell, source) in their order; a single data set is not named."""
    table = pd.DataFrame(list(lines.values()))
    index = pd.MultiIndex.from_tuples(lines)
    table.index = index.droplevel(0) if index.nlevels > 2 and len(index.levels[0]) == 1 else index
    # A regression has no accuracies: columns without a single number say nothing.
    accuracies = [name for name in ("train acc.", "test acc.") if name in table]
    return table.drop(columns=[name for name in accuracies if (table[name] == MISSING).all()])


def _reading(rows, read, name, words, forms) -> Styler | Markdown:
    """A frame of `readings` with readable conditions and columns, or a line that nothing is run."""
    if rows.empty:
        return Markdown(NOT_RUN)
    frame = read(rows).rename(columns=words)
    frame["data"] = frame["data"].map(data_name)
    frame["regularizer"] = [style.condition(value)[2] for value in frame["regularizer"]]
    frame = frame.rename(columns={"regularizer": "regulariser"})
    frame = _without_constants(frame)
    numbers = [column for column in frame.columns if column not in ("data", "regulariser", "stage")]
    forms = {"k": "{:.0f}", **{words.get(key, key): form for key, form in forms.items()}}
    shown = {column: forms.get(column, "{:.3f}") for column in numbers}
    shown = {column: form for column, form in shown.items() if column in frame}
    return styled(frame, name).format(shown, na_rep=MISSING).hide(axis="index")


def _without_constants(table: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that say the same on every line and stand in the prose above."""
    same = [name for name in ("stage", "k") if name in table and table[name].nunique() == 1]
    return table.drop(columns=same)
