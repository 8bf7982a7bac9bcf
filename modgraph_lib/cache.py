"""Where computed things are kept, what identifies them, and how a file is written whole.

A key is the SHA-256 of a canonical configuration together with a name and a schema version, so
"is it there already?" never depends on a file name that somebody chose.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

__all__ = [
    "ADDED_LATER",
    "cache_root",
    "canonical",
    "check_writable",
    "config_key",
    "present",
    "rounded",
    "write_atomically",
]

ADDED_LATER = {"added_later": True}
PROBE = 2**20  # bytes that must fit: a network has more, and a full disk none


def checkout() -> Path | None:
    """The project's checkout this library runs from; None for an installed library."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "book" / "lab").is_dir() else None


def user_cache() -> Path:
    """$MODGRAPH_CACHE, or the user's cache folder: what several checkouts can share."""
    if chosen := os.environ.get("MODGRAPH_CACHE"):
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("modgraph_lib", appauthor=False)


def cache_root() -> Path:
    """Folder of everything recomputable: $MODGRAPH_CACHE, or the user's cache folder.

    A checkout of the project, which has ``book/lab`` beside the library, keeps its own in
    ``data/cache``.

    >>> cache.cache_root()
    PosixPath('...')
    """
    project = checkout()
    if project is None or os.environ.get("MODGRAPH_CACHE"):
        return user_cache()
    return project / "data" / "cache"


def canonical(config: Any) -> Any:
    """Plain JSON value of a configuration: dataclasses to dicts, tuples to lists.

    A field declared with ``metadata=ADDED_LATER`` is left out while it has its default, so that
    a new option leaves the keys of all earlier records as they were.

    Raises:
        TypeError: a value that has no JSON form (an array, a module, a function).
        ValueError: a float that is not finite.

    >>> cache.canonical({"widths": (256, 256), "dropout": None})
    {'widths': [256, 256], 'dropout': None}
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
    """SHA-256 (64 hex digits) of experiment name, schema version and canonical configuration.

    >>> cache.config_key("curves", 1, {"k": 3})[:12]
    '98ea5383c2cc'
    """
    text = json.dumps([experiment, schema, canonical(config)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, sync it, then rename it into place.

    A reader sees the old file or the whole new one, never a part; a kill leaves at most a
    stray temporary file.

    Raises:
        OSError: the folder cannot be made or written, the disk is full, or a folder is in the way.

    >>> cache.write_atomically(cache.cache_root() / "a.txt", lambda path: path.write_text("whole"))
    >>> (cache.cache_root() / "a.txt").read_text()
    'whole'
    """
    if not isinstance(path, Path):
        raise TypeError(f"expected the file as a pathlib.Path, got {path!r}")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        why = f"{path} cannot be written: {error.strerror or error}"
        if path.is_relative_to(cache_root()):
            why += f"; free or repair {cache_root()}, or name another folder in MODGRAPH_CACHE"
        raise OSError(error.errno, why) if error.errno else OSError(why) from None
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def present(path: Path) -> bool:
    """Whether a kept file is there; ValueError for a folder in its place.

    >>> cache.present(cache.cache_root() / "nothing.txt")
    False
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder where a file belongs; move it away")
    return path.exists()


def check_writable() -> None:
    """OSError now, which names the cache folder, where what is about to be computed cannot be kept.

    >>> cache.check_writable()
    """
    probe = cache_root() / f"probe-{os.getpid()}-{threading.get_ident()}"
    write_atomically(probe, lambda path: path.write_bytes(bytes(PROBE)))
    probe.unlink(missing_ok=True)


def rounded(values: Iterable[float], digits: int = 6) -> list[float]:
    """Floats as they are stored: short enough to commit, finer than any printed number.

    >>> cache.rounded([1 / 3, 2])
    [0.333333, 2.0]
    """
    return [round(float(value), digits) for value in values]
