"""One sweep by several processes, shards or machines: claimed once, and the same bits."""

import json
import os
import subprocess
import sys
import threading

import joblib
import pytest
from joblib.externals.loky import get_reusable_executor

from book.lab import claim, registry, store
from book.lab import run as runs
from book.lab.__main__ import main
from book.lab.run import read_parameters, run, section_of
from modgraph_lib import cache
from tests import kills

TINY = {"data": ["digits"], "regularizers": ["none", "dropout"], "seeds": 2, "width": 8,
        "clusters": 3, "epochs": 2, "prune_epochs": 1, "shuffles": 2, "initial_networks": 2,
        "device": "cpu", "workers": 2}  # fmt: skip
SECTION = "clusterability/01_mlps"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def claims_in(folder):
    return sorted(path.name for path in (folder / "claims").glob("*"))


# --- claims -----------------------------------------------------------------------------------


def test_a_name_is_claimed_by_one_and_free_again_after(own_cache):
    first = claim.claim("a")
    assert first and claim.claim("a") is None and claim.claim("ab")
    claim.release(first)
    assert claims_in(own_cache) == ["ab.0"]
    assert claim.claim("a")


def asked_at_once(name, count):
    """What so many threads get that ask for one name at the same moment."""
    start, got = threading.Barrier(count), []

    def ask():
        start.wait()
        got.append(claim.claim(name))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return got


def test_of_many_that_ask_at_once_one_gets_it():
    for name in map(str, range(30)):
        assert sum(one is not None for one in asked_at_once(name, 8)) == 1


def left_by(owner, folder, name="a", age=0.0):
    """A claim that somebody else made so many seconds ago."""
    path = folder / "claims" / f"{name}.0"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(owner) if owner else "")
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))
    return path


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


ELSEWHERE = {"host": "elsewhere", "place": "x", "pid": 1, "token": "t"}


@pytest.mark.parametrize(
    ("owner", "age", "free"),
    [
        ("dead", 0, True),
        (ELSEWHERE, claim.STALE - 30, False),
        (ELSEWHERE, claim.STALE + 30, True),
        ("alive", claim.STALE - 30, False),
        ("alive", claim.STALE + 30, True),
        (None, 0, False),
        (None, claim.BEAT + 30, True),
    ],
)
def test_a_claim_outlives_neither_its_owner_nor_its_silence(own_cache, owner, age, free):
    if owner in ("dead", "alive"):
        pid = dead_process() if owner == "dead" else os.getpid()
        owner = {**claim._here(), "pid": pid, "token": "t"}
    left_by(owner, own_cache, age=age)
    found = claim.claim("a")
    assert (found is not None) == free
    if found:
        assert claim.claim("a") is None
        claim.release(found)
        assert claims_in(own_cache) == []


def test_of_many_heirs_one_inherits_and_the_late_owner_takes_nothing(own_cache):
    for name in map(str, range(30)):
        path = left_by(ELSEWHERE, own_cache, name, claim.STALE + 30)
        late = claim.Claim(path, path.read_text())
        (heir,) = [one for one in asked_at_once(name, 6) if one]
        claim.release(late)
        assert claim.claim(name) is None
        claim.release(heir)


def test_claims_are_touched_while_the_work_goes_on(own_cache, monkeypatch):
    monkeypatch.setattr(claim, "BEAT", 0.01)
    with claim.kept_alive() as held:
        held.append(claim.claim("a"))
        os.utime(held[0].path, (0, 0))
        for _ in range(1000):
            if held[0].path.stat().st_mtime > 0:
                break
            threading.Event().wait(0.01)
        assert held[0].path.stat().st_mtime > 0
    assert claims_in(own_cache) == []


# --- runs -------------------------------------------------------------------------------------


def test_shards_share_every_section_out_and_keep_networks_together():
    for section in registry.sections():
        for scale in runs.SCALES:
            given = section.sweeps(read_parameters(section, scale))
            assert runs._parts(list(given), 1, 1)[1] == 0
            found, homes = [], {}
            for index in (1, 2, 3):
                parts, left = runs._parts(list(given), index, 3)
                for sweep, groups in parts:
                    assert not sweep.reads_all
                    found += [config for configs in groups.values() for config in configs]
                    for name in groups:
                        assert homes.setdefault(name, index) == index
            alone = sum(len(sweep.configs) for sweep in given if not sweep.reads_all)
            assert len(found) == alone
            assert left == sum(len(sweep.configs) for sweep in given if sweep.reads_all)


