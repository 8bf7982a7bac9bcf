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
    """The paper's training run of one architecture (appendix A.2)."""

    width: int
    epochs: int
    batch_size: int
    dropout: float
    dense_dropout: float = 0.0


ARCHITECTURES = {
    "mlp": Setting(256, 20, 128, dropout=0.5),
    "small_cnn": Setting(64, 10, 64, dropout=0.25, dense_dropout=0.5),
}
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
