"""Verdicts for all claims, computed from result rows; nothing is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from book.lab import registry
from book.lab.claims import criteria_of, load_claims
from book.lab.criteria import (
    MISSING,
    NOT_REPRODUCED,
    NOT_RUN_YET,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Criterion,
    Part,
    asked,
    combine,
    judge,
)
from book.lab.evidence import Results, merged, only_fewer, reading, remembering

__all__ = [
    "GRADES",
    "SIGNS",
    "UNAVAILABLE",
    "describe",
    "kind_of",
    "load_results",
    "verdicts",
    "verdicts_of",
]

# Grades of evidence: as many networks as in the paper, trained as there; fewer of these; networks
# trained in another way, which is named in full; no network at all, the claim is an identity.
PAPER, REDUCED, RECIPE, DEFINITION = "paper", "reduced", "another recipe", "by definition"
GRADES = (PAPER, REDUCED, RECIPE, DEFINITION)
NOT_RUN = "not run"
SIGNS = {
    REPRODUCED: "✓",
    PARTLY: "◐",
    NOT_REPRODUCED: "✗",
    UNDECIDED: "?",
    NOT_RUN_YET: "○",
    NOT_RUN: "–",
}

# What a claim needs and this project's machines do not have; every other need can be met.
UNAVAILABLE = {
    "imagenet": "ImageNet",
    "imagenet_weights": "ImageNet weights",
    "cifar100": "CIFAR-100",
}

Judged = tuple[Criterion, Part, str]


def load_results() -> dict[str, pd.DataFrame]:
    """Tables of all committed and local result rows, by experiment; empty ones included."""
    return registry.tables()


def verdicts(
    results: Results | None = None,
    *,
    section: str | None = None,
    ids: Collection[str] | None = None,
) -> pd.DataFrame:
    """One row per claim, in the order of the table of claims.

    Args:
        results: tables by experiment, as ``load_results`` gives them; None reads the store;
            an empty mapping is fine and leaves every claim about networks "not run yet".
        section: only the claims tested there, for instance "clusterability/01_mlps".
        ids: only these claims, for instance ("SM-22", "SM-26").

    Returns:
        Columns: id, paper, section; verdict (a key of ``SIGNS``, with hours or needs in brackets);
        observed (text); parts (list of dicts: name, observed, spread, spread_is, runs, keys,
        outcome, asked); scale (one of ``GRADES`` and more, as "reduced: 6 of 10 networks" or
        "another recipe: bfloat16, 3 of each"; "incomplete: 3 of 8 parts"; or empty); runs (fewest
        of any part); device; date (of the latest row used); data_note (what is particular about
        the data); written (the test "before" or "after" its rows, see ``book.scripts.written``);
        released (the verdict by what the released code did, where it did something else);
        evidence (page and anchor); explanation (ours, empty once "reproduced").

    Raises:
        ValueError: a section without a single claim, or an id that no claim has.
    """
    claims = load_claims()
    if ids is not None:
        if unknown := sorted(set(ids) - set(claims["id"])):
            raise ValueError(f"no claims with the ids {', '.join(unknown)}")
        claims = claims[claims["id"].isin(ids)]
    if section is not None:
        claims = claims[claims["section"] == section]
        if claims.empty:
            known = ", ".join(sorted(set(load_claims()["section"]) - {""}))
            raise ValueError(f"no claim is tested in {section!r}; sections with claims: {known}")
    return verdicts_of(claims, load_results() if results is None else results)


def verdicts_of(claims: pd.DataFrame, results: Results) -> pd.DataFrame:
    """``verdicts`` of the rows of any table of claims or questions."""
    results = _with_keys(results)
    origins = _origins(results)
    with remembering():
        lines = [_verdict(claim, results, origins) for claim in claims.itertuples(index=False)]
    return pd.DataFrame(lines)


def kind_of(verdict: str) -> str:
    """The verdict without its hours or needs: a key of ``SIGNS``."""
    return verdict.split(" (")[0]


def describe(part: Part, criterion: Criterion) -> str:
    """One part as text: "dropout, pruned: 1.84 ± 0.015 (10 runs)"."""
    if math.isnan(part.observed):
        return f"{part.name}: no number yet ({part.runs} of {criterion.runs} runs)"
    if criterion.test == "count":
        return f"{part.name}: {part.observed:.0f} of {part.runs}"
    spread = "" if math.isnan(part.spread) else f" ± {part.spread:.2g}"
    spread += " (standard error)" if spread and part.spread_is == "se" else ""
    runs = f" ({part.runs} runs)" if criterion.runs > 1 else ""
    # what is left of two equal means is rounding; z: no negative zero
    observed = 0.0 if abs(part.observed) < 1e-9 * part.spread else part.observed
    counted = observed >= 1000 and observed == round(observed)
    number = f"{observed:,.0f}" if counted else f"{observed:z.4g}"
    return f"{part.name}: {number}{spread}{runs}"


def _verdict(claim: Any, results: Results, origins: pd.DataFrame) -> dict[str, object]:
    judged = _judged(claim, results)
    verdict = combine([outcome for _, _, outcome in judged])
    keys = {key for _, part, _ in judged for key in part.keys}
    used = origins.loc[origins.index.isin(keys)]
    shown = [(criterion, part) for criterion, part, _ in judged if part.runs]
    return {
        "id": claim.id,
        "paper": claim.paper,
        "section": claim.section,
        "verdict": _why_not_run(claim) if verdict == NOT_RUN_YET else verdict,
        "released": "" if verdict in (REPRODUCED, NOT_RUN_YET) else _released(claim, results, keys),
        "observed": "; ".join(describe(part, criterion) for criterion, part in shown),
        "parts": [
            {
                "name": part.name,
                "observed": part.observed,
                "spread": part.spread,
                "spread_is": part.spread_is,
                "runs": part.runs,
                "keys": part.keys,
                "outcome": outcome,
                "asked": asked(criterion),
            }
            for criterion, part, outcome in judged
        ],
        "scale": _scale(claim, judged),
        "runs": min((part.runs for _, part, _ in judged), default=0),
        "device": ", ".join(sorted(set(used["device"]) - {""})),
        "date": max(used["date"], default=""),
        "written": _order(claim.written, min(used["date"], default="")),
        "data_note": "; ".join(sorted(set(used["data_note"]) - {""})),
        "evidence": f"notebooks/{claim.section}.html#{claim.id.lower()}" if claim.section else "",
        "explanation": "" if verdict == REPRODUCED else claim.explanation,
    }


def _judged(claim: Any, results: Results) -> list[Judged]:
    """Every test of a claim with every part, and what became of it."""
    judged: list[Judged] = []
    for criterion in criteria_of(claim):
        measure = registry.measurement(criterion.measurement)
        for part in measure(results, runs=criterion.runs, **dict(criterion.arguments)):
            if claim.recipe_matters and part.scale:
                part = Part(part.name)  # shown on the page, but it decides nothing
            judged.append((criterion, part, judge(part, criterion)))
    return judged


def _why_not_run(claim: Any) -> str:
    if claim.needs in UNAVAILABLE:
        return f"not run (needs {UNAVAILABLE[claim.needs]})"
    if claim.lacks:
        return f"not run (needs {claim.lacks})"
    return f"{NOT_RUN_YET} (about {claim.hours:g} hours)" if claim.hours else NOT_RUN_YET


def _order(written: str, first: str) -> str:
    """ "before" where the test is older than every row that it judges, "after" where it is not."""
    return "" if not (written and first) else "before" if written <= first else "after"


def _released(claim: Any, results: Results, keys: set[str]) -> str:
    """The verdict by what the released code did, where that is something else and was run."""
    with reading("published"):
        judged = _judged(claim, results)
    if {key for _, part, _ in judged for key in part.keys} == keys:
        return ""
    verdict = combine([outcome for _, _, outcome in judged])
    return "" if verdict == NOT_RUN_YET else verdict


def _scale(claim: Any, judged: Sequence[Judged]) -> str:
    """The grade of a verdict's evidence, and in words how far it is from the paper's."""
    if not any(part.runs for _, part, _ in judged):
        return ""
    present = [outcome for _, _, outcome in judged if outcome != MISSING]
    if len(present) < len(judged):
        return f"incomplete: {len(present)} of {len(judged)} parts"
    if claim.by_definition:
        return DEFINITION
    criterion, part, _ = min(judged, key=lambda item: item[1].runs / item[0].runs)
    if scale := merged(part.scale for _, part, _ in judged):
        if only_fewer(scale):
            return f"{REDUCED}: {scale}"
        return f"{RECIPE}: {scale}, {part.runs} of each"
    if part.runs < criterion.runs:
        return f"{REDUCED}: {part.runs} of {criterion.runs} networks"
    return PAPER if any(part.keys for _, part, _ in judged) else DEFINITION


def _with_keys(results: Results) -> dict[str, pd.DataFrame]:
    """The tables, each with a column ``key``: the records' own, or the position of the row."""
    return {
        name: table
        if "key" in table
        else table.assign(key=[f"{name}:{index}" for index in range(len(table))])
        for name, table in results.items()
    }


def _origins(results: Results) -> pd.DataFrame:
    """Device, date and data note of every record, by key; empty where a table does not say."""
    columns = ["device", "date", "data_note"]
    frames = [pd.DataFrame({name: pd.Series(dtype=str) for name in columns})]
    for table in results.values():
        if len(table):
            frame = table.drop_duplicates("key").set_index("key")
            frames.append(frame.reindex(columns=columns, fill_value="").astype(str))
    merged = pd.concat(frames)
    return merged[~merged.index.duplicated()]
