"""``python -m book.lab run|commit|verify``: make, gather or check result records."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
from contextlib import nullcontext

import yaml

from book.lab import cluster, registry, store
from book.lab.parameters import ParameterError
from book.lab.run import SCALES, read_parameters, run, section_of
from book.lab.verify import verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when a recomputed record differs."""
    parser = argparse.ArgumentParser(prog="python -m book.lab")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="recompute a sample of committed records")
    check.add_argument("--records", type=int, help="recompute at most so many")
    check.add_argument(
        "--budget", type=float, default=600.0, metavar="SECONDS", help="stop then (default 600)"
    )
    check.add_argument(
        "--train", action="store_true", help="train networks anew even if the cache has them"
    )
    check.add_argument("--seed", type=int, default=0, help="which sample is drawn")
    commands.add_parser("commit", help="gather local records into data/results")
    make = commands.add_parser("run", help="make a section's records without its notebook")
    make.add_argument("section", help="for instance clusterability/03_cnns")
    make.add_argument("--scale", default="quick", help=f"{', '.join(SCALES)} (default quick)")
    make.add_argument(
        "-p",
        dest="changes",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter, its value as YAML: -p seeds 3 -p data '[mnist]'",
    )
    make.add_argument("--budget", type=float, metavar="SECONDS", help="stop after so long")
    make.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="I/N", help="the I-th of N parts, from 1"
    )
    make.add_argument("--committed", action="store_true", help="count committed rows as made")
    where = make.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="processes here at a time")
    where.add_argument(
        "--dask", metavar="ADDRESS", help="a Dask scheduler (tcp://host:8786) or its file"
    )
    options = parser.parse_args(arguments)
    if options.command == "run":
        return _run(options)
    if options.command == "commit":
        try:
            store.check_writable()
        except OSError as error:
            print(error.strerror, file=sys.stderr)
            return 2
        for experiment in registry.experiments():
            if any(map(experiment.keep, store.read(experiment.name))):
                print(store.commit_records(experiment.name, experiment.keep))
        return 0
    return _verify(options)


def _verify(options: argparse.Namespace) -> int:
    """0 where all that was checked holds, 1 where a record differs, 2 where there is none."""
    try:
        found, files = verify(
            budget=options.budget,
            records=options.records,
            train=options.train,
            seed=options.seed,
            say=functools.partial(print, flush=True),
        )
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print("\nrows recomputed and found the same, by file:")
    for file in files:
        print(f"  {file.line()}")
    differing = sum(item.outcome == "differs" for item in found)
    print(f"{len(found)} records recomputed, {differing} differ")
    return 1 if differing else 0


def _run(options: argparse.Namespace) -> int:
    """0 once every record is there, 3 where the budget ran out, 2 for what cannot be run."""
    try:
        section = section_of(options.section)
        changes = {name: yaml.safe_load(value) for name, value in options.changes}
        parameters = read_parameters(section, options.scale, changes)
        if options.committed:
            count = sum(store.adopt(experiment.name) for experiment in registry.experiments())
            print(f"{section.name}: {count} committed records count as made", flush=True)
    except (ValueError, ParameterError, OSError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return 2
    say = functools.partial(print, flush=True)
    how = {"budget": options.budget, "shard": options.shard, "workers": options.workers}
    try:
        with cluster.on_cluster(options.dask) if options.dask else nullcontext():
            return 0 if run(section, parameters, say=say, **how) else 3
    except (cluster.ClusterError, OSError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return 2


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"write I/N with I from 1 to N, as in 2/8; got {text!r}")
    return int(index), int(count)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that claims are let go of
    sys.exit(main())
