"""The papers' tables beside ours, and what the printed p-values tell about their making."""

from __future__ import annotations

import math

import pandas as pd

from book.lab.printed import paper_table
from book.papers.ncut.cells import cell, label
from book.papers.ncut.cnn_rows import cnn_cell

__all__ = ["BESIDE", "experiment_of", "paper_beside_ours", "printed_p_values"]

# Words of the papers' tables -> data set of ``datasets.load`` and epochs before pruning
# (None: as on any other data).
DATA = {
    "MNIST": "mnist",
    "Fashion-MNIST": "fashion_mnist",
    "CIFAR-10": "cifar10_grey",
    "LINES": "lines",
    "unlearnable_random": "random",
    "kilo_epoch_random": "random",
    "memorization": "random_memorisation",
    "polynomial_regression": "polynomials",
}
EPOCHS = {"kilo_epoch_random": 1000}
WORDS = {
    "unlearnable_random": "unlearnable noise",
    "kilo_epoch_random": "noise, 1000 epochs",
    "memorization": "noise, memorised",
    "polynomial_regression": "polynomials",
}

# Tables of convolutional networks, whose every cell rows of "cnn_ncut" can fill.
CNNS = tuple(f"clusterability/table_a{n}" for n in (8, 9, 10, 12))

# Those and the tables of multi-layer perceptrons, which rows of "mlp_ncut" fill.
BESIDE = (
    *(f"surprisingly_modular/table_{n}" for n in ("1", "2", "3", "4")),
    *(f"surprisingly_modular/table_a{n}" for n in (1, 2, 3, 16, 17)),
    *(f"clusterability/table_a{n}" for n in (1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21)),
    *CNNS,
)

# Tables of networks that take half an hour of a core and more, each.
NEED_GPU = (
    *CNNS,
    "surprisingly_modular/table_3",
    *(f"clusterability/table_a{n}" for n in (14, 15, 17)),
)


def not_run(name: str) -> str:
    """What a line of the table ``name`` ("clusterability/table_a8") says for want of rows."""
    return "not run (needs GPU)" if name in NEED_GPU else "not run yet"


def experiment_of(name: str) -> str:
    """The experiment whose rows stand beside a table of the papers."""
    return "cnn_ncut" if name in CNNS else "mlp_ncut"


def paper_beside_ours(
    name: str, rows: pd.DataFrame | None = None, *, variant: str = "described"
) -> pd.DataFrame:
    """One of the tables in ``BESIDE`` with our numbers next to the printed ones.

    Args:
        name: for instance "surprisingly_modular/table_1".
        rows: as ``mlps.table`` or ``cnns.table`` returns them; None or empty leaves
            ours blank.
            Only rows at the paper's settings are used.
        variant: "described", or "published" for what the released code does; for convolutional
            networks any reading of ``cnns.READINGS``.

    Returns:
        Index: the cell in words ("MNIST, dropout, pruned"). Columns: pairs
        (quantity, "paper" | "ours") for n-cut, its SD over networks, mean and SD of the
        shuffles' n-cuts, networks below all their shuffles, training and test accuracy and
        number of networks (NaN: not printed, or not run), then ("scale", "ours") and
        ("device", "ours"); where the table prints them, also the n-cut before pruning with its
        SD, and training and test loss. SDs are ddof 1 over networks. The SD of shuffles is
        pooled over all shuffles in the 2020 paper's tables and averaged over networks in the
        2021 paper's, as each of them did.

    Raises:
        ValueError: a table that the rows of this experiment cannot fill.
    """
    if name not in BESIDE:
        raise ValueError(f"{name!r} cannot be set beside our rows; these can: {', '.join(BESIDE)}")
    results = {} if rows is None else {experiment_of(name): rows}
    find = cnn_cell if name in CNNS else cell
    lines, index = [], []
    for printed in paper_table(name).to_dict("records"):
        where = _where(printed)
        runs = int(printed["run_count"])
        ours = find(results, **where, runs=runs, variant=variant)
        before = find(results, **{**where, "stage": "unpruned"}, runs=runs, variant=variant)
        index.append(_words(printed, where["regularizer"], where["stage"]))
        pooled = name.startswith("surprisingly_modular")
        lines.append(_line(printed, runs, ours, before, pooled=pooled, absent=not_run(name)))
    columns = pd.MultiIndex.from_tuples(list(lines[0]), names=["quantity", "source"])
    return pd.DataFrame(lines, index=pd.Index(index, name="networks"))[list(lines[0])].set_axis(
        columns, axis=1
    )


def printed_p_values() -> pd.DataFrame:
    """The 240 p-values of SM Tables A.4 to A.15 and whether each is (10 m + 1)/321.

    With 320 independent shuffles, r of which have a lower n-cut, p = (r + 1)/321 for any r.
    If only 32 distinct shuffles were counted ten times each, r is a multiple of ten. Steps of
    1/321 are wide enough for the three printed digits to tell one r from the next.

    Returns:
        Columns: table, run, shuffle ("all" or "nonzero"), p_value (as printed, float),
        r (the only r in 0..320 that prints so; -1 if none does), multiple_of_ten (bool),
        between (bool: strictly between 1/321 and 1, where the form is not automatic).
    """
    fits = {f"{(r + 1) / 321:.3f}": r for r in range(321)}
    lines = []
    for number in range(4, 16):
        name = f"table_a{number}"
        for row in paper_table(f"surprisingly_modular/{name}").itertuples(index=False):
            for shuffle, printed in (("all", row.p_value), ("nonzero", row.nonzero_p_value)):
                r = fits.get(f"{float(printed):.3f}", -1)
                lines.append(
                    {
                        "table": name,
                        "run": int(row.run),
                        "shuffle": shuffle,
                        "p_value": float(printed),
                        "r": r,
                        "multiple_of_ten": r >= 0 and r % 10 == 0,
                        "between": 0 < r < 320,
                    }
                )
    return pd.DataFrame(lines)


