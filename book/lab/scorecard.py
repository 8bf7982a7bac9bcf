"""What a reader sees of the ledger: the scorecard page and a section's claims."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from book.lab import yaml_files
from book.lab.cards import GRADE_WORDS, OUTCOMES, card, grade_of
from book.lab.claims import PAPERS, load_claims, papers_root
from book.lab.criteria import BY_T, MET
from book.lab.evidence import Results
from book.lab.filter import SCRIPT, STYLE
from book.lab.verdict import GRADES, SIGNS, kind_of, verdicts

__all__ = ["Html", "by_chance", "by_grade", "claims_table", "scorecard_markdown", "summary"]


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
    return _counted(frame, frame["verdict"].map(kind_of), list(SIGNS))


def by_grade(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers of claims with a verdict: a row per verdict, then "all"; a column per grade."""
    decided = frame[frame["scale"].map(grade_of) != ""]
    kinds = decided["verdict"].map(kind_of)
    counts = pd.crosstab(kinds, decided["scale"].map(grade_of)).reindex(
        index=[kind for kind in SIGNS if kind in set(kinds)], columns=list(GRADES), fill_value=0
    )
    counts.loc["all"] = counts.sum()
    return counts.assign(total=counts.sum(axis=1)).rename_axis(index="verdict", columns=None)


def _counted(frame: pd.DataFrame, kind: pd.Series, columns: list[str]) -> pd.DataFrame:
    counts = pd.crosstab(frame["paper"], kind).reindex(
        index=[paper for paper in PAPERS if paper in set(frame["paper"])],
        columns=columns,
        fill_value=0,
    )
    counts.loc["all"] = counts.sum()
    counts["total"] = counts.sum(axis=1)
    return counts.rename_axis(index="paper", columns=None)


def claims_table(section: str, results: Results | None = None) -> Html:
    """The claims of one section as cards: those that fall short first, then the others.

    Each card carries the claim's id in lower case as its anchor, which the scorecard links to.

    Args:
        section: for instance "surprisingly_modular/01_clusterability".
        results: as for ``verdicts``.
    """
    frame = _joined(verdicts(results, section=section))
    counts = summary(frame).loc["all"]
    said = "; ".join(f"{SIGNS[kind]} {counts[kind]} {kind}" for kind in SIGNS if counts[kind])
    cards = "".join(card(claim) for claim in frame.itertuples(index=False))
    text = f"{STYLE}<p><strong>{counts['total']} claims:</strong> {said}</p>{cards}"
    plain = "\n".join(f"{claim.id}  {claim.verdict}" for claim in frame.itertuples(index=False))
    return Html(text, plain)


def scorecard_markdown(
    frame: pd.DataFrame,
    *,
    root: str = "../",
    sections: Collection[str] | None = None,
) -> str:
    """The scorecard page: counts by paper, verdict and grade, all claims, changes, rules, in MyST.

    Args:
        frame: the rows of ``verdicts``.
        root: relative path from the page to the root of the site, for links to the evidence.
        sections: the sections that the site has; claims of others get no link. Default: all.
    """
    frame = _joined(frame)
    after = (frame["written"] == "after").sum()
    decided = (frame["written"] != "").sum()
    pieces = [
        "# Scorecard",
        f"This page lists {len(frame)} statements of the five papers. One sentence says how each "
        "is tested, and each verdict is computed from the committed result rows by [these "
        f"rules](claim-rules). {decided} verdicts rest on rows. The tests of {after} of them, in "
        "their present form, were committed after their first row was made. Each claim says "
        "whether its test was.",
        STYLE,
        by_chance(frame),
        _summary_markdown(summary(frame)),
        _grades_markdown(by_grade(frame)),
        SCRIPT % _selects(),
    ]
    for paper, title in PAPERS.items():
        cards = []
        for claim in frame[frame["paper"] == paper].itertuples(index=False):
            there = claim.evidence and (sections is None or claim.section in sections)
            cards.append(card(claim, link=f"{root}{claim.evidence}" if there else ""))
        pieces += [f"## {title}", '<div class="mg-short">\n' + "\n".join(cards) + "\n</div>"]
    rules = (papers_root() / "criteria.md").read_text("utf8")
    pieces += [_changes_markdown(), "(claim-rules)="]
    pieces += [re.sub("^#", "##", rules, flags=re.MULTILINE).strip()]
    return "\n\n".join(pieces) + "\n"


