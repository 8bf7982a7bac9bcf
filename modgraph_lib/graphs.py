"""Weighted graphs of networks: neurons or channels as nodes, weights as edges.

A ``LayeredGraph`` keeps its edges as dense blocks between layers, because that is what a
network is; the symmetric sparse adjacency is made only when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse
import torch
from torch import nn

__all__ = ["LayeredGraph", "weight_graph"]

Weights = nn.Module | Sequence["np.ndarray | torch.Tensor"]


@dataclass(frozen=True, eq=False)
class LayeredGraph:
    """An undirected graph with non-negative weights whose nodes come in layers.

    Attributes:
        layers: number of nodes of each layer.
        blocks: (i, j) with i < j to the float array (layers[i], layers[j]) of edge weights.
        names: one name a layer.

    Raises:
        ValueError: a block of the wrong shape, negative, NaN or infinite weights, or no edge.
    """

    layers: tuple[int, ...]
    blocks: Mapping[tuple[int, int], np.ndarray]
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(f"layer {i}" for i in range(len(self.layers))))
        if len(self.names) != len(self.layers):
            raise ValueError(f"{len(self.layers)} layers but {len(self.names)} names")
        for (i, j), block in self.blocks.items():
            where = f"between {self.names[i]} and {self.names[j]}"
            if not i < j:
                raise ValueError(f"block {(i, j)}: give each pair once, lower layer first")
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

    def without_isolated(self) -> tuple[LayeredGraph, np.ndarray]:
        """The graph without its isolated nodes, and the (N,) boolean mask of nodes kept.

        Source: both n-cut papers drop units without any non-zero weight.
        """
        kept = self.degrees() > 0
        if kept.all():
            return self, kept
        offsets = self.offsets
        parts = [kept[offsets[i] : offsets[i + 1]] for i in range(len(self.layers))]
        blocks = {(i, j): b[np.ix_(parts[i], parts[j])] for (i, j), b in self.blocks.items()}
        return replace(self, layers=tuple(int(p.sum()) for p in parts), blocks=blocks), kept


def weight_graph(model: Weights, *, kernel_norm: str = "l1") -> LayeredGraph:
    """The graph of a feed-forward network: absolute weights between consecutive layers.

    A network of linear layers gives one node per input, hidden unit and output. A network with
    convolutions gives one node per convolution channel: the first kernel (from the image) and
    the dense layers are left out, and the edge between two channels is the norm of the 2-D
    kernel slice that joins them. Biases are not part of the graph.

    Args:
        model: a module whose linear or convolution layers follow one another, or the weight
            matrices themselves, each (outputs, inputs) as torch keeps them.
        kernel_norm: for convolutions "l1" (sum of absolute values, as the paper says),
            "matrix_l1" (largest column sum, what the published code computes under that name)
            or "l2" (spectral norm).

    Raises:
        TypeError: neither a module nor a sequence of matrices.
        ValueError: no usable layer, layers that do not follow one another, NaN weights.

    Source: Neural networks are surprisingly modular, section 2; Clusterability in Neural
    Networks, sections 1.1 and 3.
    """
    if isinstance(model, nn.Module):
        names, matrices = _kernels(model)
    elif isinstance(model, Sequence) and not isinstance(model, str | bytes):
        matrices = list(model)
        names = [f"weights[{i}]" for i in range(len(matrices))]
    else:
        raise TypeError(
            f"weight_graph takes a torch module or a list of weight matrices, got {type(model)}"
        )
    if not matrices:
        raise ValueError("no weights between layers: need a linear layer or two convolutions")
    strengths = [_strength(name, w, kernel_norm) for name, w in zip(names, matrices, strict=True)]
    for (before, after), (left, right) in zip(
        zip(names[:-1], names[1:], strict=True),
        zip(strengths[:-1], strengths[1:], strict=True),
        strict=True,
    ):
        if left.shape[1] != right.shape[0]:
            raise ValueError(
                f"{after} takes {right.shape[0]} inputs but {before} gives {left.shape[1]}: these "
                "layers do not follow one another (a skip connection or a branch?); pass the "
                "weight matrices of one chain as a list"
            )
    layers = (strengths[0].shape[0], *(s.shape[1] for s in strengths))
    blocks = {(i, i + 1): strength for i, strength in enumerate(strengths)}
    return LayeredGraph(layers, blocks, ("inputs", *names))


def _kernels(model: nn.Module) -> tuple[list[str], list[torch.Tensor]]:
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    convolutions = [(n, m) for n, m in layers if isinstance(m, nn.Conv2d)]
    if convolutions:
        grouped = [name for name, m in convolutions if m.groups > 1]
        if grouped:
            raise ValueError(f"grouped convolutions are not supported here: {', '.join(grouped)}")
        layers = convolutions[1:]
    return [name for name, _ in layers], [m.weight for _, m in layers]


def _strength(name: str, weight: np.ndarray | torch.Tensor, kernel_norm: str) -> np.ndarray:
    """(inputs, outputs) edge strengths of one kernel (outputs, inputs, ...)."""
    array = np.asarray(torch.as_tensor(weight).detach().cpu().double())
    if array.ndim == 2:
        return np.ascontiguousarray(np.abs(array).T)
    if array.ndim != 4:
        raise ValueError(f"{name} has shape {array.shape}; expected a matrix or a 4-D kernel")
    if kernel_norm == "l1":
        norms = np.abs(array).sum((2, 3))
    elif kernel_norm == "matrix_l1":
        norms = np.abs(array).sum(2).max(2)
    elif kernel_norm == "l2":
        norms = np.linalg.norm(array, ord=2, axis=(2, 3))
    else:
        raise ValueError(f"kernel_norm is l1, matrix_l1 or l2; got {kernel_norm!r}")
    return np.ascontiguousarray(norms.T)
