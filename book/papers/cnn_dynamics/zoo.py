"""One record a network of the grid: its accuracy curve, and its graphs epoch by epoch.

No weights are kept. Thresholds, balanced samples, windows and averages are computed from the
records; whatever a page or a claim asks of a network is in its record.

Source: Convolutional Neural Network Dynamics: A Graph Perspective, sections 3 and 4, appendix
A.1. Unstated there and chosen here: momentum 0, max-pooling, dropout after hidden dense layers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import pandas as pd
import torch
from torch import nn

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.cnn_dynamics import looks
from modgraph_lib import cache, datasets, models, provenance, training
from modgraph_lib.datasets import Dataset
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import zoo

__all__ = ["CHAINS", "NETWORKS", "Chunk", "NetworkConfig", "build", "run", "table"]

CHAINS = {"lenet": models.lenet, "alexnet": models.alexnet, "vgg1613": models.vgg1613}
NETWORKS = (*CHAINS, "resnet32", "resnet44", "resnet50")
WIDE = (336, 252)  # LeNet's dense layers for 100 classes, solved from table 5


@dataclass(frozen=True)
class NetworkConfig:
    """One network of the grid.

    Attributes:
        network: one of ``NETWORKS``.
        seed: of its initial weights.
        pixels: width and height; images are averaged down or repeated up to it.
        images: training images; 0 takes all. With fewer, as many test images at most.
        patience: epochs without a better test accuracy until it stops.
        grid_seed: of batch order and dropout noise, the same for a whole grid.
    """

    network: str
    learning_rate: float
    dropout: float
    seed: int
    data: str = "cifar10"
    pixels: int = 32
    images: int = 0
    batch_size: int = 128
    epochs: int = 50
    patience: int = 10
    momentum: float = 0.0
    grid_seed: int = 0

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"no network {self.network!r}; there are {', '.join(NETWORKS)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"a dropout rate lies in [0, 1), got {self.dropout}")


@dataclass(frozen=True)
class Chunk:
    """Networks that train side by side: alike but for learning rate, dropout and seed."""

    members: tuple[NetworkConfig, ...]


def key(config: NetworkConfig, root: str | None = None) -> dict[str, Any]:
    """The configuration together with the data it runs on."""
    return {**cache.canonical(config), "data_fingerprint": training.fingerprint(config.data, root)}


def build(config: NetworkConfig, image_shape: tuple[int, int, int], outputs: int) -> nn.Module:
    """The network before training."""
    options: dict[str, Any] = {"dropout": config.dropout, "seed": config.seed}
    if config.network not in CHAINS:
        return cifar_networks.build(config.network, image_shape, outputs, **options)
    if config.network == "lenet" and outputs == 100:
        options["dense"] = WIDE
    return CHAINS[config.network](image_shape, outputs, **options)


def run(
    chunks: Sequence[Chunk],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all members, in their order, from the store or trained now.

    A record is written as soon as its network is through; a run that was killed goes on from
    its last epochs.
    """
    device = training.pick_device(device)
    train = joblib.delayed(_train)
    parallel = joblib.Parallel(n_jobs=sweep.jobs(device, workers))
    found = parallel(train(chunk, device, root) for chunk in chunks)
    return [record for records in found for record in records]


def _train(chunk: Chunk, device: str, root: str | None) -> list[dict]:
    wanted = [config for config in chunk.members if EXPERIMENT.stored(config, root) is None]
    name = cache.config_key(
        "cnn_zoo chunk", EXPERIMENT.schema, [key(c, root) for c in chunk.members]
    )
    checkpoint = cache.cache_root() / "checkpoints" / f"{name}.safetensors"
    if wanted:
        members = chunk.members if checkpoint.exists() else tuple(wanted)
        with training.threads_for(device):
            _fit(members, checkpoint, device, root)
        checkpoint.unlink(missing_ok=True)
    return [EXPERIMENT.stored(config, root) for config in chunk.members]  # type: ignore[misc]


