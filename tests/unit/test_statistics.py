"""Statistics: closed forms, the papers' own printed numbers, scipy as peer, properties."""

from fractions import Fraction
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from modgraph_lib import statistics as s

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

finite = st.floats(-1e6, 1e6)
samples = st.lists(finite, min_size=2, max_size=20)
probability = st.floats(1e-9, 1)


def test_empirical_p_value_by_hand():
    null = [1, 2, 2, 3]
    assert s.empirical_p_value(0, null) == 1 / 5
    assert s.empirical_p_value(2, null) == 4 / 5
    assert s.empirical_p_value(2, null, ties="ignore") == 2 / 5
    assert s.empirical_p_value(2, null, alternative="greater") == 4 / 5
    assert s.empirical_p_value(9, null, alternative="greater", ties="ignore") == 1 / 5
    # The papers' smallest values with 320, 100 and 50 shuffles.
    for n in (320, 100, 50):
        assert s.empirical_p_value(0, np.ones(n)) == 1 / (n + 1)


@given(st.lists(finite, min_size=1, max_size=30), finite)
def test_empirical_p_value_bounds_and_mirror(null, observed):
    for ties in ("count", "ignore"):
        p = s.empirical_p_value(observed, null, ties=ties)
        assert 1 / (len(null) + 1) <= p <= 1
        mirrored = s.empirical_p_value(
            -observed, [-x for x in null], alternative="greater", ties=ties
        )
        assert p == mirrored
    strict = s.empirical_p_value(observed, null, ties="ignore")
    assert strict <= s.empirical_p_value(observed, null)
    # Every null value is counted by exactly one side when ties are ignored by the other.
    other = s.empirical_p_value(observed, null, alternative="greater", ties="count")
    assert strict + other == pytest.approx(1 + 1 / (len(null) + 1))


def test_centred_percentile_averages_one_half():
    null = np.arange(19)
    ranks = [s.centred_percentile(x, null) for x in np.arange(20) - 0.5]
    assert np.mean(ranks) == pytest.approx(0.5)
    assert min(ranks) == pytest.approx(0.5 / 20)


@pytest.mark.parametrize("null", [[], [1, np.nan], [inf], [[1, 2], [3, 4]]])
def test_bad_null(null):
    for function in (s.empirical_p_value, s.z_score, s.centred_percentile):
        with pytest.raises(ValueError, match="null"):
            function(0.0, null)


def test_bad_arguments():
    with pytest.raises(ValueError, match="observed is NaN"):
        s.empirical_p_value(np.nan, [1])
    with pytest.raises(ValueError, match="alternative"):
        s.empirical_p_value(0, [1], alternative="two-sided")
    with pytest.raises(ValueError, match="ties"):
        s.empirical_p_value(0, [1], ties="half")
    with pytest.raises(ValueError, match="at least 2"):
        s.cohens_d([1], [1, 2])
    with pytest.raises(ValueError, match="standard deviation"):
        s.two_sample_z_from_moments(1, -1, 10, 1, 1, 10)
    with pytest.raises(ValueError, match="at least 2"):
        s.cohens_d_from_moments(1, 1, 1, 1, 1, 10)
    for function in (s.fisher_combine, s.bates_p_value, s.benjamini_hochberg):
        for bad in ([], [1.1], [-0.1], [np.nan]):
            with pytest.raises(ValueError, match="p_values"):
                function(bad)
    with pytest.raises(ValueError, match="alpha"):
        s.benjamini_hochberg([0.1], alpha=0)


def test_z_score_uses_the_population_deviation():
    assert s.z_score(4, [1, 3]) == 2.0
    assert s.z_score(2, [2, 2]) == 0.0
    assert s.z_score(3, [2, 2]) == inf and s.z_score(1, [0.1] * 3) == inf
    assert s.z_score(-1, [2, 2]) == -inf
    assert s.z_score(0.1, [0.1] * 3) == 0.0


def test_cohens_d_by_hand_and_mirror():
    assert s.cohens_d([1, 3], [0, 2]) == pytest.approx(1 / 2**0.5)
    assert s.cohens_d([0, 2], [1, 3]) == pytest.approx(-1 / 2**0.5)
    assert s.cohens_d([1, 1], [1, 1]) == 0 and s.cohens_d([2, 2], [1, 1]) == inf


def test_printed_values_of_the_footnote_on_dropout():
    """Table 1 of Surprisingly Modular gives back the footnote's Z of 13.3, 13.1 and 4.2."""
    table = {  # n-cut without and with dropout: mean and standard deviation over 10 networks
        13.3: (2.000, 0.035, 1.840, 0.015),
        13.1: (1.880, 0.030, 1.726, 0.022),
        4.2: (2.06, 0.14, 1.840, 0.089),
    }
    for printed, (mean_a, sd_a, mean_b, sd_b) in table.items():
        z = s.two_sample_z_from_moments(mean_a, sd_a, 10, mean_b, sd_b, 10)
        assert z == pytest.approx(printed, abs=0.1)


