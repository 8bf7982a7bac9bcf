"""What every chapter shows in the same way.

Presentation only.  Nothing here measures; numbers come from ``experiments``, ``readings`` and
``ledger``.
"""

from book.lab.show import accuracies, beside, counts, live, spread, variants
from book.lab.words import (
    command,
    differences,
    drawn,
    initial_range,
    lowest,
    provenance,
    say,
    status,
)
from book.papers.ncut.rows import bands, initial_rows, paper_rows

__all__ = [
    "accuracies",
    "bands",
    "beside",
    "command",
    "counts",
    "differences",
    "drawn",
    "initial_range",
    "initial_rows",
    "live",
    "lowest",
    "paper_rows",
    "provenance",
    "say",
    "spread",
    "status",
    "variants",
]
