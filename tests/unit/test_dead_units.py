"""Units erased by weight decay: what a cluster of them costs, stored looks, and what pages say."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book.lab import ledger
from book.papers.ncut import cnns, dead_units, mlps
from book.papers.ncut import dead_units_page as shown
from modgraph_lib import clustering, graphs, training

SMALL = {"epochs": 1, "prune_epochs": 1, "width": 16}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))


def two_layers(erased: int, *, size: float = 1e-30, seed: int = 0) -> graphs.LayeredGraph:
    """12 and 10 nodes with random weights; the first few of the second layer all but erased."""
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, (12, 10))
    weights[:, :erased] *= size
    return graphs.LayeredGraph((12, 10), {(0, 1): weights})


def test_a_cluster_of_a_dead_unit_costs_one_or_nothing():
    graph = two_layers(1)
    labels = np.zeros(22, int)
    labels[12] = 1
    assert clustering.ncut(graph, labels) == pytest.approx(1)
    assert clustering.ncut(graph, labels, epsilon=1e-8) == pytest.approx(0, abs=1e-12)
    dense = graph.adjacency().toarray()
    assert clustering.ncut(dense, labels, epsilon=1e-8) == pytest.approx(0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 10))
def test_epsilon_is_added_to_every_volume(seed, epsilon):
    graph = two_layers(0, seed=seed)
    labels = np.random.default_rng(seed).integers(0, 3, 22)
    dense, total = graph.adjacency().toarray(), 0.0
    for cluster in np.unique(labels):
        inside = labels == cluster
        total += dense[inside][:, ~inside].sum() / (dense[inside].sum() + epsilon)
    assert clustering.ncut(graph, labels, epsilon=epsilon) == pytest.approx(total)


def test_isolated_up_to_a_degree():
    smaller, kept = two_layers(2).without_isolated(dead_units.EPSILON)
    assert smaller.layers == (12, 8)
    assert np.flatnonzero(~kept).tolist() == [12, 13]
    assert two_layers(2).without_isolated()[1].all()


def test_three_ways_of_counting():
    train = mlps.condition("digits", "l2", 0, **SMALL)
    config = dead_units.DeadConfig(train, clusters=3, shuffles=4)
    found = dead_units.of_graph(two_layers(2), config)
    assert found["dead"] == 2
    assert found["smallest_degree"] == pytest.approx(12e-30, rel=0.6)
    labels = clustering.spectral_clustering(two_layers(2), 3)
    for name, epsilon in (("ncut", 0), ("ncut_released", 1e-8)):
        by_hand = clustering.ncut(two_layers(2), labels, epsilon=epsilon)
        assert found[name] == pytest.approx(by_hand, abs=1e-6)
    assert found["ncut_released"] < found["ncut"] - 0.9
    living = two_layers(2).without_isolated(1e-8)[0]
    test = clustering.shuffle_test(living, 3, shuffles=4)
    assert found["living_ncut"] == pytest.approx(test.ncut, abs=1e-6)
    np.testing.assert_allclose(found["living_shuffled"], test.shuffled, atol=1e-5)

    whole = dead_units.of_graph(two_layers(0), config)
    assert whole["dead"] == 0
    assert whole["ncut"] == whole["living_ncut"] == pytest.approx(whole["ncut_released"], abs=1e-6)


def test_looks_are_at_unpruned_networks_with_l2():
    trains = [mlps.condition("digits", r, 0, **SMALL) for r in ("none", "l1", "l2")]
    configs = [mlps.NcutConfig(t, s, (3, 4), 5) for t in trains for s in ("unpruned", "pruned")]
    looks = dead_units.among(configs)
    assert looks == [dead_units.DeadConfig(trains[2], "unpruned", 4, 5)]
    # all readings of a CNN's edges ask for one look
    small = cnns.small_cnn("digits", "l2", 0, epochs=1, prune_epochs=1, width=8)
    assert len(dead_units.among(cnns.readings(small))) == 1
    with pytest.raises(ValueError, match="stage is"):
        dead_units.DeadConfig(trains[0], "later")


def test_looks_are_stored_and_found_again():
    train = mlps.condition("digits", "l2", 0, images=200, **SMALL)
    looks = [dead_units.DeadConfig(train, clusters=3, shuffles=4)]
    records = dead_units.run(looks, device="cpu", workers=1)
    assert records == dead_units.run(looks, device="cpu", workers=1)
    (row,) = dead_units.table(records).itertuples()
    graph = graphs.weight_graph(training.trained(train).model("unpruned"))
    test = clustering.shuffle_test(graph, 3, shuffles=4)
    assert row.ncut == pytest.approx(test.ncut, abs=1e-6)
    assert (row.regularizer, row.variant, row.dead) == ("l2", "described", 0)
    # a network of a quick run is no evidence
    experiment = dead_units.EXPERIMENT
    assert not experiment.keep(records[0])
    assert "1 networks of this page" in shown.here(dead_units.table(records)).data
    assert "ask for no network" in shown.here(dead_units.table([])).data


def look(**changes):
    train = dataclasses.asdict(
        mlps.condition("mnist", "l2", changes.pop("seed", 0), **changes.pop("train", {}))
    )
    config = {"train": train, "stage": "unpruned", "clusters": 12, **changes.pop("config", {})}
    result = {
        "dead": 5, "smallest_degree": 1e-30, "ncut": 10.5, "ncut_released": 0.25,
        "living_ncut": 9.0, "living_shuffled": [9.5, 9.6], **changes,
    }  # fmt: skip
    return {"config": config, "result": result, "provenance": {"date": "2026"}, "key": "k"}


def test_a_page_shows_the_papers_cells_only(monkeypatch):
    records = [look(), look(seed=1, ncut_released=3.0, living_ncut=9.55), look(seed=7),
               look(config={"stage": "pruned"}), look(config={"clusters": 4}),
               look(train={"batch_size": 64}), look(train={"variant": "regrowth"})]  # fmt: skip
    table = dead_units.table(records)
    monkeypatch.setattr(ledger, "load_results", lambda: {"dead_units": table})
    rows = shown.of_cells("clusterability/table_a5", "clusterability/table_a8")
    assert rows["seed"].tolist() == [0, 1]
    (line,) = shown.dead_units(rows, name="t").data.to_dict("records")
    assert line["paper"] == 9.639
    assert line["with 1e-8"] == pytest.approx(1.625) and line["lowest"] == 0.25
    assert line["below all"] == "1 of 2"
    assert "Of these 2 networks, 0 have" in shown.near_zero(rows).data
    assert "definition, 1 with" in shown.near_zero(rows).data

    monkeypatch.setattr(ledger, "load_results", lambda: {"dead_units": dead_units.table([])})
    empty = shown.of_cells(*shown.CELLS)
    assert isinstance(empty, pd.DataFrame) and "Not run" in shown.near_zero(empty).data
    assert "Not run" in shown.dead_units(empty, name="t").data
