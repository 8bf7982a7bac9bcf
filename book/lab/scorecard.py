"""What a reader sees of the ledger: the scorecard page and a chapter's table of claims.

A verdict is always a word and a sign; colour adds nothing that they do not say.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from book.lab.claims import PAPERS, load_claims, papers_root
from book.lab.criteria import MET, NOT_REPRODUCED, NOT_RUN_YET, PARTLY, REPRODUCED
from book.lab.evidence import Results
from book.lab.filter import SCRIPT, STYLE
from book.lab.verdict import verdicts

__all__ = ["Html", "claims_table", "scorecard_markdown", "summary"]

NOT_RUN = "not run"
HEADS = ("Claim", "The paper says", "Met if, and what we measured", "Verdict")
SHOWN_PARTS = 3
SIGNS = {
    REPRODUCED: "✓",
    PARTLY: "◐",
    NOT_REPRODUCED: "✗",
    NOT_RUN_YET: "○",
    NOT_RUN: "–",
}


@dataclass(frozen=True)
class Html:
    """A piece of a page that notebooks show as HTML and terminals as plain text."""

    text: str
    plain: str

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.plain


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers of claims: a row per paper in the book's order, then "all"; a column per verdict."""
    kind = frame["verdict"].map(_kind)
    counts = pd.crosstab(frame["paper"], kind).reindex(
        index=[paper for paper in PAPERS if paper in set(frame["paper"])],
        columns=list(SIGNS),
        fill_value=0,
    )
    counts.loc["all"] = counts.sum()
    counts["total"] = counts.sum(axis=1)
    return counts.rename_axis(index="paper", columns=None)


