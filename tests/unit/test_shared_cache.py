"""What many configurations would cost a shared cache, computed from what one costs."""

import json

from book.scripts import shared_cache
from tests.benchmarks import store


def test_costs_and_rows_become_a_table(tmp_path):
    assert shared_cache.text(tmp_path).startswith("Not measured yet")
    costs = {"claim": 0.001, "look": 0.002, "record": 0.003, "network": 0.004}
    facts = {"seconds": costs, "times": 9, "provenance": {"date": "2026-01-02T03:04:05Z"}}
    (tmp_path / "cache_costs.json").write_text(json.dumps(facts))
    rows = [
        {"result": {"train_seconds": seconds}, "provenance": {"seconds": 1.0}}
        for seconds in (4.0, 99.0, 1000.0)
    ]
    (tmp_path / "mlp_ncut.jsonl").write_text("\n".join(map(json.dumps, rows)))
    *_, line = shared_cache.text(tmp_path).splitlines()
    # 100 s each and 10 ms of the cache: 10,000 workers keep it busy.
    assert line.endswith("| 100 s | 11.6 | 1.7 min | 10,000 |")


def test_costs_are_measured_and_leave_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(store, "TIMES", 2)
    store.main()
    found = json.loads((tmp_path / "results" / "cache_costs.json").read_text())
    assert set(found["seconds"]) == {"claim", "look", "record", "network"}
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert list((tmp_path / "cache").iterdir()) == []
