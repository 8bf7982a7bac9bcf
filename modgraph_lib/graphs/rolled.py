"""The rolled graph: image channels, filters and dense units as nodes, norms of slices as edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs import chain, tracing
from modgraph_lib.graphs.layered import LayeredGraph

__all__ = ["rolled_graph"]

NORMS = ("frobenius", "l1")


def rolled_graph(
    model: nn.Module, *, kernel_norm: str = "frobenius", inputs: bool = True, example: Any = None
) -> LayeredGraph:
    """The rolled graph of a CNN: one node per image channel, filter and dense unit.

    The edge between filter k and filter l of the next layer is the norm of the slice K[l, k] of
    its kernel. A dense layer after a convolution reads every channel at several positions: its
    edge is the norm over them. Between dense layers an edge is the absolute weight. Biases and
    batch norm are no part of the graph. Of a residual network the longest chain of layers is
    taken, so that shortcuts and their projections are ignored.

    Args:
        model: a chain of layers, or a module that can be traced (``weight_graph``).
        kernel_norm: "frobenius" (root of the sum of squares) or "l1" (sum of absolute values);
            the paper does not say which.
        inputs: whether the image's channels are nodes, as in the paper's counts.
        example: as for ``weight_graph``; needed only where a model has to be traced.

    Returns:
        LayeredGraph; without shortcuts it is bipartite.

    Raises:
        TypeError: no module.
        ValueError: no layer, a grouped convolution, layers that do not follow one another, an
            unknown norm, NaN or infinite weights; ``tracing.TracingError`` where an architecture
            cannot be followed.

    Source: Convolutional Neural Network Dynamics, section 3.1; counts as in table 5.

    >>> graphs.rolled_graph(models.lenet(seed=0)).layers
    (3, 6, 16, 120, 84, 10)
    """
    _checks.filled(model)
    tracing.check_option("kernel_norm", kernel_norm, NORMS)
    layers = chain.layers_of(model) if chain.is_plain(model) else _longest(model, example)
    sizes: list[int] = []
    strengths: list[np.ndarray] = []
    for name, layer in layers:
        kernel = _slices(name, layer, sizes[-1] if sizes else None)
        strengths.append(_norms(kernel, kernel_norm))
        sizes += [len(strengths[-1])] * (not sizes) + [strengths[-1].shape[1]]
    names = ["inputs", *(name for name, _ in layers)]
    if not inputs:
        sizes, strengths, names = sizes[1:], strengths[1:], names[1:]
    blocks = {(i, i + 1): block for i, block in enumerate(strengths)}
    return LayeredGraph(tuple(sizes), blocks, tuple(names))


def _slices(name: str, layer: Any, before: int | None) -> np.ndarray:
    """(outputs, inputs, positions) weights of a layer that reads ``before`` channels or units."""
    if getattr(layer, "groups", 1) != 1:
        raise ValueError(
            f"{name} is a grouped convolution, for which the rolled graph is not defined: most "
            "pairs of its channels share no slice. weight_graph knows groups"
        )
    weight = np.asarray(_checks.plain(layer.weight.detach(), name).cpu().double())
    reads = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
    before = reads if before is None else before
    if reads % before or (isinstance(layer, nn.Conv2d) and reads != before):
        raise ValueError(
            f"{name} reads {reads} channels or units but {before} come before it: these layers do "
            "not follow one another"
        )
    return weight.reshape(len(weight), before, -1)


def _norms(kernel: np.ndarray, norm: str) -> np.ndarray:
    if kernel.shape[2] == 1:
        found = np.abs(kernel[:, :, 0])
    elif norm == "l1":
        found = np.abs(kernel).sum(2)
    else:
        found = np.sqrt(np.einsum("oip,oip->oi", kernel, kernel))
    return np.ascontiguousarray(found.T)


def _longest(model: nn.Module, example: Any) -> list[tuple[str, nn.Module]]:
    """The layers of the longest path from the image to the outputs, by a trace."""
    with torch.no_grad():
        recorder = tracing.record(
            model, dense=True, fold_batch_norm=False, example=example, check=False
        )
    _, blocks, names = tracing.assembled(recorder)
    before: dict[int, int] = {}
    length = dict.fromkeys(range(len(names)), 0)
    for i, j in sorted(blocks, key=lambda pair: pair[1]):
        if length[i] + 1 > length[j]:
            length[j], before[j] = length[i] + 1, i
    path = [max(length, key=lambda j: length[j])]
    while path[-1] in before:
        path.append(before[path[-1]])
    modules = dict(model.named_modules())
    return [(names[i], modules[names[i]]) for i in reversed(path)]
