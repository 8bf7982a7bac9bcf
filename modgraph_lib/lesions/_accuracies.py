"""Accuracies of one network under many lesions: the public face is ``lesions``."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.device import pick_device, single_thread
from modgraph_lib.hooks import listening
from modgraph_lib.lesions._activation import Calls, axis_of, path_of, path_out
from modgraph_lib.lesions._branches import ON_ACCELERATORS, ROW, Site, row_numbers
from modgraph_lib.lesions._passes import passes
from modgraph_lib.lesions._whole import KERNELS, decided, evaluating, sites
from modgraph_lib.pixels import fewer, scaled

__all__ = ["KINDS", "Images", "LesionAccuracies", "lesion_accuracies"]

KINDS = ("weights", "activations", "weights_and_biases", "outgoing")
Images = torch.Tensor | np.ndarray
Labels = torch.Tensor | np.ndarray | Sequence[int]
LESIONS_AT_ONCE = 32  # more share more of a pass, fewer leave room for more images
ROWS_AT_ONCE = {"cpu": 32_768}


@dataclass(frozen=True, eq=False)
class LesionAccuracies:
    """Right answers of the whole network and of M lesioned ones, by class.

    Attributes:
        correct: (M, C) right answers on the images of each class.
        intact: (C,) the same for the network as it is.
        images: (C,) images of each class.
    """

    correct: np.ndarray
    intact: np.ndarray
    images: np.ndarray

    @property
    def overall(self) -> np.ndarray:
        """(M,) share of all images answered rightly."""
        return self.correct.sum(1) / self.images.sum()

    @property
    def by_class(self) -> np.ndarray:
        """(M, C) share of the images of each class; NaN for a class without images."""
        return _shares(self.correct, self.images)

    @property
    def intact_overall(self) -> float:
        """Accuracy without a lesion."""
        return float(self.intact.sum() / self.images.sum())

    @property
    def intact_by_class(self) -> np.ndarray:
        """(C,) accuracy of each class without a lesion."""
        return _shares(self.intact, self.images)


def lesion_accuracies(
    model: nn.Module,
    masks: Mapping[str, np.ndarray | torch.Tensor],
    images: Images,
    labels: Labels,
    *,
    kind: str = "weights",
    batch_rows: int = 0,
    device: str = "auto",
) -> LesionAccuracies:
    """Accuracies of a network under many lesions, computed together.

    All lesions share what comes before their first lesioned layer, and those that agree in a
    layer share what lies between it and the next one. The answers are those of one forward
    pass a lesion.

    Args:
        model: any torch module that maps images to (N, classes) logits; it is left as it was.
            Modules that ``torch.fx`` cannot trace are run whole for each lesion.
        masks: module name -> (M, units) bool, true where lesion i hits a unit of that layer.
            Several layers give joint lesions; a row without a true entry anywhere is the intact
            network. A single lesion may be given as (units,).
        images: (N, ...) what the model takes; uint8 is turned into 0..1 first.
        labels: (N,) classes.
        kind: "weights" sets the incoming weights of a unit to zero and keeps its bias (section
            4.1 of the paper), "activations" sets its activation to zero (section 4): what the
            activation function behind a linear layer or convolution gives, norms and poolings
            between them or not; without one, what the last step gives that acts on each unit by
            itself; of another layer, its output. "weights_and_biases" sets both to zero (the
            released code; the same as "activations" for a ReLU right behind). "outgoing" sets the
            weights out of a unit to zero, which differs where a batch norm comes between
            (Detecting Modularity, of ImageNet networks).
        batch_rows: rows of the largest stacked pass, images times lesions; 0 chooses.
        device: "auto" is cuda, then mps, then cpu.

    Raises:
        ValueError: an unknown kind or layer, a layer without weights or one that runs twice,
            masks of the wrong length or number, no lesion, labels that do not fit, NaN outputs.

    >>> r = toys.relay(3, units=2)
    >>> found = lesions.lesion_accuracies(r.model, {"0": r.parts[0].mask[None]}, r.images, r.labels)
    >>> found.intact_overall, found.by_class[0].round(2).tolist()
    (1.0, [0.0, 1.0, 1.0, nan])
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    _checks.filled(model)
    _checks.instance(masks, Mapping, "masks by the name of their layer")
    images, target = _checks.tensor(images, "images"), _checks.tensor(labels, "labels")
    if not len(images):
        raise ValueError("no images to measure an accuracy on")
    _checks.whole(batch_rows, "batch_rows")
    whole = not target.is_floating_point() and target.dtype != torch.bool
    if target.ndim != 1 or len(target) != len(images) or not whole:
        raise ValueError(
            f"{len(images)} images need as many whole-number classes, got labels of shape "
            f"{tuple(target.shape)} and type {target.dtype}"
        )
    where = torch.device(pick_device(device))
    home = next((p.device for p in model.parameters()), where)
    try:
        with torch.no_grad(), evaluating(model.to(where)):
            wanted = sites(model, list(masks), kind)
            probe = _inputs(images[:2], where)
            widths, numbers = _units(model, wanted, probe[:1], masks, kind)
            checked = _checked_masks(masks, widths, where)
            runner = passes(model, wanted, probe)
            usual = ROWS_AT_ONCE.get(where.type, ON_ACCELERATORS)
            rows = batch_rows or fewer(usual, numbers, ROW)
            return _count(runner, checked, images, target, rows, where)
    finally:
        model.to(home)


