"""A graph whose nodes come in layers, its edges kept as dense blocks between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse

from modgraph_lib import _checks

__all__ = ["LayeredGraph"]


@dataclass(frozen=True, eq=False)
class LayeredGraph:
    """An undirected graph with non-negative weights whose nodes come in layers.

    Attributes:
        layers: number of nodes of each layer.
        blocks: (i, j) with i < j to the float array (layers[i], layers[j]) of edge weights.
        names: one name a layer.
        gaps: whether the architecture leaves gaps or ties in the blocks (groups, splits, sums,
            weights used twice), which a permutation of each block would fill or break.

    Raises:
        ValueError: a block of the wrong shape, negative, NaN or infinite weights, or no edge.
    """

    layers: tuple[int, ...]
    blocks: Mapping[tuple[int, int], np.ndarray]
    names: tuple[str, ...] = field(default=())
    gaps: bool = False

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(f"layer {i}" for i in range(len(self.layers))))
        if len(self.names) != len(self.layers):
            raise ValueError(f"{len(self.layers)} layers but {len(self.names)} names")
        for (i, j), block in self.blocks.items():
            if not i < j:
                raise ValueError(f"block {(i, j)}: give each pair once, lower layer first")
            if not 0 <= i < j < len(self.layers):
                raise ValueError(f"block {(i, j)}: there are {len(self.layers)} layers, from 0")
            where = f"between {self.names[i]} and {self.names[j]}"
            _checks.instance(block, np.ndarray, f"weights {where} as an array")
            if block.shape != (self.layers[i], self.layers[j]):
                expected = (self.layers[i], self.layers[j])
                raise ValueError(f"weights {where} have shape {block.shape}, expected {expected}")
            if not np.isfinite(block).all():
                raise ValueError(
                    f"weights {where} hold {np.count_nonzero(~np.isfinite(block))} NaN or infinite "
                    "values; a diverged training run? Train again with a lower learning rate"
                )
            if (block < 0).any():
                raise ValueError(f"weights {where} are negative; a graph takes absolute values")
        if not any(block.any() for block in self.blocks.values()):
            raise ValueError("the graph has no edge: every weight is zero")

    @property
    def nodes(self) -> int:
        """Number of nodes, isolated ones included."""
        return sum(self.layers)

    @property
    def offsets(self) -> np.ndarray:
        """(L+1,) index of each layer's first node in the order of ``adjacency``."""
        return np.concatenate([[0], np.cumsum(self.layers)])

    @property
    def is_bipartite(self) -> bool:
        """Whether every edge joins an even layer to an odd one (true without skip connections)."""
        return all((j - i) % 2 == 1 for i, j in self.blocks)

    def degrees(self) -> np.ndarray:
        """(N,) sum of edge weights at each node."""
        degrees = [np.zeros(size) for size in self.layers]
        for (i, j), block in self.blocks.items():
            degrees[i] += block.sum(1)
            degrees[j] += block.sum(0)
        return np.concatenate(degrees)

    def matvec(self, x: np.ndarray) -> np.ndarray:
        """(N,) the adjacency times a vector (N,) of nodes; layers that are zero cost nothing."""
        parts = np.split(np.asarray(x, dtype=np.float64), self.offsets[1:-1])
        filled = [part.any() for part in parts]
        sums = [np.zeros(size) for size in self.layers]
        for (i, j), block in self.blocks.items():
            if filled[j]:
                sums[i] += block @ parts[j]
            if filled[i]:
                sums[j] += parts[i] @ block
        return np.concatenate(sums)

    def adjacency(self) -> scipy.sparse.csr_array:
        """(N, N) symmetric adjacency, nodes ordered by layer."""
        offsets = self.offsets
        rows, columns, values = [], [], []
        for (i, j), block in self.blocks.items():
            row, column = np.nonzero(block)
            rows.append(row + offsets[i])
            columns.append(column + offsets[j])
            values.append(block[row, column])
        row, column, value = map(np.concatenate, (rows, columns, values))
        both = (np.concatenate([row, column]), np.concatenate([column, row]))
        data = np.concatenate([value, value])
        return scipy.sparse.coo_array((data, both), shape=(self.nodes, self.nodes)).tocsr()

    def without_isolated(self, degree: float = 0.0) -> tuple[LayeredGraph, np.ndarray]:
        """The graph without its isolated nodes, and the (N,) boolean mask of nodes kept.

        ``degree`` is the largest that counts as isolated, for units that weight decay has left
        with weights like 1e-30.

        Source: both n-cut papers drop units without any non-zero weight.
        """
        kept = self.degrees() > _checks.number(degree, "degree", least=0)
        if kept.all():
            return self, kept
        offsets = self.offsets
        parts = [kept[offsets[i] : offsets[i + 1]] for i in range(len(self.layers))]
        blocks = {(i, j): b[np.ix_(parts[i], parts[j])] for (i, j), b in self.blocks.items()}
        return replace(self, layers=tuple(int(p.sum()) for p in parts), blocks=blocks), kept
