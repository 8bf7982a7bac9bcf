"""VGGs and ResNets for small colour images, with the layers that the community paper measures.

Each takes pixels in 0..1 and normalises them itself, so that a picture, an attack and a
measurement all see the same range. Initial weights depend on the seed alone.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4 and appendix B;
initialisation and classifier heads as in its released code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks, noise

__all__ = [
    "NAMES",
    "ResNet",
    "Vgg",
    "build",
    "measured_layers",
    "places",
    "plan_of",
    "sub_layers",
]

# Mean and standard deviation of the training images' channels, in 0..1.
MOMENTS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    # The released code takes CIFAR-10's means for CIFAR-100 too.
    "cifar100": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
VGG_PLANS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
RESNET_PLANS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnet56": (9, 9, 9),
    "resnet32": (5, 5, 5),
    "resnet44": (7, 7, 7),
}
NARROW = ("resnet32", "resnet44", "resnet56")  # for CIFAR-10: 16 channels, shortcuts that pad
LARGE = 128  # pixels from which an image gets the stem for ImageNet
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")
NAMES = (*VGG_PLANS, *RESNET_PLANS)
Reading = Literal["described", "published"]
SubLayers = Literal["units", "convolutions"]


class Normalise(nn.Module):
    """(x - mean) / deviation for each channel."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, channels: int, moments: str) -> None:
        super().__init__()
        mean, deviation = MOMENTS.get(moments, ((0.5,) * channels, (0.5,) * channels))
        if len(mean) != channels:
            mean, deviation = (0.5,) * channels, (0.5,) * channels
        # Constants of the architecture, not learned: they are not saved with the weights.
        for name, value in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.deviation


class Vgg(nn.Module):
    """Stages of 3x3 convolution, batch norm and ReLU, each stage ended by a 2x2 max-pooling.

    Poolings round up, so that images smaller than 32x32 work too (at 32x32 nothing changes).
    """

    def __init__(self, plan: Sequence[int], channels: int, outputs: int, width: int, moments: str):
        super().__init__()
        parts: list[nn.Module] = []
        fan_in = channels
        for stage, count in enumerate(plan):
            fan_out = width * min(2**stage, 8)
            for _ in range(count):
                parts += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.BatchNorm2d(fan_out)]
                parts.append(nn.ReLU())
                fan_in = fan_out
            parts.append(nn.MaxPool2d(2, ceil_mode=True))
        self.normalise = Normalise(channels, moments)
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(fan_in, fan_in), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(fan_in, fan_in), nn.ReLU(), nn.Linear(fan_in, outputs),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, (2 / (9 * module.out_channels)) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.features(self.normalise(images))
        return self.classifier(functional.adaptive_avg_pool2d(features, 1).flatten(1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, fan_in: int, width: int, stride: int, pad_shortcut: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(fan_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.shortcut = _shortcut(fan_in, width, stride, pad_shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; four times as many channels come out."""

    expansion = 4

    def __init__(self, fan_in: int, width: int, stride: int, pad_shortcut: bool = False) -> None:
        super().__init__()
        out = self.expansion * width
        self.body = nn.Sequential(
            nn.Conv2d(fan_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.shortcut = _shortcut(fan_in, out, stride, pad_shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class PadShortcut(nn.Module):
    """Every other pixel, and zeros for the new channels: a shortcut without weights."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, fan_out - fan_in

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.missing // 2
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, half, self.missing - half))


def _shortcut(fan_in: int, fan_out: int, stride: int, pad: bool) -> nn.Module:
    if stride == 1 and fan_in == fan_out:
        return nn.Identity()
    if pad:
        return PadShortcut(fan_in, fan_out, stride)
    return nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))


