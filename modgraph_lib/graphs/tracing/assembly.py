"""From a recorded pass to blocks of edge weights between layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from modgraph_lib.graphs.tracing.recorder import Layer, Recorder, TracingError
from modgraph_lib.graphs.tracing.sources import Sources

__all__ = ["MAX_EDGES", "assembled", "has_gaps"]

MAX_EDGES = 100_000_000

Blocks = dict[tuple[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Nodes:
    """Where every recorded channel ends up once merged ones are joined.

    Attributes:
        root: (N,) the recorded channel that stands for each.
        owner: (N,) recorded layer of each root.
        place: (N,) index of each root inside its layer.
        factor: (N,) fixed factor that belongs to a channel's incoming weights.
        sizes: nodes left of each recorded layer.
    """

    root: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    factor: np.ndarray
    sizes: np.ndarray


def assembled(
    recorder: Recorder, rng: np.random.Generator | None = None
) -> tuple[tuple[int, ...], Blocks, tuple[str, ...]]:
    """Layer sizes, blocks {(i, j): (n_i, n_j)} and layer names of a recorded pass.

    Args:
        rng: permute the entries of every kernel first.

    Raises:
        TracingError: more than ``MAX_EDGES`` places for edges, or an edge inside a layer.
    """
    layers, nodes = recorder.layers, _nodes(recorder)
    read = [(layer, _readings(recorder.sources, layer)) for layer in layers if layer.kernel]
    _check_size(nodes, read)
    blocks: Blocks = {}
    drawn = Ties()
    for layer, readings in read:
        strengths = layer.reads.strengths
        if rng is not None:
            before = drawn.find(strengths)
            made = layer.reads.shuffled(rng) if before is None else before
            strengths = drawn.add(strengths, made)
        for (i, j), block in _edges(nodes, layer, strengths, *readings):
            pair, block = ((i, j), block) if i < j else ((j, i), block.T)
            if i == j:
                raise TracingError(
                    f"with residual='merge' layer {layer.name!r} joins a residual stream to "
                    "itself, and a layered graph has no edges inside a layer; use residual='walk'"
                )
            blocks[pair] = blocks[pair] + block if pair in blocks else np.ascontiguousarray(block)
    used = np.flatnonzero(nodes.sizes)
    rank = {int(index): position for position, index in enumerate(used)}
    return (
        tuple(int(nodes.sizes[index]) for index in used),
        {(rank[i], rank[j]): block for (i, j), block in blocks.items()},
        tuple(layers[index].name for index in used),
    )


def has_gaps(recorder: Recorder) -> bool:
    """Whether blocks have gaps or ties that a permutation of each by itself would fill or break.

    So it is with groups, depthwise factors, splits, sums, merged channels and weights used twice;
    what training or pruning made zero is no gap of the architecture.
    """
    whole = {tuple(range(layer.first, layer.first + layer.size)) for layer in recorder.layers}
    ties = Ties()
    gaps = bool(recorder.merged) or recorder.scaled
    for layer in recorder.layers:
        sources, columns, _ = _readings(recorder.sources, layer) if layer.kernel else ((), (), ())
        read, times = np.unique(sources, return_counts=True)
        if not len(read):  # an input, or what reads the image or a part that was left out
            continue
        gaps |= layer.reads.groups > 1 or ties.find(layer.reads.strengths) is not None
        gaps |= tuple(read) not in whole or len(set(times)) > 1
        gaps |= len(columns) > len(np.unique(columns))
        ties.add(layer.reads.strengths, layer.reads.strengths)
    return gaps


class Ties:
    """Kernels met so far, and what was made of them; one may come again as it is or transposed."""

    def __init__(self) -> None:
        self._known: dict[tuple, list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, strengths: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Remember what was made of a kernel, and return it."""
        self._known.setdefault(self._key(strengths), []).append((strengths, made))
        return made

    def find(self, strengths: np.ndarray) -> np.ndarray | None:
        """What was made of this kernel before; None for a new one."""
        for own, made in self._known.get(self._key(strengths), []):
            if np.array_equal(own, strengths):
                return made
            if np.array_equal(own.T, strengths):
                return made.T
        return None

    @staticmethod
    def _key(strengths: np.ndarray) -> tuple:
        return (*sorted(strengths.shape), strengths.max(initial=0), strengths.min(initial=0))


