"""The 401 claims and their tests, read from ``data/papers/claims.csv`` and checked.

The first ten columns are facts transcribed from the papers and may not change; the others are
ours. Several tests of one claim stand in one row, separated by ``|``.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from pathlib import Path

import pandas as pd

from book.lab import registry
from book.lab.criteria import COMPARATORS, Criterion
from book.lab.store import REPOSITORY

__all__ = ["FACTS", "FACTS_DIGEST", "OURS", "PAPERS", "criteria_of", "load_claims", "papers_root"]

FACTS = (
    "paper",
    "id",
    "where",
    "claim",
    "quantity",
    "comparator",
    "value_low",
    "value_high",
    "setting",
    "needs",
)
OURS = (
    "section",
    "measurement",
    "arguments",
    "test",
    "low",
    "high",
    "tolerance",
    "runs",
    "criterion_text",
    "reason",
    "lacks",
    "explanation",
)
# What keeps a claim from being run, beside data and weights: the words after "needs".
LACKS = ("", "GPU", "a derivation to check")
PAPERS = {
    "community_modularity": "Understanding the Dynamics of DNNs Using Graph Modularity",
    "surprisingly_modular": "Neural Networks are Surprisingly Modular",
    "clusterability": "Clusterability in Neural Networks",
    "cnn_dynamics": "Convolutional Neural Network Dynamics: A Graph Perspective",
    "detecting_modularity": "Detecting Modularity in Deep Neural Networks",
}
FACTS_DIGEST = "a0ada7d9bc6b6440e06e2863e15e12dbb5021d364fdf1bd1a93b412e5fd87968"


def papers_root() -> Path:
    """Folder of transcribed claims and tables: $MODGRAPH_PAPERS, or data/papers here."""
    return Path(os.environ.get("MODGRAPH_PAPERS") or REPOSITORY / "data" / "papers")


def facts_digest(claims: pd.DataFrame) -> str:
    """SHA-256 of the transcribed columns, independent of quoting and of our columns."""
    lines = ("\x1f".join(row) for row in claims[list(FACTS)].itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load_claims(path: str | Path | None = None, *, arguments: bool = False) -> pd.DataFrame:
    """All claims, one row each, indexed by position; every column is text.

    Args:
        path: a table of claims other than the project's own.
        arguments: import every measurement and check that it takes what its claims give it.

    Raises:
        FileNotFoundError: there is no such table (says where it was looked for).
        ValueError: columns missing, ids doubled, facts altered, a test that is unknown or
            lacks a bound, a measurement that is not registered or does not take its
            arguments, a criterion without its sentence. All faults in one message.
    """
    path = Path(path) if path is not None else papers_root() / "claims.csv"
    if not path.exists():
        raise FileNotFoundError(
            f"no table of claims at {path}; set MODGRAPH_PAPERS to the project's data/papers"
        )
    claims = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in (*FACTS, *OURS) if name not in claims]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    faults = []
    if doubled := sorted(claims["id"][claims["id"].duplicated()]):
        faults.append(f"ids that occur more than once: {', '.join(doubled)}")
    if unknown := sorted(set(claims["paper"]) - set(PAPERS)):
        faults.append(f"unknown papers: {', '.join(unknown)}")
    if facts_digest(claims) != FACTS_DIGEST:
        faults.append("the transcribed columns differ from the transcription; only ours may change")
    for claim in claims.itertuples(index=False):
        try:
            tests = criteria_of(claim)
            if arguments:
                _check_arguments(tests)
        except (ValueError, TypeError) as error:
            faults.append(f"{claim.id}: {error}")
            continue
        if claim.lacks not in LACKS:
            faults.append(f"{claim.id}: lacks is one of {LACKS}, not {claim.lacks!r}")
        if bool(tests) != bool(claim.section):
            faults.append(f"{claim.id}: a section and a measurement belong together")
        if tests and not (claim.criterion_text and claim.reason):
            faults.append(f"{claim.id}: a test needs its sentence and its reason")
    if faults:
        raise ValueError(f"{path}:\n- " + "\n- ".join(faults))
    return claims


def criteria_of(claim: pd.Series | tuple) -> list[Criterion]:
    """The tests of one row of the table; empty while nobody has written one.

    Raises:
        ValueError: unequal numbers of entries, or an entry that cannot be used.
    """
    if not claim.measurement:
        return []
    columns = ("measurement", "arguments", "test", "low", "high", "tolerance")
    entries = {name: [x.strip() for x in getattr(claim, name).split("|")] for name in columns}
    count = len(entries["measurement"])
    for name, values in entries.items():
        if len(values) == 1:
            values *= count
            entries[name] = values
        if len(entries[name]) != count:
            raise ValueError(f"{count} measurements but {len(entries[name])} entries in {name!r}")
    return [
        _criterion(*values, runs=int(claim.runs)) for values in zip(*entries.values(), strict=True)
    ]


def _criterion(
    measurement: str, arguments: str, test: str, low: str, high: str, tolerance: str, *, runs: int
) -> Criterion:
    if measurement not in registry.measurement_names():
        known = ", ".join(sorted(registry.measurement_names()))
        raise ValueError(f"no measurement {measurement!r}; known: {known}")
    if test not in COMPARATORS:
        raise ValueError(f"unknown test {test!r}; known: {', '.join(COMPARATORS)}")
    pairs = tuple(_argument(text) for text in arguments.split(";") if text.strip())
    bounds = (float(text) if text else float("nan") for text in (low, high, tolerance))
    return Criterion(measurement, pairs, test, *bounds, runs=runs)


def _argument(text: str) -> tuple[str, object]:
    """("k", 4) from "k=4"; ("stages", ("unpruned", "pruned")) from "stages=unpruned+pruned".

    A name in the plural always gives a tuple.
    """
    name, equals, value = (piece.strip() for piece in text.partition("="))
    if not equals:
        raise ValueError(f"argument {text!r} is not of the form name=value")
    if name in ("regularizers", "stages"):
        return name, tuple(value.split("+"))
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _check_arguments(tests: list[Criterion]) -> None:
    for one in tests:
        measure = registry.measurement(one.measurement)
        try:
            inspect.signature(measure).bind({}, runs=one.runs, **dict(one.arguments))
        except TypeError as error:
            raise ValueError(f"{one.measurement}: {error}") from None
