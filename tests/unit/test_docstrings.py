"""The examples in the library's docstrings: there is one for each public function, and it runs."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import modgraph_lib

# Parts of a room that only its own modules and this project's experiments call: no promises.
INTERNAL = {
    "clustering.kmeans",
    "clustering.search",
    "clustering.shuffles",
    "clustering.spectral",
    "communities.streaming",
    "features.parametrisation",
    "graphs.tracing",
    "training.augment",
    "training.checkpoints",
    "training.forward",
    "training.inherit",
    "training.seeds",
    "training.sets",
    "widgets",
}


def modules():
    """Every module of the library, without the command line."""
    found = pkgutil.walk_packages(modgraph_lib.__path__, "modgraph_lib.")
    return [importlib.import_module(m.name) for m in found if not m.name.endswith("__main__")]


def is_internal(name):
    parts = name.removeprefix("modgraph_lib.").split(".")
    ways = {".".join(parts[:i]) for i in range(1, len(parts) + 1)}
    return any(part.startswith("_") for part in parts) or bool(ways & INTERNAL)


def public_functions():
    """Name -> function, of the face and of each module's ``__all__``."""
    named = {
        (f"modgraph_lib.{room}", n) for room, names in modgraph_lib.FACE.items() for n in names
    }
    for module in modules():
        if not is_internal(module.__name__):
            named |= {(module.__name__, name) for name in getattr(module, "__all__", ())}
    things = {
        f"{place}.{name}": getattr(importlib.import_module(place), name) for place, name in named
    }
    return {name: thing for name, thing in sorted(things.items()) if inspect.isfunction(thing)}


@pytest.mark.parametrize("name", public_functions())
def test_a_public_function_shows_an_example(name):
    assert ">>> " in inspect.getdoc(public_functions()[name])


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_examples_run(module, tmp_path, monkeypatch):
    """With the rooms, np, torch and nn at hand, as after ``from modgraph_lib import *``."""
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    rooms = {name: getattr(modgraph_lib, name) for name in modgraph_lib.__all__}
    own = {module.__name__.rpartition(".")[2]: module}
    known = vars(module) | rooms | own | {"np": np, "torch": torch, "nn": torch.nn}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    for example in doctest.DocTestFinder().find(module, globs=known):
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
