"""``python -m book.lab verify|commit``: check or gather result records."""

from __future__ import annotations

import argparse
import sys

from book.lab import registry, store
from book.lab.verify import verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when a recomputed record differs."""
    parser = argparse.ArgumentParser(prog="python -m book.lab")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="recompute a sample of committed records")
    check.add_argument("--records", type=int, default=6, help="records to draw (default 6)")
    check.add_argument(
        "--limit-seconds", type=float, default=20.0, help="skip records that took longer"
    )
    check.add_argument("--seed", type=int, default=0, help="which sample is drawn")
    commands.add_parser("commit", help="gather local records into data/results")
    options = parser.parse_args(arguments)
    if options.command == "commit":
        for experiment in registry.experiments():
            if any(map(experiment.keep, store.read(experiment.name))):
                print(store.commit_records(experiment.name, experiment.keep))
        return 0
    found = verify(records=options.records, limit_seconds=options.limit_seconds, seed=options.seed)
    for item in found:
        print(f"{item.outcome:10} {item.key[:12]}  {item.what}: {item.detail}")
    differing = sum(item.outcome == "differs" for item in found)
    print(f"{len(found)} records recomputed, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
