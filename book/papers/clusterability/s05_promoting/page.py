"""Tables and sentences of the chapter on promoting clusterability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.claims import papers_root
from book.lab.evidence import Results
from book.lab.show import MISSING, NOT_RUN, number, plus_minus, styled
from book.papers.clusterability.s05_promoting import closed_form
from book.papers.clusterability.s05_promoting.measures import PENALTY, regulariser_cell, tagged_cell
from book.papers.ncut.beside import not_run
from book.papers.ncut.show import paired
from modgraph_lib import promoting
from modgraph_lib.datasets.names import data_name

__all__ = [
    "arms_compared",
    "every_row",
    "gradients_compared",
    "initial_compared",
    "lowering",
    "promoted_rows",
    "regulariser_rows",
    "tagged_rows",
    "tags_beside",
]

STAGES = ("unpruned", "pruned")
# Table of clusterable initialisation -> architecture, and the tables of its control.
TABLES = {
    "table_a13": ("mlp", ("table_a5", "table_a6")),
    "table_a14": ("small_cnn", ("table_a8", "table_a9")),
    "table_a15": ("vgg", ("table_a10",)),
}
DATA = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "CIFAR-10": "cifar10"}
ARMS = ("none", "normalised", "eigenvalues")


def promoted_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``experiment.table`` with the promotion in the place of the regulariser.

    The tables and pictures of the other chapters then take it for the condition.
    """
    return rows.assign(regularizer=rows["promotion"])


def tagged_rows(
    *, data: Sequence[str], architecture: str, runs: int = 5, results: Results | None = None
) -> pd.DataFrame:
    """Stored rows of clusterable initialisation and of its control, at the paper's settings."""
    results = ledger.load_results() if results is None else results
    return _joined(
        tagged_cell(
            results,
            data=one,
            architecture=architecture,
            stage=stage,
            k=12,
            runs=runs,
            tagged=tagged,
        ).assign(regularizer="tags" if tagged else "none")
        for one in data
        for tagged in (False, True)
        for stage in STAGES
    )


def regulariser_rows(
    *, k: int, runs: int = 10, penalty: float = PENALTY, results: Results | None = None
) -> pd.DataFrame:
    """Stored rows of the regulariser's arms at the paper's settings and one k."""
    results = ledger.load_results() if results is None else results
    return _joined(
        regulariser_cell(results, arm=arm, stage=stage, k=k, runs=runs, penalty=penalty).assign(
            regularizer=arm
        )
        for arm in ARMS
        for stage in STAGES
    )


def every_row(results: Results | None = None) -> pd.DataFrame:
    """Stored rows of MLPs, small CNNs and the regulariser at k = 12, under each other."""
    results = ledger.load_results() if results is None else results
    data = ("mnist", "fashion_mnist")
    frames = [
        *(tagged_rows(data=data, architecture=a, results=results) for a in ("mlp", "small_cnn")),
        regulariser_rows(k=12, results=results),
    ]
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else frames[0]


def tags_beside(name: str, results: Results | None = None) -> Styler:
    """Table A.13, A.14 or A.15 with ours, and both without the initialisation.

    Args:
        name: "table_a13", "table_a14" or "table_a15".
        results: tables by experiment; None reads the store.

    For MLPs a line follows for the published code's reading, where it has been run.
    """
    architecture, controls = TABLES[name]
    missing = not_run(f"clusterability/{name}")
    results = ledger.load_results() if results is None else results
    plain = pd.concat([ledger.paper_table(f"clusterability/{table}") for table in controls])
    plain = plain[plain["regularizer"] == "none"].set_index(["dataset", "pruned"])
    lines = {}
    for printed in ledger.paper_table(f"clusterability/{name}").to_dict("records"):
        words, pruned = printed["dataset"], printed["pruned"]
        stage = "pruned" if pruned == "yes" else "unpruned"
        runs = int(printed["run_count"])

        def ours(words=words, stage=stage, runs=runs, **which) -> pd.DataFrame:
            return tagged_cell(
                results,
                data=DATA[words],
                architecture=architecture,
                stage=stage,
                k=12,
                runs=runs,
                **which,
            )

        lines[words, f"tags, {stage}", "paper"] = _printed(printed)
        lines[words, f"tags, {stage}", "ours"] = _ours(ours(), runs, missing)
        if len(other := ours(tag_outputs=True)):
            lines[words, f"tags, {stage}", "ours, published"] = _ours(other, runs, missing)
        lines[words, f"plain, {stage}", "paper"] = _printed(plain.loc[words, pruned].to_dict())
        lines[words, f"plain, {stage}", "ours"] = _ours(ours(tagged=False), runs, missing)
    return styled(paired(lines), f"clusterability-{name}")


