"""Wrong calls of report, communities, lesions and attacks."""

import numpy as np
import torch
from torch import nn

from modgraph_lib import attacks, communities, device, hooks, lesions, report
from modgraph_lib.communities import cka
from tests.lib.bad_input.things import (
    CNN,
    GRAPH,
    IMAGES,
    LABELS,
    MASKS,
    META,
    MODEL,
    NAN,
    NETWORKX,
    PICTURES,
    RELAY,
    TRAINING,
    Fails,
    Pair,
)  # fmt: skip

NET = report.clusterability
REPORT = [
    (ValueError, "k .*at least 2, got 1", lambda: NET(MODEL, k=1)),
    (ValueError, "k .*got 2.0", lambda: NET(MODEL, k=2.0)),
    (ValueError, "k .*got None", lambda: NET(MODEL, k=None)),
    (ValueError, "k .*between", lambda: NET(MODEL, k=99)),
    (ValueError, "shuffles .*'50'", lambda: NET(MODEL, k=2, shuffles="50")),
    (ValueError, "shuffles .*None", lambda: NET(MODEL, k=2, shuffles=None)),
    (ValueError, "seed .*1.5", lambda: NET(MODEL, k=2, seed=1.5)),
    (ValueError, "seed .*-1", lambda: NET(MODEL, k=2, seed=-1)),
    (ValueError, "method", lambda: NET(MODEL, k=2, method="kernels")),
    (ValueError, "method", lambda: NET(GRAPH, k=2, method="kernels")),
    (ValueError, "method", lambda: NET(MODEL, k=2, method=3)),
    (ValueError, "pass the module itself", lambda: NET(GRAPH, k=2, method="kernel")),
    (ValueError, "n_init", lambda: NET(MODEL, k=2, shuffles=1, n_init=0)),
    (ValueError, "workers", lambda: NET(MODEL, k=2, shuffles=1, workers=-2)),
    (TypeError, "drop dense", lambda: NET(GRAPH, k=2, dense=True)),
    (TypeError, "'kernel_nrom'.*kernel_norm", lambda: NET(MODEL, k=2, kernel_nrom="l1")),
    (TypeError, "got <class 'networkx", lambda: NET(NETWORKX, k=2)),
    (TypeError, "got <class 'NoneType'>", lambda: NET(None, k=2)),
    (TypeError, "OrderedDict", lambda: NET(MODEL.state_dict(), k=2)),
    (TypeError, "got <class 'numpy", lambda: NET(np.eye(6), k=2)),
    (ValueError, "could not be run", lambda: NET(Fails(), k=2)),
    (ValueError, "write 'package.module:function'", lambda: report.load_model("resnet18")),
    (ValueError, "is it installed", lambda: report.load_model("no_such_package:net")),
    (ValueError, "has no 'mlpp'.*mlp", lambda: report.load_model("modgraph_lib.models:mlpp")),
    (ValueError, "no file", lambda: report.load_model("nowhere.py:Net")),
    (ValueError, "not a torch module", lambda: report.load_model("builtins:dict")),
    (ValueError, "with the arguments", lambda: report.load_model("modgraph_lib.models:VGG_RATES")),
    (ValueError, "with the arguments", lambda: report.load_model("modgraph_lib.models:mlp")),
    (TypeError, "arguments by name", lambda: report.load_model(nn.Linear, arguments="in=3")),
    (ValueError, "factory", lambda: report.load_model(None)),
    (FileNotFoundError, "no weights file", lambda: report.load_weights("nowhere.pt")),
    (FileNotFoundError, "no weights file", lambda: report.load_weights(".")),
    (TypeError, "path of a weights file", lambda: report.load_weights(None)),
    (TypeError, "tensors by name", lambda: report.fill(MODEL, None, "w")),
    (ValueError, "4 missing: 1.weight", lambda: report.fill(MODEL, {}, "w")),
    (
        ValueError,
        "unexpected: z",
        lambda: report.fill(MODEL, {**MODEL.state_dict(), "z": torch.ones(1)}, "w"),
    ),
    (
        ValueError,
        "of another shape",
        lambda: report.fill(MODEL, {**MODEL.state_dict(), "1.weight": torch.ones(2, 2)}, "w"),
    ),
]

