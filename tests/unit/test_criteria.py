"""From one number to met, unclear or not met, and from parts to a verdict."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from book.lab import criteria
from book.lab.criteria import (
    NOISE_FACTOR,
    Criterion,
    Part,
    asked,
    chance,
    combine,
    judge,
    noise_factor,
)

NAN = math.nan


def criterion(test, low=NAN, high=NAN, tolerance=NAN, runs=10):
    return Criterion("test_accuracy", (), test, low, high, tolerance, runs)


@pytest.mark.parametrize(
    ("test", "bounds", "observed", "outcome"),
    [
        ("within", {"low": 0.98, "tolerance": 0.01}, 0.97, "met"),
        ("within", {"low": 0.98, "tolerance": 0.01}, 0.99, "met"),
        ("within", {"low": 0.98, "tolerance": 0.01}, 0.9699, "not met"),
        ("between", {"low": 2.3, "high": 2.45}, 2.3, "met"),
        ("between", {"low": 2.3, "high": 2.45}, 2.4501, "not met"),
        ("between", {"low": 2.3, "high": 2.45, "tolerance": 0.005}, 2.455, "met"),
        ("between", {"low": 2.3, "high": 2.45, "tolerance": 0.005}, 2.294, "not met"),
        ("at_least", {"low": 0.9}, 0.9, "met"),
        ("at_least", {"low": 0.9}, 0.8999, "not met"),
        ("at_least", {"low": 0.9, "tolerance": 0.1}, 0.8, "met"),
        ("at_most", {"high": 0.2}, 0.2, "met"),
        ("at_most", {"high": 0.2}, 0.2001, "not met"),
        ("at_most", {"high": -2}, -1, "not met"),
        ("above", {"low": 0.5}, 0.5, "not met"),
        ("above", {"low": 0.5}, 0.5001, "met"),
        ("below", {"high": 10.2}, 10.2, "not met"),
        ("below", {"high": 10.2}, 10.1999, "met"),
        ("count", {"low": 7, "tolerance": 2}, 5, "met"),
        ("count", {"low": 7, "tolerance": 2}, 4, "not met"),
        ("count", {"low": 7, "tolerance": 2}, 10, "not met"),
    ],
)
def test_bounds_are_inside_or_outside_as_their_names_say(test, bounds, observed, outcome):
    assert judge(Part("p", observed, runs=10), criterion(test, **bounds)) == outcome


@pytest.mark.parametrize(
    ("observed", "ordered", "not_ordered"),
    [
        (0.3, "met", "met"),
        (0.2, "unclear", "met"),
        (0.0, "not met", "met"),
        (-0.2, "not met", "met"),
        (-0.3, "not met", "not met"),
    ],
)
def test_orderings_count_beyond_two_standard_errors(observed, ordered, not_ordered):
    part = Part("gap", observed, spread=0.1, runs=10, spread_is="se")
    assert judge(part, criterion("ordered")) == ordered
    assert judge(part, criterion("not_ordered")) == not_ordered


def test_an_ordering_without_a_spread_goes_by_its_sign():
    assert judge(Part("gap", 1e-12, runs=10), criterion("ordered")) == "met"
    assert judge(Part("gap", -1e-12, runs=10), criterion("not_ordered")) == "not met"


@pytest.mark.parametrize("test", criteria.COMPARATORS)
def test_nan_and_too_few_runs_are_missing_never_failed(test):
    bounded = criterion(test, low=0, high=0, tolerance=0)
    assert judge(Part("p", NAN, runs=10), bounded) == "missing"
    assert judge(Part("p", 0.0, runs=4), bounded) == "missing"
    assert judge(Part("p", 0.0, runs=5), bounded) != "missing"


def test_counts_over_fewer_networks_are_scaled_to_the_papers_number():
    # 6 of 6 is 10 of 10; 4 of 6 is 6.7 of 10
    all_ten = criterion("count", low=10, tolerance=1)
    assert judge(Part("p", 6, runs=6), all_ten) == "met"
    assert judge(Part("p", 5, runs=6), all_ten) == "not met"
    assert judge(Part("p", 4, runs=6), criterion("count", low=7, tolerance=2)) == "met"


def test_a_test_without_its_bounds_is_refused():
    with pytest.raises(ValueError, match="needs 'tolerance'"):
        criterion("count", low=7)
    with pytest.raises(ValueError, match="unknown test"):
        criterion("roughly", low=7)
    with pytest.raises(ValueError, match="at least 1"):
        criterion("above", low=7, runs=0)


# --- parts to a verdict --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], "not run yet"),
        (["met", "met"], "reproduced"),
        (["not met", "not met"], "not reproduced"),
        (["met", "not met"], "partly"),
        (["met", "unclear"], "undecided"),
        (["unclear"], "undecided"),
        (["unclear", "not met"], "partly"),
        (["met", "missing"], "not run yet"),
        (["not met", "missing"], "not run yet"),
    ],
)
def test_combination_of_parts(outcomes, verdict):
    assert combine(outcomes) == verdict


@given(st.lists(st.sampled_from(["met", "unclear", "not met", "missing"])), st.randoms())
def test_the_order_of_parts_does_not_matter(outcomes, random):
    shuffled = random.sample(outcomes, len(outcomes))
    assert combine(shuffled) == combine(outcomes)


def test_an_event_that_was_not_seen_is_unclear_until_it_would_have_shown():
    rare = criterion("occurs", low=0.05)
    assert judge(Part("p", 1, runs=10), rare) == "met"
    assert judge(Part("p", 0, runs=58), rare) == "unclear"  # 0.95 to the 58 is 0.051
    assert judge(Part("p", 0, runs=59), rare) == "not met"


@pytest.mark.parametrize(
    ("observed", "error", "outcome"),
    [(0.1, 0.15, "met"), (-0.1, 0.15, "met"), (0.1, 0.25, "unclear"), (0.6, 0.1, "not met"),
     (-0.4, 0.17, "not met")],
)  # fmt: skip
def test_near_zero_asks_for_an_interval_inside_the_bound(observed, error, outcome):
    part = Part("r", observed, spread=error, runs=10, spread_is="se")
    assert judge(part, criterion("near_zero", high=0.5)) == outcome


def test_least_counts_over_fewer_networks_are_scaled():
    assert judge(Part("p", 3, runs=6), criterion("count_at_least", low=5)) == "met"
    assert judge(Part("p", 2, runs=6), criterion("count_at_least", low=5)) == "not met"


@pytest.mark.parametrize("test", criteria.COMPARATORS)
def test_every_test_says_what_it_asks(test):
    said = asked(criterion(test, low=0.25, high=0.5, tolerance=0.125))
    assert "nan" not in said
    for bound, value in (("low", "0.25"), ("high", "0.5")):
        if bound in criteria.COMPARATORS[test] and test != "occurs":
            assert value in said


def test_few_networks_have_to_differ_by_more():
    assert noise_factor(2) == pytest.approx(12.706, abs=1e-3)
    assert noise_factor(5) == pytest.approx(2.776, abs=1e-3)
    assert noise_factor(1) == noise_factor(10_000) == NOISE_FACTOR < noise_factor(2)
    for runs, outcome in ((2, "unclear"), (10, "met")):
        part = Part("r", 3.0, spread=1.0, runs=runs, spread_is="se")
        assert judge(part, criterion("ordered", runs=runs)) == outcome


@given(st.floats(0.1, 20), st.integers(2, 50))
def test_p_agrees_with_the_bound(observed, runs):
    beyond = observed > float(stats.t.isf(0.025, runs - 1))
    assert (chance(observed, 1.0, runs) < 0.05) == beyond


def test_the_error_in_one_network_is_no_error_over_networks():
    assert criteria.chance(2, 1, 1) == pytest.approx(0.0455, abs=1e-4)  # by the normal
    assert criteria.chance(2, 1, 2) == pytest.approx(0.2952, abs=1e-4)  # t, one degree of freedom
