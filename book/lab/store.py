"""Result records on disk: keyed by content, written atomically.

A record is one JSON object. Its key is ``cache.config_key`` of its experiment, schema version and
configuration. Records computed here go to ``data/cache/records`` (not committed);
``commit_records`` gathers them into ``data/results/<experiment>.jsonl`` (committed).
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modgraph_lib import cache

__all__ = [
    "adopt",
    "check_writable",
    "commit_records",
    "get",
    "put",
    "read",
    "results_root",
    "state",
]

REPOSITORY = Path(__file__).resolve().parents[2]


def results_root() -> Path:
    """Folder of the committed records: $MODGRAPH_RESULTS, or data/results of the repository."""
    return Path(os.environ.get("MODGRAPH_RESULTS") or REPOSITORY / "data" / "results")


def shipped_networks() -> list[Path]:
    """Trained networks that lie beside the committed records, so that these can be checked."""
    return sorted(results_root().with_name("networks").glob("*.safetensors"))


def check_writable() -> None:
    """OSError now, which names the folder, where committed records could not be written."""
    probe = results_root() / f".probe-{os.getpid()}"
    try:
        results_root().mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{results_root()} cannot be written: {error.strerror}; repair it, or name another "
            "folder in MODGRAPH_RESULTS",
        ) from None


def put(
    experiment: str, schema: int, config: Any, result: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one record and return it; writing the same key again replaces the record whole."""
    key = cache.config_key(experiment, schema, config)
    record = {
        "key": key,
        "experiment": experiment,
        "schema": schema,
        "config": cache.canonical(config),
        "result": dict(result),
        "provenance": dict(origin),
    }
    record["digest"] = _digest(record)
    _write(record)
    return record


def get(experiment: str, schema: int, config: Any) -> dict[str, Any] | None:
    """The locally stored record of a configuration, or None when it has to be computed.

    A truncated or altered record is reported in one warning line, set aside by removal, and
    counts as absent.

    Raises:
        OSError: it has to be computed, and could not be kept (names the folder).
        ValueError: a folder is where the record belongs.
    """
    found = _load(_record_path(experiment, cache.config_key(experiment, schema, config)))
    if found is None:
        cache.check_writable()  # before hours of work whose result could not be kept
    return found


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


def adopt(experiment: str) -> int:
    """Copy committed records that are not here into the local ones; how many these were."""
    missing = [r for r in read(experiment) if not _record_path(experiment, r["key"]).exists()]
    for record in missing:
        _write(record)
    return len(missing)


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
    text = "".join(f"{json.dumps(r, sort_keys=True, allow_nan=False)}\n" for r in records)
    cache.write_atomically(path, lambda temporary: temporary.write_text(text))
    return path


def _committed_path(experiment: str) -> Path:
    return results_root() / f"{experiment}.jsonl"


def _local_paths(experiment: str) -> list[Path]:
    return sorted((cache.cache_root() / "records" / experiment).glob("*.json"))


def _record_path(experiment: str, key: str) -> Path:
    return cache.cache_root() / "records" / experiment / f"{key}.json"


def _write(record: Mapping[str, Any]) -> None:
    text = json.dumps(record, sort_keys=True, allow_nan=False) + "\n"
    path = _record_path(record["experiment"], record["key"])
    cache.write_atomically(path, lambda temporary: temporary.write_text(text))


def _digest(record: Mapping[str, Any]) -> str:
    body = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def _load(path: Path) -> dict[str, Any] | None:
    if not cache.present(path):
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
