"""Tables of the section on reading a CNN as a graph."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler
from torch import nn

from book.lab import ledger
from book.lab.show import MISSING, styled
from book.papers.cnn_dynamics.page import NAMES
from book.papers.cnn_dynamics.s01_graphs import sizes
from book.papers.cnn_dynamics.s01_graphs.measures import EARLIEST, EPOCHS
from modgraph_lib import graphs, signatures

__all__ = ["all_sizes", "by_hand", "own_layout", "runtime_rows", "runtime_table", "table_5"]


def by_hand() -> nn.Sequential:
    """Two inputs, three hidden units, two outputs, with weights that can be added up by eye."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0, -1.0], [0.0, 2.0, 0.25]]))
    return model


def all_sizes() -> dict[tuple[str, str], sizes.Sizes]:
    """Counts of every column of Table 5."""
    return {(data, network): sizes.counted(network, data) for data, network in sizes.PAPER}


def table_5() -> Styler:
    """Table 5, the paper's numbers above ours."""
    lines = {}
    for (data, network), own in all_sizes().items():
        name = f"{NAMES[network]}, {'CIFAR-10' if data == 'cifar10' else '100 classes'}"
        ours = (own.nodes, own.edges, own.unrolled_nodes, own.unrolled_edges)
        lines[name, "paper"] = [_count(value) for value in sizes.PAPER[data, network]]
        lines[name, "ours"] = [_count(value) for value in ours]
    columns = ["nodes, rolled", "edges, rolled", "nodes, unrolled", "edges, unrolled"]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(table.index)
    return styled(table, "cd01-table5")


def own_layout(filters: list[int], dense: list[int]) -> Styler | Markdown:
    """Both graphs' counts for a layout of 5x5 convolutions, each followed by a 2x2 pooling."""
    parts: list[nn.Module] = []
    before, width = 3, 32
    for size in filters:
        parts += [nn.Conv2d(before, size, 5), nn.ReLU(), nn.MaxPool2d(2)]
        before, width = size, (width - 4) // 2
        if width < 1:
            return Markdown("*The images vanish: too many convolutions for 32 pixels.*")
    parts.append(nn.Flatten())
    before *= width * width
    for size in [*dense, 10]:
        parts += [nn.Linear(before, size), nn.ReLU()]
        before = size
    found = sizes.sizes_of(nn.Sequential(*parts[:-1]))
    row = {name.replace("_", " "): _count(value) for name, value in vars(found).items()}
    return styled(pd.DataFrame([row], index=["this layout"]), "cd01-own")


def runtime_rows() -> pd.DataFrame:
    """Stored runtimes at batches of 128, in the paper's order; empty where there are none."""
    rows = ledger.load_results().get("cnn_runtimes", pd.DataFrame(columns=["network"]))
    if rows.empty:
        return rows
    rows = rows[(rows["batch_size"] == 128) & rows["network"].isin(EARLIEST)]
    rows = rows.sort_values("date").drop_duplicates("network", keep="last")
    order = {name: place for place, name in enumerate(EARLIEST)}
    return rows.sort_values("network", key=lambda names: names.map(order))


def runtime_table(rows: pd.DataFrame, name: str) -> Styler | Markdown:
    """Seconds, and how many snapshots cost one epoch of training."""
    if rows.empty:
        return Markdown("*Not run yet (a minute).*")
    lines = [
        {
            "network": NAMES[row.network],
            "epoch of training": f"{row.epoch_seconds:,.1f} s",
            "rolled snapshot": f"{1000 * row.rolled_seconds:,.1f} ms",
            "unrolled snapshot": MISSING
            if np.isnan(row.unrolled_seconds)
            else f"{1000 * row.unrolled_seconds:,.0f} ms",
            f"{EPOCHS} epochs of rolled graphs, of training to the earliest stop": (
                f"{row.rolled_seconds * EPOCHS / row.epoch_seconds / EARLIEST[row.network]:.2%}"
            ),
        }
        for row in rows.itertuples()
    ]
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def eigenvector_numbers(model: nn.Module) -> pd.DataFrame:
    """Mean² + sd² of the eigenvector's entries beside 1/N, for both graphs of a network."""
    found = {
        "rolled": graphs.rolled_graph(model),
        "unrolled": graphs.unrolled_graph(model, sizes.IMAGE),
    }
    lines = {}
    for name, graph in found.items():
        values = signatures.signature(signatures.eigenvector_centrality(graph))
        lines[name] = {
            "nodes N": graph.nodes,
            "mean² + sd²": f"{values[1] ** 2 + values[2] ** 2:.9f}",
            "1/N": f"{1 / graph.nodes:.9f}",
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def _count(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"
