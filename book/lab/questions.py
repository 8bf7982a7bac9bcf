"""Questions of our own, pre-registered: ``data/papers/<room>/questions.yaml``.

An entry is one of ``entries`` with the words of a ``question``. Its answer is computed as a claim's
verdict is, by the same tests from the same rows, and shown on the same cards. Questions are no
claims of a paper: they are in no count of claims, and the scorecard does not list them.
"""

from __future__ import annotations

import pandas as pd

from book.lab import entries
from book.lab.cards import ANSWERS, card
from book.lab.claims import papers_root, written
from book.lab.evidence import Results
from book.lab.filter import STYLE
from book.lab.scorecard import Html
from book.lab.verdict import PAPER, kind_of, load_results, verdicts_of

__all__ = ["answers", "load_questions", "questions_table"]


def load_questions(*, arguments: bool = False) -> pd.DataFrame:
    """All questions of all rooms, in the columns of ``claims.load_claims``.

    Args:
        arguments: import every measurement and check that it takes what it is given.

    Raises:
        ValueError: an entry that ``entries.read`` refuses, or that asks nothing.
    """
    rows, faults = [], []
    for path in sorted(papers_root().glob("*/questions.yaml")):
        found, wrong = entries.read(path, arguments=arguments)
        faults += wrong
        for name, entry in found.items():
            if not entry.question or not entry.tests:
                faults.append(f"{name}: a question needs its words (question) and a test")
            rows.append({"paper": path.parent.name, "id": name, "where": "", "needs": ""})
            rows[-1] |= vars(entry)
    if faults:
        raise ValueError("questions.yaml:\n- " + "\n- ".join(faults))
    names = ["paper", "id", "where", "needs", *entries.OF_A_CLAIM]
    table = pd.DataFrame(rows, columns=names)
    table = table.rename(columns={"text": "criterion_text"}).assign(claim=table["question"])
    return table.assign(written=written(papers_root(), table))


def answers(results: Results | None = None, *, section: str = "") -> pd.DataFrame:
    """One row per question, as ``verdict.verdicts`` has one per claim, with the question's words.

    Args:
        results: tables by experiment; None reads the store.
        section: only the questions asked there.
    """
    table = load_questions()
    if section:
        table = table[table["section"] == section]
    found = verdicts_of(table, load_results() if results is None else results)
    found["scale"] = found["scale"].replace(PAPER, "")  # there is no paper whose scale it could be
    words = table[["id", "claim", "where", "criterion_text", "reason"]]
    return found.merge(words, on="id", how="left", validate="one_to_one")


def questions_table(section: str, results: Results | None = None) -> Html:
    """The questions of one section as cards, in the order in which they were written."""
    frame = answers(results, section=section)
    counts = frame["verdict"].map(kind_of).value_counts()
    said = "; ".join(f"{counts[kind]} {word}" for kind, word in ANSWERS.items() if kind in counts)
    cards = "".join(card(row, own=True) for row in frame.itertuples(index=False))
    text = f"{STYLE}<p><strong>{len(frame)} questions of our own:</strong> {said}</p>{cards}"
    lines = [f"{row.id}  {ANSWERS[kind_of(row.verdict)]}" for row in frame.itertuples(index=False)]
    return Html(text, "\n".join(lines))
