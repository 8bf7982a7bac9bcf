"""The registry of experiments, and what a recomputed result is held against."""

import json
from pathlib import Path

import pytest

from book.lab import compare, ledger, registry, store
from book.lab.__main__ import main
from book.lab.experiment import Experiment
from book.lab.registry import tables
from book.lab.verify import verify
from book.papers.ncut import mlps, settings
from book.papers.surprisingly_modular.s04_lesions import experiment as lesions
from modgraph_lib import provenance

COMMITTED = Path(__file__).resolve().parents[2] / "data" / "results"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def test_names_are_unique_and_every_committed_file_has_an_experiment():
    names = [experiment.name for experiment in registry.experiments()]
    assert len(set(names)) == len(names)
    assert {path.stem for path in COMMITTED.glob("*.jsonl")} <= set(names)
    of_tables = [name for experiment in registry.experiments() for name in experiment.tables]
    assert len(set(of_tables)) == len(of_tables)


def test_no_records_make_empty_tables(folders):
    found = tables()
    assert found and all(frame.empty for frame in found.values())
    assert ledger.load_results().keys() == found.keys()


def test_tables_are_read_anew_when_a_record_comes_or_changes(folders, monkeypatch):
    config = mlps.InitialConfig(12, 3, (8, 8), (2,), 0, 1)

    def store_with(ncut):
        origin = provenance.stamp(device="cpu", threads=1, seconds=0.0)
        result = {"ncuts": {"2": [ncut]}}
        mlps.INITIAL.put(config, result, origin)

    assert tables()["mlp_initial_ncut"].empty
    store_with(1.0)
    first = tables()["mlp_initial_ncut"]
    assert first["ncut"].tolist() == [1.0]
    first["ncut"] = 5.0  # a caller's own business
    with monkeypatch.context() as patch:
        patch.setattr(store, "read", lambda name: pytest.fail(f"{name} was read again"))
        assert tables()["mlp_initial_ncut"]["ncut"].tolist() == [1.0]
    store_with(2.0)
    assert tables()["mlp_initial_ncut"]["ncut"].tolist() == [2.0]


def test_commit_and_verify_take_every_experiment_in_turn(folders, capsys, monkeypatch):
    train = mlps.condition("digits", "dropout", 0, width=12, epochs=1, prune_epochs=1)
    quick = {"k": 3, "single_controls": 3, "double_controls": 2, "n_init": 2}
    lesions.run([lesions.LesionConfig(train, **quick)], device="cpu", workers=1)
    for seed in (0, 1):
        config = mlps.NcutConfig(mlps.condition("digits", "none", seed, width=12, epochs=1,
                                                prune_epochs=1), "pruned", (3,), 3)  # fmt: skip
        mlps.run_one(config)
    assert main(["commit"]) == 0
    assert capsys.readouterr().out == ""  # a quick run's rows stay local
    monkeypatch.setattr(settings, "WIDTH", 12)
    assert main(["commit"]) == 0
    written = capsys.readouterr().out.split()
    assert [Path(line).stem for line in written] == ["mlp_lesions", "mlp_ncut"]
    found, _ = verify(records=2)
    assert {item.what.partition(":")[0] for item in found} == {"mlp_lesions", "mlp_ncut"}
    assert [item.outcome for item in found] == ["identical"] * 2
    assert len(verify(records=9)[0]) == 3
    path = folders / "results" / "mlp_lesions.jsonl"
    record = json.loads(path.read_text())
    record["result"]["intact"] -= 100  # of 360 test images
    record["digest"] = store._digest(record)
    path.write_text(json.dumps(record) + "\n")
    assert "differs" in [item.outcome for item in verify(records=9)[0]]


def test_an_experiment_without_a_way_back_is_never_drawn(folders, monkeypatch):
    store.put("dear", 1, {"a": 1}, {}, provenance.stamp(device="cpu", threads=1, seconds=1))
    monkeypatch.setattr(registry, "experiments", lambda: (Experiment("dear", dict),))
    store.commit_records("dear")
    found, (file,) = verify()
    assert found == [] and file.rows == 1 and sum(file.left.values()) == 1


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        ({"a": 2.0, "b": {"c": [1, 3], "d": "x"}, "seconds": 9}, "identical"),
        ({"a": 2.01, "b": {"c": [3, 1], "d": "x"}, "seconds": 1}, "agrees"),
        ({"a": 2.3, "b": {"c": [1, 3], "d": "x"}, "seconds": 1}, "differs"),
        ({"a": 2.0, "b": {"c": [1, 3], "d": "y"}, "seconds": 1}, "differs"),
        ({"a": 2.0, "b": {"c": [1, 3]}, "seconds": 1}, "differs"),
    ],
)
def test_generic_comparison(now, outcome):
    before = {"a": 2.0, "b": {"c": [1, 3], "d": "x"}, "seconds": 1}
    assert compare.results(before, now)[0] == outcome
