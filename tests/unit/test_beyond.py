"""Part V, pages 1 and 2: records, rows, correlations and sentences, on networks of a second."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from book.lab import registry
from book.papers.beyond import page as chapter
from book.papers.beyond.s01_calibration import depth, experiment, explorer, measures, page, pictures
from book.papers.beyond.s02_agreement import experiment as zoo_experiment
from book.papers.beyond.s02_agreement import measures as zoo_measures
from book.papers.beyond.s02_agreement import page as zoo_page
from book.papers.beyond.s02_agreement import pictures as zoo_pictures
from modgraph_lib import cache
from modgraph_lib.training import TrainConfig


def as_record(config, found):
    """A record as the store gives it back: through JSON."""
    whole = {"key": cache.config_key("x", 1, config), "config": cache.canonical(config), **found}
    return json.loads(json.dumps(whole, allow_nan=False))


@pytest.fixture(scope="module")
def planted_rows():
    configs = [
        experiment.PlantedConfig(leak, seed, mixed=mixed, width=12, steps=steps, shuffles=3)
        for seed in (1, 2)
        for leak, mixed, steps in (
            (0.0, False, 60),
            (0.3, False, 60),
            (0.3, True, 60),
            (1, False, 0),
        )
    ]
    records = [as_record(config, experiment.measure(config)) for config in configs]
    again = experiment.measure(configs[1])["result"]
    assert experiment.compared(records[1]["result"], again)[0] == "identical"
    return experiment.table(records)


def test_a_row_per_network_and_instrument(planted_rows):
    assert planted_rows.groupby("key").size().eq(len(experiment.INSTRUMENTS)).all()
    easy = planted_rows[(planted_rows["leak"] == 0) & (planted_rows["instrument"] == "layered_2")]
    assert (easy["ari"] == 1).all() and (easy["p"] == 0.25).all() and (easy["z"] > 2).all()
    assert planted_rows["p"].isna().equals(planted_rows["instrument"] == "layered_12")


def test_pages_say_what_the_rows_hold(planted_rows):
    assert "2 networks with" in page.answer(planted_rows).data
    seen = page.answer_table(planted_rows).data
    own = planted_rows[(planted_rows["leak"] == 0.3) & (planted_rows["inputs"] == "separate")]
    blind = own[own["instrument"] == "ncut_2"]
    assert seen.loc["n-cut, k = 2", "agreement"] == f"{blind['ari'].mean():.2f}"
    facts = seen.loc["n-cut, k = 2", ["is depth", "significant"]].tolist()
    assert facts == [f"{blind['depth'].mean():.2f}", "0 of 2"]
    table = page.instruments_table(planted_rows).data
    assert list(table.index) == list(experiment.INSTRUMENTS.values())
    assert table.loc["layered Q, up to 12", ("nothing planted", "untrained")] == "–"
    assert list(page.here(planted_rows).data.columns) == ["leak 0", "leak 0.3", "untrained"]
    assert len(pictures.power(page.curves(planted_rows)).axes) == 2
    empty = planted_rows[:0]
    tables = (page.answer_table(empty), page.instruments_table(empty))
    for said in (page.answer(empty), *tables, chapter.provenance(empty)):
        assert said.data == chapter.NOT_RUN


def test_small_networks_decide_nothing(planted_rows):
    assert page.evidence({"planted": planted_rows}).empty
    (part,) = registry.measurement("planted_mean")(
        {"planted": planted_rows}, runs=2, instruments=["ncut_2"], leaks=[0.3], inputs=["mixed"]
    )
    assert math.isnan(part.observed) and part.runs == 0
    (part,) = registry.measurement("untrained_significant")(
        {}, runs=2, instruments=["newman"], leaks=[1.0], inputs=["separate"], trained=False
    )
    assert part.name == "newman, untrained" and math.isnan(part.observed)


def test_the_law_needs_no_network():
    two, five = measures.planted_law({}, runs=1, blocks=(2, 5), share=0.95)
    assert two.observed == pytest.approx(1) and five.observed >= 0.95


def test_the_sweep_is_whole_and_ordered_by_seed():
    given = experiment.PlantedParameters(leaks=[0.0, 1.0], seeds=2, untrained=1)
    found = experiment.configs(given)
    assert [(c.seed, c.steps > 0) for c in found] == [
        (1, True), (1, True), (1, False), (2, True), (2, True),
    ]  # fmt: skip
    names = {section.name for section in registry.sections()}
    assert {"beyond/01_calibration", "beyond/02_agreement"} <= names


def test_a_network_of_the_papers_is_read_again():
    train = TrainConfig("digits", 0, widths=(12, 12), epochs=2, prune_epochs=0)
    config = depth.DepthConfig(train, "unpruned", shuffles=2)
    rows = depth.table([as_record(config, depth.measure(config))])
    assert list(rows["k"]) == list(depth.COUNTS) and rows["depth"].between(0, 1).all()
    assert "Of 1 networks" in page.reread_said(rows).data
    assert page.reread(rows).data["networks"].tolist() == [1]


def test_the_explorer_shows_strands_until_depth_wins():
    below, beyond = explorer.state(0.02), explorer.state(0.3)
    assert below.agreement["n-cut, k = 2"] == 1 and beyond.agreement["n-cut, k = 2"] < 0.1
    assert beyond.agreement["layered Q"] == 1
    np.testing.assert_array_equal(below.answers["strands"], below.answers["n-cut, k = 2"])
    figure = pictures.states([below, beyond])
    assert len(figure.axes) == 6 and "ARI 1.00" in figure.axes[1].get_title("left")
    assert explorer.explore(pictures.states).children[2].value[1:4] == b"PNG"


# --- page 2 ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zoo_rows():
    options = {"epochs": 2, "clusters": 4, "shuffles": 2, "controls": 3, "steps": 3}
    configs = [
        zoo_experiment.config("digits", regime, seed, **options)
        for regime in ("none", "narrow", "pruned")
        for seed in (0, 1)
    ]
    made = [as_record(config, zoo_experiment.measure(config)) for config in configs]
    assert not any(zoo_experiment.keep(record) for record in made)
    return zoo_experiment.table(made)


def test_a_row_per_network_of_the_zoo(zoo_rows):
    assert list(zoo_rows["regime"]) == ["none"] * 2 + ["narrow"] * 2 + ["pruned"] * 2
    assert zoo_rows["accuracy"].between(0.1, 1).all() and zoo_rows["dead"].between(0, 1).all()
    whole = zoo_rows[zoo_rows["parts"] > 0]
    assert len(whole) and (whole["importance"] > 0).all() and (whole["pictures"] > 0).all()
    table = zoo_page.by_regime(zoo_rows).data
    assert table["networks"].tolist() == [2, 2, 2]
    assert len(zoo_pictures.scatter(zoo_rows).axes) == 1
    assert zoo_page.answer(zoo_rows).data == chapter.NOT_RUN


def made_up(count=90, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=count)
    frame = pd.DataFrame(
        {name: common + rng.normal(size=count) for name in (*zoo_experiment.MEASURES, "dead")}
    )
    names = list(zoo_experiment.REGIMES)
    return frame.assign(
        accuracy=common,
        depth=0.5,
        data=np.array(zoo_experiment.DATA)[np.arange(count) // len(names) % 3],
        regime=np.array(names)[np.arange(count) % len(names)],
    )


def test_one_group_is_spearmans_correlation():
    rows = made_up().assign(all=0)
    found = zoo_measures.correlation(rows, "ncut", "layered", within=["all"], draws=200)
    assert found.value == pytest.approx(spearmanr(rows["ncut"], rows["layered"]).statistic)
    assert found.low < found.value < found.high and found.networks == 90


def test_what_data_sets_differ_in_is_no_agreement():
    rows = made_up()
    shift = rows["data"].map({"digits": 0, "mnist_7x7": 100, "fashion_mnist": 200})
    moved = rows.assign(ncut=rows["ncut"] + shift, layered=rows["layered"] - shift)
    before, after = (
        zoo_measures.correlation(one, "ncut", "layered", draws=1).value for one in (rows, moved)
    )
    assert before == pytest.approx(after)


def test_a_common_cause_held_fixed_leaves_nothing():
    rows = made_up(600)
    plain = zoo_measures.correlation(rows, "ncut", "layered", draws=100)
    given = zoo_measures.correlation(rows, "ncut", "layered", given=["accuracy"], draws=100)
    assert plain.low > 0.3 and abs(given.value) < 0.15


def test_networks_without_a_value_are_left_out_and_few_say_nothing():
    rows = made_up()
    rows.loc[:9, "importance"] = np.nan
    assert zoo_measures.correlation(rows, "importance", "ncut", draws=1).networks == 80
    assert math.isnan(zoo_measures.correlation(rows[:9], "ncut", "layered").value)
    alone = rows.assign(each=range(90))
    assert math.isnan(zoo_measures.correlation(alone, "ncut", "layered", within=["each"]).value)


def test_tables_and_sentences_of_the_zoo():
    rows = made_up()
    assert "90 small networks in 9 ways on 3 data sets" in zoo_page.answer(rows).data
    matrix = zoo_page.matrix(rows)
    assert np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1)
    assert len(zoo_pictures.correlations(matrix).axes) == 1
    table = zoo_page.pairs_table(rows).data
    assert list(table.columns) == list(zoo_page.WAYS) and len(table) == 13
    start = rows[rows["regime"] == "clusterable start"]["layered"].mean()
    assert f"have a layered Q z of {start:.0f}" in zoo_page.start_said(rows).data


def test_gaps_of_a_regime(monkeypatch):
    rows = made_up(270).assign(key=[f"k{i}" for i in range(270)])
    rows.loc[rows["regime"] == "wide", "layered"] += 50
    monkeypatch.setattr(zoo_measures, "zoo", lambda results, runs=8: rows)
    parts = zoo_measures.zoo_most({}, runs=8, measure="layered", regime="wide")
    assert [part.name.split(",")[0] for part in parts] == list(zoo_experiment.DATA)
    assert all(40 < part.observed < 60 and part.runs == 10 for part in parts)
    (part,) = zoo_measures.zoo_gap({}, runs=8, measures=["layered"], regime="wide")
    assert 45 < part.observed < 55 and part.spread < 2 and part.runs == 8
