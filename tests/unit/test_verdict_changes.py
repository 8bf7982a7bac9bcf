"""The list of changed verdicts agrees with the verdicts of today."""

import datetime

import yaml

from book.lab import ledger
from book.lab.claims import papers_root


def test_every_listed_change_ends_with_the_verdict_of_today(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    changes = yaml.safe_load((papers_root() / "changes.yaml").read_text("utf8"))
    last = {one["id"]: one for one in changes}
    verdicts = ledger.verdicts(ids=list(last)).set_index("id")["verdict"]
    assert {name: verdicts[name].split(" (")[0] for name in last} == {
        name: one["after"] for name, one in last.items()
    }
    for one in changes:
        assert one["before"] != one["after"] and len(one["reason"]) > 5
        assert isinstance(one["date"], datetime.date)
        # A comma in a plain reason would end it: what follows becomes a key that nobody shows.
        assert set(one) == {"id", "date", "before", "after", "reason"}
