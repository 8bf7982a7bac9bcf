"""Modularity blind to depth: by brute force, beside networkx and leidenalg, and its limit law."""

import itertools

import networkx as nx
import numpy as np
import pytest
from graphs_by_hand import random_layers
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from modgraph_lib import clustering, graphs, models, report, toys
from modgraph_lib.clustering.search import centred_blocks, search
from modgraph_lib.graphs import LayeredGraph

seeds = st.integers(0, 10_000)


def as_digraph(block: np.ndarray) -> nx.DiGraph:
    """Edges from each row to each column: networkx's directed null is then Barber's."""
    graph = nx.DiGraph()
    rows, columns = block.shape
    graph.add_nodes_from(range(rows + columns))
    for i, j in zip(*np.nonzero(block), strict=True):
        graph.add_edge(int(i), rows + int(j), weight=block[i, j])
    return graph


def groups(labels: np.ndarray) -> list[set[int]]:
    return [set(map(int, np.flatnonzero(labels == one))) for one in np.unique(labels)]


@given(seed=seeds, k=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_one_block_is_the_directed_modularity_of_networkx(seed, k):
    rng = np.random.default_rng(seed)
    graph = graphs.weight_graph([rng.random((5, 6)) + 0.01])
    labels = rng.integers(0, k, graph.nodes)
    theirs = nx.community.modularity(as_digraph(graph.blocks[0, 1]), groups(labels))
    assert clustering.layered_modularity(graph, labels) == pytest.approx(theirs)


@given(seed=seeds, k=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_a_block_inside_a_layer_is_newmans(seed, k):
    matrix = random_layers((6, 5, 4), 0.7, seed).without_isolated()[0].matrix()
    graph = LayeredGraph((len(matrix),), {(0, 0): matrix})
    labels = np.random.default_rng(seed).integers(0, k, graph.nodes)
    theirs = nx.community.modularity(nx.from_numpy_array(matrix), groups(labels))
    assert clustering.layered_modularity(graph, labels) == pytest.approx(theirs)


@given(seed=seeds, k=st.integers(1, 5), scale=st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_q_is_bounded_and_whole_layers_score_nothing(seed, k, scale):
    graph = random_layers(seed=seed)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, graph.nodes)
    q = clustering.layered_modularity(graph, labels)
    assert -0.5 <= q <= 1 - 1 / k + 1e-12
    scaled = LayeredGraph(graph.layers, {p: b * scale for p, b in graph.blocks.items()})
    assert clustering.layered_modularity(scaled, labels) == pytest.approx(q)
    whole = np.repeat(rng.integers(0, k, len(graph.layers)), graph.layers)
    assert clustering.layered_modularity(graph, whole) == pytest.approx(0, abs=1e-12)
    assert clustering.cluster_layered(graph, min(k, 4), n_init=1, seed=seed).q >= -1e-12


@pytest.mark.parametrize(("count", "expected"), [(2, 1 / 2), (3, 2 / 3), (4, 3 / 4)])
def test_the_upper_bound_is_met_by_equal_separate_strands(count, expected):
    graph = graphs.weight_graph(toys.joined_strands(count, (12, 12, 12), together=0))
    found = clustering.cluster_layered(graph, count)
    assert found.q == pytest.approx(expected)
    assert adjusted_rand_score(np.tile(np.arange(12) % count, 3), found.labels) == 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("blocks", [{(0, 1), (1, 2)}, {(0, 1), (1, 2), (0, 2)}, {(0, 0), (0, 1)}])
def test_the_search_finds_the_best_of_all_clusterings_of_tiny_graphs(seed, blocks):
    rng = np.random.default_rng(seed)
    layers = (3, 3, 2) if len({i for pair in blocks for i in pair}) == 3 else (4, 4)
    made = {(i, j): rng.random((layers[i], layers[j])) for i, j in blocks}
    if (0, 0) in made:
        made[0, 0] = np.triu(made[0, 0], 1) + np.triu(made[0, 0], 1).T
    graph = LayeredGraph(layers, made)
    every = itertools.product(range(2), repeat=graph.nodes)
    best = max(clustering.layered_modularity(graph, np.array(labels)) for labels in every)
    found = clustering.cluster_layered(graph, 2, n_init=12)
    assert found.q == pytest.approx(clustering.layered_modularity(graph, found.labels))
    assert found.q == pytest.approx(best)


@pytest.mark.parametrize("blocks", [3, 5, 13, 25])
def test_deep_strands_are_found_from_every_start(blocks):
    weights, strand = toys.strands(2, (24,) * (blocks + 1), leak=0.3, seed=blocks)
    graph = graphs.weight_graph(weights)
    planted = clustering.layered_modularity(graph, strand)
    rng = np.random.default_rng(0)
    for _ in range(5):  # random starts leave the strand's name changing from depth to depth
        parts = np.split(rng.integers(2, size=graph.nodes), graph.offsets[1:-1])
        assert search(centred_blocks(graph), parts, 2) >= planted - 1e-9
    assert adjusted_rand_score(strand, clustering.cluster_layered(graph, 12).labels) == 1


@pytest.mark.parametrize("seed", range(3))
def test_leiden_finds_nothing_better(seed):
    igraph = pytest.importorskip("igraph")
    leidenalg = pytest.importorskip("leidenalg")
    weights, _ = toys.strands(3, (12, 15, 12, 9), leak=0.3, seed=seed)
    graph = graphs.weight_graph(weights)
    whole, starts = np.zeros((graph.nodes,) * 2), graph.offsets
    for (i, j), block in centred_blocks(graph).items():
        whole[starts[i] : starts[i + 1], starts[j] : starts[j + 1]] = block
    pairs = np.argwhere(whole)
    peer = igraph.Graph(n=graph.nodes, edges=pairs.tolist())
    theirs = max(
        leidenalg.find_partition(
            peer,
            leidenalg.CPMVertexPartition,  # without a resolution: the sum of weights inside
            weights=whole[tuple(pairs.T)].tolist(),
            resolution_parameter=0,
            seed=start,
            n_iterations=-1,
        ).quality()
        for start in range(5)
    )
    assert clustering.cluster_layered(graph, 12).q >= theirs / 2 - 1e-9  # both directions counted


def test_the_shuffle_test_uses_the_shuffles_of_the_ncut():
    weights, _ = toys.strands(2, (8, 8, 8), leak=1, seed=3)
    graph = graphs.weight_graph(weights)
    test = clustering.layered_shuffle_test(graph, 2, shuffles=5, seed=7, workers=1)
    shuffled = [clustering.shuffle_graph(graph, seed=[7, i]) for i in range(5)]
    again = [clustering.cluster_layered(one, 2, seed=7).q for one in shuffled]
    np.testing.assert_allclose(test.shuffled, again)
    rank = int((np.array(again) >= test.q).sum())
    assert test.p_value == pytest.approx((rank + 1) / 6)
    assert (test.z_score > 0) == (test.q > np.mean(again))


def test_isolated_nodes_get_no_label():
    graph = graphs.weight_graph([np.pad(np.ones((2, 2)), ((0, 1), (0, 0)))])
    labels = clustering.cluster_layered(graph, 2).labels
    assert labels[-1] == -1 and (labels[:-1] >= 0).all()


@pytest.mark.parametrize("call", [clustering.layered_modularity, clustering.depth_share])
def test_labels_of_the_wrong_length_are_refused(call):
    graph = graphs.weight_graph([np.ones((2, 2))])
    with pytest.raises(ValueError, match="one label for each of 4 nodes"):
        call(graph, np.zeros(3, dtype=int))


def test_what_cannot_be_clustered_is_refused():
    with pytest.raises(TypeError, match="layered graph"):
        clustering.cluster_layered(np.ones((3, 3)), 2)
    with pytest.raises(ValueError, match="only 4 nodes"):
        clustering.cluster_layered(graphs.weight_graph([np.ones((2, 2))]), 5)
    with pytest.raises(ValueError, match="above 0"):
        clustering.strand_limit([1.0, 0.0])


def two_strands(blocks: int, leak: float, width: int = 4) -> tuple[LayeredGraph, np.ndarray]:
    """Strands whose every weight is its expectation."""
    strand = np.arange(width) % 2
    block = np.where(strand[:, None] == strand, 1.0, leak)
    graph = graphs.weight_graph([block] * blocks)
    return graph, np.tile(strand, blocks + 1)


@given(
    blocks=st.sampled_from([2, 3, 4, 5, 8, 13]),
    part=st.floats(0.3, 0.97),
    beyond=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_the_law_on_either_side_beside_scikit_learn(blocks, part, beyond):
    limit = clustering.strand_limit(blocks)
    assert limit == pytest.approx(np.tan(np.pi / (2 * blocks)) ** 2)
    leak = limit / part if beyond else limit * part
    if leak >= 1:  # no such network: with two blocks strands are seen at any leak
        return
    graph, strand = two_strands(blocks, leak)
    theirs = SpectralClustering(2, affinity="precomputed", random_state=0)
    for labels in (
        theirs.fit_predict(graph.matrix()),
        clustering.spectral_clustering(graph, 2),
    ):
        agreement = adjusted_rand_score(strand, labels)
        assert agreement == pytest.approx(1) if not beyond else agreement < 0.1
    assert adjusted_rand_score(strand, clustering.cluster_layered(graph, 2).labels) == 1


@given(
    widths=st.lists(st.sampled_from([2, 4, 8, 16]), min_size=3, max_size=7),
    k=st.integers(2, 4),
    share=st.floats(0.1, 0.9),
)
@settings(max_examples=40, deadline=None)
def test_the_law_for_unequal_widths_and_more_eigenvectors(widths, k, share):
    parts = [np.arange(width) % 2 for width in widths]
    limit = clustering.strand_limit([a * b for a, b in itertools.pairwise(widths)], k=k)
    for leak, inside in ((limit * share, True), (limit / share, False)):
        if leak >= 1:
            continue
        weights = [np.where(b[:, None] == a, 1.0, leak) for a, b in itertools.pairwise(parts)]
        matrix = graphs.weight_graph(weights).matrix()
        root = np.sqrt(matrix.sum(0))
        values, vectors = np.linalg.eigh(matrix / np.outer(root, root))
        leading = vectors[:, ::-1][:, : min(k, len(values))]
        sign = np.where(np.concatenate(parts) == 0, 1.0, -1.0)
        strand = (sign * root) / np.linalg.norm(root)
        held = float(np.square(leading.T @ strand).sum())
        assert held == pytest.approx(float(inside), abs=1e-6)


def test_a_report_says_how_much_is_depth():
    graph, _ = two_strands(5, 0.3, width=8)
    found = report.clusterability(graph, k=2, shuffles=5, workers=1)
    assert found.depth > 0.3 and found.p > 0.5  # the shuffles' best cut is one of depth, too
    assert adjusted_rand_score(np.tile([0, 1], 24), found.layered.labels) == 1
    assert found.layered.p_value == pytest.approx(1 / 6) and found.layered.z_score > 3
    text = found.summary()
    assert f"{found.depth:.0%} of what they say is the layer" in text
    assert f"blind to depth: layered Q {found.layered.q:.3f}" in text
    quick = report.clusterability(graph, k=2, shuffles=5, workers=1, depth_blind=False)
    assert quick.layered is None and quick.ncut == found.ncut
    assert "blind to depth" not in quick.summary()


def test_kernel_shuffles_are_clustered_both_ways():
    model = models.small_cnn((1, 8, 8), 4, channels=6, seed=0)
    found = report.clusterability(model, k=2, shuffles=3, method="kernel", workers=1)
    assert len(found.layered.shuffled) == 3 and found.layered.method == "kernel"
    own = clustering.cluster_layered(found.graph, 2, n_init=2)
    assert found.layered.q == pytest.approx(own.q)
