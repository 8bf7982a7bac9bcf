"""Work that ends when its time is up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["BudgetSpent", "alarm"]


class BudgetSpent(Exception):
    """Raised wherever the main thread is when its time is up."""


@contextmanager
def alarm(seconds: float | None) -> Iterator[None]:
    """Raise ``BudgetSpent`` after so many seconds, wherever the main thread is then."""
    if seconds is None or seconds == float("inf"):
        yield
        return

    def ring(*_: Any) -> None:
        raise BudgetSpent

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
