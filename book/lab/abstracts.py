"""The opening page of a paper: what it asked, the answer, whether its abstract holds, its claims.

``data/papers/abstracts.yaml`` holds the sentences, and says which claims make a sentence of the
abstract checkable. These are the headline claims; numbers and verdicts come from the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from book.lab import yaml_files
from book.lab.cards import ANSWERS, GRADE_WORDS, grade_of, mark
from book.lab.claims import PAPERS, load_claims, papers_root
from book.lab.criteria import NOT_REPRODUCED, PARTLY, REPRODUCED, UNDECIDED
from book.lab.filter import STYLE
from book.lab.findings import said, stale
from book.lab.verdict import GRADES, NOT_RUN, SIGNS, kind_of

__all__ = [
    "abstracts",
    "counts_markdown",
    "headlines",
    "holds",
    "paper_markdown",
    "questions_markdown",
]

DECIDED = (REPRODUCED, PARTLY, NOT_REPRODUCED, UNDECIDED)


def abstracts() -> dict[str, dict[str, Any]]:
    """The entries of ``abstracts.yaml`` by paper: asks, answer, figure, states."""
    return yaml_files.read(papers_root() / "abstracts.yaml")


def headlines(paper: str | None = None) -> list[str]:
    """Ids of the claims that the abstracts rest on, in their order; of one paper, or of all."""
    chosen = [entry for name, entry in abstracts().items() if paper in (None, name)]
    ids = [name for entry in chosen for state in entry["states"] for name in state["claims"]]
    return list(dict.fromkeys(ids))


def holds(kinds: Iterable[str]) -> str:
    """The verdict on a sentence from those on its claims: as ``combine``, of those decided."""
    decided = [kind for kind in kinds if kind in DECIDED]
    if not decided:
        return NOT_RUN
    if len(set(decided)) == 1:
        return decided[0]
    return UNDECIDED if set(decided) == {REPRODUCED, UNDECIDED} else PARTLY


def counts_markdown(frame: pd.DataFrame) -> str:
    """How many claims have which verdict, those of the abstracts beside all, in MyST.

    Args:
        frame: the rows of ``verdicts``.
    """
    kinds = frame.set_index("id")["verdict"].map(kind_of)
    first = kinds[headlines()]
    lines = [
        "| Verdict | claims of the abstracts | all claims |",
        "| :--- | ---: | ---: |",
        *(
            f"| {sign} {kind} | {(first == kind).sum()} | {(kinds == kind).sum()} |"
            for kind, sign in SIGNS.items()
        ),
        f"| all | {len(first)} | {len(kinds)} |",
    ]
    return "\n".join(lines) + "\n"


def paper_markdown(paper: str, frame: pd.DataFrame, *, figure: str = "", root: str = "../") -> str:
    """The opening page of a paper, in MyST.

    Args:
        paper: a key of ``PAPERS``.
        frame: the rows of ``verdicts``.
        figure: the figure as MyST, or nothing.
        root: relative path from the page to the root of the site.
    """
    entry, frame = abstracts()[paper], frame.set_index("id", drop=False)
    frame = frame.join(load_claims().set_index("id")[["claim", "where"]])
    shown = [one for one in entry["answer"] if not stale([{"claims": {}} | one], frame)]
    of_paper = frame[frame["paper"] == paper]
    kinds = of_paper["verdict"].map(kind_of)
    told = ", ".join(f"{SIGNS[kind]} {n} {kind}" for kind in SIGNS if (n := (kinds == kind).sum()))
    pieces = [
        f"# The paper: {PAPERS[paper]}",
        STYLE,
        entry["asks"],
        "## The answer",
        " ".join(said(one["says"], frame) for one in shown),
        figure,
        "## Does its abstract hold?",
        "Below is what the abstract states, in our words, with the claims of the paper that make "
        "it checkable. The verdict on a sentence follows from those of its claims that could be "
        "decided.",
        *(_state(state, frame, root) for state in entry["states"]),
        "## All claims, by verdict and grade",
        f"{len(of_paper)} claims: {told}. [Their tests and numbers]({root}book/scorecard.md).",
    ]
    for kind in SIGNS:
        pieces += _of_kind(kind, of_paper[kinds == kind], root)
    return "\n\n".join(filter(None, pieces)) + "\n"


def questions_markdown(
    answers: pd.DataFrame, *, sections: Collection[str], root: str = "../"
) -> str:
    """The questions of our own with their answers, section by section, in MyST.

    Args:
        answers: the rows of ``questions.answers``.
        sections: the sections that the site has; questions of others get no link.
        root: relative path from the page to the root of the site.
    """
    pieces = ["## The questions, and the answers so far", STYLE]
    for _, asked in answers.groupby("section", sort=False):
        lines = []
        for one in asked.itertuples():
            there = one.section in sections
            name = f'<a href="{root}{one.evidence}">{one.id}</a>' if there else one.id
            told = ANSWERS.get(kind_of(one.verdict), one.verdict)
            lines.append(f"<li>{name} {one.claim} {mark(one.verdict, said=told)}</li>")
        pieces.append(f"<ul>{''.join(lines)}</ul>")
    return "\n\n".join(pieces) + "\n"


def _state(state: dict[str, Any], frame: pd.DataFrame, root: str) -> str:
    """One sentence of the abstract with its verdict, its grades, and its claims."""
    claims = frame.loc[state["claims"]]
    kinds = claims["verdict"].map(kind_of)
    decided = claims[kinds.isin(DECIDED)]
    grades = [GRADE_WORDS[g] for g in GRADES if g in set(decided["scale"].map(grade_of))]
    lines = [_line(claim, root, grade=True) for claim in claims.itertuples()]
    said_of = f"{len(decided)} of {len(claims)} claims decided"
    return (
        f"<div>\n<p><strong>{state['says']}</strong><br>"
        f"{mark(holds(kinds))} <small>({', '.join([said_of, *grades])})</small></p>\n"
        f"<ul>{''.join(lines)}</ul>\n</div>"
    )


def _of_kind(kind: str, claims: pd.DataFrame, root: str) -> list[str]:
    """Heading and lines of the claims with one verdict, the strongest evidence first."""
    if claims.empty:
        return []
    grades = claims["scale"].map(grade_of)
    pieces = [f"### {SIGNS[kind]} {kind.capitalize()} ({len(claims)})"]
    for grade in (*GRADES, ""):
        lines = [_line(claim, root) for claim in claims[grades == grade].itertuples()]
        if lines:
            words = f"<p><small>{GRADE_WORDS[grade]}:</small></p>" if grade else ""
            pieces.append(f'{words}<ul class="mg-list">{"".join(lines)}</ul>')
    return pieces


def _line(claim: Any, root: str, *, grade: bool = False) -> str:
    """Claim and link to its evidence in one line, with verdict and grade where asked for."""
    name = f'<a href="{root}{claim.evidence}">{claim.id}</a>' if claim.evidence else claim.id
    words = f" ({GRADE_WORDS[grade_of(claim.scale)]})" if grade_of(claim.scale) else ""
    verdict = f"{mark(claim.verdict)}{words}: " if grade else ""
    _, bracket, why = claim.verdict.partition("(")
    needs = f" <small>({why}</small>" if bracket and not grade else ""
    return f"<li>{name} {verdict}{claim.claim}{needs}</li>"
