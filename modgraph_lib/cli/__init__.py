"""The command line: ``modgraph report``, ``modgraph curve``, ``modgraph compare``.

Exit status: 0 done, 2 for arguments that cannot be used, told before any work, 1 where the work
itself failed. Either is one line on standard error; ``--debug`` shows where it came from.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from modgraph_lib.cli import compare, curve, report

__all__ = ["main"]

DESCRIPTION = "Modularity inside neural networks: measures for a PyTorch model of your own."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    >>> cli.main(["curve", "nowhere:model", "--data", "digits"])
    2
    """
    options = _parser().parse_args(arguments)
    status = 2
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            work = options.prepare(options)
            status = 1
            work()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a factory is foreign code and may raise anything
        if options.debug:
            raise
        told = next(iter(str(error).splitlines()), "")
        print(f"modgraph: {told or type(error).__name__}", file=sys.stderr)
        return status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modgraph", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (report, curve, compare):
        name = module.__name__.rpartition(".")[2]
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--debug", action="store_true", help="show where an error came from")
        command.set_defaults(prepare=module.prepare)
    return parser


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"modgraph: warning: {' '.join(str(message).split())}", file=sys.stderr)
