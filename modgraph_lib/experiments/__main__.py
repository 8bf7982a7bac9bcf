"""``python -m modgraph_lib.experiments verify|commit``: check or gather result records."""

from __future__ import annotations

import argparse
import sys

from modgraph_lib import store
from modgraph_lib.experiments import cnns, mlps, promoting
from modgraph_lib.experiments.verify import verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when a recomputed record differs."""
    parser = argparse.ArgumentParser(prog="python -m modgraph_lib.experiments")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="recompute a sample of committed records")
    check.add_argument("--records", type=int, default=4, help="records to draw (default 4)")
    check.add_argument(
        "--limit-seconds", type=float, default=20.0, help="skip records that took longer"
    )
    check.add_argument("--seed", type=int, default=0, help="which sample is drawn")
    commands.add_parser("commit", help="gather local records into data/results")
    options = parser.parse_args(arguments)
    if options.command == "commit":
        for module in (mlps, cnns, promoting):
            for experiment in (module.EXPERIMENT, module.INITIAL_EXPERIMENT):
                print(store.commit_records(experiment))
        return 0
    found = verify(records=options.records, limit_seconds=options.limit_seconds, seed=options.seed)
    for item in found:
        print(f"{item.outcome:10} {item.key[:12]}  {item.what}: {item.detail}")
    differing = sum(item.outcome == "differs" for item in found)
    print(f"{len(found)} records recomputed, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
