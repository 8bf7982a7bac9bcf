"""Which stored rows a chapter shows, and the printed numbers they stand beside."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from book.lab import ledger
from book.lab.evidence import Results
from book.papers.ncut.cells import cell, initial


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
    """Stored rows at the paper's settings, as ``mlps.table`` gives them.

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
    """The printed means and deviations of tables, as `null_against_networks` takes them."""
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
