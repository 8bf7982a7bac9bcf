import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from book.lab import parameters
from book.papers.clusterability.s01_mlps import experiment as clusterability
from book.papers.ncut import mlps
from book.papers.surprisingly_modular.s01_clusterability import experiment as surprisingly_modular
from modgraph_lib import cache

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"width": 16, "batch_size": 64, "epochs": 1, "prune_epochs": 1}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def small(seed=0, regularizer="none", stage="pruned", ks=(3, 4), shuffles=6):
    train = mlps.condition("digits", regularizer, seed, **SMALL)
    return mlps.NcutConfig(train, stage, ks, shuffles)


def test_the_conditions_of_the_papers():
    paper = mlps.condition("mnist", "dropout", 3)
    assert (paper.dropout, paper.epochs, paper.prune_epochs, paper.batch_size) == (0.5, 20, 20, 128)
    cifar = mlps.condition("cifar10_grey", "dropout", 3)
    assert (cifar.dropout, cifar.epochs, cifar.prune_epochs) == (0.2, 20, 40)
    longer = mlps.condition("cifar10_grey", "dropout", 3, variant="published")
    assert (longer.epochs, longer.prune_epochs) == (100, 40)
    l2 = mlps.condition("mnist", "l2", 0)
    assert (l2.l1, l2.l2, l2.first_layer_l1) == (0, 5e-5, False)
    assert mlps.condition("mnist", "l2", 0, variant="published").first_layer_l1
    assert mlps.condition("mnist", "l1", 0, variant="regrowth").regrowth
    for bad, message in [
        (("mnsit", "none"), "Did you mean 'mnist'"),
        (("mnist", "l3"), "regularizer is one of"),
    ]:
        with pytest.raises(ValueError, match=message):
            mlps.condition(*bad, 0)
    with pytest.raises(ValueError, match="variant is one of"):
        mlps.condition("mnist", "l2", 0, variant="secret")


def test_rows_of_a_record():
    records = mlps.run([small(), small(regularizer="l2", stage="unpruned")], workers=1)
    table = mlps.table(records)
    assert set(mlps.table([])) <= set(table)
    assert table.k.tolist() == [3, 4, 3, 4]
    assert table.regularizer.tolist() == ["none", "none", "l2", "l2"]
    row = table.iloc[0]
    null = row.shuffled
    assert len(null) == row.shuffles == 6
    assert row.p_value == (np.sum(null <= row.ncut) + 1) / 7
    assert row.significant == (row.ncut < null.min())
    assert row.nodes + row.isolated == 64 + 4 * 16 + 10
    assert sum(row.cluster_sizes) == row.nodes
    assert 0 < row.ncut < 3


def test_no_records_make_an_empty_table_with_its_columns():
    assert set(mlps.COLUMNS) <= set(mlps.table([]))
    assert mlps.initial_table([]).empty


def test_a_second_run_computes_nothing_and_damage_is_recomputed(folders):
    first = mlps.run([small()], workers=1)
    assert mlps.run([small()], workers=1) == first
    (path,) = (folders / "cache" / "records" / "mlp_ncut").iterdir()
    path.write_text(path.read_text()[:100])
    with pytest.warns(UserWarning, match="recomputed"):
        again = mlps.run([small()], workers=1)
    assert again[0]["result"]["clusterings"] == first[0]["result"]["clusterings"]


def test_published_variants_are_recognised_from_their_settings():
    for data, regularizer in [("mnist", "l2"), ("cifar10_grey", "dropout")]:
        for variant in mlps.VARIANTS:
            train = cache.canonical(mlps.condition(data, regularizer, 0, variant=variant))
            assert mlps.variant_of(train) == variant
            assert mlps.regularizer_of(train) == regularizer


@pytest.mark.parametrize(
    "cls", [surprisingly_modular.ClusterabilityParameters, clusterability.MlpsParameters]
)
def test_parameters_refuse_a_k_larger_than_the_graph(cls):
    field = "clusters" if cls is clusterability.MlpsParameters else "cluster_counts"
    value = 400 if field == "clusters" else [400]
    with pytest.raises(ValueError, match="graph of 330 nodes"):
        cls(**{field: value})
    assert f"{field}:" in parameters.cell(cls)


def test_paper_scale_asks_for_what_the_papers_did():
    p = surprisingly_modular.ClusterabilityParameters(
        data=["mnist", "fashion_mnist", "cifar10_grey"],
        seeds=10, shuffles=320, width=256, batch_size=128, initial_networks=200,
    )  # fmt: skip
    configs = surprisingly_modular.clusterability(p)
    assert len(configs) == 3 * 2 * 10 * 2
    assert {c.shuffles for c in configs} == {320}
    assert {c.cluster_counts for c in configs if c.stage == "pruned"} == {(2, 4, 7, 10)}
    initial = surprisingly_modular.initial_networks(p)
    assert sum(c.networks for c in initial) == 200
    assert all(12 in c.cluster_counts for c in initial)  # shared with the other paper


SWEEP = """
from book.papers.ncut import mlps
configs = [
    mlps.NcutConfig(
        mlps.condition("digits", r, s, width=32, batch_size=16, epochs=6, prune_epochs=6),
        stage, (4,), 20)
    for s in range(2) for r in ("none", "dropout") for stage in ("unpruned", "pruned")]
if __name__ == "__main__":
    mlps.run(configs, device="cpu", workers=2)
"""


def test_a_sweep_killed_at_any_moment_ends_with_the_rows_of_an_undisturbed_one(
    tmp_path, monkeypatch
):
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP)

    def start(cache):
        environment = {**os.environ, "MODGRAPH_CACHE": str(tmp_path / cache)}
        environment["PYTHONPATH"] = str(REPOSITORY)
        return subprocess.Popen(
            [sys.executable, str(script)], env=environment, start_new_session=True
        )

    def rows(cache):
        found = {}
        for path in (tmp_path / cache / "records" / "mlp_ncut").glob("*.json"):
            record = json.loads(path.read_text())
            result = record["result"]
            found[record["key"]] = [result["clusterings"], result["metrics"]]
        return found

    calm = {"__name__": "calm"}
    exec(SWEEP, calm)
    with monkeypatch.context() as patch:  # here, and one after the other
        patch.setenv("MODGRAPH_CACHE", str(tmp_path / "calm"))
        mlps.run(calm["configs"], device="cpu", workers=1)
    for moment in (3.0, 5.0):
        disturbed = start("disturbed")
        time.sleep(moment)
        os.killpg(disturbed.pid, signal.SIGKILL)
        disturbed.wait()
    assert start("disturbed").wait() == 0
    assert len(rows("calm")) == 8
    assert rows("disturbed") == rows("calm")
