"""What the pages of Part V show alike: status and provenance."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from book.lab.show import NOT_RUN
from book.lab.status import status_line
from book.lab.words import command, drawn, provenance, say

__all__ = ["NOT_RUN", "command", "drawn", "provenance", "say", "status"]


def status(section: str, rows: pd.DataFrame, *, what: str = "networks") -> Markdown:
    """The line under a page's title: answers so far, evidence, cost, digests."""
    count = rows["key"].nunique() if len(rows) else 0
    evidence = f"{count} {what}" if count else "only this page's small networks so far"
    return status_line(section, rows, evidence=evidence, cost="this page under a minute on 2 cores")
