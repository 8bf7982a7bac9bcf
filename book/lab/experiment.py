"""One kind of record: how it is measured, kept, tabulated and recomputed.

A module of a paper declares ``EXPERIMENT = Experiment(...)`` at its end; that is all there is to
do: ``registry`` finds it, the ledger reads its tables, ``commit`` and ``verify`` know it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from book.lab import compare, store, sweep, tables
from book.lab.tables import Record, Rows, Table

__all__ = ["Experiment", "rebuilt"]


@dataclass(frozen=True)
class Experiment:
    """One kind of record.

    Attributes:
        name: folder of its records, and name of the file under data/results.
        config: the dataclass of its configurations.
        measure: ``measure(config, device=..., root=...)``, a function of a module: result and
            provenance of one configuration, nothing stored. None where a module runs its own way.
        rows: record -> the rows of its table, each a mapping of the columns that no configuration
            has; see ``tables.table`` for the others.
        columns: columns of ``rows`` that an empty table has as well, since measurements filter by
            them or sort by them.
        others: name -> further tables of the same records.
        schema: version of what a result holds; a part of every key.
        key: ``key(config, root)``: the facts a record is found by.
        recompute: config -> its result anew, for ``verify``; None for ``measure``.
        in_part: ``recompute`` does a small part that needs no trained network.
        share: of the seconds that a record's measuring took, what ``recompute`` takes.
        compare: (stored result, new result) -> outcome and a line of detail.
        keep: which local records are worth committing; a quick run's are not.
    """

    name: str
    config: type
    measure: Callable[..., Record] | None = None
    rows: Rows = tables.of_result
    columns: Sequence[str] = ()
    others: Mapping[str, Table] = field(default_factory=dict, hash=False)
    schema: int = 1
    key: Callable[[Any, str | None], Mapping[str, Any]] = sweep.key_config
    recompute: Callable[[Any], Record] | None = None
    in_part: bool = False
    share: float = 1.0
    compare: Callable[[Record, Record], tuple[str, str]] = compare.results
    keep: Callable[[Record], bool] = lambda record: True

    def run(
        self,
        configs: Sequence[Any],
        *,
        device: str = "auto",
        workers: int | None = None,
        root: str | None = None,
    ) -> list[Record]:
        """Records of all configurations, from the store or computed now; see ``sweep.records``."""
        return sweep.records(self.task(), configs, device=device, workers=workers, root=root)

    def run_one(self, config: Any, *, device: str = "cpu", root: str | None = None) -> Record:
        """The record of one configuration, from the store or computed and stored."""
        return self.task()(config, device=device, root=root)

    def stored(self, config: Any, root: str | None = None) -> Record | None:
        """The record of a configuration, or None where it has to be computed."""
        return store.get(self.name, self.schema, self.key(config, root))

    def put(
        self,
        config: Any,
        result: Mapping[str, Any],
        origin: Mapping[str, Any],
        root: str | None = None,
    ) -> Record:
        """Store the result of a configuration; for modules that run their own way."""
        return store.put(self.name, self.schema, self.key(config, root), result, origin)

    @property
    def tables(self) -> dict[str, Table]:
        """What each of its tables has beside the configuration, by the tables' names."""
        return {self.name: Table(self.rows, self.columns), **self.others}

    def table(self, records: Iterable[Record], name: str = "") -> pd.DataFrame:
        """The table of this name, or the first, of some of its records."""
        return tables.table(records, self.config, self.tables[name or self.name])

    def among(self, results: Mapping[str, pd.DataFrame], name: str = "") -> pd.DataFrame:
        """Its table among those of all experiments; without rows, if it is not there.

        Raises:
            ValueError: the table lacks a column that measurements ask for.
        """
        name = name or self.name
        found = results.get(name)
        if found is None or found.empty:
            return self.table([], name).astype(float)  # what is compared and averaged is a number
        if missing := [one for one in self.tables[name].columns if one not in found]:
            raise ValueError(
                f"rows of {name} lack the columns {', '.join(missing)}; pass what the experiment "
                "makes of its records"
            )
        return found

    def task(self) -> sweep.Task:
        """What a worker needs of this experiment, and nothing that cannot travel to it."""
        assert self.measure is not None, f"{self.name} is run by its own module"
        return sweep.Task(self.name, self.schema, self.measure, self.key)

    @property
    def recomputes(self) -> bool:
        """Whether its records can be computed anew."""
        return self.recompute is not None or self.measure is not None

    def again(self, record: Record) -> Record:
        """A record's result computed anew, with nothing stored."""
        config = rebuilt(self.config, record["config"])
        if self.recompute is not None:
            return self.recompute(config)
        assert self.measure is not None, f"{self.name} is not recomputed"
        return self.measure(config)["result"]


def rebuilt(config: type, stored: Mapping[str, Any]) -> Any:
    """The configuration that a record's ``config`` was written from; what is no field is left out.

    Nested dataclasses are rebuilt by their annotated types.
    """
    hints = typing.get_type_hints(config)
    given = {}
    for one in dataclasses.fields(config):
        if one.name in stored:
            value, kind = stored[one.name], hints[one.name]
            nested = dataclasses.is_dataclass(kind) and isinstance(value, Mapping)
            given[one.name] = rebuilt(kind, value) if nested else value
    return config(**given)
