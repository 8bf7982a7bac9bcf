"""Verdicts for all claims, computed from result rows; nothing is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from book.lab import registry
from book.lab.claims import criteria_of, load_claims
from book.lab.criteria import MISSING, NOT_RUN_YET, REPRODUCED, Criterion, Part, combine, judge
from book.lab.evidence import Results, merged, remembering

__all__ = ["GRADES", "UNAVAILABLE", "describe", "load_results", "verdicts"]

# Grades of evidence: as many networks as in the paper, trained as there; fewer of these; networks
# trained in another way, which is named in full; no network at all, the claim is an identity.
PAPER, REDUCED, RECIPE, DEFINITION = "paper", "reduced", "another recipe", "by definition"
GRADES = (PAPER, REDUCED, RECIPE, DEFINITION)

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
        Columns: id, paper, section; verdict ("reproduced", "partly", "not reproduced",
        "not run yet" or "not run (needs X)"); observed (text); parts (list of dicts: name,
        observed, spread, spread_is, runs, keys, outcome); scale (one of ``GRADES`` and more, as
        "reduced: 6 of 10 networks" or "another recipe: bfloat16, 3 of each"; "incomplete: 3 of 8
        parts"; or
        empty); runs (fewest of any part); device; date (of the latest row used); data_note (what
        is particular about the data); evidence (page and anchor); explanation (ours, empty once
        "reproduced").

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
    results = _with_keys(load_results() if results is None else results)
    origins = _origins(results)
    with remembering():
        lines = [_verdict(claim, results, origins) for claim in claims.itertuples(index=False)]
    return pd.DataFrame(lines)


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
    judged: list[Judged] = []
    for criterion in criteria_of(claim):
        measure = registry.measurement(criterion.measurement)
        for part in measure(results, runs=criterion.runs, **dict(criterion.arguments)):
            judged.append((criterion, part, judge(part, criterion)))
    verdict = combine([outcome for _, _, outcome in judged])
    if verdict == NOT_RUN_YET and claim.needs in UNAVAILABLE:
        verdict = f"not run (needs {UNAVAILABLE[claim.needs]})"
    elif verdict == NOT_RUN_YET and claim.lacks:
        verdict = f"not run (needs {claim.lacks})"
    keys = {key for _, part, _ in judged for key in part.keys}
    used = origins.loc[origins.index.isin(keys)]
    shown = [(criterion, part) for criterion, part, _ in judged if part.runs]
    return {
        "id": claim.id,
        "paper": claim.paper,
        "section": claim.section,
        "verdict": verdict,
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
            }
            for _, part, outcome in judged
        ],
        "scale": _scale(judged),
        "runs": min((part.runs for _, part, _ in judged), default=0),
        "device": ", ".join(sorted(set(used["device"]) - {""})),
        "date": max(used["date"], default=""),
        "data_note": "; ".join(sorted(set(used["data_note"]) - {""})),
        "evidence": f"notebooks/{claim.section}.html#{claim.id.lower()}" if claim.section else "",
        "explanation": "" if verdict == REPRODUCED else claim.explanation,
    }


def _scale(judged: Sequence[Judged]) -> str:
    """The grade of a verdict's evidence, and in words how far it is from the paper's."""
    if not any(part.runs for _, part, _ in judged):
        return ""
    present = [outcome for _, _, outcome in judged if outcome != MISSING]
    if len(present) < len(judged):
        return f"incomplete: {len(present)} of {len(judged)} parts"
    criterion, part, _ = min(judged, key=lambda item: item[1].runs / item[0].runs)
    if scale := merged(part.scale for _, part, _ in judged):
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
