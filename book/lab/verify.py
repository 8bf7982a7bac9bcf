"""Check the committed records: all of them as they stand, and a sample by computing it anew.

Every row is held against its digest and its key. Then files take turns: of each a row is drawn
that the time left allows, and computed with nothing of its result at hand; weights come from the
cache or from ``data/networks`` where the network of that configuration is there, whole by its
digest, else it is trained.

Training is chaotic in the last bits, so another processor gives another network of the same kind:
identical numbers are expected on the machine that made a record, agreement within stated
tolerances elsewhere. A network trained anew on another processor may have other clusters; where
its accuracies agree and the rest does not, the row stays "open".
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from book.lab import compare, costs, registry, store
from book.lab.budget import BudgetSpent, alarm
from book.lab.experiment import Experiment, rebuilt
from modgraph_lib import cache, provenance

__all__ = ["Comparison", "File", "verify"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """One checked record: its key, what it is, and the outcome.

    ``outcome`` is "identical", "agrees" (within ``compare.TOLERANCES``), "open" or "differs".
    """

    key: str
    what: str
    outcome: str
    detail: str


@dataclass
class File:
    """What was checked of one file of records.

    Attributes:
        experiment: whose records they are. rows: how many there are.
        uncommitted: rows that were made by code which was not committed as it ran.
        queue: rows that may be drawn, with the seconds that each should take.
        outcomes: how many were recomputed with which outcome.
        left: why a row was not recomputed, and how often.
    """

    experiment: Experiment
    rows: int = 0
    uncommitted: int = 0
    queue: list[tuple[float, dict]] = field(default_factory=list)
    outcomes: Counter = field(default_factory=Counter)
    left: Counter = field(default_factory=Counter)

    def line(self) -> str:
        """The file in one line of the coverage."""
        done = sum(self.outcomes[outcome] for outcome in ("identical", "agrees"))
        other = [f"{self.outcomes[one]} {one}" for one in ("open", "differs") if self.outcomes[one]]
        if self.uncommitted:
            other.append(f"{self.uncommitted} of uncommitted code")
        if not sum(self.outcomes.values()):
            other += [f"not recomputed: {why}" for why in self.left]
        share = 100 * done / max(self.rows, 1)
        told = f"{self.experiment.name:28} {done:4} of {self.rows:4} ({share:.1f} %) "
        return (told + "; ".join(other)).strip()


def verify(
    *,
    budget: float = 600.0,
    records: int | None = None,
    train: bool = False,
    seed: int = 0,
    say: Say = lambda line: None,
) -> tuple[list[Comparison], list[File]]:
    """Check all committed records, and recompute a sample of them: comparisons, and coverage.

    Args:
        budget: seconds. A row is drawn if it should be through by then, and given up if it is not.
        records: at most so many are recomputed; None for what the time allows.
        train: train every network anew, whatever the cache holds.
        seed: fixes the draw.
        say: takes one line of progress at a time.

    Rows of uncommitted code come first. A row that is damaged, or whose key is not that of its
    configuration, differs.

    Raises:
        FileNotFoundError: there are no committed records.
    """
    rng = np.random.default_rng(seed)
    seconds = costs.Costs.known(train=train)
    files: list[File] = []
    found: list[Comparison] = []
    for experiment in registry.experiments():
        rows, wrong = _sound(experiment)
        found += wrong
        if not rows and not wrong:
            continue
        file = File(experiment, rows=len(rows) + len(wrong))
        files.append(file)
        file.outcomes["differs"] = len(wrong)
        file.uncommitted = sum(_uncommitted(row) for row in rows)
        for row in (rows[i] for i in rng.permutation(len(rows))):
            cost, why = seconds.of(experiment, row)
            if why:
                file.left[why] += 1
            else:
                file.queue.append((cost, row))
        file.queue.sort(key=lambda pair: not _uncommitted(pair[1]))  # stable: the draw stays
    if not files:
        raise FileNotFoundError(f"no committed records in {store.results_root()}")
    say(f"{sum(file.rows for file in files)} rows of {len(files)} files have their digest "
        f"and their key, {len(found)} have not")  # fmt: skip
    for item in found:
        say(_line(item))
    limit = len(found) + records if records is not None else None
    end = time.monotonic() + budget  # of what is computed: looking took seconds
    with _cache_of_networks(train), contextlib.suppress(BudgetSpent), alarm(end - time.monotonic()):
        for file, row, cost in _drawn(files, end, pace := Pace()):
            if len(found) == limit:
                break
            begun = time.monotonic()
            item = _compared(file.experiment, row, seconds)
            found.append(item)
            file.outcomes[item.outcome] += 1
            pace.add(cost, time.monotonic() - begun)
            say(f"{_line(item)}, {time.monotonic() - begun:.0f} s")
    return found, files


@dataclass
class Pace:
    """How long rows take here, as a multiple of what their records say."""

    said: float = 60.0  # so that the first few rows do not decide alone
    took: float = 60.0

    def add(self, said: float, took: float) -> None:
        """A row is through that should have taken ``said`` seconds."""
        self.said, self.took = self.said + said, self.took + took

    @property
    def factor(self) -> float:
        return self.took / self.said


def _line(item: Comparison) -> str:
    return f"{item.outcome:10} {item.key[:12]}  {item.what}: {item.detail}"


def _drawn(files: list[File], end: float, pace: Pace) -> Iterator[tuple[File, dict, float]]:
    """Rows with the seconds they should take, file by file in turn, the quickest files first.

    A file may take what its quickest row needs, and an equal part of what is then to spare. Where
    the time left is not enough for all of them, each turn shares it out.
    """
    drawn = True
    while drawn:
        todo = sorted((file for file in files if file.queue), key=_quickest)
        late, drawn = [], False
        for place, file in enumerate(todo):
            left = (end - time.monotonic()) / pace.factor
            spare = left - sum(map(_quickest, todo[place:]))
            own, spare = (_quickest(file), spare) if spare > 0 else (0.0, left)
            found = _take(file, own + spare / (len(todo) - place))
            if found is None:
                late.append(file)
            else:
                drawn = True
                yield file, *found
        for file in late:
            if found := _take(file, (end - time.monotonic()) / pace.factor):
                drawn = True
                yield file, *found


def _quickest(file: File) -> float:
    return min(cost for cost, _ in file.queue)


def _take(file: File, seconds: float) -> tuple[dict, float] | None:
    """The first row of the queue that fits and its seconds, and the note where none does."""
    for place, (cost, row) in enumerate(file.queue):
        if cost <= seconds:
            del file.queue[place]
            return row, cost
    if file.queue:
        file.left = Counter({f"the quickest takes about {_quickest(file):,.0f} s": 1})
    return None


def _sound(experiment: Experiment) -> tuple[list[dict], list[Comparison]]:
    """The committed rows that are what their digest and key say, and a comparison for others."""
    with _empty_cache():
        try:
            rows = store.read(experiment.name)
        except ValueError as error:
            return [], [Comparison("", experiment.name, "differs", str(error))]
    wrong = [
        Comparison(row["key"], experiment.name, "differs", "its key is not of its configuration")
        for row in rows
        if cache.config_key(experiment.name, row["schema"], row["config"]) != row["key"]
    ]
    keys = {item.key for item in wrong}
    return [row for row in rows if row["key"] not in keys], wrong


def _uncommitted(record: dict) -> bool:
    commit = record["provenance"]["commit"]
    return commit.endswith("+changes") or commit == "unknown"


@contextlib.contextmanager
def _empty_cache() -> Iterator[Path]:
    """Nothing computed before may vouch for itself."""
    with (
        tempfile.TemporaryDirectory() as empty,
        mock.patch.dict(os.environ, {"MODGRAPH_CACHE": empty}),
    ):
        yield Path(empty)


@contextlib.contextmanager
def _cache_of_networks(train: bool) -> Iterator[None]:
    """A cache that holds no record, and the trained networks there are unless ``train``."""
    own = (cache.cache_root() / "networks").glob("*.safetensors")
    # Of a network that is both shipped and in the cache, the cache's.
    found = {} if train else {path.name: path for path in (*store.shipped_networks(), *own)}
    with _empty_cache() as folder:
        (folder / "networks").mkdir()
        for name, path in found.items():
            # A link, which is replaced and never followed where a network is written.
            (folder / "networks" / name).symlink_to(path.resolve())
        yield


def _compared(experiment: Experiment, record: dict, seconds: costs.Costs) -> Comparison:
    config = record["config"]
    named = {**config.get("train", {}), **config}
    words = ("data", "name", "network", "kind", "stage", "epoch", "seed")
    what = ", ".join(f"{name} {named[name]}" for name in words if name in named)
    what = f"{experiment.name}: {what}"
    elsewhere = _trained_elsewhere(experiment, record, seconds)
    key = experiment.key(rebuilt(experiment.config, config), None)
    facts = {n: value for n, value in cache.canonical(key).items() if n != "weights_digest"}
    if other := [name for name in facts if facts[name] != config.get(name)]:
        detail = f"another {', '.join(other).replace('_', ' ')} here"
        return Comparison(record["key"], what, "differs", detail)
    now = experiment.again(record)
    outcome, detail = experiment.compare(record["result"], now)
    if outcome == "differs" and elsewhere and compare.accuracies(record["result"], now):
        outcome, detail = "open", f"trained on another processor; accuracies agree, {detail}"
    return Comparison(record["key"], what, outcome, detail)


def _trained_elsewhere(experiment: Experiment, record: dict, seconds: costs.Costs) -> bool:
    """Whether the network to be looked at has to be trained, and was on another processor."""
    here = provenance.stamp(device="cpu", threads=1, seconds=0)["processor"]
    if "train" not in record["config"] or here == record["provenance"]["processor"]:
        return False
    return not seconds.holds(rebuilt(experiment.config, record["config"]).train)
