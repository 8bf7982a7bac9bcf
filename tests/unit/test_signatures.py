"""Centralities and their five numbers: closed forms, networkx, scipy, and what theory says."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import scipy.sparse.csgraph
import scipy.sparse.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modgraph_lib import graphs, models, signatures
from modgraph_lib.graphs import LayeredGraph


def layered(sizes, seed):
    rng = np.random.default_rng(seed)
    blocks = {(i, i + 1): rng.random(sizes[i : i + 2]) + 0.01 for i in range(len(sizes) - 1)}
    return LayeredGraph(tuple(sizes), blocks)


SIZES = st.lists(st.integers(1, 7), min_size=2, max_size=5)


def test_a_star_in_closed_form():
    graph = LayeredGraph((1, 4), {(0, 1): np.ones((1, 4))})
    expected = [1 / np.sqrt(2), *[1 / np.sqrt(8)] * 4]
    np.testing.assert_allclose(signatures.eigenvector_centrality(graph), expected, atol=1e-12)
    np.testing.assert_array_equal(signatures.weighted_degree(graph), [4, 1, 1, 1, 1])


@given(SIZES, st.integers(0, 1000))
@settings(deadline=None)
def test_eigenvalues_come_in_pairs(sizes, seed):
    values = np.linalg.eigvalsh(layered(sizes, seed).adjacency().toarray())
    np.testing.assert_allclose(values, -values[::-1], atol=1e-9)


@given(SIZES, st.integers(0, 1000))
@settings(deadline=None)
def test_centrality_is_the_leading_eigenvector_of_the_whole_graph(sizes, seed):
    graph = layered(sizes, seed)
    found = signatures.eigenvector_centrality(graph)
    _, vectors = np.linalg.eigh(graph.adjacency().toarray())
    np.testing.assert_allclose(found, np.abs(vectors[:, -1]), atol=1e-7)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-12)
    even = np.repeat(np.arange(len(sizes)) % 2 == 0, sizes)
    assert (found[even] ** 2).sum() == pytest.approx(0.5, abs=1e-12)


@given(SIZES, st.integers(0, 1000))
@settings(deadline=None)
def test_mean_and_deviation_of_an_eigenvector_are_one_number(sizes, seed):
    graph = layered(sizes, seed)
    _, mean, sd, _, _ = signatures.signature(signatures.eigenvector_centrality(graph))
    assert mean**2 + sd**2 == pytest.approx(1 / graph.nodes, abs=1e-14)


@given(SIZES, st.integers(0, 1000))
@settings(deadline=None)
def test_mean_degree_is_twice_the_sum_of_weights_over_nodes(sizes, seed):
    graph = layered(sizes, seed)
    mean = signatures.signature(signatures.weighted_degree(graph))[1]
    total = sum(block.sum() for block in graph.blocks.values())
    assert mean == pytest.approx(2 * total / graph.nodes)


def test_the_plain_power_method_swings_for_ever():
    graph = graphs.rolled_graph(models.lenet(seed=0))
    adjacency, x = graph.adjacency(), np.ones(graph.nodes)
    for _ in range(2000):
        before, x = x, adjacency @ x
        x /= np.linalg.norm(x)
    assert np.abs(x - before).max() > 1e-3
    assert np.abs(x - signatures.eigenvector_centrality(graph)).max() > 1e-3


def test_networkx_agrees_on_lenet():
    graph = graphs.rolled_graph(models.lenet(seed=3))
    network = networkx.from_scipy_sparse_array(graph.adjacency())
    theirs = networkx.eigenvector_centrality_numpy(network, weight="weight")
    ours = signatures.eigenvector_centrality(graph)
    np.testing.assert_allclose(ours, [theirs[node] for node in range(graph.nodes)], atol=1e-10)


@pytest.mark.parametrize("sign", ["absolute", "positive", "negative"])
def test_arpack_agrees_on_unrolled_lenet(sign):
    graph = graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32), sign=sign)
    start = np.ones(graph.nodes)
    _, vectors = scipy.sparse.linalg.eigsh(graph.adjacency(), k=1, which="LA", v0=start, tol=1e-13)
    ours = signatures.eigenvector_centrality(graph)
    np.testing.assert_allclose(ours, np.abs(vectors[:, 0]), atol=1e-9)


@pytest.mark.parametrize("sign", ["absolute", "negative"])
def test_single_precision_is_good_to_five_digits(sign):
    exact, coarse = (
        signatures.eigenvector_centrality(
            graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32), sign=sign, dtype=dtype)
        )
        for dtype in (torch.float64, torch.float32)
    )
    np.testing.assert_allclose(coarse, exact, atol=1e-5 * exact.max())


@pytest.mark.parametrize("sign", ["absolute", "positive", "negative"])
def test_edges_written_out_and_never_stored_give_one_centrality(sign, monkeypatch):
    model = models.lenet(seed=0, image_shape=(3, 16, 16))
    graph = graphs.unrolled_graph(model, (3, 16, 16), sign=sign)
    assert graph.edges <= signatures.SPARSE
    written = signatures.eigenvector_centrality(graph)
    monkeypatch.setattr(signatures, "SPARSE", 0)
    np.testing.assert_allclose(signatures.eigenvector_centrality(graph), written, atol=1e-13)


def test_the_negative_graph_falls_apart_at_every_pooling():
    graph = graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32), sign="negative")
    count, piece = scipy.sparse.csgraph.connected_components(graph.adjacency(), directed=False)
    assert count == 3 and sorted(np.bincount(piece)) == [614, 2776, 7776]
    mass = np.bincount(piece, signatures.eigenvector_centrality(graph) ** 2)
    assert sorted(mass)[:2] == pytest.approx([0, 0], abs=1e-12)
    assert signatures.signature(signatures.eigenvector_centrality(graph))[0] == 0  # the median
    for sign in ("absolute", "positive"):
        whole = graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32), sign=sign)
        assert scipy.sparse.csgraph.connected_components(whole.adjacency())[0] == 1


def test_a_graph_with_shortcuts():
    rng = np.random.default_rng(0)
    blocks = {(0, 1): rng.random((4, 5)), (1, 2): rng.random((5, 3)), (0, 2): rng.random((4, 3))}
    graph = LayeredGraph((4, 5, 3), blocks)
    _, vectors = np.linalg.eigh(graph.adjacency().toarray())
    found = signatures.eigenvector_centrality(graph)
    np.testing.assert_allclose(found, np.abs(vectors[:, -1]), atol=1e-8)


def test_pieces_that_tie_share_the_centrality():
    block = np.kron(np.eye(2), np.ones((2, 2)))
    found = signatures.eigenvector_centrality(LayeredGraph((4, 4), {(0, 1): block}))
    np.testing.assert_allclose(found, 8**-0.5, atol=1e-12)


def test_pieces_that_nearly_tie_are_told_apart():
    block = np.diag([1.0, 1 - 1e-6])
    found = signatures.eigenvector_centrality(LayeredGraph((2, 2), {(0, 1): block}))
    np.testing.assert_allclose(found, [0.5**0.5, 0, 0.5**0.5, 0], atol=1e-5)


@given(arrays(float, st.integers(3, 40), elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3))))
def test_a_signature_is_scipys_moments(values):
    found = signatures.signature(values)
    expected = [np.median(values), values.mean(), values.std()]
    np.testing.assert_allclose(found[:3], expected, atol=1e-9)
    if np.ptp(values) > 0:
        shape = [scipy.stats.skew(values), scipy.stats.kurtosis(values)]
        np.testing.assert_allclose(found[3:], shape, rtol=1e-6, atol=1e-8)
    else:
        assert found[2] == pytest.approx(0, abs=1e-9) and tuple(found[3:]) == (0, 0)


def test_a_signature_of_tiny_numbers_keeps_its_shape():
    values = np.array([1.0, 2, 4, 9])
    np.testing.assert_allclose(
        signatures.signature(values * 1e-200)[3:], signatures.signature(values)[3:], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [([], "one a node"), ([[1.0]], "one a node"), ([1.0, np.nan], "diverged"), ("ab", "numbers")],
)
def test_what_has_no_signature_is_said(values, words):
    with pytest.raises((ValueError, TypeError), match=words):
        signatures.signature(values)


def test_averages_by_hand():
    table = np.array([[9.0], [1.0], [2.0], [6.0]])
    assert signatures.temporal(table, [1, 3]).tolist() == [1, 6]
    linear = signatures.temporal(table, [0, 1, 2, 3], average="linear")
    np.testing.assert_allclose(linear, [9, 1, 5 / 3, 23 / 6])
    exponential = signatures.temporal(table, [0, 1, 2, 3], average="exponential", alpha=0.25)
    np.testing.assert_allclose(exponential, [9, 1, 1.25, 2.4375])
    newest = signatures.temporal(table, [3], average="exponential", alpha=1.0)
    assert newest.tolist() == [6]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": [0, 4]}, "epochs 0 to 3"),
        ({"epochs": [1], "average": "median"}, "none, linear, exponential"),
        ({"epochs": [1], "alpha": 0.0}, r"\(0, 1\]"),
    ],
)
def test_what_cannot_be_joined_is_said(options, words):
    with pytest.raises(ValueError, match=words):
        signatures.temporal(np.zeros((4, 5)), **options)


def test_an_unrolled_graph_without_edges_has_no_centre():
    model = models.lenet(seed=0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    graph = graphs.unrolled_graph(model, (3, 32, 32), sign="negative")
    with pytest.raises(ValueError, match="no edge"):
        signatures.eigenvector_centrality(graph)


def test_a_layer_of_zeros_leaves_its_piece_without_centrality():
    blocks = {(0, 1): np.ones((2, 3)), (1, 2): np.zeros((3, 2)), (2, 3): np.full((2, 2), 0.1)}
    found = signatures.eigenvector_centrality(LayeredGraph((2, 3, 2, 2), blocks))
    assert (found[:5] > 0).all() and (found[5:] == 0).all()
