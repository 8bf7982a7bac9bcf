"""Training and pruning of one network, or of a whole stack of them at once.

Parameters carry a leading member axis (M, ...). One member runs through plain autograd, more
through ``torch.func.vmap``; regularisation, Adam, masks and checkpoints are the same code.

Epoch e of member m draws its batch order, its dropout noise and its distortions from (seed of m, e)
alone and from generators of its own: a run continued from a checkpoint is bit-for-bit the
undisturbed one, beside other threads or not, and a stack draws what its members would alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from modgraph_lib import models, noise, promoting
from modgraph_lib.datasets import Dataset
from modgraph_lib.pixels import with_channels
from modgraph_lib.training import checkpoints
from modgraph_lib.training.config import TrainConfig
from modgraph_lib.training.forward import (
    Bound,
    autocast,
    count_hits,
    evaluate,
    sample_losses,
    training_batch,
)
from modgraph_lib.training.pruning import magnitude_mask
from modgraph_lib.training.seeds import derived
from modgraph_lib.training.state import State

__all__ = ["Trained", "build", "train"]

PHASES = ("unpruned", "pruned")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trained:
    """Weights and measurements of one network after each phase.

    ``weights`` and ``metrics`` are keyed "unpruned" and "pruned" (absent when that phase has
    no epochs). Metrics: train_accuracy (running average over the last epoch with dropout
    active, what Keras prints and the papers report), train_accuracy_final and test_accuracy
    (evaluated after the phase), train_loss, test_loss. Accuracies are None for regression.
    """

    config: TrainConfig
    image_shape: tuple[int, ...]
    outputs: int
    weights: dict[str, dict[str, torch.Tensor]]
    metrics: dict[str, dict[str, float | None]]
    seconds: float

    def model(self, stage: str) -> nn.Module:
        """The network of a stage, in evaluation mode on the CPU."""
        model = build(self.config, self.image_shape, self.outputs)
        model.load_state_dict(self.weights[stage])
        return model.eval()


def build(config: TrainConfig, image_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The untrained network of a configuration, for images of shape (C, H, W) or (D,).

    >>> training.build(training.TrainConfig("digits", seed=0, widths=(8,)), (1, 8, 8), 10)[1]
    Linear(in_features=64, out_features=8, bias=True)
    """
    model = _standard(config, image_shape, outputs)
    if config.tags:
        promoting.clusterable_initialisation(
            model,
            tags=config.tags,
            beta=config.tag_beta,
            seed=config.seed,
            outputs=config.tag_outputs,
        )
    return model


def _standard(config: TrainConfig, image_shape: tuple[int, ...], outputs: int) -> nn.Module:
    if config.architecture == "mlp":
        return models.mlp(
            math.prod(image_shape),
            outputs,
            widths=config.widths,
            dropout=config.dropout,
            seed=config.seed,
        )
    if config.architecture == "vgg":
        return models.vgg(
            image_shape,  # type: ignore[arg-type]
            outputs,
            width=config.widths[0],
            dropout=config.dropout,
            seed=config.seed,
        )
    return models.small_cnn(
        image_shape,  # type: ignore[arg-type]
        outputs,
        channels=config.widths[0],
        conv_dropout=config.dropout,
        dense_dropout=config.dense_dropout,
        seed=config.seed,
    )


