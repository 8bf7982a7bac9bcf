"""Communities of samples: exact fractions by hand, networkx as peer, properties, bad input."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from modgraph_lib import hooks
from modgraph_lib.communities import knn_graph, modularity, modularity_curve, streaming

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def barbell(size=3):
    """Two cliques of ``size`` nodes joined by one edge, and which clique each node is in."""
    graph = nx.barbell_graph(size, 0)
    return nx.to_numpy_array(graph), np.repeat([0, 1], size)


def as_networkx(matrix, labels):
    graph = nx.from_scipy_sparse_array(sparse.csr_array(matrix))
    return graph, [set(np.flatnonzero(labels == c)) for c in np.unique(labels)]


@st.composite
def graphs(draw, most=12):
    """A symmetric matrix of weights >= 0 with at least one edge, and labels."""
    count = draw(st.integers(2, most))
    rng = np.random.RandomState(draw(st.integers(0, 10_000)))
    weights = np.triu(rng.rand(count, count) * (rng.rand(count, count) < 0.5), 1)
    weights[0, 1] = 0.5
    return weights + weights.T, rng.randint(0, draw(st.integers(1, count)), count)


# --- modularity -----------------------------------------------------------------------------


def test_barbell_by_hand():
    adjacency, labels = barbell()
    # m = 7; each side has 3 inner edges and degree 7: Q = 2 (6/14 - (7/14)^2) = 5/14.
    assert modularity(adjacency, labels) == pytest.approx(float(Fraction(5, 14)), abs=1e-15)
    # The equation at its word: 2 (6/28 - (7/28)^2) = 17/56.
    literal = modularity(adjacency, labels, reading="literal")
    assert literal == pytest.approx(float(Fraction(17, 56)), abs=1e-15)
    # Every node its own: -sum (d_i / 14)^2 = -(4 * 2^2 + 2 * 3^2) / 196.
    alone = modularity(adjacency, np.arange(6))
    assert alone == pytest.approx(-float(Fraction(34, 196)), abs=1e-15)


def test_extremes():
    pair = np.array([[0, 1], [1, 0]])
    assert modularity(pair, [0, 1]) == -0.5
    assert modularity(pair, ["a", "a"]) == 0.0
    cliques = sparse.block_diag([np.ones((4, 4)) - np.eye(4)] * 10)
    labels = np.repeat(np.arange(10), 4)
    assert modularity(cliques, labels) == pytest.approx(0.9)  # 1 - 1/K
    assert modularity(cliques, labels, reading="literal") == pytest.approx(0.475)
    assert modularity(cliques, labels, resolution=0) == pytest.approx(1)


@given(graphs(), st.floats(0.1, 3))
def test_agrees_with_networkx(graph, resolution):
    matrix, labels = graph
    peer = nx.community.modularity(*as_networkx(matrix, labels), resolution=resolution)
    assert modularity(matrix, labels, resolution=resolution) == pytest.approx(peer, abs=1e-9)


def test_self_loops_agree_with_networkx_when_counted_twice():
    matrix, labels = barbell()
    graph, groups = as_networkx(matrix, labels)
    graph.add_edge(0, 0, weight=2.5)
    matrix[0, 0] = 5.0
    assert modularity(matrix, labels) == pytest.approx(nx.community.modularity(graph, groups))


@given(graphs(), st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_bounds_and_invariances(graph, seed, scale):
    matrix, labels = graph
    q = modularity(matrix, labels)
    assert -0.5 - 1e-12 <= q < 1
    order = np.random.RandomState(seed).permutation(len(labels))
    assert modularity(matrix[np.ix_(order, order)], labels[order]) == pytest.approx(q, abs=1e-12)
    assert modularity(matrix * scale, 7 - labels) == pytest.approx(q, abs=1e-9)
    assert modularity(matrix, np.zeros(len(labels))) == pytest.approx(0, abs=1e-12)
    assert modularity(matrix, labels, reading="literal") < 0.5


@given(graphs())
def test_equals_the_double_sum(graph):
    matrix, labels = graph
    total, degree = matrix.sum(), matrix.sum(0)
    same = labels[:, None] == labels
    direct = ((matrix - np.outer(degree, degree) / total) * same).sum() / total
    assert modularity(matrix, labels) == pytest.approx(direct, abs=1e-12)
    # The literal reading, from the printed equation with W = sum_ij a_ij.
    printed = ((matrix - np.outer(degree, degree) / (2 * total)) * same).sum() / (2 * total)
    assert modularity(matrix, labels, reading="literal") == pytest.approx(printed, abs=1e-12)


def test_every_kind_of_matrix_and_label():
    matrix, labels = barbell()

    class Graph:
        def adjacency(self):
            return sparse.csr_array(matrix)

    names = np.array(["left", "right"])[labels]
    for form in (matrix.tolist(), sparse.coo_array(matrix), sparse.csr_matrix(matrix),
                 torch.tensor(matrix), Graph()):  # fmt: skip
        assert modularity(form, torch.tensor(labels)) == pytest.approx(5 / 14)
        assert modularity(form, names) == pytest.approx(5 / 14)


def test_modularity_refuses():
    matrix, labels = barbell()
    with pytest.raises(ValueError, match="square"):
        modularity(matrix[:4], labels)
    with pytest.raises(ValueError, match="symmetric"):
        modularity(np.triu(matrix), labels)
    with pytest.raises(ValueError, match="NaN"):
        modularity(matrix * np.nan, labels)
    with pytest.raises(ValueError, match="positive total"):
        modularity(matrix * 0, labels)
    with pytest.raises(ValueError, match="6 nodes"):
        modularity(matrix, labels[:5])
    with pytest.raises(ValueError, match="reading"):
        modularity(matrix, labels, reading="printed")


# --- the neighbour graph --------------------------------------------------------------------


def slow_graph(features, k, similarity, symmetrise):
    """The definition, one pair at a time."""
    rows = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    count = len(rows)
    s = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            a, b = rows[i], rows[j]
            if similarity == "pearson":
                a, b = a - a.mean(), b - b.mean()
            if i != j:
                s[i, j] = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    chosen = np.zeros((count, count), dtype=bool)
    for i in range(count):
        chosen[i, np.argsort(-s[i], kind="stable")[:k]] = True
    weight = {"mean": (chosen + 1.0 * chosen.T) / 2, "union": chosen | chosen.T,
              "mutual": chosen & chosen.T}[symmetrise]  # fmt: skip
    return s * weight


@given(
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.sampled_from(["cosine", "pearson"]),
    st.sampled_from(["mean", "union", "mutual"]),
)
def test_knn_graph_follows_its_definition(seed, k, similarity, symmetrise):
    features = np.random.RandomState(seed).normal(size=(9, 3, 4))
    graph = knn_graph(features, k, similarity=similarity, symmetrise=symmetrise)
    expected = slow_graph(features, k, similarity, symmetrise)
    assert np.allclose(graph.toarray(), expected, atol=1e-12)
    assert (graph != graph.T).nnz == 0 and graph.diagonal().sum() == 0


def test_knn_graph_by_hand():
    """Three directions: 0 and 1 choose each other, 2 chooses 1 without being chosen."""
    angles = np.radians([0, 10, 40])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    near, far = np.cos(np.radians(10)), np.cos(np.radians(30))
    mean = knn_graph(features, 1).toarray()
    assert mean == pytest.approx(np.array([[0, near, 0], [near, 0, far / 2], [0, far / 2, 0]]))
    union = knn_graph(features, 1, symmetrise="union").toarray()
    assert union == pytest.approx(np.array([[0, near, 0], [near, 0, far], [0, far, 0]]))
    assert knn_graph(features, 1, symmetrise="mutual").nnz == 2


def test_knn_graph_ignores_scale_and_order():
    features = np.random.RandomState(0).normal(size=(20, 6)).astype(np.float32)
    graph = knn_graph(features, 3).toarray()
    for factor in (1e-30, 1e30):  # squares of these leave float32
        scaled = knn_graph(torch.tensor(features) * torch.tensor(factor), 3)
        assert np.allclose(scaled.toarray(), graph, atol=1e-5)
    order = np.random.RandomState(1).permutation(20)
    assert np.allclose(knn_graph(features[order], 3).toarray(), graph[np.ix_(order, order)])
    shifted = knn_graph(features * 2 + 5, 3, similarity="pearson").toarray()
    assert np.allclose(shifted, knn_graph(features, 3, similarity="pearson").toarray(), atol=1e-5)


def test_a_complete_choice_keeps_every_pair():
    features = np.abs(np.random.RandomState(2).normal(size=(5, 3))) + 0.1
    assert knn_graph(features, 4).nnz == 20
    assert knn_graph(np.eye(4), 2).nnz == 0  # similarity 0 is no edge


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (np.ones((3, 2)), {"k": 3}, "at least 4 samples"),
        (np.ones((3, 2)), {"k": 0}, "k must be"),
        (np.ones((3, 2)), {"k": 1.5}, "k must be"),
        (np.ones((3, 2)), {"k": 1, "similarity": "euclid"}, "similarity"),
        (np.ones((3, 2)), {"k": 1, "symmetrise": "max"}, "symmetrise"),
        (np.ones((3, 2)), {"k": 1, "zero_norm": "skip"}, "zero_norm"),
        (np.ones((3, 2)), {"k": 1, "similarity": "pearson"}, "constant"),
        (np.full((3, 2), 0.1), {"k": 1, "similarity": "pearson"}, "3 of 3"),
        (np.array([[1.0], [0], [2]]), {"k": 1}, "1 of 3 samples have all-zero"),
        (np.array([[1.0], [np.nan], [2]]), {"k": 1}, "NaN"),
        (np.ones(3), {"k": 1}, "one row a sample"),
        (np.ones((3, 0)), {"k": 1}, "no features"),
    ],
)
def test_knn_graph_refuses(features, options, message):
    with pytest.raises(ValueError, match=message):
        knn_graph(features, **options)


def test_isolated_samples_have_no_edges():
    features = np.array([[1.0, 0], [1, 0.1], [0, 0], [1, 0.2]])
    graph = knn_graph(features, 1, zero_norm="isolate").toarray()
    assert not graph[2].any() and graph[0].any()


# --- curves ---------------------------------------------------------------------------------


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3),
        nn.Flatten(), nn.Linear(72, 5), nn.ReLU(),
    ).eval()  # fmt: skip


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (30, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return images, torch.arange(30) % 3


def test_curve_equals_layer_by_layer(network, samples):
    images, labels = samples
    curve = modularity_curve(network, images, labels, batch_size=7, device="cpu")
    assert curve.layers == ("0", "2") and curve.k == 3 and curve.samples == 30
    with torch.no_grad():
        first = network[0](images / 255)
        second = network[2](torch.relu(first))
    for q, features in zip(curve.q, (first, second), strict=True):
        assert q == pytest.approx(modularity(knn_graph(features, 3), labels), abs=1e-6)
    assert not network[0]._forward_hooks  # nothing is left behind


@pytest.mark.parametrize("similarity", ["cosine", "pearson"])
def test_curve_does_not_depend_on_memory_or_batches(network, samples, similarity):
    images, labels = samples
    network, images = network.double(), images.double() / 255  # no near ties that rounding flips
    options = {"layers": ["4", "0", "2"], "similarity": similarity, "device": "cpu"}
    whole = modularity_curve(network, images, labels, **options)
    # A hundred features a sample at a time: layer 0 with its 256 takes several passes.
    pieces = modularity_curve(
        network, images, labels, memory=50 * 8 * 30 / 2**30, batch_size=4, **options
    )
    assert whole.layers == ("4", "0", "2")
    assert pieces.q == pytest.approx(whole.q, abs=1e-12)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 60))
def test_passes_cover_every_column_once_within_budget(widths, budget):
    named = {str(i): width for i, width in enumerate(widths)}
    seen = {name: [] for name in named}
    for group in streaming.passes(named, budget):
        assert sum(stop - start for _, start, stop in group) <= budget
        for name, start, stop in group:
            seen[name] += range(start, stop)
    assert {name: list(range(width)) for name, width in named.items()} == seen


def test_separated_classes_reach_the_ceiling(samples):
    """Features that are the class itself give the largest modularity, 1 - 1/K."""
    _, labels = samples
    images = torch.eye(3)[labels] + 0.01 * torch.rand(30, 3)
    curve = modularity_curve(
        nn.Sequential(nn.Identity()).eval(), images, labels, layers=["0"], device="cpu"
    )
    assert curve.q[0] == pytest.approx(2 / 3, abs=0.01)


def test_default_layers():
    assert hooks.default_layers(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == ("0",)

    class TinyBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(TinyBlock(), TinyBlock()))
    assert hooks.default_layers(net) == ("0", "1.0", "1.1")
    with pytest.raises(ValueError, match="layers="):
        hooks.default_layers(nn.ReLU())


def test_curve_refuses(network, samples):
    images, labels = samples

    def fails(message, model=network, x=images, y=labels, **options):
        with pytest.raises(ValueError, match=message):
            modularity_curve(model, x, y, device="cpu", **options)

    fails("one class", y=torch.zeros(30))
    fails("as many labels", y=labels[:5])
    fails("at least 31 samples", k=30)
    fails("no layer 'conv'", layers=["conv"])
    fails("layers is empty", layers=[])
    fails("batch_size", batch_size=0)
    fails("memory", memory=0)
    fails("did you mean '0.weightless'|no layer", layers=["0.weight"])
    unused = nn.Sequential(network)
    unused.spare = nn.Linear(2, 2)
    unused.forward = network.forward
    fails("never ran layer", unused.eval(), layers=["spare"])
    shared = nn.Linear(64, 64)
    twice = nn.Sequential(nn.Flatten(2), shared, shared).eval()
    fails("more than once", twice, layers=["1"])
    bad = images / 255
    bad[3] = float("nan")
    fails("layer '0' has features that are NaN", x=bad)
    dead = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    nn.init.constant_(dead[0].bias, -100)
    fails("layer '1': 30 of 30 samples have all-zero", dead, torch.rand(30, 4), layers=["1"])
    fails("training mode", network.train())
    assert not network[0]._forward_hooks


def test_isolating_dead_samples(samples):
    _, labels = samples
    images = torch.eye(3)[labels] + 0.1
    images[0] = 0
    with pytest.warns(UserWarning, match="29 of 30 samples have more equally similar others"):
        curve = modularity_curve(
            nn.Sequential(nn.ReLU()).eval(),
            images,
            labels,
            layers=["0"],
            zero_norm="isolate",
            device="cpu",
        )
    assert 0.5 < curve.q[0] <= 2 / 3


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_random_labels_stay_within_bounds(seed):
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 4, 40)
    assume(len(np.unique(labels)) > 1)
    graph = knn_graph(np.abs(rng.normal(size=(40, 5))), 3)
    assert -0.5 <= modularity(graph, labels) < 1
