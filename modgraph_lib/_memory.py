"""Whether what is asked for fits into memory, told before it is begun."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["available", "check"]

LIMITS = Path("/sys/fs/cgroup")  # of a container or a batch job


def available() -> int:
    """Bytes that can be had now: of the machine, or of the container if that has a limit."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # no such limit, or "max"
        limit = int((LIMITS / "memory.max").read_text())
        free = min(free, limit - int((LIMITS / "memory.current").read_text()))
    return max(free, 0)


def check(wanted: float, what: str, hint: str) -> None:
    """MemoryError, in one line, where ``what`` takes more bytes than there are.

    Args:
        wanted: an estimate of the peak, in bytes.
        hint: what to do instead.
    """
    free = available()
    if wanted > free:
        raise MemoryError(
            f"{what} takes about {wanted / 2**30:.3g} GiB and {free / 2**30:.3g} are free; {hint}"
        )