def train(
    configs: Sequence[TrainConfig],
    train_data: Dataset,
    test_data: Dataset,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> list[Trained]:
    """Train, then prune, networks that differ in nothing but their seed.

    Args:
        configs: M configurations, equal up to ``seed``.
        train_data, test_data: images (N, ...) and labels (N,) as ``datasets.load`` gives them.
        device: torch device.
        checkpoint: file to continue from and to keep; the caller removes it once the result is
            safe elsewhere.
        progress: called with (phase, finished epochs, epochs of the phase).

    Raises:
        ValueError: configurations that differ in more than their seed, no configuration, a loss
            that does not fit the labels, or several networks with batch norm.
        FloatingPointError: the loss is no longer finite (names the epoch).

    Source: Neural networks are surprisingly modular, section 3; Clusterability in Neural
    Networks, sections 2 and 3.

    >>> config = training.TrainConfig("digits", seed=0, widths=(8,), epochs=1, prune_epochs=0)
    >>> digits = [datasets.load("digits", half) for half in ("train", "test")]
    >>> list(training.train([config], *digits)[0].weights)
    ['unpruned']
    """
    common = _common(configs)
    wanted = "cross_entropy" if train_data.labels.ndim == 1 else "mse"
    if common.loss != wanted:
        kind = "classes" if train_data.labels.ndim == 1 else "targets (N, targets)"
        raise ValueError(
            f"loss={common.loss!r} does not fit {train_data.name}, whose labels are {kind}; give "
            f"loss={wanted!r}"
        )
    if common.augmentation != "none" and train_data.images.ndim < 3:
        raise ValueError(f"augmentation distorts images; {train_data.name} has none")
    start = time.perf_counter()
    first = slice(common.images or None)
    x_train, y_train = _inputs(train_data, device)[first], train_data.labels.to(device)[first]
    x_test, y_test = _inputs(test_data, device), test_data.labels.to(device)
    outputs = len(train_data.classes) if y_train.ndim == 1 else y_train.shape[1]
    image_shape = tuple(x_train.shape[1:])
    members = [build(c, image_shape, outputs) for c in configs]
    template = members[0].to(device)
    state = State.fresh(members, device, common.learning_rate)
    noise.own_dropout(template, state.generators)
    if len(members) == 1:
        _share(state, template)
    done = checkpoints.load(checkpoint, configs, train_data) if checkpoint else None
    spent = 0.0
    if done is not None:
        spent = state.restore(done)
    last_save = time.perf_counter()
    for phase, epochs in zip(PHASES, (common.epochs, common.prune_epochs), strict=True):
        if epochs == 0 or phase in state.finished:
            continue
        if state.phase != phase:
            state.begin(phase)
        for epoch in range(state.epoch, epochs):
            state.running = _epoch(state, template, configs, x_train, y_train, epoch, epochs)
            state.epoch = epoch + 1
            if progress:
                progress(phase, epoch + 1, epochs)
            if checkpoint and time.perf_counter() - last_save > checkpoints.EVERY_SECONDS:
                elapsed = spent + time.perf_counter() - start
                checkpoints.save(checkpoint, configs, train_data, state.snapshot(elapsed))
                last_save = time.perf_counter()
        final = [
            {
                **{f"train_{k}": v for k, v in running.items()},
                **_final(template, params, common, (x_train, y_train), (x_test, y_test)),
            }
            for running, params in zip(state.running, state.members(), strict=True)
        ]
        state.finish(phase, final)
    seconds = (spent + time.perf_counter() - start) / len(configs)
    return [
        Trained(
            config,
            image_shape,
            outputs,
            {p: {k: v[m].cpu() for k, v in ws.items()} for p, (ws, _) in state.finished.items()},
            {p: metrics[m] for p, (_, metrics) in state.finished.items()},
            seconds,
        )
        for m, config in enumerate(configs)
    ]


def _epoch(state, template, configs, images, labels, epoch, epochs) -> list[dict]:
    """One pass over the data for every member; returns its running loss and accuracy."""
    common, count = configs[0], len(images)
    phase = PHASES.index(state.phase)
    order = torch.stack([_order(c, phase, epoch, count) for c in configs]).to(images.device)
    for generator, c in zip(state.generators, configs, strict=True):
        generator.manual_seed(derived(phase, epoch, 1, c.seed))
    template.train()
    steps = math.ceil(count / common.batch_size)
    totals = torch.zeros(2, len(configs), device=images.device)
    forward = _plain if len(configs) == 1 else _stacked
    state.basis = None  # an epoch begins with what a checkpoint holds
    for step in range(steps):
        if state.phase == "pruned":
            _update_masks(state, common, epoch * steps + step, epochs * steps)
        if common.normalise:
            _normalise(state)
        index = order[:, step * common.batch_size : (step + 1) * common.batch_size]
        loss, hits = forward(state, template, images, labels, index, common)
        _penalise(state, common)
        state.optimiser.step()
        if not common.regrowth:
            state.apply_masks()
        totals[0] += loss * index.shape[1]
        totals[1] += hits
    state.apply_masks()
    if common.normalise:
        _normalise(state)
    losses, accuracies = (totals / count).tolist()
    if not np.isfinite(losses).all():
        raise FloatingPointError(
            f"the loss is not finite after epoch {epoch + 1} of the {state.phase} phase; lower the "
            f"learning rate (now {common.learning_rate})"
        )
    regression = labels.ndim > 1
    return [
        {"loss": loss, "accuracy": None if regression else accuracy}
        for loss, accuracy in zip(losses, accuracies, strict=True)
    ]


def _share(state: State, template: nn.Module) -> None:
    """Give a template the memory of the only member's weights and running statistics.

    It then is that member after every step, and calling it costs nothing beyond its layers;
    in a small network ``functional_call`` took up to a quarter of the step.
    """
    shared = dict(zip(state.names, state.parameters, strict=True)) | state.buffers
    for name, tensor in shared.items():
        owner, _, attribute = name.rpartition(".")
        view = tensor.detach()[0]
        member = view if name in state.buffers else nn.Parameter(view)
        setattr(template.get_submodule(owner), attribute, member)


def _plain(state, template, images, labels, index, common):
    """Loss and hits of a single member; leaves gradients in the stacked parameters.

    The template shares the state's memory, see ``_share``.
    """
    index = index[0]
    target = labels[index]
    template.zero_grad(set_to_none=True)
    with autocast(images.device, common.precision):
        output = template(_batch(state, images[index], common))
    loss = sample_losses(output.float(), target).mean()
    loss.backward()
    for parameter, member in zip(state.parameters, template.parameters(), strict=True):
        parameter.grad = member.grad[None]
    return loss.detach(), count_hits(output.detach(), target)


def _stacked(state, template, images, labels, index, common):
    """Loss and hits of M members in one vectorised pass; leaves gradients as ``_plain`` does."""
    target = labels[index]
    weights = dict(zip(state.names, [p.detach() for p in state.parameters], strict=True))

    def loss_of(member, x, y):
        with autocast(images.device, common.precision):
            output = functional_call(template, member, (x,))
        return sample_losses(output.float(), y).mean(), output

    gradient = vmap(grad_and_value(loss_of, has_aux=True))
    gradients, (loss, output) = gradient(weights, _batch(state, images[index], common), target)
    for name, parameter in zip(state.names, state.parameters, strict=True):
        parameter.grad = gradients[name].contiguous()
    return loss.detach(), count_hits(output.detach(), target)


def _batch(state: State, images: torch.Tensor, common: TrainConfig) -> torch.Tensor:
    return training_batch(images, common.augmentation, common.precision, state.generators)


def _gradient(state: State, index: int) -> torch.Tensor:
    gradient = state.parameters[index].grad
    assert gradient is not None  # the loss depends on every parameter
    return gradient


@torch.no_grad()
def _penalise(state: State, common: TrainConfig) -> None:
    """Add the gradients of l1 sum|w| + l2 sum w^2 over kernels, and of the eigenvalue penalty."""
    if common.eigenvalue_penalty:
        kernels = [state.parameters[i] for i in state.kernels]
        found = promoting.eigenvalues(kernels, start=state.basis)
        state.basis = found.basis
        for index, added in zip(state.kernels, found.gradients, strict=True):
            _gradient(state, index).add_(added, alpha=common.eigenvalue_penalty)
    if not (common.l1 or common.l2):
        return
    for position, index in enumerate(state.kernels):
        weight, gradient = state.parameters[index], _gradient(state, index)
        l1, l2 = common.l1, common.l2
        if common.first_layer_l1 and position == 0:
            l1, l2 = l1 + l2, 0.0
        if l1:
            gradient.add_(weight.sign(), alpha=l1)
        if l2:
            gradient.add_(weight, alpha=2 * l2)


def _normalise(state: State) -> None:
    """Incoming weights of norm sqrt 2 for every hidden unit of an MLP; its function stays."""
    biases = [i for i in range(len(state.parameters)) if i not in state.kernels]
    promoting.normalise_kernels(
        [state.parameters[i] for i in state.kernels], [state.parameters[i] for i in biases]
    )


def _update_masks(state: State, common: TrainConfig, step: int, steps: int) -> None:
    """Recompute masks where the schedule says so, and apply them before the forward pass.

    Weights arrive with the last masks applied, so a pruned weight stays pruned, as Zhu and Gupta
    describe it (masked weights are not updated). The order matters under L1: where most weights
    are smaller than one optimiser step, masks taken from the weights as Adam left them
    (``regrowth``) trade decayed weights for freshly pushed ones.
    """
    if common.schedule.updates_at(step):
        sparsity = common.schedule.sparsity(step, steps)
        # As floats: multiplying by booleans is several times slower.
        state.masks = {
            i: magnitude_mask(state.parameters[i], sparsity).float() for i in state.kernels
        }
        state.apply_masks()
    elif common.regrowth:
        state.apply_masks()


def _final(template, weights, common, train_set, test_set) -> dict[str, float | None]:
    model = Bound(template, weights)
    test_loss, test_accuracy = evaluate(model, *test_set)
    _, train_accuracy = evaluate(model, *train_set)
    return {
        "train_accuracy_final": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
    }


def _common(configs: Sequence[TrainConfig]) -> TrainConfig:
    if not configs:
        raise ValueError("nothing to train: the list of configurations is empty")
    if len({c.without_seed() for c in configs}) > 1:
        raise ValueError("networks trained together may differ in their seed only")
    if len(configs) > 1 and not configs[0].stacks:
        raise ValueError(
            f"{configs[0].architecture} networks have batch norms, whose running statistics one "
            "pass over a stack cannot update; train them one by one (train_many does)"
        )
    return configs[0]


def _inputs(data: Dataset, device: str) -> torch.Tensor:
    """Images with an explicit channel axis: (N, H, W) becomes (N, 1, H, W)."""
    return with_channels(data.images.to(device))


def _order(config: TrainConfig, phase: int, epoch: int, count: int) -> torch.Tensor:
    if not config.reshuffle:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(derived(phase, epoch, 0, config.seed))
    return torch.randperm(count, generator=generator)
