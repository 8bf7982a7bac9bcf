"""Lesion records, their tables, the claims judged by them, and what the chapter makes of both."""

import dataclasses
import itertools
import json

import matplotlib
import numpy as np
import pandas as pd
import pytest

from book.lab import ledger, parameters, store
from book.papers.ncut import mlps
from book.papers.surprisingly_modular.s04_lesions import (
    experiment,
    explorer,
    map_pictures,
    pictures,
)
from book.papers.surprisingly_modular.s04_lesions import page as tables
from book.papers.surprisingly_modular.s04_lesions.measures import lesion_pairs, lesion_rows
from modgraph_lib import cache, lesions, provenance, toys
from tests.made import configured

matplotlib.use("Agg")
SECTION = "surprisingly_modular/04_lesions"


def submodule(depth, module, size, loss, random_loss, total=10_000, intact=8700, population=250):
    """A row of a record; ``random_loss`` is the loss of each of 100 random sets, in images."""
    return {
        "layer": str(3 * depth - 2), "depth": depth, "module": module, "size": size,
        "population": population, "width": 256, "correct": intact - loss,
        "by_class": [870] * 10,
        "random": [intact - r for r in np.resize(random_loss, 100).tolist()],
    }  # fmt: skip


def record(seed=0, kind="weights", rows=None, pairs=None, **train):
    """A record as ``run_one`` would write it, for a network at the paper's settings."""
    rows = rows or [
        submodule(1, 0, 60, 1870, [30, 40]),  # important
        submodule(1, 1, 8, 500, [0, 10]),  # small by both rules
        submodule(2, 0, 50, 350, [30]),  # important
        submodule(2, 2, 40, 90, [10]),  # significant, less than one point
        submodule(3, 2, 40, 300, [10, 300]),  # a tie: significant for the code alone
        submodule(4, 3, 30, 20, [10, 30]),  # other
    ]
    pairs = pairs or [
        {"x": "1-0", "y": "2-0", "both": 8700 - 1880, "random_x": [8000] * 50,
         "random_y": [6900] * 50},
        {"x": "1-0", "y": "3-2", "both": 8700 - 2300, "random_x": [8000] * 50,
         "random_y": [6900] * 50},
    ]  # fmt: skip
    config = experiment.LesionConfig(mlps.condition("fashion_mnist", "dropout", seed), kind=kind)
    config = cache.canonical(config)
    config["train"] = {**config["train"], **train}
    result = {"classes": [1000] * 10, "intact": 8700, "submodules": rows, "pairs": pairs,
              "train_seconds": 60.0}  # fmt: skip
    origin = {"device": "cpu", "seconds": 90.0, "date": f"2026-01-0{seed + 1}T00:00:00Z",
              "commit": "abc", "data_note": ""}  # fmt: skip
    key = f"{kind}-{seed}-{json.dumps(train)}"
    return {"key": key, "config": config, "result": result, "provenance": origin}


def results_of(*records):
    return {
        "mlp_lesions": experiment.table(records),
        "mlp_lesion_pairs": experiment.pairs_table(records),
    }


def test_table_has_both_rules():
    table = experiment.table([record()]).set_index(["rules", "name"])
    assert table.loc[("described", "1-0"), "loss"] == pytest.approx(0.187)
    assert table.loc[("described", "1-0"), "random_mean"] == pytest.approx(-0.0035)
    classes = table["importance"]
    assert classes["described"].tolist() == [
        "important", "small", "important", "sig-but-not-diff", "diff-but-not-sig", "other",
    ]  # fmt: skip
    assert classes["published"]["3-2"] == "important"
    assert table.loc[("described", "3-2"), "p_value"] == pytest.approx(51 / 101)
    assert table.loc[("published", "3-2"), "p_value"] == pytest.approx(1 / 101)


def test_pairs_table():
    table = experiment.pairs_table([record()])
    first, second = table[table["rules"] == "described"].to_dict("records")
    assert first["same_module"] and first["both_important"]
    assert first["delta_y"] == pytest.approx(0.001)  # 2-0 adds next to nothing to 1-0
    assert first["delta_x"] == pytest.approx(0.153)
    assert (first["x_important"], first["y_important"], first["depends"]) == (True, False, True)
    assert not second["both_important"]
    assert (second["x_important"], second["y_important"]) == (True, True)
    assert table["identity"].abs().max() < 1e-12


