"""Weighted graphs of networks: neurons or channels as nodes, weights as edges.

A ``LayeredGraph`` keeps its edges as dense blocks between layers, because that is what a
network is; the symmetric sparse adjacency is made only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks, _memory
from modgraph_lib.graphs import tracing
from modgraph_lib.graphs.correlation import activation_graph
from modgraph_lib.graphs.layered import LayeredGraph
from modgraph_lib.graphs.rolled import rolled_graph
from modgraph_lib.graphs.stream import StreamPart, attention_part, mlp_part
from modgraph_lib.graphs.tracing import inputs
from modgraph_lib.graphs.transformers import stream_parts
from modgraph_lib.graphs.unrolled import UnrolledGraph, unrolled_graph
from modgraph_lib.graphs.virtual import virtual_rotations, virtual_weights

__all__ = [
    "FLOOR",
    "LayeredGraph",
    "StreamPart",
    "UnrolledGraph",
    "activation_graph",
    "attention_part",
    "input_graph",
    "kernel_shuffles",
    "mlp_part",
    "rolled_graph",
    "stream_parts",
    "unrolled_graph",
    "virtual_rotations",
    "virtual_weights",
    "weight_graph",
]

Weights = nn.Module | Sequence["np.ndarray | torch.Tensor"]
# Share of its block's largest weight from which a weight counts: what single precision can add to
# the largest and see a difference. See ``weight_graph``.
FLOOR = 2.0**-24
BLOCK_BYTES = 24  # of an edge while blocks are made: in single and double precision, and a mask
FEWER_EDGES = "choose fewer layers (layers=, leave_out=), or a machine with more"


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
    floor: float = FLOOR,
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
        floor: weights below this share of the largest of their block are zero; how many they were
            is the graph's ``erased``. Weight decay takes weights that no gradient holds up down to
            1e-10, 1e-20, at last 1e-45. A unit that has no others is joined by what single
            precision cannot see, counts as a node, and takes a cluster for itself. 0 keeps every
            weight, as the papers define their graphs.

    Raises:
        TypeError: neither a module nor a sequence of matrices.
        MemoryError: a chain whose graph does not fit, before it is made.
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
        model = tracing.unwrapped(_checks.filled(model))
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
            return _floored(_recorded_graph(recorder), floor)
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
    edges = _count(matrices)
    _memory.check(edges * BLOCK_BYTES, f"a graph of {edges:.2g} edges", FEWER_EDGES)
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
    return _floored(LayeredGraph(sizes, blocks, tuple(names)), floor)


def edges_ahead(model: Weights) -> int:
    """Edges of matrices or of a chain by their shapes; 0 for what has to be traced first."""
    if isinstance(model, nn.Module):
        chain = tracing.unwrapped(_checks.filled(model))
        return _count(_kernels(chain)[1]) if _is_chain(chain) else 0  # type: ignore[arg-type]
    return _count(model) if isinstance(model, list | tuple) else 0


def _count(matrices: Sequence[Any]) -> int:
    return sum(int(np.prod(np.shape(matrix)[:2])) for matrix in matrices)


def _floored(graph: LayeredGraph, floor: float) -> LayeredGraph:
    """The graph without the weights below ``floor`` times the largest of their block."""
    if not 0 <= floor < 1:
        raise ValueError(f"floor is a share of the largest weight, from 0 to below 1; got {floor}")
    blocks, erased = {}, 0
    for pair, block in graph.blocks.items():
        low = (block > 0) & (block < floor * block.max(initial=0))
        erased += int(low.sum())
        blocks[pair] = np.where(low, 0, block) if low.any() else block
    return replace(graph, blocks=blocks, erased=erased) if erased else graph


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
    with inputs.tapped(_checks.filled(model)):
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
    recorder = tracing.record(_checks.filled(model), **options)
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
