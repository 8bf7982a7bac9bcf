"""What every chapter shows in the same way.

Presentation only.  Nothing here measures; numbers come from ``experiments``, ``readings`` and
``ledger``.
"""

from modgraph_lib.chapter.rows import bands, initial_rows, paper_rows
from modgraph_lib.chapter.tables import accuracies, beside, counts, live, spread, variants
from modgraph_lib.chapter.words import (
    command,
    differences,
    drawn,
    initial_range,
    lowest,
    provenance,
    say,
    status,
)

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
