"""What every chapter shows in the same way: status line, tables, commands, computed prose.

Presentation only.  Nothing here measures; tables come from ``experiments`` and ``ledger``.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

import modgraph_lib
from modgraph_lib import ledger, plots, readings
from modgraph_lib.ledger.claims import PAPERS
from modgraph_lib.ledger.rows import Results, cell, initial
from modgraph_lib.plots import style

__all__ = [
    "accuracies",
    "bands",
    "beside",
    "command",
    "counts",
    "differences",
    "drawn",
    "initial_range",
    "initial_rows",
    "live",
    "lowest",
    "paper_rows",
    "provenance",
    "say",
    "spread",
    "status",
    "variants",
]

NOT_RUN_YET = "not run yet"
MISSING = "–"


def say(text: str) -> Markdown:
    """A paragraph with computed numbers: an f-string, indented as the code around it."""
    return Markdown(textwrap.dedent(text).strip())


def status(section: str) -> Markdown:
    """The line under a chapter's title: paper, verdicts so far, evidence, cost, digests.

    Args:
        section: for instance "surprisingly_modular/01_clusterability".
    """
    results = ledger.load_results()
    totals = ledger.summary(ledger.verdicts(results, section=section)).loc["all"]
    said = ", ".join(f"{count} {kind}" for kind, count in totals.drop("total").items() if count)
    rows = results["mlp_ncut"]
    paper = rows[rows["width"] == 256]
    cost = f"{_work(paper)} for the rows at hand" if len(paper) else NOT_RUN_YET
    return say(
        f"""
        **Paper:** {PAPERS[section.split("/")[0]]}<br>
        **Verdicts so far:** {said}, of {totals["total"]} claims<br>
        **Evidence at hand:** {_evidence(paper)}<br>
        **Cost:** this page about a minute on 2 cores; paper scale {cost}<br>
        **Digests:** library `{library_digest()}` (version {modgraph_lib.__version__}),
        rows and their data `{rows_digest(rows)}`
        """
    )


def paper_rows(
    *,
    data: Iterable[str],
    regularizers: Iterable[str],
    stages: Iterable[str],
    ks: Iterable[int],
    runs: int,
    variant: str = "described",
    results: Results | None = None,
) -> pd.DataFrame:
    """Stored rows at the paper's settings, as ``experiments.mlps.table`` gives them.

    Rows of smaller scales are left out.  Empty, with the columns of the table, where nothing
    has been run.
    """
    results = ledger.load_results() if results is None else results
    found = [
        cell(
            results,
            data=one,
            regularizer=regularizer,
            stage=stage,
            k=k,
            runs=runs,
            variant=variant,
        ).reset_index()
        for one in data
        for regularizer in regularizers
        for stage in stages
        for k in ks
    ]
    full = [frame for frame in found if len(frame)]
    columns = results["mlp_ncut"].columns
    return pd.concat(full, ignore_index=True)[columns] if full else pd.DataFrame(columns=columns)


def initial_rows(*, k: int, runs: int) -> pd.DataFrame:
    """Stored n-cuts of untrained networks at the paper's size, one row a seed."""
    return initial(ledger.load_results(), k=k, runs=runs).reset_index()


def bands(*names: str) -> pd.DataFrame:
    """The printed means and deviations of tables, as `plots.null_against_networks` takes them."""
    known = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "CIFAR-10": "cifar10_grey"}
    frames = []
    for name in names:
        printed = ledger.paper_table(name)
        if "regularizer" not in printed:
            printed["regularizer"] = printed["dropout"].map({"yes": "dropout", "no": "none"})
        if "ncut_std" not in printed:
            printed["ncut_std"] = ""
        frames.append(printed.assign(data=printed["dataset"].map(known)))
    table = pd.concat(frames, ignore_index=True)
    numbers = ["ncut_mean", "ncut_std", "shuffle_ncut_mean", "shuffle_ncut_std"]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    if "pruned" in table:
        table["stage"] = table["pruned"].map({"yes": "pruned", "no": "unpruned"})
    return table


def beside(name: str, rows: pd.DataFrame | None = None, *, variant: str = "described") -> Styler:
    """A table of the paper with ours under it, line by line: one pair of lines a cell.

    Args:
        name: a table that ``ledger.paper_beside_ours`` knows.
        rows: as ``experiments.mlps.table`` gives them; None reads the store.
        variant: "described" or "published".
    """
    rows = ledger.load_results()["mlp_ncut"] if rows is None else rows
    frame = ledger.paper_beside_ours(name, rows, variant=variant)
    short = [words.removesuffix(", pruned") for words in frame.index]
    words = short if all(", pruned" in index for index in frame.index) else list(frame.index)
    lines = {}
    for word, (_, row) in zip(words, frame.iterrows(), strict=True):
        lines[word, "paper"] = _facts(row, "paper")
        lines[word, "ours"] = _facts(row, "ours")
        if row["scale", "ours"] != "paper":
            lines[word, "ours"]["n-cut"] += f" ({row['scale', 'ours']})"
    return _styled(_paired(lines), name.replace("/", "-"))