def by_chance(frame: pd.DataFrame) -> str:
    """How many parts a noise bound decides, and how many of them chance alone would misjudge."""
    parts = [part for parts in frame["parts"] for part in parts if BY_T in part["asked"]]
    known = [part for part in parts if part["outcome"] in OUTCOMES and part["spread"] > 0]
    met = sum(part["outcome"] == MET for part in known)
    return (
        f"{len(known)} parts of these claims compare means and require a difference beyond noise "
        f"(two standard errors, or as many as t requires at 95% where networks are few). {met} "
        "show such a difference. If none of them had a real difference, about "
        f"{0.025 * len(known):.0f} would be expected to show one by chance."
    )


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    words = load_claims()[["id", "claim", "where", "criterion_text", "reason"]]
    return frame.merge(words, on="id", how="left", validate="one_to_one")


def _selects() -> str:
    options = {
        "paper": PAPERS,
        "verdict": {kind: f"{sign} {kind}" for kind, sign in SIGNS.items()},
        "grade": GRADE_WORDS,
    }
    return "\n".join(
        f'<label>{name.capitalize()} <select name="{name}"><option value="">all</option>'
        + "".join(f'<option value="{key}">{words}</option>' for key, words in known.items())
        + "</select></label>"
        for name, known in options.items()
    )


def _summary_markdown(counts: pd.DataFrame) -> str:
    legend = ", ".join(f"{sign} {kind}" for kind, sign in SIGNS.items())
    lines = [
        f"| Claims by paper | {' | '.join(SIGNS.values())} | all |",
        f"| :--- |{' ---: |' * (len(SIGNS) + 1)}",
    ]
    for paper, row in counts.iterrows():
        numbers = " | ".join(str(row[kind]) for kind in SIGNS)
        name = PAPERS.get(str(paper), "All five papers")
        lines.append(f"| {name}{_bar(row)} | {numbers} | {row['total']} |")
    return f"Signs: {legend}.\n\n" + "\n".join(lines)


def _grades_markdown(counts: pd.DataFrame) -> str:
    lines = [
        f"| Verdicts by grade | {' | '.join(GRADE_WORDS.values())} | all |",
        f"| :--- |{' ---: |' * (len(GRADE_WORDS) + 1)}",
    ]
    for kind, row in counts.iterrows():
        name = f"{SIGNS[str(kind)]} {kind}" if kind in SIGNS else "All with a verdict"
        numbers = " | ".join(str(row[grade]) for grade in GRADES)
        lines.append(f"| {name} | {numbers} | {row['total']} |")
    return "\n".join(lines)


def _changes_markdown() -> str:
    """Verdicts that another test has changed, newest first."""
    changes = yaml_files.read(papers_root() / "changes.yaml") or []
    lines = [
        f'- {one["date"]}, <a href="#{one["id"].lower()}">{one["id"]}</a>: '
        f"{one['before']} → {one['after']}. "
        f"{one['reason']}"
        for one in reversed(changes)
    ]
    return "\n".join(["## Verdicts that changed", "", *lines])


def _bar(row: pd.Series) -> str:
    words = ", ".join(f"{row[kind]} {kind}" for kind in SIGNS if row[kind])
    pieces = "".join(
        f'<span class="mg-{kind.replace(" ", "-")}" style="flex: {row[kind]}">{sign}</span>'
        for kind, sign in SIGNS.items()
        if row[kind]
    )
    return f'<span class="mg-bar" role="img" aria-label="{words}">{pieces}</span>'
