"""A section's experiments without its notebook: ``python -m book.lab run SECTION``.

The same rows as through papermill, from the same functions. Records appear one network after the
other, so that a run that was stopped, by its budget or by a kill, goes on where it was.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import joblib
import yaml

from book.lab import parameters as guard
from book.lab import registry
from book.lab import sweep as sweeps
from book.lab.section import Section, Sweep
from book.lab.store import REPOSITORY
from modgraph_lib import training

__all__ = ["SCALES", "read_parameters", "run", "section_of"]

SCALES = ("quick", "laptop", "paper")
PARAMETERS = REPOSITORY / "notebooks" / "params"


class BudgetSpent(Exception):
    """Raised inside a network whose time is up; its checkpoint stays."""


def section_of(name: str) -> Section:
    """The section of this name.

    Raises:
        ValueError: there is none (says which comes nearest, and lists them).
    """
    known = {section.name: section for section in registry.sections()}
    if name not in known:
        hint = guard.suggestion(name, list(known), cutoff=0.3)
        raise ValueError(f"no section {name!r}.{hint} There are: {', '.join(known)}")
    return known[name]


def read_parameters(
    section: Section, scale: str = "quick", changes: Mapping[str, Any] | None = None
) -> Any:
    """Parameters of a section at a scale, with changes by name; checked as in a notebook.

    Raises:
        ValueError: an unknown scale, or one without a file for this section.
        parameters.ParameterError: a name or value that the section refuses.
    """
    if scale not in SCALES:
        raise ValueError(f"scale is one of {', '.join(SCALES)}; got {scale!r}")
    fields = dataclasses.fields(section.parameters)
    values = {field.name: guard.default_of(field) for field in fields}
    path = PARAMETERS / scale / f"{section.name}.yaml"
    if scale != "quick":
        if not path.is_file():
            raise ValueError(f"no parameters of {section.name} at scale {scale}: {path}")
        values |= yaml.safe_load(path.read_text("utf8")) or {}
    return guard.read({**values, **(changes or {})}, section.parameters)


def run(
    section: Section,
    parameters: Any,
    *,
    budget: float | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Make every record of a section; True once all are there, False if the budget ran out.

    Args:
        parameters: as ``read_parameters`` gives them; their ``device`` and ``workers`` decide
            where and how many at a time, if the section has them.
        budget: seconds. Nothing is begun after them, and a network that is not finished then is
            left to its checkpoint.
        say: takes one line of progress at a time.
    """
    start = time.monotonic()
    workers = getattr(parameters, "workers", 0) or None
    device = getattr(parameters, "device", "auto")
    at_once = (workers or joblib.cpu_count()) if training.pick_device(device) == "cpu" else 10**6
    batches = [
        (sweep, batch) for sweep in section.sweeps(parameters) for batch in _batches(sweep, at_once)
    ]
    total = sum(len(batch) for _, batch in batches)
    done = 0
    try:
        with _alarm(budget):
            for sweep, batch in batches:
                options = {"device": device} if sweep.on_device else {}
                sweep.run(batch, workers=workers, **options)
                done += len(batch)
                say(f"{section.name}: {done} of {total} records, {_clock(start)}")
    except BudgetSpent:
        say(
            f"{section.name}: stopped after {_clock(start)} with {done} of {total} records; the "
            "same command goes on from there"
        )
        return False
    return True


def _batches(sweep: Sweep, at_once: int) -> Iterator[list[Any]]:
    """The configurations of ``at_once`` networks at a time, those of one network together."""
    groups = sweeps.networks(sweep.configs)
    for first in range(0, len(groups), at_once):
        yield [config for group in groups[first : first + at_once] for config in group]


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise ``BudgetSpent`` after so many seconds, wherever the main thread is then."""
    if seconds is None:
        yield
        return

    def ring(*_: Any) -> None:
        raise BudgetSpent

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _clock(start: float) -> str:
    seconds = int(time.monotonic() - start)
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