def live(table: pd.DataFrame, *, name: str) -> Styler:
    """What this very execution measured: one line a condition, means over its networks."""
    lines = []
    for keys, rows in table.groupby(["data", "regularizer", "stage", "k"], sort=False):
        data, regularizer, stage, k = keys
        lines.append(
            {
                "data": style.data_name(data),
                "regulariser": style.condition(regularizer)[2],
                "stage": stage,
                "k": k,
                "n-cut": _spread(rows["ncut"]),
                "shuffles' n-cut": f"{rows['shuffle_mean'].mean():.3f} "
                f"± {rows['shuffle_std'].mean():.3f}",
                "below all": f"{rows['significant'].sum()} of {len(rows)}",
                "test acc.": f"{rows['test_accuracy'].mean():.3f}",
                "isolated": f"{rows['isolated'].mean():.0f} of "
                f"{(rows['nodes'] + rows['isolated']).iloc[0]}",
            }
        )
    return _styled(pd.DataFrame(lines), name).hide(axis="index")


def differences(*names: str, rows: pd.DataFrame | None = None) -> Markdown:
    """Where our n-cuts are far from the printed ones, in words; the worst first."""
    rows = ledger.load_results()["mlp_ncut"] if rows is None else rows
    frame = pd.concat([ledger.paper_beside_ours(name, rows) for name in names])
    compared = int(frame["n-cut", "ours"].notna().sum())
    if not compared:
        return Markdown("*Not run yet at the paper's scale.*")
    off = (frame["n-cut", "ours"] - frame["n-cut", "paper"]).abs()
    far = readings.worst_cells(frame)
    text = (
        f"Of {len(frame)} cells {compared} are run. Our mean n-cut differs from the printed one "
        f"by {off.median():.3f} in the median and {off.max():.3f} at most"
    )
    if far.empty:
        return Markdown(f"{text}; no cell is farther off than 2 SD over networks.")
    listed = "; ".join(
        f"{row.cell}: {row.ours:.3f} against {row.paper:.3f} ({row.deviations:+.1f} SD)"
        for row in far.itertuples(index=False)
    )
    return Markdown(f"{text}. Farther off than 2 SD over networks: {listed}.")


