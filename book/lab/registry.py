"""What the papers declare: their experiments and their measurements, found and not listed.

An experiment is a line ``NAME = Experiment(...)``, a section ``SECTION = Section(...)``, a
measurement a function under ``@measurement`` or an entry of a ``quantities.yaml``, anywhere below
``book/papers``. Only modules that declare one are imported, and of the measurements only those that
are asked for.
"""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path
from types import ModuleType

import pandas as pd

from book.lab import evidence, quantities, store
from book.lab.experiment import Experiment
from book.lab.section import Section

__all__ = ["experiments", "measurement", "measurement_names", "sections", "tables"]

BOOK = Path(__file__).resolve().parents[1]
EXPERIMENT = re.compile(r"^\w+(?:: [^=]+)? = Experiment\(|^EXPERIMENTS = ", re.MULTILINE)
SECTION = re.compile(r"^SECTION = Section\(", re.MULTILINE)
MEASUREMENT = re.compile(r"^@measurement\n(?:@\w+\n)*def (\w+)\(", re.MULTILINE)


@functools.cache
def experiments() -> tuple[Experiment, ...]:
    """Every experiment of the papers, by name.

    Raises:
        ValueError: two of them share a name.
    """
    found: dict[str, Experiment] = {}
    for path, text in _sources().items():
        if EXPERIMENT.search(text):
            for value in vars(_module(path)).values():
                for one in value if isinstance(value, tuple) else (value,):
                    if isinstance(one, Experiment) and found.setdefault(one.name, one) is not one:
                        raise ValueError(f"two experiments are called {one.name!r}")
    return tuple(found[name] for name in sorted(found))


@functools.cache
def sections() -> tuple[Section, ...]:
    """Every section that can be run, by name."""
    found = [_module(path).SECTION for path, text in _sources().items() if SECTION.search(text)]
    return tuple(sorted(found, key=lambda section: section.name))


@functools.cache
def measurement_names() -> dict[str, Path]:
    """Name of every measurement -> the file that holds it; nothing is imported.

    Raises:
        ValueError: two of them share a name.
    """
    found: dict[str, Path] = {}
    declared = {path: MEASUREMENT.findall(text) for path, text in _sources().items()}
    declared |= {path: list(quantities.load(path)) for path in _quantities()}
    for path, names in declared.items():
        for name in names:
            if name in found:
                raise ValueError(f"two measurements are called {name!r}: {found[name]} and {path}")
            found[name] = path
    return found


def measurement(name: str) -> evidence.Measurement:
    """The measurement of this name; a function's module is imported if it was not yet.

    Raises:
        ValueError: there is none of that name.
    """
    known = measurement_names()
    if name not in known:
        raise ValueError(f"no measurement {name!r}; known: {', '.join(sorted(known))}")
    if known[name].suffix == ".yaml":
        return quantities.load(known[name])[name]
    if name not in evidence.MEASUREMENTS:
        _module(known[name])
    return evidence.MEASUREMENTS[name]


def tables() -> dict[str, pd.DataFrame]:
    """Tables of all committed and local result rows, by name; empty ones included.

    A page asks a dozen times: an experiment is read anew when one of its files has changed.
    """
    found: dict[str, pd.DataFrame] = {}
    for experiment in experiments():
        found |= _tables(experiment.name, store.state(experiment.name))
    return {name: table.copy(deep=False) for name, table in found.items()}


@functools.lru_cache(maxsize=64)
def _tables(name: str, state: tuple) -> dict[str, pd.DataFrame]:
    """Tables of one experiment, whose files are in this ``store.state``."""
    (experiment,) = (one for one in experiments() if one.name == name)
    records = store.read(name)
    return {table: experiment.table(records, table) for table in experiment.tables}


@functools.cache
def _sources() -> dict[Path, str]:
    return {path: path.read_text("utf8") for path in sorted((BOOK / "papers").rglob("*.py"))}


def _quantities() -> list[Path]:
    return sorted((BOOK / "papers").rglob("quantities.yaml"))


def _module(path: Path) -> ModuleType:
    parts = path.relative_to(BOOK.parent).with_suffix("").parts
    return importlib.import_module(".".join(parts))