def test_only_the_papers_settings_count():
    odd = [
        record(1, width=128, widths=[128] * 4),
        record(1, epochs=5),
        record(1, dropout=0.2),
        record(1, data="mnist"),
        record(1, regrowth=True),
        record(1, kind="weights_and_biases"),
    ]
    results = results_of(record(), *odd)
    rows = lesion_rows(results)
    assert set(rows["seed"]) == {0} and len(rows) == 6
    assert lesion_rows(results, kind="weights_and_biases")["seed"].unique().tolist() == [1]
    assert len(lesion_pairs(results)) == 1
    assert lesion_rows({}).empty and lesion_pairs({}).empty
    with pytest.raises(ValueError, match="lack the columns"):
        lesion_rows({"mlp_lesions": rows.drop(columns="rules")})


def test_the_latest_record_of_a_network_counts():
    early, late = record(0), record(0)
    late["key"], late["provenance"]["date"] = "later", "2026-02-01T00:00:00Z"
    assert set(lesion_rows(results_of(late, early))["key"]) == {"later"}


def test_verdicts_from_rows_made_by_hand():
    found = ledger.verdicts(results_of(record(0), record(1)), section=SECTION).set_index("id")
    assert found.loc["SM-73", "verdict"] == "not reproduced"  # two important ones, nine wanted
    assert found.loc["SM-73", "observed"].startswith("important sub-modules: 2 ± 0")
    assert found.loc["SM-76", "verdict"] == "reproduced"
    assert found.loc["SM-79", "verdict"] == "reproduced"
    assert found.loc["SM-78", "verdict"] == "partly"
    assert found.loc["SM-77", "verdict"] == "not run yet"  # no pair between modules
    empty = ledger.verdicts({}, section=SECTION)
    assert set(empty["verdict"]) == {"not run yet"} and len(empty) == 7


def test_the_paper_would_pass_its_own_claims():
    """The printed tables, put in the place of our rows, reproduce every claim."""
    printed = tables.printed_submodules()
    pairs = tables.printed_pairs().assign(both_important=True, identity=0.0)
    same = {
        "data": "fashion_mnist", "variant": "described", "seed": 0, "stage": "pruned", "k": 10,
        "kind": "weights", "rules": "described", "single_controls": 100, "double_controls": 50,
        "epochs": 20, "prune_epochs": 20, "dropout": 0.5, "width": 256, "batch_size": 128,
        "images": 10_000,
    }  # fmt: skip
    train = mlps.condition("fashion_mnist", "dropout", 0)
    results = {
        name: configured(rows.assign(**same), lambda row: experiment.LesionConfig(train))
        for name, rows in (("mlp_lesions", printed), ("mlp_lesion_pairs", pairs))
    }
    found = ledger.verdicts(results, section=SECTION)
    assert set(found["verdict"]) == {"reproduced"}
    assert len(pairs) == 28 and pairs["depends"].sum() == 17
    assert pairs.loc[pairs["same_module"], "depends"].tolist() == [True] * 3
    assert pairs.loc[~pairs["same_module"], "depends"].sum() == 14


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


def small(**changes):
    given = {"seeds": 1, "width": 16, "clusters": 3, "epochs": 1, "prune_epochs": 1,
             "single_controls": 4, "double_controls": 2, "workers": 1}  # fmt: skip
    return experiment.LesionParameters(**{**given, **changes})


def test_run_one_is_stored_and_tells_what_the_library_finds(own_cache):
    (config,) = experiment.configs(small())
    first = experiment.run([config], device="cpu", workers=1)[0]
    assert experiment.run_one(config)["provenance"]["date"] == first["provenance"]["date"]
    assert store.read("mlp_lesions") == [first]
    singles, doubles = experiment.found(first)
    assert {len(one.random) for one in singles} == {4}
    assert len(doubles) == len(lesions.pairs_across_layers([one.submodule for one in singles]))
    model = experiment.training.trained(config.train).model("pruned")
    test = experiment.datasets.load("digits", "test")
    again = lesions.single_lesions(
        model, experiment.parts_of(config, model), test.images, test.labels,
        controls=4, device="cpu",
    )  # fmt: skip
    for one, two in zip(singles, again, strict=True):
        assert one.submodule.name == two.submodule.name
        assert one.accuracy == pytest.approx(two.accuracy, abs=1e-12)
        assert one.random == pytest.approx(two.random, abs=1e-12)
        assert one.by_class == pytest.approx(two.by_class, abs=1e-12)
        assert one.importance() == two.importance()


