"""Training one image classifier by SGD, as the papers on larger networks do, watched by epoch.

Epoch e draws its batch order and its random crops from (seed, e) alone, so a run continued from
its checkpoint is bit for bit the undisturbed one. Finished networks are kept in
``data/cache/networks`` beside those of ``training.trained``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks, cache, noise, provenance
from modgraph_lib.datasets import Dataset
from modgraph_lib.device import pick_device
from modgraph_lib.models import cifar_networks
from modgraph_lib.pixels import with_channels
from modgraph_lib.training import checkpoints
from modgraph_lib.training.config import SCHEDULES, SgdConfig
from modgraph_lib.training.forward import autocast, evaluate, training_batch
from modgraph_lib.training.inherit import inherit
from modgraph_lib.training.seeds import derived
from modgraph_lib.training.sets import pair

__all__ = [
    "SCHEDULES", "Classifier", "SgdConfig", "at_start", "fit", "learning_rate", "trained",
    "untrained",
]  # fmt: skip

SCHEMA = 1
AfterEpoch = Callable[[nn.Module, int, dict[str, float]], None]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network and its history.

    Attributes:
        weights: state dict on the CPU.
        history: one dict an epoch: train_loss, train_accuracy (running, on distorted images)
            and test_accuracy.
        seconds: of training and its evaluations, over all its pieces.
    """

    config: SgdConfig
    image_shape: tuple[int, int, int]
    outputs: int
    weights: dict[str, torch.Tensor]
    history: list[dict[str, float]]
    seconds: float

    @property
    def test_accuracy(self) -> float:
        """After the last epoch. (The released code reports the best epoch: ``best_accuracy``.)"""
        return self.history[-1]["test_accuracy"]

    @property
    def best_accuracy(self) -> float:
        """Of the epoch that did best on the test set, which is what the paper reports."""
        return max(epoch["test_accuracy"] for epoch in self.history)

    def model(self) -> nn.Module:
        """The network in evaluation mode on the CPU; takes pixels in 0..1."""
        model = untrained(self.config, self.image_shape, self.outputs)
        model.load_state_dict(self.weights)
        return model.eval()


def trained(
    config: SgdConfig,
    *,
    device: str = "cpu",
    root: str | Path | None = None,
    after_epoch: AfterEpoch | None = None,
) -> Classifier:
    """One trained classifier, from the cache or trained now (continuing a killed run).

    With ``after_epoch`` there is something to watch, so it is trained even where it is in the
    cache; a killed run still continues from its checkpoint. See ``fit`` for the arguments.

    >>> config = training.SgdConfig("digits", "vgg11", seed=0, width=4, epochs=1, images=256)
    >>> sorted(training.sgd.trained(config).history[0])
    ['test_accuracy', 'train_accuracy', 'train_loss']
    """
    _checks.instance(config, SgdConfig, "a SgdConfig")
    device = pick_device(device)
    train_data, test_data = pair(config.data, root)
    name = key(config, train_data)
    path = cache.cache_root() / "networks" / f"{name}.safetensors"
    found = None if after_epoch else _from_cache(config, path)
    if found is not None:
        return found
    cache.check_writable()
    checkpoint = cache.cache_root() / "checkpoints" / f"{name}.safetensors"
    parent = _parent(config, device, root)
    made = fit(
        config,
        train_data,
        test_data,
        device=device,
        checkpoint=checkpoint,
        after_epoch=after_epoch,
        parent=parent,
    )
    facts = {
        "config": cache.canonical(config),
        "image_shape": made.image_shape,
        "outputs": made.outputs,
        "history": made.history,
        "seconds": made.seconds,
        "provenance": provenance.stamp(
            device=device, threads=torch.get_num_threads(), seconds=made.seconds
        ),
    }
    checkpoints.save_tensors(path, made.weights, facts)
    checkpoint.unlink(missing_ok=True)
    return made


def _from_cache(config: SgdConfig, path: Path) -> Classifier | None:
    loaded = checkpoints.load_network(path, config)
    if loaded is None:
        return None
    weights, facts = loaded
    shape = tuple(facts["image_shape"])
    return Classifier(config, shape, facts["outputs"], weights, facts["history"], facts["seconds"])


