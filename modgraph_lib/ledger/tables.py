"""The papers' tables beside ours, and what the printed p-values tell about their making."""

from __future__ import annotations

import math

import pandas as pd

from modgraph_lib.ledger.claims import papers_root
from modgraph_lib.ledger.rows import cell, label

__all__ = ["BESIDE", "paper_beside_ours", "paper_table", "printed_p_values"]

DATA = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "CIFAR-10": "cifar10_grey"}

# Tables whose every cell our rows can fill.
BESIDE = (
    "surprisingly_modular/table_1",
    "surprisingly_modular/table_a1",
    "surprisingly_modular/table_a2",
    "surprisingly_modular/table_a3",
    "clusterability/table_a1",
    "clusterability/table_a2",
    "clusterability/table_a3",
    "clusterability/table_a4",
    "clusterability/table_a5",
    "clusterability/table_a6",
)


def paper_table(name: str) -> pd.DataFrame:
    """A transcribed table as printed, every cell text: ``paper_table("clusterability/table_a5")``.

    Raises:
        ValueError: there is no such table (lists those of the paper).
    """
    path = papers_root() / "tables" / f"{name}.csv"
    if not path.is_file():
        siblings = sorted(p.stem for p in path.parent.glob("*.csv"))
        raise ValueError(
            f"no table {name!r} in {papers_root() / 'tables'}; "
            f"that paper has: {', '.join(siblings) or 'none'}"
        )
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def paper_beside_ours(
    name: str, rows: pd.DataFrame | None = None, *, variant: str = "described"
) -> pd.DataFrame:
    """One of the tables in ``BESIDE`` with our numbers next to the printed ones.

    Args:
        name: for instance "surprisingly_modular/table_1".
        rows: as ``experiments.mlps.table`` returns them; None or empty leaves ours blank.
            Only rows at the paper's settings are used.
        variant: "described", or "published" for what the released code does.

    Returns:
        Index: the cell in words ("MNIST, dropout, pruned"). Columns: pairs
        (quantity, "paper" | "ours") for n-cut, its SD over networks, mean and SD of the
        shuffles' n-cuts, networks below all their shuffles, training and test accuracy and
        number of networks (NaN: not printed, or not run), then ("scale", "ours") and
        ("device", "ours"). SDs are ddof 1 over networks. The SD of shuffles is pooled over
        all shuffles in the 2020 paper's tables and averaged over networks in the 2021
        paper's, as each of them did.

    Raises:
        ValueError: a table that the rows of this experiment cannot fill.
    """
    if name not in BESIDE:
        raise ValueError(f"{name!r} cannot be set beside our rows; these can: {', '.join(BESIDE)}")
    results = {} if rows is None else {"mlp_ncut": rows}
    lines, index = [], []
    for printed in paper_table(name).to_dict("records"):
        regularizer = printed.get("regularizer") or (
            "dropout" if printed["dropout"] == "yes" else "none"
        )
        stage = "unpruned" if printed.get("pruned") == "no" else "pruned"
        runs = int(printed["run_count"])
        ours = cell(
            results,
            data=DATA[printed["dataset"]],
            regularizer=regularizer,
            stage=stage,
            k=int(printed["cluster_count"]),
            runs=runs,
            variant=variant,
        )
        index.append(f"{printed['dataset']}, {label(regularizer=regularizer, stage=stage)}")
        lines.append(_line(printed, runs, ours, pooled=name.startswith("surprisingly_modular")))
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


def _line(
    printed: dict[str, str], runs: int, ours: pd.DataFrame, *, pooled: bool
) -> dict[tuple[str, str], object]:
    def number(column: str) -> float:
        return float(printed[column]) if printed.get(column) else math.nan

    def ours_mean(column: str) -> float:
        return float(ours[column].astype(float).mean()) if len(ours) else math.nan

    if "significant_count" in printed:
        beat = number("significant_count")
    else:
        beat = round(number("significant_proportion") * runs)
    devices = sorted(set(ours["device"].astype(str))) if "device" in ours else []
    scale = "paper" if len(ours) >= runs else f"reduced: {len(ours)} of {runs} networks"
    pairs = {
        "n-cut": (number("ncut_mean"), ours_mean("ncut")),
        "SD": (number("ncut_std"), float(ours["ncut"].std(ddof=1)) if len(ours) > 1 else math.nan),
        "shuffles": (number("shuffle_ncut_mean"), ours_mean("shuffle_mean")),
        "shuffles SD": (number("shuffle_ncut_std"), _shuffle_sd(ours, pooled=pooled)),
        "below all shuffles": (beat, int(ours["significant"].sum()) if len(ours) else math.nan),
        "training accuracy": (number("train_accuracy"), ours_mean("train_accuracy")),
        "test accuracy": (number("test_accuracy"), ours_mean("test_accuracy")),
        "networks": (runs, len(ours)),
    }
    line: dict[tuple[str, str], object] = {
        (quantity, source): value
        for quantity, values in pairs.items()
        for source, value in zip(("paper", "ours"), values, strict=True)
    }
    line["scale", "ours"] = scale if len(ours) else "not run yet"
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
