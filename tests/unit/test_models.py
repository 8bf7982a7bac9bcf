import math

import pytest
import torch
from torch import nn

from modgraph_lib import models


def test_the_papers_mlp_has_its_sizes_and_dropout_after_hidden_layers_only():
    model = models.mlp(784, 10, dropout=0.5, seed=0)
    assert [tuple(w.shape) for w in models.kernels(model)] == [
        (256, 784), (256, 256), (256, 256), (256, 256), (10, 256),
    ]  # fmt: skip
    kinds = [type(m).__name__ for m in model]
    assert kinds == ["Flatten", *["Linear", "ReLU", "Dropout"] * 4, "Linear"]


def test_the_small_cnn_pools_after_its_second_and_third_convolution():
    model = models.small_cnn((1, 28, 28), 10, conv_dropout=0.25, dense_dropout=0.5, seed=0)
    kinds = [type(m).__name__ for m in model]
    assert kinds == [
        "Conv2d", "ReLU", "Dropout",
        "Conv2d", "ReLU", "MaxPool2d", "Dropout",
        "Conv2d", "ReLU", "MaxPool2d", "Dropout",
        "Flatten", "Linear", "ReLU", "Dropout", "Linear",
    ]  # fmt: skip
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert models.kernels(model)[3].shape == (128, 64 * 7 * 7)


def test_initial_weights_are_glorot_uniform_with_zero_bias():
    model = models.mlp(784, 10, seed=3)
    for weight in models.kernels(model):
        bound = math.sqrt(6 / sum(weight.shape))
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not any(m.bias.detach().any() for m in model if isinstance(m, nn.Linear))
    conv = models.kernels(models.small_cnn(seed=0))[1]
    assert conv.abs().max() <= math.sqrt(6 / (9 * 128))


def test_a_seed_fixes_the_weights_and_nothing_else_does():
    torch.manual_seed(1)
    first = models.mlp(6, 2, widths=(5,), seed=4)
    torch.manual_seed(2)
    second = models.mlp(6, 2, widths=(5,), seed=4)
    other = models.mlp(6, 2, widths=(5,), seed=5)
    assert torch.equal(first[1].weight, second[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.mlp(0, 2, seed=0), "inputs must be .*at least 1"),
        (lambda: models.mlp(3, 2, widths=(4, 0), seed=0), r"widths\[1\] must be .*at least 1"),
        (lambda: models.mlp(3, 2, dropout=1.0, seed=0), "dropout rate must be .* below 1"),
        (lambda: models.small_cnn((1, 3, 8), seed=0), "vanish"),
    ],
)
def test_impossible_networks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
