import numpy as np
import pytest
import torch
from graphs_by_hand import random_layers, two_chains
from torch import nn

from modgraph_lib import graphs, models
from modgraph_lib.graphs import LayeredGraph


def test_a_network_of_linear_layers_has_a_node_per_unit():
    graph = graphs.weight_graph(models.mlp(7, 3, widths=(5, 4), seed=0))
    assert graph.layers == (7, 5, 4, 3)
    assert graph.nodes == 19
    assert list(graph.blocks) == [(0, 1), (1, 2), (2, 3)]


def test_edges_are_absolute_weights_whatever_the_source():
    model = models.mlp(4, 2, widths=(3,), seed=1)
    weights = [m.weight for m in model if isinstance(m, nn.Linear)]
    for source in (model, weights, [w.detach().numpy() for w in weights]):
        graph = graphs.weight_graph(source)
        expected = weights[0].detach().abs().T.double()
        np.testing.assert_array_equal(graph.blocks[0, 1], expected)


@pytest.mark.parametrize(
    ("norm", "expected"),
    # columns sum to 1 + 3 and 2 + 4; W'W has trace 30 and determinant 10^2
    [("l1", 10.0), ("matrix_l1", 6.0), ("l2", np.sqrt((30 + np.sqrt(30**2 - 4 * 10**2)) / 2))],
)
def test_the_norm_of_a_kernel_slice(norm, expected):
    first, second = nn.Conv2d(1, 1, 2, bias=False), nn.Conv2d(1, 1, 2, bias=False)
    with torch.no_grad():
        second.weight.copy_(torch.tensor([[[[1.0, -2.0], [3.0, 4.0]]]]))
    graph = graphs.weight_graph(nn.Sequential(first, second), kernel_norm=norm)
    assert graph.blocks[0, 1].item() == pytest.approx(expected)


def test_convolution_channels_are_nodes_and_first_and_dense_kernels_are_left_out():
    graph = graphs.weight_graph(models.small_cnn((1, 8, 8), 10, channels=6, dense=4, seed=0))
    assert graph.layers == (6, 6, 6)


def test_adjacency_is_symmetric_and_its_sums_are_the_degrees():
    graph = random_layers()
    adjacency = graph.adjacency()
    assert abs(adjacency - adjacency.T).max() == 0
    np.testing.assert_allclose(np.asarray(adjacency.sum(1)).ravel(), graph.degrees())
    assert adjacency.nnz == 2 * sum(np.count_nonzero(b) for b in graph.blocks.values())


def test_isolated_nodes_are_dropped_with_their_rows():
    first = np.array([[1.0, 0, 0], [0, 0, 0]])
    graph = LayeredGraph((2, 3), {(0, 1): first})
    smaller, kept = graph.without_isolated()
    assert kept.tolist() == [True, False, True, False, False]
    assert smaller.layers == (1, 1)
    assert smaller.blocks[0, 1].tolist() == [[1.0]]


def test_bipartite_means_no_edge_within_a_parity():
    assert two_chains().is_bipartite
    skip = {**two_chains().blocks, (0, 2): np.ones((2, 2))}
    assert not LayeredGraph((2, 2, 2), skip).is_bipartite


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_name_their_layer(bad):
    model = models.mlp(4, 2, widths=(3,), seed=1)
    with torch.no_grad():
        model[1].weight[0, 0] = bad
    with pytest.raises(ValueError, match="between inputs and 1 hold 1 NaN or infinite"):
        graphs.weight_graph(model)


def test_other_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="no edge"):
        graphs.weight_graph([np.zeros((3, 4))])
    with pytest.raises(ValueError, match="do not follow one another"):
        graphs.weight_graph([np.ones((3, 4)), np.ones((2, 5))])
    with pytest.raises(ValueError, match="no weights between layers"):
        graphs.weight_graph(nn.Sequential(nn.ReLU()))
    with pytest.raises(TypeError, match="torch module or a list"):
        graphs.weight_graph(3)
    with pytest.raises(ValueError, match="negative"):
        LayeredGraph((1, 1), {(0, 1): -np.ones((1, 1))})
    with pytest.raises(ValueError, match="expected"):
        LayeredGraph((1, 2), {(0, 1): np.ones((1, 1))})
    with pytest.raises(ValueError, match="kernel_norm"):
        graphs.weight_graph(models.small_cnn(channels=2, seed=0), kernel_norm="nuclear")


def test_a_layer_of_zeros_is_a_documented_result():
    graph = graphs.weight_graph([np.zeros((3, 4)), np.ones((2, 3))])
    assert graph.without_isolated()[0].layers == (0, 3, 2)
