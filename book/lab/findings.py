"""What the book found: sentences whose numbers and certainty come from the verdicts.

``data/papers/findings.yaml`` holds the sentences. One whose claims no longer have the verdicts that
it speaks of is not shown, and ``stale`` names it, which a test refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from book.lab import yaml_files
from book.lab.cards import ANSWERS, GRADE_WORDS, grade_of, mark
from book.lab.claims import PAPERS, papers_root
from book.lab.filter import STYLE
from book.lab.verdict import kind_of

__all__ = ["answers", "findings", "markdown", "said", "stale"]

NUMBER = re.compile(r"\{([A-Z]{2,3}-\d+)(?:\[(\d+)\]|\.(runs))(:[^}]*)?\}")


def findings() -> list[dict[str, Any]]:
    """The entries of ``findings.yaml``: says, and claims (id -> the verdict it speaks of)."""
    return yaml_files.read(papers_root() / "findings.yaml")


def answers(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Section -> says, with its numbers, figure and see, of ``answers.yaml``.

    An answer whose claims have other verdicts than it speaks of is left out.

    Args:
        frame: the rows of ``verdicts``.
    """
    frame, found = frame.set_index("id"), {}
    entries = yaml_files.read(papers_root() / "answers.yaml")
    for name, entry in entries.items():
        if not stale([{"claims": entry.pop("claims", {})}], frame):
            found[name] = entry | {"says": said(entry["says"], frame)}
    return found


def said(sentence: str, frame: pd.DataFrame) -> str:
    """The sentence with its numbers.

    Args:
        sentence: "{SM-26[0]:.0f}" is the first part of a claim, "{SM-26.runs}" its runs.
        frame: verdicts, indexed by id.

    Raises:
        ValueError: a number that is not there (names it).
    """

    def number(found: re.Match) -> str:
        name, index, runs, form = found.groups()
        try:
            value = (
                frame.at[name, "runs"] if runs else frame.at[name, "parts"][int(index)]["observed"]
            )
        except (KeyError, IndexError):
            raise ValueError(f"no number {found[0]} among the verdicts") from None
        return format(abs(value), (form or ":.3g")[1:])

    return NUMBER.sub(number, sentence)


def stale(entries: Iterable[Mapping[str, Any]], frame: pd.DataFrame) -> list[str]:
    """Claims whose verdict is no longer the one that a finding speaks of, as text."""
    return [
        f"{name} is {frame.at[name, 'verdict']}, not {verdict}"
        for entry in entries
        for name, verdict in entry["claims"].items()
        if kind_of(frame.at[name, "verdict"]) != verdict
    ]


def markdown(frame: pd.DataFrame, *, root: str = "../") -> str:
    """The page "What we found", in MyST markdown.

    Args:
        frame: the rows of ``verdicts``, and of ``questions.answers``.
        root: relative path from the page to the root of the site.
    """
    frame = frame.set_index("id", drop=False)
    shown = [entry for entry in findings() if not stale([entry], frame)]
    lines = [_finding(entry, frame, root) for entry in shown]
    return "\n\n".join(
        [
            "# What we found",
            STYLE,
            "Every number below is read from the result rows when this page is built. Under each "
            "sentence you find the claims that it rests on, with their verdicts and the grade of "
            "their evidence. Each claim links to the place where it was measured.",
            *lines,
            "## The counts",
            "Some statements matter more than others. The table counts those that a paper's "
            "abstract rests on, and beside them all statements. Each paper's page says whether "
            "its abstract holds. The [scorecard](scorecard.md) has every claim.",
            "```{include} counts.md\n```",
            *(f"- [{title}]({root}papers/{paper}.md)" for paper, title in PAPERS.items()),
        ]
    )


def _finding(entry: Mapping[str, Any], frame: pd.DataFrame, root: str) -> str:
    claims = [frame.loc[name] for name in entry["claims"]]
    lines = "<br>".join(_standing(claim, root) for claim in claims)
    return f"- {said(entry['says'], frame)}\n  <br><small>{lines}</small>"


def _standing(claim: Any, root: str) -> str:
    """Where a claim or a question of ours stands, in a line with a link."""
    link = f'<a href="{root}{claim.evidence}">{claim.id}</a>'
    grade = GRADE_WORDS.get(grade_of(claim.scale), "")
    if claim.paper not in PAPERS:
        answer = mark(claim.verdict, said=ANSWERS[kind_of(claim.verdict)])
        return f"{link} {answer} (our question{f', {grade}' if grade else ''})"
    released = f", by the released code: {mark(claim.released)}" if claim.released else ""
    return f"{link} {mark(claim.verdict)}, {grade or 'not decided'}{released}"
