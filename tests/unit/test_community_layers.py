"""Layers under the curves of Q: the toy graph, features, maps, probes."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from torch import nn

from book.papers.community_modularity.features import layer_features, pooled
from book.papers.community_modularity.s01_curves import (
    maps,
    probes,
    toy,
)
from book.papers.community_modularity.settings import training_run
from modgraph_lib import communities

TINY = {"width": 4, "epochs": 1, "batch_size": 256, "precision": "float32", "images": 200}


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


# --- the toy graph ------------------------------------------------------------------------------


def test_snapshots_by_hand_and_by_networkx():
    groups = [set(np.flatnonzero(c == toy.CLASSES)) for c in range(3)]
    for graph, inside in zip(toy.snapshots(), toy.MOVES, strict=True):
        assert graph.sum() == 36 and set(np.unique(graph)) <= {0, 1} and not graph.diagonal().any()
        same = toy.CLASSES[:, None] == toy.CLASSES
        assert graph[same].sum() == 2 * inside
        q = communities.modularity(graph, toy.CLASSES)
        assert q == pytest.approx(inside / 18 - 1 / 3)
        assert q == pytest.approx(nx.community.modularity(nx.from_numpy_array(graph), groups))


@given(st.floats(0, 1), st.integers(0, 1000))
def test_block_graphs_hold_the_share_they_are_told(share, seed):
    graph, labels = toy.blocks(share, size=5, rng=np.random.default_rng(seed))
    same = labels[:, None] == labels
    np.testing.assert_allclose(graph, graph.T)
    assert graph[same].sum() / graph.sum() == pytest.approx(share)


def test_choices_inside_by_simulation():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        labels = rng.integers(0, 100, 150)
        others = np.bincount(labels, minlength=100)[labels] - 1
        shares.append(np.minimum(others, 3).mean() / 3)
    assert toy.choices_inside(100, 150, 3) == pytest.approx(np.mean(shares), abs=0.01)
    assert toy.choices_inside(1, 50, 3) == pytest.approx(1)


# --- features, maps, probes -----------------------------------------------------------------------


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(192, 5))


def test_layer_features_are_what_the_layers_return():
    model, images = network().eval(), torch.randint(0, 256, (7, 1, 8, 8), dtype=torch.uint8)
    found = layer_features(model, images, ("1", "3"), batch_size=3)
    x = images.float() / 255
    torch.testing.assert_close(found["1"], model[:2](x).flatten(1))
    torch.testing.assert_close(found["3"], model(x))
    coarse = layer_features(model, images, ("1",), reduce=pooled)["1"]
    torch.testing.assert_close(
        coarse, torch.nn.functional.avg_pool2d(model[:2](x), 2).flatten(1).detach()
    )
    with pytest.raises(ValueError, match="training mode"):
        layer_features(network().train(), images, ("1",))


def separable(count=60):
    """Two classes that differ in their brightness, in turn."""
    labels = np.arange(count) % 2
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (count, 1, 8, 8)) + 150 * labels[:, None, None, None]
    return torch.from_numpy(images.astype(np.uint8)), labels


def test_probes_read_what_is_there_and_agree_with_ridge():
    model, (images, labels) = network().eval(), separable()
    found = probes.probe_accuracies(
        model, images[:40], labels[:40], images[40:], labels[40:], ("1", "3")
    )
    assert found == [1.0, 1.0]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2, 60)
    features = layer_features(model, images, ("3",), reduce=pooled)["3"].numpy()
    scaled = (features - features[:40].mean(0)) / features[:40].std(0)
    peers = [
        RidgeClassifier(alpha=alpha).fit(scaled[:40], noise[:40]).score(scaled[40:], noise[40:])
        for alpha in probes.PENALTIES
    ]
    (ours,) = probes.probe_accuracies(
        model, images[:40], noise[:40], images[40:], noise[40:], ("3",)
    )
    assert any(ours == pytest.approx(peer) for peer in peers)


def test_maps_of_separated_classes():
    model, (images, labels) = network().eval(), separable()
    found = maps.maps_of(model, images, labels, ("1",), perplexity=8)
    assert np.shape(found["points"]) == (1, 60, 2) and found["silhouette"][0] > 0.3
    assert np.abs(found["points"]).max() <= 1
    assert maps.maps_of(model, images, labels, ("1",), perplexity=8) == found
    with pytest.raises(ValueError, match="perplexity"):
        maps.MapConfig(training_run("vgg11", 0), samples=20)


def test_records_of_maps_and_probes_are_stored_once():
    train = training_run("vgg11", 0, data="digits", scale="short", **TINY)
    config = maps.MapConfig(train, samples=40, perplexity=10)
    record = maps.run_one(config)
    assert maps.run_one(config) == record
    assert maps.table([record])["layer"].tolist() == list(range(1, 9))
    points, labels = maps.points(record)
    assert points.shape == (8, 40, 2) and labels.shape == (40,)
    probe = probes.ProbeConfig(train, fit_images=100, test_images=50)
    record = probes.run_one(probe)
    assert probes.run_one(probe) == record
    table = probes.table([record])
    assert table["layer"].max() == 8 and table["accuracy"].between(0, 1).all()
    with pytest.raises(ValueError, match="two images"):
        probes.ProbeConfig(train, fit_images=1)


def test_constant_features_are_named_with_their_layer():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    nn.init.zeros_(model[0].weight)
    nn.init.ones_(model[0].bias)
    images, labels = torch.rand(6, 4), [0, 1] * 3
    with pytest.raises(ValueError, match="layer '1': 6 of 6 samples have constant features"):
        communities.modularity_curve(model, images, labels, layers=["1"], similarity="pearson")
    with pytest.raises(ValueError, match="at least 7 samples"):
        communities.modularity_curve(model, images, labels, k=6)
