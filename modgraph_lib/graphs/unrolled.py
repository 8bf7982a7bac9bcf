"""The unrolled graph of a CNN, as an operator: pixels and units as nodes, edges never stored.

A convolution is a sparse matrix with equal entries along its diagonals. A product with it is a
convolution, one with its transpose a transposed convolution; so degrees and eigenvectors of a
graph with 10^8 edges need the memory of its nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks
from modgraph_lib.graphs import chain

__all__ = ["UnrolledGraph", "unrolled_graph"]

SIGNS = ("absolute", "positive", "negative")
MAX_EDGES = 5_000_000


@dataclass(frozen=True, eq=False)
class Block:
    """The edges between two neighbouring layers.

    Attributes:
        weight: (outputs, inputs) of a dense layer, (F, C, h, w) of a convolution; a pooling is
            one with a kernel of ones for every channel.
        shape: (channels, height, width) of the units that it reads.
        stride, padding: of the kernel.
        groups: channels of a pooling; 1 for a convolution.
    """

    weight: torch.Tensor
    shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sums at the outputs of what stands at the inputs, both flat."""
        if self.weight.ndim == 2:
            return self.weight @ x
        image, settings = x.view(1, *self.shape), (self.stride, self.padding, 1, self.groups)
        return functional.conv2d(image, self.weight, None, *settings).flatten()

    def backward(self, y: torch.Tensor) -> torch.Tensor:
        """Sums at the inputs of what stands at the outputs: the transpose of ``forward``."""
        if self.weight.ndim == 2:
            return y @ self.weight
        size = self.shape[1:]
        kernel = self.weight.shape[2:]
        found = [
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip(size, self.padding, kernel, self.stride, strict=True)
        ]
        # Pixels at the edge that the stride never reaches have no edges, but are nodes.
        over = [
            n - ((f - 1) * s - 2 * p + k)
            for n, f, s, p, k in zip(size, found, self.stride, self.padding, kernel, strict=True)
        ]
        image = y.view(1, -1, *found)
        settings = (self.stride, self.padding, over, self.groups)
        return functional.conv_transpose2d(image, self.weight, None, *settings).flatten()

    @property
    def outputs(self) -> int:
        """Number of units that it writes."""
        return len(self.forward(self.weight.new_zeros(int(np.prod(self.shape)))))

    def edges(self) -> int:
        """Number of weights that are not zero, without those that lie on padding."""
        there = (self.weight != 0).to(self.weight.dtype)
        ones = self.weight.new_ones(int(np.prod(self.shape)))
        counted = Block(there, self.shape, self.stride, self.padding, self.groups)
        return round(float(counted.forward(ones).double().sum()))

    def matrix(self) -> scipy.sparse.coo_array:
        """(outputs, inputs) of its edges, one by one."""
        inputs = int(np.prod(self.shape))
        if self.weight.ndim == 2:
            return scipy.sparse.coo_array(self.weight.numpy())
        # Where each entry of the kernel reads: the numbers of the pixels, 0 for padding.
        numbers = torch.arange(1, inputs + 1, dtype=torch.float64).view(1, *self.shape)
        reads = functional.unfold(
            numbers, self.weight.shape[2:], padding=self.padding, stride=self.stride
        )
        places = reads.shape[2]
        reads = reads.view(self.groups, -1, places).long()
        filters = self.weight.view(self.groups, -1, reads.shape[1], 1)
        values = filters.expand(-1, -1, -1, places)
        columns = reads[:, None].expand(values.shape)
        rows = torch.arange(values.shape[0] * values.shape[1] * places)
        rows = rows.view(values.shape[0], values.shape[1], 1, places).expand(values.shape)
        kept = (columns > 0) & (values != 0)
        where = (rows[kept].numpy(), columns[kept].numpy() - 1)
        return scipy.sparse.coo_array((values[kept].numpy(), where), shape=(len(self), inputs))

    def __len__(self) -> int:
        return self.outputs


@dataclass(frozen=True, eq=False)
class UnrolledGraph:
    """An undirected graph of all units of a network, given by its layers' operators.

    Attributes:
        layers: number of units of each layer: image, convolutions, poolings, dense layers.
        blocks: what joins layer i to layer i + 1.
        names: one name a layer.
        sign: which weights are edges.
    """

    layers: tuple[int, ...]
    blocks: tuple[Block, ...]
    names: tuple[str, ...]
    sign: str

    is_bipartite = True

    @property
    def nodes(self) -> int:
        """Number of nodes, isolated ones included."""
        return sum(self.layers)

    @property
    def edges(self) -> int:
        """Number of edges: counted, never stored."""
        return sum(block.edges() for block in self.blocks)

    @property
    def rounding(self) -> float:
        """Of the products: the relative distance of neighbouring numbers of their type."""
        return float(torch.finfo(self.blocks[0].weight.dtype).eps)

    @property
    def offsets(self) -> np.ndarray:
        """(L+1,) index of each layer's first node."""
        return np.concatenate([[0], np.cumsum(self.layers)])

    def degrees(self) -> np.ndarray:
        """(N,) sum of edge weights at each node."""
        return self.matvec(np.ones(self.nodes))

    def matvec(self, x: np.ndarray) -> np.ndarray:
        """(N,) the adjacency times a vector (N,) of nodes; layers that are zero cost nothing."""
        dtype = self.blocks[0].weight.dtype
        parts = list(torch.from_numpy(np.asarray(x)).to(dtype).split(self.layers))
        sums = [torch.zeros_like(part) for part in parts]
        filled = [bool(part.any()) for part in parts]
        with torch.no_grad():
            for i, block in enumerate(self.blocks):
                if filled[i]:
                    sums[i + 1] += block.forward(parts[i])
                if filled[i + 1]:
                    sums[i] += block.backward(parts[i + 1])
        return torch.cat(sums).double().numpy()

    def adjacency(self) -> scipy.sparse.csr_array:
        """(N, N) symmetric adjacency, for small graphs.

        Raises:
            ValueError: more than 5,000,000 edges (says how many).
        """
        if (edges := self.edges) > MAX_EDGES:
            raise ValueError(
                f"the graph has {edges:,} edges, too many to write down (at most {MAX_EDGES:,}); "
                "degrees() and matvec() need none of them"
            )
        starts, rows, columns, values = self.offsets, [], [], []
        for i, block in enumerate(self.blocks):
            matrix = block.matrix()
            rows.append(matrix.row + starts[i + 1])
            columns.append(matrix.col + starts[i])
            values.append(matrix.data)
        row, column, value = map(np.concatenate, (rows, columns, values))
        both = (np.concatenate([row, column]), np.concatenate([column, row]))
        data = np.concatenate([value, value])
        return scipy.sparse.coo_array((data, both), shape=(self.nodes, self.nodes)).tocsr()


