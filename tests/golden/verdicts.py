"""What the committed rows say today, in a form that can be compared line by line."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from book.lab import ledger
from book.papers.ncut import beside

FILE = Path(__file__).with_name("verdicts.jsonl")


def number(value: float) -> float | None:
    """Ten digits: what another processor's sums leave alone."""
    return None if math.isnan(value) else float(f"{value:.10g}")


def of_claims(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a claim: verdict, scale and its parts.

    What rests on no record is an identity, computed anew: its rounding, or where a training on
    this processor ends, is not compared.
    """
    return [
        {
            "id": row.id,
            "verdict": row.verdict,
            "scale": row.scale,
            "parts": [[p["name"], *_numbers(p), p["runs"], p["outcome"]] for p in row.parts],
        }
        for row in verdicts.itertuples(index=False)
    ]


def _numbers(part: dict[str, Any]) -> list[float | None]:
    return [number(part[name]) for name in ("observed", "spread")] if part["keys"] else []


def of_tables(results: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """One entry a table that stands beside ours: a digest of all its cells."""
    found = []
    for name in beside.BESIDE:
        frame = beside.paper_beside_ours(name, results.get(beside.experiment_of(name)))
        cells = [
            [number(cell) if isinstance(cell, float) else str(cell) for cell in row]
            for row in frame.itertuples(index=True)
        ]
        digest = hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]
        found.append({"table": name, "digest": digest})
    return found


def today() -> list[str]:
    """The lines that ``FILE`` ought to hold."""
    results = ledger.load_results()
    entries = [*of_claims(ledger.verdicts(results)), *of_tables(results)]
    return [json.dumps(entry, ensure_ascii=False) for entry in entries]
