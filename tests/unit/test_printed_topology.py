"""The printed tables of topology shuffles: what they say, and how few shuffles they rest on."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.papers.ncut import topology_measures as topology
from book.papers.ncut import topology_tables as tables
from modgraph_lib import statistics


def test_twelve_tables_of_ten_networks():
    printed = tables.printed_topology()
    assert len(printed) == 120 and list(printed) == tables.COLUMNS
    assert printed.groupby("table").size().eq(10).all()
    assert tables.TABLES["table_a10"] == ("fashion_mnist", "none", "pruned")
    assert tables.TABLES["table_a13"] == ("cifar10_grey", "dropout", "unpruned")


def test_printed_d_follows_from_the_printed_moments():
    """Which also says that no two columns were exchanged."""
    printed = tables.printed_topology()
    for row in printed.itertuples():
        pairs = [
            statistics.cohens_d_from_moments(
                row.shuffle_mean + a * 5e-4, row.shuffle_std + b * 5e-4, 320,
                row.nonzero_mean - a * 5e-4, row.nonzero_std + b * 5e-4, 320,
            )
            for a in (-1, 1)
            for b in (-1, 1)
        ]  # fmt: skip
        assert min(pairs) - 5e-3 <= row.cohens_d <= max(pairs) + 5e-3


def test_what_the_paper_says_of_its_own_tables():
    beside = tables.topology_beside_ours(pd.DataFrame(columns=["table"]))
    paper = beside.xs("paper", axis=1, level=1)
    assert paper.loc["table_a6", "d"] == pytest.approx(-1.237, abs=5e-4)
    assert paper.loc["table_a6", "negative"] == 9
    assert paper.loc["table_a10", "below non-zero"] == 0
    assert beside.xs("ours", axis=1, level=1)["networks"].eq(0).all()


# --- effective number of shuffles ----------------------------------------------------------


@pytest.mark.parametrize("count", [32, 320])
def test_the_number_of_shuffles_is_found_again(count):
    rng = np.random.default_rng(5)
    d = [statistics.cohens_d(*rng.normal(size=(2, count))) for _ in range(400)]
    found = tables.effective_shuffles(d)
    # 400 values leave 7% of chance, and the estimated spreads cost 3% at 32
    assert found.estimate == pytest.approx(count, rel=0.2)
    assert found.low < found.estimate < found.high


def test_repeated_shuffles_count_once():
    rng = np.random.default_rng(6)
    d = [statistics.cohens_d(*np.repeat(rng.normal(size=(2, 32)), 10, axis=1)) for _ in range(400)]
    assert tables.effective_shuffles(d).estimate == pytest.approx(32, rel=0.2)


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=20), st.floats(0.1, 10))
def test_half_the_scatter_means_four_times_the_shuffles(d, factor):
    one = tables.effective_shuffles(d)
    other = tables.effective_shuffles([factor * value for value in d])
    assert other.estimate * factor**2 == pytest.approx(one.estimate)
    assert one.low <= one.estimate


def test_no_scatter_no_answer():
    for d in ([], [0.0, 0.0]):
        with pytest.raises(ValueError, match="not 0"):
            tables.effective_shuffles(d)
    with pytest.raises(ValueError, match="level"):
        tables.effective_shuffles([0.1], level=1.0)


def test_the_printed_tables_rest_on_few_shuffles():
    printed = tables.printed_topology()
    found = tables.effective_shuffles(printed.loc[printed["stage"] == "unpruned", "cohens_d"])
    assert 32 in found and 320 not in found


# --- shapes --------------------------------------------------------------------------------


def test_modes_are_counted_as_the_eye_counts_them():
    rng = np.random.default_rng(0)
    one = rng.normal(size=320)
    assert topology.modes(one) == 1
    assert topology.modes(np.concatenate([one[:160], one[160:] + 6])) == 2
    # a handful of stragglers is no mode
    assert topology.modes(np.concatenate([one, [30.0, 30.1]])) == 1
    assert topology.modes(np.ones(10)) == 0
    assert topology.modes(2.3 + 0.01 * one) == topology.modes(one)


def test_tails():
    rng = np.random.default_rng(1)
    long = rng.lognormal(sigma=0.8, size=320)
    assert topology.right_tailed(long)
    assert not topology.right_tailed(-long)
    assert not topology.right_tailed(rng.normal(size=320))
    assert not topology.right_tailed(rng.uniform(size=320))
    assert not topology.right_tailed(np.ones(10))
