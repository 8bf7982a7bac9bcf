"""Rows and tables of the section on convolutional networks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import NOT_RUN
from book.papers.ncut import beside, cnn_settings
from book.papers.ncut.cnn_rows import cnn_cell, cnn_initial
from modgraph_lib import graphs
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

NORMS = {
    "described": "L1: sum",
    "published": "L1: column sum",
    "described L2": "L2: root of squares",
    "published L2": "L2: spectral",
}
STACKS = tuple(f"{data}_stack_{kind}" for data in ("mnist", "fashion_mnist")
               for kind in ("same", "diff"))  # fmt: skip
STAGES = ("unpruned", "pruned")
COMPARED = ("n-cut", "shuffles")


def rows(
    *,
    data: Iterable[str],
    regularizers: Iterable[str],
    reading: str = "described",
    runs: int = 5,
) -> pd.DataFrame:
    """Stored rows at the paper's settings, as ``cnns.table`` gives them."""
    results = ledger.load_results()
    wanted = [(one, condition, stage) for one in data for condition in regularizers
              for stage in STAGES]  # fmt: skip
    found = [
        cnn_cell(
            results, data=one, regularizer=condition, stage=stage, runs=runs, variant=reading
        ).reset_index()
        for one, condition, stage in wanted
    ]
    full = [frame for frame in found if len(frame)]
    columns = results["cnn_ncut"].columns
    return pd.concat(full, ignore_index=True)[columns] if full else pd.DataFrame(columns=columns)


def initial(architecture: str, *, reading: str = "described", runs: int = 100) -> pd.DataFrame:
    """Stored n-cuts of untrained networks of the paper's size, one row a seed."""
    found = cnn_initial(
        ledger.load_results(), architecture=architecture, runs=runs, reading=reading
    )
    return found.reset_index()


def untrained(table: pd.DataFrame, *, width: int, k: int) -> Markdown:
    """Range of untrained networks of this page's own size, in a sentence.

    Args:
        table: as ``cnns.initial_table`` gives it.
        width: channels of the page's small CNNs.
        k: number of clusters.
    """
    words = {"small_cnn": f"small CNNs of {width} channels", "vgg": "VGGs"}
    chosen = table[(table["k"] == k) & (table["reading"] == "described")]
    said = "; ".join(
        f"{len(values)} {words[name]}, {values.min():.2f} to {values.max():.2f}"
        for name, values in chosen.groupby("architecture")["ncut"]
    )
    return Markdown(f"Untrained networks of this page's own size at k = {k}: {said}.")


def initial_ranges(name: str) -> Styler | Markdown:
    """Lowest and highest n-cut of untrained networks by architecture and norm."""
    lines = []
    words = {"small_cnn": ("small CNN", "10.90 to 10.95"), "vgg": ("VGG", "8.45 to 8.63")}
    for architecture, (word, printed) in words.items():
        for reading, norm in NORMS.items():
            values = initial(architecture, reading=reading)["ncut"]
            if len(values):
                lines.append(
                    {
                        "network": word,
                        "edge": norm,
                        "paper": printed,
                        "ours": f"{values.min():.3f} to {values.max():.3f}",
                        "mean": f"{values.mean():.3f}",
                        "networks": len(values),
                    }
                )
    if not lines:
        return Markdown(NOT_RUN)
    return pd.DataFrame(lines).style.set_uuid(name).hide(axis="index")