def claims_table(section: str, results: Results | None = None) -> Html:
    """The claims of one section with test, measured values and verdict, as an HTML table.

    Each row carries the claim's id in lower case as its anchor, which the scorecard links to.

    Args:
        section: for instance "surprisingly_modular/01_clusterability".
        results: as for ``verdicts``.
    """
    frame = _joined(verdicts(results, section=section))
    rows = []
    for claim in frame.itertuples(index=False):
        rows.append(
            f'<tr id="{claim.id.lower()}"><th scope="row">{claim.id}</th>'
            f"<td>{_escape(claim.claim)}<br><small>{_escape(claim.where)}</small></td>"
            f"<td>{_tested(claim, _escape)}</td><td>{_mark(claim, _escape)}</td></tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in HEADS)
    counts = summary(frame).loc["all"]
    caption = "; ".join(f"{SIGNS[kind]} {counts[kind]} {kind}" for kind in SIGNS if counts[kind])
    text = (
        f'{STYLE}<div class="mg-claims"><table class="table">'
        f"<caption>{counts['total']} claims: {caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    plain = "\n".join(f"{claim.id}  {claim.verdict}" for claim in frame.itertuples(index=False))
    return Html(text, plain)


def scorecard_markdown(
    results: Results | None = None,
    *,
    root: str = "../",
    sections: Collection[str] | None = None,
) -> str:
    """The scorecard page: counts by paper and verdict, then all claims by paper, in MyST markdown.

    Args:
        results: as for ``verdicts``.
        root: relative path from the page to the root of the site, for links to the evidence.
        sections: the sections that the site has; claims of others get no link. Default: all.
    """
    frame = _joined(verdicts(results))
    options = "".join(f"<option>{kind}</option>" for kind in SIGNS)
    pieces = [
        "# Scorecard",
        f"{len(frame)} statements of the five papers. Each is tested by a sentence that was "
        "written before the runs, and each verdict is computed from the committed result rows "
        "by [these rules](claim-rules).",
        STYLE,
        _summary_markdown(summary(frame)),
        SCRIPT % options,
    ]
    for paper, title in PAPERS.items():
        chosen = frame[frame["paper"] == paper]
        lines = [f"| {' | '.join(HEADS)} |", "| :--- | :--- | :--- | :--- |"]
        for claim in chosen.itertuples(index=False):
            name = f'<span class="mg-id" id="{claim.id.lower()}">{claim.id}</span>'
            if claim.evidence and (sections is None or claim.section in sections):
                name = f'<a href="{root}{claim.evidence}">{name}</a>'
            lines.append(
                f"| {name} | {_markdown(claim.claim)}<br><small>{_markdown(claim.where)}</small> "
                f"| {_tested(claim, _markdown)} | {_mark(claim, _markdown)} |"
            )
        pieces += [f"## {title}", "\n".join(lines)]
    rules = (papers_root() / "criteria.md").read_text("utf8")
    pieces += ["(claim-rules)=", re.sub("^#", "##", rules, flags=re.MULTILINE).strip()]
    return "\n\n".join(pieces) + "\n"


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    words = load_claims()[["id", "claim", "where", "criterion_text"]]
    return frame.merge(words, on="id", how="left", validate="one_to_one")


def _kind(verdict: str) -> str:
    return NOT_RUN if verdict.startswith("not run (") else verdict


def _mark(claim: Any, escape: Callable[[str], str]) -> str:
    kind = _kind(claim.verdict)
    # a verdict from fewer networks than the paper's says so wherever it is shown
    notes = [f"<small>{escape(claim.scale)}</small>"] if claim.scale not in ("", "paper") else []
    notes += [f"<em>{escape(claim.explanation)}</em>"] if claim.explanation else []
    mark = (
        f'<span class="mg-verdict" data-verdict="{kind}">'
        f'<span aria-hidden="true">{SIGNS[kind]}</span> {escape(claim.verdict)}</span>'
    )
    return "<br>".join([mark, *notes])


def _tested(claim: Any, escape: Callable[[str], str]) -> str:
    """The test in words and what was measured; many parts are folded."""
    if not claim.criterion_text:
        return "no test written yet"
    text = escape(claim.criterion_text)
    if not claim.observed:
        return text
    lines = [escape(part) for part in claim.observed.split("; ")]
    origin = ", ".join(x for x in (claim.device, claim.date[:10], claim.data_note) if x)
    lines += [f"<small>{escape(origin)}</small>"] if origin else []
    measured = "<br>".join(lines)
    if len(claim.parts) <= SHOWN_PARTS:
        return f"{text}<br><strong>Measured:</strong> {measured}"
    met = sum(part["outcome"] == MET for part in claim.parts)
    head = f"Measured: {met} of {len(claim.parts)} parts met"
    return f"{text}<details><summary>{head}</summary>{measured}</details>"


def _summary_markdown(counts: pd.DataFrame) -> str:
    legend = ", ".join(f"{sign} {kind}" for kind, sign in SIGNS.items())
    lines = [
        f"| Claims by paper | {' | '.join(SIGNS.values())} | all |",
        f"| :--- |{' ---: |' * (len(SIGNS) + 1)}",
    ]
    for paper, row in counts.iterrows():
        numbers = " | ".join(str(row[kind]) for kind in SIGNS)
        name = PAPERS.get(paper, "All five papers")
        lines.append(f"| {name}{_bar(row)} | {numbers} | {row['total']} |")
    return f"Signs: {legend}.\n\n" + "\n".join(lines)


def _bar(row: pd.Series) -> str:
    words = ", ".join(f"{row[kind]} {kind}" for kind in SIGNS if row[kind])
    pieces = "".join(
        f'<span class="mg-{kind.replace(" ", "-")}" style="flex: {row[kind]}">{sign}</span>'
        for kind, sign in SIGNS.items()
        if row[kind]
    )
    return f'<span class="mg-bar" role="img" aria-label="{words}">{pieces}</span>'


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _markdown(text: str) -> str:
    """Text that markdown (with dollar mathematics and pipe tables) leaves as it is."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|$~^" else sign for sign in text)
