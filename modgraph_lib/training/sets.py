"""The two halves of a data set, and what identifies them in results."""

from __future__ import annotations

import functools
from pathlib import Path

from modgraph_lib import cache
from modgraph_lib.datasets import Dataset, load

__all__ = ["data_note", "fingerprint", "pair"]


def fingerprint(data: str, root: str | Path | None = None) -> str:
    """One digest of the training and test set of a name, as results are keyed by it.

    >>> len(training.fingerprint("digits"))
    64
    """
    train_data, test_data = pair(data, root)
    return cache.config_key("data", 1, [train_data.fingerprint, test_data.fingerprint])


def data_note(data: str, root: str | Path | None = None) -> str:
    """What a reader must know about the copy of the data that was used ('' if nothing).

    >>> training.data_note("digits")
    ''
    """
    return pair(data, root)[0].note


@functools.lru_cache(maxsize=4)
def pair(name: str, root: str | Path | None = None) -> tuple[Dataset, Dataset]:
    """Training and test set of a name."""
    return load(name, "train", root=root), load(name, "test", root=root)