def readings(table: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """The same networks under each norm: mean n-cut, and how many lie below all shuffles.

    Args:
        table: as ``cnns.table`` gives it, rows of several readings.
        name: id of the table.
    """
    if table.empty:
        return Markdown(NOT_RUN)
    lines = {}
    for keys, here in table.groupby(["data", "regularizer", "stage"], sort=False):
        data, regularizer, stage = keys
        words = f"{style.condition(regularizer)[2]}, {stage}"
        line = lines.setdefault((data_name(data), words), {})
        for reading, norm in NORMS.items():
            chosen = here[here["reading"] == reading]
            if len(chosen):
                below = int(chosen["significant"].astype(bool).sum())
                line[norm] = f"{chosen['ncut'].mean():.2f} ({below} of {len(chosen)})"
    shown = pd.DataFrame(lines.values(), index=pd.MultiIndex.from_tuples(lines)).fillna("–")
    return shown.style.set_uuid(name)


def all_readings(*, data: Iterable[str], regularizers: Iterable[str]) -> pd.DataFrame:
    """Stored rows of the same cells in every reading."""
    parts = [rows(data=data, regularizers=regularizers, reading=one) for one in NORMS]
    full = [part for part in parts if len(part)]
    return pd.concat(full, ignore_index=True) if full else parts[0]


def distances(*tables: str) -> pd.DataFrame:
    """How far each norm is from the printed numbers: medians over the cells that are run.

    Args:
        tables: for instance "clusterability/table_a8".

    Returns:
        One line a norm with results: edge, cells, "n-cut, off by" and "shuffles, off by".
    """
    stored = ledger.load_results()["cnn_ncut"]
    lines = []
    for reading, norm in NORMS.items():
        frame = pd.concat([beside.paper_beside_ours(t, stored, variant=reading) for t in tables])
        off = {what: (frame[what, "ours"] - frame[what, "paper"]).abs() for what in COMPARED}
        cells = int(off["n-cut"].notna().sum())
        if cells:
            medians = {f"{what}, off by": values.median() for what, values in off.items()}
            lines.append({"edge": norm, "cells": cells, **medians})
    return pd.DataFrame(lines)


def closest(found: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """``distances`` as a table with the id ``name``."""
    if found.empty:
        return Markdown(NOT_RUN)
    forms = dict.fromkeys(found.columns[2:], "{:.3f}")
    return found.style.set_uuid(name).format(forms).hide(axis="index")


def nearest(found: pd.DataFrame) -> Markdown:
    """The norm of ``distances`` whose shuffles are nearest to the printed ones, in a sentence."""
    if found.empty:
        return Markdown(NOT_RUN)
    best = found.loc[found["shuffles, off by"].idxmin(), "edge"]
    return Markdown(f"**{best}** is nearest to the printed shuffles.")


def reduced_vggs(name: str) -> Styler | Markdown:
    """Stored VGGs trained for fewer epochs than the paper's: they decide no claim."""
    table = ledger.load_results()["cnn_ncut"]
    known = table[
        (table["architecture"] == "vgg")
        & (table["data"] == "cifar10")
        & (table["width"] == cnn_settings.VGG.width)
        & (table["epochs"] < cnn_settings.VGG.epochs)
    ]
    if known.empty:
        return Markdown("*No VGG has been trained here yet, not even at a reduced scale.*")
    known = known.sort_values(["epochs", "regularizer", "reading", "stage"], ascending=True)
    shown = pd.DataFrame(
        {
            "condition": [style.condition(value)[2] for value in known["regularizer"]],
            "stage": known["stage"],
            "edges": known["reading"],
            "epochs": [f"{a} + {b}" for a, b in zip(known["epochs"], known["prune_epochs"],
                                                     strict=True)],
            "n-cut": known["ncut"],
            "shuffles": known["shuffle_mean"],
            "z": known["z_score"].astype(float),
            "test acc.": known["test_accuracy"].astype(float),
            "device": known["device"],
        }
    )  # fmt: skip
    forms = {"n-cut": "{:.2f}", "shuffles": "{:.2f}", "z": "{:.1f}", "test acc.": "{:.2f}"}
    return shown.style.set_uuid(name).format(forms, na_rep="–").hide(axis="index")


def norms_of(kernel: Iterable[Iterable[float]]) -> dict[str, float]:
    """The edge weight that one 2-D kernel slice gives under each norm of ``weight_graph``."""
    first, second = torch.nn.Conv2d(1, 1, 3), torch.nn.Conv2d(1, 1, 3)
    with torch.no_grad():
        second.weight.copy_(torch.tensor(np.asarray(kernel, dtype=np.float32))[None, None])
    network = torch.nn.Sequential(first, second)
    kinds = dict(zip(NORMS.values(), ("l1", "matrix_l1", "frobenius", "l2"), strict=True))
    return {
        word: round(float(graphs.weight_graph(network, kernel_norm=norm).blocks[0, 1][0, 0]), 4)
        for word, norm in kinds.items()
    }
