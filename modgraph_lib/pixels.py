"""Images as networks read them."""

from __future__ import annotations

import torch

__all__ = ["scaled"]


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Bytes as floats in 0 to 1; anything else as it is. Any shape, same device."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images
