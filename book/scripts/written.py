"""``python -m book.scripts.written``: since when each claim is tested as it is today, from git.

Writes ``data/papers/written.csv``: a claim, a digest of its tests, and the time of the first commit
from which on they read like that. The verdicts say from it whether a test is older than the rows
that it judges. A test in the working tree that no commit has yet is written now.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import subprocess
from pathlib import Path

import pandas as pd
import yaml

from book.lab.claims import load_claims, papers_root, tests_digest
from book.lab.criteria import COMPARATORS, Criterion
from book.lab.entries import tests_of
from book.lab.questions import load_questions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "data/papers"


# (claim, what was measured by its name at first) -> its name since: that is no other test.
RENAMED = {
    ("CL-69", "cnn_pruning_gap"): "stack_pruning_gap",
    ("CL-70", "cnn_significant"): "stack_significant",
    ("CL-72", "cnn_highest_ncut"): "stack_highest_ncut",
    ("CL-73", "cnn_pruning_gap"): "stack_pruning_gap",
    ("CL-74", "cnn_significant"): "stack_significant",
    ("CL-76", "cnn_highest_ncut"): "stack_highest_ncut",
    ("CAL-9", "planted_significant"): "untrained_significant",
    ("CAL-10", "planted_significant"): "untrained_significant",
}

# claim -> digest of its tests, and since when they read like that
Since = dict[str, tuple[str, str]]


def main() -> None:
    """Write the file anew and say how many claims it holds."""
    claims = pd.concat([load_claims()[["id", "tests"]], load_questions()[["id", "tests"]]])
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = after([committed()], dict(zip(claims["id"], claims["tests"], strict=True)), now)
    with (papers_root() / "written.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("id", "digest", "written"))
        rows.writerows((name, *since[name]) for name in claims["id"] if name in since)
    print(f"written: {len(since)} claims with a test")


def committed() -> Since:
    """What the last commit holds, from all that came before it."""
    found: dict[str, Since] = {}
    since: Since = {}
    for commit, parents, time in history():
        before = [found[parent] for parent in parents if parent in found]
        since = found[commit] = after(before, tests_at(commit), time)
    return since


def after(before: list[Since], tests: dict[str, tuple[Criterion, ...]], time: str) -> Since:
    """Since when each test reads as it does, in a state of this time that came from those before.

    A test that one of them has already stands since then. Of two branches the one that wrote it
    first counts, so that a merge makes nothing younger.
    """
    since = {}
    for name, found in tests.items():
        if found:
            digest = tests_digest(found)
            older = [one[name][1] for one in before if one.get(name, ("",))[0] == digest]
            since[name] = (digest, min(older, default=time))
    return since


def history() -> list[tuple[str, list[str], str]]:
    """(commit, parents among these, UTC time) of every commit that touched the tests, oldest first.

    Merges are among them.
    """
    options = ("--topo-order", "--reverse", "--full-history", "--parents", "--format=%ct %H %P")
    commits = []
    for line in _git("log", *options, "--", FOLDER).splitlines():
        at, commit, *parents = line.split()
        time = datetime.datetime.fromtimestamp(int(at), datetime.UTC).strftime("%FT%TZ")
        commits.append((commit, parents, time))
    return commits


def tests_at(commit: str) -> dict[str, tuple[Criterion, ...]]:
    """The tests of every claim as a commit has them; columns of claims.csv until 2026-11-28."""
    found = {}
    names = _git("ls-tree", "-r", "--name-only", commit, FOLDER).split()
    if f"{FOLDER}/claims.csv" in names:
        for row in csv.DictReader(io.StringIO(_git("show", f"{commit}:{FOLDER}/claims.csv"))):
            if row.get("measurement"):
                found[row["id"]] = tuple(_of_columns(row))
    for name in names:
        if name.endswith(("/tests.yaml", "/questions.yaml")):
            entries = yaml.safe_load(_git("show", f"{commit}:{name}")) or {}
            found |= {claim: tests_of(entry) for claim, entry in entries.items()}
    return {claim: tuple(_renamed(claim, one) for one in tests) for claim, tests in found.items()}


def _renamed(claim: str, test: Criterion) -> Criterion:
    now = RENAMED.get((claim, test.measurement), test.measurement)
    return dataclasses.replace(test, measurement=now)


def _of_columns(row: dict[str, str]) -> list[Criterion]:
    """The tests of a row of the old table: several in one cell, separated by |."""
    names = ("measurement", "arguments", "test", "low", "high", "tolerance")
    cells = [[piece.strip() for piece in (row.get(name) or "").split("|")] for name in names]
    count = len(cells[0])
    columns = [cell * count if len(cell) == 1 else cell for cell in cells]
    return [
        Criterion(
            measurement,
            tuple(_argument(piece) for piece in arguments.split(";") if piece.strip()),
            test,
            *(float(bound) if bound else float("nan") for bound in bounds),
            runs=int(row["runs"] or 1),
        )
        for measurement, arguments, test, *bounds in zip(*columns, strict=False)
        if test in COMPARATORS
    ]


def _argument(text: str) -> tuple[str, object]:
    name, value = (piece.strip() for piece in text.split("=", 1))
    if name in ("regularizers", "stages"):
        return name, tuple(value.replace("&", "+").split("+"))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _git(*arguments: str) -> str:
    return subprocess.run(
        ("git", *arguments), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main()
