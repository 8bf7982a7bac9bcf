"""Reports that are kept and read again, and answers before the work."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import (
    _memory,
    activations,
    attacks,
    communities,
    features,
    graphs,
    lesions,
    models,
    modules,
    promoting,
    report,
    toys,
)
from modgraph_lib.communities import cka


@pytest.fixture(scope="module")
def found():
    weights, _ = toys.strands(3, (9, 9, 9), leak=0.05, seed=0)
    weights[0][2] = 0  # an isolated unit
    weights[1][:, 2] = 0
    return report.clusterability(weights, k=3, shuffles=9, workers=1, name="three <strands>")


def test_a_report_comes_back_whole(found, tmp_path):
    found.save(tmp_path / "found.json")
    again = report.Report.load(tmp_path / "found.json")
    assert again.summary() == found.summary()
    assert again.cluster_sizes.equals(found.cluster_sizes)
    for one, two in ((again.labels, found.labels), (again.shuffled, found.shuffled)):
        assert one.dtype == two.dtype and np.array_equal(one, two)
    assert again.graph.names == found.graph.names and again.graph.gaps == found.graph.gaps
    assert again.graph.blocks.keys() == found.graph.blocks.keys()
    assert all(np.array_equal(b, found.graph.blocks[p]) for p, b in again.graph.blocks.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "found.arrays.safetensors", "found.json"
    ]  # fmt: skip
    facts = json.loads((tmp_path / "found.json").read_text())  # for readers without this library
    assert facts["ncut"] == found.ncut and facts["cluster_sizes"]["nodes"] == [9, 9, 9]


def test_a_report_without_the_depth_blind_test_comes_back_without_it(found, tmp_path):
    short = report.clusterability(found.graph, k=3, shuffles=9, workers=1, depth_blind=False)
    short.save(tmp_path / "short.json")
    again = report.Report.load(tmp_path / "short.json")
    assert again.layered is None
    assert again.summary() == short.summary() and "blind to depth" not in again.summary()
    assert "<svg" in again.html()


def test_what_is_no_report_is_told(found, tmp_path):
    with pytest.raises(ValueError, match=r"kept as a \.json file"):
        found.save(tmp_path / "found.html")
    with pytest.raises(FileNotFoundError, match="no report"):
        report.Report.load(tmp_path / "gone.json")
    for text in ("", "[]", '{"kind": "other"}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(ValueError, match="is no report"):
            report.Report.load(tmp_path / "other.json")
    path, arrays = tmp_path / "found.json", tmp_path / "found.arrays.safetensors"
    found.save(path)
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="damaged, or another report's"):
        report.Report.load(path)
    arrays.unlink()
    with pytest.raises(FileNotFoundError, match="needs its arrays beside it"):
        report.Report.load(path)
    found.save(path)
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match="later version"):
        report.Report.load(path)
    with pytest.raises(OSError, match="cannot be written"):
        found.save("/dev/null/found.json")


def test_a_page_is_words_numbers_and_a_figure(found):
    page = found.html()
    assert "three &lt;strands&gt;" in page and "<strands>" not in page
    assert f"<td>{found.ncut:.4f}</td>" in page and "prefers-color-scheme: dark" in page
    assert 'aria-label="Above, a matrix: the share of each of 3 layers' in page


# --- before the work --------------------------------------------------------------------------

MODEL = models.mlp(4, 2, widths=(8, 8), seed=0).eval().to("meta")
IMAGES, LABELS = torch.rand(10, 4), torch.arange(10) % 2
WORK = {
    "clusterability": lambda: report.clusterability(MODEL, k=2),
    "weight_graph": lambda: graphs.weight_graph(MODEL),
    "rolled_graph": lambda: graphs.rolled_graph(MODEL),
    "unrolled_graph": lambda: graphs.unrolled_graph(MODEL, (1, 2, 2)),
    "input_graph": lambda: graphs.input_graph(MODEL),
    "kernel_shuffles": lambda: list(graphs.kernel_shuffles(MODEL, seeds=[0])),
    "pre_activations": lambda: activations.pre_activations(MODEL, IMAGES),
    "modularity_curve": lambda: communities.modularity_curve(MODEL, IMAGES, LABELS),
    "cka_matrix": lambda: cka.cka_matrix(MODEL, IMAGES),
    "lesion_accuracies": lambda: lesions.lesion_accuracies(
        MODEL, {"1": np.ones((2, 8), bool)}, IMAGES, LABELS
    ),
    "find": lambda: modules.find(MODEL, IMAGES, LABELS, k=2),
    "visualize": lambda: features.visualize(
        MODEL, "1", [[True] * 8], image_shape=(1, 2, 2), seed=0
    ),
    "attack": lambda: attacks.attack(
        "single_pixel", MODEL, torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), seed=0
    ),
    "clusterable_initialisation": lambda: promoting.clusterable_initialisation(
        MODEL, tags=2, beta=0.5, seed=0
    ),
    "fill": lambda: report.fill(MODEL, {}, "mine"),
}


@pytest.mark.parametrize("work", WORK)
def test_a_model_without_numbers_is_told_at_once(work):
    with pytest.raises(ValueError, match="weight is on the meta device and holds no numbers; make"):
        WORK[work]()


@pytest.mark.parametrize("kind", ["matrices", "chain"])
def test_a_network_of_a_hundred_million_edges_is_told_before_its_graph_is_made(kind, monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: 4 * 2**30)
    monkeypatch.setattr(report, "weight_graph", lambda network: pytest.fail("work began"))
    network = [np.broadcast_to(np.float32(1), (10_000, 10_000))]
    if kind == "chain":
        network = nn.Sequential(nn.Linear(1, 1, bias=False))
        network[0].weight = nn.Parameter(torch.ones(1).expand(10_000, 10_000))  # takes no memory
    with pytest.raises(MemoryError, match=r"1e\+08 edges takes about 7.45 GiB and 4 are free; ch"):
        report.clusterability(network, k=4)


def test_so_is_a_traced_one_before_it_is_clustered(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: 80 * 8)
    monkeypatch.setattr(report.clustering, "shuffle_test", None)
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)).eval()
    with pytest.raises(MemoryError, match="a graph of 9 edges takes about"):
        report.clusterability(model, k=2, example=(3, 4, 4))


def test_and_more_images_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: 2**30)
    model = models.mlp(4, 2, widths=(8,), seed=0).eval()
    images = torch.rand(1, 4).expand(20_000, 4)
    with pytest.raises(MemoryError, match=r"20000 samples takes about 8\.94 GiB"):
        communities.modularity_curve(model, images, np.arange(20_000) % 2)


def test_what_is_free_ends_at_the_limit_of_a_container(tmp_path, monkeypatch):
    monkeypatch.setattr(_memory, "LIMITS", tmp_path)
    machine = _memory.available()
    assert machine > 2**20
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert _memory.available() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory.available() > 2_000_000
