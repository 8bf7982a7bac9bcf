"""Our tests of one paper's claims, as data: ``data/papers/<paper>/tests.yaml``.

A claim is one entry, for instance::

    CL-16:
      section: clusterability/01_mlps
      runs: 5
      text: Of five pruned networks on MNIST all lie below their shuffles, without regulariser.
      reason: Rule 3.
      measure: significant
      of: {data: mnist, k: 12, regularizers: [none]}
      test: count
      low: 5
      tolerance: 1

Several tests of one claim stand in a list ``tests``; what they share stays beside it.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from book.lab import parameters, registry, yaml_files
from book.lab.criteria import COMPARATORS, Criterion
from book.lab.quantities import Quantity

__all__ = ["Entry", "read", "tests_of"]

# What keeps a claim from being run, beside data and weights: the words after "needs".
LACKS = ("", "GPU", "a derivation to check", "weights that are not printed")
BOUNDS = ("low", "high", "tolerance")
OF_A_TEST = ("measure", "of", "test", *BOUNDS)


@dataclass(frozen=True)
class Entry:
    """What is ours about one claim.

    Attributes:
        section: the section of the book that runs the tests; empty: no test yet.
        runs: networks per cell in the paper (identities: 1).
        text: the tests in a sentence.
        reason: why they are so.
        lacks: what keeps the claim from being run, beside data and weights; see ``LACKS``.
        hours: of two cores, about, that what is missing takes; 0: not known, or nothing missing.
        recipe_matters: networks trained in another way than the paper's decide nothing here.
        by_definition: it could not have failed, whatever was run.
        explanation: what we think explains a verdict that falls short; shown only then.
        question: the words of a question of our own (``questions``); claims have theirs already.
        tests: all of them have to be met.
    """

    section: str = ""
    runs: int = 1
    text: str = ""
    reason: str = ""
    lacks: str = ""
    hours: float = 0.0
    recipe_matters: bool = False
    by_definition: bool = False
    explanation: str = ""
    question: str = ""
    tests: tuple[Criterion, ...] = field(default=())


OF_A_CLAIM = tuple(f.name for f in dataclasses.fields(Entry))


def read(path: Path, *, arguments: bool = False) -> tuple[dict[str, Entry], list[str]]:
    """The entries of a file by claim, and what is wrong with it, a line each; none if no file.

    Args:
        arguments: import every measurement and check that it takes what it is given.
    """
    if not path.exists():
        return {}, []
    try:
        found = yaml_files.read(path) or {}
    except ValueError as error:
        return {}, [str(error)]
    entries, faults = {}, []
    for name, given in found.items():
        try:
            entries[name] = _entry(given)
            if arguments:
                _check_arguments(entries[name].tests)
        except (ValueError, TypeError) as error:
            faults.append(f"{name}: {error}")
    return entries, faults


def _entry(given: Mapping[str, Any]) -> Entry:
    _check_names(given, (*OF_A_CLAIM, *OF_A_TEST))
    tests = tests_of(given)
    for one in tests:
        if one.measurement not in registry.measurement_names():
            hint = parameters.suggestion(one.measurement, list(registry.measurement_names()))
            raise ValueError(f"no measurement {one.measurement!r}.{hint}")
    facts = {name: given[name] for name in OF_A_CLAIM if name in given and name != "tests"}
    entry = Entry(**facts, tests=tests)
    if entry.lacks not in LACKS:
        raise ValueError(f"lacks is one of {LACKS}, not {entry.lacks!r}")
    if bool(tests) != bool(entry.section) and not (entry.section and entry.lacks):
        raise ValueError("a section and a test belong together, or the section says what it lacks")
    if tests and not (entry.text and entry.reason):
        raise ValueError("a test needs its sentence (text) and its reason")
    return entry


def tests_of(given: Mapping[str, Any]) -> tuple[Criterion, ...]:
    """The tests of one entry as it stands in the file; what it measures need not exist.

    Raises:
        ValueError: a test that lacks something, or has what no test has.
    """
    shared = {name: given[name] for name in OF_A_TEST if name in given}
    listed = given.get("tests", [{}] if shared else [])
    runs = given.get("runs", 1)
    return tuple(_criterion({**shared, **one}, shared.get("of", {}), runs) for one in listed)


def _criterion(given: Mapping[str, Any], shared: Mapping[str, Any], runs: int) -> Criterion:
    _check_names(given, OF_A_TEST)
    if missing := [name for name in ("measure", "test") if name not in given]:
        raise ValueError(f"a test needs {' and '.join(missing)}")
    name, test = given["measure"], given["test"]
    if test not in COMPARATORS:
        raise ValueError(f"unknown test {test!r}; known: {', '.join(COMPARATORS)}")
    of = {**shared, **given.get("of", {})}
    pairs = tuple((key, tuple(v) if isinstance(v, list) else v) for key, v in of.items())
    bounds = (float(given.get(bound, math.nan)) for bound in BOUNDS)
    return Criterion(name, pairs, test, *bounds, runs=runs)


def _check_names(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"an entry has names and values, not {given!r}")
    for name in given:
        if name not in known:
            hint = parameters.suggestion(name, list(known))
            raise ValueError(f"{name!r} is none of {', '.join(known)}.{hint}")


def _check_arguments(tests: tuple[Criterion, ...]) -> None:
    for one in tests:
        measure = registry.measurement(one.measurement)
        try:
            inspect.signature(measure).bind({}, runs=one.runs, **dict(one.arguments))
            if isinstance(measure, Quantity):  # of no rows: all but the columns is looked at
                measure({}, runs=one.runs, **dict(one.arguments))
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"{one.measurement}: {error}") from None
