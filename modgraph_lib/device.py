"""Where things run: which device, and on how many threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

__all__ = ["pick_device", "single_thread", "threads_for"]


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

    On matrices of a few hundred rows a second BLAS thread costs more in waiting than it does.

    >>> with device.single_thread():
    ...     torch.get_num_threads()
    1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def threads_for(device: str) -> contextlib.AbstractContextManager:
    """One thread on a CPU, whose cores go to processes; an accelerator's host keeps its own.

    >>> with device.threads_for("cpu"):
    ...     torch.get_num_threads()
    1
    """
    return single_thread() if device == "cpu" else contextlib.nullcontext()
