"""One number for one set of samples, or a warning that there is none."""

import warnings

import numpy as np
import pytest
import torch

from modgraph_lib import communities, models


def features(times, count=10, kind=np.float64):
    rng = np.random.default_rng(0)
    return np.repeat(rng.normal(size=(count, 5)), times, 0).astype(kind)


def qs(values, labels, k):
    orders = [np.random.default_rng(seed).permutation(len(values)) for seed in range(5)]
    return {
        round(communities.modularity(communities.knn_graph(values[o], k), labels[o]), 6)
        for o in orders
    }


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("similarity", ["cosine", "pearson"])
def test_samples_repeated_more_often_than_k_are_told(kind, similarity):
    values = features(6, kind=kind)
    with pytest.warns(UserWarning, match="60 of 60 samples .* than k=3, .*order of the samples"):
        communities.knn_graph(values, 3, similarity=similarity)


def test_the_warning_is_right():
    labels = np.tile([0, 1], 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(qs(features(6), labels, 3)) > 1
    assert len(qs(features(6), labels, 5)) == 1  # every copy is taken, and no warning given


def test_without_ties_the_order_means_nothing():
    assert len(qs(features(1, 60), np.arange(60) % 2, 3)) == 1


def test_few_ties_are_no_news():
    values = np.concatenate([features(1, 300), features(4, 1)])
    communities.knn_graph(values, 2)
    with pytest.warns(UserWarning, match=r"\d of 64 samples"):
        communities.knn_graph(np.concatenate([features(1, 60), features(4, 1)]), 2)


def test_every_other_sample_as_a_neighbour_is_no_tie():
    communities.knn_graph(np.ones((4, 3)), 3)


def test_curves_tell_too():
    model = models.mlp(4, 2, widths=(8,), seed=0).eval()
    images = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).repeat(4, 1)
    with pytest.warns(UserWarning, match="20 of 20 samples"):
        communities.modularity_curve(model, images, [0, 1] * 10, k=2)
