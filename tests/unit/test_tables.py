"""One rule for all tables: configuration, origin, and what an experiment says of its own."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from book.lab import registry, tables
from book.lab.experiment import Experiment
from modgraph_lib import cache


@dataclass(frozen=True)
class Train:
    data: str
    seed: int
    widths: tuple[int, ...] = (4, 4)
    noise: float = field(default=0.0, metadata=cache.ADDED_LATER)


@dataclass(frozen=True)
class Config:
    train: Train
    stage: str = "pruned"
    layers: tuple[tuple[int, ...], ...] = ((1, 2), (3,))
    seed: int = 7


def rows(record):
    return [{"k": k, "ncut": ncut} for k, ncut in record["result"]["ncuts"]]


def record(key, ncuts, config, **origin):
    return {
        "key": key,
        "config": cache.canonical(config),
        "result": {"ncuts": ncuts},
        "provenance": {"device": "cpu", "seconds": 1.5, "date": "2026", "commit": "c", **origin},
    }


MANY = Experiment("many", Config, rows=rows, columns=("k", "ncut"))


def test_a_row_has_configuration_origin_and_its_own_columns():
    first = Config(Train("mnist", 3))
    other = Config(Train("digits", 4, noise=0.1), stage="unpruned")
    made = MANY.table(
        [record("a", [(2, 0.5), (4, 1.5)], first), record("b", [(2, None)], other, data_note="n")]
    )
    assert made["key"].tolist() == ["a", "a", "b"]
    assert made["k"].tolist() == [2, 4, 2] and made["ncut"].dtype == float
    assert made["data"].tolist() == ["mnist", "mnist", "digits"]
    assert made["stage"].tolist() == ["pruned", "pruned", "unpruned"]
    assert made["seed"].tolist() == [3, 3, 4]  # the network's, not the measurement's
    assert made["noise"].tolist() == [0.0, 0.0, 0.1]  # younger than the first record
    assert made["widths"].tolist() == [(4, 4)] * 3 and made["layers"][0] == ((1, 2), (3,))
    assert made["data_note"].tolist() == ["", "", "n"] and made["seconds"].eq(1.5).all()
    assert made["config"].tolist()[2] == cache.canonical(other)
    assert "train" not in made and made.columns.is_unique


def test_own_columns_win_and_a_record_may_have_no_rows():
    def own(record):
        return [{"seed": 100, "shuffled": np.arange(3)}] if record["key"] == "a" else []

    experiment = Experiment("own", Config, rows=own)
    config = Config(Train("mnist", 3))
    made = experiment.table([record(key, [], config) for key in "ab"])
    assert made["key"].tolist() == ["a"] and made["seed"].tolist() == [100]
    assert made["shuffled"][0].tolist() == [0, 1, 2]


def test_without_a_function_a_record_is_a_row():
    made = Experiment("plain", Config).table([record("a", 5, Config(Train("mnist", 3)))])
    assert made["ncuts"].tolist() == [5]


def test_an_empty_table_can_be_filtered():
    empty = MANY.among({})
    assert empty.empty and {"data", "noise", "k", "date", "key", "config"} <= set(empty)
    kept = empty[(empty["data"] == "mnist") & (empty["k"] < 3)]
    assert kept.empty and np.isnan(kept["ncut"].mean())
    assert MANY.among({"many": MANY.table([])}).columns.tolist() == empty.columns.tolist()


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="rows of many lack the columns ncut"):
        MANY.among({"many": pd.DataFrame({"k": [2]})})


def test_further_tables_of_the_same_records():
    counted = tables.Table(lambda record: [{"count": len(record["result"]["ncuts"])}], ("count",))
    experiment = Experiment("two", Config, rows=rows, others={"counts": counted})
    made = experiment.table([record("a", [(2, 0.5), (4, 1.5)], Config(Train("m", 0)))], "counts")
    assert made["count"].tolist() == [2] and set(experiment.tables) == {"two", "counts"}
    assert "count" in experiment.among({}, "counts")


def test_committed_rows_have_every_column_that_an_empty_table_has():
    made = registry.tables()
    known = {n: one for one in registry.experiments() for n in one.tables}
    for name, experiment in known.items():
        if len(made[name]):
            assert set(experiment.table([], name)) <= set(made[name]), name
