"""Where things run: which device, and on how many threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from threadpoolctl import threadpool_limits

__all__ = ["pick_device", "single_thread", "threads_for"]


_LOCK = threading.Lock()
_INSIDE: dict[str, Any] = {}  # of single_thread: how many are in it, and what was before


def pick_device(device: str = "auto") -> str:
    """The device to use: "auto" means cuda, then mps, then cpu.

    Raises:
        ValueError: an accelerator was asked for by name and is not there.

    >>> device.pick_device("cpu")
    'cpu'
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, there in available.items() if there)
    if not available.get(str(device).partition(":")[0], False):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ValueError(f"device {device!r} is not available here; use auto, or one of: {there}")
    return device


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Torch, numpy and scipy on one thread: fastest for small networks, and the same bits each run.

    On matrices of a few hundred rows a second BLAS thread costs more in waiting than it does. The
    numbers of threads belong to the process: of several threads inside, the last to leave puts
    them back.

    >>> with device.single_thread():
    ...     torch.get_num_threads()
    1
    """
    with _LOCK:
        if not _INSIDE:
            _INSIDE["threads"], _INSIDE["pools"] = torch.get_num_threads(), threadpool_limits(1)
        _INSIDE["count"] = _INSIDE.get("count", 0) + 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE["count"] -= 1
            if not _INSIDE["count"]:
                torch.set_num_threads(_INSIDE["threads"])
                _INSIDE["pools"].restore_original_limits()
                _INSIDE.clear()


def threads_for(device: str) -> contextlib.AbstractContextManager:
    """One thread on a CPU, whose cores go to processes; an accelerator's host keeps its own.

    >>> with device.threads_for("cpu"):
    ...     torch.get_num_threads()
    1
    """
    return single_thread() if device == "cpu" else contextlib.nullcontext()
