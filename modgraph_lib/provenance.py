"""Who ran what, when and on which machine: what a result carries beside its numbers."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from modgraph_lib import cache

__all__ = ["stamp", "weights_digest"]

# A change in any of these may change a result.
CODE = ("modgraph_lib", "book/lab", "book/papers")
PACKAGES = ("modgraph_lib", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "networkx")


def stamp(*, device: str, threads: int, seconds: float, data_note: str = "") -> dict[str, Any]:
    """Who ran what, when and on which machine: the part of a record that no key depends on.

    >>> sorted(provenance.stamp(device="cpu", threads=1, seconds=2.5))
    ['commit', 'data_note', 'date', 'device', 'processor', 'seconds', 'threads', 'versions']
    """
    return {
        **_where(),
        "device": device,
        "threads": threads,
        "seconds": round(seconds, 3),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data_note": data_note,
    }


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
    folder = cache.checkout()
    if folder is None:  # a repository around an installed library is somebody else's
        return "unknown"
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        code = [*git, "status", "--porcelain", "--", *CODE]
        dirty = subprocess.run(code, capture_output=True, text=True).stdout.strip()
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


def weights_digest(weights: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of named weights (tensors).

    >>> provenance.weights_digest({"a": torch.zeros(2)})
    '50edc262344620eb'
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
