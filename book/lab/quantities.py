"""Quantities as data: ``statistic(expression) of cells [minus cells] [paired]``.

Files ``quantities.yaml`` below ``book/papers`` hold them by name, under the function that finds
their rows, for instance::

    book.papers.ncut.cells.cell:
      regularizer_gap:  # mean n-cut without regulariser minus with it
        mean: ncut
        each: {stage: stages, regularizer: regularizers}
        of: {regularizer: none}
        minus: {regularizer: "{regularizer}"}
        default: {stages: [unpruned, pruned]}
        part: none minus {regularizer}, {stage}

- ``mean``, ``min``, ``max``, ``sd``, ``count``, ``share`` or ``share_above_zero``: a pandas
  expression of columns. Of several each gives a part; its name may have the ``{statistic}``.
- ``each``: one part for every value; ``pool``: their rows all in one part. Arguments of the
  function, the first the outermost, each with its values or the claim's argument that lists them;
  a list of such tables runs through one after the other.
- ``of``: arguments of the function beside those that a claim gives by the same name.
- ``minus``: which arguments are others for the rows taken off. ``paired``: row by row, for the
  seeds that both have.
- ``spread``: "sd", "se" or "none" where it is not the usual one. A mean has a standard deviation,
  a difference of means its standard error, anything else none.
- ``default``: the claim's arguments that need not be given; ``runs`` is the claim's.
- ``part``: the part's name. A module with such a function may have a ``word(value)`` for it.

In a text ``{name}`` stands for an argument. A claim uses a quantity as it does a function under
``@measurement``, by ``measure`` and ``of``.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from book.lab import parameters, yaml_files
from book.lab.criteria import Part
from book.lab.evidence import Results, part, standard_error

__all__ = ["Quantity", "load"]

STATISTICS: dict[str, Callable[[pd.Series], float]] = {
    "mean": pd.Series.mean,
    "min": pd.Series.min,
    "max": pd.Series.max,
    "sd": pd.Series.std,
    "count": pd.Series.sum,
    "share": pd.Series.mean,
    "share_above_zero": lambda numbers: (numbers > 0).mean(),
}
WORDS = {"min": "lowest", "max": "highest"}
KEYS = (*STATISTICS, "each", "pool", "of", "minus", "paired", "spread", "default", "part")

PLACE = re.compile(r"\{(\w+)(?::[^{}]*)?\}")  # {name}, or {name:g} with a format

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Quantity:
    """One entry of a ``quantities.yaml``; called as a measurement is.

    Attributes:
        name: its name.
        function: dotted name of the function that finds rows, indexed by seed.
        statistics: statistic -> expression.
        part, each, pool, of, minus, paired, spread, default: see the module.
    """

    name: str
    function: str
    statistics: Mapping[str, str]
    part: str
    each: Sequence[Arguments] = ({},)
    pool: Sequence[Arguments] = ({},)
    of: Arguments = field(default_factory=dict)
    minus: Arguments = field(default_factory=dict)
    paired: bool = False
    spread: str = ""
    default: Arguments = field(default_factory=dict)

    def __call__(self, results: Results, *, runs: int, **arguments: Any) -> list[Part]:
        """One part for every value of ``each`` and every statistic.

        Raises:
            ValueError: an expression names what is no column of the rows.
        """
        told = {**arguments, "runs": runs}
        given = {name: _filled(value, told) for name, value in self.default.items()} | told
        return [
            self._part(results, {**given, **one}, statistic)
            for one in _grid(self.each, given)
            for statistic in self.statistics
        ]

    @property
    def __signature__(self) -> inspect.Signature:
        """What a claim has to give, and what it may: as a function under ``@measurement`` says."""
        swept = [item for table in (*self.each, *self.pool) for item in table.items()]
        listed = {values for _, values in swept if isinstance(values, str)}
        texts = (self.part, *self.statistics.values(), *self.of.values(), *self.minus.values())
        needed = listed.union(*map(_fields, texts))
        optional = set(self.default)
        for name, parameter in _parameters(self.function).items():
            if name not in self.of:
                (needed if parameter.default is parameter.empty else optional).add(name)
        told = {name for name, _ in swept} - listed | {"runs", "statistic"}
        keyword = functools.partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
        return inspect.Signature(
            [
                inspect.Parameter("results", inspect.Parameter.POSITIONAL_ONLY),
                *(keyword(name) for name in ("runs", *sorted(needed - optional - told))),
                *(keyword(name, default=None) for name in sorted(optional - told)),
            ]
        )

    def _part(self, results: Results, given: Arguments, statistic: str) -> Part:
        first = [self._rows(results, {**given, **one}) for one in _grid(self.pool, given)]
        second = [self._rows(results, given, **self.minus)] if self.minus else []
        if self.paired:
            seeds = first[0].index.intersection(second[0].index)
            first, second = [first[0].loc[seeds]], [second[0].loc[seeds]]
        expression = str(_filled(self.statistics[statistic], given))
        usual = "none" if statistic != "mean" else "se" if second else "sd"
        kind, of = self.spread or usual, STATISTICS[statistic]

        @functools.cache
        def groups() -> list[pd.Series]:
            """The numbers of each group of networks; their differences where paired."""
            pool = [self._values(rows, expression) for rows in first]
            found = [pd.concat(pool) if self.pool[0] else pool[0]]
            found += [self._values(rows, expression) for rows in second]
            return [found[0] - found[1]] if self.paired else found

        def value() -> float:
            found = [of(numbers) for numbers in groups()]
            return found[0] - sum(found[1:])

        def spread() -> float:
            error = standard_error if kind == "se" else pd.Series.std
            return math.hypot(*map(error, groups()))

        return part(
            self._name({**given, "statistic": WORDS.get(statistic, statistic)}),
            [*first, *second],
            value,
            None if kind == "none" else spread,
            spread_is="se" if kind == "se" else "sd",
            fewest=2 if kind == "se" or statistic == "sd" else 1,
        )

    def _rows(self, results: Results, given: Arguments, **minus: Any) -> pd.DataFrame:
        told = {name: given[name] for name in _parameters(self.function) if name in given}
        for name, value in {**self.of, **minus}.items():
            told[name] = _filled(value, given)
        return _function(self.function)(results, **told)

    def _values(self, rows: pd.DataFrame, expression: str) -> pd.Series:
        if expression in rows:  # a plain column: without the cost of a parser
            return rows[expression].astype(float)
        try:
            return rows.eval(expression, engine="python").astype(float)
        except pd.errors.UndefinedVariableError as error:
            raise ValueError(f"{self.name}: no column for {expression!r}: {error}") from None

    def _name(self, given: Arguments) -> str:
        word = getattr(_module(self.function), "word", str)
        return self.part.format(
            **{name: word(v) if isinstance(v, str) else v for name, v in given.items()}
        )


@functools.cache
def load(path: Path) -> dict[str, Quantity]:
    """The quantities of a file, checked; the functions that find their rows are not imported.

    Raises:
        ValueError: what is wrong, with the quantity and the key.
    """
    groups = yaml_files.read(path) or {}
    try:
        found = [_checked(name, function, given) for function, group in groups.items()
                 for name, given in group.items()]  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return {quantity.name: quantity for quantity in found}


def _checked(name: str, function: str, given: Mapping[str, Any]) -> Quantity:
    for key in given:
        if key not in KEYS:
            hint = parameters.suggestion(str(key), KEYS)
            raise ValueError(f"{name}: {key!r} is none of {', '.join(KEYS)}.{hint}")
    statistics = {key: str(value) for key, value in given.items() if key in STATISTICS}
    if not statistics or "part" not in given:
        raise ValueError(f"{name}: needs a part and one of {', '.join(STATISTICS)}")
    for statistic, expression in statistics.items():
        try:
            ast.parse(PLACE.sub("x", expression), mode="eval")
        except SyntaxError:
            raise ValueError(f"{name}: {statistic}: {expression!r} is no expression") from None
    spreads = ("none", "se") if "minus" in given else ("none", "se", "sd")
    if given.get("spread", "se") not in spreads:
        raise ValueError(f"{name}: spread is one of {', '.join(spreads)}, not {given['spread']!r}")
    if "spread" in given and "mean" not in given:
        raise ValueError(f"{name}: spread is that of a mean")
    if ("minus" in given and "pool" in given) or ("paired" in given and "minus" not in given):
        raise ValueError(f"{name}: a pool has no minus, and paired needs one")
    rest = {key: value for key, value in given.items() if key not in STATISTICS}
    for key in ("each", "pool"):
        tables = rest.get(key, {})
        rest[key] = tables if isinstance(tables, list) else [tables]
    return Quantity(name, function, statistics, **rest)


def _grid(tables: Sequence[Arguments], given: Arguments) -> Iterator[Arguments]:
    """Every combination of values; one without any where there is nothing to run through."""
    for table in tables:
        lists = [given[values] if isinstance(values, str) else values for values in table.values()]
        for name, values in zip(table.values(), lists, strict=True):
            if not isinstance(values, list | tuple):
                raise ValueError(f"{name} is a list of values, not {values!r}")
        for values in itertools.product(*lists):
            yield dict(zip(table, values, strict=True))


def _fields(text: Any) -> set[str]:
    return set(PLACE.findall(text)) if isinstance(text, str) else set()


def _filled(value: Any, given: Arguments) -> Any:
    """A text with its arguments in it; the argument itself where the text is nothing else."""
    if not isinstance(value, str):
        return value
    whole = PLACE.fullmatch(value)
    return given[whole[1]] if whole else value.format(**given)


def _module(function: str) -> Any:
    return importlib.import_module(function.rpartition(".")[0])


def _function(function: str) -> Any:
    return getattr(_module(function), function.rpartition(".")[2])


@functools.cache
def _parameters(function: str) -> dict[str, inspect.Parameter]:
    """What the function takes beside the results."""
    return dict(list(inspect.signature(_function(function)).parameters.items())[1:])