def rows(folder, **how):
    os.environ["MODGRAPH_CACHE"] = str(folder)  # monkeypatch puts it back
    section = section_of(SECTION)
    how = {"shard": (1, 1), **how}
    assert run(section, read_parameters(section, changes=TINY), say=lambda line: None, **how)
    return kills.records(folder)


def test_the_same_bits_alone_in_processes_in_threads_and_in_four_shards(own_cache):
    alone = rows(own_cache / "alone", workers=1)
    assert len(alone) == 9
    get_reusable_executor().shutdown()  # its processes keep the environment they began with
    assert rows(own_cache / "processes", workers=2) == alone
    get_reusable_executor().shutdown()
    with joblib.parallel_config(backend="threading"):
        assert rows(own_cache / "threads", workers=2) == alone
    parts = [set(rows(own_cache / "shards", workers=1, shard=(i, 4))) for i in (1, 2, 3, 4)]
    assert kills.records(own_cache / "shards") == alone
    assert all(len(after) > len(before) for before, after in zip(parts, parts[1:], strict=False))


@pytest.mark.filterwarnings("default")  # of a cluster that closes
def test_and_on_a_cluster_of_two_workers_with_two_threads(own_cache, capsys):
    distributed = pytest.importorskip("distributed")
    alone = rows(own_cache / "alone", workers=1)
    os.environ["MODGRAPH_CACHE"] = str(own_cache / "cluster")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None
    ) as cluster:
        changes = [part for n, v in TINY.items() for part in ("-p", n, json.dumps(v))]
        arguments = ["run", SECTION, *changes, "--dask", cluster.scheduler_address]
        assert main(arguments) == 0
        assert kills.records(own_cache / "cluster") == alone
        os.environ["MODGRAPH_CACHE"] = str(own_cache / "another")  # which the workers do not see
        assert main(arguments) == 2
        assert "give all one MODGRAPH_CACHE" in capsys.readouterr().err
    assert not (own_cache / "another" / "records").exists()


def test_a_run_waits_for_what_another_works_on(own_cache, monkeypatch):
    monkeypatch.setattr(runs, "WAIT", 0.01)
    section = section_of(SECTION)
    parameters = read_parameters(section, changes=TINY)
    (name, *_) = runs._parts(list(section.sweeps(parameters)), 1, 1)[0][0][1]
    theirs = claim.claim(name)
    said = []

    def hear(line):
        said.append(line)
        if "waiting for 1 networks of other runs" in line:
            assert len(store.read("mlp_ncut")) == 6  # all but the two of that network
            claim.release(theirs)

    assert run(section, parameters, workers=1, say=hear)
    assert len(store.read("mlp_ncut")) == 8 and claims_in(own_cache) == []


def test_a_spent_budget_lets_go_of_its_claims(own_cache):
    section = section_of(SECTION)
    long = read_parameters(section, changes={**TINY, "epochs": 500})
    assert not run(section, long, budget=1.0, workers=1, say=lambda line: None)
    assert claims_in(own_cache) == []


def test_kills_lose_and_double_nothing(tmp_path):
    section = section_of(SECTION)
    run(section, read_parameters(section, changes=kills.SMALL | {"seeds": 2}), workers=1)
    found = kills.disturbed(tmp_path / "killed", kills=2, runs=2, sharded=True, seeds=2, seed=1)
    assert found["kills"] == 2 and found["records"] == kills.records(tmp_path)
    assert set(found["written"].values()) == {1} and found["claims"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dask", "nowhere.json"], "neither the address of a scheduler"),
        (["--shard", "3/2"], "write I/N with I from 1 to N"),
        (["--shard", "half"], "write I/N with I from 1 to N"),
        (["--workers", "2", "--dask", "tcp://x:1"], "not allowed with"),
    ],
)
def test_what_cannot_be_shared_out_is_said_in_one_line(arguments, message, capsys):
    if arguments[1] == "nowhere.json":
        pytest.importorskip("distributed")
    try:
        assert main(["run", SECTION, *arguments]) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    assert message in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named_before_the_work(monkeypatch, capsys):
    monkeypatch.setenv("MODGRAPH_CACHE", "/dev/null/cache")
    assert main(["run", SECTION]) == 2
    assert "/dev/null/cache, or name another" in capsys.readouterr().err
    assert cache.cache_root().name == "cache"
