"""What every section on n-cuts shows in the same way.

Presentation only. Nothing here measures; numbers come from rows, ``readings`` and the ledger.
"""

from book.lab.words import command, drawn, say
from book.papers.ncut.rows import bands, initial_rows, paper_rows
from book.papers.ncut.show import accuracies, beside, counts, live, spread, variants
from book.papers.ncut.words import differences, initial_range, lowest, provenance, status

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
