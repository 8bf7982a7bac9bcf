"""Decoded copies of data that is slow to read: safetensors files that check themselves."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from modgraph_lib.cache import user_cache
from modgraph_lib.datasets._types import fingerprint

log = logging.getLogger("modgraph.datasets")
Tensors = dict[str, torch.Tensor]


def pack_names(names: Iterable[str]) -> torch.Tensor:
    """Strings without line breaks as a uint8 tensor, to be stored beside the images."""
    return torch.frombuffer(bytearray("\n".join(names).encode()), dtype=torch.uint8)


def unpack_names(packed: torch.Tensor) -> list[str]:
    """The strings that ``pack_names`` packed."""
    return bytes(packed.numpy()).decode().split("\n")


def _path(key: str) -> Path:
    return user_cache() / "decoded" / f"{key}.safetensors"


def _read(path: Path) -> Tensors:
    """The tensors of a cache file; ValueError when it is truncated or altered."""
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in sorted(stored.keys())}
            expected = (stored.metadata() or {}).get("sha256")
    except (SafetensorError, OSError) as error:
        raise ValueError(str(error)) from error
    if fingerprint(tensors.values()) != expected:
        raise ValueError("its content does not have the checksum it was stored with")
    return tensors


def _write(path: Path, tensors: Tensors) -> None:
    """Store atomically: a reader sees the whole file or none, whenever we are killed."""
    ordered = {name: tensors[name].contiguous() for name in sorted(tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    os.close(handle)
    try:
        save_file(ordered, temporary, metadata={"sha256": fingerprint(ordered.values())})
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def cached(key: str, build: Callable[[], Tensors]) -> Tensors:
    """The tensors stored under ``key``, or those ``build`` makes, which are then stored.

    The key must name everything the result depends on. A truncated or altered file is said so
    in one line and built again; a cache that cannot be written costs time, never the result.
    """
    path = _path(key)
    if path.is_file():
        try:
            return _read(path)
        except ValueError as error:
            log.warning("%s is damaged (%s): decoding again", path, error)
    tensors = build()
    try:
        _write(path, tensors)
    except OSError as error:
        log.warning("%s cannot be written (%s): going on without a cache", path, error)
    return tensors
