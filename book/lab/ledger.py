"""The ledger: 401 claims of five papers, their tests, and verdicts computed from result rows."""

from book.lab.claims import load_claims
from book.lab.criteria import Criterion, Part
from book.lab.printed import paper_table
from book.lab.scorecard import claims_table, scorecard_markdown, summary
from book.lab.verdict import load_results, verdicts

__all__ = [
    "Criterion",
    "Part",
    "claims_table",
    "load_claims",
    "load_results",
    "paper_table",
    "scorecard_markdown",
    "summary",
    "verdicts",
]
