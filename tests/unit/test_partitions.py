"""Activation graphs, dense clustering and partitions, against scipy, scikit-learn and networkx."""

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score
from torch import nn

from modgraph_lib import activations, clustering, graphs, models, partitions, toys
from modgraph_lib.graphs import LayeredGraph


@pytest.fixture(scope="module")
def responses():
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(300, 6))

    def layer(units):
        return causes @ rng.normal(size=(6, units)) + rng.normal(size=(300, units))

    return {"a": layer(250), "b": layer(200)}


def test_activation_graph_is_scipys_squared_rank_correlation(responses):
    graph = graphs.activation_graph(responses)
    expected = stats.spearmanr(np.concatenate(list(responses.values()), 1)).statistic ** 2
    np.fill_diagonal(expected, 0)
    assert np.abs(graph.matrix() - expected).max() < 1e-12
    assert np.abs(graph.adjacency().toarray() - expected).max() < 1e-12
    assert graph.degrees() == pytest.approx(expected.sum(0))


def test_pearson_is_numpys(responses):
    graph = graphs.activation_graph({"a": responses["a"][:, :5]}, measure="pearson")
    expected = np.corrcoef(responses["a"][:, :5].T) ** 2 - np.eye(5)
    assert np.abs(graph.matrix() - expected).max() < 1e-12


def test_a_dense_graph_is_clustered_as_well_as_by_scikit_learn(responses):
    graph = graphs.activation_graph(responses)
    ours = clustering.cluster(graph, 6, n_init=10)
    theirs = SpectralClustering(6, affinity="precomputed", n_init=10, random_state=0)
    labels = theirs.fit_predict(graph.matrix())
    assert ours.ncut == pytest.approx(clustering.ncut(graph, labels), rel=1e-3)
    plain = clustering.cluster(graph.matrix(), 6, n_init=10)
    assert np.array_equal(plain.labels, ours.labels)


def test_ncut_of_edges_inside_layers_is_that_of_the_adjacency(responses):
    graph = graphs.activation_graph({n: v[:, :20] for n, v in responses.items()})
    labels = np.arange(40) % 3
    network = nx.from_numpy_array(graph.matrix())
    expected = 0.0
    for c in range(3):
        inside = set(np.flatnonzero(labels == c).tolist())
        volume = nx.volume(network, inside, weight="weight")
        expected += nx.cut_size(network, inside, weight="weight") / volume
    assert clustering.ncut(graph, labels) == pytest.approx(expected)


def test_shuffles_keep_edges_inside_layers_symmetric(responses):
    graph = graphs.activation_graph({n: v[:, :20] for n, v in responses.items()})
    shuffled = clustering.shuffle_graph(graph, seed=0)
    assert shuffled.degrees().sum() == pytest.approx(graph.degrees().sum())
    block = shuffled.blocks[0, 0]
    assert np.array_equal(block, block.T) and not block.diagonal().any()
    assert np.sort(block.ravel()) == pytest.approx(np.sort(graph.blocks[0, 0].ravel()))


def test_part_of_a_graph(responses):
    graph = graphs.activation_graph({n: v[:, :9] for n, v in responses.items()})
    assert np.array_equal(graph.part(range(1, 2)).matrix(), graph.matrix()[9:, 9:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {}, "no layer"),
        (lambda a: {"a": a["a"][:2], "b": a["b"][:2]}, "at least 3 images"),
        (lambda a: {"a": a["a"], "b": a["b"][:9]}, "the same images"),
        (lambda a: {"a": a["a"][0]}, "expected \\(images, units\\)"),
        (lambda a: {"a": np.where(np.arange(250) == 7, np.nan, a["a"])}, "unit 7 of layer 'a'"),
    ],
)
def test_bad_activations(responses, change, message):
    with pytest.raises(ValueError, match=message):
        graphs.activation_graph(change(responses))


def test_constant_units_are_isolated(responses):
    values = responses["a"][:, :6].copy()
    values[:, 2] = 1.5
    assert (graphs.activation_graph({"a": values}).degrees() == 0).tolist() == [
        i == 2 for i in range(6)
    ]


def test_blocks_inside_a_layer_have_no_diagonal_and_are_symmetric():
    for block in (np.eye(2), np.array([[0.0, 1], [2, 0]])):
        with pytest.raises(ValueError, match="symmetric, with zeros on the diagonal"):
            LayeredGraph((2,), {(0, 0): block})


def test_weights_that_single_precision_cannot_see_are_zero():
    weights = np.array([[1.0, 0.5], [1e-30, 1e-40]])
    graph = graphs.weight_graph([weights])
    assert graph.erased == 2 and (graph.degrees() > 0).tolist() == [True, True, True, False]
    assert graphs.weight_graph([weights], floor=0).erased == 0
    assert graphs.weight_graph([np.array([[1.0, 1e-7]])]).erased == 0
    with pytest.raises(ValueError, match="floor is a share"):
        graphs.weight_graph([weights], floor=1.0)


