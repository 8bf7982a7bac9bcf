"""``modgraph report``: how clusterable one network is."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from modgraph_lib.cli import _shared

__all__ = ["EXAMPLES", "SUMMARY"]

SUMMARY = "How clusterable a network is: n-cut, its shuffles, p, z, clusters by layer."
EXAMPLES = """examples:
  modgraph report torchvision.models:resnet18 --weights w.safetensors --k 12 --out report.html
  modgraph report mine.py:Net --arg width=64 --input 1,28,28 --shuffles 200
  modgraph report mine.py:Net --weights w.pt --out report.json   # Report.load reads it again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_model(parser, "model")
    parser.add_argument("--k", type=int, default=12, help="clusters (default 12)")
    parser.add_argument("--shuffles", type=int, default=50, help="size of the null (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of shuffles and k-means (default 0)")
    parser.add_argument(
        "--method", default="", help="null: layer, layer_nonzero or kernel (default: what fits)"
    )
    parser.add_argument("--residual", default="walk", help="walk or merge (default walk)")
    parser.add_argument("--input", metavar="C,H,W", help="shape of one sample, for tracing")
    parser.add_argument("--layers", nargs="+", metavar="NAME", help="layers or patterns to take")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="NAME", help="or not to")
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")
    parser.add_argument("--out", default="", metavar="FILE", help="a page .html, or data .json")


def prepare(options: argparse.Namespace) -> Callable[[], None]:
    path = _shared.place(options.out, ".html", ".json")
    example = None
    if options.input:
        parts = options.input.split(",")
        if not all(part.isdecimal() for part in parts):
            raise ValueError(f"--input takes sizes, as in 3,224,224; got {options.input}")
        example = tuple(map(int, parts))
    model = _shared.model(options)
    chosen = {"layers": options.layers, "leave_out": options.leave_out, "example": example}

    def work() -> None:
        from modgraph_lib import report

        found = report.clusterability(
            model,
            k=options.k,
            shuffles=options.shuffles,
            seed=options.seed,
            method=options.method,
            name=_shared.name_of(options),
            workers=options.workers,
            residual=options.residual,
            **chosen,
        )
        print(found.summary())
        if path and path.suffix == ".json":
            found.save(path)
            print(path)
        elif path:
            _shared.write(path, {".html": found.html})

    return work
