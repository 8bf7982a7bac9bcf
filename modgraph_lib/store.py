"""Result records and trained weights on disk: keyed by content, written atomically.

A record is one JSON object. Its key is the SHA-256 of its canonical configuration together
with the experiment's name and schema version, so "is it there already?" never depends on a
file name somebody chose. Records computed here go to ``data/cache/records`` (not committed);
``commit_records`` gathers them into ``data/results/<experiment>.jsonl`` (committed).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "ADDED_LATER",
    "cache_root",
    "canonical",
    "commit_records",
    "config_key",
    "get",
    "put",
    "provenance",
    "read",
    "state",
    "write_atomically",
]

REPOSITORY = Path(__file__).resolve().parent.parent
ADDED_LATER = {"added_later": True}
PACKAGES = ("modgraph_lib", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "networkx")


def cache_root() -> Path:
    """Folder of everything recomputable: $MODGRAPH_CACHE, or data/cache of the repository."""
    return Path(os.environ.get("MODGRAPH_CACHE") or REPOSITORY / "data" / "cache")


def results_root() -> Path:
    """Folder of the committed records: $MODGRAPH_RESULTS, or data/results of the repository."""
    return Path(os.environ.get("MODGRAPH_RESULTS") or REPOSITORY / "data" / "results")


def canonical(config: Any) -> Any:
    """Plain JSON value of a configuration: dataclasses to dicts, tuples to lists.

    A field declared with ``metadata=ADDED_LATER`` is left out while it has its default, so that
    a new option leaves the keys of all earlier records as they were.

    Raises:
        TypeError: a value that has no JSON form (an array, a module, a function).
        ValueError: a float that is not finite.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {
            f.name: canonical(getattr(config, f.name))
            for f in dataclasses.fields(config)
            if not (f.metadata.get("added_later") and getattr(config, f.name) == f.default)
        }
    if isinstance(config, Mapping):
        return {str(k): canonical(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return [canonical(v) for v in config]
    if isinstance(config, bool | int | str) or config is None:
        return config
    if isinstance(config, float):
        if not np.isfinite(config):
            raise ValueError(f"a configuration cannot hold {config}; use None for 'absent'")
        return config
    raise TypeError(f"a configuration holds only str, int, float, bool and lists, not {config!r}")


def config_key(experiment: str, schema: int, config: Any) -> str:
    """SHA-256 (64 hex digits) of experiment name, schema version and canonical configuration."""
    text = json.dumps([experiment, schema, canonical(config)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, sync it, then rename it into place.

    A reader sees the old file or the whole new one, never a part; a kill leaves at most a
    stray temporary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put(
    experiment: str, schema: int, config: Any, result: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one record and return it; writing the same key again replaces the record whole."""
    key = config_key(experiment, schema, config)
    record = {
        "key": key,
        "experiment": experiment,
        "schema": schema,
        "config": canonical(config),
        "result": dict(result),
        "provenance": dict(origin),
    }
    record["digest"] = _digest(record)
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    write_atomically(_record_path(experiment, key), lambda path: path.write_text(text + "\n"))
    return record


def get(experiment: str, schema: int, config: Any) -> dict[str, Any] | None:
    """The locally stored record of a configuration, or None when it has to be computed.

    A truncated or altered record is reported in one warning line, set aside by removal, and
    counts as absent.
    """
    return _load(_record_path(experiment, config_key(experiment, schema, config)))


def read(experiment: str) -> list[dict[str, Any]]:
    """All records of an experiment, committed and local, one per key, sorted by key.

    A local record replaces the committed one of the same key.

    Raises:
        ValueError: the committed file is damaged (names the line).
    """
    records = {}
    committed = _committed_path(experiment)
    if committed.exists():
        for number, line in enumerate(committed.read_text().splitlines(), 1):
            try:
                record = json.loads(line)
                sound = record["digest"] == _digest(record)
            except (json.JSONDecodeError, KeyError, TypeError):
                sound = False
            if not sound:
                raise ValueError(
                    f"{committed}, line {number} is damaged; restore it with "
                    f"'git checkout -- {committed}'"
                )
            records[record["key"]] = record
    for path in _local_paths(experiment):
        if (record := _load(path)) is not None:
            records[record["key"]] = record
    return [records[key] for key in sorted(records)]


def state(experiment: str) -> tuple[tuple[str, int, int, int], ...]:
    """The files that ``read`` would read, as they stand: equal for as long as none was touched."""
    committed = [path for path in [_committed_path(experiment)] if path.exists()]
    facts = [(str(path), path.stat()) for path in [*committed, *_local_paths(experiment)]]
    return tuple((name, fact.st_ino, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


def commit_records(
    experiment: str, keep: Callable[[dict[str, Any]], bool] = lambda record: True
) -> Path:
    """Gather local records that ``keep`` accepts into data/results/<experiment>.jsonl.

    Records that are committed already stay, whatever ``keep`` says of them.
    """
    path = _committed_path(experiment)
    before = path.read_text().splitlines() if path.exists() else []
    committed = {json.loads(line)["key"] for line in before}
    records = [r for r in read(experiment) if r["key"] in committed or keep(r)]
    lines = [json.dumps(record, sort_keys=True, allow_nan=False) for record in records]
    write_atomically(path, lambda temporary: temporary.write_text("".join(f"{x}\n" for x in lines)))
    return path


def provenance(*, device: str, threads: int, seconds: float, data_note: str = "") -> dict[str, Any]:
    """Who ran what, when and on which machine: the part of a record that no key depends on."""
    return {
        **_where(),
        "device": device,
        "threads": threads,
        "seconds": round(seconds, 3),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data_note": data_note,
    }


def rounded(values: Iterable[float], digits: int = 6) -> list[float]:
    """Floats as they are stored: short enough to commit, finer than any printed number."""
    return [round(float(value), digits) for value in values]


@functools.cache
def _where() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"commit": _commit(), "versions": versions, "processor": _processor()}


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        library = [*git, "status", "--porcelain", "--", "modgraph_lib"]
        dirty = subprocess.run(library, capture_output=True, text=True).stdout.strip()
    except OSError:
        return "unknown"
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + ("+changes" if dirty else "")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or sys.platform


def _committed_path(experiment: str) -> Path:
    return results_root() / f"{experiment}.jsonl"


def _local_paths(experiment: str) -> list[Path]:
    return sorted((cache_root() / "records" / experiment).glob("*.json"))


def _record_path(experiment: str, key: str) -> Path:
    return cache_root() / "records" / experiment / f"{key}.json"


def _digest(record: Mapping[str, Any]) -> str:
    body = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _load(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        sound = record["digest"] == _digest(record) and record["key"] == path.stem
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        sound = False
    if not sound:
        warnings.warn(f"{path} is truncated or altered; it will be recomputed", stacklevel=3)
        path.unlink(missing_ok=True)
        return None
    return record
