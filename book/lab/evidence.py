"""Which result rows may decide a claim, and the registry of measurements.

A row counts for a claim only if the whole configuration of its record is the one that the paper
describes (``equal``), or differs from it in a way that is named and shown beside the verdict.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from modgraph_lib import cache

__all__ = [
    "MEASUREMENTS",
    "Measurement",
    "Results",
    "current_reading",
    "equal",
    "measurement",
    "merged",
    "once",
    "one_per_seed",
    "only_fewer",
    "part",
    "reading",
    "remembered",
    "remembering",
    "standard_error",
]

# experiment name -> its table of rows, as ``Experiment.table`` makes it
Results = Mapping[str, pd.DataFrame]

Measurement = Callable[..., list[Part]]
MEASUREMENTS: dict[str, Measurement] = {}


def measurement(function: Callable[..., list[Part]]) -> Callable[..., list[Part]]:
    """Register a pure function ``(results, *, runs, ...) -> list[Part]`` under its name."""
    name = function.__name__
    if name in MEASUREMENTS:
        raise ValueError(f"two measurements are called {name!r}")
    MEASUREMENTS[name] = function
    return function


def part(
    name: str,
    cells: Iterable[pd.DataFrame],
    value: Callable[[], float],
    spread: Callable[[], float] | None = None,
    *,
    spread_is: str = "sd",
    fewest: int = 1,
) -> Part:
    """A part computed from cells, or a part without a number while any cell is too empty.

    Args:
        name: the part's name.
        cells: the frames it rests on; ``runs`` becomes the size of the smallest.
        value, spread: called only once every cell has at least ``fewest`` rows.
        spread_is: "sd" or "se".
        fewest: rows a cell needs for the formula to exist (2 for a standard deviation).
    """
    cells = list(cells)
    runs = min(len(frame) for frame in cells)
    if runs < fewest:
        return Part(name, runs=runs)
    # keys are absent where a caller built its rows by hand
    keys = {str(key) for frame in cells if "key" in frame for key in frame["key"]}
    scales = [scale for frame in cells if "scale" in frame for scale in frame["scale"]]
    return Part(
        name,
        observed=float(value()),
        spread=math.nan if spread is None else float(spread()),
        runs=runs,
        spread_is=spread_is,
        keys=tuple(sorted(keys)),
        scale=merged(scales),
    )


def merged(scales: Iterable[str]) -> str:
    """One description of several: every piece between commas once.

    >>> merged(["width 16, 10 epochs", "", "width 16, 10 epochs, 2 draws"])
    'width 16, 10 epochs, 2 draws'
    """
    pieces = [piece for scale in scales if scale for piece in scale.split(", ")]
    return ", ".join(dict.fromkeys(pieces))


def only_fewer(scale: str) -> bool:
    """Whether a description names a number of networks and nothing else that is different.

    >>> only_fewer("61 of the paper's 480 networks"), only_fewer("61 networks, 16 pixels")
    (True, False)
    """
    return scale.endswith(" networks") and ", " not in scale


# What a key says beside the configuration: which data, and which weights came out of a training.
DERIVED = ("data_fingerprint", "weights_digest")


def equal(
    rows: pd.DataFrame, asked: Callable[[Any], Any], *, free: Collection[str] = ()
) -> pd.DataFrame:
    """The rows whose record has the whole configuration that is asked for.

    Every field counts, those that configurations will gain one day included.

    Args:
        rows: of a table with the columns ``key`` and ``config``, the record's own.
        asked: a row (its columns by name) -> the configuration it ought to have; the row says
            which seed, not how it was trained.
        free: fields that may differ, "train.precision" for one of a nested configuration. The
            caller sees to what they are, and names it where it departs from the paper.
    """
    leave = frozenset((*DERIVED, *free))
    keys = rows["key"].tolist()
    columns, kept = _Columns(rows), set()
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    for key, place in first.items():
        config = _without(cache.canonical(asked(_Row(columns, place))), leave)
        if _without(columns["config"][place], leave) == config:
            kept.add(key)
    return rows[np.array([key in kept for key in keys], dtype=bool)]


class _Columns(dict):
    """Columns of a table as lists of plain values, each made when it is asked for."""

    def __init__(self, rows: pd.DataFrame) -> None:
        super().__init__()
        self.rows = rows

    def __missing__(self, name: str) -> list:
        if name not in self.rows:
            raise AttributeError(f"these rows have no column {name!r}")
        self[name] = self.rows[name].tolist()
        return self[name]


class _Row:
    """One row of a table, by the names of its columns.

    A configuration is told by two or three columns; a pandas row costs as much as all of them.
    """

    __slots__ = ("columns", "place")

    def __init__(self, columns: _Columns, place: int) -> None:
        self.columns, self.place = columns, place

    def __getattr__(self, name: str) -> Any:
        return self.columns[name][self.place]


def _without(config: Mapping[str, Any], leave: Collection[str], path: str = "") -> dict[str, Any]:
    return {
        name: _without(value, leave, f"{path}{name}.") if isinstance(value, Mapping) else value
        for name, value in config.items()
        if f"{path}{name}" not in leave
    }


@contextmanager
def reading(variant: str) -> Iterator[None]:
    """Within, selections that know several readings of a paper give the rows of this one."""
    global _READING
    before, _READING = _READING, variant
    try:
        yield
    finally:
        _READING = before


def current_reading() -> str:
    """The reading that decides now: the paper's text, or within ``reading`` another one."""
    return _READING


_READING = "described"


@contextmanager
def remembering() -> Iterator[None]:
    """Within, ``remembered`` selections are made once; the tables must not change meanwhile."""
    global _SELECTED
    before, _SELECTED = _SELECTED, {}
    try:
        yield
    finally:
        _SELECTED = before


def remembered(select: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """Make ``select(results, ...)`` once for each question asked within ``remembering``.

    Claims ask for the same few rows of a table hundreds of times.
    """

    @functools.wraps(select)
    def found(results: Results, *arguments: Any, **options: Any) -> pd.DataFrame:
        if _SELECTED is None:
            return select(results, *arguments, **options)
        key = (select, id(results), _READING, arguments, tuple(sorted(options.items())))
        if key not in _SELECTED:  # kept with the results, which so keep their id
            _SELECTED[key] = (results, select(results, *arguments, **options))
        return _SELECTED[key][1].copy(deep=False)

    return found


_SELECTED: dict[tuple, tuple[Results, pd.DataFrame]] | None = None


def one_per_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest row of each seed: a repeated run replaces the earlier one, never joins it."""
    if "date" in rows:
        rows = rows.sort_values("date", kind="stable")
    return rows.drop_duplicates("seed", keep="last").set_index("seed").sort_index()


def once(function: Callable[..., list[Part]]) -> Callable[..., list[Part]]:
    """Compute an identity once per process: it depends on its arguments alone, on no rows."""
    computed = functools.cache(lambda **arguments: tuple(function({}, **arguments)))

    @functools.wraps(function)
    def measure(results: Results, **arguments: int) -> list[Part]:
        return list(computed(**arguments))

    return measure


def standard_error(values: pd.Series) -> float:
    """Sample standard deviation (ddof 1) over the root of the number of values."""
    return float(values.std(ddof=1)) / len(values) ** 0.5
