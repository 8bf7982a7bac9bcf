import numpy as np
import pytest
import scipy.sparse
import torch
from graphs_by_hand import random_layers, two_triangles
from scipy.linalg import eigh

from modgraph_lib.clustering import spectral
from modgraph_lib.graphs import LayeredGraph


def projector(points, degrees):
    """Projector on the span of the eigenvectors behind an embedding."""
    vectors = points * np.sqrt(degrees)[:, None]
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    return vectors @ vectors.T


@pytest.mark.parametrize("sizes", [(30, 20, 20, 5), (5, 20, 20, 30), (12, 12)])
def test_the_bipartite_route_spans_the_leading_eigenspace(sizes):
    graph = random_layers(sizes, seed=5).without_isolated()[0]
    degrees = graph.degrees()
    fast = spectral.embedding(graph, 4)
    general = spectral.embedding(graph.adjacency(), 4)
    np.testing.assert_allclose(projector(fast, degrees), projector(general, degrees), atol=1e-8)


def test_columns_solve_the_generalised_problem():
    graph = random_layers(seed=2).without_isolated()[0]
    adjacency, degrees = graph.adjacency().toarray(), graph.degrees()
    laplacian = np.diag(degrees) - adjacency
    values = eigh(laplacian, np.diag(degrees), eigvals_only=True)[:3]
    points = spectral.embedding(graph, 3)
    np.testing.assert_allclose(
        laplacian @ points, degrees[:, None] * points * values, atol=1e-8 * degrees.max()
    )
    assert np.ptp(points[:, 0]) == pytest.approx(0, abs=1e-9)


def test_the_batched_route_of_accelerators_agrees_graph_by_graph():
    batch = [random_layers(seed=s) for s in range(3)]
    points, values = spectral.embeddings_on_device(batch, 4, torch.device("cpu"))
    for graph, found, value in zip(batch, points.numpy(), values, strict=True):
        kept = graph.degrees() > 0
        alone, theirs = spectral.leading(graph, 4)
        np.testing.assert_allclose(value, theirs, atol=1e-9)
        assert np.all(found[~kept] == 0)
        degrees = graph.degrees()[kept]
        np.testing.assert_allclose(
            projector(found[kept], degrees), projector(alone[kept], degrees), atol=1e-6
        )


def test_arpack_and_dense_agree_above_the_dense_limit():
    graph = random_layers((300, 150, 60), 0.1, 1)
    skip = {**graph.blocks, (0, 2): np.random.default_rng(0).random((300, 60))}
    with_skip = LayeredGraph(graph.layers, skip)
    assert not with_skip.is_bipartite and with_skip.nodes > spectral.DENSE_LIMIT
    points = spectral.embedding(with_skip, 3)
    scale = np.sqrt(with_skip.degrees())
    normalised = with_skip.adjacency().toarray() / scale[:, None] / scale[None]
    _, vectors = eigh(normalised, subset_by_index=[with_skip.nodes - 3, with_skip.nodes - 1])
    np.testing.assert_allclose(projector(points, scale**2), vectors @ vectors.T, atol=1e-7)


def test_isolated_nodes_have_zero_rows():
    adjacency = np.zeros((8, 8))
    adjacency[:6, :6] = two_triangles()
    points = spectral.embedding(scipy.sparse.csr_array(adjacency), 2)
    assert np.all(points[6:] == 0) and np.all(np.abs(points[:6]).sum(1) > 0)


def test_k_outside_the_graph_is_refused():
    graph = random_layers()
    for k in (0, graph.nodes + 1):
        with pytest.raises(ValueError, match="k must be between 1 and"):
            spectral.embedding(graph, k)


def with_skips(sizes=(300, 250, 200), density=0.3, seed=1):
    graph = random_layers(sizes, density, seed)
    skip = np.random.default_rng(seed).random((sizes[0], sizes[2]))
    return LayeredGraph(graph.layers, {**graph.blocks, (0, 2): skip})


