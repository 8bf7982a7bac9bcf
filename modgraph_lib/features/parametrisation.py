"""Images as functions of a tensor that an optimiser can change.

``lucent.optvis.param`` does this well and is used where the extra "features" is installed; the few
lines below give the same images from the same tensor where it is not, or where it would put them
on another device. Nothing else of lucent is imported: its renderer needs kornia, leaves hooks on
the model and draws from torch's global generator.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np
import torch

__all__ = ["PARAMETRISATIONS", "SD", "by_lucent", "own", "parametrised"]

PARAMETRISATIONS = ("pixels", "fourier")
SD = 0.01  # of the numbers an image starts from
# Colours of natural photographs go together: what lucid and lucent decorrelate by.
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
DAMPING = 4.0  # of Fourier images, likewise
Image = Callable[[], torch.Tensor]


def parametrised(
    kind: str, shape: tuple[int, int, int], seeds: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, Image]:
    """The tensor that S images (C, H, W) start from, each by its own seed, and the images of it.

    Returns:
        The tensor to be changed, and a function that gives the images (S, C, H, W) in 0 to 1.
    """
    channels, height, width = shape
    tail = (height, width) if kind == "pixels" else (*_frequencies(height, width).shape, 2)
    draws = [np.random.default_rng(list(seed)).normal(0, SD, (channels, *tail)) for seed in seeds]
    start = torch.from_numpy(np.stack(draws).astype("f4")).to(device)
    if importlib.util.find_spec("lucent") is not None:
        found = by_lucent(kind, shape, start)
        if found is not None:
            return found
    return own(kind, shape, start)


def own(kind: str, shape: tuple[int, int, int], start: torch.Tensor) -> tuple[torch.Tensor, Image]:
    """``parametrised`` without lucent, from a start (S, C, ...)."""
    channels, height, width = shape
    tensor = start.clone().requires_grad_(True)
    colours = (COLOURS / COLOURS.norm(dim=0).max()).to(start)
    scale = 1 / np.maximum(_frequencies(height, width), 1 / max(height, width))
    factor = torch.from_numpy(scale.astype("f4"))[..., None].to(start.device)

    def images() -> torch.Tensor:
        values = tensor
        if kind == "fourier":
            spectrum = torch.view_as_complex(factor * tensor)
            values = torch.fft.irfftn(spectrum, s=(height, width), dim=(2, 3), norm="ortho")
            values = values / DAMPING
        if channels == 3:
            values = torch.einsum("nchw,dc->ndhw", values, colours)
        return torch.sigmoid(values)

    return tensor, images


def by_lucent(
    kind: str, shape: tuple[int, int, int], start: torch.Tensor
) -> tuple[torch.Tensor, Image] | None:
    """``parametrised`` by lucent; None where lucent has picked another device."""
    from lucent.optvis.param import image

    channels, height, width = shape
    with torch.random.fork_rng(devices=[]):  # it draws a start of its own, which is not used
        (tensor,), images = image(
            width,
            height,
            batch=len(start),
            fft=kind == "fourier",
            channels=None if channels == 3 else channels,
        )
    if tensor.device.type != start.device.type:
        return None
    with torch.no_grad():
        tensor.copy_(start)
    return tensor, images


def _frequencies(height: int, width: int) -> np.ndarray:
    """(height, width // 2 + 1 or 2) size of the frequencies that a spectrum holds."""
    along = np.fft.fftfreq(width)[: width // 2 + 1 + width % 2]
    return np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + along**2)
