import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from packaging.version import Version

from book.lab import store
from modgraph_lib import cache, provenance
from modgraph_lib.training import checkpoints


@dataclass(frozen=True)
class Config:
    data: str = "digits"
    widths: tuple[int, ...] = (4, 4)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def origin():
    return provenance.stamp(device="cpu", threads=1, seconds=1.0)


def test_a_key_depends_on_content_alone():
    key = cache.config_key("a", 1, Config())
    assert key == cache.config_key("a", 1, {"widths": [4, 4], "data": "digits"})
    others = [("b", 1, Config()), ("a", 2, Config()), ("a", 1, Config("mnist"))]
    assert len({key, *(cache.config_key(*o) for o in others)}) == 4


def test_an_option_added_later_leaves_old_keys_alone():
    @dataclass(frozen=True)
    class Grown(Config):
        regrowth: bool = field(default=False, metadata=cache.ADDED_LATER)

    assert cache.canonical(Grown()) == cache.canonical(Config())
    assert cache.canonical(Grown(regrowth=True))["regrowth"] is True


@pytest.mark.parametrize("value", [np.zeros(2), torch.zeros(1), len])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(TypeError, match="holds only"):
        cache.canonical({"x": value})


def test_nan_in_a_configuration_is_refused():
    with pytest.raises(ValueError, match="cannot hold nan"):
        cache.canonical({"x": float("nan")})


def test_records_come_back_and_commit_to_one_sorted_file(folders):
    for seed in range(3):
        store.put("toy", 1, {"seed": seed}, {"value": seed / 2}, origin())
    assert store.get("toy", 1, {"seed": 1})["result"] == {"value": 0.5}
    assert store.get("toy", 1, {"seed": 9}) is None
    path = store.commit_records("toy", keep=lambda r: r["config"]["seed"] < 2)
    lines = path.read_text().splitlines()
    assert len(lines) == 2 and lines == sorted(lines, key=lambda x: json.loads(x)["key"])
    assert len(store.read("toy")) == 3  # committed and local, one per key
    store.commit_records("toy", keep=lambda r: r["config"]["seed"] == 2)
    assert len(path.read_text().splitlines()) == 3  # what was committed stays


def test_an_empty_cache_goes_on_from_committed_records(folders):
    for n in (1, 2):
        store.put("demo", 1, {"n": n}, {"value": n}, origin())
    path = store.commit_records("demo")
    before = path.read_bytes()
    for one in store._local_paths("demo"):
        one.unlink()
    assert store.get("demo", 1, {"n": 2}) is None
    assert store.adopt("demo") == 2 and store.adopt("demo") == 0
    assert store.get("demo", 1, {"n": 2})["result"] == {"value": 2}
    store.commit_records("demo")
    assert path.read_bytes() == before


def test_a_record_says_where_it_came_from():
    record = store.put("toy", 1, {"seed": 0}, {}, origin())
    found = record["provenance"]
    assert {"commit", "versions", "processor", "device", "threads", "seconds", "date"} <= set(found)
    # What was installed; torch itself also names its build (2.13.0+cu130).
    assert Version(found["versions"]["torch"]).public == Version(torch.__version__).public


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-20], lambda t: t.replace("0.5", "0.6"), str.upper]
)
def test_a_damaged_record_is_reported_and_counts_as_absent(folders, damage):
    store.put("toy", 1, {"seed": 0}, {"value": 0.5}, origin())
    (path,) = (folders / "cache" / "records" / "toy").iterdir()
    path.write_text(damage(path.read_text()))
    with pytest.warns(UserWarning, match="recomputed"):
        assert store.get("toy", 1, {"seed": 0}) is None
    assert store.get("toy", 1, {"seed": 0}) is None  # gone, so no second warning


def test_a_damaged_committed_file_names_its_line(folders):
    store.put("toy", 1, {"seed": 0}, {"value": 0.5}, origin())
    path = store.commit_records("toy")
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(ValueError, match="line 1 is damaged; restore it with"):
        store.read("toy")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")

    def fails(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cache.write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_survive_and_damage_is_noticed(tmp_path):
    path = tmp_path / "weights.safetensors"
    checkpoints.save_tensors(path, {"w": torch.arange(6.0)}, {"epoch": 3})
    tensors, facts = checkpoints.load_tensors(path)
    assert torch.equal(tensors["w"], torch.arange(6.0)) and facts == {"epoch": 3}
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[-1] ^= 1
    for damaged in (whole[:-5], bytes(altered), b""):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="will be recomputed"):
            assert checkpoints.load_tensors(path) is None
        assert not path.exists()


def test_shipped_networks_are_those_of_committed_rows():
    """Each is whole, and some row's ``train``: what is shipped has something to check."""
    folder = store.REPOSITORY / "data"
    rows = [json.loads(line) for file in (folder / "results").glob("*.jsonl")
            for line in file.read_text().splitlines()]  # fmt: skip
    trained = [row["config"]["train"] for row in rows if "train" in row["config"]]
    networks = sorted((folder / "networks").glob("*.safetensors"))
    assert networks
    for path in networks:
        _, facts = checkpoints.load_tensors(path)
        assert facts["config"] in trained
    assert sum(path.stat().st_size for path in networks) < 30e6
