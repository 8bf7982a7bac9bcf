"""Tables of the section on several architectures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, styled
from book.lab.words import say
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.page import CPU_SECONDS, NAMES
from book.papers.cnn_dynamics.s01_graphs import sizes
from book.papers.cnn_dynamics.s03_predicting import page as predicting
from modgraph_lib import graphs, signatures

__all__ = [
    "answer",
    "hours",
    "predicted",
    "state",
    "transfer_rows",
    "untrained",
    "untrained_signatures",
]

KINDS = [("cifar10", name) for name in ("lenet", "alexnet", "vgg1613", "resnet32", "resnet44")]
KINDS += [("tiny_imagenet", name) for name in ("lenet", "alexnet", "resnet50")]


def untrained() -> dict[str, np.ndarray]:
    """Rolled degrees of the five networks for CIFAR-10 before training."""
    return {
        NAMES[name]: graphs.rolled_graph(sizes.network(name, data), example=sizes.IMAGE).degrees()
        for data, name in KINDS[:5]
    }


def untrained_signatures(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Signatures of those degrees."""
    return {name: signatures.signature(values) for name, values in found.items()}


def predicted(data: str = "cifar10") -> dict[str, pd.DataFrame]:
    """Classification records of each architecture that has some."""
    names = [name for kind, name in KINDS if kind == data]
    tables = {NAMES[name]: predicting.stored(name, data) for name in names}
    return {name: table for name, table in tables.items() if len(table)}


def transfer_rows() -> pd.DataFrame:
    """Stored transfers on real images, the largest of each kind."""
    rows = ledger.load_results().get("cnn_transfers", pd.DataFrame(columns=["data"]))
    rows = rows[rows["data"] != "digits"]
    if rows.empty:
        return rows
    return rows.sort_values("networks").drop_duplicates(["trained_on", "tested_on"], keep="last")


def hours(networks: int = 120, epochs: int = 50) -> dict[str, float]:
    """Hours of two cores for a grid at the paper's scale at most, from measured seconds."""
    table = ledger.load_results().get("cnn_runtimes", pd.DataFrame(columns=["network"]))
    found = {}
    for name, seconds in CPU_SECONDS.items():
        own = table[(table["network"] == name)]
        if len(own) and name != "lenet":  # LeNet trains in ensembles, which costs half
            seconds = own[own["batch_size"] == 128]["epoch_seconds"].min()
        found[NAMES[name]] = seconds * networks * epochs / 2 / 3600
    return found


def answer() -> Markdown:
    """Which of the paper's grids have been run, what predicts there, and what waits."""
    results = ledger.load_results()
    run = [
        f"{NAMES[name]} on {'CIFAR-10' if data == 'cifar10' else 'Tiny ImageNet'}"
        for data, name in KINDS
        if len(evidence.grid(results, network=name, data=data))
    ]
    begun = f"{len(run)} ({', '.join(run)})" if run else "none"
    return say(
        f"""
        **The answer first.** Of the paper's eight grids this book has run {begun}. The others are
        ready to run, but take long. {_sorted()}The signatures of different architectures lie far
        apart before any training. So a classifier that has to move from one architecture to
        another should see changes and not levels.
        """
    )


def _sorted() -> str:
    """How well degrees of nine epochs tell accurate networks from others, beyond LeNet."""
    said = []
    for name, rows in predicted().items():
        own = rows[(rows["features"] == "rolled.degree") & (rows["last"] == 9)]
        own = own[own["model"].isin(["svm", "mlp"]) & (own["average"] == "none")]
        if name != "LeNet" and len(own):
            best = own.loc[own["scores"].astype(float).idxmax()]
            said.append(f"{best['scores']:.0f} of 100 {name}s ({best['scale']})")
    whole = "From degrees of nine epochs a classifier sorts {} rightly. "
    return whole.format(", ".join(said)) if said else ""


def state() -> Styler:
    """What has been run of each grid."""
    results = ledger.load_results()
    lines = []
    for data, name in KINDS:
        rows = evidence.grid(results, network=name, data=data)
        cells = dict.fromkeys(("networks", "lowest", "highest", "scale"), MISSING)
        if len(rows):
            lowest, highest = (f"{rows['accuracy'].agg(end):.1f}" for end in ("min", "max"))
            scale = str(rows["scale"].iloc[0]) or "as in the paper"
            cells = dict(zip(cells, (f"{len(rows)}", lowest, highest, scale), strict=True))
        where = "CIFAR-10" if data == "cifar10" else "Tiny ImageNet, 100 classes"
        lines.append({"data": where, "network": NAMES[name], **cells})
    return styled(pd.DataFrame(lines), "cd05-state").hide(axis="index")
