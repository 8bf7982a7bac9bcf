"""Wrong calls of data sets, models, training, promoting, pruning, toys and the cache."""

import numpy as np
import torch
from torch import nn

from modgraph_lib import (
    cache,
    datasets,
    layer_pruning,
    models,
    promoting,
    toys,
    training,
)  # fmt: skip
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, TrainConfig
from tests.lib.bad_input.things import CNN, DIGITS, IMAGES, INF, MODEL, NAN


def mlp(**changes):
    return TrainConfig(**{"data": "digits", "seed": 0, **changes})


def vgg(**changes):
    return SgdConfig(**{"data": "digits", "network": "vgg11", "seed": 0, **changes})


DATA = [
    (ValueError, "Did you mean 'mnist'", lambda: datasets.load("minst", "train")),
    (ValueError, "a data set name is a string", lambda: datasets.load(3, "train")),
    (ValueError, "split must be", lambda: datasets.load("digits", "valid")),
    (ValueError, "seed", lambda: datasets.load("lines", "test", seed="a")),
    (ValueError, "seed", lambda: datasets.load("digits", "test", seed=-1)),
    (TypeError, "root|folder", lambda: datasets.load("mnist", "test", root=3)),
    (TypeError, "a Dataset", lambda: datasets.halves(None, "same")),
    (ValueError, "kind must be", lambda: datasets.halves(DIGITS, "both")),
    (ValueError, "seed", lambda: datasets.halves(DIGITS, "same", seed="a")),
    (TypeError, "a Dataset", lambda: datasets.stack([1], "same")),
    (TypeError, "a Dataset", lambda: datasets.mixture(DIGITS, "lines")),
    (ValueError, "count", lambda: datasets.lines(0)),
    (ValueError, "count", lambda: datasets.lines("9")),
    (ValueError, "size", lambda: datasets.lines(2, size=0)),
    (ValueError, "most", lambda: datasets.lines(2, most=-1)),
    (ValueError, "count", lambda: datasets.random_images(-1)),
    (ValueError, "classes", lambda: datasets.random_images(2, classes=0)),
    (ValueError, "count", lambda: datasets.polynomials(None)),
    (ValueError, "labels", lambda: datasets.make("a", IMAGES, torch.zeros(3), ("x",))),
    (TypeError, "take", lambda: DIGITS.take("abc")),
]

MODELS = [
    (ValueError, "inputs", lambda: models.mlp(0, 2, seed=0)),
    (ValueError, "outputs", lambda: models.mlp(4, 2.5, seed=0)),
    (ValueError, r"widths\[0\]", lambda: models.mlp(4, 2, widths=["8"], seed=0)),
    (TypeError, "widths as a list", lambda: models.mlp(4, 2, widths=None, seed=0)),
    (ValueError, "widths", lambda: models.mlp(4, 2, widths="88", seed=0)),
    (ValueError, "dropout", lambda: models.mlp(4, 2, dropout=1.0, seed=0)),
    (ValueError, "dropout", lambda: models.mlp(4, 2, dropout=NAN, seed=0)),
    (ValueError, "dropout", lambda: models.mlp(4, 2, dropout="a", seed=0)),
    (ValueError, "seed", lambda: models.mlp(4, 2, seed=-1)),
    (ValueError, "seed", lambda: models.mlp(4, 2, seed=True)),
    (ValueError, "vanish", lambda: models.small_cnn((1, 3, 3), seed=0)),
    (ValueError, "image_shape", lambda: models.small_cnn((1, 8), seed=0)),
    (ValueError, "channels", lambda: models.small_cnn(channels=0, seed=0)),
    (ValueError, "dropout", lambda: models.small_cnn(conv_dropout=-1, seed=0)),
    (ValueError, "vanish", lambda: models.vgg((3, 8, 8), seed=0)),
    (ValueError, "width", lambda: models.vgg(width=1.5, seed=0)),
    (ValueError, "unknown network", lambda: cifar_networks.build("vgg12", seed=0)),
    (ValueError, "width", lambda: cifar_networks.build("vgg11", width=-1, seed=0)),
    (ValueError, "seed", lambda: cifar_networks.build("vgg11", width=2, seed="a")),
    (ValueError, "image_shape", lambda: cifar_networks.build("vgg11", None, seed=0)),
    (TypeError, "moments", lambda: cifar_networks.build("vgg11", width=2, moments=3, seed=0)),
    (ValueError, "more than", lambda: cifar_networks.plan_of("resnet18_9")),
    (ValueError, "unknown network", lambda: cifar_networks.plan_of("")),
    (
        ValueError,
        "reading must be",
        lambda: cifar_networks.measured_layers(
            cifar_networks.build("vgg11", width=2, seed=0), "paper"
        ),
    ),
    (TypeError, "cifar_networks.build", lambda: cifar_networks.measured_layers(CNN)),
]

