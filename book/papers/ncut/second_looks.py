"""Second looks at trained multi-layer perceptrons: what a printed loss or accuracy contains.

Nothing is trained that the cache holds. One record is one (network, stage):

- "mlp_penalty": the penalty that the weights carry. The released code adds it to every loss it
  prints; the papers call the loss a cross-entropy or a mean squared error.
- "mlp_dropout_modes": accuracy on training and test images with dropout off and on. The papers
  print training accuracy with dropout on and test accuracy with dropout off.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from book.lab.experiment import Experiment
from book.papers.ncut import mlps
from modgraph_lib import datasets, models, noise, provenance, training
from modgraph_lib.pixels import scaled
from modgraph_lib.training import TrainConfig, Trained

__all__ = [
    "DROPOUT_MODES",
    "PENALTY",
    "LookConfig",
    "dropout_modes",
    "dropout_modes_table",
    "penalty",
    "penalty_table",
]

STAGES = ("unpruned", "pruned")
Look = Callable[[Trained, "LookConfig", str | None], dict[str, float]]
MODES = ("train_off", "train_on", "test_off", "test_on")


@dataclass(frozen=True)
class LookConfig:
    """One trained network at one stage."""

    train: TrainConfig
    stage: str

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")


def penalty(model: nn.Module, train: TrainConfig) -> float:
    """l1 sum|w| + l2 sum w^2 over the kernels of a network, as it was trained with."""
    total = 0.0
    for position, kernel in enumerate(models.kernels(model)):
        l1, l2 = train.l1, train.l2
        if train.first_layer_l1 and position == 0:
            l1, l2 = l1 + l2, 0.0
        weight = kernel.detach()
        total += l1 * float(weight.abs().sum()) + l2 * float(weight.square().sum())
    return total


@torch.no_grad()
def dropout_modes(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, batch_size: int = 2000
) -> tuple[float, float]:
    """Accuracy with dropout off, and with dropout on (one draw of the mask for each image).

    Args:
        model: maps (N, ...) images to (N, classes) logits; left in evaluation mode.
        images: uint8 (scaled by 1/255 here, as in training) or float.
        labels: (N,) classes.
    """
    _, off = training.evaluate(model.eval(), images, labels)
    model.train()
    right = 0
    for start in range(0, len(images), batch_size):
        batch = scaled(images[start : start + batch_size])
        right += int((model(batch).argmax(1) == labels[start : start + batch_size]).sum())
    model.eval()
    return float(off or 0.0), right / len(images)


def measure_penalty(config: LookConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Loss and penalty of one network, computed anew and not stored."""
    return _measured(_penalty, config, root)


def measure_dropout_modes(
    config: LookConfig, *, device: str = "cpu", root: str | None = None
) -> dict:
    """Accuracies of one network with dropout off and on, computed anew and not stored."""
    return _measured(_dropout_modes, config, root)


def _measured(look: Look, config: LookConfig, root: str | None) -> dict:
    network = training.trained(config.train, root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = look(network, config, root)
        seconds = time.perf_counter() - start
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def _penalty(network: Trained, config: LookConfig, root: str | None) -> dict[str, float]:
    return {
        "test_loss": network.metrics[config.stage]["test_loss"],
        "penalty": penalty(network.model(config.stage), config.train),
    }


def _dropout_modes(network: Trained, config: LookConfig, root: str | None) -> dict[str, float]:
    model, found = network.model(config.stage), {}
    noise.own_dropout(model, [torch.Generator().manual_seed(config.train.seed)])
    for split in ("train", "test"):
        data = datasets.load(config.train.data, split, root=root)
        if split == "train" and config.train.images:
            data = data.take(slice(config.train.images))
        off, on = dropout_modes(model, data.images, data.labels)
        found |= {f"{split}_off": off, f"{split}_on": on}
    return found


EXPERIMENTS: dict[str, Callable[[Trained, LookConfig, str | None], dict[str, float]]] = {
    "mlp_penalty": _penalty,
    "mlp_dropout_modes": _dropout_modes,
}


def penalty_rows(record: dict) -> list[dict]:
    """One row a network and stage: test_loss, penalty, and their sum."""
    found = record["result"]
    both = found["test_loss"] + found["penalty"]
    return [{**mlps.words(record), **found, "test_loss_penalised": both}]


def mode_rows(record: dict) -> list[dict]:
    """One row a network and stage: its accuracies of ``MODES``."""
    return [{**mlps.words(record), **record["result"]}]


PENALTY = Experiment(
    "mlp_penalty",
    LookConfig,
    measure_penalty,
    penalty_rows,
    ("regularizer", "width", "test_loss", "penalty", "test_loss_penalised"),
    keep=mlps.of_paper_size,
)
DROPOUT_MODES = Experiment(
    "mlp_dropout_modes",
    LookConfig,
    measure_dropout_modes,
    mode_rows,
    ("regularizer", "width", *MODES),
    keep=mlps.of_paper_size,
)
penalty_table, dropout_modes_table = PENALTY.table, DROPOUT_MODES.table