class ResNet(nn.Module):
    """A stem and stages of residual blocks, each stage after the first at half the size.

    The stem is a 3x3 convolution; for large images (Table B4: ImageNet50) a 7x7 one at half the
    size and a max-pooling.
    """

    def __init__(
        self,
        plan: Sequence[int],
        block: type[BasicBlock] | type[BottleneckBlock],
        channels: int,
        outputs: int,
        width: int,
        moments: str,
        pad_shortcuts: bool = False,
        large: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(channels, moments)
        size, stride, padding = (7, 2, 3) if large else (3, 1, 1)
        stem: list[nn.Module] = [nn.Conv2d(channels, width, size, stride, padding, bias=False)]
        stem += [nn.BatchNorm2d(width), nn.ReLU()]
        self.stem = nn.Sequential(*stem, *([nn.MaxPool2d(3, 2, 1)] if large else []))
        fan_in, stages = width, []
        for stage, count in enumerate(plan):
            blocks = []
            for number in range(count):
                stride = 2 if stage and number == 0 else 1
                blocks.append(block(fan_in, width * 2**stage, stride, pad_shortcuts))
                fan_in = width * 2**stage * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(fan_in, outputs)
        if pad_shortcuts:  # ResNet56 comes from another code, which starts Kaiming-normal
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stages(self.stem(self.normalise(images)))
        return self.classifier(self.dropout(functional.adaptive_avg_pool2d(features, 1).flatten(1)))


@dataclass(frozen=True)
class Plan:
    """Units of each stage of a network, and its family."""

    family: str
    counts: tuple[int, ...]


def plan_of(name: str) -> Plan:
    """The stages of a network by name: "vgg16", "resnet50", or a shortened one of appendix B.

    "vgg19_3" is VGG-19 without its last three convolutions, taken from the back while every
    stage keeps one (Tables B2, B5); "resnet152_11" has 11 blocks fewer in its third stage
    (Tables B3, B4); "resnet56_4_2_3" is ResNet-56 with 4, 2 and 3 blocks fewer in its stages.

    Raises:
        ValueError: an unknown network, or more units taken away than it has.

    >>> cifar_networks.plan_of("resnet56_4_2_3")
    Plan(family='resnet56', counts=(5, 7, 6))
    """
    match = re.fullmatch(r"((?:vgg|resnet)\d+)((?:_\d+)*)", str(name))
    family = match.group(1) if match else ""
    plans = VGG_PLANS | RESNET_PLANS
    if not match or family not in plans:
        raise ValueError(f"unknown network {name!r}; there are {', '.join(NAMES)}")
    counts = list(plans[family])
    removed = [int(part) for part in match.group(2).split("_")[1:]]
    if not removed:
        return Plan(family, tuple(counts))
    if family in VGG_PLANS and len(removed) == 1 and removed[0] <= sum(counts) - len(counts):
        for _ in range(removed[0]):
            counts[max(i for i, count in enumerate(counts) if count > 1)] -= 1
        return Plan(family, tuple(counts))
    if family in RESNET_PLANS and len(removed) == 1 and len(counts) == 4:
        removed = [0, 0, removed[0], 0]
    left = [count - gone for count, gone in zip(counts, removed, strict=False)]
    if family in VGG_PLANS or len(removed) != len(counts) or min(left) < 1:
        raise ValueError(
            f"{name!r} takes away more than {family} can miss; its stages have {counts} units and "
            "keep at least one each"
        )
    return Plan(family, tuple(left))


def build(
    name: str,
    image_shape: tuple[int, int, int] = (3, 32, 32),
    outputs: int = 10,
    *,
    width: int = 0,
    moments: str = "cifar10",
    dropout: float = 0.0,
    seed: int,
) -> Vgg | ResNet:
    """An untrained network by name.

    Args:
        name: see ``plan_of``.
        image_shape: (channels, height, width) of one image.
        outputs: number of classes.
        width: channels of the first stage; 0 is the paper's (64; 16 for ResNet-32, 44 and 56).
        moments: whose mean and deviation normalise the pixels, a key of ``MOMENTS``; another
            name, or images that are not in colour, get 0.5 and 0.5.
        dropout: rate before a ResNet's classifier; a VGG has 0.5 twice.
        seed: fixes the initial weights.

    Returns:
        Maps images (N, channels, height, width) in 0..1 to logits (N, outputs).

    Raises:
        ValueError: an unknown network or a negative width.

    >>> cifar_networks.build("resnet18", width=4, seed=0)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """
    plan = plan_of(name)
    _checks.whole(width, "width")
    _checks.whole(outputs, "outputs", least=1)
    _checks.instance(moments, str, "moments as the name of a data set")
    width = width or (16 if plan.family in NARROW else 64)
    channels = _checks.shape(image_shape, "image_shape")[0]
    with noise.seeded(seed):
        if plan.family in VGG_PLANS:
            return Vgg(plan.counts, channels, outputs, width, moments)
        block = BottleneckBlock if plan.family in BOTTLENECKS else BasicBlock
        pads, large = plan.family in NARROW, max(image_shape[1:]) >= LARGE
        return ResNet(plan.counts, block, channels, outputs, width, moments, pads, large, dropout)


def measured_layers(model: Vgg | ResNet, reading: Reading = "described") -> tuple[str, ...]:
    """Names of the layers after which the paper measures, from the bottom up.

    "described" is the text: a VGG's units of convolution, batch norm and ReLU, a ResNet's blocks.
    "published" is the released code: a VGG's bare convolutions, before batch norm and ReLU, and a
    ResNet's stem convolution followed by its blocks.

    Raises:
        ValueError: an unknown reading.

    >>> cifar_networks.measured_layers(cifar_networks.build("resnet18", width=4, seed=0))[:3]
    ('stages.0.0', 'stages.0.1', 'stages.1.0')
    """
    if reading not in ("described", "published"):
        raise ValueError(f'reading must be "described" or "published", got {reading!r}')
    _checks.instance(model, Vgg | ResNet, "a network of cifar_networks.build")
    named = dict(model.named_modules())
    if isinstance(model, Vgg):
        kind = nn.ReLU if reading == "described" else nn.Conv2d
        return tuple(n for n, m in named.items() if n.startswith("features.") and type(m) is kind)
    blocks = tuple(n for n, m in named.items() if isinstance(m, BasicBlock | BottleneckBlock))
    return blocks if reading == "described" else ("stem.0", *blocks)


def sub_layers(model: ResNet, parts: SubLayers = "units") -> dict[str, str]:
    """Layers of a ResNet inside its blocks and after them, from the bottom up.

    Args:
        parts: "units" takes each convolution of a block's branch with the batch norm and ReLU
            that follow it, which is what the paper calls a layer of a VGG; "convolutions" the
            bare convolutions. Convolutions on a shortcut belong to neither.

    Returns:
        Module name -> "stem", "inside" (in a branch) or "after" (a block's output, behind the
        addition and its ReLU).

    Raises:
        ValueError: a network without residual blocks, or an unknown ``parts``.

    >>> model = cifar_networks.build("resnet18", width=4, seed=0)
    >>> list(cifar_networks.sub_layers(model).items())[:3]
    [('stem', 'stem'), ('stages.0.0.body.2', 'inside'), ('stages.0.0.body.4', 'inside')]
    """
    if parts not in ("units", "convolutions"):
        raise ValueError(f'parts must be "units" or "convolutions", got {parts!r}')
    if not isinstance(model, ResNet):
        raise ValueError("only a ResNet has layers inside and after residual blocks")
    found = {"stem" if parts == "units" else "stem.0": "stem"}
    for block in measured_layers(model):
        body: Any = model.get_submodule(block).body
        starts = [i for i, module in enumerate(body) if isinstance(module, nn.Conv2d)]
        ends = [*(start - 1 for start in starts[1:]), len(body) - 1]
        for place in ends if parts == "units" else starts:
            found[f"{block}.body.{place}"] = "inside"
        found[block] = "after"
    return found


def places(model: Vgg | ResNet) -> dict[str, tuple[tuple[int, int] | str, str]]:
    """Where each entry of the state dict belongs, by stage and unit.

    Returns:
        Name of the entry -> (place, name within it). The place is (stage, unit), both from 0, or
        the name of a layer outside the stages. Networks of one family that differ in their
        counts then have the same names for the same things.

    >>> model = cifar_networks.build("vgg11", width=4, seed=0)
    >>> cifar_networks.places(model)["features.0.weight"]
    ((0, 0), 'Conv2d.weight')
    """
    units: dict[str, tuple[tuple[int, int], str]] = {}
    if isinstance(model, Vgg):
        stage, unit = 0, 0
        for index, module in enumerate(model.features):
            if isinstance(module, nn.MaxPool2d):
                stage, unit = stage + 1, 0
                continue
            units[f"features.{index}"] = ((stage, unit), type(module).__name__)
            unit += isinstance(module, nn.ReLU)
    found: dict[str, tuple[tuple[int, int] | str, str]] = {}
    for name in model.state_dict():
        layer, _, rest = name.rpartition(".")
        if layer in units:
            place, part = units[layer]
            found[name] = (place, f"{part}.{rest}")
        elif match := re.fullmatch(r"stages\.(\d+)\.(\d+)\.(.+)", name):
            found[name] = ((int(match[1]), int(match[2])), match[3])
        else:
            found[name] = (layer, rest)
    return found
