"""Seeds made of several integers: of a network's own, a phase and an epoch."""

from __future__ import annotations

import numpy as np

__all__ = ["derived"]


def derived(*parts: int) -> int:
    """A 63-bit seed made of several non-negative integers (numpy's SeedSequence mixes them)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)
