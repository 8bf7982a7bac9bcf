"""Tables of the sections on made tasks: losses by two readings, mixtures, dropout on and off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger, store
from book.lab.show import MISSING, NOT_RUN
from book.papers.ncut import mixtures, second_looks, settings
from book.papers.ncut.rows import paper_rows
from modgraph_lib import datasets
from modgraph_lib.datasets.names import data_name
from modgraph_lib.plots import style

__all__ = [
    "dropout_modes",
    "dropout_rows",
    "halves_samples",
    "losses",
    "mixture_rows",
    "mixture_samples",
    "mixture_table",
]

KINDS = ("same", "diff")


def halves_samples(
    bases: Iterable[str], *, label: int = 3, count: int = 10
) -> dict[str, np.ndarray]:
    """The first test images of one class of halves-same and -diff, for the sets at hand.

    A base that is not on this machine is left out, so that the page builds without downloads.
    """
    rows = {}
    for base in bases:
        for kind in KINDS:
            name = f"{base}_halves_{kind}"
            try:
                data = datasets.load(name, "test")
            except datasets.DataMissing:
                continue
            chosen = (data.labels == label).nonzero().ravel()[:count]
            rows[f"{data_name(base)}, {kind}"] = data.images[chosen].numpy()
    return rows


def mixture_samples(name: str) -> dict[str, np.ndarray]:
    """One test image of each class of a mixture, overlapping and separate.

    Overlapping classes show their two kinds in turn.
    """
    rows = {}
    name = name.removesuffix(mixtures.SEPARATE)
    kinds = [datasets.load(part, "test") for part in mixtures.constituents(name)]
    first = [np.unique(kind.labels.numpy(), return_index=True)[1] for kind in kinds]
    middle = len(first[0]) // 2
    for word, of in (
        ("overlapping", lambda label: label % 2),
        ("separate", lambda label: int(label >= middle)),
    ):
        places = [(of(label), label) for label in range(len(first[0]))]
        rows[word] = np.stack([kinds[one].images[first[one][c]].numpy() for one, c in places])
    return rows


def mixture_rows(names: Sequence[str], *, k: int, runs: int) -> pd.DataFrame:
    """Stored pruned rows of mixtures and their constituents, without and with dropout."""
    return paper_rows(
        data=mixtures.with_constituents(names),
        regularizers=mixtures.REGULARIZERS,
        stages=("pruned",),
        ks=(k,),
        runs=runs,
    )


def mixture_table(frame: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """`experiments.mixtures.against_constituents` for reading."""
    if frame.empty:
        return Markdown(NOT_RUN)
    words = pd.cut(frame["position"], [-np.inf, 0, 1, np.inf], labels=["below both", "between",
        "above both"])  # fmt: skip
    shown = pd.DataFrame(
        {
            "mixture": frame["mixture"].map(data_name),
            "regulariser": [style.condition(value)[2] for value in frame["regularizer"]],
            "lower constituent": frame["lower"],
            "mixture's n-cut": frame["mixed"],
            "higher constituent": frame["higher"],
            "it lies": words.astype(object),
            "networks": frame["networks"],
        }
    )
    forms = dict.fromkeys(["lower constituent", "mixture's n-cut", "higher constituent"], "{:.3f}")
    return shown.style.set_uuid(name).format(forms, na_rep=MISSING).hide(axis="index")


def losses(*, name: str) -> Styler | Markdown:
    """Table A.19's test losses beside ours, without and with the penalty of the weights."""
    table = second_looks.penalty_table(store.read("mlp_penalty"))
    table = _paper_scale(table[table["data"] == "polynomials"], runs=5)
    if table.empty:
        return Markdown(NOT_RUN)
    printed = ledger.paper_table("clusterability/table_a19")
    stage = printed["pruned"].map({"yes": "pruned", "no": "unpruned"})
    lines = []
    for (_, row), where in zip(printed.iterrows(), stage, strict=True):
        chosen = (table["regularizer"] == row["regularizer"]) & (table["stage"] == where)
        ours = table[chosen]
        lines.append(
            {
                "regulariser": style.condition(row["regularizer"])[2],
                "stage": where,
                "paper": float(row["test_loss"]),
                "mean squared error": ours["test_loss"].astype(float).mean(),
                "with the penalty": ours["test_loss_penalised"].astype(float).mean(),
                "networks": len(ours),
            }
        )
    forms = dict.fromkeys(["paper", "mean squared error", "with the penalty"], "{:.3f}")
    shown = pd.DataFrame(lines).style.set_uuid(name)
    return shown.format(forms, na_rep=MISSING).hide(axis="index")


def dropout_rows() -> pd.DataFrame:
    """Stored rows of "mlp_dropout_modes" at the paper's scale."""
    stored = second_looks.dropout_modes_table(store.read("mlp_dropout_modes"))
    return _paper_scale(stored, runs=5)


def dropout_modes(table: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """Accuracy on training and test images with dropout on and off, means over networks.

    Args:
        table: as ``second_looks.dropout_modes_table`` gives it.
    """
    if table.empty:
        return Markdown(NOT_RUN)
    lines = [
        {
            "data": data_name(data),
            "stage": stage,
            "training, dropout on": rows["train_on"].mean(),
            "training, off": rows["train_off"].mean(),
            "test, dropout on": rows["test_on"].mean(),
            "test, off": rows["test_off"].mean(),
            "networks": len(rows),
        }
        for (data, stage), rows in table.groupby(["data", "stage"], sort=False)
    ]
    shown = pd.DataFrame(lines).style.set_uuid(name)
    numbers = [column for column in lines[0] if column.endswith(("on", "off"))]
    return shown.format(dict.fromkeys(numbers, "{:.3f}")).hide(axis="index")


def dropout_in_words(table: pd.DataFrame, data: str) -> Markdown:
    """The same for the pruned networks on one data set, as a sentence; ``table`` as above."""
    rows = table[(table["data"] == data) & (table["stage"] == "pruned")]
    if rows.empty:
        return Markdown(NOT_RUN)
    mean = rows[["train_on", "train_off", "test_on", "test_off"]].mean()
    return Markdown(
        f"Pruned networks on {data_name(data)}, mean of {len(rows)}: with dropout on they "
        f"are right on {mean.train_on:.0%} of the training and {mean.test_on:.0%} of the test "
        f"images; with dropout off, on {mean.train_off:.0%} and {mean.test_off:.0%}."
    )


def _paper_scale(table: pd.DataFrame, *, runs: int) -> pd.DataFrame:
    """The rows of networks trained as the papers say."""
    usual = table["data"].map(settings.of)
    keep = (
        (table["width"] == settings.WIDTH)
        & (table["batch_size"] == settings.BATCH_SIZE)
        & (table["images"] == 0)
        & (table["seed"] < runs)
        & (table["epochs"] == usual.map(lambda one: one.epochs))
        & (table["prune_epochs"] == usual.map(lambda one: one.prune_epochs))
    )
    return table[keep]
