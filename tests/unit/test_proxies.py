"""Ranks, p-values and effects, against scipy, by enumeration, and where nothing is to be found."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modgraph_lib import proxies, statistics
from modgraph_lib.proxies import TIES, ProxyTest


def uniform_test(groups, controls, seed, values=10**9):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, values, (groups, controls + 1)).astype(float)
    return ProxyTest(drawn[:, 0], drawn[:, 1:])


def test_percentiles_by_hand():
    test = ProxyTest([2.0, 2.0, 9.0], [[1, 2, 3], [2, 2, 2], [1, 2, 3]])
    assert test.ranks("count").tolist() == [2, 3, 0]
    assert test.ranks("ignore").tolist() == [1, 0, 0]
    assert test.ranks("middle").tolist() == [1.5, 1.5, 0]
    assert test.percentiles("count").tolist() == [2.5 / 4, 3.5 / 4, 0.5 / 4]
    assert test.tied == pytest.approx(4 / 9)


def test_low_values_can_be_the_modular_ones():
    high = uniform_test(12, 19, 0)
    low = ProxyTest(-high.true, -high.controls, high_is_modular=False)
    assert np.array_equal(high.ranks("count"), low.ranks("count"))


def test_ties_by_lot_are_uniform_and_depend_on_the_seed_alone():
    test = ProxyTest(np.zeros(4000), np.zeros((4000, 19)))
    ranks = test.ranks("random", seed=3)
    assert np.array_equal(ranks, test.ranks("random", seed=3))
    assert stats.chisquare(np.bincount(ranks, minlength=20)).pvalue > 1e-4


def test_what_has_no_value_ties_with_everything():
    """Divided by a drop of nothing: the cautious rules never call it modular, the code's does."""
    test = ProxyTest([np.nan] * 30, np.full((30, 19), np.nan))
    assert test.fisher("count") > 0.99 and test.effect().mean == 0
    assert test.fisher("ignore") < 1e-10
    assert ProxyTest([1.0], [[np.nan, 0, 2]]).ranks("count").tolist() == [2]


def test_fisher_and_bates_are_scipys():
    tests = [uniform_test(30, 19, seed) for seed in range(5)]
    found = proxies.combine(tests, ties="count")
    expected = [stats.combine_pvalues(t.percentiles("count"), method="fisher")[1] for t in tests]
    assert found.fisher == pytest.approx(expected, rel=1e-12)
    assert found.p_value == pytest.approx(stats.irwinhall(5).cdf(sum(expected)), rel=1e-9)


@pytest.mark.parametrize(("controls", "count"), [(1, 6), (3, 4), (4, 3), (19, 2)])
def test_the_exact_law_by_enumeration(controls, count):
    terms = -np.log((np.arange(controls + 1) + 0.5) / (controls + 1))
    sums = np.array([sum(t) for t in itertools.product(terms, repeat=count)])
    for seed in range(5):
        ranks = np.random.default_rng(seed).integers(0, controls + 1, count)
        expected = (sums >= terms[ranks].sum() - 1e-9).mean()
        assert proxies.fisher_exact(ranks, controls) == pytest.approx(expected, rel=1e-3)


def test_the_exact_law_keeps_its_digits():
    assert proxies.fisher_exact(np.zeros(40, int), 19) == pytest.approx(20.0**-40, rel=1e-6)
    assert proxies.fisher_exact([19] * 10, 19) == pytest.approx(1)


def test_the_chi_squared_law_is_conservative_and_the_exact_one_is_not():
    """Footnote 5 of the paper: 20 sub-clusters, 19 random sets, no ties."""
    ranks = np.random.default_rng(0).integers(0, 20, (2000, 20))
    fisher = [statistics.fisher_combine((row + 0.5) / 20) for row in ranks]
    exact = [proxies.fisher_exact(row, 19) for row in ranks[:150]]
    assert 0.02 < np.mean(np.array(fisher) <= 0.05) < 0.042
    assert 0.01 < np.mean(np.array(exact) <= 0.05) < 0.1


@pytest.mark.parametrize("ties", TIES)
def test_rules_for_ties_where_nothing_is_to_be_found(ties):
    """Forty per cent of ties: the code's rule finds something in nearly all, by lot in few."""
    p = [uniform_test(45, 19, [7, i], values=3).fisher(ties, seed=i) for i in range(30)]
    share = np.mean(np.array(p) <= 0.05)
    assert share > 0.9 if ties == "ignore" else share < 0.2


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 10**6))
def test_rules_are_ordered(groups, controls, seed):
    test = uniform_test(groups, controls, seed, values=3)
    ranks = {ties: test.ranks(ties, seed=seed) for ties in TIES}
    assert (ranks["ignore"] <= ranks["middle"]).all() and (ranks["middle"] <= ranks["count"]).all()
    assert (ranks["ignore"] <= ranks["random"]).all() and (ranks["random"] <= ranks["count"]).all()


def test_which_mean_comes_first():
    draws = np.array([[0.01, 1.0, 100.0]])
    first = statistics.effect_measure([1.0], draws).mean
    each = statistics.effect_measure([1.0], draws, average="draw_by_draw").mean
    assert first == pytest.approx(2 / (1 + draws.mean()))
    assert each == pytest.approx(np.mean(2 / (1 + draws)))
    means = statistics.effect_measure([1.0], draws.mean(1))
    assert means.mean == first


@pytest.mark.parametrize(
    ("true", "controls", "message"),
    [
        ([1.0], [[1.0], [2.0]], "need \\(n,\\) true values"),
        ([], np.empty((0, 3)), "nothing to rank"),
        ([1.0], np.empty((1, 0)), "nothing to rank"),
        ([np.inf], [[1.0]], "finite"),
    ],
)
def test_bad_measurements(true, controls, message):
    with pytest.raises(ValueError, match=message):
        ProxyTest(np.array(true), np.array(controls))


def test_bad_options():
    test = uniform_test(3, 4, 0)
    with pytest.raises(ValueError, match="ties is one of count"):
        test.ranks("sometimes")
    with pytest.raises(ValueError, match="no network"):
        proxies.combine([])
    with pytest.raises(ValueError, match="whole numbers"):
        proxies.fisher_exact([0.5], 19)
    with pytest.raises(ValueError, match="between 0 and 19"):
        proxies.fisher_exact([20], 19)
    with pytest.raises(ValueError, match="controls must be a whole number"):
        proxies.fisher_exact([0], 0)
    with pytest.raises(ValueError, match="every random measurement"):
        statistics.effect_measure([1.0], [1.0], average="draw_by_draw")
