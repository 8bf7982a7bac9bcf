"""What a curve's shape is, on curves whose shape can be read off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.papers.community_modularity import shapes

CURVES = st.lists(st.floats(-0.5, 1), min_size=2, max_size=20)


def test_trend_is_one_for_a_rising_curve_and_zero_for_a_flat_one():
    assert shapes.trend([0.1, 0.2, 0.5, 0.51]) == pytest.approx(1)
    assert shapes.trend([0.5, 0.4, 0.1]) == pytest.approx(-1)
    assert shapes.trend([0.3, 0.3, 0.3]) == 0


def test_trend_of_one_swapped_pair_is_the_textbook_value():
    # ranks 1 2 3 5 4: 1 - 6 * (1 + 1) / (5 * 24)
    assert shapes.trend([0, 0.1, 0.2, 0.4, 0.3]) == pytest.approx(1 - 12 / 120)


def test_rise_and_steps():
    q = [0.1, 0.4, 0.3]
    assert shapes.rise(q) == pytest.approx(0.2)
    np.testing.assert_allclose(shapes.steps(q), [0.3, -0.1])


def test_a_step_of_a_hundredth_does_not_rise_and_a_loss_is_a_drop():
    q = [0.10, 0.40, 0.405, 0.35, 0.36 - 1e-6, 0.6]
    np.testing.assert_array_equal(shapes.not_rising(q), [False, True, True, True, False])
    assert shapes.drops(q) == 1


def test_plateau_counts_the_last_layers_that_add_nothing():
    assert shapes.plateau_length([0.0, 0.3, 0.6, 0.9]) == 0
    assert shapes.plateau_length([0.0, 0.5, 0.8, 0.81, 0.8, 0.82]) == 3
    assert shapes.plateau_length([0.0, 0.81, 0.8], tolerance=0.01) == 1
    assert shapes.plateau_length([0.0, 0.8, 0.8, 0.4]) == 0  # ends in a drop, not level
    assert shapes.plateau_length([0.2, 0.2, 0.2]) == 2


def test_the_longest_plateau_may_lie_in_the_middle():
    q = [0.0, 0.3, 0.31, 0.3, 0.3, 0.6, 0.8, 0.8]
    assert shapes.longest_plateau(q) == 3
    assert shapes.plateau_length(q) == 1


@given(CURVES)
def test_plateau_is_within_bounds_and_as_level_as_said(q):
    length = shapes.plateau_length(q)
    assert 0 <= length <= shapes.longest_plateau(q) <= len(q) - 1
    assert np.ptp(q[-length - 1 :]) <= shapes.LEVEL * np.ptp(q) + 1e-12


@given(CURVES, st.floats(-1, 1))
def test_shape_does_not_depend_on_where_the_curve_lies(q, shift):
    q = np.round(q, 3)
    moved = np.round(q + np.round(shift, 3), 3)
    assert shapes.trend(moved) == pytest.approx(shapes.trend(q), abs=1e-9)
    assert shapes.distance(moved, q) == pytest.approx(abs(np.round(shift, 3)), abs=1e-9)


def test_distance_and_spread():
    assert shapes.distance([0, 0.2], [0.1, 0.1]) == pytest.approx(0.1)
    np.testing.assert_allclose(shapes.spread([[0, 0.5], [0.1, 0.4], [0.2, 0.45]]), [0.2, 0.1])


@pytest.mark.parametrize("bad", [[0.1], [[0.1, 0.2]], [0.1, float("nan")]])
def test_what_is_no_curve_is_refused(bad):
    with pytest.raises(ValueError, match="curve"):
        shapes.trend(bad)


def test_curves_of_unequal_length_and_negative_tolerance_are_refused():
    with pytest.raises(ValueError, match="same layers"):
        shapes.distance([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="curves of equal length"):
        shapes.spread([0, 1])
    with pytest.raises(ValueError, match="negative"):
        shapes.plateau_length([0, 1], tolerance=-1)