def test_the_first_sub_modules_are_checked_anew(own_cache):
    (config,) = experiment.configs(small(pairs="important"))
    first = experiment.run_one(config)
    now = experiment.EXPERIMENT.again(first)
    assert 1 <= len(now["submodules"]) <= 4 and now["pairs"] == []
    compare = experiment.EXPERIMENT.compare
    assert compare(first["result"], now)[0] == "identical"
    first["result"]["submodules"][0]["random"][-1] += 1
    assert compare(first["result"], now)[0] != "identical"


def test_other_weights_get_another_record(own_cache, monkeypatch):
    (config,) = experiment.configs(small(pairs="important"))
    first = experiment.run_one(config)
    monkeypatch.setattr(provenance, "weights_digest", lambda weights: "another")
    assert experiment.run_one(config)["key"] != first["key"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "half"}, "stage is"),
        ({"kind": "outgoing"}, "kind is one of"),
        ({"pairs": "some"}, "pairs is one of"),
        ({"k": 0}, "k must be at least 1"),
    ],
)
def test_bad_configurations(change, message):
    (config,) = experiment.configs(small())
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_parameters_are_checked_before_anything_runs():
    with pytest.raises(parameters.ParameterError, match="clusters cannot be found"):
        given = {f.name: parameters.default_of(f) for f in dataclasses.fields(small())}
        parameters.read({**given, "clusters": 1000}, experiment.LesionParameters)


# --- tables and pictures ----------------------------------------------------------------------


def test_tables_beside_the_paper():
    results = results_of(record(0), record(1), record(0, kind="weights_and_biases"))
    beside = tables.classes_beside(results, name="t").data
    assert list(beside.columns) == ["paper", "ours, seed 0", "ours, seed 1"]
    assert beside.loc["important", "paper"] == "9" and beside.loc["sub-modules", "paper"] == "24"
    assert beside.loc["important", "ours, seed 0"] == "2"
    assert beside.loc["most damaging", "paper"] == "1-3: 18.7"
    assert beside.loc["important by layer", "paper"] == "4 1 2 2"
    edges = tables.edges_beside(results, name="t").data
    assert edges.loc["edges", "paper"] == "17"
    assert edges.loc["edges inside a module", "paper"] == "3 of 3"
    assert edges.loc["edges", "ours, all"] == "2"
    kinds = tables.kinds_compared(results, name="t").data
    assert kinds["network"].tolist() == ["seed 0"] and kinds["changes class"].tolist() == [0]
    rules = tables.rules_compared(results, name="t").data
    assert rules.loc["diff-but-not-sig", "important"] == 2
    random = tables.random_sets_by_layer(results, name="t").data
    assert list(random.columns) == ["paper", "bias kept", "activation zero"]
    assert random.loc["layer 1", "bias kept"] == pytest.approx(0.2)
    assert random.loc["layer 4", "paper"] == pytest.approx(0.3, abs=0.02)
    assert "is nearer to the printed numbers" in tables.which_definition(results).data
    readings = tables.claims_by_kind(results, name="t").data
    assert readings.shape[0] >= 7
    assert len(tables.submodules_listed(tables.printed_submodules(), name="t").data) == 24
    assert len(tables.pairs_listed(tables.printed_pairs(), name="t").data) == 28
    assert "2 networks" in tables.lesion_provenance(lesion_rows(results)).data


def test_tables_without_rows_say_so():
    several = (
        tables.classes_beside,
        tables.edges_beside,
        tables.kinds_compared,
        tables.rules_compared,
        tables.random_sets_by_layer,
        tables.claims_by_kind,
    )
    for table in several:
        assert "Not run yet" in table({}, name="t").data
    assert "Not run yet" in tables.which_definition({}).data
    for nothing in ({}, results_of()):
        empty = tables.graph_panels(lesion_pairs(nothing), lesion_rows(nothing))
        assert list(empty) == ["paper"]
    assert "Not run yet" in tables.lesion_provenance(lesion_rows({})).data


