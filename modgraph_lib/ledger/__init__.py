"""The ledger: 401 claims of five papers, their tests, and verdicts computed from result rows."""

from modgraph_lib.ledger.claims import load_claims
from modgraph_lib.ledger.criteria import Criterion, Part
from modgraph_lib.ledger.evaluate import load_results, verdicts
from modgraph_lib.ledger.pages import claims_table, scorecard_markdown, summary
from modgraph_lib.ledger.tables import (
    experiment_of,
    paper_beside_ours,
    paper_table,
    printed_p_values,
)

__all__ = [
    "Criterion",
    "Part",
    "claims_table",
    "experiment_of",
    "load_claims",
    "load_results",
    "paper_beside_ours",
    "paper_table",
    "printed_p_values",
    "scorecard_markdown",
    "summary",
    "verdicts",
]
