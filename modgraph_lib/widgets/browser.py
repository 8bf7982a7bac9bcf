"""Browse the clusters of a report: where each lies in the network, and what it is joined to.

`browse` is the live widget for Jupyter; `plots.cluster_profiles` of all clusters and
`cluster_table` show the same on a static page.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modgraph_lib import plots
from modgraph_lib.report import Report

__all__ = ["browse", "cluster_table", "flows"]


def flows(report: Report) -> np.ndarray:
    """(k, k) edge weight between clusters, symmetric; the diagonal counts both ends.

    A row sums to the cluster's volume.
    """
    graph, k = report.graph, report.k
    member = np.zeros((graph.nodes, k + 1))
    member[np.arange(graph.nodes), report.labels] = 1
    parts = np.split(member[:, 1:], graph.offsets[1:-1])
    total = np.zeros((k, k))
    for (i, j), block in graph.blocks.items():
        between = parts[i].T @ (block @ parts[j])
        total += between + between.T
    return total


def cluster_table(report: Report) -> pd.DataFrame:
    """One row a cluster: nodes, layers it touches, its main layer, weight that stays inside.

    Returns:
        Index 1..k; columns nodes, layers, main_layer (the layer most of whose nodes it holds),
        share_of_layer, inside (share of its volume that stays), neighbour (the cluster at the
        other end of most of the rest; 0 where nothing leaves).
    """
    sizes, between = report.cluster_sizes, flows(report)
    rows = []
    for cluster in range(1, report.k + 1):
        share = sizes[cluster] / sizes["nodes"]
        row = between[cluster - 1].copy()
        volume, inside = row.sum(), row[cluster - 1]
        row[cluster - 1] = 0
        rows.append(
            {
                "nodes": int(sizes[cluster].sum()),
                "layers": int((sizes[cluster] > 0).sum()),
                "main_layer": share.idxmax(),
                "share_of_layer": float(share.max()),
                "inside": float(inside / volume) if volume else np.nan,
                "neighbour": int(row.argmax()) + 1 if row.any() else 0,
            }
        )
    return pd.DataFrame(rows, index=pd.RangeIndex(1, report.k + 1, name="cluster"))


def browse(report: Report) -> Any:
    """The live browser: choose one or several clusters, see their layers, links and units."""
    import ipywidgets as widgets  # only a live notebook needs it

    between, table = flows(report), cluster_table(report)
    chosen = widgets.SelectMultiple(
        options=[(f"{c}: {row.nodes} nodes", c) for c, row in table.iterrows()],
        value=(1,),
        rows=min(12, report.k),
        description="clusters",
    )
    picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
    words = widgets.HTML()

    def show(*_: Any) -> None:
        clusters = list(chosen.value)
        if not clusters:
            words.value = "Choose at least one cluster."
            return
        picture.value = plots.png(plots.cluster_profiles(report.cluster_sizes, between, clusters))
        words.value = "<br>".join(describe(report, cluster) for cluster in clusters)

    chosen.observe(show, names="value")
    show()
    return widgets.VBox([widgets.HBox([chosen, picture]), words])


def describe(report: Report, cluster: int, *, units: int = 12) -> str:
    """One sentence on a cluster: its largest share of a layer, and the first units there."""
    sizes = report.cluster_sizes
    layer = int((sizes[cluster] / sizes["nodes"]).to_numpy().argmax())
    first = report.graph.offsets[layer]
    here = report.labels[first : first + report.graph.layers[layer]]
    members = np.flatnonzero(here == cluster)
    listed = ", ".join(map(str, members[:units])) + (" ..." if len(members) > units else "")
    return (
        f"Cluster {cluster} holds {len(members)} of {len(here)} nodes of "
        f"{report.graph.names[layer]}: units {listed}."
    )
