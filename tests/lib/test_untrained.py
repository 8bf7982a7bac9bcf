"""The null that is chosen by default knows what the architecture itself leaves out and ties."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from modgraph_lib import graphs, models, noise, report
from tests.lib.untrained import ARCHITECTURES, fit, p_values

PLAIN = ("perceptron", "batch norm")


def made(name):
    make, example = ARCHITECTURES[name]
    with noise.seeded(0):
        return make().eval(), example


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_null_fits_the_architecture(name):
    model, example = made(name)
    graph = graphs.weight_graph(model, example=example)
    assert graph.gaps == (name not in PLAIN)
    found = report.clusterability(model, 3, 2, n_init=2, workers=1, example=example)
    assert found.method == ("layer" if name in PLAIN else "kernel")
    of_graph = report.clusterability(graph.without_isolated()[0], 3, 2, n_init=2, workers=1)
    assert of_graph.method == ("layer" if name in PLAIN else "layer_nonzero")


@pytest.mark.parametrize("name", ["grouped", "tied autoencoder", "residual"])
def test_p_of_untrained_networks_looks_uniform(name):
    """All eleven, with 20 networks each: ``python -m tests.lib.untrained``."""
    p, _ = p_values(name, networks=12, shuffles=19)
    assert fit(p, 19) > 1e-3


def test_and_would_not_against_shuffled_blocks():
    p, _ = p_values("grouped", networks=12, shuffles=19, method="layer")
    assert fit(p, 19) < 1e-3 and p.mean() < 0.2


def test_zeros_of_pruning_are_no_gaps():
    model = models.mlp(6, 3, widths=(8,), seed=0)
    prune.l1_unstructured(model[1], "weight", 0.9)
    assert not graphs.weight_graph(model).gaps
    dead = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).eval()
    with torch.no_grad():
        dead[1].weight[0] = 0
    assert not graphs.weight_graph(dead).gaps


def test_weights_used_twice_are_permuted_alike():
    model, example = made("one layer thrice")
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[1], example=example)
    assert np.array_equal(shuffled.blocks[1, 2], shuffled.blocks[2, 3])
    assert not np.array_equal(shuffled.blocks[1, 2], graphs.weight_graph(model).blocks[1, 2])
    model, example = made("tied autoencoder")
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[1], example=example)
    assert np.array_equal(shuffled.blocks[0, 1], shuffled.blocks[3, 4].T)
    assert np.array_equal(shuffled.blocks[1, 2], shuffled.blocks[2, 3].T)


def test_a_chain_that_shares_a_parameter_is_tied():
    one, two = nn.Linear(5, 5), nn.Linear(5, 5)
    chain = nn.Sequential(one, nn.ReLU(), two)
    assert not graphs.weight_graph(chain).gaps
    two.weight = one.weight
    assert graphs.weight_graph(chain).gaps
