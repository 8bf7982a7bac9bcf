"""ImageNet networks: weights from files, readings of the graph, claims, and what the page shows."""

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from book.lab import ledger
from book.papers.clusterability.s04_imagenet import experiment as imagenet
from book.papers.clusterability.s04_imagenet import page as chapter
from book.papers.clusterability.s04_imagenet import pictures
from book.papers.clusterability.s04_imagenet.measures import NAMES, imagenet_rows
from book.papers.ncut import imagenet_weights
from modgraph_lib import cache, graphs

SECTION = "clusterability/04_imagenet"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


@pytest.fixture(scope="module")
def resnet():
    return imagenet.load(imagenet.ImagenetConfig("resnet18", seed=3))


def record(network, weights="imagenet", reading="described", ncut=5.0, shuffles=100, n_init=100,
           spread=0.01, date="2026-01-01T00:00:00Z"):  # fmt: skip
    config = imagenet.ImagenetConfig(network, weights, reading, shuffles=shuffles, n_init=n_init)
    result = {
        "layers": 20, "nodes": 4800, "edges": 2_400_000, "negative_gammas": 0, "ncut": ncut,
        "layer_bound": ncut - 1, "shuffled": np.linspace(6, 7, shuffles).tolist(),
        "restarts": [1 - spread, 1, 1 + spread],
    }  # fmt: skip
    origin = {"device": "cpu", "seconds": 60.0, "date": date, "commit": "abcdef123"}
    return {"key": f"{network}-{weights}-{reading}-{shuffles}-{date}",
            "config": cache.canonical(config), "result": result, "provenance": origin}  # fmt: skip


def results_of(*records):
    return {"imagenet_ncut": imagenet.table(records)}


def all_six(**changes):
    return [record(name, **{"ncut": 5.0 - 0.1 * i, **changes}) for i, name in enumerate(NAMES)]


def test_the_papers_six_are_named_alike_everywhere():
    assert dict(imagenet.NETWORKS) == NAMES
    assert list(NAMES.values()) == chapter.printed()["name"].tolist()


@pytest.mark.parametrize("suffix", imagenet_weights.SUFFIXES)
def test_weights_from_a_folder(suffix, tmp_path, resnet):
    path = tmp_path / f"resnet18{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(resnet.state_dict(), path)
    else:
        torch.save(resnet.state_dict(), path)
    config = imagenet.ImagenetConfig("resnet18", "imagenet")
    loaded = imagenet.load(config, str(tmp_path))
    assert not loaded.training
    assert torch.equal(loaded.layer1[0].conv1.weight, resnet.layer1[0].conv1.weight)


def test_missing_and_unfit_weights_say_what_to_do(tmp_path, resnet):
    config = imagenet.ImagenetConfig("resnet18", "imagenet")
    with pytest.raises(FileNotFoundError, match=r"holds resnet18.safetensors, resnet18.pth or"):
        imagenet.load(config, str(tmp_path))
    torch.save({**resnet.state_dict(), "extra": torch.ones(1)}, tmp_path / "resnet18.pth")
    with pytest.raises(ValueError, match="weights of resnet18 does not fit ResNet; 1 unexpected"):
        imagenet.load(config, str(tmp_path))


def test_without_a_connection_the_address_is_named(monkeypatch):
    from modgraph_lib._torchvision import torchvision

    def offline(*args, **kwargs):
        assert kwargs["weights_only"] and kwargs["check_hash"]
        raise OSError("no route")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(FileNotFoundError, match=r"resnet18-f37072fd.pth could not be fetched"):
        imagenet.load(imagenet.ImagenetConfig("resnet18", "imagenet"), "torchvision")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "resnet19"}, "network is one of"),
        ({"network": "vgg16", "reading": "mine"}, "reading is one of"),
        ({"network": "vgg16", "weights": "mnist"}, "weights are"),
        ({"network": "vgg16", "shuffles": 0}, "shuffles must be at least 1"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ValueError, match=message):
        imagenet.ImagenetConfig(**fields)


def test_a_record_and_its_row(own_cache, monkeypatch):
    monkeypatch.setattr(imagenet, "RESTARTS", 3)
    config = imagenet.ImagenetConfig("mlp", clusters=3, shuffles=4, n_init=2)
    first = imagenet.run_one(config)
    assert imagenet.run_one(config) == first
    (row,) = imagenet.table([first]).itertuples()
    assert (row.network, row.weights, row.shuffles) == ("mlp", "random", 4)
    assert row.layer_bound < row.ncut < 3 and row.edges == 784 * 256 + 3 * 256**2 + 2560
    assert row.beaten == (row.shuffled > row.ncut).sum()
    other = imagenet.run_one(imagenet.ImagenetConfig("mlp", seed=1, clusters=3, shuffles=4))
    assert other["key"] != first["key"]