CURVE = communities.modularity_curve
COMMUNITIES = [
    (TypeError, "features as a tensor", lambda: communities.knn_graph("abc", k=1)),
    (TypeError, "features as a tensor", lambda: communities.knn_graph(None, k=1)),
    (ValueError, "one row a sample", lambda: communities.knn_graph(torch.ones(5), k=1)),
    (ValueError, "NaN, infinite", lambda: communities.knn_graph(IMAGES / 0, k=1)),
    (ValueError, "no features", lambda: communities.knn_graph(torch.ones(5, 0), k=1)),
    (ValueError, "k must be", lambda: communities.knn_graph(IMAGES, k=0)),
    (ValueError, "k must be", lambda: communities.knn_graph(IMAGES, k="3")),
    (ValueError, "need at least 11", lambda: communities.knn_graph(IMAGES, k=10)),
    (ValueError, "all-zero features", lambda: communities.knn_graph(torch.zeros(5, 2), k=1)),
    (
        ValueError,
        "similarity must be",
        lambda: communities.knn_graph(IMAGES, k=1, similarity="euclid"),
    ),
    (
        ValueError,
        "symmetrise must be",
        lambda: communities.knn_graph(IMAGES, k=1, symmetrise="max"),
    ),
    (ValueError, "zero_norm must be", lambda: communities.knn_graph(IMAGES, k=1, zero_norm="drop")),
    (ValueError, "meta device", lambda: communities.knn_graph(META, k=1)),
    (
        ValueError,
        "NaN, infinite or complex",
        lambda: communities.knn_graph(torch.ones(5, 2) * 1j, k=1),
    ),
    (ValueError, "square", lambda: communities.modularity(np.ones((2, 3)), [0, 1])),
    (ValueError, "not symmetric", lambda: communities.modularity([[0, 1], [0, 0]], [0, 1])),
    (ValueError, "NaN or infinite", lambda: communities.modularity([[0, NAN], [NAN, 0]], [0, 1])),
    (ValueError, "positive total weight", lambda: communities.modularity(np.zeros((2, 2)), [0, 1])),
    (ValueError, "as many labels", lambda: communities.modularity(np.ones((2, 2)), [0])),
    (ValueError, "as many labels", lambda: communities.modularity(np.ones((2, 2)), None)),
    (
        TypeError,
        "to_scipy_sparse_array|adjacency",
        lambda: communities.modularity(NETWORKX, [0] * 6),
    ),
    (ValueError, "adjacency", lambda: communities.modularity(None, [0])),
    (ValueError, "adjacency", lambda: communities.modularity(META, [0] * 6)),
    (
        ValueError,
        "reading must be",
        lambda: communities.modularity(np.ones((2, 2)), [0, 1], reading="x"),
    ),
    (
        ValueError,
        "resolution",
        lambda: communities.modularity(np.ones((2, 2)), [0, 1], resolution=NAN),
    ),
    (
        ValueError,
        "resolution",
        lambda: communities.modularity(np.ones((2, 2)), [0, 1], resolution="1"),
    ),
    (ValueError, "labels .*NaN", lambda: communities.modularity(np.ones((2, 2)), [0, NAN])),
    (TypeError, "module, got", lambda: CURVE("m", IMAGES, LABELS)),
    (ValueError, "training mode", lambda: CURVE(TRAINING, IMAGES, LABELS)),
    (TypeError, "images as a tensor", lambda: CURVE(MODEL, None, LABELS)),
    (ValueError, "one class", lambda: CURVE(MODEL, IMAGES, [0] * 10)),
    (ValueError, "as many labels", lambda: CURVE(MODEL, IMAGES, [0, 1])),
    (ValueError, "k must be", lambda: CURVE(MODEL, IMAGES, LABELS, k=2.5)),
    (ValueError, "no layer 'q'", lambda: CURVE(MODEL, IMAGES, LABELS, layers=["q"])),
    (TypeError, "list of names", lambda: CURVE(MODEL, IMAGES, LABELS, layers="1")),
    (ValueError, "layers is empty", lambda: CURVE(MODEL, IMAGES, LABELS, layers=[])),
    (ValueError, "not available here", lambda: CURVE(MODEL, IMAGES, LABELS, device="gpu")),
    (ValueError, "batch_size", lambda: CURVE(MODEL, IMAGES, LABELS, batch_size=0)),
    (ValueError, "memory", lambda: CURVE(MODEL, IMAGES, LABELS, memory=NAN)),
    (ValueError, "memory", lambda: CURVE(MODEL, IMAGES, LABELS, memory=-1)),
    (ValueError, "could not take", lambda: CURVE(MODEL, torch.rand(10, 7), LABELS)),
    (TypeError, "k is a list", lambda: communities.modularity_curves(MODEL, IMAGES, LABELS, k=3)),
    (ValueError, "k is empty", lambda: communities.modularity_curves(MODEL, IMAGES, LABELS, k=[])),
    (TypeError, "x as a tensor", lambda: cka.linear_cka("x", IMAGES)),
    (ValueError, "samples", lambda: cka.linear_cka(IMAGES, IMAGES[:3])),
    (ValueError, "NaN, infinite", lambda: cka.linear_cka(IMAGES / 0, IMAGES)),
    (TypeError, "module, got", lambda: cka.cka_matrix(None, IMAGES)),
    (ValueError, "images", lambda: cka.cka_matrix(MODEL, IMAGES[:1])),
    (ValueError, "not available", lambda: cka.cka_matrix(MODEL, IMAGES, device="cuda:99")),
    (ValueError, "device", lambda: device.pick_device(None)),
    (ValueError, "no layer", lambda: hooks.find_modules(MODEL, ["9"])),
]