def untrained(config: SgdConfig, image_shape: tuple[int, int, int], outputs: int) -> nn.Module:
    """The network before training, in evaluation mode.

    >>> config = training.SgdConfig("digits", "vgg11", seed=0, width=4, epochs=1, images=256)
    >>> training.sgd.untrained(config, (1, 8, 8), 10)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    return cifar_networks.build(
        config.network,
        image_shape,
        outputs,
        width=config.width,
        moments="imagenet" if "imagenet" in config.data else config.data,
        seed=config.seed,
    ).eval()


def at_start(
    config: SgdConfig, *, device: str = "cpu", root: str | Path | None = None
) -> nn.Module:
    """The network before its first step, on the CPU in evaluation mode.

    With a parent (trained now where it is not in the cache) it has inherited already.

    >>> config = training.SgdConfig("digits", "vgg11", seed=0, width=4, epochs=1, images=256)
    >>> training.sgd.at_start(config)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    data, _ = pair(config.data, root)
    shape = tuple(_pixels(data, "cpu").shape[1:])
    parent = _parent(config, device, root)
    return _start(config, shape, len(data.classes), parent)


def _parent(config: SgdConfig, device: str, root: str | Path | None) -> nn.Module | None:
    if config.parent is None:
        return None
    return trained(config.parent, device=device, root=root).model()


def _start(config, image_shape, outputs, parent: Any) -> nn.Module:
    model: Any = untrained(config, image_shape, outputs)
    if config.parent is None:
        return model
    if parent is None:
        raise ValueError("the run has a parent: give its network, or let sgd.trained find it")
    inherit(model, parent, config.kept)
    return model


def learning_rate(config: SgdConfig, step: int, steps: int) -> float:
    """The rate of one step (from 0) of ``steps``.

    >>> config = training.SgdConfig("digits", "vgg11", seed=0, schedule="one_cycle")
    >>> [round(training.sgd.learning_rate(config, step, 9), 4) for step in (0, 3, 8)]
    [0.0011, 0.01, 0.0017]
    """
    done = step / steps
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "steps":
        return config.learning_rate * 0.1 ** math.floor(3 * done)
    rise = 1 / 3
    share = done / rise if done < rise else (1 - done) / (1 - rise)
    return config.learning_rate * max(share, 1 / steps)


def fit(
    config: SgdConfig,
    train_data: Dataset,
    test_data: Dataset,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    after_epoch: AfterEpoch | None = None,
    parent: nn.Module | None = None,
) -> Classifier:
    """Train one classifier.

    Args:
        config: what to train.
        train_data, test_data: images (N, C, H, W) or (N, H, W) uint8, labels (N,).
        device: torch device.
        checkpoint: file to continue from, written after each epoch (at most every ten seconds);
            the caller removes it once the result is safe.
        after_epoch: called with the model (evaluation mode), the number of finished epochs and
            their last history entry, before the checkpoint is written: a run killed in between
            calls it again for the same epoch.
        parent: trained network of ``config.parent``, on the CPU; needed if there is one.

    Raises:
        ValueError: images without three axes, labels that are no classes, or a parent that is
            missing or has nothing that fits.
        FloatingPointError: the loss is no longer finite (names the epoch).

    >>> config = training.SgdConfig("digits", "vgg11", seed=0, width=4, epochs=1, images=256)
    >>> digits = [datasets.load("digits", half) for half in ("train", "test")]
    >>> len(training.sgd.fit(config, *digits).history)
    1
    """
    start = time.perf_counter()
    images, labels = _pixels(train_data, device), train_data.labels.to(device)
    if config.images:
        images, labels = images[: config.images], labels[: config.images]
    shape, outputs = tuple(images.shape[1:]), len(train_data.classes)
    if labels.ndim != 1:
        raise ValueError(f"{train_data.name} has no classes to learn")
    test_images, test_labels = _pixels(test_data, device), test_data.labels.to(device)
    model: Any = _start(config, shape, outputs, parent).to(device)
    noises = torch.Generator(device)  # of dropout and distortions
    noise.own_dropout(model, [noises])
    if config.precision == "bfloat16":
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )
    history, spent = _restore(checkpoint, config, train_data, model, optimiser)
    last_save = time.perf_counter()
    for epoch in range(len(history), config.epochs):
        entry: dict[str, Any] = _epoch(model, optimiser, noises, config, images, labels, epoch)
        model.eval()
        with autocast(torch.device(device), config.precision), torch.inference_mode():
            _, entry["test_accuracy"] = evaluate(model, test_images, test_labels)
        history.append(entry)
        if after_epoch:
            after_epoch(model, epoch + 1, entry)
        due = time.perf_counter() - last_save > checkpoints.EVERY_SECONDS
        if checkpoint and due:
            elapsed = spent + time.perf_counter() - start
            _save(checkpoint, config, train_data, model, optimiser, history, elapsed)
            last_save = time.perf_counter()
    # As tensors of ordinary layout: what a file gives back is the same to the last bit.
    weights = {n: w.detach().cpu().contiguous() for n, w in model.state_dict().items()}
    seconds = spent + time.perf_counter() - start
    return Classifier(config, shape, outputs, weights, history, seconds)  # type: ignore[arg-type]


