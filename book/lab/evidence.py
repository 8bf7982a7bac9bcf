"""Which result rows may decide a claim, and the registry of measurements.

A row counts for a claim only if the network behind it was trained and tested as the paper
says. Everything else (quick and laptop scales, other widths or epochs, the readings of the
published code) is filtered out here, so that no measurement can forget to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pandas as pd

from book.lab.criteria import Part

__all__ = [
    "MEASUREMENTS",
    "Measurement",
    "Results",
    "experiment_table",
    "measurement",
    "once",
    "one_per_seed",
    "part",
    "remembered",
    "remembering",
    "standard_error",
]

# experiment name -> its table of rows, as experiments.<module>.table returns it
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
    scales = {scale for frame in cells if "scale" in frame for scale in frame["scale"]} - {""}
    return Part(
        name,
        observed=float(value()),
        spread=math.nan if spread is None else float(spread()),
        runs=runs,
        spread_is=spread_is,
        keys=tuple(sorted(keys)),
        scale="; ".join(sorted(scales)),
    )


def experiment_table(results: Results, experiment: str, columns: list[str]) -> pd.DataFrame:
    """The experiment's table, or an empty one with these columns; checked for them."""
    table = results.get(experiment)
    if table is None or table.empty:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    if missing := [name for name in columns if name not in table]:
        raise ValueError(
            f"rows of {experiment} lack the columns {', '.join(missing)}; pass what "
            "the experiment makes of its records"
        )
    return table


@contextmanager
def remembering() -> Iterator[None]:
    """Within, rows are selected once for each question; no table may change meanwhile."""
    global _REMEMBERED
    before, _REMEMBERED = _REMEMBERED, {}
    try:
        yield
    finally:
        _REMEMBERED = before


def remembered(table: pd.DataFrame, key: tuple, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """``make()``, within ``remembering`` once for each table and key.

    Claims ask for the same few rows of a table hundreds of times.
    """
    if _REMEMBERED is None:
        return make()
    known = _REMEMBERED.setdefault(id(table), (table, {}))[1]  # holds the table, and so its id
    if key not in known:
        known[key] = make()
    return known[key].copy(deep=False)


_REMEMBERED: dict[int, tuple[pd.DataFrame, dict[tuple, pd.DataFrame]]] | None = None


def one_per_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest row of each seed: a repeated run replaces the earlier one, never joins it."""
    if "date" in rows:
        rows = rows.sort_values("date", kind="stable")
    return rows.drop_duplicates("seed", keep="last").set_index("seed").sort_index()


def once(function: Callable[..., list[Part]]) -> Callable[..., list[Part]]:
    """Compute an identity once per process: it depends on its arguments alone, on no rows."""
    remembered = functools.cache(lambda **arguments: tuple(function({}, **arguments)))

    @functools.wraps(function)
    def measure(results: Results, **arguments: int) -> list[Part]:
        return list(remembered(**arguments))

    return measure


def standard_error(values: pd.Series) -> float:
    """Sample standard deviation (ddof 1) over the root of the number of values."""
    return float(values.std(ddof=1)) / len(values) ** 0.5
