"""Tables of the section on Q during training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler
from torch import nn

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.show import MISSING, styled
from book.papers.community_modularity import curves
from book.papers.community_modularity.page import NOT_RUN, network_name
from book.papers.community_modularity.s03_training import shapes as training_shapes
from book.papers.community_modularity.s03_training.measures import watched
from modgraph_lib.communities import cka
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig

__all__ = [
    "calibration",
    "curves_by_network",
    "made_curves",
    "moved_features",
    "movements",
    "stored_rows",
]

NETWORKS = ("resnet18", "vgg16")  # of Figure 6(b)


def stored_rows(results: Results | None = None) -> pd.DataFrame:
    """Rows behind Figure 6(b), ResNet18 and VGG16; empty where nothing has been run."""
    results = ledger.load_results() if results is None else results
    found = [watched(results, network=network) for network in NETWORKS]
    full = [rows for rows in found if len(rows)]
    return pd.concat(full, ignore_index=True) if full else found[0]


def curves_by_network(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table of ``training_shapes.over_epochs`` for each network, by its name and seed."""
    found = {}
    for (network, seed), own in rows.groupby(["network", "seed"]):
        found[f"{network_name(network)}, seed {seed}"] = training_shapes.over_epochs(own)
    return found


def movements(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """What shallow and deep layers do over the epochs: one line a network.

    Args:
        rows: of ``training_time.table``; the epoch before training does not count.
        name: fixed id of the table.
    """
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for (network, seed), own in rows[rows["epoch"] > 0].groupby(["network", "seed"]):
        table = training_shapes.over_epochs(own)
        shallow, deep = training_shapes.ends(table.shape[1] - 1)
        swings, found = training_shapes.swings(table), training_shapes.tracking(table)
        lines.append(
            {
                "network": network_name(network),
                "seed": seed,
                "epochs": f"{len(table)} of {own['epochs'].iloc[0]}",
                "shallow layers move": _percent(swings[list(shallow)].mean()),
                "deep layers move": _percent(swings[list(deep)].mean()),
                "correlation": _number(found.correlation),
                "slope": _number(found.slope),
                "last test acc.": _number(table["test_accuracy"].iloc[-1]),
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def made_curves() -> dict[str, pd.DataFrame]:
    """Deep layers that are known, over three epochs: tables as ``over_epochs`` gives them."""
    accuracy = np.array([0.2, 0.5, 0.8])
    made = {
        "proportional": 0.7 * accuracy,
        "twice as steep": 1.6 * accuracy - 0.4,
        "rises from above": 0.3 + 0.6 * accuracy,
        "hardly moved": 0.63 + 0.14 * accuracy,
        "falls": 1 - accuracy,
    }
    return {
        words: pd.DataFrame({1: 0.0, 2: q, "test_accuracy": accuracy}) for words, q in made.items()
    }


def calibration() -> pd.DataFrame:
    """Correlation and relative slope of ``made_curves``: one line a curve."""
    found = {words: training_shapes.tracking(table) for words, table in made_curves().items()}
    lines = [(words, round(f.correlation, 2), round(f.slope, 2)) for words, f in found.items()]
    return pd.DataFrame(lines, columns=["curve", "correlation", "slope"]).set_index("curve")


def moved_features(train: SgdConfig, images: torch.Tensor, *, name: str = "cm03-moved") -> Styler:
    """Linear CKA of each layer with itself before training.

    Args:
        train: the network, trained now if it is not in the cache.
        images: (N, C, H, W).
        name: fixed id of the table.
    """
    both = _Both()
    for stage in ("untrained", "trained"):
        both.add_module(stage, curves.network(train, stage)[0])
    layers = cifar_networks.measured_layers(both.trained)
    names = [f"{stage}.{layer}" for stage in ("untrained", "trained") for layer in layers]
    values = cka.cka_matrix(both.eval(), images, layers=names, device="cpu").values
    lines = {place + 1: f"{values[place, place + len(layers)]:.2f}" for place in range(len(layers))}
    table = pd.DataFrame([lines], index=["CKA with itself before training"])
    return styled(table.rename_axis("layer", axis=1), name)


class _Both(nn.Module):
    """Several networks that see the same images, so that their layers can be compared."""

    def forward(self, images: torch.Tensor) -> None:
        for network in self.children():
            network(images)


def _percent(share: float) -> str:
    return MISSING if not np.isfinite(share) else f"{100 * share:.0f}%"


def _number(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.2f}"
