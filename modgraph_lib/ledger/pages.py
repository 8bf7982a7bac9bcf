"""What a reader sees of the ledger: the scorecard page and a chapter's table of claims.

A verdict is always a word and a sign; colour adds nothing that they do not say.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd

from modgraph_lib.ledger.claims import PAPERS, load_claims
from modgraph_lib.ledger.criteria import NOT_REPRODUCED, NOT_RUN_YET, PARTLY, REPRODUCED
from modgraph_lib.ledger.evaluate import verdicts
from modgraph_lib.ledger.filter import SCRIPT, STYLE
from modgraph_lib.ledger.rows import Results

__all__ = ["Html", "claims_table", "scorecard_markdown", "summary"]

NOT_RUN = "not run"
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
        why = f"<br><em>{_escape(claim.explanation)}</em>" if claim.explanation else ""
        rows.append(
            f'<tr id="{claim.id.lower()}"><th scope="row">{claim.id}</th>'
            f"<td>{_escape(claim.claim)}<br><small>{_escape(claim.where)}</small></td>"
            f"<td>{_escape(claim.criterion_text)}</td>"
            f"<td>{_observed(claim)}</td>"
            f"<td>{_mark(claim)}{why}</td></tr>"
        )
    heads = ("Claim", "The paper says", "Met if", "We measured", "Verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    counts = summary(frame).loc["all"]
    caption = "; ".join(f"{SIGNS[kind]} {counts[kind]} {kind}" for kind in SIGNS if counts[kind])
    text = (
        f"{STYLE}<table><caption>{counts['total']} claims: {caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    plain = "\n".join(f"{claim.id}  {claim.verdict}" for claim in frame.itertuples(index=False))
    return Html(text, plain)


def scorecard_markdown(results: Results | None = None, *, root: str = "../") -> str:
    """The scorecard page: counts by paper and verdict, then all claims by paper, in MyST markdown.

    Args:
        results: as for ``verdicts``.
        root: relative path from the page to the root of the site, for links to the evidence.
    """
    frame = _joined(verdicts(results))
    options = "".join(f"<option>{kind}</option>" for kind in SIGNS)
    pieces = [
        "# Scorecard",
        f"{len(frame)} statements of the five papers, each with a test that was written before "
        "the runs and a verdict computed from the committed result rows. The rules behind the "
        "tests are in `data/papers/criteria.md`.",
        STYLE,
        _summary_markdown(summary(frame)),
        SCRIPT % options,
    ]
    for paper, title in PAPERS.items():
        chosen = frame[frame["paper"] == paper]
        if chosen.empty:
            continue
        pieces.append(f"## {title}")
        lines = [
            "| Claim | The paper says | Met if | We measured | Verdict |",
            "| :--- | :--- | :--- | :--- | :--- |",
        ]
        for claim in chosen.itertuples(index=False):
            name = f'<span class="mg-id" id="{claim.id.lower()}">{claim.id}</span>'
            if claim.evidence:
                name = f'<a href="{root}{claim.evidence}">{name}</a>'
            test = _markdown(claim.criterion_text) or "no test written yet"
            why = f"<br>{_markdown(claim.explanation)}" if claim.explanation else ""
            lines.append(
                f"| {name} | {_markdown(claim.claim)} ({_markdown(claim.where)}) | {test} | "
                f"{_observed(claim, markdown=True)} | {_mark(claim)}{why} |"
            )
        pieces.append("\n".join(lines))
    return "\n\n".join(pieces) + "\n"


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    words = load_claims()[["id", "claim", "where", "criterion_text"]]
    return frame.merge(words, on="id", how="left", validate="one_to_one")


def _kind(verdict: str) -> str:
    return NOT_RUN if verdict.startswith("not run (") else verdict


def _mark(claim: Any) -> str:
    kind = _kind(claim.verdict)
    # a verdict from fewer networks than the paper's says so wherever it is shown
    note = f"<br><small>{claim.scale}</small>" if claim.scale not in ("", "paper") else ""
    return (
        f'<span class="mg-verdict" data-verdict="{kind}">'
        f'<span aria-hidden="true">{SIGNS[kind]}</span> {claim.verdict}</span>{note}'
    )


def _observed(claim: Any, *, markdown: bool = False) -> str:
    escape = _markdown if markdown else _escape
    if not claim.observed:
        return "–"
    lines = [escape(text) for text in claim.observed.split("; ")]
    origin = ", ".join(text for text in (claim.device, claim.date[:10], claim.data_note) if text)
    if origin:
        lines.append(f"<small>{escape(origin)}</small>")
    return "<br>".join(lines)


def _summary_markdown(counts: pd.DataFrame) -> str:
    heads = [f"{sign} {kind}" for kind, sign in SIGNS.items()]
    lines = [
        f"| Paper | {' | '.join(heads)} | all | share |",
        f"| :--- |{' ---: |' * (len(heads) + 1)} :--- |",
    ]
    for paper, row in counts.iterrows():
        numbers = " | ".join(str(row[kind]) for kind in SIGNS)
        lines.append(
            f"| {PAPERS.get(paper, 'all five papers')} | {numbers} | {row['total']} | {_bar(row)} |"
        )
    return "\n".join(lines)


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
