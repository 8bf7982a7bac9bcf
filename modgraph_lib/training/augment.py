"""Random distortion of training images: rotation, shift and horizontal flip.

Pixels that come from outside the image repeat its edge; values between pixels are bilinear.
Randomness comes from torch's global generator, which training seeds for every epoch.
"""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["AUGMENTATIONS", "augment"]

# Lowest and highest angle in degrees. The paper says "0 to 15"; the released code turns both
# ways, as Keras does for a rotation range of 15.
ANGLES = {"described": (0.0, 15.0), "published": (-15.0, 15.0)}
AUGMENTATIONS = ("none", *ANGLES)
SHIFT = 0.1


def augment(images: torch.Tensor, kind: str) -> torch.Tensor:
    """Each image turned, moved by up to a tenth of its size, and mirrored every other time.

    Args:
        images: (N, C, H, W) floats.
        kind: "described" (0 to 15 degrees), "published" (-15 to 15) or "none".

    Raises:
        ValueError: an unknown kind, or inputs that are no images.

    Source: Clusterability in Neural Networks, section 3.
    """
    if kind == "none":
        return images
    if kind not in ANGLES:
        raise ValueError(f"augmentation is one of {', '.join(AUGMENTATIONS)}; got {kind!r}")
    if images.ndim != 4:
        raise ValueError(f"augmentation needs images (N, C, H, W), got {tuple(images.shape)}")
    count, device = len(images), images.device
    low, high = ANGLES[kind]
    angle = torch.deg2rad(low + (high - low) * torch.rand(count, device=device))
    shift = (2 * torch.rand(count, 2, device=device) - 1) * SHIFT
    mirrored = torch.rand(count, device=device) < 0.5
    return warp(images, angle, shift, mirrored)


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
