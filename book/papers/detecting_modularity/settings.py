"""How "Detecting Modularity" trains and divides its networks; no heavy import."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ARCHITECTURES", "CLUSTERS", "CONTROLS", "L2", "PARTITIONS", "READINGS", "Setting"]

READINGS = ("described", "published")
CLUSTERS, CONTROLS, NETWORKS = 16, 19, 5
L2 = 5e-4
TEST_IMAGES = 10_000
CRITICAL = 0.025  # the printed critical value, at which single p-values are called significant


@dataclass(frozen=True)
class Setting:
    """The paper's training run of one architecture (appendix A.2), and how a unit is lesioned.

    Attributes:
        dropout, dense_dropout: of the regularised networks.
        plain: whether the text describes networks without regulariser; it does not for the VGG.
        channels: convolutional channels for each of ``width``; 0: none.
        kind: of lesion, see ``lesions.KINDS``.
    """

    width: int
    epochs: int
    batch_size: int
    dropout: float
    dense_dropout: float = 0.0
    plain: bool = True
    channels: int = 0
    kind: str = "weights_and_biases"


ARCHITECTURES = {
    "mlp": Setting(256, 20, 128, dropout=0.5),
    "small_cnn": Setting(64, 10, 64, dropout=0.25, dense_dropout=0.5, channels=3),
    # Batch norm follows its ReLU: only without outgoing weights is a channel silent.
    "vgg": Setting(64, 200, 128, dropout=0.5, plain=False, channels=66, kind="outgoing"),
}
# ImageNet networks, one of each: text (9 random sets) and code (how many images; outgoing weights,
# which in a residual network, where a sum may read a unit, is its activation).
IMAGENET_CONTROLS, IMAGENET_TEST_IMAGES, IMAGENET_RESPONSES = 9, 8_000, 2_000
IMAGENET_KIND = "activations"
# (edges, scope, variant): the text's four, and what the code does for the last of them.
PARTITIONS = (
    ("weights", "global", "described"),
    ("weights", "local", "described"),
    ("activations", "global", "described"),
    ("activations", "local", "described"),
    ("activations", "local", "published"),
)
# Conditions of the paper's Tables 4 and 5: names as printed -> architecture and data set here.
PRINTED = {
    ("MLP", "MNIST"): ("mlp", "mnist"),
    ("CNN", "MNIST"): ("small_cnn", "mnist"),
    ("VGG", "CIFAR-10"): ("vgg", "cifar10"),
    ("VGG-16", "ImageNet"): ("vgg16", "imagenet"),
    ("ResNet18", "ImageNet"): ("resnet18", "imagenet"),
    ("VGG-19", "ImageNet"): ("vgg19", "imagenet"),
}
