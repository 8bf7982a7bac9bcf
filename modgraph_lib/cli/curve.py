"""``modgraph curve``: how far the classes come apart, layer by layer."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from modgraph_lib.cli import _shared

__all__ = ["EXAMPLES", "SUMMARY"]

SUMMARY = "How far the classes come apart layer by layer: modularity Q of each layer's graph."
EXAMPLES = """examples:
  modgraph curve torchvision.models:resnet18 --weights w.safetensors --data images.npz
  modgraph curve mine.py:Net --weights w.pt --data cifar10 --k 3 --samples 500 --out curve.html
  modgraph curve mine.py:Net --data digits --layers conv1 conv2 --out curve.csv
"""
HEADER = ("layer", "q", "inside")
MEANING = (
    "Every image is joined to its k most similar ones by a layer's features. Q compares the edge "
    "weight inside the true classes with what equally strong nodes would have there by chance: 0 "
    "for no communities, towards 1 for clear ones. 'inside' is the share of weight inside classes.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_model(parser, "model")
    _shared.add_images(parser, samples=500)
    parser.add_argument("--k", type=int, default=3, help="neighbours of an image (default 3)")
    parser.add_argument("--out", default="", metavar="FILE", help="a page .html, or .csv, .json")


def prepare(options: argparse.Namespace) -> Callable[[], None]:
    path = _shared.place(options.out, ".html", ".csv", ".json")
    model = _shared.model(options)
    images, labels = _shared.images(options)

    def work() -> None:
        from modgraph_lib import _page, communities

        curve = communities.modularity_curve(
            model, images, labels, k=options.k, layers=options.layers, device=options.device
        )
        values = zip(curve.layers, curve.q.tolist(), curve.inside.tolist(), strict=True)
        rows = [(name, round(q, 6), round(inside, 6)) for name, q, inside in values]
        width = max(map(len, curve.layers))
        for name, q, _ in rows:
            print(f"{name:{width}}  Q = {q:.3f}")
        title = f"Modularity of the classes in {_shared.name_of(options)}"
        facts = {"k": curve.k, "samples": curve.samples, "data": options.data}

        def html() -> str:
            from modgraph_lib import plots

            drawn = _page.figure(
                plots.curve_by_layer(curve),
                f"A line over {len(rows)} layers from Q = {rows[0][1]:.3f} to {rows[-1][1]:.3f}.",
            )
            told = f"{curve.samples} images of {options.data}, k = {curve.k} neighbours"
            table = _page.table(HEADER, rows, "Layer by layer")
            return _page.page(
                title, [_page.text([told]), drawn, _page.text(MEANING, "How to read it"), table]
            )

        if path:
            table = {name: [row[i] for row in rows] for i, name in enumerate(HEADER)}
            _shared.write(
                path,
                {
                    ".html": html,
                    ".csv": lambda: _shared.as_csv(HEADER, rows),
                    ".json": lambda: _shared.as_json({"network": title, **facts, **table}),
                },
            )

    return work
