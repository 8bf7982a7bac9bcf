"""Tables B2 to B5 as exact architectures; what layers cost, and which of them to take away."""

import itertools
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from book.lab import ledger
from book.papers.community_modularity.s05_layer_pruning import reductions
from modgraph_lib import layer_pruning
from modgraph_lib._torchvision import torchvision
from modgraph_lib.models import cifar_networks

BOTTLENECK = ("channels_1x1_reduce", "channels_3x3", "channels_1x1_expand")
FLAT = (0.1, 0.2, 0.2, 0.3, 0.1, 0.4)


def on_meta(name, shape=(3, 32, 32), outputs=10, **options):
    with torch.device("meta"):
        return cifar_networks.build(name, shape, outputs, seed=0, **options)


def entries(model):
    return sum(parameter.numel() for parameter in model.parameters())


# --- tables B2 to B5 ------------------------------------------------------------------------


def variants(*tables):
    for table in tables:
        printed = ledger.paper_table(f"community_modularity/{table}")
        for name, rows in printed.groupby("variant", sort=False):
            yield table, name, rows.to_dict("records")


def conv_sizes(model, size):
    """Side of every convolution's output for one square image, without weights."""
    sides = {}
    hooks = [
        module.register_forward_hook(lambda m, i, out, name=name: sides.update({name: out.shape}))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    model.eval()(torch.empty(1, 3, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    return {name: shape[-1] for name, shape in sides.items()}


@pytest.mark.parametrize(("table", "name", "rows"), list(variants("table_b2", "table_b5")))
def test_vgg_variants_are_the_printed_ones(table, name, rows):
    model = on_meta(name.lower())
    sides = conv_sizes(model, 32)
    stages, total, fan_in = [[]], 0, 3
    for index, module in enumerate(model.features):
        if isinstance(module, nn.MaxPool2d):
            stages.append([])
        elif isinstance(module, nn.Conv2d):
            stages[-1].append((module, sides[f"features.{index}"]))
    assert [len(stage) for stage in stages] == [int(r["conv_layer_count"]) for r in rows] + [0]
    for number, (row, stage) in enumerate(zip(rows, stages, strict=False)):
        width, kernel = int(row["channels"]), int(row["kernel_size"])
        for conv, side in stage:
            assert conv.weight.shape == (width, fan_in, kernel, kernel)
            assert side == 32 >> number
            total += width * fan_in * kernel**2 + width + 2 * width  # with its batch norm
            fan_in = width
    assert entries(model) == total + 2 * (512 * 512 + 512) + 512 * 10 + 10
    removed = int(rows[0]["removed_layer_count"])
    whole = sum(cifar_networks.plan_of(name.partition("_")[0].lower()).counts)
    assert whole - sum(len(stage) for stage in stages) == removed


@pytest.mark.parametrize(("table", "name", "rows"), list(variants("table_b3")))
def test_resnet152_variants_are_the_printed_ones(table, name, rows):
    model = on_meta(name.lower())
    sides = conv_sizes(model, 32)
    total, fan_in = 3 * 64 * 9 + 2 * 64, 64
    assert [len(stage) for stage in model.stages] == [int(row["block_count"]) for row in rows]
    for number, row in enumerate(rows):
        reduce, middle, expand = (int(row[column]) for column in BOTTLENECK)
        for unit, block in enumerate(model.stages[number]):
            shapes = [tuple(m.weight.shape) for m in block.body if isinstance(m, nn.Conv2d)]
            assert shapes == [
                (reduce, fan_in, 1, 1), (middle, reduce, 3, 3), (expand, middle, 1, 1)
            ]  # fmt: skip
            assert sides[f"stages.{number}.{unit}.body.6"] == int(row["output_size"])
            total += reduce * fan_in + middle * reduce * 9 + expand * middle
            total += 2 * (reduce + middle + expand)
            if unit == 0:
                total += expand * fan_in + 2 * expand
            fan_in = expand
    assert entries(model) == total + 2048 * 10 + 10
    assert 36 - len(model.stages[2]) == int(rows[0]["removed_block_count"])


@pytest.mark.parametrize(("table", "name", "rows"), list(variants("table_b4")))
def test_imagenet_variants_have_the_same_blocks_on_larger_images(table, name, rows):
    counts = [int(row["block_count"]) for row in rows]
    assert tuple(counts) == cifar_networks.plan_of(name.lower()).counts
    with torch.device("meta"):  # torchvision's start quarters the image, as the printed sizes ask
        theirs = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, counts)
    sides = conv_sizes(theirs, 224)
    for number, row in enumerate(rows):
        shapes = [
            tuple(p.shape)
            for n, p in getattr(theirs, f"layer{number + 1}").named_parameters()
            if n.startswith("1.conv")
        ]
        reduce, middle, expand = (int(row[column]) for column in BOTTLENECK)
        assert shapes == [
            (reduce, expand, 1, 1), (middle, reduce, 3, 3), (expand, middle, 1, 1)
        ]  # fmt: skip
        assert sides[f"layer{number + 1}.0.conv3"] == int(row["output_size"])


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_residual_stages_are_those_of_torchvision(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)()
    ours = on_meta(name)
    for number, stage in enumerate(ours.stages):
        for mine, other in zip(stage, getattr(theirs, f"layer{number + 1}"), strict=True):
            assert sorted(tuple(p.shape) for p in mine.parameters()) == sorted(
                tuple(p.shape) for p in other.parameters()
            )


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_features_of_vggs_are_those_of_torchvision(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"{name}_bn")()
    ours = {n: p.shape for n, p in on_meta(name).features.named_parameters()}
    assert ours == {n: p.shape for n, p in theirs.features.named_parameters()}


# --- costs ------------------------------------------------------------------------------------


def test_operations_of_one_convolution_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5)).train()
    found = layer_pruning.cost(model, (3, 8, 6))
    multiplied = 8 * 6 * 5 * 3 * 9
    assert found == layer_pruning.Cost(
        parameters=5 * 27 + 5 + 10,
        torch=2 * multiplied,
        thop=multiplied + 8 * 6 * 5 + 2 * 8 * 6 * 5,
        thop_new=multiplied + 4 * 8 * 6 * 5,
    )
    assert model.training and not model[0]._forward_hooks