def _edges(
    nodes: Nodes,
    layer: Layer,
    strengths: np.ndarray,
    sources: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Blocks that one kernel adds: from each layer it reads to each layer its channels are in."""
    ends = np.arange(layer.first, layer.first + layer.size)
    strengths = strengths * nodes.factor[ends]
    # A factor folded into a channel's incoming weights does not act again on the way out.
    folded = nodes.factor[sources]
    values = np.divide(values, folded, out=np.ones_like(values), where=folded > 0)
    sources, ends = nodes.root[sources], nodes.root[ends]
    for i in np.unique(nodes.owner[sources]):
        chosen = nodes.owner[sources] == i
        entries = (values[chosen], (nodes.place[sources[chosen]], columns[chosen]))
        shape = (nodes.sizes[i], len(strengths))
        here = scipy.sparse.coo_array(entries, shape=shape).tocsr() @ strengths
        for j in np.unique(nodes.owner[ends]):
            mine = nodes.owner[ends] == j
            places = nodes.place[ends[mine]]
            if np.array_equal(places, np.arange(nodes.sizes[j])):
                yield (int(i), int(j)), here[:, mine] if not mine.all() else here
                continue
            whole = np.zeros((nodes.sizes[j], len(here)))
            np.add.at(whole, places, here[:, mine].T)
            yield (int(i), int(j)), whole.T


def _nodes(recorder: Recorder) -> Nodes:
    sizes = [layer.size for layer in recorder.layers]
    count = sum(sizes)
    root = _roots(count, recorder.merged)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    kept = root == np.arange(count)
    left = np.bincount(owner[kept], minlength=len(sizes))
    place = np.zeros(count, dtype=int)
    place[kept] = np.concatenate([np.arange(size) for size in left]) if len(left) else []
    factor = np.ones(count)
    factor[list(recorder.incoming)] = list(recorder.incoming.values())
    return Nodes(root, owner, place, factor, left)


def _roots(count: int, merged: Sequence[tuple[int, int]]) -> np.ndarray:
    """(count,) first channel of the component each one was merged into."""
    if not merged:
        return np.arange(count)
    one, two = np.array(merged).T
    joined = scipy.sparse.coo_array((np.ones(len(one)), (one, two)), shape=(count, count))
    _, component = scipy.sparse.csgraph.connected_components(joined, directed=False)
    first = np.full(count, count)
    np.minimum.at(first, component, np.arange(count))
    return first[component]


def _readings(sources: Sources, layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channels, input columns and factors of everything a kernel reads."""
    tags, columns = np.unique(layer.reads.tags, return_inverse=True)
    entries = [sources.entries[tag].nodes for tag in tags]
    lengths = np.array([len(entry) for entry in entries])
    nodes = np.array([node for entry in entries for node in entry], int)
    values = np.array([value for entry in entries for value in entry.values()], float)
    starts = np.cumsum(lengths) - lengths
    each = np.repeat(np.arange(len(columns)), lengths[columns])
    within = np.arange(len(each)) - np.repeat(
        np.cumsum(lengths[columns]) - lengths[columns], lengths[columns]
    )
    chosen = starts[columns[each]] + within
    return nodes[chosen], each, values[chosen]


def _check_size(nodes: Nodes, read: list) -> None:
    pairs = set()
    for layer, (sources, _, _) in read:
        ends = nodes.owner[nodes.root[layer.first : layer.first + layer.size]]
        starts = nodes.owner[nodes.root[sources]]
        pairs |= {(min(i, j), max(i, j)) for i in np.unique(starts) for j in np.unique(ends)}
    edges = sum(int(nodes.sizes[i]) * int(nodes.sizes[j]) for i, j in pairs)
    if edges > MAX_EDGES:
        raise TracingError(
            f"the graph has {edges:,} places for edges, more than fit ({MAX_EDGES:,}); "
            "residual='merge' takes each channel of a residual stream as one node"
        )