def lowering(results: Results | None = None, *, name: str) -> Styler | Markdown:
    """By how much clusterable initialisation lowers the n-cut: MLPs beside small CNNs."""
    results = ledger.load_results() if results is None else results
    lines = []
    for data in ("mnist", "fashion_mnist"):
        for stage in STAGES:
            line = {"data": data_name(data), "stage": stage}
            for architecture, word in (("mlp", "MLP"), ("small_cnn", "small CNN")):
                cells = [
                    tagged_cell(
                        results,
                        data=data,
                        architecture=architecture,
                        stage=stage,
                        k=12,
                        runs=5,
                        tagged=tagged,
                    )
                    for tagged in (False, True)
                ]
                line |= _lowered(*cells, word)
            line["paper, MLP"], line["paper, small CNN"] = (
                _printed_lowering(table, data_name(data), stage)
                for table in ("table_a13", "table_a14")
            )
            lines.append(line)
    frame = pd.DataFrame(lines)
    order = ["data", "stage", "paper, MLP", "MLP", "paper, small CNN", "small CNN", "networks"]
    frame["networks"] = frame.pop("MLP networks") + " and " + frame.pop("small CNN networks")
    return styled(frame[order], name).hide(axis="index")


def arms_compared(
    *, name: str, published: bool = True, results: Results | None = None
) -> Styler | Markdown:
    """What stands for Table 1: the arms of the regulariser at k = 12 and k = 4.

    Beside ours stand means over the runs that the authors released. ``published`` adds the released
    code's reading (a third of the penalty), where it was run.
    """
    results = ledger.load_results() if results is None else results
    readings = {"ours": PENALTY}
    if published:
        readings["ours, published"] = PENALTY / 3
    lines = {}
    released = pd.read_csv(papers_root() / "clusterability" / "released.csv")
    theirs = released.set_index(["k", "stage", "arm"])
    for k in (12, 4):
        for stage in STAGES:
            for arm in ARMS:
                if (k, stage, arm) in theirs.index:
                    lines[f"k = {k}, {stage}", arm, "released runs"] = _released(
                        theirs.loc[(k, stage, arm)]
                    )
                for who, penalty in readings.items():
                    if who != "ours" and arm != "eigenvalues":
                        continue
                    rows = regulariser_cell(
                        results, arm=arm, stage=stage, k=k, runs=10, penalty=penalty
                    )
                    if len(rows):
                        lines[f"k = {k}, {stage}", arm, who] = _arm(rows)
    if all(who == "released runs" for *_, who in lines):
        return Markdown(NOT_RUN)
    return styled(paired(lines), name)


def gradients_compared(kernels: Sequence[np.ndarray]) -> pd.DataFrame:
    """Distance of each way to the gradient of lambda_2 from central differences."""
    numerical = closed_form.differences(kernels)
    tensors = [torch.from_numpy(kernel).requires_grad_() for kernel in kernels]
    by_autograd = torch.autograd.grad(_dense_eigenvalue(tensors), tensors)
    ways = {
        "closed form, 1/4 (printed)": closed_form.gradient(kernels, factor=0.25),
        "closed form, 1/2": closed_form.gradient(kernels, factor=0.5),
        "torch.linalg.eigvalsh": [part.numpy() for part in by_autograd],
        "promoting.eigenvalues": [
            part.numpy() for part in promoting.eigenvalues(tensors, count=1).gradients
        ],
    }
    return pd.DataFrame(
        [(name, closed_form.distance(found, numerical)) for name, found in ways.items()],
        columns=["way", "relative distance"],
    )


def initial_compared(*, name: str, results: Results | None = None) -> Styler | Markdown:
    """n-cuts of untrained networks with and without clusterable initialisation."""
    results = ledger.load_results() if results is None else results
    rows = results["promoting_initial_ncut"]
    rows = rows[(rows["k"] == 12) & rows["width"].isin((256, 64))] if len(rows) else rows
    rows = rows[(rows["architecture"] != "mlp") | (rows["width"] == 256)] if len(rows) else rows
    lines = []
    plain = results["mlp_initial_ncut"]
    plain = plain[(plain["k"] == 12) & (plain["width"] == 256) & (plain["inputs"] == 784)]
    if len(plain):
        lines.append(_extremes("MLP", "no tags", plain))
    for keys, found in rows.groupby(["architecture", "beta", "tag_outputs"], sort=False):
        architecture, beta, outputs = keys
        word = {"mlp": "MLP", "small_cnn": "small CNN", "vgg": "VGG"}[architecture]
        start = f"tags, β = {beta:g}" + (", outputs too" if outputs else "")
        lines.append(_extremes(word, start, found))
    if not lines:
        return Markdown(NOT_RUN)
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def _joined(cells) -> pd.DataFrame:
    """Cells under each other, seeds as a column; empty where nothing has been run."""
    frames = [cell.reset_index() for cell in cells]
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else frames[0].iloc[:0]