def key(config: SgdConfig, data: Dataset) -> str:
    """Key of a trained classifier: its configuration and its training data."""
    return cache.config_key("sgd", SCHEMA, [config, data.fingerprint])


def _epoch(model, optimiser, noises, config, images, labels, epoch) -> dict[str, float]:
    count, device = len(images), images.device
    generator = torch.Generator().manual_seed(derived(config.seed, epoch, 0))
    order = torch.randperm(count, generator=generator).to(device)
    noises.manual_seed(derived(config.seed, epoch, 1))
    model.train()
    steps = math.ceil(count / config.batch_size)
    loss_sum, hits = torch.zeros((), device=device), torch.zeros((), device=device)
    for step in range(steps):
        index = order[step * config.batch_size : (step + 1) * config.batch_size]
        if len(index) == 1 and steps > 1:
            continue  # a batch norm cannot learn from one image
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, epoch * steps + step, config.epochs * steps)
        batch = training_batch(images[index], config.augmentation, config.precision, [noises])
        with autocast(device, config.precision):
            output = model(batch).float()
        loss = functional.cross_entropy(output, labels[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss_sum += loss.detach() * len(index)
        hits += (output.argmax(1) == labels[index]).sum()
    if not torch.isfinite(loss_sum):
        raise FloatingPointError(
            f"the loss is not finite after epoch {epoch + 1}; lower the learning rate (now "
            f"{config.learning_rate})"
        )
    return {"train_loss": float(loss_sum) / count, "train_accuracy": float(hits) / count}


def _save(path, config, data, model, optimiser, history, seconds) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, parameter in enumerate(model.parameters()):
        tensors[f"momentum.{index}"] = optimiser.state[parameter].get(
            "momentum_buffer", torch.zeros(0)
        )
    facts = {"key": key(config, data), "history": history, "seconds": seconds}
    checkpoints.save_tensors(path, tensors, facts)


def _restore(path, config, data, model, optimiser) -> tuple[list[dict[str, float]], float]:
    found = checkpoints.load_tensors(path) if path else None
    if found is None or found[1].get("key") != key(config, data):
        return [], 0.0
    tensors, facts = found
    model.load_state_dict(
        {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    )
    for index, parameter in enumerate(model.parameters()):
        buffer = tensors[f"momentum.{index}"]
        if buffer.numel():
            # laid out as the parameter is, so that the same kernels add in the same order
            kept = torch.empty_like(parameter).copy_(buffer)
            optimiser.state[parameter]["momentum_buffer"] = kept
    return list(facts["history"]), facts["seconds"]


def _pixels(data: Dataset, device: str) -> torch.Tensor:
    images = data.images.to(device)
    if images.dtype != torch.uint8 or images.ndim not in (3, 4):
        raise ValueError(f"{data.name} has no images (N, C, H, W) of bytes to train on")
    return with_channels(images)
