"""Tensors as plain numbers: dense, no codes, on no meta device."""

from __future__ import annotations

import torch

__all__ = ["plain"]


def plain(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """A strided tensor of the same numbers, without gradients.

    Raises:
        ValueError: a tensor on the meta device, which holds no numbers.
    """
    tensor = tensor.detach()
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers: load the weights")
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor if tensor.layout == torch.strided else tensor.to_dense()