def unrolled_graph(
    model: nn.Module,
    image_shape: tuple[int, int, int],
    *,
    sign: str = "absolute",
    dtype: torch.dtype = torch.float64,
) -> UnrolledGraph:
    """The unrolled graph of a CNN: every pixel, map unit, pooled unit and dense unit is a node.

    A unit is joined to all that it reads by the weights it reads them with; units that lie on
    padding are no nodes. A pooling joins a unit to its window by weights of 1, which are
    positive. Biases, batch norm, activations and dropout are no part of the graph. For a
    convolution without padding, the number of edges is that of the multiply-adds for an image.

    Args:
        model: a chain of layers (nn.Sequential).
        image_shape: (channels, height, width) of one image.
        sign: "absolute", or "positive" or "negative": the edges of that sign alone, by their
            absolute weights. A negative graph falls apart at every pooling.
        dtype: of the products; float32 is twice as fast and good to about 1e-6.

    Raises:
        TypeError: no module.
        ValueError: no chain, a grouped or dilated convolution, an image that is too small, a
            step that is none of the above, an unknown sign, NaN or infinite weights.

    Source: Convolutional Neural Network Dynamics, section 2.3 and appendix A.2.

    >>> graph = graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32))
    >>> graph.nodes, graph.edges
    (11166, 658024)
    """
    if sign not in SIGNS:
        raise ValueError(f"sign is one of {', '.join(SIGNS)}; got {sign!r}")
    shape: tuple[int, ...] = _checks.shape(image_shape, "image_shape")
    blocks: list[Block] = []
    names = ["inputs"]
    x = torch.zeros(2, *shape)
    for name, part in chain.steps(model):
        before = tuple(x.shape[1:])
        x = _run(name, part, x)
        if block := _block(name, part, before, sign, dtype):
            blocks.append(block)
            names.append(name)
        elif isinstance(part, nn.Flatten) or x.shape[1:] == before:
            continue
        else:
            raise ValueError(
                f"{name} ({type(part).__name__}) turns {before} into {tuple(x.shape[1:])}: the "
                "unrolled graph knows convolutions, poolings, dense layers and what acts on "
                "single units"
            )
    if not blocks:
        raise ValueError("the network has no convolution and no linear layer")
    sizes = [int(np.prod(shape)), *(len(block) for block in blocks)]
    return UnrolledGraph(tuple(sizes), tuple(blocks), tuple(names), sign)


def _run(name: str, part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a step makes of an image, to learn the shape."""
    training, like = part.training, next(iter(part.parameters()), x)
    try:
        with torch.no_grad():
            return part.eval()(x.to(like)).cpu()
    except RuntimeError as error:
        raise ValueError(
            f"{name} ({type(part).__name__}) cannot read {tuple(x.shape[1:])}: the image is too "
            f"small, or has other channels than the network ({error})"
        ) from None
    finally:
        part.train(training)


def _block(name, part, shape, sign, dtype) -> Block | None:
    image = (*shape, 1, 1)[:3]
    if isinstance(part, nn.Linear):
        if len(shape) > 1:
            raise ValueError(f"{name} reads features of {shape}; put a Flatten before it")
        return Block(_signed(name, part.weight, sign, dtype), image)
    if isinstance(part, nn.Conv2d):
        if part.groups != 1 or _pair(part.dilation) != (1, 1) or isinstance(part.padding, str):
            raise ValueError(
                f"{name}: the unrolled graph knows convolutions with groups=1, dilation=1 and "
                f"padding given as numbers; got {part}"
            )
        weight = _signed(name, part.weight, sign, dtype)
        return Block(weight, image, _pair(part.stride), _pair(part.padding))
    if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
        if part.ceil_mode or _pair(getattr(part, "dilation", 1)) != (1, 1):
            raise ValueError(f"{name}: a pooling with ceil_mode or dilation is not known")
        ones = torch.full((shape[0], 1, *_pair(part.kernel_size)), float(sign != "negative"))
        return Block(
            ones.to(dtype), image, _pair(part.stride), _pair(part.padding), groups=shape[0]
        )
    return None


def _signed(name: str, weight: torch.Tensor, sign: str, dtype: torch.dtype) -> torch.Tensor:
    weight = _checks.plain(weight, name).cpu().to(dtype)
    if not torch.isfinite(weight).all():
        raise ValueError(
            f"{name} holds NaN or infinite weights; a diverged training run? Train again with a "
            "lower learning rate"
        )
    if sign == "absolute":
        return weight.abs()
    return (weight if sign == "positive" else -weight).clamp_min(0)


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
