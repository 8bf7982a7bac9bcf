"""Local search for clusters of high layered modularity (``clustering.layered``)."""

from __future__ import annotations

import numpy as np

from modgraph_lib.graphs import LayeredGraph

__all__ = ["GAIN", "Blocks", "centred_blocks", "score", "search"]

GAIN = 1e-10  # what counts as a rise of Q
Blocks = dict[tuple[int, int], np.ndarray]


def centred_blocks(graph: LayeredGraph) -> Blocks:
    """Each block less its null, all divided by the total weight; edges count once."""
    total = sum(block.sum() / (1 + (i == j)) for (i, j), block in graph.blocks.items())
    found = {}
    for pair, block in graph.blocks.items():
        if (weight := block.sum()) > 0:
            found[pair] = (block - np.outer(block.sum(1), block.sum(0)) / weight) / total
    return found


def _between(centred: Blocks, parts: list[np.ndarray], k: int) -> dict:
    """(k, k) sums of each block over pairs of clusters; edges within a layer count once."""
    member = [_one_hot(part, k) for part in parts]
    return {
        (i, j): member[i].T @ block @ member[j] / (1 + (i == j))
        for (i, j), block in centred.items()
    }


def score(centred: Blocks, parts: list[np.ndarray], k: int) -> float:
    return float(sum(np.trace(between) for between in _between(centred, parts, k).values()))


def search(centred: Blocks, parts: list[np.ndarray], k: int) -> float:
    """Improve the labels of each layer in place; the Q they reach."""
    best = -np.inf
    while True:
        _moves(centred, parts, k)
        _rename(centred, parts, k)
        _merge(centred, parts, k)
        q = score(centred, parts, k)
        if q <= best + GAIN:
            return max(q, best)
        best = q


def _moves(centred: Blocks, parts: list[np.ndarray], k: int) -> None:
    """Best responses, layer after layer, until no node moves."""
    member = [_one_hot(part, k) for part in parts]
    moved = True
    while moved:
        moved = False
        for layer, part in enumerate(parts):
            gains = np.zeros((len(part), k))
            for (i, j), block in centred.items():
                if i == layer != j:
                    gains += block @ member[j]
                elif j == layer != i:
                    gains += block.T @ member[i]
            if (layer, layer) in centred:
                new = _one_by_one(centred[layer, layer], gains, part, k)
            else:  # nodes of a layer have no edges among them and can move at once
                new = _better(gains, part)
            if (new != part).any():
                moved = True
                parts[layer], member[layer] = new, _one_hot(new, k)


def _better(gains: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Where each node gains most; it stays unless it gains by moving."""
    stay = gains[np.arange(len(part)), part] >= gains.max(1) - GAIN / len(part)
    return np.where(stay, part, gains.argmax(1))


def _one_by_one(block: np.ndarray, gains: np.ndarray, part: np.ndarray, k: int) -> np.ndarray:
    """Best responses of nodes that have edges among them, each knowing the moves before it."""
    part, others = part.copy(), block - np.diag(np.diag(block))
    gains = gains + others @ _one_hot(part, k)
    for node, old in enumerate(part):
        new = gains[node].argmax()
        if gains[node, new] > gains[node, old] + GAIN / len(part):
            part[node] = new
            gains[:, old] -= others[:, node]
            gains[:, new] += others[:, node]
    return part


def _rename(centred: Blocks, parts: list[np.ndarray], k: int) -> None:
    """Give clusters on either side of each depth the names under which most weight stays inside."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    between = _between(centred, parts, k)
    for depth in range(1, len(parts)):
        across = sum((b for (i, j), b in between.items() if i < depth <= j), np.zeros((k, k)))
        names, later = linear_sum_assignment(across, maximize=True)
        if across[names, later].sum() > np.trace(across) + GAIN:
            renamed = np.argsort(later)  # names are 0 to k - 1
            for layer in range(depth, len(parts)):
                parts[layer] = renamed[parts[layer]]
            for (i, j), block in between.items():
                rows, columns = (later if depth <= end else names for end in (i, j))
                between[i, j] = block[np.ix_(rows, columns)]


def _merge(centred: Blocks, parts: list[np.ndarray], k: int) -> None:
    """Join the two clusters that gain most by it, as long as any do."""
    both = sum((b + b.T for b in _between(centred, parts, k).values()), np.zeros((k, k)))
    np.fill_diagonal(both, 0)
    while both.max() > GAIN:
        one, two = np.unravel_index(both.argmax(), both.shape)
        for layer, part in enumerate(parts):
            parts[layer] = np.where(part == two, one, part)
        both[one] += both[two]
        both[:, one] += both[:, two]
        both[two] = both[:, two] = both[one, one] = 0


def _one_hot(part: np.ndarray, k: int) -> np.ndarray:
    """(n, k) indicator; rows of zeros for negative labels."""
    return (part[:, None] == np.arange(k)).astype(float)