def exact(graph, k):
    """Projector on the k leading eigenvectors by a full decomposition."""
    degrees = graph.degrees()
    kept = degrees > 0
    scale = np.sqrt(degrees[kept])
    matrix = graph.adjacency().toarray()[np.ix_(kept, kept)] / scale[:, None] / scale[None]
    _, vectors = eigh(matrix, subset_by_index=[len(scale) - k, len(scale) - 1])
    return kept, vectors @ vectors.T


@pytest.mark.parametrize("k", [2, 7, 12])
@pytest.mark.parametrize("density", [0.05, 0.5])  # sparse and dense blocks
def test_skips_are_multiplied_block_by_block(k, density):
    graph = with_skips(density=density)
    points = spectral.embedding(graph, k)
    kept, wanted = exact(graph, k)
    found = projector(points[kept], graph.degrees()[kept])
    np.testing.assert_allclose(found, wanted, atol=1e-7)


@pytest.mark.parametrize("k", [2, 12])
def test_large_bipartite_graphs_by_lanczos_agree_with_their_gram_matrix(k, monkeypatch):
    graph = random_layers((200, 150, 130, 60), 0.5, 4)
    for block in graph.blocks.values():
        block[3] = 0
        block[:, 5] = 0
    graph.blocks[0, 1][:, 7] = graph.blocks[1, 2][7] = 0
    whole = spectral.embedding(graph, k)
    monkeypatch.setattr(spectral, "GRAM_LIMIT", 50)
    steps = spectral.embedding(graph, k)
    degrees = graph.degrees()
    kept = degrees > 0
    assert (~kept).sum() > 0 and np.all(steps[~kept] == 0)
    np.testing.assert_allclose(
        projector(steps[kept], degrees[kept]), projector(whole[kept], degrees[kept]), atol=1e-7
    )
    np.testing.assert_allclose(np.abs(steps), np.abs(whole), atol=1e-7)  # the scale as well


@pytest.mark.parametrize("skips", [False, True])
def test_separate_parts_are_all_found(skips, monkeypatch):
    """The constant on each part is an eigenvector of value 1; Lanczos must find every copy."""
    monkeypatch.setattr(spectral, "GRAM_LIMIT", 50)
    one = with_skips((90, 80, 70), 0.6) if skips else random_layers((90, 80, 70), 0.6)
    blocks = {pair: np.kron(np.eye(3), block) for pair, block in one.blocks.items()}
    graph = LayeredGraph(tuple(3 * n for n in one.layers), blocks)
    points = spectral.embedding(graph, 3)
    part = np.concatenate([np.repeat(np.arange(3), n) for n in one.layers])
    for index in range(3):
        assert np.ptp(points[part == index], axis=0).max() < 1e-6
    assert np.linalg.matrix_rank(points[[0, 90, 180]], tol=1e-3) == 3


def test_a_rank_below_k_falls_back(monkeypatch):
    monkeypatch.setattr(spectral, "GRAM_LIMIT", 20)
    graph = LayeredGraph((60, 70), {(0, 1): np.outer(np.arange(1, 61.0), np.arange(1, 71.0))})
    points = spectral.embedding(graph, 3)
    assert np.isfinite(points).all() and np.ptp(points[:, 0]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("limits", [{}, {"GRAM_LIMIT": 20}, {"DENSE_LIMIT": 20, "GRAM_LIMIT": 20}])
@pytest.mark.parametrize("skips", [False, True])
def test_one_eigenvalue_more_than_vectors_on_every_route(limits, skips, monkeypatch):
    for name, value in limits.items():
        monkeypatch.setattr(spectral, name, value)
    graph = with_skips((60, 50, 40)) if skips else random_layers((60, 50, 40))
    points, values = spectral.leading(graph, 4)
    scale = np.sqrt(graph.degrees())
    matrix = graph.adjacency().toarray() / scale[:, None] / scale[None]
    exact_values = np.linalg.eigvalsh(matrix)[::-1][:5]
    assert points.shape == (graph.nodes, 4)
    np.testing.assert_allclose(values, exact_values, atol=1e-7)
