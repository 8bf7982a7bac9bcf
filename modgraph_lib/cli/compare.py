"""``modgraph compare``: which layers of two networks see the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from modgraph_lib.cli import _shared

__all__ = ["EXAMPLES", "SUMMARY"]

SUMMARY = "Which layers of two networks place the same images alike: linear CKA of all pairs."
EXAMPLES = """examples:
  modgraph compare mine.py:Small mine.py:Large --data cifar10 --out cka.html
  modgraph compare mine.py:Net mine.py:Net --weights-a before.pt --weights-b after.pt \\
      --data images.npz --unbiased --out cka.csv
"""
MEANING = (
    "Linear CKA compares how two layers place the same images towards each other, whatever their "
    "widths: 1 where one is the other rotated, scaled or shifted. With fewer images than features "
    "the ordinary form is above 0 even for unrelated layers; the unbiased one is not.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_model(parser, "a", "b")
    _shared.add_images(parser, samples=500)
    parser.add_argument("--unbiased", action="store_true", help="the unbiased estimator of CKA")
    parser.add_argument("--out", default="", metavar="FILE", help="a page .html, or .csv, .json")


def prepare(options: argparse.Namespace) -> Callable[[], None]:
    path = _shared.place(options.out, ".html", ".csv", ".json")
    one, two = (_shared.model(options, name, f"weights_{name}") for name in ("a", "b"))
    names = [_shared.name_of(options, name, f"weights_{name}") for name in ("a", "b")]
    images, _ = _shared.images(options)

    def work() -> None:
        from modgraph_lib import _page
        from modgraph_lib.communities import cka

        found = cka.cka_matrix(
            one,
            images,
            two,
            unbiased=options.unbiased,
            layers=options.layers,
            device=options.device,
        )
        best = found.values.argmax(1)
        width = max(map(len, found.layers))
        for name, row, place in zip(found.layers, found.values, best, strict=True):
            print(f"{name:{width}}  nearest to {found.columns[place]}, CKA = {row[place]:.3f}")
        header = ("A \\ B", *found.columns)
        rows = [
            (name, *(round(float(value), 4) for value in row))
            for name, row in zip(found.layers, found.values, strict=True)
        ]

        def html() -> str:
            from modgraph_lib import plots

            kind = "unbiased" if options.unbiased else "ordinary"
            told = f"{found.samples} images of {options.data}, {kind} estimator"
            drawn = _page.figure(
                plots.cka_by_layer(found),
                f"A matrix of {len(found.layers)} layers of A by {len(found.columns)} of B, "
                f"from {found.values.min():.2f} to {found.values.max():.2f}.",
            )
            parts = [_page.text([f"A: {names[0]}", f"B: {names[1]}", told]), drawn]
            parts += [_page.text(MEANING, "How to read it"), _page.table(header, rows, "All pairs")]
            return _page.page("Two networks, layer by layer", parts)

        facts = {"a": names[0], "b": names[1], "samples": found.samples, "data": options.data}
        facts |= {"unbiased": options.unbiased, "layers": found.layers, "columns": found.columns}
        if path:
            _shared.write(
                path,
                {
                    ".html": html,
                    ".csv": lambda: _shared.as_csv(header, rows),
                    ".json": lambda: _shared.as_json({**facts, "cka": [row[1:] for row in rows]}),
                },
            )

    return work
