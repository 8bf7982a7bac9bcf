"""Adversarial images: small changes after which a classifier gives another answer.

Seven attacks under one call, and a function that gathers images which were really misled. Works on
any classifier that takes pixels in 0..1. FGSM and PGD come from the Adversarial Robustness Toolbox
(``pip install "modgraph-lib[attacks]"``).

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.2, which takes six
attacks of AdverTorch 0.2.3 with its default settings; that library is no longer kept.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.attacks import _gradient as gradient
from modgraph_lib.attacks import _pixel as pixel
from modgraph_lib.pixels import channels_last, scaled, with_channels

__all__ = ["SETTINGS", "Misled", "attack", "collect", "sizes"]

ATTACKS: dict[str, Callable[..., torch.Tensor]] = {
    "fgsm": gradient.fgsm,
    "pgd": gradient.pgd,
    "jsma": gradient.jsma,
    "cw": gradient.carlini_wagner,
    "one_pixel": pixel.one_pixel,
    "single_pixel": pixel.single_pixel,
    "local_search": pixel.local_search,
}
# AdverTorch's defaults; it has no "one_pixel", whose settings are those of its source.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "fgsm": {"eps": 0.3},
    "pgd": {"eps": 0.3, "step": 0.01, "steps": 40},
    "jsma": {"theta": 1.0, "gamma": 1.0, "towards": "runner_up"},
    "cw": {"steps": 10_000, "searches": 9, "rate": 0.01, "constant": 0.001},
    "one_pixel": {"population": 400, "generations": 100},
    "single_pixel": {"trials": 100},
    "local_search": {
        "p": 1.0,
        "r": 1.5,
        "half_side": 5,
        "pixels": 5,
        "rounds": 10,
        "start_share": 0.1,
        "most": 128,
        "starting_over": False,
    },
}
FROM_TOOLBOX = ("fgsm", "pgd")
PRECISIONS = ("float32", "bfloat16")
# Half a step between two grey levels of an 8-bit picture: less does not survive saving.
VISIBLE = 0.5 / 255

Space = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Misled:
    """Images that were classified correctly, and wrongly after an attack.

    Attributes:
        originals, adversarial: (n, C, H, W) pixels; labels: (n,) true classes.
        answers: (n,) the wrong classes given to the adversarial ones.
        attempted: correctly classified images that were attacked.
        succeeded: those of them that were misled; n is less where enough was enough.
    """

    originals: torch.Tensor
    adversarial: torch.Tensor
    labels: torch.Tensor
    answers: torch.Tensor
    attempted: int
    succeeded: int

    @property
    def success_rate(self) -> float:
        """Misled images of those attacked, before any selection; NaN if none was attacked."""
        return self.succeeded / self.attempted if self.attempted else float("nan")


def attack(
    name: str,
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    space: Space | None = None,
    **settings: Any,
) -> torch.Tensor:
    """Images changed by one attack, whether it succeeded or not.

    Args:
        name: a key of ``SETTINGS``.
        model: maps (N, C, H, W) in 0..1 to logits; in evaluation mode.
        images: (N, C, H, W) pixels, floating point in 0..1 or uint8; labels: (N,) true classes.
        seed: for attacks that draw at random.
        space: (mean, deviation), broadcastable to an image: the attack then sees
            (pixel - mean) / deviation, and clips *that* to 0..1. This is what the community
            paper's released code does; None is the attack as meant.
        settings: differing from ``SETTINGS[name]``.

    Returns:
        (N, C, H, W) float pixels.

    Raises:
        ValueError: an unknown attack or setting, a model in training mode, images outside 0..1, or
            labels that do not fit.
        ModuleNotFoundError: the toolbox is not installed.

    >>> model = models.small_cnn((1, 8, 8), channels=4, seed=0).eval()
    >>> digits = datasets.load("digits", "test")
    >>> images = pixels.with_channels(pixels.scaled(digits.images[:2]))
    >>> moved = attacks.attack("single_pixel", model, images, digits.labels[:2], seed=0)
    >>> moved.shape, attacks.sizes(images, moved)["pixels"].max().item()
    (torch.Size([2, 1, 8, 8]), 1)
    """
    images = _checked(name, model, images, labels)
    options = {**SETTINGS[name], **settings}
    for unknown in set(options) - set(SETTINGS[name]):
        close = difflib.get_close_matches(unknown, SETTINGS[name], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} has no setting {unknown!r}{hint}")
    for setting, usual in SETTINGS[name].items():
        if isinstance(usual, int | float) and not isinstance(usual, bool):
            _checks.number(options[setting], setting)
    _checks.seed(seed)
    labels = torch.as_tensor(labels).to(images.device)
    if not len(images):
        return images
    with _frozen(model):
        if space is None:
            return ATTACKS[name](model, images, labels, seed=seed, **options)
        mean, deviation = (part.to(images) for part in space)
        inside = _Rescaled(model, mean, deviation)
        moved = ATTACKS[name](inside, (images - mean) / deviation, labels, seed=seed, **options)
        return moved * deviation + mean


def collect(
    name: str,
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    samples: int,
    seed: int,
    attempts: int = 0,
    batch_size: int = 50,
    precision: str = "float32",
    space: Space | None = None,
    **settings: Any,
) -> Misled:
    """Attack correctly classified images, drawn at random, until enough of them are misled.

    Args:
        name, model, space, settings: as in ``attack``.
        images: (N, C, H, W) or (N, H, W) to draw from, without replacement; labels: (N,).
        samples: how many misled images to return at most; fewer where the images, or the
            ``attempts`` (0: no limit), run out.
        seed: of the draw and of the attack.
        precision: "bfloat16" lets the attack look through a faster, coarser network. What counts
            as misled is always decided at the model's own precision.

    >>> model = models.small_cnn((1, 8, 8), channels=4, seed=0).eval()
    >>> digits = datasets.load("digits", "test")
    >>> images = pixels.with_channels(digits.images)
    >>> found = attacks.collect("single_pixel", model, images, digits.labels, samples=3, seed=0)
    >>> found.adversarial.shape, bool((found.answers != found.labels).all())
    (torch.Size([3, 1, 8, 8]), True)
    """
    for value, count, least in (
        (samples, "samples", 1), (attempts, "attempts", 0), (batch_size, "batch_size", 1)
    ):  # fmt: skip
        _checks.whole(value, count, least=least)
    _checks.seed(seed)
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    images = with_channels(_checks.tensor(images, "images"))
    _checked(name, model, images[:1], _checks.tensor(labels, "labels")[: len(images)][:1])
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images need as many labels, got {len(labels)}")
    device = next((p.device for p in model.parameters()), images.device)
    seen = model if precision == "float32" else _Coarse(model).eval()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
    kept: list[tuple[torch.Tensor, ...]] = []
    attempted = succeeded = 0
    for number, index in enumerate(order.split(batch_size)):
        if succeeded >= samples or (attempts and attempted >= attempts):
            break
        clean = scaled(images[index]).to(device)
        truth = labels[index].to(device)
        right = _classes(model, clean) == truth
        if attempts:
            right &= right.cumsum(0) <= attempts - attempted
        clean, truth = clean[right], truth[right]
        # one batch after another draws from its own seed
        child = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        moved = attack(name, seen, clean, truth, seed=child, space=space, **settings)
        answers = _classes(model, moved)
        misled = answers != truth
        attempted += len(truth)
        succeeded += int(misled.sum())
        kept.append(tuple(part[misled].cpu() for part in (clean, moved, truth, answers)))
    clean, moved, truth, answers = (torch.cat(part)[:samples] for part in zip(*kept, strict=True))
    return Misled(clean, moved, truth, answers, attempted, succeeded)


def sizes(originals: torch.Tensor, adversarial: torch.Tensor) -> dict[str, torch.Tensor]:
    """How large each change is, (N,) each.

    ``l2`` is the Euclidean norm, ``linf`` the largest change of any value, ``pixels`` the number
    of positions where some channel changed by more than half a grey level of an 8-bit picture.

    >>> before, after = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.0, 0.3], [0.4, 0]]]])
    >>> {name: round(size.item(), 2) for name, size in attacks.sizes(before, after).items()}
    {'l2': 0.5, 'linf': 0.4, 'pixels': 2}
    """
    before, after = (
        _checks.tensor(originals, "originals"),
        _checks.tensor(adversarial, "adversarial"),
    )
    if before.ndim != 4 or before.shape != after.shape:
        raise ValueError(
            "originals and adversarial must both be (N, C, H, W) of one shape, got "
            f"{tuple(before.shape)} and {tuple(after.shape)}"
        )
    change = (after - before).abs()
    return {
        "l2": change.flatten(1).square().sum(1).sqrt(),
        "linf": change.flatten(1).amax(1),
        "pixels": (change.amax(1) > VISIBLE).flatten(1).sum(1),
    }


class _Rescaled(nn.Module):
    """The model on images that were normalised before."""

    def __init__(self, model: nn.Module, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.model, self.mean, self.deviation = model, mean, deviation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images * self.deviation + self.mean)


class _Coarse(nn.Module):
    """The model in bfloat16, with channels last; logits in float32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            return self.model(channels_last(images)).float()


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No gradients to parameters: attacks only want those to the image."""
    learning = [p for p in model.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _checked(name: str, model: nn.Module, images: torch.Tensor, labels: Any) -> torch.Tensor:
    if name not in ATTACKS:
        raise ValueError(f"unknown attack {name!r}; there are {', '.join(ATTACKS)}")
    if name in FROM_TOOLBOX and importlib.util.find_spec("art") is None:
        raise ModuleNotFoundError(
            f'{name} needs the Adversarial Robustness Toolbox: pip install "modgraph-lib[attacks]"'
        )
    if any(module.training for module in _checks.filled(model).modules()):
        raise ValueError("the model is in training mode: call model.eval() first")
    images = scaled(_checks.tensor(images, "images"))
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W), got {tuple(images.shape)}")
    labels = _checks.tensor(labels, "labels")
    if labels.shape != (len(images),):
        raise ValueError(f"{len(images)} images need as many labels, got {tuple(labels.shape)}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be whole-number classes, got {labels.dtype}")
    if len(images):
        with _checks.answering(model, images), torch.no_grad():
            classes = model(images[:1]).shape[-1]
        if not (labels.min() >= 0 and labels.max() < classes):
            low, high = int(labels.min()), int(labels.max())
            raise ValueError(f"labels go from {low} to {high}; the model has {classes} classes")
    if len(images) and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError("images must lie in 0..1; a model should normalise them itself")
    return images


def _classes(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if not len(images):
        return torch.zeros(0, dtype=torch.long, device=images.device)
    with torch.no_grad():
        return model(images).argmax(1)
