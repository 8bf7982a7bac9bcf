"""Feature visualisation of groups of units, hundreds of groups in one batch.

An image is changed by gradient steps until a group of units responds as strongly as it can. How
strongly it then responds (the *score*) and how sure the network is of a class (the *entropy*) are
compared with what random groups of the same size reach.

Source: Detecting Modularity in Deep Neural Networks, section 4.2 and appendix A.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks, hooks, lesions
from modgraph_lib.device import pick_device
from modgraph_lib.features.parametrisation import PARAMETRISATIONS, parametrised
from modgraph_lib.lesions import Submodule
from modgraph_lib.pixels import fewer

__all__ = ["OBJECTIVES", "Coherence", "Visualisations", "coherence", "visualize"]

BATCH = 512
RATE = 0.05
# Responses (S, units, ...) of S images -> (S, units), summed over each group.
OBJECTIVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "l1": lambda out: out.abs().flatten(2).sum(2),
    "spatial_mean": lambda out: out.flatten(2).mean(2).abs(),
}


@dataclass(frozen=True, eq=False)
class Visualisations:
    """What excites each of S groups of units.

    Attributes:
        images: (S, C, H, W) float32 in 0 to 1.
        scores: (S,) objective of each group on its own image.
        logits: (S, classes) of the network on these images.
    """

    images: np.ndarray
    scores: np.ndarray
    logits: np.ndarray

    @property
    def entropy(self) -> np.ndarray:
        """(S,) entropy of the predicted classes, natural logarithm."""
        logits = torch.from_numpy(self.logits).double()
        return torch.distributions.Categorical(logits=logits).entropy().numpy()


def visualize(
    model: nn.Module,
    layer: str,
    units: Sequence[Any],
    *,
    image_shape: tuple[int, int, int],
    steps: int = 100,
    parametrisation: str = "pixels",
    objective: str = "l1",
    jitter: float = 0.0,
    scale: float = 0.0,
    rotation: float = 0.0,
    seed: int,
    starts: Sequence[Sequence[int]] | None = None,
    batch: int = BATCH,
    device: str = "cpu",
) -> Visualisations:
    """Images that excite groups of units of one layer most, before the activation function.

    Each image is changed by its own gradients alone: the size of a batch changes nothing.

    Args:
        model: a torch module; it is run in evaluation mode and left as it was.
        layer: a linear layer or convolution.
        units: S groups, each a list of units or a (units,) bool mask.
        image_shape: (channels, height, width) of what the model takes; grey images have one.
        steps: of Adam, rate 0.05 (100 in the paper, 65 in its code).
        parametrisation: "pixels" (the paper's text) or "fourier" (its code), both through a
            sigmoid; three channels are decorrelated.
        objective: "l1", the sum of absolute responses, or "spatial_mean", the sum over units of
            the absolute mean of a map (the code). For linear layers they are the same.
        jitter, scale, rotation: at each step all images are shifted by up to so many pixels,
            enlarged or shrunk by up to this share, turned by up to so many degrees. Scores are
            taken without.
        seed: of the shifts, and of the starting images where ``starts`` does not say.
        starts: a seed for each group. Groups of equal seeds start from the same image, which
            takes noise out of a comparison.
        batch: images of up to 32x32 at a time; of larger ones fewer.
        device: "auto" is cuda, then mps, then cpu.

    Raises:
        TypeError: units given by name.
        ValueError: no group, an empty one, a unit the layer does not have, an unknown option, an
            image that the model does not take, a layer after a softmax, weights of 16 bits.

    Source: section 4.2 and appendix A.5.

    >>> model = toys.relay(3, units=2).model
    >>> found = features.visualize(model, "0", [[0, 1], [2, 3]], image_shape=(1, 1, 3), seed=0)
    >>> found.images.shape, bool((found.scores > 1.9).all())
    ((2, 1, 1, 3), True)
    """
    module = _module(_checks.filled(model), layer)
    _one_of("parametrisation", parametrisation, PARAMETRISATIONS)
    _one_of("objective", objective, OBJECTIVES)
    _checks.whole(steps, "steps", least=1)
    _checks.whole(batch, "batch", least=1)
    shape = _checks.shape(image_shape, "image_shape")
    masks = _masks(units, layer, module)
    starts = [(seed, 0, i) for i in range(len(masks))] if starts is None else starts
    if len(starts) != len(masks):
        raise ValueError(f"{len(masks)} groups need as many starts, got {len(starts)}")
    where = torch.device(pick_device(device))
    home = next(model.parameters()).device
    images, scores, logits = [], [], []
    try:
        with _frozen(model.to(where)):
            _check_image(model, shape, where)
            batch = fewer(batch, shape[1] * shape[2])
            for first in range(0, len(masks), batch):
                some = slice(first, first + batch)
                mask = torch.from_numpy(masks[some]).to(where)

                def score(x: torch.Tensor, mask: torch.Tensor = mask) -> torch.Tensor:
                    return (OBJECTIVES[objective](_response(model, module, x)) * mask).sum(1)

                tensor, image = parametrised(parametrisation, shape, starts[some], where)
                adam = torch.optim.Adam([tensor], lr=RATE)
                for step in range(steps):
                    adam.zero_grad()
                    with torch.enable_grad():
                        rng = np.random.default_rng([seed, 1, step])
                        x = _moved(image(), jitter, scale, rotation, rng)
                        (-score(x).sum()).backward()
                    adam.step()
                with torch.no_grad():
                    final = image()
                    images.append(final.cpu().numpy())
                    scores.append(score(final).cpu().numpy())
                    logits.append(model(final).cpu().numpy())
    finally:
        model.to(home)
    return Visualisations(*map(np.concatenate, (images, scores, logits)))


@dataclass(frozen=True, eq=False)
class Coherence:
    """One sub-module's visualisation beside those of random sets of its size.

    Attributes:
        submodule: what was visualised.
        image: (C, H, W) of its own.
        score, entropy: of its own image.
        random_scores, random_entropies: (R,) of the random sets.
    """

    submodule: Submodule
    image: np.ndarray
    score: float
    entropy: float
    random_scores: np.ndarray
    random_entropies: np.ndarray


def coherence(
    model: nn.Module,
    parts: Sequence[Submodule],
    *,
    image_shape: tuple[int, int, int],
    controls: int = 19,
    same_start: bool = False,
    seed: int,
    **options: Any,
) -> list[Coherence]:
    """Visualise each sub-module, and ``controls`` random sets of its size in its layer.

    The random sets are those of ``lesions.single_lesions`` with the same seed; they and the
    starting images depend on (seed, depth, number of the sub-module, draw) alone.

    Args:
        parts: as ``partitions.subclusters`` or ``lesions.submodules`` returns them.
        same_start: a sub-module and its random sets start from the same image.
        image_shape, options: those of ``visualize``.

    Raises:
        ValueError: no sub-module, fewer than one control, and what ``visualize`` raises.

    Source: section 4.2 (19 random sets).

    >>> r = toys.relay(3, units=4)
    >>> found = features.coherence(r.model, r.parts[:2], image_shape=(1, 1, 3), controls=5, seed=0)
    >>> [one.submodule.name for one in found], found[0].random_scores.shape
    (['1-0', '1-1'], (5,))
    """
    lesions.check_parts(parts, controls, seed)
    found: dict[int, Coherence] = {}
    order = sorted(range(len(parts)), key=lambda i: parts[i].layer)
    for layer, members in groupby(order, key=lambda i: parts[i].layer):
        places, masks, starts = list(members), [], []
        for place in places:
            part = parts[place]
            masks += [part.mask, *lesions.controls_of(part, controls, seed)]
            starts += [
                (seed, 4, part.depth, part.module, 0 if same_start else draw)
                for draw in range(controls + 1)
            ]
        seen = visualize(
            model, layer, masks, image_shape=image_shape, seed=seed, starts=starts, **options
        )
        scores, entropies = (v.reshape(-1, controls + 1) for v in (seen.scores, seen.entropy))
        for place, image, score, entropy in zip(
            places, seen.images[:: controls + 1], scores, entropies, strict=True
        ):
            found[place] = Coherence(
                parts[place], image, float(score[0]), float(entropy[0]), score[1:], entropy[1:]
            )
    return [found[place] for place in range(len(parts))]


class _Stop(Exception):
    """Raised by a layer's hook once its response is there: nothing after it is needed."""


def _response(model: nn.Module, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(S, units, ...) output of one layer."""
    box: list[torch.Tensor] = []

    def stop(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        box.append(output if output.ndim > 2 else output[..., None])
        raise _Stop

    handle = module.register_forward_hook(stop)
    try:
        model(x)
    except _Stop:
        return box[0]
    finally:
        handle.remove()
    raise ValueError("the model never ran the layer that is to be excited: name another one")


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and no gradients of the weights, for the time being."""
    wanted = {p: p.requires_grad for p in model.parameters()}
    try:
        model.requires_grad_(False)
        with hooks.evaluating(model):
            yield
    finally:
        for parameter, grad in wanted.items():
            parameter.requires_grad_(grad)


def _moved(
    images: torch.Tensor, jitter: float, scale: float, rotation: float, rng: np.random.Generator
) -> torch.Tensor:
    """All images shifted, scaled and turned alike; what moves in from outside is grey."""
    if not jitter and not scale and not rotation:
        return images
    height, width = images.shape[2:]
    dx, dy, zoom = rng.uniform(-1, 1, 3)
    zoom = 1 / (1 + scale * zoom)
    turn = np.deg2rad(rotation * rng.uniform(-1, 1)) if rotation else 0.0
    across, along = zoom * np.cos(turn), zoom * np.sin(turn)
    rows = [
        [across, -along * height / width, 2 * jitter * dx / width],
        [along * width / height, across, 2 * jitter * dy / height],
    ]
    theta = torch.tensor(rows, dtype=images.dtype, device=images.device).expand(len(images), 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images - 0.5, grid, align_corners=False) + 0.5


def _module(model: nn.Module, layer: str) -> nn.Module:
    (module,) = hooks.find_modules(model, [layer]).values()
    if isinstance(module, nn.Softmax | nn.LogSoftmax):
        raise ValueError(
            f"layer {layer!r} is a {type(module).__name__}: its units compete, so that none can be "
            "excited by itself; name the linear layer before it"
        )
    if not isinstance(module, nn.Linear | nn.Conv2d):
        raise ValueError(
            f"layer {layer!r} is a {type(module).__name__}; name a linear layer or a convolution"
        )
    if module.weight.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"weights are {module.weight.dtype}, too coarse: use model.float()")
    return module


def _masks(units: Sequence[Any], layer: str, module: Any) -> np.ndarray:
    """(S, units) float32."""
    width = module.out_features if isinstance(module, nn.Linear) else module.out_channels
    if not len(units):
        raise ValueError("no group of units to visualise")
    masks = np.zeros((len(units), width), dtype=np.float32)
    for mask, group in zip(masks, units, strict=True):
        chosen = np.asarray(group)
        if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
            raise TypeError(f"a group is a list of units or a mask of booleans, got {group!r}")
        if chosen.dtype == bool and len(chosen) != width:
            raise ValueError(f"layer {layer!r} has {width} units, a mask has {len(chosen)}")
        if chosen.dtype != bool and len(chosen) and not -1 < chosen.min() <= chosen.max() < width:
            raise ValueError(f"units of layer {layer!r} go from 0 to {width - 1}, got {group!r}")
        mask[chosen] = 1
        if not mask.any():
            raise ValueError("a group has no unit: there is nothing to excite")
    return masks


def _check_image(model: nn.Module, shape: tuple[int, int, int], where: torch.device) -> None:
    try:
        with torch.no_grad():
            model(torch.zeros(2, *shape, device=where))
    except Exception as error:
        raise ValueError(
            f"the model does not take images of shape {shape} (channels, height, width): {error}"
        ) from error


def _one_of(name: str, value: str, allowed: Sequence[str] | Mapping[str, Any]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(allowed)}; got {value!r}")
