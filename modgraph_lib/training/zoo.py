"""A zoo: many networks of one shape trained side by side and watched epoch by epoch.

Members differ in initial weights, learning rate and dropout. They read the same batches, so on
one core the first convolutions of all are one convolution and the others a grouped one. Batch
order and dropout noise of an epoch depend on (seed, epoch) alone, so that a member's course
does not depend on who trains beside it. An odd member trains beside a copy of itself: oneDNN
adds up a lone network in another order than one of a pair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks, cache
from modgraph_lib.datasets import Dataset
from modgraph_lib.pixels import channels_last, scaled, with_channels
from modgraph_lib.training import checkpoints
from modgraph_lib.training.ensemble import Ensemble, Lone, ensemble
from modgraph_lib.training.seeds import derived

__all__ = ["Member", "train"]

TEST_BATCH = 500
Look = Callable[[nn.Module, int], Mapping[str, Any] | None]


@dataclass(eq=False)
class Member:
    """One network's course.

    Attributes:
        history: one dict an epoch, from before training (0) on: train_loss and train_accuracy
            (running, with dropout; absent at 0), test_accuracy, half_accuracy (of every other
            test image, to choose an epoch by), and what ``after_epoch`` gave.
        diverged: the epoch after which its weights were no longer finite, or None. Such a
            network stops there; it answers with the first class.
        stopped: the epoch at which its patience ended, or None.
        seconds: of training and testing, its share of what the ensemble took; of the processor
            on a CPU.
        model: the network as it was last.
    """

    model: nn.Module = field(repr=False)
    history: list[dict[str, Any]] = field(default_factory=list)
    diverged: int | None = None
    stopped: int | None = None
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history) - 1


@dataclass(frozen=True)
class _Plan:
    """What all epochs need."""

    images: torch.Tensor
    labels: torch.Tensor
    test: tuple[torch.Tensor, torch.Tensor]
    batch_size: int
    momentum: float
    patience: int
    seed: int
    device: str
    look: Look | None


def train(
    models: Sequence[nn.Module],
    learning_rates: Sequence[float],
    train_data: Dataset,
    test_data: Dataset,
    *,
    epochs: int = 50,
    patience: int = 10,
    batch_size: int = 128,
    momentum: float = 0.0,
    seed: int,
    after_epoch: Look | None = None,
    when_done: Callable[[int, Member], None] | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> list[Member]:
    """Train networks of one shape with SGD, each at its learning rate, all on the same batches.

    Args:
        models: chains of layers that are equal up to weights and dropout; or one module of any
            kind. They take pixels (N, C, H, W) in 0..1, and are trained in place.
        learning_rates: one a model.
        train_data, test_data: images (N, C, H, W) or (N, H, W) uint8, labels (N,).
        epochs: at most so many.
        patience: a network stops once its test accuracy has not risen for so many epochs, as in
            the paper; 0 never stops.
        batch_size, momentum: of SGD. The last batch of an epoch may be smaller.
        seed: of batch order and dropout noise, for all members alike.
        after_epoch: ``after_epoch(model, epoch)``, called for each member in evaluation mode,
            before training (epoch 0) and after each epoch; the dict that it returns, if any,
            joins the history (JSON values). Not called for a network that has diverged.
        when_done: ``when_done(index, member)``, called once a member is through.
        checkpoint: file to continue from, written after epochs; the caller removes it.
        device: torch device.

    Raises:
        ValueError: models of different shapes, or several that are no chains; a learning rate
            that is not positive; images without classes.

    Source: Convolutional Neural Network Dynamics, appendix A.1.

    >>> digits = [datasets.load("digits", half) for half in ("train", "test")]
    >>> pair = [models.mlp(64, 10, widths=(16,), seed=seed) for seed in (0, 1)]
    >>> zoo = training.zoo.train(pair, [0.1, 1e-6], *digits, epochs=3, batch_size=16, seed=0)
    >>> [member.history[-1]["test_accuracy"] > 0.5 for member in zoo]
    [True, False]
    """
    models, rates = list(models), [float(rate) for rate in learning_rates]
    if not models or len(models) != len(rates):
        raise ValueError(f"{len(models)} models but {len(rates)} learning rates; give one each")
    if wrong := [rate for rate in rates if not 0 < rate < float("inf")]:
        raise ValueError(f"a learning rate is a positive number, got {wrong[0]}")
    _checks.whole(epochs, "epochs", least=1)
    _checks.whole(batch_size, "batch_size", least=1)
    if train_data.labels.ndim != 1:
        raise ValueError(f"{train_data.name} has no classes to learn")
    plan = _Plan(
        *_tensors(train_data, device), _tensors(test_data, device), batch_size, momentum,
        patience, seed, device, after_epoch,
    )  # fmt: skip
    members = [Member(model) for model in models]
    facts = [train_data.fingerprint, test_data.fingerprint, rates, batch_size, momentum, seed]
    key = cache.config_key("zoo", 1, facts)
    restored = _restore(checkpoint, key, members)
    active = [i for i, member in enumerate(members) if not _over(member, epochs)]
    if not active:
        return members
    stack = ensemble([models[i] for i in active], [rates[i] for i in active], device)
    if restored:
        stack.buffers = _laid_out(restored, stack)
    else:
        _look(plan, stack, members, 0, [{} for _ in active])
    saved = time.perf_counter()
    while active:
        epoch, start = members[active[0]].epochs + 1, _clock(device)
        entries = _epoch(plan, stack, epoch)
        for i in active:
            members[i].seconds += (_clock(device) - start) / len(active)
        _look(plan, stack, [members[i] for i in active], epoch, entries)
        places = [n for n, i in enumerate(active) if not _over(members[i], epochs)]
        ended = [i for i in active if _over(members[i], epochs)]
        active = [active[n] for n in places]
        if ended and active:
            stack.keep(places)
        for i in ended:
            if when_done:
                when_done(i, members[i])
        if checkpoint and time.perf_counter() - saved > checkpoints.EVERY_SECONDS:
            _save(checkpoint, key, members, stack)
            saved = time.perf_counter()
    return members


def _over(member: Member, epochs: int) -> bool:
    ended = member.diverged is not None or member.stopped is not None
    return ended or member.epochs >= epochs


def _epoch(plan: _Plan, stack: Ensemble | Lone, epoch: int) -> list[dict[str, Any]]:
    """One pass over the training images; what each member lost and hit on the way."""
    order = torch.Generator().manual_seed(derived(plan.seed, epoch, 0))
    noise = torch.Generator().manual_seed(derived(plan.seed, epoch, 1))
    stack.noise.manual_seed(derived(plan.seed, epoch, 2))
    count = len(plan.images)
    index = torch.randperm(count, generator=order).to(plan.images.device)
    losses = hits = torch.zeros((), device=plan.images.device)
    stack.train()
    for batch in index.split(plan.batch_size):
        target = plan.labels[batch]
        logits = stack.forward(channels_last(scaled(plan.images[batch])), noise)
        flat = functional.cross_entropy(
            logits.flatten(0, 1), target.repeat(len(logits)), reduction="none"
        ).view(len(logits), -1)
        # The sum keeps gradients apart: a member's loss knows its own weights alone.
        gradients = torch.autograd.grad(flat.mean(1).sum(), stack.parameters)
        with torch.no_grad():
            steps = zip(stack.parameters, gradients, stack.buffers, stack.rates, strict=True)
            for weight, gradient, buffer, rate in steps:
                if plan.momentum:
                    gradient = buffer.mul_(plan.momentum).add_(gradient)
                weight.sub_(rate * gradient)
            losses = losses + flat.sum(1)
            hits = hits + (logits.argmax(2) == target).sum(1)
    means = zip((losses / count).tolist(), (hits / count).tolist(), strict=True)
    found = [{"train_loss": _finite(loss), "train_accuracy": hit} for loss, hit in means]
    return found[: len(stack.members)]


def _look(plan, stack, members: list[Member], epoch: int, entries: list[dict]) -> None:
    """Test every member, ask ``after_epoch`` about it, and see whether it goes on."""
    start = _clock(plan.device)
    models = [stack.model(place) for place in range(len(members))]
    images, labels = plan.test
    right = []
    with torch.no_grad():
        for first in range(0, len(images), TEST_BATCH):
            part = slice(first, first + TEST_BATCH)
            logits = stack.forward(channels_last(scaled(images[part])))
            right.append(logits.argmax(2) == labels[part])
    hits = torch.cat(right, 1).float()
    share = (_clock(plan.device) - start) / len(members)
    for place, (member, model, entry) in enumerate(zip(members, models, entries, strict=True)):
        member.seconds += share
        entry["test_accuracy"] = float(hits[place].mean())
        entry["half_accuracy"] = float(hits[place, ::2].mean())
        member.history.append(entry)
        if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
            member.diverged = epoch
            continue
        if plan.look:
            entry |= plan.look(model, epoch) or {}
        curve = [past["test_accuracy"] for past in member.history[1:]]
        if plan.patience and curve and epoch - 1 - curve.index(max(curve)) >= plan.patience:
            member.stopped = epoch


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _clock(device: str) -> float:
    return time.process_time() if device == "cpu" else time.perf_counter()


def _tensors(data: Dataset, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    if data.images.dtype != torch.uint8 or data.images.ndim not in (3, 4):
        raise ValueError(f"{data.name} has no images (N, C, H, W) of bytes to train on")
    return with_channels(data.images).to(device), data.labels.to(device)


def _save(path: Path, key: str, members: list[Member], stack: Ensemble | Lone) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for i, member in enumerate(members):
        tensors |= {f"model.{i}.{name}": t for name, t in member.model.state_dict().items()}
    tensors |= {f"buffer.{n}": buffer for n, buffer in enumerate(stack.buffers)}
    courses = [[m.history, m.diverged, m.stopped, m.seconds] for m in members]
    checkpoints.save_tensors(path, tensors, {"key": key, "courses": courses})


def _restore(path: Path | None, key: str, members: list[Member]) -> list[torch.Tensor]:
    """Bring members to where a checkpoint left them; the momenta of those that go on."""
    found = checkpoints.load_tensors(path) if path else None
    if found is None or found[1].get("key") != key:
        return []
    tensors, facts = found
    for i, (member, course) in enumerate(zip(members, facts["courses"], strict=True)):
        member.history, member.diverged, member.stopped, member.seconds = course
        start = f"model.{i}."
        own = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        member.model.load_state_dict(own)
    count = sum(name.startswith("buffer.") for name in tensors)
    return [tensors[f"buffer.{n}"] for n in range(count)]


def _laid_out(buffers: list[torch.Tensor], stack: Ensemble | Lone) -> list[torch.Tensor]:
    """Momenta in the memory layout of the weights, so that the same kernels add them up."""
    pairs = zip(stack.parameters, buffers, strict=True)
    return [torch.empty_like(p).detach().copy_(buffer) for p, buffer in pairs]
