"""Networks whose modules are known: trained on two tasks at once, with a leak between the halves.

Each input is two images side by side, each output layer has the classes of both. Hidden units are
dealt out to two modules in turn, and every weight between modules is multiplied by ``leak``, in
training as after it. At leak 0 two networks lie side by side; at 1 nothing holds them apart but
what training makes of two unrelated tasks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import _checks, models
from modgraph_lib.datasets import Dataset
from modgraph_lib.pixels import scaled
from modgraph_lib.training.seeds import derived

__all__ = ["Planted", "train", "two_tasks"]

TEST_PAIRS = 1500


@dataclass(frozen=True, eq=False)
class Planted:
    """A trained network and the modules that it was given.

    Attributes:
        model: an MLP whose weights between modules carry the leak.
        modules: (N,) module 0 or 1 of every node in the order of the layers; -1 for mixed inputs.
        accuracy: test accuracy of the first and of the second task.
        inputs: (n, 2 p) test inputs, and labels (n, 2), that it was tested on.
        labels: see inputs.
    """

    model: nn.Sequential
    modules: np.ndarray
    accuracy: tuple[float, float]
    inputs: torch.Tensor = field(repr=False)
    labels: torch.Tensor = field(repr=False)


def two_tasks(
    data: Dataset, count: int, *, seed: int, mixed: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of images drawn at random, side by side, and both their labels.

    Args:
        data: images of bytes of p pixels, labels (N,).
        count: number n of pairs.
        seed: fixes the pairs.
        mixed: turn the 2 p inputs by one random rotation, the same for every seed, so that no
            input belongs to one image.

    Returns:
        (n, 2 p) float32 inputs and (n, 2) labels.

    >>> inputs, labels = training.planted.two_tasks(datasets.load("digits", "test"), 5, seed=0)
    >>> inputs.shape, labels.shape
    (torch.Size([5, 128]), torch.Size([5, 2]))
    """
    count, seed = _checks.whole(count, "count", least=1), _checks.whole(seed, "seed")
    generator = torch.Generator().manual_seed(derived(seed, 0))
    index = torch.randint(len(data.images), (count, 2), generator=generator)
    flat = scaled(data.images).flatten(1)
    inputs = flat[index].flatten(1)
    if mixed:
        turn = torch.randn(2 * [inputs.shape[1]], generator=torch.Generator().manual_seed(0))
        inputs = inputs @ torch.linalg.qr(turn)[0]
    return inputs, data.labels[index]


def train(
    train_data: Dataset,
    test_data: Dataset,
    *,
    leak: float,
    seed: int,
    mixed: bool = False,
    widths: Sequence[int] = (48, 48, 48, 48),
    steps: int = 700,
    pairs: int = 20_000,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
) -> Planted:
    """A network with planted modules: Adam on the sum of both tasks' cross-entropies.

    The rate falls to nothing over the second half of the steps.

    Args:
        train_data, test_data: what pairs are drawn from.
        leak: factor on every weight between modules, 0 to 1.
        seed: of initial weights and batches; pairs are the same for all seeds.
        mixed: see ``two_tasks``. No input has a module then, and its weights no factor.
        widths: units of the hidden layers; unit i belongs to module i modulo 2.
        steps: of the optimiser; 0 leaves the network as it starts.
        pairs: training pairs.

    Raises:
        ValueError: a leak outside 0 to 1, a hidden layer of one unit.

    >>> digits = [datasets.load("digits", half) for half in ("train", "test")]
    >>> made = training.planted.train(*digits, leak=0, seed=0, widths=(8, 8), steps=20)
    >>> clustering.ncut(graphs.weight_graph(made.model), made.modules)
    0.0
    """
    leak = _checks.number(leak, "leak", least=0, most=1)
    for width in widths:
        _checks.whole(width, "each of widths", least=2)
    inputs, labels = two_tasks(train_data, pairs, seed=0, mixed=mixed)
    classes = int(train_data.labels.max()) + 1
    model = models.mlp(inputs.shape[1], 2 * classes, widths=widths, seed=seed)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    pixels = inputs.shape[1]
    modules = [
        np.full(pixels, -1) if mixed else np.arange(pixels) // (pixels // 2),
        *(np.arange(width) % 2 for width in widths),
        np.arange(2 * classes) // classes,
    ]
    factors = [
        torch.from_numpy(np.where((b[:, None] == a) | (a < 0), 1.0, leak)).float()
        for a, b in itertools.pairwise(modules)
    ]
    _fit(model, layers, factors, inputs, labels, (steps, batch_size, learning_rate, seed))
    with torch.no_grad():
        for layer, factor in zip(layers, factors, strict=True):
            layer.weight.mul_(factor)
        inputs, labels = two_tasks(test_data, TEST_PAIRS, seed=1, mixed=mixed)
        right = model.eval()(inputs).unflatten(1, (2, classes)).argmax(2) == labels
    first, second = right.float().mean(0).tolist()
    return Planted(model, np.concatenate(modules), (first, second), inputs, labels)


def _fit(model, layers, factors, inputs, labels, how: tuple[int, int, float, int]) -> None:
    steps, batch_size, rate, seed = how
    generator = torch.Generator().manual_seed(derived(seed, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        batch = torch.randint(len(inputs), (batch_size,), generator=generator)
        x = inputs[batch]
        for layer, factor in zip(layers, factors, strict=True):
            x = functional.linear(x, layer.weight * factor, layer.bias)
            x = x if layer is layers[-1] else x.relu()
        loss = functional.cross_entropy(
            x.unflatten(1, (2, -1)).flatten(0, 1), labels[batch].ravel()
        )
        optimizer.zero_grad()
        (2 * loss).backward()  # the sum of both tasks' means
        optimizer.step()
