"""What the sections on training and on layer differences show: with rows, and without any."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from book.papers.community_modularity import curves
from book.papers.community_modularity import page as community
from book.papers.community_modularity.s01_curves import layers as community_layers
from book.papers.community_modularity.s03_training import experiment as training_time
from book.papers.community_modularity.s03_training import page as epochs
from book.papers.community_modularity.s03_training import pictures as training_pictures
from book.papers.community_modularity.s04_layer_difference import experiment as layer_difference
from book.papers.community_modularity.s04_layer_difference import page as differences
from book.papers.community_modularity.s04_layer_difference import (
    pictures as layer_difference_pictures,
)
from book.papers.community_modularity.settings import training_run
from modgraph_lib import communities, training
from modgraph_lib.models import cifar_networks

TRAIN = {"width": 4, "epochs": 3, "batch_size": 128}


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("community")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGRAPH_CACHE", str(folder / "cache"))
        patch.setenv("MODGRAPH_RESULTS", str(folder / "results"))
        yield


@pytest.fixture(scope="module")
def watched(folders):
    parameters = training_time.TrainingTimeParameters(
        networks=["resnet18"], watch=9, samples=40, repeats=2, **TRAIN
    )
    configs = training_time.runs(parameters)
    return training_time.table(training_time.run(configs, device="cpu", workers=1))


@pytest.fixture(scope="module")
def compared(folders, watched):
    parameters = layer_difference.LayerDifferenceParameters(samples=40, repeats=2, **TRAIN)
    configs = layer_difference.networks(parameters)
    return layer_difference.table(layer_difference.run(configs, device="cpu", workers=1))


def test_parameters_give_the_runs_of_the_larger_scales():
    p = training_time.TrainingTimeParameters(
        data="cifar10", scale="paper", width=0, epochs=150, watch=30, batch_size=256, samples=500,
        repeats=5,
    )  # fmt: skip
    first = training_time.runs(p)[0]
    assert first == training_time.EpochConfig(training_run("resnet18", 0), 30)
    short = {"data": "cifar10", "width": 16, "epochs": 10, "batch_size": 256, "samples": 500,
             "precision": "bfloat16", "repeats": 5, "seed": 1}  # fmt: skip
    p = layer_difference.LayerDifferenceParameters(**short)
    assert layer_difference.networks(p) == [
        layer_difference.DifferenceConfig(training_run("resnet18", 1, scale="short"), stage)
        for stage in ("trained", "untrained")
    ]
    with pytest.raises(ValueError, match="has to be a ResNet"):
        layer_difference.LayerDifferenceParameters(network="vgg16")
    with pytest.raises(ValueError, match="unknown network"):
        training_time.TrainingTimeParameters(networks=["alexnet"])


def test_epochs_are_drawn_and_summed_up(watched):
    tables = epochs.curves_by_network(watched)
    assert list(tables) == ["ResNet18, seed 0"]
    figure = training_pictures.q_over_epochs(tables)
    lines = figure.axes[0].lines
    assert len(lines) == 9 and all(len(line.get_xdata()) == 4 for line in lines)
    table = tables["ResNet18, seed 0"]
    assert np.allclose(lines[7].get_ydata(), table[8])
    cloud, through = training_pictures.deep_against_accuracy(tables).axes[0].lines
    assert len(cloud.get_xdata()) == 3  # there is no accuracy before training
    assert np.allclose(cloud.get_ydata(), table[[7, 8]].mean(axis=1)[1:])
    assert through.get_ydata()[0] == 0
    by_depth = training_pictures.q_over_depth(tables).axes[0].lines
    assert len(by_depth) == 4 and np.allclose(by_depth[3].get_ydata(), table.loc[3, 1:8])
    shown = epochs.movements(watched, name="t").data
    assert shown["epochs"].tolist() == ["3 of 3"]
    for draw in (
        training_pictures.q_over_epochs,
        training_pictures.q_over_depth,
        training_pictures.deep_against_accuracy,
    ):
        with pytest.raises(ValueError, match="at least one network"):
            draw({})


def test_moved_features(watched):
    train = training_run("resnet18", 0, data="digits", precision="float32", scale="short", **TRAIN)
    _, test = training.sets.pair("digits")
    values = epochs.moved_features(train, test.images[:60, None]).data.loc[
        "CKA with itself before training"
    ]
    assert values.index.tolist() == list(range(1, 9))
    assert all(0 <= float(value) <= 1 for value in values)


def test_layers_are_compared_and_drawn(compared):
    figure = differences.heat_maps(compared)
    difference, alignment = figure.axes[:2]
    kinds, d, cka = layer_difference.matrices(compared[compared["stage"] == "trained"])
    assert np.allclose(difference.images[0].get_array(), d)
    assert np.allclose(alignment.images[0].get_array(), cka)
    assert len(figure.legends[0].get_texts()) == 3
    clouds = differences.pairs(compared).axes[0].collections
    # of 8 blocks: 28 pairs of outputs, 8 * 16 of an output with an inside, of 300 in all
    assert [len(cloud.get_offsets()) for cloud in clouds] == [144, 128, 28]
    with pytest.raises(ValueError, match="no pairs"):
        layer_difference_pictures.difference_against_cka(compared.iloc[:0])
    table = differences.patterns(compared, name="t").data
    assert table["network"].tolist() == ["trained, seed 0", "untrained, seed 0"]
    with pytest.raises(ValueError, match="two"):
        layer_difference_pictures.layer_differences(kinds, d[:3], cka)
    with pytest.raises(ValueError, match="unknown kinds"):
        layer_difference_pictures.layer_differences(["shortcut"], d[:1, :1], cka[:1, :1])


def test_without_rows_everything_says_so():
    for shown in (epochs, differences):
        rows = shown.stored_rows({})
        assert rows.empty
        assert community.provenance(rows).data == community.NOT_RUN
    assert epochs.movements(pd.DataFrame(), name="t").data == community.NOT_RUN
    assert differences.patterns(pd.DataFrame(), name="t").data == community.NOT_RUN
    assert differences.heat_maps(pd.DataFrame()).data == community.NOT_RUN
    text = community.status("community_modularity/03_training", epochs.stored_rows({}), {}).data
    assert "only digits have been run" in text and "2 not run yet" in text


def test_status_names_the_networks(watched):
    rows = watched.assign(data="cifar10", width=0)
    text = community.status("community_modularity/03_training", rows, {}).data
    assert "1 ResNet18 on CIFAR-10 (full width, 3 epochs)" in text
    assert "1 ResNet18" in community.provenance(rows).data
    assert community.network_name("mine") == "mine"


def test_networks_without_some_layers_are_counted_with_their_parent():
    facts = {"data": "cifar10", "width": 16, "date": "2026-11-21", "device": "cpu", "data_note": ""}
    runs = [
        ("vgg19", 0, 10),
        ("vgg19", 0, 3),
        ("vgg19_6", 0, 3),
        ("vgg19_1", 0, 3),
        ("vgg19", 1, 10),
    ]
    rows = pd.DataFrame([{"network": n, "seed": s, "epochs": e, **facts} for n, s, e in runs])
    said = community.provenance(rows.assign(key=rows.index, seconds=60.0)).data
    assert "2 VGG19 and 2 with fewer layers on CIFAR-10 (width 16, 10 or 3 epochs); 5 min" in said


def test_representations_with_one_q():
    labels, features, others = differences.same_q()
    q = communities.modularity(communities.knn_graph(features, 3), labels)
    for other in others.values():
        again = communities.modularity(communities.knn_graph(other, 3), labels)
        assert again == pytest.approx(q, abs=1e-9)


def test_the_explorer_takes_a_record_of_maps(watched):
    train = training_run("resnet18", 0, data="digits", precision="float32", scale="short", **TRAIN)
    config = SimpleNamespace(train=train, samples=40, layers="described", seed=0)
    points = np.random.default_rng(0).normal(size=(8, 40, 2)).tolist()
    chart = community_layers.layers_of(config, {"result": {"points": points}})
    model, _ = curves.network(train, "trained")
    assert chart.layers == cifar_networks.measured_layers(model)
    first = watched[(watched["epoch"] == 3) & (watched["repeat"] == 0)]
    assert chart.q == pytest.approx(first["q"].to_numpy(), abs=1e-5)
