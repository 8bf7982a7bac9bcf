"""How "Clusterability in Neural Networks" trains its convolutional networks (section 3).

Beside ``settings``, which has the multi-layer perceptrons; no heavy import here either.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["READINGS", "SHUFFLES", "SMALL_CNN", "VGG", "CnnSetting", "of"]

SHUFFLES = 50
# (norm of a kernel slice, batch norms folded): the text and the released code, for L1 and L2.
READINGS = {
    "described": ("l1", True),
    "published": ("matrix_l1", False),
    "described L2": ("frobenius", True),
    "published L2": ("l2", False),
}


@dataclass(frozen=True)
class CnnSetting:
    """The paper's training run of one architecture; ``nodes`` before isolated ones go."""

    architecture: str
    epochs: int
    prune_epochs: int
    batch_size: int
    nodes: int
    width: int = 64


SMALL_CNN = CnnSetting("small_cnn", 10, 10, 64, nodes=3 * 64)
VGG = CnnSetting("vgg", 200, 50, 128, nodes=66 * 64)


def of(data: str) -> CnnSetting:
    """The paper's network for a data set: a VGG for CIFAR-10, the small CNN for all others."""
    return VGG if data == "cifar10" else SMALL_CNN