def test_a_dense_layer_has_no_bias_for_thop():
    found = layer_pruning.cost(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (3, 2, 2))
    assert asdict(found) == {"parameters": 65, "torch": 120, "thop": 60, "thop_new": 60}


def test_resnet56_costs_what_both_versions_of_thop_say():
    # thop.profile(model, (one image,)) of versions 0.0.31.post2005241907 and 0.1.1, run once
    found = layer_pruning.cost("resnet56")
    assert (found.thop, found.thop_new) == (126_550_656, 127_615_616)
    whole = layer_pruning.cost("vgg11")
    assert (whole.thop, whole.thop_new) == (153_748_480, 153_900_032)
    # stem, 27 blocks of which two halve the image, dense layer
    block = 2 * 9 * 16 * 16 * 1024
    halving = 9 * 16 * 32 * 256 + 9 * 32 * 32 * 256
    total = 9 * 3 * 16 * 1024 + 25 * block + 2 * halving + 640
    assert found.torch == 2 * total and found.parameters == 853_018


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.integers(0, 8)] * 3))
def test_savings_of_a_plan_are_those_of_the_built_network(plan):
    plans = removals().set_index(["stage_1", "stage_2", "stage_3"])
    whole = layer_pruning.cost("resnet56")
    short = layer_pruning.cost("resnet56_" + "_".join(map(str, plan))) if any(plan) else whole
    for name in ("parameters", *layer_pruning.CONVENTIONS):
        saved = 100 * (1 - getattr(short, name) / getattr(whole, name))
        assert plans.loc[plan, name] == pytest.approx(saved, abs=1e-9)


_found = []


def removals():
    if not _found:
        _found.append(reductions.removals())
    return _found[0]


def test_matching_finds_a_plan_that_was_printed():
    plans = removals()
    assert len(plans) == 729 and plans["parameters"].min() == 0
    true = plans.iloc[400]
    best = reductions.matching(
        plans, round(true["parameters"], 2), round(true["thop"], 2), count="thop"
    )
    assert best.loc[0, "exact"] and best.loc[0, "distance"] <= 0.005
    assert tuple(best.loc[0, ["stage_1", "stage_2", "stage_3"]]) == tuple(
        true[["stage_1", "stage_2", "stage_3"]]
    )
    assert (np.diff(best["distance"]) >= 0).all()
    only = reductions.matching(plans, None, 53.41)
    assert only.loc[0, "distance"] == pytest.approx((plans["torch"] - 53.41).abs().min())
    for wrong in ({"count": "macs"}, {"operations": None}):
        with pytest.raises(ValueError, match=r"count must|nothing printed"):
            reductions.matching(plans, **{"parameters": None, "operations": 1.0, **wrong})


# --- which blocks -----------------------------------------------------------------------------


def test_blocks_by_hand():
    # steps: +0.1, 0, +0.1, -0.2, +0.3; the fourth block begins the second stage
    assert layer_pruning.choose(FLAT, (3, 3), 0.0) == ((0, 1), (0, 2))
    assert layer_pruning.choose(FLAT, (4, 2), 0.0) == ((0, 1, 3), (0, 1))
    assert layer_pruning.choose(FLAT, (3, 3), -1.0) == ((0, 1, 2), (0, 1, 2))
    assert layer_pruning.choose(FLAT, (3, 3), 1.0) == ((0,), (0,))


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.floats(-1, 1), st.floats(0, 1))
def test_a_higher_threshold_takes_more(q, threshold, more):
    low = layer_pruning.choose(q, (2, 3, 4), threshold)
    high = layer_pruning.choose(q, (2, 3, 4), threshold + more)
    assert all(set(b) <= set(a) and b[0] == 0 for a, b in zip(low, high, strict=True))
    flat = list(itertools.accumulate((2, 3, 4), initial=0))
    for stage, units in enumerate(low):
        for unit in range(1, (2, 3, 4)[stage]):
            place = flat[stage] + unit
            assert (unit in units) == (q[place] - q[place - 1] > threshold)


@pytest.mark.parametrize("q", [FLAT[:5], (*FLAT[:5], float("nan"))])
def test_curves_that_do_not_fit_the_blocks(q):
    with pytest.raises(ValueError, match="6 blocks need as many finite"):
        layer_pruning.choose(q, (3, 3), 0.0)
