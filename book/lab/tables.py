"""Records as a table: one rule for what every table holds, so that a section says only its own.

A row has the configuration's fields, those of its ``train`` among them, where the record came from,
its ``key`` and ``config``, and whatever the experiment's own function makes of the result.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["ORIGIN", "Record", "Rows", "Table", "flat", "of_result", "table"]

Record = dict[str, Any]
Rows = Callable[[Record], list[dict[str, Any]]]
ORIGIN = ("device", "seconds", "date", "commit", "data_note")


def of_result(record: Record) -> list[dict[str, Any]]:
    """One row a record, with a column for every entry of its result."""
    return [record["result"]]


@dataclass(frozen=True)
class Table:
    """What one table says beside the configuration.

    Attributes:
        rows: record -> its rows, of which each has the same columns.
        columns: those of them that are asked for before it is known that there are rows; an empty
            table has them too.
    """

    rows: Rows = of_result
    columns: Sequence[str] = ()


def table(records: Iterable[Record], config: type, own: Table) -> pd.DataFrame:
    """One table of an experiment's records; its own columns win over those of the same name."""
    shared, rows, lengths = [], [], []
    for record in records:
        found = own.rows(record)
        if not found:
            continue
        origin = {name: record["provenance"].get(name, "") for name in ORIGIN}
        known = {**flat(config, record["config"]), **origin}
        shared.append({**known, "key": record["key"], "config": record["config"]})
        lengths.append(len(found))
        rows += found
    if not rows:
        names = [*flat(config, {}), *ORIGIN, "key", "config", *own.columns]
        return pd.DataFrame(columns=list(dict.fromkeys(names)))
    made = pd.DataFrame(rows)
    given = pd.DataFrame(shared).drop(columns=made.columns, errors="ignore")
    given = given.iloc[np.repeat(np.arange(len(shared)), lengths)].reset_index(drop=True)
    return pd.concat([given, made], axis=1)


def flat(config: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a stored configuration: its fields, and those of ``train`` in place of that.

    A name that both have is the network's, so that ``seed`` is the seed that trained it. A field
    that a record lacks is younger than the record and has its default. Lists become tuples.
    """
    fields, train = _defaults(config)
    found = {**fields, **stored, **train, **stored.get("train", {})}
    return {name: _as_tuple(value) for name, value in found.items() if name != "train"}


@functools.cache
def _defaults(config: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of a configuration and of its ``train`` with their defaults; None where none is."""
    train = typing.get_type_hints(config).get("train")
    return _fields(config), _fields(train) if train else {}


def _fields(config: type) -> dict[str, Any]:
    found = {one.name: one.default for one in dataclasses.fields(config)}
    return {n: None if value is dataclasses.MISSING else value for n, value in found.items()}


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(one) for one in value) if isinstance(value, list) else value
