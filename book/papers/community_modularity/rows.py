"""Which curves may decide a claim of the community paper.

Networks trained as the paper says come first. Where there are none, those of the short run
(``community_modularity.settings``) stand in, and the verdict says so: they can show the shape of
a curve, not an accuracy.
"""

from __future__ import annotations

import pandas as pd

from book.lab.evidence import Results, experiment_table, remembered
from book.papers.community_modularity.settings import SAMPLES, SHORT

__all__ = ["RUNS", "accuracies", "at_best_scale", "curve", "curves"]

# Networks asked of a claim: the paper trains one of each, we ask for two.
RUNS = 2
FULL_EPOCHS = 150
CURVE_COLUMNS = [
    "network", "data", "seed", "width", "epochs", "images", "schedule", "stage", "samples",
    "similarity", "symmetrise", "sampling", "measured_layers", "k", "layer", "q", "inside",
    "test_accuracy", "best_accuracy",
]  # fmt: skip


@remembered
def curves(
    results: Results,
    *,
    network: str,
    data: str = "cifar10",
    runs: int = RUNS,
    k: int = 3,
    samples: int = 0,
    stage: str = "trained",
    similarity: str = "cosine",
    symmetrise: str = "mean",
    layers: str = "described",
    sampling: str = "random",
    experiment: str = "community_curves",
) -> pd.DataFrame:
    """Rows of one network's curves, at the paper's scale or else the short one.

    Args:
        results: tables by experiment; ``experiment`` is read, and may be absent.
        runs: seeds 0 to runs-1 count.
        samples: images in a graph; 0 is the paper's number for the data set.
        the others: see ``community_modularity.curves.CurveConfig``.

    Returns:
        Columns of ``curves.table``, and ``scale``: empty for the paper's, else words.
    """
    table = experiment_table(results, experiment, CURVE_COLUMNS)
    table = table[(table["network"] == network) & (table["data"] == data)]
    keep = (
        (table["seed"] < runs)
        & (table["images"] == 0)
        & (table["k"] == k)
        & (table["samples"] == (samples or SAMPLES.get(data, 500)))
        & (table["stage"] == stage)
        & (table["similarity"] == similarity)
        & (table["symmetrise"] == symmetrise)
        & (table["measured_layers"] == layers)
        & (table["sampling"] == sampling)
    )
    return at_best_scale(table[keep], network)


def at_best_scale(rows: pd.DataFrame, network: str) -> pd.DataFrame:
    """Rows of full-size, fully trained networks; failing those, of the short run."""
    full = rows[(rows["width"] == 0) & (rows["epochs"] >= FULL_EPOCHS)]
    if len(full):
        return full.assign(scale="")
    width = 0 if network.startswith("resnet56") else SHORT["width"]
    short = rows[
        (rows["width"] == width)
        & (rows["epochs"] == SHORT["epochs"])
        & (rows["schedule"] == SHORT["schedule"])
    ]
    words = f"{'full width' if width == 0 else f'width {width}'}, {SHORT['epochs']} epochs"
    return short.assign(scale=words)


def curve(rows: pd.DataFrame, column: str = "q") -> pd.DataFrame:
    """One row a seed: the mean over repeats after each layer (columns 1..L), scale and key.

    Means over seeds and their spread are then those over networks.
    """
    wide = rows.pivot_table(index="seed", columns="layer", values=column, aggfunc="mean")
    facts = rows.groupby("seed")[["scale", "key"]].first() if len(rows) else rows[[]]
    return wide.join(facts)


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a seed: test_accuracy, best_accuracy, scale and key."""
    columns = ["test_accuracy", "best_accuracy", "scale", "key"]
    return rows.groupby("seed")[columns].first() if len(rows) else pd.DataFrame(columns=columns)