@given(samples, samples)
def test_two_sample_measures_against_scipy(first, second):
    assume(np.std(first) > 1e-3 and np.std(second) > 1e-3)
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert s.two_sample_z(first, second) == pytest.approx(welch.statistic, rel=1e-6, abs=1e-9)
    student = stats.ttest_ind(first, second).statistic
    d = s.cohens_d(first, second)
    harmonic = (1 / len(first) + 1 / len(second)) ** 0.5
    assert d == pytest.approx(student * harmonic, rel=1e-6, abs=1e-9)


@given(st.lists(probability, min_size=1, max_size=12))
def test_fisher_agrees_with_scipy(p_values):
    peer = stats.combine_pvalues(p_values, method="fisher").pvalue
    assert s.fisher_combine(p_values) == pytest.approx(peer, rel=1e-9)


def test_fisher_of_one_is_itself_and_zero_wins():
    assert s.fisher_combine([0.03]) == pytest.approx(0.03)
    assert s.fisher_combine([0.5, 0.0]) == 0.0
    assert s.fisher_combine([1, 1, 1]) == 1.0


def test_bates_by_hand():
    assert s.bates_p_value([0.3]) == 0.3
    assert s.bates_p_value([0.25, 0.25]) == pytest.approx(1 / 8)  # (2x)^2 / 2
    assert s.bates_p_value([0.75, 0.75]) == pytest.approx(7 / 8)
    assert s.bates_p_value([0.5] * 5) == pytest.approx(0.5)
    assert s.bates_p_value([0] * 5) == 0.0 and s.bates_p_value([1] * 5) == 1.0
    # Far in the tail (5 mean)^5 / 120 is exact.
    exact = float(Fraction(5e-24) ** 5 / 120)
    assert s.bates_p_value([1e-24] * 5) == pytest.approx(exact, rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_bates_agrees_with_scipy_and_is_symmetric(p_values):
    p = s.bates_p_value(p_values)
    assert p == pytest.approx(stats.irwinhall(len(p_values)).cdf(sum(p_values)), abs=1e-9)
    assert 0 <= p <= 1
    assert p + s.bates_p_value([1 - x for x in p_values]) == pytest.approx(1, abs=1e-9)


def test_benjamini_hochberg_by_hand():
    result = s.benjamini_hochberg([0.01, 0.04, 0.03, 0.9])
    assert result.rejected.tolist() == [True, False, False, False]  # 0.03 > 0.05 * 2 / 4
    assert result.critical == 0.01
    # A later one that passes takes the earlier ones with it.
    assert s.benjamini_hochberg([0.04, 0.045]).rejected.all()
    nothing = s.benjamini_hochberg([0.5, 0.9])
    assert not nothing.rejected.any() and nothing.critical == 0.0
    assert s.benjamini_hochberg([0.0, 0.9]).rejected.tolist() == [True, False]


@given(st.lists(probability, min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_benjamini_hochberg_agrees_with_adjusted_values(p_values, alpha):
    result = s.benjamini_hochberg(p_values, alpha=alpha)
    clear = np.abs(result.adjusted - alpha) > 1e-12
    assert ((result.adjusted <= alpha) == result.rejected)[clear].all()


def test_effect_measure_by_hand():
    result = s.effect_measure([1, 3, 0], [1, 1, 1])
    assert result.values.tolist() == [1, 1.5, 0]
    assert result.mean == pytest.approx(2.5 / 3)
    assert result.standard_error == pytest.approx(np.std([1, 1.5, 0], ddof=1) / 3**0.5)
    assert isnan(s.effect_measure([1], [1]).standard_error)


def test_effect_measure_variants_differ_below_zero():
    x, mu = [-1, -1, 2, 0, 1], [3, -3, -1, 0, -1]
    assert s.effect_measure(x, mu).values.tolist() == [0, 0.5, 4, 0, 0]
    assert s.effect_measure(x, mu, variant="published").values.tolist() == [0] * 5
    with pytest.raises(ValueError, match="variant"):
        s.effect_measure(x, mu, variant="other")
    with pytest.raises(ValueError, match="random means"):
        s.effect_measure(x, mu[:2])


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_effect_measure_range(pairs):
    x, mu = zip(*pairs, strict=True)
    values = s.effect_measure(x, mu).values
    assert (values >= 0).all() and (values <= 2).all()
    assert ((values > 1) <= (np.array(x) > np.array(mu))).all()


def test_an_interval_contains_its_limits():
    interval = s.Interval(1.0, 0.5, 1.5)
    assert 0.5 in interval and 1.5 in interval and 1.6 not in interval
