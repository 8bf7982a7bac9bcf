"""Dot products between samples after every layer of a network, in bounded memory.

What is asked of a layer here, a neighbour graph or a comparison with another layer, needs the
(N, N) matrix of dot products of its features and not the features themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import torch
from torch import nn

from modgraph_lib import _checks, _memory
from modgraph_lib.device import pick_device
from modgraph_lib.hooks import default_layers, find_modules, layer_widths, listening, running
from modgraph_lib.pixels import scaled

__all__ = ["each_layer", "finite_rows"]

Found = TypeVar("Found")
Rows = Callable[[torch.Tensor, str], torch.Tensor]


def each_layer(
    model: nn.Module,
    images: torch.Tensor,
    look: Callable[[torch.Tensor], Found],
    rows: Rows,
    *,
    layers: Sequence[str] | None = None,
    batch_size: int = 100,
    memory: float = 1.0,
    device: str = "auto",
) -> dict[str, Found]:
    """``look`` at the dot products between samples after one layer after another.

    Args:
        model: any torch module, in evaluation mode; it is left as it was, on its device.
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        look: takes the (N, N) matrix of a layer as soon as it is complete.
        rows: (output (B, ...) of a layer, its name) -> (B, M) rows whose products are wanted.
        layers: module names; None for ``hooks.default_layers``.
        batch_size: images a forward pass.
        memory: GiB of features held at once. Dot products add up over pieces of the feature
            vector, so wider networks take more forward passes, not more memory.
        device: "auto" is cuda, then mps, then cpu.

    Returns:
        What ``look`` returned, by layer, in the order asked for.

    Raises:
        ValueError: a model in training mode, no layer, one there is not, one that never runs or
            runs twice a pass, or a batch size or memory that is not positive.
        MemoryError: more images than there is room for their dot products.
    """
    images = _checks.tensor(images, "images")
    if any(module.training for module in _checks.filled(model).modules()):
        raise ValueError("the model is in training mode: call model.eval() first")
    _checks.whole(batch_size, "batch_size", least=1)
    if not memory > 0:
        raise ValueError(f"memory must be above 0 GiB, got {memory}")
    _memory.check(
        3 * 8 * len(images) ** 2, f"a graph of {len(images)} samples", "give fewer images"
    )
    modules = find_modules(model, layers if layers is not None else default_layers(model))
    if not modules:
        raise ValueError("layers is empty: name at least one, or pass None")
    target = torch.device(pick_device(device))
    columns = max(1, int(memory * 2**30 / (4 * len(images))))
    batches = [slice(i, i + batch_size) for i in range(0, len(images), batch_size)]
    home = next((p.device for p in model.parameters()), target)
    try:
        with torch.inference_mode():
            model.to(target)
            if layers is None:
                modules = running(model, modules, _inputs(images[:1], target))
            products = _products(model, modules, images, batches, columns, rows, target)
            found = {name: look(matrix) for name, matrix in products}
    finally:
        model.to(home)
    return {name: found[name] for name in modules}


def finite_rows(features: torch.Tensor, name: str) -> torch.Tensor:
    """Features (N, ...) as rows (N, M) of floats; ValueError for none, NaN or infinite ones."""
    rows = features.detach().flatten(1)
    wide = rows.dtype in (torch.float32, torch.float64) or rows.is_complex()
    rows = rows if wide else rows.float()
    if rows.shape[1] == 0:
        raise ValueError(f"{name} has no features")
    if rows.is_complex() or not torch.isfinite(rows).all():
        raise ValueError(f"{name} has features that are NaN, infinite or complex")
    return rows


def passes(widths: dict[str, int], budget: int) -> Iterator[list[tuple[str, int, int]]]:
    """(layer, first column, last column) pieces, grouped so that each group fits the budget."""
    group: list[tuple[str, int, int]] = []
    room = budget
    for name, width in widths.items():
        start = 0
        while start < width:
            if room == 0:
                yield group
                group, room = [], budget
            stop = min(width, start + room)
            group.append((name, start, stop))
            room -= stop - start
            start = stop
    if group:
        yield group


class _Enough(Exception):
    """Ends a forward pass once every layer it was started for has been heard."""


def _products(
    model: nn.Module,
    modules: dict[str, nn.Module],
    images: torch.Tensor,
    batches: list[slice],
    columns: int,
    rows_of: Rows,
    device: torch.device,
) -> Iterator[tuple[str, torch.Tensor]]:
    """The matrix (N, N) of one layer after another, as soon as each is complete."""
    count = len(images)
    widths = layer_widths(model, modules, _inputs(images[:1], device))
    # MPS has no float64; elsewhere the sum over pieces adds no error of its own.
    exact = torch.float32 if device.type == "mps" else torch.float64
    total: torch.Tensor | float = 0.0
    for group in passes(widths, columns):
        kept: dict[tuple[str, int, int], list[torch.Tensor]] = {piece: [] for piece in group}
        wanted = {name: modules[name] for name, _, _ in group}
        waiting: set[str] = set()

        def heard(name: str, output: torch.Tensor, kept: dict = kept, waiting: set = waiting):
            rows = rows_of(output, name)
            for (layer, start, stop), parts in kept.items():
                if layer == name:
                    parts.append(rows[:, start:stop].clone())
            waiting.discard(name)
            if not waiting:
                raise _Enough

        with listening(wanted, heard):
            for batch in batches:
                waiting.update(wanted)
                with suppress(_Enough):
                    model(_inputs(images[batch], device))
        for name, start, stop in group:
            rows = torch.cat(kept.pop((name, start, stop)))
            if len(rows) != count:
                raise ValueError(f"layer {name!r} does not return one row a sample")
            total = total + (rows @ rows.T).to(exact)
            if stop == widths[name]:
                yield name, total
                total = 0.0


def _inputs(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    return scaled(images.to(device))
