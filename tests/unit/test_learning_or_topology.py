"""Noise and topology-preserving shuffles: configurations, measurements, tables, pictures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from book.lab import ledger
from book.lab.registry import measurement
from book.papers.ncut import mlps, settings
from book.papers.ncut import topology_measures as topology
from book.papers.ncut import topology_pictures as pictures
from book.papers.ncut import topology_tables as tables
from book.papers.surprisingly_modular.s01_clusterability import experiment as surprisingly_modular
from book.papers.surprisingly_modular.s02_learning_or_topology import experiment
from book.papers.surprisingly_modular.s02_learning_or_topology import page as learning
from modgraph_lib import clustering, graphs, statistics, toys
from tests import made

SECTION = "surprisingly_modular/02_learning_or_topology"
PAPER = experiment.LearningOrTopologyParameters(
    noises=list(experiment.NOISES),
    data=["mnist", "fashion_mnist", "cifar10_grey"],
    seeds=10,
    cluster_counts=[4, 12],
    shuffles=320,
    noise_share=1.0,
    width=256,
    batch_size=128,
    epochs=20,
    prune_epochs=20,
)


# --- what is run ---------------------------------------------------------------------------


def test_the_paper_scale_is_the_papers():
    configs = experiment.noise_networks(PAPER)
    trains = {c.train: None for c in configs}
    assert len(trains) == 3 * 10 * 2 and len(configs) == 4 * len(trains)
    assert {(t.data, t.epochs, t.prune_epochs, t.reshuffle) for t in trains} == {
        ("random", 20, 20, True),
        ("random", 1000, 20, True),
        ("random_memorisation", 100, 100, False),
    }
    assert {(t.images, t.widths) for t in trains} == {(0, (256,) * 4)}
    assert {(c.cluster_counts, c.shuffles) for c in configs} == {((4,), 320), ((12,), 50)}


def test_full_shuffles_share_the_records_of_the_first_section():
    first = surprisingly_modular.clusterability(
        surprisingly_modular.ClusterabilityParameters(
            data=["mnist"], seeds=1, shuffles=320, width=256, batch_size=128
        )
    )
    again = experiment.topology_networks(replace(PAPER, data=["mnist"], seeds=1))
    assert set(first) <= set(again)
    kept = [c for c in again if c.method == "layer_nonzero"]
    assert len(kept) == 2 * 2 * 2 and all(len(c.cluster_counts) == 1 for c in kept)


def test_a_share_of_the_noise_limits_the_images():
    assert experiment.noise_network("memorisation", "none", 0, share=0.1).images == 300
    assert experiment.noise_network("noise", "none", 0, share=0.5).images == 30_000
    assert experiment.noise_network("kilo_epoch", "none", 0).epochs == 1000
    for wrong in ({"noise": "silence"}, {"share": 0.0}, {"share": 1.5}):
        asked = {"noise": "noise", "regularizer": "none", "seed": 0, **wrong}
        with pytest.raises(ValueError, match=r"noise is one of|share must"):
            experiment.noise_network(**asked)


def test_a_network_without_training_has_not_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    train = mlps.condition("digits", "none", 0, epochs=1, prune_epochs=0, width=8, images=64)
    still = replace(train, learning_rate=1e-12)
    assert experiment.distance_moved(still) == pytest.approx(0, abs=1e-6)
    assert experiment.distance_moved(train) > 1e-3


# --- toys ----------------------------------------------------------------------------------

LAYERS = (64, 64, 64, 64, 64, 16)


@pytest.mark.parametrize("place", ["topology", "weights"])
def test_strands_cost_what_a_pencil_says_on_average(place):
    ncuts = []
    for seed in range(20):
        weights, strand = toys.placed_strands(
            4, LAYERS, place=place, leak=0.05, kept=0.5, seed=seed
        )
        ncuts.append(clustering.ncut(graphs.weight_graph(weights), strand))
    error = np.std(ncuts, ddof=1) / 20**0.5
    assert np.mean(ncuts) == pytest.approx(12 / 23, abs=4 * error)


def test_only_one_kind_of_shuffle_tells_topology_from_weights():
    found = {}
    for place in ("topology", "weights"):
        weights, _ = toys.placed_strands(4, LAYERS, place=place, leak=0.05, kept=0.5, seed=1)
        graph = graphs.weight_graph(weights)
        found[place] = [
            clustering.shuffle_test(graph, 4, shuffles=8, method=method)
            for method in clustering.SHUFFLE_METHODS
        ]
    full, kept = found["topology"]
    assert kept.shuffled == pytest.approx(full.ncut) and full.significant and not kept.significant
    full, kept = found["weights"]
    assert full.significant and kept.significant
    assert kept.shuffled.mean() == pytest.approx(full.shuffled.mean(), rel=0.03)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"place": "nowhere"}, "place is"), ({"kept": 0.0}, "kept must")]
)
def test_strands_that_cannot_be_built_are_refused(wrong, message):
    asked = {"place": "weights", "leak": 0.1, "kept": 0.5, **wrong}
    with pytest.raises(ValueError, match=message):
        toys.placed_strands(2, (4, 4), seed=0, **asked)


# --- the printed tables --------------------------------------------------------------------


def network_rows(data, regularizer, stage, k, seeds, *, ncut, null, method="layer", **changes):
    """Rows at the papers' settings; ``null`` gives a seed's shuffles."""
    usual = settings.of(data)
    lines = []
    for seed in range(seeds):
        shuffled = np.asarray(null(seed))
        line = dict.fromkeys(mlps.table([]), 0.0) | {
            "data": data, "regularizer": regularizer, "variant": "described", "seed": seed,
            "stage": stage, "k": k, "method": method, "ncut": ncut + 0.001 * seed,
            "shuffle_mean": shuffled.mean(), "shuffle_std": shuffled.std(),
            "shuffles": len(shuffled), "shuffled": shuffled,
            "p_value": statistics.empirical_p_value(ncut + 0.001 * seed, shuffled),
            "significant": bool(ncut + 0.001 * seed < shuffled.min()), "train_accuracy": 0.102,
            "nodes": usual.nodes, "isolated": 0, "epochs": usual.epochs,
            "prune_epochs": usual.prune_epochs, "width": 256, "batch_size": 128, "images": 0,
            "dropout": usual.dropout if regularizer == "dropout" else 0.0, "device": "cpu",
            "date": "2026-01-02", "data_note": "",
            "key": f"{data}-{regularizer}-{stage}-{k}-{seed}-{method}",
        }  # fmt: skip
        lines.append(line | changes)
    return made.configured(pd.DataFrame(lines), made.mlp)


def bell(centre, width, count, rng):
    return lambda seed: rng.normal(centre, width, count)


@pytest.fixture
def results():
    """Ten networks a cell as the papers find them, at k = 4 and 12."""
    rng = np.random.default_rng(0)
    frames = []
    for k, count, scale in ((4, 320, 1.0), (12, 50, 4.5)):
        for data, seeds in (("mnist", 10), ("fashion_mnist", 10), ("cifar10_grey", 10)):
            for regularizer, gain in (("none", 0.05), ("dropout", 0.15)):
                for stage, ncut, sign in (("unpruned", 2.4, 0), ("pruned", 1.8, 1)):
                    for method in ("layer", "layer_nonzero"):
                        centre = 2.05 - (method == "layer_nonzero") * sign * gain
                        null = bell(scale * centre, 0.02, count, rng)
                        frames.append(
                            network_rows(
                                data, regularizer, stage, k, seeds,
                                ncut=scale * ncut, null=null, method=method,
                            )
                        )  # fmt: skip
        for data, ncut, accuracy in (
            ("random", 2.06, 0.102),
            ("random_memorisation", 1.88, 1.0),
        ):
            for regularizer in ("none", "dropout"):
                for stage in ("unpruned", "pruned"):
                    learned = accuracy == 1.0 and regularizer == "none"
                    value = 2.33 if stage == "unpruned" else ncut if learned else 2.06
                    frames.append(
                        network_rows(
                            data, regularizer, stage, k, 10, ncut=scale * value,
                            null=bell(scale * 2.05, 0.02, count, rng),
                            train_accuracy=accuracy if learned else 0.11,
                        )
                    )  # fmt: skip
    return {"mlp_ncut": pd.concat(frames, ignore_index=True)}


def test_measurements_give_the_numbers_they_name(results):
    (part,) = measurement("mean_ncut")(results, data="random", k=4, runs=10)
    assert part.observed == pytest.approx(2.06 + 0.0045) and part.runs == 10
    (part,) = measurement("train_accuracy")(results, data="random_memorisation", k=4, runs=10)
    assert part.observed == 1.0
    (part,) = measurement("memorising_networks")(
        results, k=12, runs=10, regularizer="none", threshold=0.2
    )
    assert part.observed == 10
    (part,) = measurement("data_gap")(
        results, data="random", other="mnist", k=12, runs=5, data_runs=10
    )
    assert part.observed == pytest.approx(4.5 * 0.26 + 0.0025) and part.runs == 5
    (gap,) = measurement("data_gap")(
        results, data="random", other="random_memorisation", k=4, runs=10, relative=True
    )
    assert gap.observed == pytest.approx(0.18, abs=0.01)


def test_thousand_epochs_are_not_taken_for_twenty(results):
    asked = {"data": "random", "k": 4, "runs": 10, "epochs": 1000}
    assert measurement("mean_ncut")(results, **asked)[0].runs == 0
    table = results["mlp_ncut"].assign(epochs=1000)
    changed = {"mlp_ncut": made.configured(table, made.mlp)}
    assert measurement("mean_ncut")(changed, **asked)[0].runs == 10
    assert measurement("mean_ncut")(changed, **{**asked, "epochs": None})[0].runs == 0


def test_topology_measurements(results):
    asked = {"data": "mnist", "k": 4, "runs": 10, "regularizers": ("dropout",)}
    (part,) = measurement("topology_gain")(results, **asked)
    assert part.observed == pytest.approx(0.15, abs=0.005) and part.spread_is == "se"
    (part,) = topology.mean_cohens_d(results, **asked)
    assert part.observed == pytest.approx(7.5, rel=0.1)
    (turned,) = topology.mean_cohens_d(results, **asked, sign=-1)
    assert turned.observed == -part.observed and len(part.keys) == 20
    (before,) = topology.mean_cohens_d(results, **asked, stages=("unpruned",))
    assert abs(before.observed) < 0.1
    parts = topology.share_of_shape(
        results, data="mnist", k=4, runs=10, regularizer="none", stage="unpruned", shape="bimodal"
    )
    assert [part.name for part in parts] == ["all shuffles", "non-zero shuffles"]
    with pytest.raises(ValueError, match="shape is one of"):
        topology.share_of_shape(
            results, data="mnist", k=4, runs=10, regularizer="none", stage="pruned", shape="round"
        )


def test_a_network_with_one_kind_of_shuffle_is_left_out(results):
    table = results["mlp_ncut"]
    few = {"mlp_ncut": table[(table["method"] == "layer") | (table["seed"] < 3)]}
    (part,) = measurement("topology_gain")(few, data="mnist", k=4, runs=10, regularizers=("none",))
    assert part.runs == 3
    ours = tables.topology_rows(few)
    assert len(ours) == 12 * 3
    assert tables.topology_rows({}).empty


def test_rows_of_both_nulls_agree_with_the_library(results):
    ours = tables.topology_rows(results)
    assert len(ours) == 120 and set(tables.COLUMNS) <= set(ours)
    row = ours.iloc[25]
    assert row["cohens_d"] == statistics.cohens_d(row["shuffled"], row["nonzero_shuffled"])
    assert row["shuffle_std"] == pytest.approx(np.std(row["shuffled"], ddof=1))
    assert row["below_nonzero"] == (row["ncut"] < row["nonzero_shuffled"].min())


def test_every_claim_is_judged_but_those_about_a_thousand_epochs(results):
    frame = ledger.verdicts(results, section=SECTION).set_index("id")
    assert sorted(frame.index) == sorted([f"SM-{n}" for n in range(39, 64)] + ["SM-86"])
    kilo = {"SM-43", "SM-44", "SM-45", "SM-46"}
    assert set(frame.index[frame["verdict"] == "not run yet (about 4.5 hours)"]) == kilo
    reproduced = ["SM-39", "SM-40", "SM-41", "SM-47", "SM-49", "SM-53", "SM-54", "SM-56", "SM-60"]
    assert set(frame.loc[reproduced, "verdict"]) == {"reproduced"}
    assert frame.loc["SM-61", "verdict"] == "not reproduced"
    second = ledger.verdicts(results, ids=[f"CL-{n}" for n in range(105, 123)]).set_index("id")
    waiting = {"CL-108", "CL-109", "CL-110"}
    assert set(second.index[second["verdict"] == "not run yet (about 4.5 hours)"]) == waiting
    assert second.loc["CL-119", "verdict"] == "reproduced"


# --- what is shown -------------------------------------------------------------------------


def test_tables_and_pictures_with_and_without_rows(results, monkeypatch):
    monkeypatch.setattr(ledger, "load_results", lambda: results)
    ours = learning.ours()
    none = tables.topology_rows({})
    for rows in (ours, none):
        assert len(learning.twelve_tables(rows, name="a").data) == 24
        assert len(learning.networks_listed(rows, name="b").data) == 120
        assert "shuffles" in learning.counted_shuffles(rows).data
        assert pictures.effect_sizes(learning.printed_topology(), rows).axes
    assert "not run yet" in learning.counted_shuffles(none).data
    assert "not run yet" in learning.twelve_tables(none, name="a").to_html()
    shown = learning.nulls_here(ours, name="c").data
    assert len(shown) == 12 and "d" in shown
    assert len(pictures.two_nulls(ours[ours["data"] == "mnist"], stage="pruned").axes) == 2


def test_noise_lines_name_their_images(results):
    table = results["mlp_ncut"]
    table = table[table["data"].str.startswith("random") & (table["k"] == 4)]
    shown = learning.noise_here(table.assign(images=300), name="a").data
    assert list(shown["images"]) == ["300"] * 4 and set(shown["data"]) == {"noise"}
    assert "10 of 10" in set(shown["below all"])


def test_spreads_of_table_1_divide_by_one_less():
    table = learning.spread_checked()
    printed = table["Table 1"].astype(float)
    # one unit of the last digit, since the ten n-cuts are rounded as well
    assert (printed - table["n - 1"]).abs().max() < 1.5e-3
    assert (printed - table["n"]).abs().max() > 5e-3


def test_every_p_value_has_the_form():
    kinds = learning.kinds_of_p()
    assert kinds["printed"].tolist() == [120, 120]
    assert (kinds["of the form"] == kinds["printed"]).all()
    assert kinds["strictly between"].sum() == 58


def test_pictures_refuse_what_they_cannot_draw():
    empty = tables.topology_rows({})
    with pytest.raises(ValueError, match="no rows"):
        pictures.two_nulls(empty, stage="pruned")
    with pytest.raises(ValueError, match="at least one network"):
        pictures.effect_sizes(empty, empty)
    with pytest.raises(ValueError, match="at least one d"):
        pictures.equal_nulls([])
    assert pictures.equal_nulls([0.1, -0.1]).axes
