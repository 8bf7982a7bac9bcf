"""Which rows of convolutional networks may decide a claim: those at the paper's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from book.lab.evidence import Results, current_reading, equal, one_per_seed, remembered
from book.papers.ncut import cnn_settings, cnns
from book.papers.ncut.cells import first_shuffles, word

__all__ = ["cnn_cell", "cnn_initial", "named_precision", "word"]


@remembered
def cnn_cell(
    results: Results,
    *,
    data: str,
    regularizer: str,
    stage: str,
    runs: int,
    k: int = 12,
    variant: str = "",
    epochs: int | None = None,
    by_network: bool = False,
) -> pd.DataFrame:
    """Rows of one cell at the paper's settings, one per seed, sorted by seed.

    Args:
        results: tables by experiment; "cnn_ncut" is read, and may be absent.
        data, regularizer, stage, k: the cell; "cifar10" means the VGG, other data the small CNN.
        runs: the paper's number of networks; seeds 0 to runs-1 count.
        variant: a reading of ``cnns.READINGS``. "described" decides claims. For the
            VGG a published reading asks for a network trained by the released code's recipe.
        epochs: epochs before pruning to ask for instead of the paper's.
        by_network: whatever the norm of a kernel, which is nothing to a network's own accuracy.

    Returns:
        A frame with the columns of ``cnns.table``, indexed by seed; empty if none.
        Of more shuffles than the paper's, the first ones count.

    Raises:
        ValueError: the table lacks columns.
    """
    table = cnns.EXPERIMENT.among(results)
    usual, variant = cnn_settings.of(data), variant or current_reading()
    rows = table[
        (table["architecture"] == usual.architecture)
        & (table["data"] == data)
        & (table["regularizer"] == regularizer)
        & (table["stage"] == stage)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["shuffles"] >= cnn_settings.SHUFFLES)
    ]
    norm, folded = cnn_settings.READINGS[variant]

    def asked(row: Any) -> cnns.NcutConfig:
        if usual is cnn_settings.VGG:
            train = cnns.vgg(regularizer, row.seed, data=data, variant=variant.split()[0])
        else:
            train = cnns.small_cnn(data, regularizer, row.seed)
        train = train if epochs is None else replace(train, epochs=epochs)
        return cnns.NcutConfig(train, stage, norm, folded, (k,))

    free = ("kernel_norm", "fold_batch_norm") if by_network else ()
    free = ("cluster_counts", "shuffles", "train.precision", *free)
    rows = named_precision(equal(rows, asked, free=free))
    return first_shuffles(one_per_seed(rows), cnn_settings.SHUFFLES)


def named_precision(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with ``scale``: the arithmetic where it is not the paper's float32."""
    return rows.assign(scale=rows["precision"].where(rows["precision"] != "float32", ""))


def cnn_initial(
    results: Results, *, architecture: str, runs: int, k: int = 12, reading: str = "described"
) -> pd.DataFrame:
    """Untrained networks of the paper's size, seeds 0 to runs-1, indexed by seed."""
    table = cnns.INITIAL.among(results)
    rows = table[
        (table["architecture"] == architecture)
        & (table["reading"] == reading)
        & (table["k"] == k)
        & (table["seed"] < runs)
    ]
    norm, _ = cnn_settings.READINGS[reading]
    config = cnns.InitialConfig(architecture, kernel_norm=norm)
    free = ("cluster_counts", "first_seed", "networks")
    return one_per_seed(equal(rows, lambda row: config, free=free))