def test_tiny_units_take_clusters_unless_they_are_erased():
    """What weight decay leaves: each such unit is a component that joins nothing it should."""
    weights, labels = toys.strands(3, (9, 9, 9), leak=0.05, seed=0)
    padded = [np.pad(w, ((0, 4), (0, 4))) for w in weights]
    for matrix in padded:
        matrix[-4:, -4:] = 1e-35 * np.eye(4)
    true = labels[:9]
    found = {}
    for floor in (0, graphs.FLOOR):
        graph = graphs.weight_graph(padded, floor=floor)
        kept = clustering.cluster(graph.without_isolated()[0], 3)
        found[floor] = adjusted_rand_score(true, kept.labels[:9])
    assert found[graphs.FLOOR] == 1 and found[0] < 0.9


def test_pre_activations_are_the_layers_outputs():
    model = models.mlp(6, 3, widths=(8, 7), dropout=0.5, seed=0).train()
    images = torch.randn(11, 6)
    found = activations.pre_activations(model, images)
    first = images @ model[1].weight.T + model[1].bias
    assert found["1"] == pytest.approx(first.detach().numpy(), abs=1e-6)
    assert list(found) == ["1", "4"] and model.training


def test_pre_activations_survive_activations_in_place_and_reduce_maps():
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(27, 2))
    images = torch.randn(5, 1, 4, 4)
    maps = model[0](images).detach()
    for name, expected in (
        ("l1", maps.abs().sum((2, 3))),
        ("matrix_l1", maps.abs().sum(2).amax(2)),
        ("mean", maps.mean((2, 3))),
    ):
        found = activations.pre_activations(model, images, reduce=name)["0"]
        assert found == pytest.approx(expected.numpy(), abs=1e-5)


def test_bad_input_of_pre_activations():
    twice = nn.Linear(4, 4)
    model = nn.Sequential(twice, nn.ReLU(), twice, nn.Linear(4, 2))
    with pytest.raises(ValueError, match="runs more than once"):
        activations.pre_activations(model, torch.zeros(3, 4), layers=["0"])
    with pytest.raises(ValueError, match="no images"):
        activations.pre_activations(model, torch.zeros(0, 4))
    with pytest.raises(ValueError, match="reduce is one of"):
        activations.pre_activations(model, torch.zeros(3, 4), reduce="max")
    with pytest.raises(ValueError, match="no convolution and no hidden"):
        activations.hidden_layers(nn.Sequential(nn.Linear(4, 2)))


@pytest.mark.parametrize("edges", partitions.EDGES)
@pytest.mark.parametrize("scope", partitions.SCOPES)
def test_strands_are_found_in_every_way(edges, scope):
    relay = toys.relay(3, units=5)
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(200, 3, generator=rng)
    cut = partitions.partition(relay.model, edges=edges, scope=scope, k=3, images=images, seed=0)
    for row in cut.labels.values():
        assert adjusted_rand_score(np.repeat(range(3), 5), row) == 1
    assert len(partitions.subclusters(cut)) == 9


def test_local_clusters_see_neighbours_or_not():
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(50, 12)) for name in "abc"}
    graph = graphs.activation_graph(values)
    given = {"edges": "activations", "scope": "local", "k": 6, "seed": 0}
    inside = partitions.of_graph(graph, variant="published", **given)
    near = partitions.of_graph(graph, variant="described", **given)
    alone = partitions.of_graph(graph, edges="activations", k=6, seed=0)
    assert inside.counts.keys() == near.counts.keys()
    expected = clustering.spectral_clustering(graph.part(range(1)), alone.counts["a"], n_init=25)
    assert adjusted_rand_score(expected, inside.labels["a"]) == 1
    assert any(not np.array_equal(inside.labels[n], near.labels[n]) for n in "abc")


def test_bad_partitions():
    model = toys.relay(3, units=4).model
    for options, message in (
        ({"edges": "wires"}, "edges is one of"),
        ({"scope": "here"}, "scope is one of"),
        ({"variant": "other"}, "variant is one of"),
        ({"k": 99}, "k is 99, but 42 of 43 units"),
        ({"edges": "activations"}, "pass images="),
    ):
        with pytest.raises(ValueError, match=message):
            partitions.partition(model, seed=0, **options)


def test_no_usable_sub_cluster_says_why():
    cut = partitions.partition(toys.relay(3, units=4).model, k=1, seed=0)
    with pytest.raises(ValueError, match="3 fill their layer"):
        partitions.subclusters(cut)
    with pytest.raises(ValueError, match="largest is a share"):
        partitions.subclusters(cut, largest=2)
