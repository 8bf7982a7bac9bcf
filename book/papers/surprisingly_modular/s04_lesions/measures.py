"""Measurements for the lesion claims of "Neural networks are surprisingly modular", section 4."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, current_reading, equal, measurement, part
from book.papers.ncut import mlps
from book.papers.surprisingly_modular.s04_lesions.experiment import EXPERIMENT, LesionConfig

__all__ = ["lesion_pairs", "lesion_rows"]

DATA = "fashion_mnist"
IMAGES = 10_000  # all test images
# What a lesion is: the text keeps the bias, the released code does not.
KINDS = {"described": "weights", "published": "weights_and_biases"}


def lesion_rows(
    results: Results,
    *,
    k: int = 10,
    kind: str = "",
    rules: str = "described",
    experiment: str = "mlp_lesions",
) -> pd.DataFrame:
    """Sub-modules of networks trained, clustered and lesioned as the paper says, by seed.

    Args:
        results: tables by experiment; may lack this one.
        k: clusters.
        kind: "weights" (section 4.1) decides claims; other kinds stand beside.
        rules: "described" decides claims; "published" is the released code's.
        experiment: "mlp_lesions" (a row a sub-module) or "mlp_lesion_pairs" (a row a pair).

    Returns:
        The rows of the latest record of each seed; empty if there is none.

    Raises:
        ValueError: the table lacks columns.
    """
    table = EXPERIMENT.among(results, experiment)
    kind = kind or KINDS[current_reading()]
    rows = table[
        (table["data"] == DATA)
        & (table["k"] == k)
        & (table["kind"] == kind)
        & (table["rules"] == rules)
        & (table["images"] == IMAGES)
    ]

    def asked(row: Any) -> LesionConfig:
        return LesionConfig(mlps.condition(DATA, "dropout", row.seed), k=k, kind=kind)

    # of all pairs those of important sub-modules are a part
    rows = equal(rows, asked, free=("pairs",))
    if "date" in rows and "key" in rows:
        # a record of all pairs holds those of the important ones as well
        latest = rows.sort_values("date", kind="stable").groupby("seed")["key"].last()
        rows = rows[rows["key"].isin(latest)]
    return rows


def lesion_pairs(results: Results, **options: object) -> pd.DataFrame:
    """Pairs of important sub-modules, under the conditions of ``lesion_rows``."""
    rows = lesion_rows(results, experiment="mlp_lesion_pairs", **options)
    return rows[rows["both_important"].astype(bool)] if len(rows) else rows


@measurement
def submodule_count(
    results: Results, *, k: int, runs: int, importance: str, kind: str = ""
) -> list[Part]:
    """Mean number of sub-modules of one class ("all": of any) in a network."""
    rows = lesion_rows(results, k=k, kind=kind)
    words = "sub-modules" if importance == "all" else f"{importance} sub-modules"
    if rows.empty:
        return [part(words, [rows], lambda: 0.0)]
    chosen = rows["seed"].notna() if importance == "all" else rows["importance"] == importance
    counts = chosen.groupby(rows["seed"]).sum().astype(float)
    return [_over_networks(words, counts, rows)]


@measurement
def largest_lesion(results: Results, *, k: int, runs: int, what: str, kind: str = "") -> list[Part]:
    """Of each network's most damaging single lesion: mean "loss", or share in layer 1 ("first")."""
    rows = lesion_rows(results, k=k, kind=kind)
    names = {"loss": "largest loss of accuracy", "first": "in the first hidden layer"}
    if rows.empty:
        return [part(names[what], [rows], lambda: 0.0)]
    worst = rows.sort_values("loss").groupby("seed").last()
    values = worst["loss"] if what == "loss" else (worst["depth"] == 1).astype(float)
    return [_over_networks(names[what], values, rows)]


@measurement
def pair_count(results: Results, *, k: int, runs: int, kind: str = "") -> list[Part]:
    """Mean number of cross-layer pairs of important sub-modules in a network."""
    rows = lesion_rows(results, k=k, kind=kind)
    name = "pairs of important sub-modules in different layers"
    if rows.empty:
        return [part(name, [rows], lambda: 0.0)]
    counts = rows.groupby("seed")[["depth", "importance"]].apply(_pairs).astype(float)
    return [_over_networks(name, counts, rows)]


