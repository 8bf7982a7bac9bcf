"""Tables of rows from the records of ``cnns``."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from book.papers.ncut import mlps
from book.papers.ncut.cnn_settings import READINGS

__all__ = ["initial_table", "table"]


def table(records: Iterable[dict]) -> pd.DataFrame:
    """One row per (network, stage, reading, k) of ``cnn_ncut`` records.

    Columns are those of ``mlps.table`` and: architecture; reading (a key of ``READINGS``, or
    norm and folding where no reading is meant); precision. ``variant`` is the training's:
    "published" for a VGG whose images turn both ways.
    """
    records = list(records)
    rows = mlps.table(records)
    configs = {record["key"]: record["config"] for record in records}
    of_row = [configs[key] for key in rows["key"]]
    trained = [config["train"] for config in of_row]
    return rows.assign(
        variant=[_variant(train) for train in trained],
        architecture=[train["architecture"] for train in trained],
        reading=[_reading(config) for config in of_row],
        precision=[train["precision"] for train in trained],
    )


def initial_table(records: Iterable[dict]) -> pd.DataFrame:
    """One row per (untrained network, reading, k)."""
    rows = [
        {
            "architecture": config["architecture"],
            "reading": NORM_NAMES[config["kernel_norm"]],
            "seed": config["first_seed"] + index,
            "k": int(k),
            "ncut": value,
            "width": config["width"],
            "device": record["provenance"]["device"],
            "date": record["provenance"]["date"],
            "key": record["key"],
            "config": record["config"],
        }
        for record in records
        for config in [record["config"]]
        for k, values in record["result"]["ncuts"].items()
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=INITIAL_COLUMNS)


NORM_NAMES = {norm: name for name, (norm, _) in READINGS.items()}
INITIAL_COLUMNS = [
    "architecture",
    "reading",
    "seed",
    "k",
    "ncut",
    "width",
    "device",
    "date",
    "key",
    "config",
]


def _reading(config: dict) -> str:
    """The name of a reading; without batch norms the norm alone decides."""
    norm, folded = config["kernel_norm"], config["fold_batch_norm"]
    name = NORM_NAMES[norm]
    if config["train"]["architecture"] == "small_cnn" or READINGS[name][1] == folded:
        return name
    return f"{norm}, {'folded' if folded else 'not folded'}"


def _variant(train: dict) -> str:
    published = train["architecture"] == "vgg" and train.get("augmentation") == "published"
    return "published" if published else "described"
