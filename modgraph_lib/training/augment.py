"""Random distortion of training images: rotation or crop, shift and horizontal flip.

In a rotation pixels from outside the image repeat its edge; values between pixels are bilinear.
Randomness comes from a generator on the device of the images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch.nn import functional

__all__ = ["AUGMENTATIONS", "augment"]

# Lowest and highest angle in degrees. The paper says "0 to 15"; the released code turns both
# ways, as Keras does for a rotation range of 15.
ANGLES = {"described": (0.0, 15.0), "published": (-15.0, 15.0)}
AUGMENTATIONS = ("none", *ANGLES, "crop_flip", "resized_crop_flip")
SHIFT = 0.1
CROP_PADDING = 4
# Share of the area and ratio of the sides of a window that is blown up to the whole image.
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def check_augmentation(kind: str) -> None:
    """ValueError for a kind there is not."""
    if kind not in AUGMENTATIONS:
        raise ValueError(f"augmentation is one of {', '.join(AUGMENTATIONS)}; got {kind!r}")


def augment(images: torch.Tensor, kind: str, generator: torch.Generator) -> torch.Tensor:
    """Each image distorted at random, and mirrored every other time.

    Args:
        images: (N, C, H, W) floats.
        kind: "described" (turned by 0 to 15 degrees and moved by up to a tenth of its size),
            "published" (-15 to 15 degrees), "crop_flip" (moved by up to 4 pixels, black where
            nothing is left; the usual way with CIFAR), "resized_crop_flip" (8 to 100% of its
            area, blown up; the usual way with ImageNet) or "none".
        generator: drawn from, on the device of the images.

    Raises:
        ValueError: an unknown kind, or inputs that are no images.

    Source: Clusterability in Neural Networks, section 3; "crop_flip" and "resized_crop_flip": the
    released code of Understanding the Dynamics of DNNs Using Graph Modularity.
    """
    check_augmentation(kind)
    if kind == "none":
        return images
    if images.ndim != 4:
        raise ValueError(f"augmentation needs images (N, C, H, W), got {tuple(images.shape)}")
    if kind == "crop_flip":
        return crop_flip(images, generator)
    if kind == "resized_crop_flip":
        return resized_crop_flip(images, generator)
    count, rand = len(images), _rand(generator)
    low, high = ANGLES[kind]
    angle = torch.deg2rad(low + (high - low) * rand(count))
    shift = (2 * rand(count, 2) - 1) * SHIFT
    mirrored = rand(count) < 0.5
    return warp(images, angle, shift, mirrored)


def crop_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Windows at random places of images padded with black, mirrored every other time.

    Args:
        images: (N, C, H, W). The result has the same shape, in channels-last memory.
    """
    count, _, height, width = images.shape
    device, span = images.device, 2 * CROP_PADDING + 1
    padded = functional.pad(images, (CROP_PADDING,) * 4).permute(0, 2, 3, 1)
    top, left = torch.randint(span, (2, count, 1), device=device, generator=generator)
    mirrored = _rand(generator)(count, 1) < 0.5
    column = torch.arange(width, device=device).expand(count, -1)
    column = torch.where(mirrored, width - 1 - column, column) + left
    row = torch.arange(height, device=device) + top
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, row[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)


def resized_crop_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random windows of images (N, C, H, W) blown up to their size, mirrored every other time.

    A window is as in torchvision's RandomResizedCrop, but never larger than the image in either
    direction.
    """
    count, device, rand = len(images), images.device, _rand(generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * rand(count)
    low, high = (math.log(ratio) for ratio in RATIO)
    ratio = torch.exp(low + (high - low) * rand(count))
    # Half sides in units of half the image: 1 is all of it.
    wide, tall = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    across, down = (2 * rand(2, count) - 1) * (1 - torch.stack([wide, tall]))
    sign = torch.where(rand(count) < 0.5, -1.0, 1.0)
    zero = torch.zeros(count, device=device)
    rows = torch.stack([sign * wide, zero, across, zero, tall, down], 1)
    grid = functional.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _rand(generator: torch.Generator) -> Callable[..., torch.Tensor]:
    return functools.partial(torch.rand, generator=generator, device=generator.device)


def warp(
    images: torch.Tensor, angle: torch.Tensor, shift: torch.Tensor, mirrored: torch.Tensor
) -> torch.Tensor:
    """Images sampled at turned and shifted places.

    Args:
        images: (N, C, H, W) floats.
        angle: (N,) radians.
        shift: (N, 2) along width and height, as a fraction of the size.
        mirrored: (N,) booleans: flip left and right.
    """
    height, width = images.shape[-2:]
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Output coordinates run from -1 to 1 along each side, whatever the sides' lengths.
    across, along = sin * height / width, sin * width / height
    x, y = 2 * shift[:, 0], 2 * shift[:, 1]
    sign = torch.where(mirrored, -1.0, 1.0)
    top = torch.stack([cos * sign, -across, cos * x - across * y], 1)
    bottom = torch.stack([along * sign, cos, along * x + cos * y], 1)
    places = functional.affine_grid(
        torch.stack([top, bottom], 1), list(images.shape), align_corners=False
    )
    return functional.grid_sample(
        images, places, mode="bilinear", padding_mode="border", align_corners=False
    )
