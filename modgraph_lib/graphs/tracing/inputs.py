"""A graph whose nodes are the channels that each convolution reads, not those that it makes.

In a chain the two are the same. Where a channel is read by several convolutions, it is a node of
its own for each of them here.

Source: what the released code of "Clusterability in Neural Networks" does with ImageNet networks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import scipy.sparse
from torch import nn

from modgraph_lib.graphs.tracing.assembly import MAX_EDGES, Blocks, _readings
from modgraph_lib.graphs.tracing.recorder import Recorder, TracingError

__all__ = ["input_blocks", "tapped"]


class Tap(nn.Module):
    """A 1x1 convolution at the end, so that the last convolutions' channels are read as well."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reader = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        """(N, channels) -> (N, 1)."""
        return self.reader(x[:, :, None, None]).flatten(1)


@contextlib.contextmanager
def tapped(model: nn.Module) -> Iterator[nn.Module]:
    """The classifier of a torchvision network replaced by a ``Tap`` for the time being.

    Raises:
        TracingError: a network without a layer called ``fc`` or ``classifier``.
    """
    modules = dict(model.named_children())
    new: dict[str, nn.Module]
    fc = modules.get("fc")
    if isinstance(fc, nn.Linear):
        new = {"fc": Tap(fc.in_features)}
    elif {"features", "avgpool", "classifier"} <= modules.keys():
        convolutions = [m for m in modules["features"].modules() if isinstance(m, nn.Conv2d)]
        new = {"avgpool": nn.AdaptiveAvgPool2d(1), "classifier": Tap(convolutions[-1].out_channels)}
    else:
        raise TracingError(
            f"{type(model).__name__} has no classifier called 'fc' or 'classifier' after its "
            "convolutions, so that the channels of its last ones cannot be found"
        )
    try:
        for name, module in new.items():
            setattr(model, name, module)
        yield model
    finally:
        for name in new:
            setattr(model, name, modules[name])


def input_blocks(recorder: Recorder) -> tuple[tuple[int, ...], Blocks, tuple[str, ...]]:
    """Layer sizes, blocks and names, a layer for everything that one kernel reads.

    A kernel joins what it reads to what later kernels read of its outputs, directly or through a
    residual sum. Fixed factors (batch norm) multiply the kernel that comes before them. A kernel
    that reads the image is left out.

    Raises:
        TracingError: more than ``MAX_EDGES`` places for edges.
    """
    readers = []
    for layer in recorder.layers:
        if layer.kernel is not None:
            sources, columns, factors = _readings(recorder.sources, layer)
            if len(sources):
                _, places = np.unique(layer.kernel.tags, return_inverse=True)
                readers.append((layer, sources, places[columns], factors, places))
    sizes = [int(places.max()) + 1 for *_, places in readers]
    blocks: Blocks = {}
    edges = 0
    for i, (before, *_, rows) in enumerate(readers):
        strengths = np.zeros((sizes[i], before.size))
        np.add.at(strengths, rows, before.reads.strengths)
        for j in range(i + 1, len(readers)):
            _, sources, places, factors, _ = readers[j]
            mine = (sources >= before.first) & (sources < before.first + before.size)
            if not mine.any():
                continue
            edges += sizes[i] * sizes[j]
            if edges > MAX_EDGES:
                raise TracingError(f"the graph has more than {MAX_EDGES:,} places for edges")
            entries = (factors[mine], (sources[mine] - before.first, places[mine]))
            joined = scipy.sparse.coo_array(entries, shape=(before.size, sizes[j])).tocsr()
            blocks[i, j] = np.ascontiguousarray((joined.T @ strengths.T).T)
    names = tuple(f"inputs of {layer.name}" for layer, *_ in readers)
    return tuple(sizes), blocks, names
