"""What many configurations would cost a cache that many share, from measured costs of one."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

__all__ = ["MANY", "text"]

MANY = 10_000
# Experiments whose records stand for a kind of work: what it is called.
KINDS = {
    "promoting_ncut": "a 3x64 MLP on small images",
    "mlp_ncut": "a 4x256 MLP, trained, pruned, clustered and shuffled",
    "cnn_ncut": "a small CNN, the same",
}


def text(results: Path) -> str:
    """A paragraph and a table (Markdown), or how to get them.

    A cache is taken to serve one configuration after another, so that it is full once W workers,
    each busy for T seconds with one configuration, ask as often as it can answer: W = T / s for s
    seconds of claiming, looking and writing.
    """
    path = results / "cache_costs.json"
    if not path.is_file():
        return "Not measured yet: `python -m tests.benchmarks.store` writes it."
    found = json.loads(path.read_text("utf8"))
    cost = found["seconds"]
    one = sum(cost.values())
    parts = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in cost.items())
    rows = []
    for experiment, kind in KINDS.items():
        seconds = _median(results / f"{experiment}.jsonl")
        if seconds is not None:
            days = MANY * seconds / 86_400
            rows.append(
                f"| {kind} | {seconds:,.0f} s | {days:,.1f} | {MANY * one / 60:.1f} min "
                f"| {seconds / one:,.0f} |"
            )
    return "\n".join(
        [
            f"{MANY:,} configurations make {MANY:,} claims, look-ups, records and networks in the "
            f"cache. On the disk where this was measured ({found['provenance']['date'][:10]}, "
            f"medians of {found['times']}) they took {parts}: in all {1000 * one:.0f} ms per "
            "configuration. If the file system did one thing after another, it would be busy all "
            "the time from the number of workers in the last column on. With fewer workers, none "
            "has to wait for the cache. A network file system answers more slowly: measure yours "
            "with `python -m tests.benchmarks.store`, and divide.",
            "",
            f"| a configuration | seconds (median of our rows) | days of one core for {MANY:,} "
            "| time in the cache | workers at which the cache becomes the limit |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )


def _median(path: Path) -> float | None:
    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text("utf8").splitlines()]
    return statistics.median(
        row["result"].get("train_seconds", 0) + row["provenance"]["seconds"] for row in rows
    )
