"""The graph of a transformer whose nodes are what reads and writes, not the stream between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs.layered import LayeredGraph
from modgraph_lib.graphs.stream import StreamPart
from modgraph_lib.graphs.transformers import stream_parts

__all__ = ["virtual_rotations", "virtual_weights"]

UNSEEN = 1e-9  # of a read's size: what of it may lie along a direction that no one reads


def virtual_weights(model: nn.Module | Sequence[StreamPart]) -> LayeredGraph:
    """The graph of a transformer: nodes are MLP units and attention heads.

    The coordinates of the residual stream are no nodes: turn the stream (every weight that reads
    or writes it along with it) and the function stays, while a graph on its coordinates changes.
    Here an edge joins a component i to every later component j, by how much j sees of what i
    writes,

        w_ij = |read_j' C write_i| / (|read_j| |C write_i|),

    with Frobenius norms, the gains of the norm before j in read_j, and C the centring (LayerNorm;
    RMSNorm has none). It lies between 0 and 1; two unrelated components have about 1 / sqrt(d).
    Where j reads in several ways (a head: query, key, value; a gated unit: gate, up) it is the
    root mean square over them. Where norms stand after the sum (post-norm: BERT, torch's default)
    a write has passed the norms of all layers between when it arrives, and |write_i| is its norm
    on arrival.

    Layers of the graph are parts of the model, an attention layer or an MLP; edges run from each to
    all later ones. So the graph is not a chain. n-cut and modularity are defined on it; what a
    shuffle of weights within a block says is not to be trusted (``virtual_rotations``). Biases,
    embeddings and the read-out are no part of it. Memory: 8 bytes for each pair of components in
    different parts.

    Args:
        model: torch's TransformerEncoder(Layer), torchvision's or timm's ViT, BERT, GPT-2, Llama
            or ViT of transformers, or a model that holds one; or parts of any other model, in the
            order in which they add to the stream.

    Raises:
        TypeError: neither.
        ValueError: no block that is known, or one with weights that this reading leaves out; parts
            of different widths, or fewer than two.

    Source: virtual weights as in Elhage et al. (2021), A mathematical framework for transformer
    circuits; the normalised edge is that paper's composition score.

    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)
    >>> graph = graphs.virtual_weights(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    >>> graph.layers, graph.names[:2], len(graph.blocks)
    ((2, 16, 2, 16), ('0.attention', '0.mlp'), 6)
    """
    return _graph(_parts(model), None)


def virtual_rotations(
    model: nn.Module | Sequence[StreamPart], *, seeds: Sequence[Any]
) -> Iterator[LayeredGraph]:
    """The null of ``virtual_weights``: writes turned at random before a later part reads them.

    For every pair of parts an orthogonal matrix is drawn (Haar) and stands between the two, in the
    subspace that is read at all. What each part looks like by itself stays: norms, ranks, which
    units read alike, which write alike. Where one part's writes meet another's reads is by chance.
    An untrained network is very nearly a draw from this null (not quite: all its blocks share one
    stream, which rotations of their own do not know). Permuted edges are no such null: a block
    comes from a stream of d dimensions, which permuting its entries destroys, and untrained
    networks lie below their shuffles.

    Args:
        model: as for ``virtual_weights``.
        seeds: one seed (an int or a list of ints) for each graph.

    Raises:
        TypeError, ValueError: as ``virtual_weights``; a bad seed.

    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)
    >>> [graph.layers for graph in graphs.virtual_rotations(layer, seeds=[0, 1])]
    [(2, 16), (2, 16)]
    """
    _checks.instance(seeds, Sequence, "seeds as a list, one for each graph")
    checked = [_checks.seed(seed) for seed in seeds]
    parts = _parts(model)
    for seed in checked:
        yield _graph(parts, [seed] if isinstance(seed, int) else seed)


def _parts(model: nn.Module | Sequence[StreamPart]) -> list[StreamPart]:
    if isinstance(model, nn.Module):
        parts: list[StreamPart] = list(stream_parts(model))
    elif isinstance(model, Sequence) and all(isinstance(part, StreamPart) for part in model):
        parts = list(model)
    else:
        raise TypeError(
            "virtual_weights takes a transformer or a list of graphs.StreamPart, got "
            f"a {type(model).__name__}"
        )
    widths = {part.width for part in parts}
    if len(parts) < 2 or len(widths) > 1:
        raise ValueError(
            f"need two parts or more on one stream, got {len(parts)} of width "
            f"{', '.join(map(str, sorted(widths))) or 'none'}"
        )
    return _centred(parts)


def _centred(parts: list[StreamPart]) -> list[StreamPart]:
    """The parts in the subspace without the mean, where no part but the first reads the mean."""
    width = parts[0].width
    ones = np.ones(width) / width**0.5
    for part in parts[1:]:
        for read in part.reads:
            if np.abs(ones @ read).max() > UNSEEN * np.abs(read).max():
                return parts
    basis = np.linalg.svd(ones[None])[2][1:]  # (d - 1, d)

    def seen(part: StreamPart) -> StreamPart:
        carry = None if part.carry is None else basis @ part.carry @ basis.T
        reads = tuple(basis @ read for read in part.reads)
        return StreamPart(part.name, reads, basis @ part.writes, carry)

    return [seen(part) for part in parts]


def _graph(parts: list[StreamPart], seed: list[int] | None) -> LayeredGraph:
    blocks = {}
    for i, writer in enumerate(parts):
        arriving = writer.writes
        for j in range(i + 1, len(parts)):
            turned = _unit(arriving)
            if seed is not None:
                turned = _rotation(writer.width, [*seed, i, j]) @ turned
            blocks[i, j] = _edges(turned, parts[j])
            if (carry := parts[j].carry) is not None:
                arriving = carry @ arriving
    return LayeredGraph(
        tuple(part.count for part in parts), blocks, tuple(part.name for part in parts), gaps=True
    )


def _rotation(width: int, seed: list[int]) -> np.ndarray:
    """A random orthogonal matrix (Haar)."""
    from scipy.stats import ortho_group  # slow to import

    return ortho_group.rvs(width, random_state=np.random.default_rng(seed))


def _edges(writes: np.ndarray, reader: StreamPart) -> np.ndarray:
    """(writers, readers) root mean square, over the ways of reading, of what is seen."""
    count, width, directions = writes.shape
    flat = writes.transpose(1, 0, 2).reshape(width, -1)
    total = np.zeros((reader.count, count))
    for read in reader.reads:
        seen = _unit(read).transpose(0, 2, 1).reshape(-1, width) @ flat
        total += np.square(seen, out=seen).reshape(reader.count, -1, count, directions).sum((1, 3))
    return np.sqrt(total.T / len(reader.reads))


def _unit(matrices: np.ndarray) -> np.ndarray:
    """(n, d, r) matrices of Frobenius norm 1; zeros stay."""
    norms = np.linalg.norm(matrices, axis=(1, 2), keepdims=True)
    return np.divide(matrices, norms, out=np.zeros_like(matrices), where=norms > 0)
