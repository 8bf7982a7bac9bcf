"""Draw the opening picture of the book from trained networks: ``make picture``.

Needs MNIST and Fashion-MNIST, and the networks of Table 1 (seed 0, dropout); networks that are
not in the cache are trained first, a few minutes each.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgb

from book.papers.ncut import mlps
from modgraph_lib import cache, clustering, graphs, training
from modgraph_lib.plots import style

PICTURE = Path(__file__).resolve().parents[1] / "assets" / "opening.png"
CLUSTERS = 12
SIDE = 28
WITHOUT_WEIGHT = "#e8e8e8"


def main() -> None:
    """Two trained networks and one of their shuffles, each as a map of its pixels' clusters."""
    panels = []
    for data, title in (("mnist", "trained on digits"), ("fashion_mnist", "trained on clothes")):
        network = training.trained(mlps.condition(data, "dropout", 0))
        graph = graphs.weight_graph(network.model("pruned"))
        panels.append((title, graph))
    shuffled = clustering.shuffle_graph(panels[0][1], seed=0)
    panels.append(("the digits network, weights shuffled", shuffled))
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
    colours = [to_rgb(WITHOUT_WEIGHT), *map(to_rgb, style.cluster_colours(CLUSTERS))]
    for panel, (title, graph) in zip(axes, panels, strict=True):
        labels = clustering.spectral_clustering(graph, CLUSTERS)
        pixels = by_size(labels[: SIDE * SIDE]).reshape(SIDE, SIDE)
        panel.imshow(pixels + 1, cmap=ListedColormap(colours), vmin=0, vmax=CLUSTERS)
        panel.set_title(title, fontsize=11)
        panel.set_xticks([])
        panel.set_yticks([])
        print(f"{title}: n-cut {clustering.ncut(graph, labels):.3f}")
    write = lambda path: figure.savefig(path, dpi=150, format="png", bbox_inches="tight")  # noqa: E731
    cache.write_atomically(PICTURE, write)
    print(PICTURE)


def by_size(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered by how many pixels they hold, so that big ones get the first colours."""
    found, counts = np.unique(labels[labels >= 0], return_counts=True)
    rank = {cluster: i for i, cluster in enumerate(found[np.argsort(-counts)])}
    return np.array([rank.get(label, -1) for label in labels])


if __name__ == "__main__":
    main()
