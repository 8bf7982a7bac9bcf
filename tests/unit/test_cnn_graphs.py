"""Rolled and unrolled graphs: against networkx, explicit matrices and automatic differentiation."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modgraph_lib import graphs, models
from modgraph_lib.models import cifar_networks

SIGNS = ("absolute", "positive", "negative")


def small_cnn(seed, *, channels=2, filters=(3, 4), kernel=3, stride=1, padding=0, size=8):
    """Two convolutions with a pooling in between, and two dense layers."""
    torch.manual_seed(seed)
    parts = [nn.Conv2d(channels, filters[0], kernel, stride, padding), nn.ReLU(), nn.MaxPool2d(2)]
    parts += [nn.Conv2d(filters[0], filters[1], 2), nn.Tanh(), nn.Flatten()]
    width = nn.Sequential(*parts)(torch.zeros(1, channels, size, size)).shape[1]
    return nn.Sequential(*parts, nn.Linear(width, 5), nn.Dropout(0.5), nn.Linear(5, 3))


def two_three_two():
    """Two inputs, three hidden units, two outputs, by hand."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0, -1.0], [0.0, 2.0, 0.25]]))
    return model


def test_two_three_two_by_hand():
    graph = graphs.rolled_graph(two_three_two())
    assert graph.layers == (2, 3, 2)
    np.testing.assert_array_equal(graph.degrees(), [1.5, 5, 4, 3.5, 4.25, 3, 2.25])


def test_an_edge_is_the_norm_of_a_slice_and_of_a_channels_positions():
    model = small_cnn(0)
    graph = graphs.rolled_graph(model)
    assert graph.layers == (2, 3, 4, 5, 3)
    layers = [m for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
    first, second, dense, last = (layer.weight.detach() for layer in layers)
    blocks = [graph.blocks[i, i + 1] for i in range(4)]
    assert blocks[0][1, 2] == pytest.approx(float(first[2, 1].norm()), rel=1e-6)
    assert blocks[1][2, 3] == pytest.approx(float(second[3, 2].norm()), rel=1e-6)
    by_channel = dense.view(5, 4, -1)
    assert blocks[2][3, 1] == pytest.approx(float(by_channel[1, 3].norm()), rel=1e-6)
    assert blocks[3][4, 0] == pytest.approx(float(last[0, 4].abs()), rel=1e-6)
    l1 = graphs.rolled_graph(model, kernel_norm="l1").blocks[2, 3]
    assert l1[3, 1] == pytest.approx(float(by_channel[1, 3].abs().sum()), rel=1e-6)


def test_without_inputs_the_image_is_left_out():
    graph = graphs.rolled_graph(models.lenet(seed=0), inputs=False)
    assert graph.layers == (6, 16, 120, 84, 10)


def test_degrees_and_adjacency_are_networkx_own():
    graph = graphs.rolled_graph(models.lenet(seed=1))
    network = networkx.Graph()
    offsets = graph.offsets
    for (i, j), block in graph.blocks.items():
        for a, b in np.ndindex(block.shape):
            network.add_edge(int(offsets[i] + a), int(offsets[j] + b), weight=block[a, b])
    expected = [value for _, value in sorted(network.degree(weight="weight"))]
    np.testing.assert_allclose(graph.degrees(), expected, rtol=1e-12)
    x = np.random.default_rng(0).normal(size=graph.nodes)
    np.testing.assert_allclose(graph.matvec(x), graph.adjacency() @ x, atol=1e-12)


@pytest.mark.parametrize("name", ["resnet32", "resnet18"])
def test_shortcuts_and_projections_are_ignored(name):
    model = cifar_networks.build(name, width=4, seed=0)
    graph = graphs.rolled_graph(model, example=(3, 32, 32))
    body = [m for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "shortcut" not in n]
    widths = (3, *(m.out_channels for m in body), 10)
    assert graph.layers == widths
    assert list(graph.blocks) == [(i, i + 1) for i in range(len(widths) - 1)]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (1, 2), (3, 1)])
def test_the_operator_is_its_explicit_matrix(sign, stride, padding):
    model = small_cnn(2, stride=stride, padding=padding, size=11)
    graph = graphs.unrolled_graph(model, (2, 11, 11), sign=sign)
    matrix = graph.adjacency()
    assert (matrix != matrix.T).nnz == 0
    assert graph.edges == matrix.nnz // 2
    x = np.random.default_rng(0).normal(size=graph.nodes)
    np.testing.assert_allclose(graph.matvec(x), matrix @ x, atol=1e-12)
    np.testing.assert_allclose(graph.degrees(), matrix.sum(1), atol=1e-12)


def test_blocks_are_the_jacobians_of_the_layers():
    model = small_cnn(3, padding=1).double()
    matrix = graphs.unrolled_graph(model, (2, 8, 8)).adjacency()
    starts = graphs.unrolled_graph(model, (2, 8, 8)).offsets
    x = torch.rand(1, 2, 8, 8, dtype=torch.float64)
    place = 0
    for part in model:
        if isinstance(part, nn.Conv2d | nn.Linear):
            jacobian = torch.autograd.functional.jacobian(part, x)
            jacobian = jacobian.reshape(-1, x.numel()).abs().numpy()
            rows = slice(starts[place + 1], starts[place + 2])
            block = matrix[rows, starts[place] : starts[place + 1]].toarray()
            np.testing.assert_allclose(block, jacobian, atol=1e-12)
        x = part(x).detach()
        place += isinstance(part, nn.Conv2d | nn.Linear | nn.MaxPool2d)


