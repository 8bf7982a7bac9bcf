"""Second looks at rows: small tables with known answers."""

import numpy as np
import pandas as pd
import pytest

from book.papers.ncut import readings


@pytest.fixture
def table():
    common = {"data": "mnist", "regularizer": "none", "stage": "pruned", "k": 4}
    first = np.array([2.1, 2.0, 1.7, 2.2])
    second = np.array([2.0, 2.0, 2.2, 2.2])
    rows = []
    for ncut, null in ((1.8, first), (2.0, second)):
        rows.append(
            {
                **common,
                "ncut": ncut,
                "shuffled": null,
                "shuffles": 4,
                "shuffle_mean": null.mean(),
                "shuffle_std": null.std(),
                "z_score": (ncut - null.mean()) / null.std(),
                "train_accuracy": 0.9,
                "train_accuracy_final": 0.95,
                "test_accuracy": 0.88,
            }
        )
    return pd.DataFrame(rows)


def test_natural_spread(table):
    (row,) = readings.natural_spread(table).to_dict("records")
    assert row["gap"] == pytest.approx(1.9 - 2.05)
    assert row["over_networks"] == pytest.approx(np.sqrt(0.02))
    assert row["leaving"] == pytest.approx(1.9 / 4)
    assert row["leaving_shuffled"] == pytest.approx(2.05 / 4)


def test_fewer_shuffles_counts_strictly_below_the_first_n(table):
    (row,) = readings.fewer_shuffles(table, (2, 4, 9)).to_dict("records")
    assert row == {
        "data": "mnist", "regularizer": "none", "stage": "pruned", "k": 4,
        "networks": 2, 2: 1, 4: 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="from 1 up"):
        readings.fewer_shuffles(table, ())


def test_accuracy_definitions(table):
    (row,) = readings.accuracy_definitions(table).to_dict("records")
    assert (row["running average"], row["evaluated"], row["test"]) == (0.9, 0.95, 0.88)


def test_empty_tables_give_empty_frames(table):
    for read in (readings.natural_spread, readings.accuracy_definitions):
        assert read(table.iloc[:0]).empty


def test_worst_cells_are_sorted_and_leave_out_what_is_not_run():
    columns = pd.MultiIndex.from_product([["n-cut", "SD", "networks"], ["paper", "ours"]])
    beside = pd.DataFrame(
        [
            [2.0, 2.01, 0.02, 0.01, 5, 5],
            [2.0, 2.10, 0.02, 0.01, 5, 1],
            [2.0, 1.80, np.nan, 0.02, 5, 3],
            [2.0, np.nan, 0.02, np.nan, 5, 0],
            [2.0, 1.50, np.nan, 0.02, 5, 2],
        ],
        index=["near", "far", "farther", "not run", "two networks"],
        columns=columns,
    )
    found = readings.worst_cells(beside)
    assert list(found["cell"]) == ["farther", "far"]
    assert list(found["deviations"]) == pytest.approx([-10.0, 5.0])
