"""Committed rows are checked: as they stand, and by computing a sample anew."""

import json
import math

import pytest

from book.lab import compare, costs, registry, store, verify
from book.lab.__main__ import main
from book.papers.detecting_modularity.s02_twenty_numbers import experiment as twenty
from book.papers.ncut import mlps, settings
from modgraph_lib import cache, training

SMALL = {"width": 16, "batch_size": 64, "epochs": 1, "prune_epochs": 1}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(settings, "WIDTH", 16)  # committed at this size
    return tmp_path


def small(seed=0):
    train = mlps.condition("digits", "none", seed, **SMALL)
    return mlps.NcutConfig(train, "pruned", (3, 4), 6)


@pytest.fixture
def committed(folders):
    mlps.run([small(), small(1)], workers=1)
    mlps.run_initial([mlps.InitialConfig(inputs=20, widths=(8,), networks=3)], workers=1)
    assert main(["commit"]) == 0
    return folders / "results"


def changed(path, change, *, signed):
    """Let ``change`` loose on the first row; ``signed`` makes its digest fit again."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows[0])
    if signed:
        rows[0]["digest"] = store._digest(rows[0])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_rows_that_are_as_they_were_are_identical(committed, capsys):
    said = []
    found, files = verify.verify(say=said.append)
    assert [item.outcome for item in found] == ["identical"] * 3
    assert said[0].startswith("3 rows of 2 files have their digest and their key, 0 have not")
    assert len(said) == 4 and all(line.startswith("identical ") for line in said[1:])
    assert {file.experiment.name: file.outcomes["identical"] for file in files} == {
        "mlp_initial_ncut": 1,
        "mlp_ncut": 2,
    }
    assert main(["verify", "--records", "1"]) == 0
    told = capsys.readouterr().out
    assert "1 records recomputed, 0 differ" in told and "mlp_ncut " in told


def raise_ncut(row):
    row["result"]["clusterings"]["3"]["ncut"] *= 1.2


def change_seed(row):
    row["config"]["train"]["seed"] += 7


@pytest.mark.parametrize(
    ("change", "signed", "message"),
    [
        (raise_ncut, True, "ncut off by"),
        (raise_ncut, False, "line 1 is damaged"),
        (change_seed, True, "its key is not of its configuration"),
    ],
)
def test_a_row_changed_by_hand_is_found(committed, capsys, change, signed, message):
    changed(committed / "mlp_ncut.jsonl", change, signed=signed)
    assert main(["verify"]) == 1
    told = capsys.readouterr().out
    assert message in told and told.endswith(" 1 differ\n")


def test_weights_come_from_the_cache_unless_training_is_asked_for(committed, monkeypatch):
    trained = []
    train = training.train

    def noted(configs, *given, **options):
        trained.extend(configs)
        return train(configs, *given, **options)

    monkeypatch.setattr(training, "train", noted)
    verify.verify()
    assert trained == []
    verify.verify(train=True)
    assert len(trained) == 2
    for path in (committed.parent / "cache" / "networks").iterdir():
        path.write_bytes(path.read_bytes()[:-8])  # its digest does not fit any more
    trained.clear()
    with pytest.warns(UserWarning, match="is damaged"):
        found, _ = verify.verify()
    assert len(trained) == 2 and {item.outcome for item in found} == {"identical"}
    assert len(list((committed.parent / "cache" / "networks").iterdir())) == 2  # none was touched


def test_a_budget_leaves_what_takes_longer_and_says_so(committed, monkeypatch):
    monkeypatch.setattr(costs.Costs, "of", lambda self, experiment, row: (
        (1e6, "") if experiment.name == "mlp_ncut" else (0.0, "")
    ))  # fmt: skip
    found, files = verify.verify(budget=100)
    assert [item.what.split(":")[0] for item in found] == ["mlp_initial_ncut"]
    (line,) = [file.line() for file in files if file.experiment.name == "mlp_ncut"]
    assert line.endswith("not recomputed: the quickest takes about 1,000,000 s")


def test_rows_of_uncommitted_code_are_marked_and_come_first(committed):
    path = committed / "mlp_ncut.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, commit in zip(rows, ("abc+changes", "abc"), strict=True):
        row["provenance"]["commit"] = commit
        row["digest"] = store._digest(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    key = rows[0]["key"]
    for seed in range(4):
        found, files = verify.verify(records=2, seed=seed)
        assert key in {item.key for item in found}
    assert "1 of uncommitted code" in [file.line() for file in files][-1]


def test_without_rows_it_says_so(capsys):
    with pytest.raises(FileNotFoundError, match="no committed records"):
        verify.verify()
    assert main(["verify"]) == 2 and "no committed records" in capsys.readouterr().err


def test_every_experiment_can_compute_its_rows_anew():
    without = {one.name for one in registry.experiments() if not one.recomputes}
    assert without == {
        "community_pretrained", "dm_imagenet_features", "dm_imagenet_lesions",
    }  # fmt: skip  # ImageNet weights, and no rows


def test_a_row_of_the_paper_on_groups_is_recomputed_and_a_change_found(folders):
    train = mlps.condition("digits", "none", 0, **SMALL)
    config = twenty.NullConfig(train, partitions=4)
    record = twenty.EXPERIMENT.run_one(config)
    outcome, _ = twenty.EXPERIMENT.compare(record["result"], twenty.EXPERIMENT.again(record))
    assert outcome == "identical"


def test_a_network_of_another_processor_leaves_a_row_open(committed, monkeypatch):
    def other(row):
        row["provenance"]["processor"] = "another"
        row["result"]["clusterings"]["3"]["ncut"] *= 1.2

    changed(committed / "mlp_ncut.jsonl", other, signed=True)
    found, _ = verify.verify()
    assert sorted(item.outcome for item in found) == ["differs", "identical", "identical"]
    found, _ = verify.verify(train=True)
    assert sorted(item.outcome for item in found) == ["identical", "identical", "open"]


def test_times_agree_by_their_proportions():
    before = {"one_seconds": 1.0, "two_seconds": 3.0}
    assert compare.times(before, {"one_seconds": 2.0, "two_seconds": 6.0})[0] == "agrees"
    assert compare.times(before, {"one_seconds": 9.0, "two_seconds": 1.0})[0] == "differs"
    assert math.isfinite(compare.TOLERANCES["number"])


def test_a_network_shipped_beside_the_records_is_taken(committed, monkeypatch):
    """And not trained anew, although the cache of whoever checks is empty."""
    shipped = committed.with_name("networks")
    shipped.mkdir()
    for path in (cache.cache_root() / "networks").glob("*.safetensors"):
        path.rename(shipped / path.name)
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: pytest.fail("trained anew"))
    found, _ = verify.verify()
    assert [item.outcome for item in found] == ["identical"] * 3


def test_results_that_cannot_be_written_are_told_before_the_work(folders, capsys):
    (folders / "results").write_text("a file in the place of the folder")
    assert main(["commit"]) == 2
    told = capsys.readouterr().err.strip()
    assert "results cannot be written: File exists; repair it, or name another" in told
    assert "\n" not in told


def test_no_file_is_left_out_where_the_time_is_enough(monkeypatch):
    """Rows take half of what is said: 100 s are enough for one of each, and for some small ones."""
    clock, turns = [0.0], []
    monkeypatch.setattr(verify.time, "monotonic", lambda: clock[0])
    costs_of = {"small": [1.0] * 99, "middle": [60.0, 40.0], "large": [95.0]}
    files = [
        verify.File(None, queue=[(cost, {"name": name}) for cost in own])
        for name, own in costs_of.items()
    ]
    for _, row, cost in verify._drawn(files, 100.0, pace := verify.Pace(1.0, 1.0)):
        turns.append(row["name"])
        clock[0] += cost / 2
        pace.add(cost, cost / 2)
    assert turns[:3] == ["small", "middle", "large"] and turns.count("small") > 2
    assert clock[0] <= 100
    assert pace.factor == pytest.approx(0.5, abs=0.02)