@given(
    seed=st.integers(0, 100),
    kernel=st.integers(2, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    size=st.integers(14, 16),
)
@settings(max_examples=25, deadline=None)
def test_signs_add_up_and_counts_too(seed, kernel, stride, padding, size):
    model = small_cnn(seed, kernel=kernel, stride=stride, padding=padding, size=size)
    whole, positive, negative = (
        graphs.unrolled_graph(model, (2, size, size), sign=sign) for sign in SIGNS
    )
    np.testing.assert_allclose(whole.degrees(), positive.degrees() + negative.degrees(), atol=1e-10)
    assert whole.edges == positive.edges + negative.edges


@given(seed=st.integers(0, 100), size=st.integers(8, 12))
@settings(max_examples=15, deadline=None)
def test_without_padding_edges_are_multiply_adds_and_degrees_are_kernel_norms(seed, size):
    model = small_cnn(seed, size=size)
    graph = graphs.unrolled_graph(model, (2, size, size))
    convolution = model[0]
    places = (size - 2) ** 2
    assert graph.blocks[0].edges() == 3 * 2 * 9 * places
    incoming = graph.blocks[0].forward(torch.ones(2 * size * size, dtype=torch.float64))
    norms = convolution.weight.detach().double().abs().sum((1, 2, 3))
    np.testing.assert_allclose(incoming.view(3, -1), norms[:, None].expand(3, places), rtol=1e-9)


def test_a_pooling_has_edges_of_weight_one_in_the_positive_graph_alone():
    model = models.lenet((3, 16, 16), seed=0)
    pools = {sign: graphs.unrolled_graph(model, (3, 16, 16), sign=sign).blocks[1] for sign in SIGNS}
    assert pools["positive"].edges() == pools["absolute"].edges() == 6 * 12 * 12
    assert pools["negative"].edges() == 0
    assert set(pools["positive"].matrix().data) == {1.0}


def test_what_is_too_large_to_write_down_says_so():
    graph = graphs.unrolled_graph(models.vgg1613(seed=0), (3, 32, 32))
    with pytest.raises(ValueError, match="114,653,184 edges, too many"):
        graph.adjacency()


def bad(*parts):
    return nn.Sequential(*parts)


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (bad(nn.Conv2d(4, 4, 3, groups=2)), (4, 8, 8), "groups=1"),
        (bad(nn.Conv2d(4, 4, 3, groups=4)), (4, 8, 8), "groups=1"),
        (bad(nn.Conv2d(2, 2, 3, dilation=2)), (2, 8, 8), "dilation=1"),
        (bad(nn.Conv2d(2, 2, 3, padding="same")), (2, 8, 8), "padding given as numbers"),
        (bad(nn.Conv2d(3, 2, 5), nn.Conv2d(2, 2, 5)), (3, 8, 8), "too small"),
        (bad(nn.Conv2d(3, 2, 5)), (1, 8, 8), "other channels"),
        (bad(nn.MaxPool2d(2, ceil_mode=True)), (1, 8, 8), "ceil_mode"),
        (bad(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)), (1, 8, 8), "single units"),
        (bad(nn.Linear(8, 2)), (1, 8, 8), "put a Flatten before it"),
        (bad(nn.ReLU()), (1, 8, 8), "no convolution"),
        (cifar_networks.build("resnet32", width=2, seed=0), (3, 8, 8), "no chain of layers"),
    ],
)
def test_what_has_no_unrolled_graph_is_said(model, shape, words):
    with pytest.raises(ValueError, match=words):
        graphs.unrolled_graph(model, shape)


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8), "8x8"])
def test_an_image_has_three_sizes(shape):
    with pytest.raises(ValueError, match="image_shape"):
        graphs.unrolled_graph(models.lenet(seed=0), shape)


def test_an_unknown_sign_is_said():
    with pytest.raises(ValueError, match="absolute, positive, negative"):
        graphs.unrolled_graph(models.lenet(seed=0), (3, 32, 32), sign="both")


@pytest.mark.parametrize("make", [
    lambda model: graphs.rolled_graph(model),
    lambda model: graphs.unrolled_graph(model, (3, 32, 32)),
])  # fmt: skip
def test_a_diverged_network_has_no_graph(make):
    model = models.lenet(seed=0)
    with torch.no_grad():
        model[1].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="diverged"):
        make(model)


def test_a_rolled_graph_of_groups_is_refused():
    with pytest.raises(ValueError, match="grouped convolution"):
        graphs.rolled_graph(bad(nn.Conv2d(4, 4, 3, groups=2)))


def test_layers_that_do_not_follow_one_another_are_refused():
    with pytest.raises(ValueError, match="do not follow one another"):
        graphs.rolled_graph(bad(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3)))


def test_weights_that_are_all_zero_have_no_edge():
    model = bad(nn.Linear(2, 2))
    nn.init.zeros_(model[0].weight)
    with pytest.raises(ValueError, match="no edge"):
        graphs.rolled_graph(model)
    assert graphs.unrolled_graph(bad(nn.Flatten(), *model), (1, 1, 2)).edges == 0


@pytest.mark.parametrize("make", [models.lenet, models.alexnet, models.vgg1613])
def test_images_too_small_for_the_network_are_refused(make):
    with pytest.raises(ValueError, match="use >= 16x16"):
        make((3, 15, 15), seed=0)
    for rate in (1.0, -0.1):
        with pytest.raises(ValueError, match=r"\[0, 1\)"):
            make(dropout=rate, seed=0)
