"""Which rows of convolutional networks may decide a claim: those at the paper's settings."""

from __future__ import annotations

import pandas as pd

from book.lab.evidence import Results, experiment_table, one_per_seed, remembered
from book.papers.ncut import cnn_settings
from book.papers.ncut.cells import CELL_COLUMNS, first_shuffles

__all__ = ["cnn_cell", "cnn_initial"]

CNN_COLUMNS = [*CELL_COLUMNS, "architecture", "reading"]
INITIAL_COLUMNS = ["architecture", "reading", "seed", "k", "ncut", "width"]


@remembered
def cnn_cell(
    results: Results,
    *,
    data: str,
    regularizer: str,
    stage: str,
    runs: int,
    k: int = 12,
    variant: str = "described",
    epochs: int | None = None,
) -> pd.DataFrame:
    """Rows of one cell at the paper's settings, one per seed, sorted by seed.

    Args:
        results: tables by experiment; "cnn_ncut" is read, and may be absent.
        data, regularizer, stage, k: the cell; "cifar10" means the VGG, other data the small CNN.
        runs: the paper's number of networks; seeds 0 to runs-1 count.
        variant: a reading of ``cnns.READINGS``. "described" decides claims. For the
            VGG a published reading asks for a network trained by the released code's recipe.
        epochs: epochs before pruning to ask for instead of the paper's.

    Returns:
        A frame with the columns of ``cnns.table``, indexed by seed; empty if none.
        Of more shuffles than the paper's, the first ones count.

    Raises:
        ValueError: the table lacks columns.
    """
    table = experiment_table(results, "cnn_ncut", CNN_COLUMNS)
    usual = cnn_settings.of(data)
    trained = variant.split()[0] if usual is cnn_settings.VGG else "described"
    keep = (
        (table["architecture"] == usual.architecture)
        & (table["data"] == data)
        & (table["regularizer"] == regularizer)
        & (table["stage"] == stage)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["variant"] == trained)
        & (table["reading"] == variant)
        & (table["epochs"] == (usual.epochs if epochs is None else epochs))
        & (table["prune_epochs"] == usual.prune_epochs)
        & (table["batch_size"] == usual.batch_size)
        & (table["width"] == usual.width)
        & (table["images"] == 0)
        & (table["nodes"] + table["isolated"] == usual.nodes)
        & (table["method"] == "layer")
        & (table["shuffles"] >= cnn_settings.SHUFFLES)
    )
    return first_shuffles(one_per_seed(table[keep]), cnn_settings.SHUFFLES)


def cnn_initial(
    results: Results, *, architecture: str, runs: int, k: int = 12, reading: str = "described"
) -> pd.DataFrame:
    """Untrained networks of the paper's size, seeds 0 to runs-1, indexed by seed."""
    table = experiment_table(results, "cnn_initial_ncut", INITIAL_COLUMNS)
    keep = (
        (table["architecture"] == architecture)
        & (table["reading"] == reading)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["width"] == cnn_settings.SMALL_CNN.width)
    )
    return one_per_seed(table[keep])
