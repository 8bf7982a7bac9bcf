"""A dynamic graph small enough for pencil and paper: twelve samples, three classes, four layers.

The paper's figure 2 shows such a graph with its four values of Q; the weights of its edges are not
printed, so these are ours.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["CLASSES", "MOVES", "PRINTED", "blocks", "choices_inside", "snapshots"]

CLASSES = np.repeat([0, 1, 2], 4)
# Q of the paper's four snapshots, in rising order.
PRINTED = (0.0159, 0.2588, 0.4264, 0.6657)
# Edges inside classes in each snapshot, of 18 in all.
MOVES = (6, 12, 15, 18)


def snapshots() -> list[np.ndarray]:
    """Four graphs (12, 12) with 18 edges of weight 1 each, more and more of them inside classes.

    Every class has the same sum of degrees in each, so that Q = (edges inside) / 18 - 1/3.
    """
    size, classes = 4, 3
    inside = [
        [(size * c + i, size * c + j) for i in range(size) for j in range(i + 1, size)]
        for c in range(classes)
    ]
    # A ring of classes: as many edges from each class to the next.
    across = [
        [(size * c + i, size * ((c + 1) % classes) + (i + shift) % size)
         for shift in range(2) for i in range(size)]
        for c in range(classes)
    ]  # fmt: skip
    order = [0, 5, 1, 4, 2, 3]  # spread over the members of a class
    graphs = []
    for edges_inside in MOVES:
        graph = np.zeros((size * classes, size * classes))
        kept = edges_inside // classes
        for c in range(classes):
            for i, j in [inside[c][place] for place in order[:kept]] + across[c][: 6 - kept]:
                graph[i, j] = graph[j, i] = 1.0
        graphs.append(graph)
    return graphs


def blocks(
    share: float, *, classes: int = 3, size: int = 10, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random weighted graph of equal classes, and its labels.

    Weights are exponential; those inside classes are scaled so that they hold about ``share`` of
    the total.

    Args:
        share: between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, got {share}")
    labels = np.repeat(np.arange(classes), size)
    same = labels[:, None] == labels
    weights = np.triu(rng.exponential(size=(len(labels),) * 2), 1)
    weights = weights + weights.T
    inside, outside = weights[same].sum(), weights[~same].sum()
    return np.where(same, weights * share / inside, weights * (1 - share) / outside), labels


def choices_inside(classes: int, samples: int, k: int) -> float:
    """Expected share of choices that can fall inside classes when N images are drawn at random.

    An image whose class has n others among the drawn can choose at most min(k, n) of them; n is
    binomial. With few images of many classes this, and not the network, limits Q.
    """
    others = np.arange(k + 1)
    chance = stats.binom.pmf(others, samples - 1, 1 / classes)
    return float(1 - ((k - others) * chance).sum() / k)