TRAINING = [
    (ValueError, "unknown data set 'digit'", lambda: training.trained(mlp(data="digit"))),
    (TypeError, "data as the name", lambda: mlp(data=None)),
    (ValueError, "seed", lambda: mlp(seed=1.5)),
    (ValueError, "seed", lambda: mlp(seed=None)),
    (ValueError, "architecture must be", lambda: mlp(architecture="MLP")),
    (ValueError, "widths", lambda: mlp(widths=(8, 0))),
    (ValueError, "widths", lambda: mlp(widths="88")),
    (ValueError, "widths of a small_cnn must", lambda: mlp(widths=(), architecture="small_cnn")),
    (ValueError, "dropout .*nan", lambda: mlp(dropout=NAN)),
    (ValueError, "dropout .*1.0", lambda: mlp(dropout=1.0)),
    (ValueError, "dense_dropout .*nan", lambda: mlp(dense_dropout=NAN)),
    (ValueError, "l1 .*nan", lambda: mlp(l1=NAN)),
    (ValueError, "l2 .*inf", lambda: mlp(l2=INF)),
    (ValueError, "learning_rate .*nan", lambda: mlp(learning_rate=NAN)),
    (ValueError, "learning_rate .*'fast'", lambda: mlp(learning_rate="fast")),
    (ValueError, "learning_rate", lambda: mlp(learning_rate=0)),
    (ValueError, "epochs", lambda: mlp(epochs=1.5)),
    (ValueError, "prune_epochs", lambda: mlp(prune_epochs=-1)),
    (ValueError, "batch_size", lambda: mlp(batch_size=0)),
    (ValueError, "images", lambda: mlp(images=-1)),
    (ValueError, "loss must be", lambda: mlp(loss="huber")),
    (ValueError, "precision must be", lambda: mlp(precision="fp16")),
    (ValueError, "augmentation must be", lambda: mlp(augmentation="flip")),
    (ValueError, "initial_sparsity .*nan", lambda: mlp(initial_sparsity=NAN)),
    (ValueError, "final_sparsity", lambda: mlp(final_sparsity=1.0)),
    (ValueError, "eigenvalue_penalty .*nan", lambda: mlp(eigenvalue_penalty=NAN)),
    (ValueError, "tags", lambda: mlp(tags=1)),
    (ValueError, "tag_beta .*nan", lambda: mlp(tags=2, tag_beta=NAN)),
    (TypeError, "first_layer_l1", lambda: mlp(first_layer_l1="no")),
    (TypeError, "reshuffle", lambda: mlp(reshuffle=None)),
    (ValueError, "'cross_entropy' does not fit", lambda: training.trained(mlp(data="polynomials"))),
    (TypeError, "a TrainConfig", lambda: training.trained(vgg())),
    (TypeError, "a TrainConfig", lambda: training.train_many([None], device="cpu", workers=1)),
    (TypeError, "a list of configurations", lambda: training.train_many(mlp())),
    (ValueError, "not available here", lambda: training.trained(mlp(), device="gpu")),
    (ValueError, "not available here", lambda: training.train_many([mlp()], device="gpu")),
    (ValueError, "workers", lambda: training.train_many([mlp()], device="cpu", workers=-4)),
    (ValueError, "unknown network", lambda: vgg(network="vgg")),
    (TypeError, "data as the name", lambda: vgg(data=3)),
    (ValueError, "seed", lambda: vgg(seed="a")),
    (ValueError, "width", lambda: vgg(width=1.5)),
    (ValueError, "images", lambda: vgg(images=NAN)),
    (ValueError, "weight_decay .*nan", lambda: vgg(weight_decay=NAN)),
    (ValueError, "momentum .*nan", lambda: vgg(momentum=NAN)),
    (ValueError, "learning_rate .*nan", lambda: vgg(learning_rate=NAN)),
    (ValueError, "schedule must be", lambda: vgg(schedule="cosine")),
    (TypeError, "nesterov", lambda: vgg(nesterov=1.5)),
    (ValueError, "nesterov", lambda: vgg(nesterov=True, momentum=0.0)),
    (ValueError, "kept names units of a parent", lambda: vgg(kept=((0,),))),
    (TypeError, "parent", lambda: vgg(parent=3)),
    (TypeError, "a SgdConfig", lambda: training.sgd.trained(mlp())),
    (ValueError, "not available here", lambda: training.sgd.trained(vgg(), device="gpu")),
]

