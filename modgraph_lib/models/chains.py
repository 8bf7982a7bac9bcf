"""LeNet, AlexNet and the narrow VGG of the paper on CNN dynamics, as chains of layers.

Each takes pixels in 0..1 and normalises them itself. Dropout comes after every hidden dense
layer and stands there at rate 0 too, so that networks of all rates have one shape. Initial
weights are torch's defaults and depend on the seed alone.

Source: Convolutional Neural Network Dynamics: A Graph Perspective, appendix A.1 and table 5,
which name the networks and count their nodes; kernel sizes and poolings are not stated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from modgraph_lib import _checks, noise
from modgraph_lib.models.cifar_networks import Normalise

__all__ = ["alexnet", "lenet", "vgg1613"]

POOL = 0  # a 2x2 max-pooling in a plan; a pair is (filters, kernel size, stride, padding)


def lenet(
    image_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    *,
    dense: Sequence[int] = (120, 84),
    dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """LeNet-5: two 5x5 convolutions of 6 and 16 filters, each max-pooled, and two dense layers.

    Args:
        image_shape: (channels, height, width) of one image; height and width at least 16.
        outputs: number of classes.
        dense: units of the hidden dense layers ((336, 252) for the paper's 100 classes).
        dropout: rate after each of them.
        seed: fixes the initial weights.

    Returns:
        Maps images (N, channels, height, width) in 0..1 to logits (N, outputs).

    Raises:
        ValueError: a non-positive size, an image below 16x16, or a rate outside [0, 1).

    Source: CNN Dynamics, table 5 (239 nodes; 713 with 100 classes).

    >>> models.lenet((3, 16, 16), seed=0)(torch.zeros(5, 3, 16, 16)).shape
    torch.Size([5, 10])
    """
    plan = [(6, 5, 1, 0), POOL, (16, 5, 1, 0), POOL]
    return _chain(image_shape, outputs, plan, dense, dropout, seed, least=16)


def alexnet(
    image_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    *,
    dense: Sequence[int] = (1024, 512),
    dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """AlexNet for small images: convolutions of 96, 256, 384, 384 and 256 filters.

    The filters are the usual ones, and the dense widths follow from the paper's counts. Its
    kernel sizes and strides cannot be derived: here all kernels are 3x3, the first with stride
    2, and max-poolings follow the first, second and fifth.

    Args, returns, raises: as ``lenet``; images of at least 16x16.

    Source: CNN Dynamics, table 5 (2,925 nodes; 3,015 with 100 classes).

    >>> models.alexnet(seed=0)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """
    plan = [(96, 3, 2, 1), POOL, (256, 3, 1, 1), POOL, (384, 3, 1, 1), (384, 3, 1, 1)]
    return _chain(
        image_shape, outputs, [*plan, (256, 3, 1, 1), POOL], dense, dropout, seed, least=16
    )


def vgg1613(
    image_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    *,
    dense: Sequence[int] = (128, 128),
    dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """A narrow VGG of 1,613 nodes: stages of 64; 128, 128; 256, 256; 256, 256 filters.

    A whole VGG-13 has more filters than the paper counts nodes. This is the plainest of the
    layouts that have its rolled counts and the nodes of its unrolled graph; batch norm is not
    spoken of.

    Args, returns, raises: as ``lenet``; images of at least 16x16.

    Source: CNN Dynamics, table 5.

    >>> models.vgg1613(seed=0)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """
    plan: list = []
    for stage in ((64,), (128, 128), (256, 256), (256, 256)):
        plan += [*((filters, 3, 1, 1) for filters in stage), POOL]
    return _chain(image_shape, outputs, plan, dense, dropout, seed, least=16)


def _chain(image_shape, outputs, plan, dense, dropout, seed, least) -> nn.Sequential:
    channels, height, width = _checks.shape(image_shape, "image_shape")
    if min(height, width) < least:
        raise ValueError(
            f"images of {height}x{width} vanish in this network; use >= {least}x{least}"
        )
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"a dropout rate lies in [0, 1), got {dropout}")
    units = [_checks.whole(size, f"dense[{i}]", least=1) for i, size in enumerate(dense)]
    _checks.whole(outputs, "outputs", least=1)
    with noise.seeded(seed):
        parts: list[nn.Module] = [Normalise(channels, "cifar10")]
        fan_in = channels
        for step in plan:
            if step == POOL:
                parts.append(nn.MaxPool2d(2))
                continue
            filters, kernel, stride, padding = step
            parts += [nn.Conv2d(fan_in, filters, kernel, stride, padding), nn.ReLU()]
            fan_in = filters
        parts.append(nn.Flatten())
        with torch.no_grad():
            fan_in = nn.Sequential(*parts)(torch.zeros(1, channels, height, width)).shape[1]
        for size in units:
            parts += [nn.Linear(fan_in, size), nn.ReLU(), nn.Dropout(dropout)]
            fan_in = size
        parts.append(nn.Linear(fan_in, outputs))
    return nn.Sequential(*parts)
