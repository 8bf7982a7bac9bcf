"""The networks of the papers, as ordinary torch modules.

The published code is Keras: kernels start Glorot-uniform and biases at zero, which differs
from torch's defaults and decides the n-cut of an untrained network. Every constructor takes
a seed, and a network's initial weights depend on that seed alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.models.chains import alexnet, lenet, vgg1613

__all__ = [
    "alexnet",
    "initialise",
    "kernels",
    "lenet",
    "mlp",
    "small_cnn",
    "vgg",
    "vgg1613",
]

Network = TypeVar("Network", bound=nn.Module)


def _bare(kind: type[nn.Module], *given: int, **options: Any) -> nn.Module:
    """A layer whose weights ``initialise`` is to give, so that no generator is asked for any.

    As ``nn.utils.skip_init`` does, without the two seconds for which that imports a compiler.
    """
    layer = kind(*given, device="meta", **options)
    for name, weight in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(torch.empty(weight.shape, device="cpu")))
    return layer


linear = functools.partial(_bare, nn.Linear)
convolution = functools.partial(_bare, nn.Conv2d)


def mlp(
    inputs: int,
    outputs: int,
    *,
    widths: Sequence[int] = (256, 256, 256, 256),
    dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """A ReLU multi-layer perceptron that accepts images of any shape and returns logits.

    Args:
        inputs: number of input features after flattening.
        outputs: number of classes or regression targets.
        widths: units of each hidden layer.
        dropout: rate after each hidden layer's ReLU; never on the inputs (the papers say
            "every layer except the output", their code drops hidden units only).
        seed: fixes the initial weights.

    Returns:
        Maps (N, ...) with ``inputs`` features a sample to (N, outputs).

    Raises:
        ValueError: a non-positive size, or a rate outside [0, 1).

    Source: Neural networks are surprisingly modular, section 3; Clusterability in Neural
    Networks, section 2.

    >>> models.mlp(64, 10, widths=(32, 32), seed=0)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    _checks.instance(widths, Sequence, "widths as a list, one number a layer")
    hidden = {f"widths[{i}]": width for i, width in enumerate(widths)}
    _check_sizes(inputs=inputs, outputs=outputs, **hidden)
    _check_rate(dropout)
    sizes = [inputs, *widths]
    parts: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        parts += [linear(fan_in, fan_out), nn.ReLU()]
        if dropout:
            parts.append(nn.Dropout(dropout))
    parts.append(linear(sizes[-1], outputs))
    return initialise(nn.Sequential(*parts), seed=seed)


