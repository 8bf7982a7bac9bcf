import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from graphs_by_hand import random_layers, two_chains, two_triangles
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import SpectralClustering

from modgraph_lib import clustering
from modgraph_lib.graphs import LayeredGraph

seeds = st.integers(0, 10_000)


def test_ncut_of_two_triangles_is_two_sevenths():
    assert clustering.ncut(two_triangles(), np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(2 / 7)


def test_ncut_of_two_chains_from_blocks():
    # each side: first layer 1 + b, hidden 2 + b, last 1; volume 4 + 2b, cut 2b
    bridge = 0.25
    labels = np.array([0, 1, 0, 1, 0, 1])
    expected = 2 * (2 * bridge) / (4 + 2 * bridge)
    assert clustering.ncut(two_chains(bridge), labels) == pytest.approx(expected)


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_ncut_equals_networkx_on_two_clusters(seed):
    graph = random_layers((6, 5, 4), 0.7, seed).without_isolated()[0]
    labels = np.random.default_rng(seed).integers(0, 2, graph.nodes)
    labels[:2] = 0, 1
    adjacency = graph.adjacency()
    peer = nx.from_scipy_sparse_array(adjacency)
    theirs = nx.normalized_cut_size(peer, set(np.flatnonzero(labels == 0)), weight="weight")
    assert clustering.ncut(graph, labels) == pytest.approx(theirs)
    assert clustering.ncut(adjacency, labels) == pytest.approx(theirs)


@given(seed=seeds, scale=st.floats(1e-6, 1e6), k=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_ncut_is_invariant_and_bounded(seed, scale, k):
    graph = random_layers(seed=seed)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, graph.nodes)
    value = clustering.ncut(graph, labels)
    assert 0 <= value <= k
    scaled = LayeredGraph(graph.layers, {p: b * scale for p, b in graph.blocks.items()})
    assert clustering.ncut(scaled, labels) == pytest.approx(value)
    order = rng.permutation(graph.nodes)
    permuted = graph.adjacency()[order][:, order]
    assert clustering.ncut(permuted, labels[order]) == pytest.approx(value)
    renamed = rng.permutation(k)[labels]
    assert clustering.ncut(graph, renamed) == pytest.approx(value)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_ncut_over_k_is_the_chance_that_an_edge_stub_leaves_its_cluster(seed):
    graph = random_layers((6, 5, 4), 0.8, seed).without_isolated()[0]
    k = 3
    labels = np.arange(graph.nodes) % k
    adjacency = graph.adjacency().toarray()
    leaves = [
        sum(
            adjacency[i, j]
            for i in np.flatnonzero(labels == c)
            for j in np.flatnonzero(labels != c)
        )
        / adjacency[labels == c].sum()
        for c in range(k)
    ]
    assert clustering.ncut(graph, labels) / k == pytest.approx(np.mean(leaves))


def test_nodes_left_out_and_empty_clusters_add_nothing():
    graph = two_triangles()
    assert clustering.ncut(graph, np.array([0, 0, 0, 4, 4, 4])) == pytest.approx(2 / 7)
    alone = clustering.ncut(graph, np.array([0, 0, 0, -1, -1, -1]))
    assert alone == pytest.approx(0)


def test_clear_structure_is_found():
    labels = clustering.spectral_clustering(two_triangles(), 2)
    assert len(set(labels[:3])) == len(set(labels[3:])) == 1
    assert labels[0] != labels[5]
    labels = clustering.spectral_clustering(two_chains(0.01), 2)
    assert clustering.ncut(two_chains(0.01), labels) == pytest.approx(0.04 / 4.02)


def test_isolated_nodes_get_minus_one_and_isolated_components_are_clusters():
    blocks = {(0, 1): np.diag([1.0, 1.0, 0.0])}
    labels = clustering.spectral_clustering(LayeredGraph((3, 3), blocks), 2)
    assert labels[2] == labels[5] == -1
    assert labels[0] == labels[3] != labels[1] == labels[4]
    assert clustering.ncut(LayeredGraph((3, 3), blocks), labels) == 0


def test_clusters_beyond_the_rank_are_found_through_the_general_route():
    graph = two_chains(0.01)  # six nodes, but only two singular values on the smaller side
    labels = clustering.spectral_clustering(graph, 3)
    assert set(labels) == {0, 1, 2}


@pytest.mark.parametrize("k", [4, 12])
def test_as_good_as_scikit_learn(k):
    graph = random_layers((120, 60, 60, 10), 0.15, 3).without_isolated()[0]
    adjacency = graph.adjacency()
    ours = [
        clustering.ncut(graph, clustering.spectral_clustering(graph, k, seed=s)) for s in range(5)
    ]
    theirs = []
    for s in range(5):
        peer = SpectralClustering(
            k, affinity="precomputed", eigen_solver="arpack", n_init=10, random_state=s
        )
        theirs.append(clustering.ncut(graph, peer.fit(_for_sklearn(adjacency)).labels_))
    assert np.mean(ours) <= np.mean(theirs) * 1.01


def _for_sklearn(adjacency):
    matrix = scipy.sparse.csr_array(adjacency)
    matrix.indices, matrix.indptr = matrix.indices.astype("i4"), matrix.indptr.astype("i4")
    return matrix


@given(seed=seeds, method=st.sampled_from(clustering.SHUFFLE_METHODS))
@settings(max_examples=20, deadline=None)
def test_a_shuffle_keeps_every_layers_weights(seed, method):
    graph = random_layers(seed=seed)
    shuffled = clustering.shuffle_graph(graph, method=method, seed=seed)
    for pair, block in graph.blocks.items():
        assert np.array_equal(np.sort(shuffled.blocks[pair], None), np.sort(block, None))
        if method == "layer_nonzero":
            assert np.array_equal(shuffled.blocks[pair] > 0, block > 0)


def test_places_of_a_shuffle_are_uniform():
    graph = LayeredGraph((2, 2), {(0, 1): np.array([[1.0, 2.0], [0.0, 0.0]])})
    seen = {}
    for seed in range(2400):
        key = tuple(clustering.shuffle_graph(graph, seed=seed).blocks[0, 1].ravel())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 12  # 4 x 3 ordered places
    assert min(seen.values()) > 130 and max(seen.values()) < 280  # 200 expected, 5 sigma


def test_a_modular_network_beats_its_shuffles_and_a_random_one_does_not():
    rng = np.random.default_rng(0)
    tags = [np.arange(40) % 4, np.arange(40) % 4, np.arange(40) % 4]
    blocks = {
        (i, i + 1): rng.random((40, 40)) * np.where(tags[i][:, None] == tags[i + 1], 1.0, 0.1)
        for i in range(2)
    }
    modular = clustering.shuffle_test(LayeredGraph((40, 40, 40), blocks), 4, shuffles=30)
    assert modular.significant
    assert modular.p_value == pytest.approx(1 / 31)
    assert modular.z_score < -5
    plain = clustering.shuffle_test(random_layers((40, 40, 40)), 4, shuffles=30)
    assert plain.p_value > 1 / 31


def test_shuffles_do_not_depend_on_how_they_are_batched():
    graph = random_layers()
    short = clustering.shuffle_test(graph, 3, shuffles=5, seed=4, workers=1)
    long = clustering.shuffle_tests(graph, [3, 4], shuffles=19, seed=4, workers=2)
    np.testing.assert_allclose(short.shuffled, long[3].shuffled[:5])
    assert short.ncut == long[3].ncut
    assert len(long[4].shuffled) == 19


def test_bad_input_is_refused_at_the_border():
    graph = random_layers()
    with pytest.raises(ValueError, match="between 1 and the"):
        clustering.spectral_clustering(graph, 1000)
    with pytest.raises(ValueError, match="between 1 and the"):
        clustering.shuffle_test(graph, 0)
    with pytest.raises(ValueError, match="method must be one of layer, layer_nonzero"):
        clustering.shuffle_test(graph, 3, method="rows")
    with pytest.raises(ValueError, match=r"shuffles must be .* at least 1, got 0"):
        clustering.shuffle_test(graph, 3, shuffles=0)
    with pytest.raises(ValueError, match="one label for each"):
        clustering.ncut(graph, np.zeros(3, int))
    with pytest.raises(ValueError, match="left out"):
        clustering.ncut(graph, np.full(graph.nodes, -1))
    with pytest.raises(ValueError, match="not symmetric"):
        clustering.ncut(np.triu(np.ones((3, 3))), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="finite"):
        clustering.spectral_clustering(np.full((3, 3), np.nan), 2)
    with pytest.raises(ValueError, match="square"):
        clustering.ncut(np.ones((2, 3)), np.array([0, 1]))