def _where(printed: dict[str, str]) -> dict[str, object]:
    """The cell of our rows that a printed line is about, as ``rows.cell`` takes it."""
    word = next(printed[name] for name in ("dataset", "experiment", "task") if name in printed)
    data = DATA.get(word) or _mixture(word)
    if printed.get("architecture") == "VGG":
        data = "cifar10"
    if "construction" in printed:
        data = f"{data}_{printed['construction']}_{printed['same_or_diff']}"
    dropout = "dropout" if printed.get("dropout") == "yes" else "none"
    return {
        "data": data,
        "regularizer": printed.get("regularizer") or dropout,
        "stage": "unpruned" if printed.get("pruned") == "no" else "pruned",
        "k": int(printed["cluster_count"]),
        "epochs": EPOCHS.get(word),
    }


def _mixture(word: str) -> str:
    """The data set of a mixture: LINES-CIFAR-10-SEP is lines+cifar10_grey:separate."""
    first, _, second = word.removesuffix("-SEP").partition("-")
    return f"{DATA[first]}+{DATA[second]}" + (":separate" if word.endswith("-SEP") else "")


def _words(printed: dict[str, str], regularizer: str, stage: str) -> str:
    word = next(printed[name] for name in ("dataset", "experiment", "task") if name in printed)
    word = WORDS.get(word, word)
    if "construction" in printed:
        word += f" {printed['construction']}-{printed['same_or_diff']}"
    return f"{word}, {label(regularizer=regularizer, stage=stage)}"


def _line(
    printed: dict[str, str],
    runs: int,
    ours: pd.DataFrame,
    before: pd.DataFrame,
    *,
    pooled: bool,
    absent: str,
) -> dict[tuple[str, str], object]:
    def number(*columns: str) -> float:
        return next((float(printed[name]) for name in columns if printed.get(name)), math.nan)

    def mean(rows: pd.DataFrame, column: str) -> float:
        return float(rows[column].astype(float).mean()) if len(rows) else math.nan

    def deviation(rows: pd.DataFrame) -> float:
        return float(rows["ncut"].std(ddof=1)) if len(rows) > 1 else math.nan

    beat = number("significant_count")
    if "significant_proportion" in printed:
        beat = round(number("significant_proportion") * runs)
    devices = sorted(set(ours["device"].astype(str))) if "device" in ours else []
    scale = "paper" if len(ours) >= runs else f"reduced: {len(ours)} of {runs} networks"
    pairs = {
        "n-cut": (number("ncut_mean"), mean(ours, "ncut")),
        "SD": (number("ncut_std"), deviation(ours)),
        "shuffles": (number("shuffle_ncut_mean"), mean(ours, "shuffle_mean")),
        "shuffles SD": (number("shuffle_ncut_std"), _shuffle_sd(ours, pooled=pooled)),
        "below all shuffles": (beat, int(ours["significant"].sum()) if len(ours) else math.nan),
        "training accuracy": (
            number("train_accuracy", "train_accuracy_mean"),
            mean(ours, "train_accuracy"),
        ),
        "test accuracy": (
            number("test_accuracy", "test_accuracy_mean"),
            mean(ours, "test_accuracy"),
        ),
        "networks": (runs, len(ours)),
    }
    if "unpruned_ncut_mean" in printed:
        pairs["n-cut before pruning"] = (number("unpruned_ncut_mean"), mean(before, "ncut"))
        pairs["SD before pruning"] = (number("unpruned_ncut_std"), deviation(before))
    if "train_loss" in printed:
        pairs["training loss"] = (number("train_loss"), mean(ours, "train_loss"))
        pairs["test loss"] = (number("test_loss"), mean(ours, "test_loss"))
    line: dict[tuple[str, str], object] = {
        (quantity, source): value
        for quantity, values in pairs.items()
        for source, value in zip(("paper", "ours"), values, strict=True)
    }
    line["scale", "ours"] = scale if len(ours) else absent
    line["device", "ours"] = ", ".join(devices)
    return line


def _shuffle_sd(ours: pd.DataFrame, *, pooled: bool) -> float:
    """SD of shuffles' n-cuts; pooled: sqrt(mean(sd^2 + mean^2) - mean(mean)^2) over networks."""
    if ours.empty:
        return math.nan
    mean, sd = ours["shuffle_mean"].astype(float), ours["shuffle_std"].astype(float)
    if not pooled:
        return float(sd.mean())
    # rounding may leave a negative difference where all shuffles are equal
    return math.sqrt(max(0.0, float((sd**2 + mean**2).mean() - mean.mean() ** 2)))