def _printed(printed: dict) -> dict[str, str]:
    return {
        "n-cut": printed["ncut_mean"],
        "shuffles' n-cut": f"{printed['shuffle_ncut_mean']} ± {printed['shuffle_ncut_std']}",
        "below all": f"{printed['significant_count']} of {printed['run_count']}",
        "train acc.": printed["train_accuracy"],
        "test acc.": printed["test_accuracy"],
    }


def _ours(rows: pd.DataFrame, runs: int, missing: str) -> dict[str, str]:
    if rows.empty:
        return dict.fromkeys(
            ("n-cut", "shuffles' n-cut", "below all", "train acc.", "test acc."), MISSING
        ) | {"n-cut": missing}
    few = "" if len(rows) >= runs else f" ({len(rows)} of {runs} networks)"
    return {
        "n-cut": plus_minus(rows["ncut"].mean(), rows["ncut"].std(ddof=1)) + few,
        "shuffles' n-cut": plus_minus(rows["shuffle_mean"].mean(), rows["shuffle_std"].mean()),
        "below all": f"{int(rows['significant'].sum())} of {len(rows)}",
        "train acc.": number(rows["train_accuracy"].astype(float).mean()),
        "test acc.": number(rows["test_accuracy"].astype(float).mean()),
    }


def _released(row: pd.Series) -> dict[str, str]:
    columns = ("z", "below all", "isolated", "test acc.")
    known = {"n-cut": f"{row['ncut']:.2f}", "shuffles' n-cut": f"{row['shuffle_ncut']:.2f}"}
    return known | dict.fromkeys(columns, MISSING)


def _arm(rows: pd.DataFrame) -> dict[str, str]:
    return {
        "n-cut": plus_minus(rows["ncut"].mean(), rows["ncut"].std(ddof=1)),
        "shuffles' n-cut": plus_minus(rows["shuffle_mean"].mean(), rows["shuffle_std"].mean()),
        "z": f"{rows['z_score'].mean():.1f}",
        "below all": f"{int(rows['significant'].sum())} of {len(rows)}",
        "isolated": f"{rows['isolated'].mean():.1f}",
        "test acc.": plus_minus(rows["test_accuracy"].mean(), rows["test_accuracy"].std(ddof=1)),
    }


def _lowered(plain: pd.DataFrame, tagged: pd.DataFrame, word: str) -> dict[str, str]:
    fewest = min(len(plain), len(tagged))
    fall = MISSING
    if fewest:
        fall = f"{plain['ncut'].mean() - tagged['ncut'].mean():.3f}"
    return {word: fall, f"{word} networks": str(fewest)}


def _printed_lowering(name: str, dataset: str, stage: str) -> str:
    pruned = "yes" if stage == "pruned" else "no"
    values = []
    for table in (*TABLES[name][1], name):
        rows = ledger.paper_table(f"clusterability/{table}")
        rows = rows[(rows["dataset"] == dataset) & (rows["pruned"] == pruned)]
        if "regularizer" in rows:
            rows = rows[rows["regularizer"] == "none"]
        values += [float(value) for value in rows["ncut_mean"]]
    return f"{values[0] - values[1]:.3f}"


def _extremes(word: str, start: str, rows: pd.DataFrame) -> dict[str, str]:
    return {
        "network": word,
        "start": start,
        "lowest": f"{rows['ncut'].min():.3f}",
        "mean": f"{rows['ncut'].mean():.3f}",
        "highest": f"{rows['ncut'].max():.3f}",
        "networks": str(len(rows)),
    }


def _dense_eigenvalue(kernels):
    """lambda_2 of the whole graph's Laplacian through torch's own eigenvalues."""
    sizes = [kernels[0].shape[1], *(len(kernel) for kernel in kernels)]
    starts = np.cumsum([0, *sizes])
    adjacency = torch.zeros(starts[-1], starts[-1], dtype=kernels[0].dtype)
    for place, kernel in enumerate(kernels):
        adjacency[starts[place] : starts[place + 1], starts[place + 1] : starts[place + 2]] = (
            kernel.abs().T
        )
    adjacency = adjacency + adjacency.T
    root = adjacency.sum(1).rsqrt()
    laplacian = torch.eye(len(root), dtype=root.dtype) - adjacency * root[:, None] * root
    return torch.linalg.eigvalsh(laplacian)[1]