HIT = lesions.lesion_accuracies
LESIONS = [
    (TypeError, "module, got", lambda: HIT("m", MASKS, IMAGES, LABELS)),
    (TypeError, "masks by", lambda: HIT(MODEL, None, IMAGES, LABELS)),
    (ValueError, "masks is empty", lambda: HIT(MODEL, {}, IMAGES, LABELS)),
    (ValueError, "no layer '9'", lambda: HIT(MODEL, {"9": np.ones((1, 8), bool)}, IMAGES, LABELS)),
    (ValueError, "true or false", lambda: HIT(MODEL, {"1": np.ones((1, 8))}, IMAGES, LABELS)),
    (TypeError, "masks of layer '1' as", lambda: HIT(MODEL, {"1": "all"}, IMAGES, LABELS)),
    (TypeError, "masks of layer '1' as", lambda: HIT(MODEL, {"1": None}, IMAGES, LABELS)),
    (ValueError, "has 8 units", lambda: HIT(MODEL, {"1": np.ones((1, 5), bool)}, IMAGES, LABELS)),
    (
        ValueError,
        "ReLU and has no incoming",
        lambda: HIT(MODEL, {"2": np.ones((1, 8), bool)}, IMAGES, LABELS),
    ),
    (ValueError, "kind must be", lambda: HIT(MODEL, MASKS, IMAGES, LABELS, kind="units")),
    (ValueError, "whole-number classes", lambda: HIT(MODEL, MASKS, IMAGES, torch.rand(10))),
    (ValueError, "whole-number classes", lambda: HIT(MODEL, MASKS, IMAGES, [0.0] * 10)),
    (ValueError, "whole-number classes", lambda: HIT(MODEL, MASKS, IMAGES, [0])),
    (TypeError, "labels as a tensor", lambda: HIT(MODEL, MASKS, IMAGES, None)),
    (ValueError, "whole-number classes", lambda: HIT(MODEL, MASKS, IMAGES, [True] * 10)),
    (ValueError, "labels go from", lambda: HIT(MODEL, MASKS, IMAGES, [7] * 10)),
    (ValueError, "labels go from", lambda: HIT(MODEL, MASKS, IMAGES, [-1] * 10)),
    (ValueError, "no images", lambda: HIT(MODEL, MASKS, IMAGES[:0], [])),
    (TypeError, "images as a tensor", lambda: HIT(MODEL, MASKS, "pixels", LABELS)),
    (ValueError, "NaN or infinite", lambda: HIT(MODEL, MASKS, IMAGES * NAN, LABELS)),
    (ValueError, "batch_rows", lambda: HIT(MODEL, MASKS, IMAGES, LABELS, batch_rows=-1)),
    (ValueError, "batch_rows", lambda: HIT(MODEL, MASKS, IMAGES, LABELS, batch_rows=1.5)),
    (ValueError, "not available here", lambda: HIT(MODEL, MASKS, IMAGES, LABELS, device="gpu")),
    (ValueError, "could not take", lambda: HIT(MODEL, MASKS, torch.rand(10, 9), LABELS)),
    (ValueError, "logits", lambda: HIT(Pair(), {"one": np.ones((1, 2), bool)}, IMAGES, LABELS)),
    (ValueError, "no sub-module", lambda: lesions.single_lesions(MODEL, [], IMAGES, LABELS)),
    (TypeError, "sub-modules, as", lambda: lesions.single_lesions(MODEL, [3], IMAGES, LABELS)),
    (
        ValueError,
        "controls",
        lambda: lesions.single_lesions(
            RELAY.model, RELAY.parts, RELAY.images, RELAY.labels, controls=0
        ),
    ),
    (
        ValueError,
        "seed",
        lambda: lesions.single_lesions(
            RELAY.model, RELAY.parts, RELAY.images, RELAY.labels, seed="a", controls=1
        ),
    ),
    (ValueError, "no pair", lambda: lesions.double_lesions(MODEL, [], IMAGES, LABELS)),
    (TypeError, "pairs of sub-modules", lambda: lesions.double_lesions(MODEL, [3], IMAGES, LABELS)),
    (
        TypeError,
        "pairs of sub-modules",
        lambda: lesions.double_lesions(MODEL, [(1, 2)], IMAGES, LABELS),
    ),
    (
        ValueError,
        "earlier layer first",
        lambda: lesions.double_lesions(
            RELAY.model, [(RELAY.parts[3], RELAY.parts[0])], RELAY.images, RELAY.labels
        ),
    ),
]

