"""How the community paper trains its classifiers, and the shorter run that a laptop can afford."""

from __future__ import annotations

from dataclasses import dataclass

from book.lab.parameters import Run, parameter
from modgraph_lib.training import SgdConfig

__all__ = [
    "DATA_WORDS",
    "NETWORK_WORDS",
    "SAMPLES",
    "SCALES",
    "TrainedParameters",
    "training_run",
]

SCALES = ("paper", "short")
# Images in a graph, by data set (section 4); other data sets take the first.
SAMPLES = {"cifar10": 500, "cifar100": 1000, "imagenet50": 500}
DATA_WORDS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet50": "ImageNet50",
    "tiny_imagenet_50": "Tiny ImageNet, 50 classes",
    "digits": "Digits 8×8",
}
NETWORK_WORDS = {"vgg": "VGG", "resnet": "ResNet"}
# A modern schedule for few epochs: one cycle with a high peak, and an ordinary weight decay.
SHORT = {
    "width": 16,
    "epochs": 10,
    "learning_rate": 0.1,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "one_cycle",
    "precision": "bfloat16",
}
# The same in words, wherever a number from such networks is shown.
SHORT_WORDS = "{width}, 10 epochs of one cycle, weight decay 0.0005, bfloat16"


@dataclass(frozen=True)
class TrainedParameters(Run):
    """What the sections that train one kind of network or two can be asked."""

    data: str = parameter(
        "digits",
        "data set: digits, cifar10 (paper), cifar100 or tiny_imagenet_50",
        choices=("digits", "cifar10", "cifar100", "tiny_imagenet_50"),
    )
    seeds: int = parameter(1, "networks of each kind (paper: 1)", at_least=1)
    scale: str = parameter(
        "short", "recipe: short (one cycle) or paper (150 epochs)", choices=SCALES
    )
    width: int = parameter(8, "channels of the first stage; 0 is the paper's 64", at_least=0)
    epochs: int = parameter(12, "epochs of the whole run (paper: 150)", at_least=1)
    batch_size: int = parameter(64, "images per optimiser step (paper: 256)", at_least=1)
    precision: str = parameter(
        "float32", "arithmetic of training: float32 or bfloat16", choices=("float32", "bfloat16")
    )
    neighbours: int = parameter(3, "neighbours k of each image (paper: 3)", at_least=1)
    repeats: int = parameter(3, "draws of test images (paper: 5)", at_least=1)


def training_run(
    network: str, seed: int, *, data: str = "cifar10", scale: str = "paper", **changes
) -> SgdConfig:
    """The training run of one network.

    Args:
        scale: "paper" is section 4 with the released code's schedule: 150 epochs at full width,
            rate 0.01 divided by ten after 50 and 100, weight decay 0.005. "short" is ours: a
            quarter of the width, 10 epochs, one cycle up to 0.1, weight decay 0.0005.
        changes: fields of ``SgdConfig`` to set otherwise.

    Raises:
        ValueError: an unknown scale or network.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    base = SHORT if scale == "short" else {}
    if network.startswith("resnet56"):  # thin already
        base = {**base, "width": 0}
    if data == "digits":  # a digit mirrored is another sign
        base = {**base, "augmentation": "none"}
    if data == "imagenet50":
        base = {**base, "augmentation": "resized_crop_flip"}
    return SgdConfig(data=data, network=network, seed=seed, **{**base, **changes})
