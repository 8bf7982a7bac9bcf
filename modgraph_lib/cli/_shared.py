"""What the commands share: a model, images, and a place for the result.

Nothing heavy is imported before it is needed, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["add_images", "add_model", "images", "model", "name_of", "place", "write"]


def add_model(parser: argparse.ArgumentParser, *names: str) -> None:
    """A factory for each name, and its weights."""
    for name in names:
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="package.module:function or path/to/file.py:Class that makes the network; it is "
            "imported, which runs its code",
        )
        suffix = f"-{name}" if len(names) > 1 else ""
        parser.add_argument(
            f"--weights{suffix}",
            default="",
            metavar="FILE",
            help=".safetensors, or a checkpoint that torch.load(weights_only=True) reads; without "
            "it, the weights that the factory gives",
        )
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the factory, its value as YAML: --arg num_classes=10",
    )


def model(options: argparse.Namespace, name: str = "model", weights: str = "weights") -> nn.Module:
    """The network of a factory, filled."""
    import yaml

    from modgraph_lib import report

    arguments = {}
    for text in options.arg:
        word, sign, value = text.partition("=")
        if not (word and sign):
            raise ValueError(f"--arg takes NAME=VALUE, got {text!r}")
        arguments[word] = yaml.safe_load(value)
    return report.load_model(
        getattr(options, name), weights=getattr(options, weights), arguments=arguments
    )


def name_of(options: argparse.Namespace, name: str = "model", weights: str = "weights") -> str:
    """What a network is called: its factory, and its file of weights."""
    file = Path(getattr(options, weights)).name
    return getattr(options, name) + (f" with {file}" if file else "")


def add_images(parser: argparse.ArgumentParser, *, samples: int) -> None:
    """Where images come from, and how many."""
    parser.add_argument(
        "--data",
        required=True,
        metavar="NAME|FILE",
        help="a data set (python -m modgraph_lib.datasets list), or an .npz or .safetensors file "
        "with the arrays 'images' (N, ...), as the network takes them, and 'labels' (N,)",
    )
    parser.add_argument(
        "--samples", type=int, default=samples, help=f"images that are drawn (default {samples})"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--layers", nargs="+", metavar="NAME", help="modules to look at")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def images(options: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to ``--samples`` images and their labels, drawn without replacement."""
    import numpy as np
    import torch

    from modgraph_lib import _checks, datasets
    from modgraph_lib.pixels import with_channels

    if Path(options.data).suffix in (".npz", ".safetensors"):
        found, labels = (torch.as_tensor(array) for array in _arrays(Path(options.data)))
        if len(found) != len(labels):
            raise ValueError(f"{options.data}: {len(found)} images and {len(labels)} labels")
    else:
        held = datasets.load(options.data, "test")
        found, labels = with_channels(held.images), held.labels
    _checks.whole(options.samples, "--samples", least=2)
    rng = np.random.default_rng(_checks.whole(options.seed, "--seed"))
    chosen = np.sort(rng.permutation(len(found))[: options.samples])
    return found[chosen], labels[chosen]


def _arrays(path: Path) -> tuple[Any, Any]:
    import numpy as np
    import safetensors.torch

    if not path.is_file():
        raise FileNotFoundError(f"no file {path.absolute()}")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                found: dict[str, Any] = dict(held)
        else:
            found = safetensors.torch.load_file(path)
    except Exception as error:  # the readers raise anything on a file that is none of theirs
        raise ValueError(f"{path} cannot be read as {path.suffix}: {error}") from None
    if not {"images", "labels"} <= found.keys():
        raise ValueError(f"{path} must hold 'images' and 'labels', it has {', '.join(found)}")
    return found["images"], found["labels"]


def place(text: str, *suffixes: str) -> Path | None:
    """The file to write, whose folder can be written now; None for no name."""
    if not text:
        return None
    path = Path(text)
    if path.suffix not in suffixes:
        raise ValueError(f"--out takes a name that ends in {' or '.join(suffixes)}, got {text}")
    if path.is_dir():
        raise ValueError(f"--out {text} is a folder; name a file in it")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(f"--out {text} cannot be written: {error.strerror}") from None
    return path


def write(path: Path, makers: Mapping[str, Callable[[], str]]) -> None:
    """Write what the maker of the file's kind gives, and say where it is."""
    from modgraph_lib import cache

    text = makers[path.suffix]()
    cache.write_atomically(path, lambda temporary: temporary.write_text(text, "utf8"))
    print(path)


def as_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a CSV file."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def as_json(facts: Mapping[str, Any]) -> str:
    """Facts as a JSON file."""
    return json.dumps(facts, indent=1) + "\n"