def _fit(members: Sequence[NetworkConfig], checkpoint, device: str, root: str | None) -> None:
    first = members[0]
    train_data, test_data = pair(first.data, first.pixels, first.images, root)
    shape, outputs = _shape(train_data), len(train_data.classes)
    unrolled = first.network in ("lenet", "alexnet")

    def put(index: int, member: zoo.Member) -> None:
        origin = provenance.stamp(
            device=device,
            threads=1 if device == "cpu" else torch.get_num_threads(),
            seconds=member.seconds,
            data_note=training.data_note(first.data, root),
        )
        EXPERIMENT.put(members[index], looks.result(member), origin, root)

    zoo.train(
        [build(config, shape, outputs) for config in members],
        [config.learning_rate for config in members],
        train_data,
        test_data,
        epochs=first.epochs,
        patience=first.patience,
        batch_size=first.batch_size,
        momentum=first.momentum,
        seed=first.grid_seed,
        after_epoch=functools.partial(looks.look, image_shape=shape, unrolled=unrolled),
        when_done=put,
        checkpoint=checkpoint,
        device=device,
    )


@functools.lru_cache(maxsize=2)
def pair(name: str, pixels: int, images: int, root: str | None = None) -> tuple[Dataset, Dataset]:
    """Training and test images at this size, and no more than so many (0: all)."""
    one, two = (_sized(data, pixels) for data in training.pair(name, root))
    return (one.take(slice(images)), two.take(slice(images))) if images else (one, two)


def _sized(data: Dataset, pixels: int) -> Dataset:
    """Pixels averaged down, or repeated up, to a square of this size; in bytes."""
    size = data.images.shape[-1]
    if size == pixels:
        return data
    if max(size, pixels) % min(size, pixels):
        raise ValueError(
            f"images of {size} pixels go to {pixels} neither by whole means nor by repeating; take "
            f"a divisor or a multiple of {size}"
        )
    images = training.with_channels(data.images)
    if size > pixels:
        means = nn.functional.avg_pool2d(images.float(), size // pixels)
        images = means.round().to(torch.uint8)
    else:
        images = images.repeat_interleave(pixels // size, 2).repeat_interleave(pixels // size, 3)
    return datasets.make(data.name, images, data.labels, data.classes, note=data.note)


def _shape(data: Dataset) -> tuple[int, int, int]:
    shape = training.with_channels(data.images[:1]).shape[1:]
    return int(shape[0]), int(shape[1]), int(shape[2])


def rows(record: dict) -> list[dict[str, Any]]:
    """One row a network: final and best accuracy (%), and its curves.

    ``accuracy`` is the test accuracy of the last epoch, as the paper has it; ``held_out`` that of
    the epoch which did best on one half of the test images, on the other half. Columns of
    objects hold what there is one of for each epoch.
    """
    result = record["result"]
    curves = result["curves"]
    whole, half = (pd.Series(curves[name]) * 100 for name in ("test_accuracy", "half_accuracy"))
    best = int(half[1:].idxmax())
    found = {
        "accuracy": whole.iloc[-1],
        "best": whole[1:].max(),
        "held_out": 2 * whole[best] - half[best],
        "last_epoch": len(whole) - 1,
        "stopped": result["stopped"] or 0,
        "diverged": -1 if result["diverged"] is None else result["diverged"],
        "curve": whole.to_numpy(),
        "losses": curves["train_loss"],
        "signatures": result["signatures"],
        "layer_norms": result["layer_norms"],
        "deciles": result["degree_deciles"],
        "weights": result["weight_statistics"],
        "globals": result["globals"],
    }
    return [found]


def _again(config: NetworkConfig) -> dict[str, Any]:
    """What takes no training: the graphs of the network before its first step."""
    data, _ = pair(config.data, config.pixels, config.images)
    shape = _shape(data)
    model = build(config, shape, len(data.classes)).eval()
    unrolled = config.network in ("lenet", "alexnet")
    return looks.look(model, 0, image_shape=shape, unrolled=unrolled)["signatures"]


def _compare(before: dict, now: dict) -> tuple[str, str]:
    """Signatures at epoch 0 against those of the record, to the digits that it keeps."""
    off = max(
        abs(old - new) / max(abs(old), 1e-6)
        for name, values in now.items()
        for old, new in zip(before["signatures"][name][0], values, strict=True)
    )
    outcome = "identical" if off == 0 else "agrees" if off < 1e-3 else "differs"
    return outcome, f"signatures before training off by {off:.2g}"


def _kept(record: dict) -> bool:
    return record["config"]["data"] != "digits" and record["config"]["epochs"] >= 15


EXPERIMENT = Experiment(
    "cnn_zoo",
    NetworkConfig,
    rows=rows,
    columns=("accuracy", "best", "held_out", "last_epoch", "stopped", "diverged"),
    key=key,
    recompute=_again,
    in_part=True,
    compare=_compare,
    keep=_kept,
)
table = EXPERIMENT.table
