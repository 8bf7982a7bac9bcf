"""Wrong calls of what Part IV brought: activations, partitions, features, pictures, proxies."""

import numpy as np
import torch
from torch import nn

from modgraph_lib import (
    activations,
    features,
    graphs,
    lesions,
    models,
    modules,
    partitions,
    pictures,
    proxies,
    statistics,
    toys,
)

MLP = models.mlp(16, 3, widths=(6, 5), seed=0)
IMAGES, LABELS = torch.rand(20, 4, 4), torch.arange(20) % 3
SHAPE = (1, 4, 4)
SEEN = {"a": np.random.default_rng(0).normal(size=(9, 4))}
ONE = partitions.partition(toys.relay(3, units=4).model, k=1, seed=0)
TEST = proxies.ProxyTest(np.zeros(2), np.ones((2, 3)))
TWICE = nn.Sequential(nn.Flatten(), *[nn.Linear(16, 16)] * 2, nn.Linear(16, 3))
SOFT = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1))
NAN = {"a": np.where(np.arange(4) == 2, np.nan, SEEN["a"])}


def seen(layer="1", units=((0,),), model=MLP, **options):
    return features.visualize(
        model, layer, list(units), **{"image_shape": SHAPE, "seed": 0, "steps": 1, **options}
    )


def heard(model, **options):
    return activations.pre_activations(model, IMAGES, **options)


def found(**options):
    return modules.find(MLP, IMAGES, LABELS, **{"k": 3, "steps": 1, "device": "cpu", **options})


ROWS = [
    (TypeError, "a torch module", lambda: activations.pre_activations("model", IMAGES)),
    (ValueError, "no layer 'x'", lambda: activations.pre_activations(MLP, IMAGES, layers=["x"])),
    (ValueError, "no images", lambda: activations.pre_activations(MLP, IMAGES[:0])),
    (ValueError, "reduce is one of", lambda: activations.pre_activations(MLP, IMAGES, reduce="x")),
    (
        ValueError,
        "more than once",
        lambda: heard(TWICE, layers=["1"]),
    ),
    (ValueError, "no convolution", lambda: activations.hidden_layers(nn.Linear(2, 2))),
    (TypeError, "by the name", lambda: graphs.activation_graph(SEEN["a"])),
    (ValueError, "no layer", lambda: graphs.activation_graph({})),
    (ValueError, "at least 3 images", lambda: graphs.activation_graph({"a": SEEN["a"][:2]})),
    (ValueError, "unit 2 of layer 'a'", lambda: graphs.activation_graph(NAN)),
    (ValueError, "measure is one of", lambda: graphs.activation_graph(SEEN, measure="kendall")),
    (ValueError, "no edge", lambda: graphs.activation_graph({"a": np.ones((5, 3))})),
    (ValueError, "floor is a share", lambda: graphs.weight_graph(MLP, floor=-1)),
    (ValueError, "pass images=", lambda: partitions.partition(MLP, edges="activations", seed=0)),
    (ValueError, "k is 999", lambda: partitions.partition(MLP, k=999, seed=0)),
    (ValueError, "scope is one of", lambda: partitions.partition(MLP, scope="all", seed=0)),
    (TypeError, "a partition", lambda: partitions.subclusters([0, 1])),
    (ValueError, "fill their layer", lambda: partitions.subclusters(ONE)),
    (ValueError, "least must be", lambda: partitions.subclusters(ONE, least=0)),
    (ValueError, "largest is a share", lambda: partitions.subclusters(ONE, largest=0)),
    (ValueError, "no group", lambda: seen(units=())),
    (ValueError, "from 0 to 5", lambda: seen(units=[[6]])),
    (TypeError, "list of units", lambda: seen(units=[["unit 1"]])),
    (ValueError, "units compete", lambda: seen("2", model=SOFT)),
    (ValueError, "too coarse", lambda: seen(model=models.mlp(16, 3, widths=(6,), seed=0).half())),
    (ValueError, "does not take images", lambda: seen(image_shape=(1, 5, 4))),
    (ValueError, "parametrisation is one of", lambda: seen(parametrisation="oil")),
    (ValueError, "objective is one of", lambda: seen(objective="l0")),
    (ValueError, "steps must be", lambda: seen(steps=0)),
    (ValueError, "as many starts", lambda: seen(starts=[])),
    (ValueError, "no sub-module", lambda: features.coherence(MLP, [], image_shape=SHAPE, seed=0)),
    (ValueError, "at least 3", lambda: pictures.unit_pictures(np.ones((2, 2)), np.ones((2, 4)))),
    (ValueError, "height, width", lambda: pictures.one_sidedness(np.ones(4))),
    (ValueError, "nothing to rank", lambda: proxies.ProxyTest(np.ones(0), np.ones((0, 3)))),
    (ValueError, "must be finite", lambda: proxies.ProxyTest([np.inf], [[1.0]])),
    (ValueError, "true values and", lambda: proxies.ProxyTest([1.0], [1.0])),
    (ValueError, "ties is one of", lambda: TEST.percentiles("toss")),
    (ValueError, "no network", lambda: proxies.combine([])),
    (ValueError, "whole numbers", lambda: proxies.fisher_exact([0.5], 3)),
    (ValueError, "between 0 and 3", lambda: proxies.fisher_exact([4], 3)),
    (ValueError, "controls must be", lambda: proxies.fisher_exact([0], 0)),
    (ValueError, "average must be", lambda: statistics.effect_measure([1], [1], average="x")),
    (ValueError, "3 classes, got 1", lambda: found(classes=["a"])),
    (ValueError, "controls must be", lambda: found(controls=0)),
    (
        ValueError,
        "no outgoing weights",
        lambda: lesions.lesion_accuracies(
            MLP, {"5": np.ones(3, dtype=bool)}, IMAGES, LABELS, kind="outgoing", device="cpu"
        ),
    ),
]