def _count(
    runner: Any,  # Traced or Hooked: what ``intact`` gives, ``whole`` takes
    masks: dict[str, torch.Tensor],
    images: torch.Tensor,
    target: torch.Tensor,
    rows: int,
    where: torch.device,
) -> LesionAccuracies:
    """Right answers by class, summed over pieces of images and blocks of similar lesions."""
    blocks = _similar_together([masks[name] for name in runner.order])
    lesions, piece = sum(map(len, blocks)), max(1, rows // LESIONS_AT_ONCE)
    correct = intact = torch.zeros(0)
    with _side_by_side(runner.threaded and where.type == "cpu") as each:
        for begin in range(0, len(images), piece):
            batch = _inputs(images[begin : begin + piece], where)
            truth = target[begin : begin + piece].to(where)
            shared = runner.intact(batch)
            whole = runner.whole(shared)
            if begin == 0:
                classes = _classes(whole, target)
                correct = torch.zeros(lesions, classes, dtype=torch.int64, device=where)
                intact = torch.zeros(classes, dtype=torch.int64, device=where)
            hits = functools.partial(_hits, runner, masks, batch, truth, shared, classes)
            intact += _right(decided(whole[None])[0], truth, classes)[0]
            for chosen, right in zip(blocks, each(hits, blocks), strict=True):
                correct[chosen] += right
    counts = np.bincount(target.cpu().numpy(), minlength=len(intact))
    return LesionAccuracies(correct.cpu().numpy(), intact.cpu().numpy(), counts)


@contextlib.contextmanager
def _side_by_side(threaded: bool) -> Iterator[Callable[..., Iterable[torch.Tensor]]]:
    """A ``map`` over blocks: on a CPU one block a core, each computed by one thread.

    Steps of a few rows leave a second thread idle for much of the time; blocks do not wait for
    each other.
    """
    threads = torch.get_num_threads()
    if not threaded or threads == 1:
        yield map
        return
    with single_thread(), concurrent.futures.ThreadPoolExecutor(threads) as pool:
        yield pool.map


@torch.no_grad()  # of its own: gradients are switched off thread by thread
def _hits(runner, masks, batch, truth, shared, classes: int, chosen: torch.Tensor) -> torch.Tensor:
    """(M, C) right answers on some images with the chosen lesions."""
    some = {name: mask[chosen] for name, mask in masks.items()}
    return _right(runner.guesses(batch, some, shared), truth, classes)


def _right(guesses: torch.Tensor, truth: torch.Tensor, classes: int) -> torch.Tensor:
    """(M, C) right answers by class of guesses (M, b)."""
    right = (guesses == truth).float()
    return (right @ torch.nn.functional.one_hot(truth, classes).float()).round().long()


def _classes(whole: torch.Tensor, target: torch.Tensor) -> int:
    if not isinstance(whole, torch.Tensor) or whole.ndim != 2:
        raise ValueError("the model has to return logits of shape (N, classes)")
    if int(target.min()) < 0 or int(target.max()) >= whole.shape[1]:
        raise ValueError(
            f"labels go from {int(target.min())} to {int(target.max())}, but the model has "
            f"{whole.shape[1]} classes"
        )
    return whole.shape[1]


def _similar_together(masks: list[torch.Tensor]) -> list[torch.Tensor]:
    """All lesions in blocks that hit the same layers, those alike in the first one side by side."""
    where = torch.stack([mask.any(1) for mask in masks], dim=1).cpu().numpy()
    keys = [row_numbers(mask) for mask in masks]
    order = np.lexsort([*reversed(keys), *where.T])
    starts = np.flatnonzero((where[order][1:] != where[order][:-1]).any(1)) + 1
    return [
        torch.from_numpy(alike[first : first + LESIONS_AT_ONCE])
        for alike in np.split(order, starts)
        for first in range(0, len(alike), LESIONS_AT_ONCE)
    ]


def _units(
    model: nn.Module, wanted: Mapping[str, Site], probe: torch.Tensor, masks: Mapping, kind: str
) -> tuple[dict[str, int], int]:
    """Units of each layer, from one image, and numbers in the largest of them and the image.

    Every layer must run exactly once. Tells each site, too, on which axis its units are and how far
    off its activation is.
    """
    found: dict[str, int] = {}
    outputs: dict[str, tuple[torch.Tensor, int]] = {}
    calls = Calls()

    def heard(name: str, output: torch.Tensor) -> None:
        if name in found:
            raise ValueError(f"layer {name!r} runs more than once a pass and cannot be lesioned")
        site = wanted[name]
        if site.axis is None:
            width = np.shape(masks[name])[-1] if np.ndim(masks[name]) else 0
            site.axis = axis_of(calls.made, output, width, name)
        found[name] = output.shape[site.axis]
        outputs[name] = output, len(calls.made)

    modules = dict(model.named_modules())
    heard_by = listening({name: modules[name] for name in wanted}, heard)
    with _checks.answering(model, probe), heard_by, calls:
        model(probe)
    if kind in ("activations", "outgoing"):
        way = path_of if kind == "activations" else path_out
        for name in found.keys() & {n for n, m in modules.items() if isinstance(m, KERNELS)}:
            wanted[name].path = way(calls.made, *outputs[name], model)
    if silent := [name for name in wanted if name not in found]:
        raise ValueError(f"the model never ran layer(s) {', '.join(map(repr, silent))}")
    return found, max([probe.numel(), *(output.numel() for output, _ in outputs.values())])


def _checked_masks(
    masks: Mapping[str, np.ndarray | torch.Tensor], widths: dict[str, int], where: torch.device
) -> dict[str, torch.Tensor]:
    checked = {}
    for name, mask in masks.items():
        rows = torch.atleast_2d(_checks.tensor(mask, f"masks of layer {name!r}"))
        if rows.dtype != torch.bool:
            raise ValueError(f"masks of layer {name!r} must be true or false, got {rows.dtype}")
        if rows.ndim != 2 or rows.shape[1] != widths[name]:
            raise ValueError(
                f"layer {name!r} has {widths[name]} units; its masks have shape "
                f"{tuple(rows.shape)}, expected (lesions, {widths[name]})"
            )
        checked[name] = rows.to(where)
    counts = {name: len(rows) for name, rows in checked.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"masks of all layers must tell of the same lesions, got {counts}")
    if not sum(counts.values()):
        raise ValueError("no lesion given: masks is empty")
    return checked


def _inputs(images: torch.Tensor, where: torch.device) -> torch.Tensor:
    return scaled(images.to(where))


def _shares(counts: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.divide(counts, images, out=np.full(counts.shape, np.nan), where=images > 0)
