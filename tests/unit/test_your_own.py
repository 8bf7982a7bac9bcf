"""The section on one's own network: its toy, its parameters, and the table of architectures."""

import pytest

from book.lab import parameters, store
from book.papers.clusterability.s06_your_own_network import experiment as your_own
from book.papers.clusterability.s06_your_own_network import page as networks
from book.papers.clusterability.s06_your_own_network.experiment import (
    ArchitectureConfig,
    YourOwnParameters,
)
from modgraph_lib import clustering, graphs, provenance


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


@pytest.mark.parametrize("leak", [0.05, 0.1, 0.3])
def test_the_toy_is_what_its_formula_says(leak):
    graph = graphs.weight_graph(your_own.two_strands_with_a_skip(leak))
    assert graph.layers == (2, 2, 2) and set(graph.blocks) == {(0, 1), (0, 2), (1, 2)}
    labels = clustering.spectral_clustering(graph, 2)
    assert clustering.ncut(graph, labels) == pytest.approx(2 * leak / (1 + leak))


def test_the_parameters_make_a_model_and_its_report():
    given = YourOwnParameters(
        factory="modgraph_lib.models:small_cnn",
        arguments='{"image_shape": [1, 8, 8], "channels": 6, "dense": 4, "seed": 0}',
        clusters=2,
        shuffles=3,
        workers=1,
    )
    found = given.report(given.model())
    assert found.name == "small_cnn" and found.graph.layers == (6, 6, 6)
    assert (found.k, len(found.shuffled), found.method) == (2, 3, "layer")


def test_random_weights_depend_on_the_seed_alone():
    given = YourOwnParameters(factory="torchvision.models:squeezenet1_1")
    one, two = (given.model().state_dict()["features.0.weight"] for _ in range(2))
    assert one.equal(two)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arguments": "{classes: 3}"}, "arguments is not JSON"),
        ({"arguments": "[3]"}, "a JSON object in braces"),
        ({"architectures": ["resnet19"]}, "resnet18"),
        ({"method": "blocks"}, "method must be one of"),
        ({"clusters": 1}, "at least 2"),
    ],
)
def test_wrong_parameters(wrong, message):
    names = vars(YourOwnParameters())
    with pytest.raises(ValueError, match=message):
        parameters.read({**names, **wrong}, YourOwnParameters)


def test_an_architecture_is_measured_once_and_shown():
    config = ArchitectureConfig("shufflenet_v2_x0_5")
    record = your_own.run(config)
    assert your_own.run(config) == record
    assert record["result"]["nodes"] == 2944 and record["result"]["reason"] == ""
    refused = {"parameters": 5, "reason": "the graph has too many"}
    origin = provenance.stamp(device="cpu", threads=1, seconds=1.0)
    huge = ArchitectureConfig("vit_h_14", residual="merge")
    your_own.EXPERIMENT.put(huge, refused, origin)
    table = your_own.table(store.read("architectures"))
    assert table["network"].tolist() == ["shufflenet_v2_x0_5", "vit_h_14, merged"]
    assert "2,944" in networks.architectures(table, name="t").to_html()
    assert "`vit_h_14, merged`: the graph has too many" in networks.refused(table).data
    assert "Every network" in networks.refused(table.head(1)).data
    assert "Not run yet" in networks.architectures(table.tail(1), name="t").data


def test_all_stands_for_every_architecture():
    assert len(your_own.configs(["all"])) == len(your_own.ARCHITECTURES) >= 20
    (merged,) = your_own.configs(["vit_b_16, merged"])
    assert merged == ArchitectureConfig("vit_b_16", residual="merge")


def test_untrained_networks_are_compared_with_two_nulls():
    table = your_own.untrained_nulls(networks=2, shuffles=3, clusters=4)
    assert table["method"].tolist() == ["layer", "kernel"] * 2
    assert table["p"].between(0.25, 1).all()
    shown = networks.nulls(table, name="t").to_html()
    assert "seed 1" in shown and "z, kernels" in shown
