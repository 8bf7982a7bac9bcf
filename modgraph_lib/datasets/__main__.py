"""Command line: ``python -m modgraph_lib.datasets list`` and ``... fetch NAME [--root DIR]``."""

import argparse
import sys

from modgraph_lib.datasets import NAMES
from modgraph_lib.datasets._fetch import fetch, needs
from modgraph_lib.datasets._load import where
from modgraph_lib.datasets._places import roots


def _list(root: str | None) -> None:
    searched = roots(root)
    for name in NAMES:
        places = [(source, where(source, searched)) for source in needs(name)]
        if not places:
            state = "ready (made on the spot)"
        elif all(place for _, place in places):
            state = "ready (" + ", ".join(str(place) for _, place in places) + ")"
        else:
            absent = ", ".join(source for source, place in places if not place)
            state = f"missing {absent}: python -m modgraph_lib.datasets fetch {name}"
        print(f"{name:32} {state}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 well, 1 data trouble, 2 usage)."""
    parser = argparse.ArgumentParser(prog="python -m modgraph_lib.datasets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    lister = commands.add_parser("list", help="show every data set and where it is")
    getter = commands.add_parser("fetch", help="download a data set, with verification")
    getter.add_argument("name", help="a name that `list` shows, or a mixture a+b")
    for command in (lister, getter):
        command.add_argument("--root", help="data folder (default: the project's data/cache)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            _list(chosen.root)
        else:
            for line in fetch(chosen.name, root=chosen.root):
                print(line)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