@measurement
def printed_pair_count(results: Results, *, runs: int) -> list[Part]:
    """The same of the printed Table A.18, and how many of these pairs Table A.19 prints."""
    from book.lab.printed import paper_table

    printed = paper_table("surprisingly_modular/table_a18")
    chosen = printed[printed["importance_type"] == "important"]
    names = list(zip(chosen["layer"].astype(int), chosen["module"], strict=True))
    pairs = {
        (f"{x[0]}-{x[1]}", f"{y[0]}-{y[1]}")
        for x, y in itertools.combinations(names, 2)
        if x[0] != y[0]
    }
    rows = paper_table("surprisingly_modular/table_a19")
    both = set(zip(rows["submodule_x"], rows["submodule_y"], strict=True))
    return [
        Part("cross-layer pairs in Table A.18", float(len(pairs)), runs=1),
        Part("of them printed in Table A.19", float(len(pairs & both)), runs=1),
    ]


@measurement
def edges_within_modules(results: Results, *, k: int, runs: int, kind: str = "") -> list[Part]:
    """Share of important pairs of one module, in different layers, joined by an edge."""
    rows = lesion_pairs(results, k=k, kind=kind)
    same = rows[rows["same_module"].astype(bool)] if len(rows) else rows
    return [_share("pairs inside a module with an edge", same)]


@measurement
def edges_within_against_between(
    results: Results, *, k: int, runs: int, kind: str = ""
) -> list[Part]:
    """The same minus the share among pairs of different modules."""
    rows = lesion_pairs(results, k=k, kind=kind)
    name = "inside a module minus between modules"
    if rows.empty:
        return [part(name, [rows], lambda: 0.0)]
    inside = rows["same_module"].astype(bool)
    same, other = rows[inside], rows[~inside]
    if same.empty or other.empty:
        return [Part(name, runs=0)]
    joined = [frame["depends"].astype(float) for frame in (same, other)]
    shares = [share.mean() for share in joined]
    error = math.hypot(*(share.std(ddof=0) / len(share) ** 0.5 for share in joined))
    name = f"{name} ({len(same)} and {len(other)} pairs)"
    runs_found = rows["seed"].nunique()
    return [Part(name, float(shares[0] - shares[1]), error, runs_found, "se", _keys(rows))]


@measurement
def lesion_identity(results: Results, *, k: int, runs: int, kind: str = "") -> list[Part]:
    """Largest |delta(X,Y) - delta(Y,X) - (l(X) - l(Y))| over our pairs."""
    rows = lesion_rows(results, k=k, kind=kind, experiment="mlp_lesion_pairs")
    name = "largest deviation, our pairs"
    if rows.empty:
        return [part(name, [rows], lambda: 0.0)]
    worst = rows["identity"].abs().max()
    return [Part(name, float(worst), runs=rows["seed"].nunique(), keys=_keys(rows))]


@measurement
def printed_lesion_identity(results: Results, *, runs: int) -> list[Part]:
    """The same over the printed Tables A.18 and A.19."""
    from book.lab.printed import paper_table

    singles = paper_table("surprisingly_modular/table_a18")
    loss = {
        f"{row.layer}-{row.module}": -float(row.accuracy_change_when_lesioned)
        for row in singles.itertuples(index=False)
    }
    worst = max(
        abs(
            float(row.delta_x_given_y)
            - float(row.delta_y_given_x)
            - (loss[row.submodule_x] - loss[row.submodule_y])
        )
        for row in paper_table("surprisingly_modular/table_a19").itertuples(index=False)
    )
    return [Part("largest deviation, printed pairs", float(worst), runs=1)]


def _pairs(rows: pd.DataFrame) -> int:
    """Pairs of important sub-modules of different layers in one network."""
    counts = rows.loc[rows["importance"] == "important", "depth"].value_counts().tolist()
    return sum(a * b for a, b in itertools.combinations(counts, 2))


def _over_networks(name: str, values: pd.Series, rows: pd.DataFrame) -> Part:
    """Mean over networks, with their SD where there are two or more."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return Part(name, float(values.mean()), spread, runs=len(values), keys=_keys(rows))


def _share(name: str, rows: pd.DataFrame) -> Part:
    if rows.empty:
        return Part(name, runs=0)
    share = float(rows["depends"].astype(float).mean())
    return Part(name, share, runs=rows["seed"].nunique(), keys=_keys(rows))


def _keys(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(set(rows["key"].astype(str)))) if "key" in rows else ()