KERNELS = [torch.ones(6, 4), torch.ones(5, 6)]
OTHERS = [
    (
        TypeError,
        "module, got",
        lambda: promoting.clusterable_initialisation("m", tags=2, beta=0.5, seed=0),
    ),
    (
        ValueError,
        "tags",
        lambda: promoting.clusterable_initialisation(MODEL, tags=2.5, beta=0.5, seed=0),
    ),
    (
        ValueError,
        "beta",
        lambda: promoting.clusterable_initialisation(MODEL, tags=2, beta=NAN, seed=0),
    ),
    (
        ValueError,
        "seed",
        lambda: promoting.clusterable_initialisation(MODEL, tags=2, beta=0.5, seed="a"),
    ),
    (ValueError, "tags", lambda: promoting.tag_factors(np.zeros(2), np.zeros(2), tags=1, beta=0.5)),
    (TypeError, "kernels as tensors", lambda: promoting.eigenvalues([np.eye(8)] * 2)),
    (ValueError, "at least 2 kernels", lambda: promoting.eigenvalues(KERNELS[:1])),
    (ValueError, "takes 4 inputs but", lambda: promoting.eigenvalues(KERNELS[:1] * 2)),
    (ValueError, "too small", lambda: promoting.eigenvalues(KERNELS, count=9)),
    (ValueError, "count", lambda: promoting.eigenvalues(KERNELS, count="3")),
    (FloatingPointError, "finite", lambda: promoting.eigenvalues([KERNELS[0] * NAN, KERNELS[1]])),
    (TypeError, "nn.Sequential", lambda: promoting.normalise_units(CNN.__class__)),
    (TypeError, "Conv2d, through which", lambda: promoting.normalise_units(CNN)),
    (TypeError, "q as an array", lambda: layer_pruning.choose("abc", (1,), 0)),
    (ValueError, "threshold", lambda: layer_pruning.choose([0.1, 0.2], (2,), NAN)),
    (ValueError, "3 blocks need as many", lambda: layer_pruning.choose([0.1, 0.2], (3,), 0.1)),
    (ValueError, "unknown network", lambda: layer_pruning.cost("alexnet")),
    (ValueError, "image_shape", lambda: layer_pruning.cost("vgg11", (3, 32))),
    (ValueError, "count", lambda: toys.strands(0, (4, 4), leak=0, seed=0)),
    (ValueError, "leak", lambda: toys.strands(2, (4, 4), leak=NAN, seed=0)),
    (TypeError, "layers", lambda: toys.strands(2, 4, leak=0, seed=0)),
    (ValueError, "seed", lambda: toys.strands(2, (4, 4), leak=0, seed="a")),
    (ValueError, "classes", lambda: toys.relay(1, units=2)),
    (ValueError, "units", lambda: toys.relay(3, units=2.5)),
    (ValueError, "bias", lambda: toys.relay(3, units=2, bias=NAN)),
    (ValueError, "cannot hold nan", lambda: cache.canonical({"a": NAN})),
    (TypeError, "holds only", lambda: cache.config_key("a", 1, nn.Linear(2, 2))),
    (TypeError, "path", lambda: cache.write_atomically("file.txt", print)),
]
ROWS = DATA + MODELS + TRAINING + OTHERS