def spread(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """`readings.natural_spread` in words a reader can scan."""
    return _reading(
        rows,
        readings.natural_spread,
        name,
        {
            "gap": "gap to shuffles",
            "over_networks": "SD over networks",
            "over_shuffles": "SD over shuffles",
            "z": "z",
            "leaving": "leaves its cluster",
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


def variants(name: str, *, like: str) -> Styler | Markdown:
    """Rows of a table whose cell contains `like`: paper, text as described, code as published."""
    rows = ledger.load_results()["mlp_ncut"]
    lines = {}
    for variant in ("described", "published"):
        frame = ledger.paper_beside_ours(name, rows, variant=variant)
        for word, row in frame[frame.index.str.contains(like, regex=False)].iterrows():
            lines.setdefault((word, "paper"), _facts(row, "paper"))
            lines[word, f"ours, {variant}"] = _facts(row, "ours")
    ordered = {key: lines[key] for key in sorted(lines, key=lambda key: key[0])}
    return _styled(_paired(ordered), f"{name.replace('/', '-')}-variants")


def lowest(rows: pd.DataFrame, regularizer: str) -> Markdown:
    """Lowest n-cut of any network of a condition, by data set and stage."""
    rows = rows[rows["regularizer"] == regularizer] if len(rows) else rows
    if rows.empty:
        return Markdown("*Not run yet at the paper's scale.*")
    said = "; ".join(
        f"{style.data_name(data)}, {stage}: {values.min():.3f} (of {len(values)} networks)"
        for (data, stage), values in rows.groupby(["data", "stage"], sort=False)["ncut"]
    )
    return Markdown(f"Lowest n-cut with {style.condition(regularizer)[2]}: {said}.")


def initial_range(untrained: pd.DataFrame, trained: pd.DataFrame) -> Markdown:
    """Extremes of untrained networks, and which trained conditions lie above them."""
    if untrained.empty:
        return Markdown("*Not run yet at the paper's scale.*")
    low, high = untrained["ncut"].min(), untrained["ncut"].max()
    text = f"Ours: {len(untrained)} untrained networks between {low:.3f} and {high:.3f}."
    if trained.empty:
        return Markdown(text)
    by = trained.groupby(["data", "regularizer", "stage"], sort=False)["ncut"]
    above = [
        f"{style.data_name(data)}, {style.condition(regularizer)[2]}, {stage} "
        f"({int((values > high).sum())} of {len(values)})"
        for (data, regularizer, stage), values in by
        if (values > high).any()
    ]
    said = "; ".join(above) or "none"
    return Markdown(f"{text} Trained networks above the highest of them: {said}.")


def drawn(rows: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure]) -> Figure:
    """``draw(rows)``, or a figure that says so where nothing has been run yet."""
    return draw(rows) if len(rows) else plots.placeholder("not run yet at the paper's scale")


def command(section: str, scale: str = "paper", extra: str = "") -> Markdown:
    """The command that makes the rows again, as a block to copy."""
    line = (
        f"papermill notebooks/{section}.ipynb out.ipynb "
        f"-f notebooks/params/{scale}/{section}.yaml {extra}"
    )
    return Markdown(f"Every row again:\n\n```bash\n{line.strip()}\n```")


def provenance(rows: pd.DataFrame) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    if rows.empty:
        return Markdown("*Not run yet at the paper's scale.*")
    networks = len(rows.drop_duplicates(NETWORK))
    notes = "; ".join(sorted({note for note in rows["data_note"] if note}))
    dates = sorted({str(date)[:10] for date in rows["date"]})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    commits = ", ".join(sorted({f"`{str(commit)[:8]}`" for commit in rows["commit"]}))
    text = f"*{networks} networks, {_work(rows)}, {span}, commit {commits}.*"
    return Markdown(f"{text} *Data: {notes}.*" if notes else text)


def library_digest() -> str:
    """First eight digits of the SHA-256 of the library's source files."""
    digest = hashlib.sha256()
    root = Path(modgraph_lib.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def rows_digest(rows: pd.DataFrame) -> str:
    """First eight digits of the SHA-256 of the rows' keys, which data and settings decide."""
    keys = "\n".join(sorted(set(rows["key"])))
    return hashlib.sha256(keys.encode()).hexdigest()[:8]


NETWORK = ["data", "regularizer", "variant", "seed", "epochs", "prune_epochs", "dropout"]


def _work(rows: pd.DataFrame) -> str:
    """Hours of work behind rows: each network's training once, each clustering once."""
    clustering = rows.drop_duplicates("key")["seconds"].sum()
    training = rows.drop_duplicates(NETWORK)["train_seconds"].sum()
    devices = ", ".join(sorted(set(rows["device"])))
    return f"{(clustering + training) / 3600:.1f} hours of work ({devices})"


def _evidence(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "the paper's scale is not run yet; digits only"
    found = rows.drop_duplicates(NETWORK)["data"].value_counts()
    said = ", ".join(f"{count} on {style.data_name(data)}" for data, count in found.items())
    return f"trained networks of the paper's size: {said}"


def _plus_minus(mean: float, deviation: float) -> str:
    if pd.isna(mean):
        return MISSING
    return f"{mean:.3f}" + ("" if pd.isna(deviation) else f" ± {deviation:.3f}")


def _number(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}"


def _spread(values: pd.Series) -> str:
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _facts(row: pd.Series, who: str) -> dict[str, str]:
    """One line of a table as text; `who` is "paper" or "ours"."""
    below, networks = row["below all shuffles", who], row["networks", who]
    return {
        "n-cut": _plus_minus(row["n-cut", who], row["SD", who]),
        "shuffles' n-cut": _plus_minus(row["shuffles", who], row["shuffles SD", who]),
        "below all": MISSING if pd.isna(below) else f"{below:.0f} of {networks:.0f}",
        "train acc.": _number(row["training accuracy", who]),
        "test acc.": _number(row["test accuracy", who]),
    }


def _paired(lines: dict[tuple[str, str], dict[str, str]]) -> pd.DataFrame:
    """Lines by (cell, source) in their order, without index names."""
    table = pd.DataFrame(list(lines.values()))
    table.index = pd.MultiIndex.from_tuples(lines)
    return table


def _reading(rows, read, name, words, forms) -> Styler | Markdown:
    """A frame of `readings` with readable conditions and columns, or a line that nothing is run."""
    if rows.empty:
        return Markdown("*Not run yet at the paper's scale.*")
    frame = read(rows).rename(columns=words)
    frame["data"] = frame["data"].map(style.data_name)
    frame["regularizer"] = [style.condition(value)[2] for value in frame["regularizer"]]
    frame = frame.rename(columns={"regularizer": "regulariser"})
    numbers = [column for column in frame.columns if column not in ("data", "regulariser", "stage")]
    forms = {"k": "{:.0f}", **{words.get(key, key): form for key, form in forms.items()}}
    shown = {column: forms.get(column, "{:.3f}") for column in numbers}
    return _styled(frame, name).format(shown, na_rep=MISSING).hide(axis="index")


def _styled(table: pd.DataFrame, name: str) -> Styler:
    """A Styler with a fixed id, so that two executions give the same page; ours in bold."""
    styled = table.style.set_uuid(name)
    if table.index.nlevels > 1:
        ours = [index for index in table.index if index[-1].startswith("ours")]
        styled = styled.set_properties(subset=(ours, slice(None)), **{"font-weight": "bold"})
    return styled
