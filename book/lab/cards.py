"""One claim as a reader sees it: a line with sign, verdict and grade; what is behind it, folded.

A verdict is always a word and a sign; colour adds nothing that they do not say. Cards are blocks of
text that wrap, so that they can be read on a phone and on paper.
"""

from __future__ import annotations

import html
from typing import Any

from book.lab.criteria import (
    BY_T,
    MET,
    NOT_MET,
    NOT_REPRODUCED,
    NOT_RUN_YET,
    PARTLY,
    REPRODUCED,
    UNCLEAR,
    UNDECIDED,
    chance,
)
from book.lab.verdict import GRADES, SIGNS, kind_of

__all__ = ["ANSWERS", "GRADE_WORDS", "card", "grade_of", "mark", "p_of"]

GRADE_WORDS = dict(
    zip(
        GRADES,
        ("at the paper's scale", "fewer networks", "another recipe", "by definition"),
        strict=True,
    )
)
# The words of a verdict on a question of our own.
ANSWERS = {
    REPRODUCED: "yes",
    PARTLY: "partly",
    NOT_REPRODUCED: "no",
    UNDECIDED: "undecided",
    NOT_RUN_YET: "not run yet",
}
OUTCOMES = {MET: "✓", UNCLEAR: "?", NOT_MET: "✗"}
WRITTEN = {
    "before": "This test was committed before the first of its rows was made.",
    "after": "This test, in its present form, was committed after the first of its rows was made.",
}


def grade_of(scale: str) -> str:
    """The grade that a verdict's ``scale`` begins with; empty while nothing is decided."""
    return next((grade for grade in GRADES if scale.split(":")[0] == grade), "")


def mark(verdict: str, *, said: str = "") -> str:
    """Sign and word of a verdict, as HTML; ``said``: in other words."""
    kind = kind_of(verdict)
    return (
        f'<span class="mg-verdict" data-verdict="{kind}">'
        f'<span aria-hidden="true">{SIGNS[kind]}</span> {_text(said or verdict)}</span>'
    )


def card(claim: Any, *, link: str = "", anchor: bool = True, own: bool = False) -> str:
    """A claim with test, numbers and verdict, as a line that unfolds.

    Args:
        claim: a row of ``verdicts`` joined with the claim's words.
        link: address of the evidence, from the page that shows the card.
        anchor: give the card the claim's id as its own.
        own: it is a question of ours: the verdict is an answer, and no paper says anything.
    """
    grade = grade_of(claim.scale)
    place = f' id="{claim.id.lower()}"' if anchor else ""
    chip = f' <span class="mg-grade">{GRADE_WORDS[grade]}</span>' if grade else ""
    said = ANSWERS[kind_of(claim.verdict)] if own else ""
    return (
        f'<details class="mg-claim"{place} data-verdict="{kind_of(claim.verdict)}" '
        f'data-grade="{grade}" data-paper="{claim.paper}"><summary>'
        f'<span class="mg-id">{claim.id}</span> {mark(claim.verdict, said=said)}{chip} '
        f'<span class="mg-said">{_text(claim.claim)}</span> {_number(claim)}</summary>'
        f'<div class="mg-behind">{_behind(claim, link, own)}</div></details>'
    )


def _number(claim: Any) -> str:
    """What was measured, and what was asked: in the line if it is one number."""
    parts = [part for part in claim.parts if part["outcome"] in OUTCOMES]
    if not parts:
        return ""
    if len(parts) == 1:
        told = f"{_text(claim.observed)}; required: {parts[0]['asked']}{p_of(parts[0])}"
        return f'<span class="mg-number">{told}</span>'
    met = sum(part["outcome"] == MET for part in parts)
    return f'<span class="mg-number">{met} of {len(parts)} parts met</span>'


def p_of(part: dict[str, Any]) -> str:
    """The p of a part that is judged by its standard error, as " (p = 0.04)"; else nothing."""
    if BY_T not in part["asked"] or not part["spread"] > 0:
        return ""
    p = chance(part["observed"], part["spread"], part["runs"])
    return " (p < 0.001)" if p < 0.001 else f" (p = {p:.2g})"


def _behind(claim: Any, link: str, own: bool) -> str:
    """Where the paper says it, the test and its reason, every part, and where the rows are from."""
    pieces = [f"<strong>The paper</strong> ({_text(claim.where)}): {_text(claim.claim)}"]
    if own:
        pieces = [f"<strong>Our question:</strong> {_text(claim.claim)}"]
    if claim.criterion_text:
        met = "Yes, if" if own else "Met if"
        pieces.append(f"<strong>{met}</strong> {_lower(claim.criterion_text)}")
        pieces.append(f"<strong>Why this test:</strong> {_text(claim.reason)}")
    elif claim.reason:
        pieces.append(_text(claim.reason))
    parts = [part for part in claim.parts if part["outcome"] in OUTCOMES]
    if parts:
        shown = claim.observed.split("; ")
        lines = [
            f"<li>{OUTCOMES[part['outcome']]} {_text(said)}; required: "
            f"{part['asked']}{p_of(part)}</li>"
            for part, said in zip(parts, shown, strict=False)
        ]
        pieces.append(f"<strong>Measured:</strong><ul>{''.join(lines)}</ul>")
    if claim.scale not in ("", "paper"):
        pieces.append(f"<strong>Evidence:</strong> {_text(claim.scale)}.")
    if claim.released:
        pieces.append(
            "<strong>By the released code,</strong> where it departs from the text: "
            f"{mark(claim.released)}."
        )
    if claim.explanation:
        pieces.append(f"<em>{_text(claim.explanation)}</em>")
    origin = ", ".join(x for x in (claim.device, claim.date[:10], claim.data_note) if x)
    notes = [WRITTEN.get(claim.written, ""), f"Rows: {_text(origin)}." if origin else ""]
    pieces.append(f"<small>{' '.join(filter(None, notes))}</small>" if any(notes) else "")
    pieces.append(f'<a href="{link}">The evidence</a>' if link else "")
    return "".join(f"<div>{piece}</div>" for piece in pieces if piece)


def _lower(text: str) -> str:
    """The sentence as it goes on after "met if"; names and abbreviations keep their capitals."""
    first = text.split()[0]
    known = first in ("In", "The", "At", "Of", "Over", "Before", "After", "On", "With", "Without")
    return _text(text[0].lower() + text[1:] if known else text)


def _text(text: str) -> str:
    return html.escape(text, quote=False)