HARM = attacks.attack
ATTACKS = [
    (ValueError, "unknown attack 'fgms'", lambda: HARM("fgms", CNN, PICTURES, [0, 1], seed=0)),
    (ValueError, "unknown attack None", lambda: HARM(None, CNN, PICTURES, [0, 1], seed=0)),
    (
        ValueError,
        "training mode",
        lambda: HARM(
            "cw", CNN.__class__(nn.Flatten(), nn.Linear(64, 10)), PICTURES, [0, 1], seed=0
        ),
    ),
    (TypeError, "module, got", lambda: HARM("cw", None, PICTURES, [0, 1], seed=0)),
    (ValueError, r"\(N, C, H, W\)", lambda: HARM("cw", CNN, PICTURES[0], [0], seed=0)),
    (ValueError, "in 0..1", lambda: HARM("cw", CNN, PICTURES + 7, [0, 1], seed=0)),
    (ValueError, "in 0..1", lambda: HARM("cw", CNN, PICTURES * NAN, [0, 1], seed=0)),
    (ValueError, "as many labels", lambda: HARM("cw", CNN, PICTURES, [0], seed=0)),
    (ValueError, "labels .*whole", lambda: HARM("cw", CNN, PICTURES, [0.0, 1.0], seed=0)),
    (ValueError, "labels go from", lambda: HARM("cw", CNN, PICTURES, [0, 99], seed=0, steps=1)),
    (TypeError, "labels as a tensor", lambda: HARM("cw", CNN, PICTURES, None, seed=0)),
    (
        ValueError,
        "no setting 'epz'.*'eps'",
        lambda: HARM("fgsm", CNN, PICTURES, [0, 1], seed=0, epz=1),
    ),
    (ValueError, "eps", lambda: HARM("fgsm", CNN, PICTURES, [0, 1], seed=0, eps="big")),
    (ValueError, "eps", lambda: HARM("pgd", CNN, PICTURES, [0, 1], seed=0, eps=NAN)),
    (ValueError, "seed", lambda: HARM("single_pixel", CNN, PICTURES, [0, 1], seed="a")),
    (ValueError, "seed", lambda: HARM("pgd", CNN, PICTURES, [0, 1], seed=None)),
    (
        ValueError,
        "samples",
        lambda: attacks.collect("cw", CNN, PICTURES, [0, 1], samples=0, seed=0),
    ),
    (
        ValueError,
        "samples",
        lambda: attacks.collect("cw", CNN, PICTURES, [0, 1], samples="3", seed=0),
    ),
    (
        ValueError,
        "precision must be",
        lambda: attacks.collect("cw", CNN, PICTURES, [0, 1], samples=1, seed=0, precision="half"),
    ),
    (
        TypeError,
        "module, got",
        lambda: attacks.collect("cw", "m", PICTURES, [0, 1], samples=1, seed=0),
    ),
    (
        ValueError,
        "as many labels",
        lambda: attacks.collect("cw", CNN, PICTURES, [0], samples=1, seed=0),
    ),
    (ValueError, "of one shape", lambda: attacks.sizes(PICTURES, PICTURES[:1])),
    (TypeError, "originals as a tensor", lambda: attacks.sizes(None, PICTURES)),
]
ROWS = REPORT + COMMUNITIES + LESIONS + ATTACKS
