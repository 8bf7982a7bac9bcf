"""Wrong arguments at the borders: one line of the library's own, not an error from deep inside."""

import traceback

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import (
    attacks,
    communities,
    datasets,
    device,
    graphs,
    hooks,
    layer_pruning,
    lesions,
    models,
    promoting,
    report,
    statistics,
    toys,
    training,
)
from modgraph_lib.communities import cka
from modgraph_lib.models import cifar_networks

MODEL = models.mlp(4, 2, widths=(8,), seed=0).eval()
IMAGES, LABELS = torch.rand(10, 4), [0, 1] * 5
RELAY = toys.relay(3, units=2)
MASKS = {"1": np.ones((2, 8), bool)}
PICTURES = torch.zeros(2, 1, 8, 8)
CNN = models.small_cnn((1, 8, 8), channels=4, seed=0).eval()

WRONG = {
    "at least 2, got 1": lambda: report.clusterability(MODEL, k=1),
    "k .*got 2.0": lambda: report.clusterability(MODEL, k=2.0),
    "k .*got '2'": lambda: report.clusterability(MODEL, k="2"),
    "shuffles .*got 0": lambda: report.clusterability(MODEL, k=2, shuffles=0),
    "seed .*got 'a'": lambda: report.clusterability(MODEL, k=2, seed="a"),
    "got <class 'str'>": lambda: report.clusterability("model", k=2),
    "factory '3'": lambda: report.load_model(3),
    "arguments by name, got a list": lambda: report.load_model(nn.Linear, arguments=[1]),
    "path of a weights file, got 3": lambda: report.load_weights(3),
    "tensors by name, got a list": lambda: report.fill(MODEL, [1], "mine"),
    "module, got 'm'": lambda: report.fill("m", {}, "mine"),
    "features as a tensor .*'abc'": lambda: communities.knn_graph("abc", k=1),
    "k must .*got 1.5": lambda: communities.knn_graph(IMAGES, k=1.5),
    "adjacency as an array": lambda: communities.modularity("x", [0]),
    "module, got a NoneType": lambda: communities.modularity_curve(None, IMAGES, LABELS),
    "images as a tensor": lambda: communities.modularity_curve(MODEL, "x", LABELS),
    "10 images need as many labels": lambda: communities.modularity_curve(MODEL, IMAGES, None),
    "list of names, got '13'": lambda: communities.modularity_curve(
        MODEL, IMAGES, LABELS, layers="13"
    ),
    "k is a list": lambda: communities.modularity_curves(MODEL, IMAGES, LABELS, k=3),
    "device 3 is not available": lambda: device.pick_device(3),
    "x as a tensor": lambda: cka.linear_cka("x", "y"),
    "module, got 3": lambda: cka.cka_matrix(3, IMAGES),
    "layered graph .*'g'": lambda: lesions.submodules("g", [0]),
    "as many labels": lambda: lesions.submodules(graphs.weight_graph(MODEL), "abc"),
    "controls .*2.5": lambda: lesions.single_lesions(
        RELAY.model, RELAY.parts, RELAY.images, RELAY.labels, controls=2.5
    ),
    "sub-modules, .*'a'": lambda: lesions.single_lesions(MODEL, "abc", IMAGES, LABELS),
    "pairs of sub-modules": lambda: lesions.double_lesions(
        RELAY.model, RELAY.parts, RELAY.images, RELAY.labels
    ),
    "masks by .*layer, got a list": lambda: lesions.lesion_accuracies(MODEL, [1], IMAGES, LABELS),
    "labels as a tensor": lambda: lesions.lesion_accuracies(MODEL, MASKS, IMAGES, "abc"),
    "module, got 'cnn'": lambda: attacks.attack("single_pixel", "cnn", PICTURES, [0, 1], seed=0),
    "2 images need as many labels": lambda: attacks.attack(
        "single_pixel", CNN, PICTURES, 1, seed=0
    ),
    "of one shape": lambda: attacks.sizes(PICTURES, PICTURES[:1]),
    "null must be .*'abc'": lambda: statistics.empirical_p_value(1, "abc"),
    "observed must be a number, got None": lambda: statistics.empirical_p_value(None, [1]),
    "alpha must be a number": lambda: statistics.benjamini_hochberg([0.1], alpha="a"),
    "a Dataset .*'digits'": lambda: datasets.halves("digits", "same"),
    "a Dataset .*a Tensor": lambda: datasets.mixture(IMAGES, IMAGES),
    "count .*2.5": lambda: datasets.lines(2.5),
    "images as a tensor .*'b'": lambda: datasets.make("a", "b", "c"),
    "kernels as tensors": lambda: promoting.eigenvalue_sum([np.eye(8), np.eye(8)]),
    "count must be .*got 0": lambda: promoting.eigenvalue_sum([torch.eye(8)] * 2, count=0),
    "tags .*got 1": lambda: promoting.clusterable_initialisation(MODEL, tags=1, beta=0.5, seed=0),
    "beta .*'x'": lambda: promoting.clusterable_initialisation(MODEL, tags=2, beta="x", seed=0),
    "inputs .*'a'": lambda: models.mlp("a", 2, seed=0),
    "widths as a list": lambda: models.mlp(4, 2, widths=8, seed=0),
    "seed .*None": lambda: models.mlp(4, 2, seed=None),
    "image_shape must be .*got 8": lambda: models.small_cnn(8, seed=0),
    "image_shape must be": lambda: cifar_networks.build("vgg11", (3, 32), seed=0),
    "unknown network 3": lambda: cifar_networks.plan_of(3),
    "cifar_networks.build, got a Seq": lambda: cifar_networks.measured_layers(MODEL),
    "q as an array": lambda: layer_pruning.choose("abc", (1, 2), 0),
    "module, got 7": lambda: layer_pruning.cost(7),
    "epochs .*'a'": lambda: training.TrainConfig("digits", seed=0, epochs="a"),
    "widths as .*8": lambda: training.TrainConfig("digits", seed=0, widths=8),
    "batch_size .*0": lambda: training.SgdConfig("digits", "vgg11", seed=0, batch_size=0),
    "a TrainConfig, got 'digits'": lambda: training.trained("digits"),
    "sparsity": lambda: training.magnitude_mask(torch.rand(1, 2, 2), 2),
    "count .*0": lambda: toys.strands(0, (4, 4), leak=0, seed=0),
    "module, got 'm2'": lambda: hooks.default_layers("m2"),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_argument_is_told_in_one_line(message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        WRONG[message]()
    assert "\n" not in str(caught.value)
    assert traceback.extract_tb(caught.tb)[-1].line.startswith("raise ")
