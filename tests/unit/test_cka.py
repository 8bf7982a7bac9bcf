"""CKA without bias, and between two networks."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgraph_lib import models
from modgraph_lib.communities import cka


def hsic(x, y):
    """The unbiased estimator of Song et al. (2012), equation 5, with its matrices written out."""
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    n, one = len(k), np.ones(len(k))
    whole = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + whole - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def features(seed, samples, *widths):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(samples, width)) for width in widths]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**20), st.integers(4, 12), st.integers(1, 20), st.integers(1, 20))
def test_the_unbiased_form_is_the_quotient_of_unbiased_estimators(seed, samples, one, two):
    x, y = features(seed, samples, one, two)
    y = y + x[:, :1]
    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert cka.linear_cka(x, y, unbiased=True) == pytest.approx(expected, abs=1e-9)


def test_over_all_orders_of_the_samples_it_is_zero_and_the_other_is_not():
    x, y = features(3, 5, 7, 9)
    orders = [list(order) for order in permutations(range(5))]
    mean = np.mean([cka.linear_cka(x, y[order], unbiased=True) for order in orders])
    assert mean == pytest.approx(0, abs=1e-12)
    assert np.mean([cka.linear_cka(x, y[order]) for order in orders]) > 0.5


def test_it_sees_neither_rotation_nor_scale_nor_shift():
    x, y = features(1, 12, 6, 4)
    turn, _ = np.linalg.qr(features(2, 6, 6)[0])
    moved = 3 * x @ turn + 5
    assert cka.linear_cka(x, moved, unbiased=True) == pytest.approx(1, abs=1e-12)
    found = cka.linear_cka(x, y, unbiased=True)
    assert cka.linear_cka(moved, y, unbiased=True) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_a_matrix_of_two_networks_holds_every_pair(unbiased):
    one = models.mlp(6, 4, widths=(8, 5), seed=0).eval()
    two = models.mlp(6, 3, widths=(7,), seed=1).eval()
    images = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    found = cka.cka_matrix(one, images, two, unbiased=unbiased, device="cpu")
    assert found.layers == ("1", "3", "5") and found.columns == ("1", "3")
    assert found.values.shape == (3, 2) and found.samples == 20
    with torch.inference_mode():
        rows = [one[:last](images) for last in (2, 4, 6)]
        columns = [two[:last](images) for last in (2, 4)]
    for i, x in enumerate(rows):
        for j, y in enumerate(columns):
            expected = cka.linear_cka(x, y, unbiased=unbiased)
            assert found.values[i, j] == pytest.approx(expected, abs=1e-6)
    back = cka.cka_matrix(two, images, one, unbiased=unbiased, device="cpu")
    np.testing.assert_allclose(back.values, found.values.T, atol=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_of_a_network_and_itself_it_is_the_matrix_of_one(unbiased):
    model = models.mlp(6, 4, widths=(8, 5), seed=0).eval()
    images = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    alone = cka.cka_matrix(model, images, unbiased=unbiased, device="cpu")
    beside = cka.cka_matrix(model, images, model, unbiased=unbiased, device="cpu")
    np.testing.assert_allclose(alone.values, beside.values, atol=1e-12)
    assert alone.columns == alone.layers and (alone.values.diagonal() == 1).all()


def test_three_samples_leave_nothing_to_estimate():
    x, y = features(0, 3, 2, 2)
    with pytest.raises(ValueError, match="N of at least 4"):
        cka.linear_cka(x, y, unbiased=True)
    model = models.mlp(2, 2, widths=(4,), seed=0).eval()
    with pytest.raises(ValueError, match="at least four images"):
        cka.cka_matrix(model, torch.as_tensor(x).float(), unbiased=True)
    with pytest.raises(ValueError, match="same for every sample"):
        cka.linear_cka(np.ones((6, 3)), features(0, 6, 2)[0], unbiased=True)
