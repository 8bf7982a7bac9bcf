"""Data sets by name: real ones, and the made ones of the papers.

``load(name, split)`` returns a ``Dataset`` from files on this machine and never downloads;
``python -m modgraph_lib.datasets fetch NAME`` does, with verification, and ``... list`` shows
what is where. The construction rules also work on a user's own images (``make`` wraps them)::

    from modgraph_lib import datasets

    train = datasets.load("mnist", "train")
    pairs = datasets.halves(train, "diff", seed=42)
"""

from modgraph_lib.datasets._load import NAMES, check_name, load
from modgraph_lib.datasets._types import DataCorrupt, DataMissing, Dataset, fingerprint, make
from modgraph_lib.datasets.constructed import (
    halves,
    lines,
    mixture,
    polynomial_coefficients,
    polynomial_names,
    polynomials,
    random_images,
    stack,
)

__all__ = [
    "NAMES",
    "DataCorrupt",
    "DataMissing",
    "Dataset",
    "check_name",
    "fingerprint",
    "halves",
    "lines",
    "load",
    "make",
    "mixture",
    "polynomial_coefficients",
    "polynomial_names",
    "polynomials",
    "random_images",
    "stack",
]
