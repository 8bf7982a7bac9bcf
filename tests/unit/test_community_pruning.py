"""Variants that inherit from their parents, their records, and the claims about them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from book.lab import registry
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.s05_layer_pruning import experiment as pruning
from book.papers.community_modularity.settings import training_run
from modgraph_lib import cache, datasets, layer_pruning
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, inherit, sgd


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def config(network="vgg11", **changes):
    usual = {"width": 2, "epochs": 1, "batch_size": 64, "images": 128, "augmentation": "none"}
    return SgdConfig("digits", network, **{"seed": 0, **usual, **changes})


def on_meta(name, shape=(3, 32, 32), outputs=10, **options):
    with torch.device("meta"):
        return cifar_networks.build(name, shape, outputs, seed=0, **options)


# --- what a variant inherits -----------------------------------------------------------------


def randomised(name, **options):
    """A network whose batch norms have statistics of their own."""
    model = cifar_networks.build(name, (3, 16, 16), width=2, seed=1, **options).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var, module.bias, module.running_mean):
                values.data.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    return model


def without(model, gone):
    """The same module with units (stage, unit) replaced by identities, by hand."""
    if isinstance(model, cifar_networks.ResNet):
        for stage, unit in gone:
            model.stages[stage][unit] = nn.Identity()
        return model
    stage, unit = 0, 0
    for index, module in enumerate(model.features):
        if isinstance(module, nn.MaxPool2d):
            stage, unit = stage + 1, 0
            continue
        if (stage, unit) in gone:
            model.features[index] = nn.Identity()
        unit += isinstance(module, nn.ReLU)
    return model


@pytest.mark.parametrize(
    ("child", "kept", "gone"),
    [
        ("vgg19_6", (), [(3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3)]),
        ("vgg19_1", ((0, 1), (0, 1), (0, 1, 2, 3), (0, 1, 2, 3), (0, 2, 3)), [(4, 1)]),
        ("resnet34_3", (), [(2, 3), (2, 4), (2, 5)]),
        ("resnet34_3", ((0, 1, 2), (0, 1, 2, 3), (0, 2, 5), (0, 1, 2)), [(2, 1), (2, 3), (2, 4)]),
        ("resnet56_8_8_7", ((0,), (0,), (0, 4)), None),
    ],
)
def test_a_variant_is_its_parent_without_the_removed_units(child, kept, gone):
    family = child.partition("_")[0]
    small = cifar_networks.build(child, (3, 16, 16), width=2, seed=9).eval()
    assert inherit.inherit(small, randomised(family), kept) == ()
    if gone is None:
        gone = [(s, u) for s in range(3) for u in range(9) if u not in kept[s]]
    images = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(small(images), without(randomised(family), gone)(images))


def test_what_has_no_place_in_the_parent_starts_fresh():
    parent = randomised("vgg11")
    more = cifar_networks.build("vgg11", (3, 16, 16), outputs=7, width=2, seed=9)
    before = more.state_dict()["classifier.6.weight"].clone()
    assert inherit.inherit(more, parent) == ("classifier.6.weight", "classifier.6.bias")
    assert torch.equal(more.state_dict()["classifier.6.weight"], before)
    assert torch.equal(more.features[0].weight, parent.features[0].weight)
    grey = cifar_networks.build("vgg11", (1, 16, 16), width=2, seed=9)
    assert {n.split(".")[1] for n in inherit.inherit(grey, parent)} == {"0", "1"}


@pytest.mark.parametrize("other", [("vgg11", 4), ("resnet18", 2)])
def test_where_nothing_fits_it_is_said(other):
    child = cifar_networks.build(other[0], (3, 16, 16), width=other[1], seed=0)
    before = {name: value.clone() for name, value in child.state_dict().items()}
    with pytest.raises(ValueError, match="nothing fits"):
        inherit.inherit(child, randomised("vgg11"))
    assert all(torch.equal(before[n], v) for n, v in child.state_dict().items())


def test_places_name_every_entry_once():
    for name in ("vgg16", "resnet50", "resnet56"):
        model = on_meta(name)
        places = cifar_networks.places(model)
        assert list(places) == list(model.state_dict())
        assert len(set(places.values())) == len(places)
        units = {place for place, _ in places.values() if isinstance(place, tuple)}
        counts = cifar_networks.plan_of(name).counts
        assert units == {(s, u) for s, count in enumerate(counts) for u in range(count)}


# --- configurations and keys ------------------------------------------------------------------


def test_keys_of_earlier_runs_stay_as_they_were():
    made = training_run("vgg19", 0, scale="short")
    before = {
        "data": "cifar10", "network": "vgg19", "seed": 0, "width": 16, "epochs": 10,
        "batch_size": 256, "learning_rate": 0.1, "momentum": 0.9, "nesterov": True,
        "weight_decay": 0.0005, "schedule": "one_cycle", "augmentation": "crop_flip",
        "precision": "bfloat16", "images": 0,
    }  # fmt: skip
    assert cache.canonical(made) == before
    assert cache.config_key("sgd", 1, [made, "f"]) == cache.config_key("sgd", 1, [before, "f"])
    child = pruning.fine_tuned(made, "vgg19_2", epochs=3)
    assert cache.canonical(child)["parent"] == before
    assert "kept" not in cache.canonical(child)
    assert "parent" in cache.canonical(CurveConfig(child))["train"]


def test_a_record_gives_its_configuration_back():
    kept = ((0,), (0, 1), (0, 8))
    child = pruning.fine_tuned(config("resnet56"), "resnet56_8_7_7", kept=kept, epochs=2)
    assert SgdConfig(**cache.canonical(child)) == child
    assert hash(SgdConfig(**cache.canonical(child))) == hash(child)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: config(kept=((0,),)), "no parent"),
        (lambda: pruning.fine_tuned(config(), "resnet18"), "cannot inherit"),
        (lambda: config("vgg11_1", parent=replace(config(), data="cifar10")), "cannot inherit"),
        (lambda: pruning.fine_tuned(pruning.fine_tuned(config(), "vgg11_1"), "vgg11_2"), "fresh"),
        (
            lambda: pruning.fine_tuned(
                config(), "vgg11_1", kept=((0,), (0,), (0, 1), (0, 1), (1,))
            ),
            "the first",
        ),
        (lambda: pruning.fine_tuned(config(), "vgg11_1", kept=((0,),) * 5), "kept names"),
        (
            lambda: pruning.fine_tuned(config(), "vgg11_3", kept=((0,), (0,), (0,), (0,), (2,))),
            "units 0 to 1",
        ),
        (lambda: pruning.family(config(), (1,), reading="both"), "reading"),
        (lambda: pruning.family(config(), (9,)), "takes away more"),
    ],
)
def test_variants_there_are_not(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# --- training and records ---------------------------------------------------------------------


def test_fine_tuning_starts_from_the_parent(own_cache):
    parent = config(epochs=2)
    child = pruning.fine_tuned(parent, "vgg11_2", epochs=1)
    whole = sgd.trained(parent)
    start = sgd.at_start(child)
    assert torch.equal(start.features[0].weight, whole.weights["features.0.weight"])
    # one step at a rate of next to nothing leaves it there
    still = replace(child, learning_rate=1e-12, weight_decay=0.0)
    tuned = sgd.trained(still)
    torch.testing.assert_close(tuned.weights["features.0.weight"], start.features[0].weight)
    assert len(list((own_cache / "networks").iterdir())) == 2
    assert sgd.trained(still).history == tuned.history
    train, test = datasets.load("digits", "train"), datasets.load("digits", "test")
    with pytest.raises(ValueError, match="has a parent"):
        sgd.fit(child, train, test)


def test_a_parent_of_another_width_is_refused():
    with pytest.raises(ValueError, match="nothing fits"):
        sgd.trained(pruning.fine_tuned(config(), "vgg11_1", width=3))


@pytest.mark.parametrize("reading", ["described", "published"])
def test_records_of_a_family(reading):
    made = pruning.family(config(), (1, 3), reading=reading)
    looks = [CurveConfig(train, samples=60, repeats=2) for train in made]
    records = pruning.run(looks, device="cpu", workers=1)
    assert pruning.run(looks, device="cpu", workers=1) == records
    table = pruning.table(records)
    expected = ["parent", "control"][: 2 if reading == "described" else 1] + [reading] * 2
    assert list(table.groupby("key", sort=False)["reading"].first()) == expected
    assert list(table.groupby("key", sort=False)["layers_in_all"].first())[-2:] == [7, 5]
    ours = table[table["reading"] == reading]
    assert set(ours["removed"]) == {1, 3} and set(ours["family"]) == {"vgg11"}
    inherited = table.loc[table["reading"] == "control", "start_accuracy"]
    parent = table.loc[table["reading"] == "parent", "test_accuracy"].iloc[0]
    assert (inherited == parent).all()
    assert ours["start_accuracy"].notna().all() == (reading == "described")
    assert set(registry.tables()["community_pruning"]["key"]) == set(table["key"])


def test_resnet152_takes_the_same_way():
    made = pruning.family(config("resnet152", width=1, images=64), (26, 30))
    assert [cifar_networks.plan_of(c.network).counts[2] for c in made] == [36, 36, 10, 6]
    record = pruning.EXPERIMENT.run_one(CurveConfig(made[-1], samples=40, repeats=1))
    assert len(record["result"]["layers"]) == 20


def test_a_resnet_pruned_where_its_q_stands_still():
    look = CurveConfig(config("resnet56", images=64), samples=40, repeats=2)
    records = pruning.run_guided(look, threshold=0.01, device="cpu", workers=1)
    whole, control, variant = (record["config"]["train"] for record in records)
    q = np.mean(records[0]["result"]["curves"]["3"]["q"], axis=0)
    kept = [list(units) for units in layer_pruning.choose(q, (9, 9, 9), 0.01)]
    assert "parent" not in whole and control["network"] == "resnet56"
    assert variant["parent"] == whole == control["parent"]
    assert variant["kept"] == kept
    with pytest.raises(ValueError, match="none goes"):
        pruning.guided(look.train, np.arange(27.0), 0.01)


def test_no_records_make_an_empty_table():
    table = pruning.table([])
    assert table.empty and {"reading", "q", "kept"} <= set(table)