def test_pictures():
    results = results_of(record(0), record(0, kind="weights_and_biases"))
    singles, pairs = lesion_rows(results), lesion_pairs(results)
    panels = {"paper": tables.printed_submodules(), "ours": singles}
    texts = {t.get_text() for t in map_pictures.lesion_maps(panels).axes[0].texts}
    assert {"1-3", "4-9"} <= texts and len(texts) == 9
    graph = pictures.dependency_graphs(tables.graph_panels(pairs, singles))
    assert len([p for p in graph.axes[0].patches if hasattr(p, "get_arrowstyle")]) == 17
    assert len([p for p in graph.axes[1].patches if hasattr(p, "get_arrowstyle")]) == 1
    matrix = pictures.pair_matrix({"paper": tables.printed_pairs(), "ours": pairs})
    assert len(matrix.axes[0].texts) == 56
    assert "16.6 ✓" in {t.get_text() for t in matrix.axes[0].texts}
    map_pictures.two_kinds(singles, lesion_rows(results, kind="weights_and_biases"))
    map_pictures.lesion_null(0.5, [0.8, 0.9], name="1-0")
    live = experiment.pairs_table([record()])
    live = live[live["rules"] == "described"].assign(lowest=1 / 51)
    stars = {t.get_text() for t in pictures.all_pairs(singles["name"], singles, live).axes[0].texts}
    assert stars == {"*"}
    for draw in (map_pictures.lesion_maps, pictures.pair_matrix, pictures.dependency_graphs):
        with pytest.raises(ValueError, match="at least one panel"):
            draw({})
    with pytest.raises(ValueError, match="10 accuracies"):
        map_pictures.class_bars({"one": np.zeros(9)}, np.zeros(10), [str(c) for c in range(10)])


@pytest.fixture
def chart():
    relay = toys.relay(4, units=6)
    classes = ["a", "b", "c", "d"]
    return explorer.LesionMap(relay.model, relay.parts, relay.images, relay.labels, classes)


def test_lesion_map(chart):
    assert chart.lesion(()).overall[0] == 1
    for names in itertools.permutations(["1-0", "2-3"]):
        found = chart.lesion(names)
        assert found.by_class[0, :4].tolist() == [0, 1, 1, 0]
    assert chart.lesion(["1-2", "1-3"]).by_class[0, :4].tolist() == [1, 1, 0, 0]
    assert chart.describe(["1-1"]) == (
        "Without 1-1: 75.0% right, 25.0 points lost; most by b (100 points)."
    )
    assert chart.describe([]) == "Nothing lesioned: 100.0% right."
    with pytest.raises(ValueError, match="no sub-module 9-9"):
        chart.lesion(["9-9"])
    shown, intact = explorer.states(chart, [["1-0"], ["1-0", "2-1"]])
    assert list(shown) == ["without 1-0", "without 1-0 and 2-1"]
    assert intact.tolist() == [1] * 4
    map_pictures.class_bars(shown, intact, chart.classes)


def test_live_explorer_follows_its_menus(chart):
    relay = toys.relay(4, units=6)
    singles = lesions.single_lesions(
        relay.model, relay.parts, relay.images, relay.labels, controls=3, device="cpu"
    )
    rows = explorer.map_rows(singles)
    assert isinstance(rows, pd.DataFrame) and len(rows) == 12
    box = explorer.explore(chart, rows)
    menus, sentence, pictures = box.children
    assert "Nothing lesioned" in sentence.value and len(pictures.children) == 2
    menus.children[0].value = ("1-2",)
    assert "Without 1-2" in sentence.value
    before = pictures.children[1].value
    menus.children[0].value = ("1-2", "1-3")
    assert pictures.children[1].value != before


def test_definitions_are_compared_on_networks_lesioned_in_both_ways():
    """A queue that is half done must not compare five networks with two."""
    worse = [{**row, "random": [8000] * 100} for row in record()["result"]["submodules"]]
    zero = "weights_and_biases"
    both = [record(0), record(1, rows=worse), record(0, kind=zero)]
    one = [record(0), record(0, kind=zero)]
    for make in (tables.claims_by_kind, tables.random_sets_by_layer):
        shown, expected = (make(results_of(*found), name="t").to_html() for found in (both, one))
        assert shown == expected
    assert "seed 1" not in tables.kinds_compared(results_of(*both), name="t").to_html()
    alone = tables.random_sets_by_layer(results_of(record(0)), name="t").to_html()
    assert "activation zero" not in alone
