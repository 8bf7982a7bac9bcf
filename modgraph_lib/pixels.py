"""Images as networks read them."""

from __future__ import annotations

import torch

__all__ = ["channels_last", "fewer", "scaled", "with_channels"]


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Bytes as floats in 0 to 1; anything else as it is. Any shape, same device.

    >>> pixels.scaled(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """The same images (N, C, H, W) with channels innermost, in memory and in their strides.

    One channel has the same memory in either layout. torch leaves such strides alone, reads them as
    channels first, and every layer of the network follows: the strides have to say it.

    >>> pixels.channels_last(torch.zeros(5, 3, 8, 8)).stride()
    (192, 1, 24, 3)
    """
    _, channels, height, width = images.shape
    return images.contiguous(memory_format=torch.channels_last).as_strided(
        images.shape, (channels * height * width, 1, channels * width, channels)
    )


def fewer(count: int, numbers: int, usual: int = 32 * 32) -> int:
    """How many things of so many numbers take the memory of ``count`` usual ones; never more.

    >>> pixels.fewer(500, 224 * 224), pixels.fewer(500, 28 * 28)
    (10, 500)
    """
    return max(1, count * usual // max(usual, numbers))


def with_channels(images: torch.Tensor) -> torch.Tensor:
    """Grey images (N, H, W) as (N, 1, H, W); images that have channels as they are.

    >>> pixels.with_channels(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 1, 8, 8])
    """
    return images[:, None] if images.ndim == 3 else images
