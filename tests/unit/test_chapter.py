"""What chapters show: before anything has been run, and from rows made by hand."""

import numpy as np
import pandas as pd
import pytest

from book.lab import ledger, words
from book.papers.ncut import mlps, nulls
from book.papers.ncut import page as chapter
from tests.made import configured, mlp

SECTION = "surprisingly_modular/01_clusterability"
DATA = ("mnist", "fashion_mnist", "cifar10_grey")


def row(**changes):
    null = np.linspace(2.0, 2.1, 320)
    base = {
        "data": "mnist", "regularizer": "none", "variant": "described", "seed": 0,
        "stage": "pruned", "k": 4, "method": "layer", "ncut": 1.95, "shuffle_mean": null.mean(),
        "shuffle_std": null.std(), "shuffles": 320, "shuffled": null, "p_value": 1 / 321,
        "z_score": -3.4, "significant": True, "train_accuracy": 0.99,
        "train_accuracy_final": 1.0, "test_accuracy": 0.98, "train_loss": 0.01,
        "test_loss": 0.05, "cluster_sizes": (5, 5, 5, 5),
        "nodes": 1800, "isolated": 18, "epochs": 20, "prune_epochs": 20, "dropout": 0.0,
        "width": 256, "batch_size": 128, "images": 0, "device": "cpu", "seconds": 30.0,
        "train_seconds": 60.0, "date": "2026-01-02T00:00:00", "commit": "abcdef123",
        "data_note": "", "key": "k0",
    }  # fmt: skip
    return {**base, **changes}


@pytest.fixture
def nothing(monkeypatch):
    empty = {"mlp_ncut": mlps.table([]), "mlp_initial_ncut": mlps.initial_table([])}
    monkeypatch.setattr(ledger, "load_results", lambda: empty)
    return empty


@pytest.fixture
def ten(monkeypatch):
    rows = [row(seed=seed, key=f"k{seed}", ncut=1.9 + 0.01 * seed) for seed in range(10)]
    table = configured(pd.DataFrame(rows), mlp)
    results = {"mlp_ncut": table, "mlp_initial_ncut": mlps.initial_table([])}
    monkeypatch.setattr(ledger, "load_results", lambda: results)
    return table


def rows_of(**changes):
    asked = {"data": ("mnist",), "regularizers": ("none",), "stages": ("pruned",), "ks": (4,)}
    return chapter.paper_rows(**{**asked, **changes}, runs=10)


def test_everything_can_be_shown_before_anything_is_run(nothing):
    rows = rows_of()
    assert rows.empty and set(mlps.COLUMNS) <= set(rows)
    table = "surprisingly_modular/table_1"
    assert "not run yet" in chapter.status(SECTION, data=DATA).data
    assert "2.000 ± 0.035" in chapter.beside(table).to_html()
    assert "not run yet" in chapter.beside(table).to_html()
    assert chapter.variants(table, like="CIFAR").to_html()
    for shown in (
        chapter.provenance(rows),
        chapter.differences(table),
        chapter.spread(rows, name="a"),
        chapter.counts(rows, (32, 320), name="b"),
        chapter.accuracies(rows, name="c"),
        chapter.lowest(rows, "l2"),
        chapter.initial_range(chapter.initial_rows(k=4, runs=200), rows),
        chapter.drawn(rows, nulls.null_against_networks),
    ):
        assert "Not run yet" in shown.data


def test_rows_at_the_papers_settings_are_found_and_told(ten):
    rows = rows_of()
    assert len(rows) == 10
    assert "10 networks, 15 minutes of work (cpu), 2026-01-02" in chapter.provenance(rows).data
    html = chapter.beside("surprisingly_modular/table_1").to_html()
    assert "1.945 ± 0.030" in html and "10 of 10" in html
    assert "1 of 6 cells have been run" in chapter.differences("surprisingly_modular/table_1").data
    assert "MNIST" in chapter.spread(rows, name="a").to_html()
    assert "below the first 32" in chapter.counts(rows, (32, 320), name="b").to_html()
    assert "10 on MNIST" in chapter.status(SECTION, data=DATA).data


def test_far_cells_are_named(ten):
    ten["ncut"] += 0.5
    assert "MNIST" in chapter.differences("surprisingly_modular/table_1").data.split("2 SD")[1]


def test_one_network_has_no_spread_to_hold_a_difference_against(ten):
    ten.loc[1:, "epochs"] = 5
    ten["config"] = configured(ten, mlp)["config"]
    assert chapter.provenance(rows_of()).data.startswith("*1 network, ")
    ten["k"] = 12  # the second paper prints no spread over networks
    said = chapter.differences("clusterability/table_a5").data
    assert "no spread" in said and "2 SD" not in said


def test_cells_of_one_or_two_networks_are_told_apart(ten):
    ten.loc[3:4, "regularizer"] = "l1"  # two of five networks, far off too, without a spread
    ten["config"] = configured(ten, mlp)["config"]
    ten["k"] = 12  # the second paper prints no spread over networks
    said = chapter.differences("clusterability/table_a5").data
    assert "2 of 8 cells have been run" in said
    assert "(cells of fewer than 3 networks, without a spread: 1)" in said
    assert "no regulariser" in said.split("2 SD")[1]
    assert "L1" not in said.split("2 SD")[1]


def test_other_scales_do_not_count(ten):
    ten["config"] = configured(ten.assign(epochs=5), mlp)["config"]
    assert rows_of().empty


def test_initial_range_names_trained_networks_above(ten):
    untrained = pd.DataFrame({"seed": [0, 1], "ncut": [1.80, 1.945]})
    told = chapter.initial_range(untrained, rows_of()).data
    assert "between 1.800 and 1.945" in told and "(5 of 10)" in told


def test_live_table_has_a_line_a_condition_and_a_fixed_id(ten):
    html = [chapter.live(ten, name="x").to_html() for _ in range(2)]
    assert html[0] == html[1]
    assert "18 of 1818" in html[0]


def test_bands_are_numbers_by_condition():
    table = chapter.bands("surprisingly_modular/table_1")
    first = table[(table["data"] == "mnist") & (table["regularizer"] == "none")].iloc[0]
    assert (first["ncut_mean"], first["shuffle_ncut_std"]) == (2.0, 0.017)
    later = chapter.bands("clusterability/table_a5", "clusterability/table_a6")
    assert len(later) == 16 and later["ncut_std"].isna().all()
    assert set(later["stage"]) == {"pruned", "unpruned"}


def test_command_names_the_files():
    assert f"-f notebooks/params/paper/{SECTION}.yaml" in chapter.command(SECTION).data


def test_who_made_rows_and_when():
    made = {"date": ["2026-11-22T09:00", "2026-11-21"], "device": ["cpu", "cpu"]}
    rows = pd.DataFrame(made)
    assert words.origin(rows) == words.Origin("2026-11-21 to 2026-11-22", "cpu", "", "")
    rows = rows.assign(commit=["a" * 40, "b" * 40], data_note=["grey", ""]).iloc[:1]
    found = words.origin(rows)
    assert found == words.Origin("2026-11-22", "cpu", "`aaaaaaaa`", "grey")
    assert found.under("One.").data == "*One.* *Data: grey.*"
