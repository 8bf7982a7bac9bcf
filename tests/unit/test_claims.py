"""The claims' facts, and our tests of them as data."""

from __future__ import annotations

import hashlib
import math
import re
import shutil

import pandas as pd
import pytest

from book.lab import claims as claims_module
from book.lab import criteria, entries, ledger
from book.scripts import written

SM, CL = "surprisingly_modular/01_clusterability", "clusterability/01_mlps"
TABLES_DIGEST = "ecd9750cb3a1d2641d7ebb4a692a61700f1e31cc59613f56a3ea578e84637915"


def test_all_401_claims_are_there_once():
    claims = ledger.load_claims()
    assert len(claims) == 401 == claims["id"].nunique()
    counts = claims["paper"].value_counts()
    assert counts.to_dict() == {
        "clusterability": 134,
        "surprisingly_modular": 86,
        "cnn_dynamics": 77,
        "community_modularity": 59,
        "detecting_modularity": 45,
    }


def test_the_claims_of_both_sections_have_tests():
    claims = ledger.load_claims().set_index("id")
    first = [f"SM-{n:02}" for n in (*range(1, 39), *range(64, 73))]
    second = ["CL-01", "CL-05", "CL-06", "CL-133", "CL-134"]
    second += [f"CL-{n:02}" for n in (*range(7, 28), *range(97, 105))]
    assert sorted(claims.index[claims["section"] == SM]) == sorted(first)
    assert sorted(claims.index[claims["section"] == CL]) == sorted(second)


def test_tables_are_as_transcribed():
    root = claims_module.papers_root() / "tables"
    digest = hashlib.sha256()
    for path in sorted(root.glob("*/*.csv")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    assert digest.hexdigest() == TABLES_DIGEST


def test_a_missing_table_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="MODGRAPH_PAPERS"):
        ledger.load_claims(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t.tail(1)]), "more than once: DM-45"),
        (lambda t: t.assign(value_low=t["value_low"].replace("2.3", "2.2")), "transcription"),
        (lambda t: t.drop(columns="setting"), "lacks the columns setting"),
        (lambda t: t.assign(paper="another"), "unknown papers: another"),
    ],
)
def test_altered_facts_are_refused(tmp_path, change, message):
    facts = pd.read_csv(
        claims_module.papers_root() / "claims.csv", dtype=str, keep_default_na=False
    )
    change(facts).to_csv(tmp_path / "claims.csv", index=False)
    with pytest.raises(ValueError, match=message):
        ledger.load_claims(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test: ordered", "test: roughly", "unknown test 'roughly'"),
        ("measure: separation", "measure: seperation", "no measurement 'seperation'.*'separation'"),
        ("of: {data: mnist, k: 4}", "of: {k: 4}", "missing a required .*argument: 'data'"),
        ("  text: ", "  txet: ", "'txet' is none of .*Did you mean 'text'"),
        ("  text: .*(?:\n    .*)*\n", "", "its sentence"),
        ("  section: .*\n", "", "belong together"),
        ("\n  test: .*\n", "\n", "a test needs test"),
        ("SM-08:", "SM-99:", "SM-99: no claim of surprisingly_modular"),
        ("SM-08:", "SM-07:", "SM-07 occurs more than once"),
        ("  runs: 10", "  runs: 0", "runs must be at least 1"),
        ("  low: 0.9", "  high: 0.9", "needs 'low'"),
        ("  low: 0.9", "  low: [0.9", "tests.yaml: while parsing"),
        ("SM-08:", "SM-08: 3\nother:", "SM-08: an entry has names and values"),
    ],
)
def test_a_faulty_entry_is_refused_with_the_fault(tmp_path, old, new, message):
    root, paper = claims_module.papers_root(), "surprisingly_modular"
    shutil.copytree(root / paper, tmp_path / "papers" / paper)
    shutil.copy(root / "claims.csv", tmp_path / "papers")
    path = tmp_path / "papers" / paper / "tests.yaml"
    text, found = re.subn(old.replace("{", "\\{"), new, path.read_text("utf8"))
    assert found
    path.write_text(text, "utf8")
    with pytest.raises(ValueError, match=message):
        ledger.load_claims(tmp_path / "papers", arguments=True)


def test_it_is_known_since_when_every_test_reads_as_it_does():
    claims = ledger.load_claims()
    tested = claims[claims["tests"].map(bool)]
    unknown = tested["id"][tested["written"] == ""].tolist()
    assert not unknown, "run python -m book.scripts.written"


def test_what_several_tests_share_stands_beside_them(tmp_path):
    path = tmp_path / "tests.yaml"
    path.write_text(
        """A: {section: s, runs: 5, text: t, reason: r, measure: separation, of: {data: mnist},
            test: at_least, low: 0.9, tests: [{of: {k: 4}}, {of: {k: 12}, low: 0.5}]}"""
    )
    found, faults = entries.read(path, arguments=True)
    assert not faults
    first, second = found["A"].tests
    assert dict(first.arguments) == {"data": "mnist", "k": 4} and first.low == 0.9
    assert dict(second.arguments) == {"data": "mnist", "k": 12} and second.low == 0.5
    assert first.runs == second.runs == 5


def test_a_merge_makes_no_test_younger():
    nan = math.nan
    one, other = (criteria.Criterion("m", (), "at_least", low, nan, nan, 1) for low in (1.0, 2.0))
    first = written.after([], {"A": (one,)}, "2026-01-01")
    changed = written.after([first], {"A": (other,)}, "2026-01-02")
    apart = written.after([first], {"A": (one,), "B": (one,)}, "2026-01-03")
    merged = written.after([changed, apart], {"A": (other,), "B": (one,), "C": ()}, "2026-01-04")
    assert {name: time for name, (_, time) in merged.items()} == {
        "A": "2026-01-02",
        "B": "2026-01-03",
    }
    back = written.after([merged], {"A": (one,)}, "2026-01-05")
    assert back["A"][1] == "2026-01-05"


def test_another_name_of_what_is_measured_makes_no_test_younger(monkeypatch):
    told = {
        "claims.csv": "id,measurement,arguments,test,low,high,tolerance,runs\n"
        "CL-70,cnn_significant,data=mnist_stack,at_least,1,,,5\n"
        "CL-40,cnn_significant,data=mnist,at_least,1,,,5\n",
        "tests.yaml": "CL-70: {runs: 5, measure: stack_significant, test: at_least, low: 1,\n"
        "  of: {data: mnist_stack}}\n"
        "CL-40: {runs: 5, measure: stack_significant, test: at_least, low: 1, of: {data: mnist}}",
    }
    names = {"old": "claims.csv", "new": "tests.yaml"}

    def git(command, *rest):
        if command == "ls-tree":
            return f"data/papers/{names[rest[2]]}"
        return told[rest[0].rpartition("/")[2]]

    monkeypatch.setattr(written, "_git", git)
    before = written.after([], written.tests_at("old"), "2026-01-01")
    now = written.after([before], written.tests_at("new"), "2026-01-02")
    assert {name: time for name, (_, time) in now.items()} == {
        "CL-70": "2026-01-01",
        "CL-40": "2026-01-02",  # not renamed there: another measurement
    }
