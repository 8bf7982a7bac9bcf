"""Toy graphs have the clusters they promise."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from modgraph_lib import clustering, graphs, models, toys


def test_two_triangles_by_hand():
    halves = np.array([0, 0, 0, 1, 1, 1])
    assert clustering.ncut(toys.two_triangles(), halves) == pytest.approx(float(Fraction(2, 7)))
    moved = np.array([0, 0, 1, 1, 1, 1])
    assert clustering.ncut(toys.two_triangles(), moved) == pytest.approx(float(Fraction(7, 10)))


@pytest.mark.parametrize("link", [0.0, 0.1, 1.0])
def test_straggler_by_hand(link):
    labels = np.array([0, 0, 0, 0, 1, 1])
    expected = link / (2 + link) + link / (12 + link)
    assert clustering.ncut(toys.straggler(link), labels) == pytest.approx(expected)


def test_strands_without_leak_are_found_exactly():
    weights, labels = toys.strands(3, (9, 6, 6), leak=0.0, seed=0)
    graph = graphs.weight_graph(weights)
    assert clustering.ncut(graph, labels) == 0
    found = clustering.spectral_clustering(graph, 3)
    assert clustering.ncut(graph, found) == pytest.approx(0, abs=1e-9)


def test_leak_raises_the_ncut_of_the_strands():
    ncuts = []
    for leak in (0.0, 0.2, 1.0):
        weights, labels = toys.strands(4, (16, 16, 16), leak=leak, seed=1)
        ncuts.append(clustering.ncut(graphs.weight_graph(weights), labels))
    assert ncuts == sorted(ncuts)
    assert ncuts[-1] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toys.straggler(-1), "must not be negative"),
        (lambda: toys.strands(2, (4, 4), leak=2.0, seed=0), "leak must be .* of at most 1"),
        (lambda: toys.strands(5, (4, 4), leak=0.0, seed=0), "at least 5 nodes"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rescaling_keeps_the_function_and_changes_the_graph():
    model = models.mlp(6, 3, widths=(8, 8), seed=0)
    twin = toys.rescaled(model, spread=1.0, seed=1)
    images = torch.randn(20, 6, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(twin(images), model(images))
    before, after = (graphs.weight_graph(net).blocks[0, 1] for net in (model, twin))
    assert not np.allclose(before, after)
