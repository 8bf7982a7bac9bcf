"""Measured ratios against peers, paired in one run -> data/results/bench.json.

Each contender runs in a process of its own; ours and the peer alternate, so that a noisy
neighbour disturbs both alike. Reported: median seconds, their ratio, the outcome both must
agree on, and the peak memory of each process (children included).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from book.lab import store
from modgraph_lib import cache, provenance
from tests.benchmarks.cases import CASES, data_name

OWN_CACHE = ("training", "cluster")  # whose networks must not be there already


def measure_one(case: str, contender: str) -> dict:
    """Run one contender here; peak memory is this process's and its largest child's."""
    seconds, outcome = CASES[case]["function"](contender)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": seconds, "outcome": outcome, "own_kib": own, "child_kib": child}


def in_process(case: str, contender: str) -> dict:
    """The same in a fresh interpreter, with a cache of its own for what is being timed."""
    command = [sys.executable, "-m", "tests.benchmarks", "--one", case, contender]
    with tempfile.TemporaryDirectory(prefix="modgraph-bench-") as own:
        environment = {**os.environ, **({"MODGRAPH_CACHE": own} if case in OWN_CACHE else {})}
        output = subprocess.run(command, capture_output=True, text=True, env=environment)
    if output.returncode:
        raise SystemExit(f"{case}, {contender} failed:\n{output.stderr[-2000:]}")
    return json.loads(output.stdout.splitlines()[-1])


def compare(case: str, repeats: int) -> dict:
    """All repeats of a case, ours and the peer in turn, and what they come to."""
    runs = {"ours": [], "peer": []}
    for _ in range(repeats):
        for contender in runs:
            runs[contender].append(in_process(case, contender))
            print(f"  {contender}: {runs[contender][-1]['seconds']:.4g} s", flush=True)
    median = {
        c: {name: statistics.median(r[name] for r in found) for name in found[0]}
        for c, found in runs.items()
    }
    processes = {"ours": 2 * (case in OWN_CACHE), "peer": 2 * (case == "cluster")}
    return {
        "case": case,
        "title": CASES[case]["title"],
        "peer": CASES[case]["peer"],
        "outcome_name": CASES[case]["outcome"],
        "repeats": repeats,
        "ours_seconds": [_short(r["seconds"]) for r in runs["ours"]],
        "peer_seconds": [_short(r["seconds"]) for r in runs["peer"]],
        "ratio": round(median["peer"]["seconds"] / median["ours"]["seconds"], 2),
        "ours_outcome": round(median["ours"]["outcome"], 5),
        "peer_outcome": round(median["peer"]["outcome"], 5),
        **{
            f"{c}_memory_mib": round((m["own_kib"] + processes[c] * m["child_kib"]) / 1024)
            for c, m in median.items()
        },
    }


def _short(seconds: float) -> float:
    """Milliseconds, or three digits of what is shorter."""
    return round(seconds, 3) if seconds > 1 else float(f"{seconds:.3g}")


def together(path: Path, rows: list[dict]) -> list[dict]:
    """The rows just measured, and those of other cases that the file holds, in the cases' order."""
    report = json.loads(path.read_text()) if path.exists() else {"rows": []}
    before = report.get("provenance", {}).get("date", "")
    kept = {row["case"]: {"date": before, **row} for row in report["rows"]}
    kept |= {row["case"]: row for row in rows}
    return [kept[case] for case in CASES if case in kept]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--one", nargs=2, metavar=("CASE", "CONTENDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_one(*options.one)))
        return
    path = store.results_root() / "bench.json"
    store.check_writable()  # before an hour of measuring
    rows = []
    for case in options.cases:
        print(CASES[case]["title"], flush=True)
        rows.append(compare(case, options.repeats))
        row = rows[-1]
        print(
            f"  {row['ratio']}x; {row['outcome_name']} {row['ours_outcome']} (ours) against "
            f"{row['peer_outcome']}; memory {row['ours_memory_mib']} against "
            f"{row['peer_memory_mib']} MiB"
        )
    origin = provenance.stamp(device="cpu", threads=torch.get_num_threads(), seconds=0)
    origin.pop("seconds")
    for row in rows:
        row["date"] = origin["date"]
    report = {
        "rows": together(path, rows),
        "data": data_name(),
        "cores": os.cpu_count(),
        "provenance": origin,
    }
    cache.write_atomically(path, lambda p: p.write_text(json.dumps(report, indent=1) + "\n"))
    print(path)


if __name__ == "__main__":
    main()
