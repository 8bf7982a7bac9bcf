"""Measurements for the claims about ImageNet networks (Clusterability, section 3.1)."""

from __future__ import annotations

import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement
from book.papers.clusterability.s04_imagenet.experiment import EXPERIMENT, ImagenetConfig

__all__ = ["NAMES", "imagenet_rows"]

NAMES = {
    "vgg16": "VGG-16",
    "vgg19": "VGG-19",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "inception_v3": "Inception-V3",
}
SHUFFLES, STARTS = 100, 100


def imagenet_rows(
    results: Results, *, weights: str = "imagenet", reading: str = "described", shuffles: int = 0
) -> pd.DataFrame:
    """One row a network at the paper's settings, in the paper's order, indexed by network.

    Args:
        results: tables by experiment; "imagenet_ncut" may be absent.
        weights: "imagenet" decides claims; "random" stands beside.
        reading: "described" decides claims; "kernels" and "published" stand beside.
        shuffles: fewest shuffles of a row; 0 means the paper's 100.

    Raises:
        ValueError: the table lacks columns.
    """
    table = EXPERIMENT.among(results)
    rows = table[
        table["network"].isin(NAMES)
        & (table["shuffles"] >= (shuffles or SHUFFLES))
        & (table["n_init"] >= STARTS)
    ]
    rows = equal(
        rows,
        lambda row: ImagenetConfig(row.network, weights, reading),
        free=("seed", "shuffles", "n_init"),
    )
    rows = rows.sort_values([name for name in ("shuffles", "date") if name in rows], kind="stable")
    rows = rows.drop_duplicates("network", keep="last").set_index("network", drop=False)
    return rows.loc[[name for name in NAMES if name in rows.index]]


def imagenet_network(results: Results, *, network: str) -> pd.DataFrame:
    """The row of one network that decides, if there is one."""
    rows = imagenet_rows(results)
    return rows[rows["network"] == network]


def word(value: str) -> str:
    """A network as the names of parts have it."""
    return NAMES.get(value, value)


@measurement
def imagenet_lowest(results: Results, *, network: str, runs: int) -> list[Part]:
    """The lowest n-cut of the other five minus that of one network."""
    rows = imagenet_rows(results)
    name = f"lowest of the others minus {NAMES[network]}"
    if len(rows) < len(NAMES):
        return [Part(name)]
    gap = rows["ncut"].drop(network).min() - rows["ncut"][network]
    return [Part(name, float(gap), runs=1, keys=tuple(rows["key"]) if "key" in rows else ())]


@measurement
def imagenet_restart_spread(results: Results, *, runs: int) -> list[Part]:
    """Relative SD of the n-cut over clusterings, minus that of a trained perceptron."""
    rows, table = imagenet_rows(results), results.get("imagenet_ncut")
    if table is None or table.empty:
        yardstick = pd.DataFrame()
    else:
        yardstick = table[(table["network"] == "mlp") & (table["weights"] == "mnist")]
    parts = []
    for network, name in NAMES.items():
        if network not in rows.index or yardstick.empty:
            parts.append(Part(name))
            continue
        gap = rows["restart_spread"][network] - yardstick["restart_spread"].mean()
        parts.append(Part(name, float(gap), runs=1, keys=_keys(rows, network)))
    return parts


def _keys(rows: pd.DataFrame, network: str) -> tuple[str, ...]:
    return (str(rows["key"][network]),) if "key" in rows else ()