def small_cnn(
    image_shape: tuple[int, int, int] = (1, 28, 28),
    outputs: int = 10,
    *,
    channels: int = 64,
    dense: int = 128,
    conv_dropout: float = 0.0,
    dense_dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """Three 3x3 "same" convolutions, 2x2 max-pooling after the second and third, one dense layer.

    Args:
        image_shape: (channels, height, width) of one image; height and width at least 4.
        outputs: number of classes.
        channels: output channels of each convolution.
        dense: units of the hidden dense layer.
        conv_dropout: rate after each convolution (after its pooling, where it has one).
        dense_dropout: rate after the dense layer.
        seed: fixes the initial weights.

    Returns:
        Maps images (N, channels, height, width) to logits (N, outputs).

    Raises:
        ValueError: a non-positive size, images smaller than 4x4, or a rate outside [0, 1).

    Source: Clusterability in Neural Networks, section 3.

    >>> models.small_cnn((1, 8, 8), 10, channels=4, seed=0)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    depth, height, width = _checks.shape(image_shape, "image_shape")
    _check_sizes(depth=depth, outputs=outputs, channels=channels, dense=dense)
    if min(height, width) < 4:
        raise ValueError(f"images of {height}x{width} vanish after two 2x2 poolings; use >= 4x4")
    _check_rate(conv_dropout)
    _check_rate(dense_dropout)
    parts: list[nn.Module] = []
    for index in range(3):
        fan_in = depth if index == 0 else channels
        parts += [convolution(fan_in, channels, 3, padding=1), nn.ReLU()]
        if index > 0:
            parts.append(nn.MaxPool2d(2))
        if conv_dropout:
            parts.append(nn.Dropout(conv_dropout))
    parts += [nn.Flatten(), linear(channels * (height // 4) * (width // 4), dense), nn.ReLU()]
    if dense_dropout:
        parts.append(nn.Dropout(dense_dropout))
    parts.append(linear(dense, outputs))
    return initialise(nn.Sequential(*parts), seed=seed)


# Convolutions of the VGG in units of its width, and after which of them (from 1) comes what.
VGG_WIDTHS = (1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 8, 8)
VGG_POOLED = (2, 4, 7, 10, 13)
VGG_RATES = {1: 0.6, **dict.fromkeys((3, 5, 6, 8, 9, 11, 12), 0.8), 13: 1.0}


def vgg(
    image_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    *,
    width: int = 64,
    dropout: float = 0.0,
    seed: int,
) -> nn.Sequential:
    """The VGG-16 variant for CIFAR-10: 13 convolutions with batch norm, two dense layers.

    Each convolution is followed by ReLU, 2x2 max-pooling (after the 2nd, 4th, 7th, 10th and
    13th), batch norm and dropout, in this order; the norm comes after the activation. The first
    dense layer has ReLU, batch norm and dropout, the second ReLU alone. Batch norm has Keras's
    eps (0.001) and momentum (0.01 in torch's convention).

    Args:
        image_shape: (channels, height, width) of one image; height and width at least 32.
        outputs: number of classes.
        width: channels of the first convolutions (64 in the paper); the others have 2, 4 and 8
            times as many, each dense layer 8 times.
        dropout: rate after the last convolution and the first dense layer (0.5 in the paper).
            Earlier convolutions have 0.6 or 0.8 of it (0.3 and 0.4), those before the first
            four poolings none.
        seed: fixes the initial weights.

    Returns:
        Maps (N, C, H, W) to (N, outputs) logits; 66 x width channels in all.

    Raises:
        ValueError: a non-positive size, images that five poolings would shrink to nothing, or
            a rate outside [0, 1).

    Source: Clusterability in Neural Networks, section 3; layer order as in the released code.

    >>> len(models.kernels(models.vgg(width=4, seed=0)))
    16
    """
    depth, height, image_width = _checks.shape(image_shape, "image_shape")
    _check_sizes(depth=depth, outputs=outputs, width=width)
    if min(height, image_width) < 32:
        raise ValueError(
            f"images of {height}x{image_width} vanish after five 2x2 poolings; use >= 32x32"
        )
    _check_rate(dropout)
    parts: list[nn.Module] = []
    fan_in = depth
    for number, factor in enumerate(VGG_WIDTHS, 1):
        channels = factor * width
        parts += [convolution(fan_in, channels, 3, padding=1), nn.ReLU()]
        if number in VGG_POOLED:
            parts.append(nn.MaxPool2d(2))
        parts.append(nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))
        if dropout and number in VGG_RATES:
            parts.append(nn.Dropout(dropout * VGG_RATES[number]))
        fan_in = channels
    dense = 8 * width
    features = fan_in * (height // 32) * (image_width // 32)
    parts += [nn.Flatten(), linear(features, dense), nn.ReLU()]
    parts.append(nn.BatchNorm1d(dense, eps=1e-3, momentum=0.01))
    if dropout:
        parts.append(nn.Dropout(dropout))
    parts += [linear(dense, dense), nn.ReLU(), linear(dense, outputs)]
    return initialise(nn.Sequential(*parts), seed=seed)


@torch.no_grad()
def initialise(model: Network, *, seed: int) -> Network:
    """Glorot-uniform kernels and zero biases (Keras defaults), in place; returns the model.

    Only linear and convolutional layers are touched. The draw is made on the CPU from a
    generator of its own, so that a seed means the same weights on every device.

    >>> models.initialise(nn.Linear(2, 1), seed=0).weight.detach().round(decimals=2)
    tensor([[-0.0100,  0.7600]])
    """
    generator = torch.Generator().manual_seed(_checks.whole(seed, "seed"))
    for weight in kernels(model):
        receptive = math.prod(weight.shape[2:])
        fan_out, fan_in = weight.shape[0] * receptive, weight.shape[1] * receptive
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        draw = torch.rand(weight.shape, generator=generator, dtype=torch.float32)
        weight.copy_((draw * 2 - 1) * bound)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            module.bias.zero_()
    return model


def kernels(model: nn.Module) -> list[torch.Tensor]:
    """Weights of the linear and convolutional layers, in order; biases and norms are left out.

    >>> [tuple(kernel.shape) for kernel in models.kernels(models.mlp(4, 2, widths=(8,), seed=0))]
    [(8, 4), (2, 8)]
    """
    return [m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        _checks.whole(size, name, least=1)


def _check_rate(rate: float) -> None:
    _checks.number(rate, "a dropout rate", least=0, below=1)
