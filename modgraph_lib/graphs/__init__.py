"""Weighted graphs of networks: neurons or channels as nodes, weights as edges.

A ``LayeredGraph`` keeps its edges as dense blocks between layers, because that is what a
network is; the symmetric sparse adjacency is made only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs import tracing
from modgraph_lib.graphs.tracing import inputs

__all__ = ["LayeredGraph", "input_graph", "kernel_shuffles", "weight_graph"]

Weights = nn.Module | Sequence["np.ndarray | torch.Tensor"]


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


def weight_graph(
    model: Weights,
    *,
    kernel_norm: str = "l1",
    fold_batch_norm: bool = True,
    dense: bool = False,
    depthwise: str = "scale",
    residual: str = "walk",
    example: Any = None,
    layers: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    check: bool = True,
) -> LayeredGraph:
    """The graph of a feed-forward network: nodes are units or channels, edges absolute weights.

    *Nodes.* A network of linear layers has one node per input, hidden unit and output. A network
    with convolutions has one node per output channel of each convolution; the first kernel
    (from the image) and the dense layers, which read (N, features), are left out. A linear layer
    applied at every position (transformers, ConvNeXt) is a 1x1 convolution. Biases are no part
    of the graph.

    *Edges.* The edge between two channels is the norm of the 2-D kernel slice that joins them.
    Activations, dropout, pooling and reshaping are passed through, and so are:

    - a residual sum: the next layers are joined to every layer that was added up;
    - a concatenation: each part keeps its own channels;
    - a batch norm: the channel's outgoing weights are multiplied by |gamma| / sqrt(var + eps);
      gamma of the other norms, and tensors multiplied on per channel (layer scale), alike;
    - a depthwise convolution cannot mix channels, so each kernel's norm is a factor on its
      channel. As a layer of nodes it would be a diagonal block, which a shuffle scatters: the
      null would then say more about the architecture than about the weights;
    - a gate (squeeze and excitation): the gating layer's channels go on beside the gated ones;
    - attention: queries, keys and values are nodes, and the values' channels reach the output
      projection. Queries and keys decide where to look; no weight leads on from them;
    - a grouped convolution has edges within its groups only. The shuffle "layer" moves weights
      across groups; "layer_nonzero" keeps them inside.

    Args:
        model: a module, or weight matrices that follow one another, each (outputs, inputs) as
            torch keeps them. A module that is no plain chain is run once on a random input.
        kernel_norm: for convolutions "l1" (sum of absolute values, as the paper says),
            "matrix_l1" (largest column sum, what the published code computes under that name),
            "frobenius" (root of the sum of squares) or "l2" (spectral norm, the published code's
            "L2").
        fold_batch_norm: whether fixed factors (batch norm and its like) are folded in.
        dense: include the dense layers of a network with convolutions; their edges sum the
            absolute weights over positions.
        depthwise: "scale", or "nodes" to give depthwise convolutions nodes of their own.
        residual: "walk" as above, or "merge": channels that are added up become one node, named
            after the first layer. A deep stream (transformers) is far smaller then.
        example: shape of one sample, (channels, height, width); or the inputs of the model's
            forward: a tensor, a list of positional ones, a dictionary of keyword ones. By
            default common sizes are tried.
        layers, leave_out: names of layers, of parts of the model or patterns ("aux*") to choose
            or leave out. A layer left out has no nodes, and what it computes leads nowhere.
        check: compare what is joined with gradients of the network cut at every layer, which
            know nothing of the rules, and warn (``tracing.TraceWarning``) where they disagree.
            It takes about as long as the trace.

    Raises:
        TypeError: neither a module nor a sequence of matrices.
        ValueError: no usable layer, layers that do not follow one another, NaN weights, an
            unknown option; ``tracing.TracingError`` where an architecture cannot be followed.

    Source: Neural networks are surprisingly modular, section 2; Clusterability in Neural
    Networks, sections 1.1 and 3. Both are silent on everything after the batch norm; residual
    sums are walked through as in the published code.

    >>> graph = graphs.weight_graph(models.mlp(4, 2, widths=(8, 8), seed=0))
    >>> graph.layers, sorted(graph.blocks)
    ((4, 8, 8, 2), [(0, 1), (1, 2), (2, 3)])
    """
    tracing.check_option("kernel_norm", kernel_norm, tracing.KERNEL_NORMS)
    if isinstance(model, nn.Module):
        model = tracing.unwrapped(model)
        if not _is_chain(model) or dense or layers is not None or leave_out:
            recorder = tracing.record(
                model,
                kernel_norm=kernel_norm,
                fold_batch_norm=fold_batch_norm,
                dense=dense,
                depthwise=depthwise,
                residual=residual,
                example=example,
                layers=layers,
                leave_out=leave_out,
                check=check,
            )
            return _recorded_graph(recorder)
        names, matrices = _kernels(model)  # type: ignore[arg-type]  # a chain is a Sequential
    elif isinstance(model, Sequence) and not isinstance(model, str | bytes):
        matrices = list(model)  # type: ignore[arg-type]  # arrays are taken, too
        names = ["inputs", *(f"weights[{i}]" for i in range(len(matrices)))]
    else:
        raise TypeError(
            f"weight_graph takes a torch module or a list of weight matrices, got {type(model)}; "
            "other graphs go to clustering as adjacency matrices, those of networkx by "
            "networkx.to_scipy_sparse_array"
        )
    _check_blocks(matrices)
    strengths = [
        tracing.strength(name, w, kernel_norm=kernel_norm)
        for name, w in zip(names[1:], matrices, strict=True)
    ]
    for place, (left, right) in enumerate(zip(strengths[:-1], strengths[1:], strict=True), 1):
        if left.shape[1] != right.shape[0]:
            raise ValueError(
                f"{names[place + 1]} takes {right.shape[0]} inputs but {names[place]} gives "
                f"{left.shape[1]}: these layers do not follow one another (a skip connection or "
                "a branch?); pass the module, or the weight matrices of one chain as a list"
            )
    sizes = (strengths[0].shape[0], *(s.shape[1] for s in strengths))
    blocks = {(i, i + 1): strength for i, strength in enumerate(strengths)}
    return LayeredGraph(sizes, blocks, tuple(names))


def input_graph(
    model: nn.Module, *, kernel_norm: str = "matrix_l1", example: Any = None, check: bool = True
) -> LayeredGraph:
    """The graph that the papers' released code makes of an ImageNet network.

    Its nodes are what each convolution *reads* (and what the classifier reads): a channel read by
    several convolutions is several nodes. Residual sums are walked through, the image is left out,
    and a batch norm multiplies the kernel before it. In a chain without batch norm this is
    ``weight_graph``. The code keeps the sign of a batch norm's gamma, so that a negative one gives
    negative edges, for which neither degree nor n-cut is defined; here its absolute value counts.

    Args:
        model: a torchvision network with a classifier called ``fc`` or ``classifier``.
        kernel_norm, example, check: as for ``weight_graph``.

    Raises:
        ValueError: as ``weight_graph``, and a network without such a classifier.

    Source: released code of Clusterability in Neural Networks, section 3.1.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.Flatten())
    >>> model.add_module("fc", nn.Linear(5, 2))
    >>> graphs.input_graph(model, example=(3, 1, 1)).layers
    (4, 5)
    """
    with inputs.tapped(_checks.module(model)):
        recorder = tracing.record(model, kernel_norm=kernel_norm, example=example, check=check)
    layers, blocks, names = inputs.input_blocks(recorder)
    _check_blocks(blocks)
    return LayeredGraph(layers, blocks, names)


def kernel_shuffles(
    model: nn.Module, *, seeds: Sequence[Any], **options: Any
) -> Iterator[LayeredGraph]:
    """Graphs of a module with the entries of every kernel permuted, one for each seed.

    A layer that reads part of the channels before it (a split, a group) leaves gaps in its
    blocks, and one that reads a sum is in several blocks with the same weights.
    ``clustering.shuffle_graph`` permutes each block by itself, which fills the gaps and breaks
    the ties; an untrained ShuffleNet then lies far below all of its shuffles. Here a kernel is
    permuted once, within groups where it has groups, and read by all; fixed factors stay with
    their channels. The gaps matter most: untrained residual networks are unremarkable under
    either null.

    Args:
        model: a torch module.
        seeds: one seed (an int or a list of ints) for each graph.
        options: those of ``weight_graph``.

    Raises:
        ValueError: as ``weight_graph``.

    >>> model = models.mlp(4, 2, widths=(8,), seed=0)
    >>> [graph.layers for graph in graphs.kernel_shuffles(model, seeds=[0, 1])]
    [(4, 8, 2), (4, 8, 2)]
    """
    _checks.instance(seeds, Sequence, "seeds as a list, one for each graph")
    seeds = [_checks.seed(seed) for seed in seeds]
    recorder = tracing.record(_checks.module(model), **options)
    for seed in seeds:
        yield _recorded_graph(recorder, np.random.default_rng(seed))


def _recorded_graph(recorder, rng: np.random.Generator | None = None) -> LayeredGraph:
    layers, blocks, names = tracing.assembled(recorder, rng)
    _check_blocks(blocks)
    return LayeredGraph(layers, blocks, names, tracing.has_gaps(recorder))


def _check_blocks(blocks: Sized) -> None:
    if not blocks:
        raise ValueError("no weights between layers: need a linear layer or two convolutions")


def _is_chain(model: nn.Module) -> bool:
    """Whether a module is a plain sequence, whose weights can be read off without running it."""
    if not isinstance(model, nn.Sequential) or type(model).forward is not nn.Sequential.forward:
        return False
    plain = all(
        type(part) in _CHAINABLE and getattr(part, "groups", 1) == 1 and not _changed(part)
        for part in model
    )
    owned = len(list(model.named_parameters(remove_duplicate=False)))
    return plain and len(list(model.parameters())) == owned and not _changed(model)


def _changed(module: nn.Module) -> bool:
    """Whether a call does more than the class says (pruning and weight norm are such hooks)."""
    hooks = module._forward_pre_hooks or module._forward_hooks
    return bool(hooks) or "forward" in vars(module)


def _kernels(model: nn.Sequential) -> tuple[list[str], list[torch.Tensor]]:
    """Names of all layers of a chain, and the kernels between them."""
    layers = [(n, m) for n, m in model.named_children() if isinstance(m, nn.Linear | nn.Conv2d)]
    convolutions = [(n, m) for n, m in layers if isinstance(m, nn.Conv2d)]
    if convolutions:
        return [n for n, _ in convolutions], [m.weight for _, m in convolutions[1:]]
    return ["inputs", *(n for n, _ in layers)], [m.weight for _, m in layers]


_CHAINABLE = (
    nn.Conv2d,
    nn.Linear,
    nn.Flatten,
    nn.ReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.GELU,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Softmax,
    nn.LogSoftmax,
)
