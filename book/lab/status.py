"""The line under a section's title: paper, verdicts so far, evidence, cost, digests."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

import modgraph_lib
from book.lab import ledger
from book.lab.cards import ANSWERS
from book.lab.claims import PAPERS
from book.lab.evidence import Results
from book.lab.questions import answers, load_questions
from book.lab.verdict import kind_of
from book.lab.words import library_digest, rows_digest, say

__all__ = ["status_line"]


def status_line(
    section: str, rows: pd.DataFrame, *, evidence: str, cost: str, results: Results | None = None
) -> Markdown:
    """The status of one section, computed from its claims and rows.

    Args:
        section: for instance "community_modularity/03_training"; it may have no claim.
        rows: the evidence, with the column ``key``; none is fine.
        evidence, cost: the same in words, and what the page takes to run.
        results: as for ``ledger.verdicts``; None reads the store.
    """
    said = "none; the question of this page is ours, and no claim rests on it"
    if section in set(ledger.load_claims()["section"]):
        results = ledger.load_results() if results is None else results
        totals = ledger.summary(ledger.verdicts(results, section=section)).loc["all"]
        kinds = totals.drop("total").items()
        said = ", ".join(f"{count} {kind}" for kind, count in kinds if count)
        said += f", of {totals['total']} claims"
    asked = load_questions()
    if len(asked) and section in set(asked["section"]):
        counts = answers(results, section=section)["verdict"].map(kind_of).value_counts()
        said = ", ".join(f"{counts[k]} {word}" for k, word in ANSWERS.items() if k in counts)
        said += f", of {counts.sum()} questions of our own"
    paper = PAPERS.get(section.split("/")[0], "none; what the five papers leave open")
    digest = rows_digest(rows) if len(rows) else "none"
    return say(
        f"""
        **Paper:** {paper}<br>
        **Verdicts so far:** {said}<br>
        **Evidence so far:** {evidence}<br>
        **Cost:** {cost}<br>
        **Digests:** library `{library_digest()}` (version {modgraph_lib.__version__}),
        rows and their data `{digest}`
        """
    )