def test_readings_of_a_residual_network(resnet):
    made, read = graphs.weight_graph(resnet), graphs.input_graph(resnet)
    assert (made.nodes, read.nodes) == (4800, 4352)
    # three stages begin with a projection that reads what the path reads: 64, 128, 256 twice
    assert sum(read.layers) - sum(made.layers) == 64 + 128 + 256 - (128 + 256 + 512)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_equal_weights_meet_the_layer_bound(k):
    """Two chains of layers that never meet have an n-cut of k - 2 at best, met by hand."""
    graph = graphs.LayeredGraph(
        (3, 2, 5, 4), {(0, 1): np.full((3, 2), 2.0), (2, 3): np.ones((5, 4))}
    )
    assert imagenet.layer_bound(graph, k) == pytest.approx(max(0, k - 2))


def test_the_layer_graph_has_the_networks_eigenvalues():
    rng = np.random.default_rng(0)
    sizes = (4, 6, 3, 5)
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3)]
    blocks = {(i, j): np.full((sizes[i], sizes[j]), rng.random()) for i, j in pairs}
    graph = graphs.LayeredGraph(sizes, blocks)
    scale = 1 / np.sqrt(graph.degrees())
    values = np.linalg.eigvalsh(graph.adjacency().toarray() * scale[:, None] * scale)[::-1]
    np.testing.assert_allclose(imagenet.leading_eigenvalues(graph, 3), values[:3], atol=1e-9)
    assert imagenet.layer_eigenvalues(graph)[:2] == pytest.approx(values[:2])
    figure = pictures.spectrum(values[:6], imagenet.layer_eigenvalues(graph), k=3)
    assert len(figure.axes[0].lines) == 3
    for k in range(1, 6):
        assert imagenet.layer_bound(graph, k) == pytest.approx(k - values[:k].sum())


def verdicts(results):
    return ledger.verdicts(results, section=SECTION).set_index("id")["verdict"]


def test_claims_need_weights_and_random_ones_decide_nothing():
    for results in ({}, results_of(), results_of(*all_six(weights="random"))):
        assert set(verdicts(results)) == {"not run (needs ImageNet weights)"}


def test_claims_with_weights():
    mlp = record("mlp", "mnist", spread=0.001)
    found = verdicts(results_of(mlp, *all_six()))
    assert set(found) == {"reproduced"}
    high = [record(name, ncut=7.5) for name in NAMES]
    found = verdicts(results_of(mlp, *high))
    assert found.drop("CL-67").unique().tolist() == ["not reproduced"]
    some = verdicts(results_of(mlp, *all_six()[:2]))
    assert some["CL-60"] == "reproduced" and some["CL-62"].startswith("not run")
    assert some["CL-66"].startswith("not run") and some["CL-68"].startswith("not run")
    few = verdicts(results_of(mlp, *all_six(shuffles=50)))
    assert all(verdict.startswith("not run") for verdict in few)


def test_the_latest_full_row_counts():
    rows = [
        record("vgg16", ncut=5.0, date="2026-01-02T00:00:00Z"),
        record("vgg16", ncut=4.0, date="2026-01-01T00:00:00Z"),
        record("vgg16", ncut=3.0, reading="published"),
    ]
    assert imagenet_rows(results_of(*rows))["ncut"].tolist() == [5.0]
    with pytest.raises(ValueError, match="lack the columns beaten"):
        imagenet_rows({"imagenet_ncut": imagenet.table(rows).drop(columns="beaten")})


@pytest.mark.parametrize("records", [[], all_six(weights="random")[:2], all_six()])
def test_the_page_has_something_to_say_at_every_stage(records):
    results = results_of(*records, *([record("mlp", "mnist")] if records else []))
    text = chapter.beside(results, name="t").to_html()
    assert ("needs ImageNet weights" in text) == (len(records) < 6)
    assert "-21.7" in text and text.count("ours, random") == 6
    for make in (chapter.readings_compared, chapter.architecture_share, chapter.stability):
        shown = make(results, name="t")
        empty = not hasattr(shown, "to_html")
        assert "ot run yet" in shown.data if empty else "VGG-16" in shown.to_html()
    assert "factor of 280" in chapter.spreads(results).data
    assert "needs" in chapter.commands().data or "folder" in chapter.commands().data
    assert chapter.provenance(results).data
    figure = pictures.networks_and_shuffles(chapter.sources(results))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(NAMES.values())


def test_pictures_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="unknown sources theirs"):
        pictures.networks_and_shuffles({"theirs": pd.DataFrame()})
    with pytest.raises(ValueError, match="no network"):
        pictures.networks_and_shuffles({"paper": pd.DataFrame()})
