"""A network from its factory and a file of weights; the public face is ``report``."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors.torch
import torch
from torch import nn

from modgraph_lib import _checks

__all__ = ["fill", "load_model", "load_weights"]

NESTED = ("state_dict", "model_state_dict", "model", "module")
SHOWN = 5


def load_model(
    factory: str | Callable[..., nn.Module],
    weights: str | Path = "",
    arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A module made by a factory, with weights from a file if there is one; in evaluation mode.

    Args:
        factory: "package.module:function" or "path/to/file.py:Class" (either is imported, which
            runs its code), or the function itself.
        weights: a .safetensors file, or one that ``torch.load(weights_only=True)`` reads.
            Without it the network keeps the weights its factory gives.
        arguments: keyword arguments of the factory.

    Raises:
        ValueError: no such factory, arguments it does not take, or something else than a module.
        FileNotFoundError: no such weights file.
        ValueError: weights whose names or shapes do not fit, all of them in one message.

    >>> arguments = {"inputs": 4, "outputs": 2, "widths": [8], "seed": 0}
    >>> model = report.load_model("modgraph_lib.models:mlp", arguments=arguments)
    >>> type(model).__name__, model.training
    ('Sequential', False)
    """
    make = factory if callable(factory) else _imported(str(factory))
    arguments = dict(_checks.instance(arguments or {}, Mapping, "arguments by name"))
    try:
        model = make(**arguments)
    except TypeError as error:
        raise ValueError(f"{factory} with the arguments {arguments}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{factory} gave a {type(model).__name__}, not a torch module")
    if weights:
        fill(model, load_weights(weights), str(weights))
    return model.eval()


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name, from safetensors or a pickle read with ``weights_only=True``.

    A dictionary nested under "state_dict" or "model", the prefix "module." of DataParallel and
    "_orig_mod." of torch.compile are taken off.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that cannot be read safely, or holds no tensors by name.

    >>> path = cache.cache_root() / "weights.pt"
    >>> torch.save({"state_dict": {"module.1.weight": torch.zeros(8, 4)}}, path)
    >>> list(report.load_weights(path))
    ['1.weight']
    """
    path = Path(_checks.instance(path, str | Path, "the path of a weights file"))
    found: Any
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path.absolute()}")
    try:
        if path.suffix == ".safetensors":
            found = safetensors.torch.load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise anything on a file that is none of theirs
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        reason = reason if path.stat().st_size else "the file is empty"
        raise ValueError(
            f"{path} cannot be read as safetensors or weights: {reason}; save "
            "model.state_dict() with safetensors.torch.save_file"
        ) from None
    for name in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{path} holds a {type(found).__name__}, not tensors by name")
    found = {str(name).replace("_orig_mod.", ""): value for name, value in found.items()}
    while all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    return found


def fill(model: nn.Module, given: Mapping[str, torch.Tensor], where: str) -> None:
    """Load weights by name into a model after comparing every name and shape.

    A prefix that all names share and the model lacks ("model." of Lightning) is taken off.

    Args:
        model: changed in place.
        given: tensors by name.
        where: what to call them in a message.

    Raises:
        ValueError: names or shapes that do not fit, all of them in one message.

    >>> model, other = (models.mlp(4, 2, widths=(8,), seed=seed) for seed in (0, 1))
    >>> report.fill(model, other.state_dict(), "mine")
    >>> torch.equal(model[1].weight, other[1].weight)
    True
    """
    _checks.instance(given, Mapping, "tensors by name")
    state = _checks.filled(model).state_dict()
    wanted = {name.replace("_orig_mod.", ""): value for name, value in state.items()}
    given = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    given = {name: _checks.plain(value, name) for name, value in given.items()}
    while given and not given.keys() & wanted.keys():
        first = next(iter(given)).partition(".")[0] + "."
        if not all(name.startswith(first) and name != first for name in given):
            break
        given = {name.removeprefix(first): value for name, value in given.items()}
    for name, value in given.items():
        if name in wanted and wanted[name].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise ValueError(
                f"{where}: {name} holds {kind} numbers where the model has weights (codes of a "
                "quantised network?); save the weights as floats"
            )
    # Counters that a batch norm does not need to evaluate; older files lack them.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"{name} is {tuple(given[name].shape)}, the model has {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    problems = [
        f"{len(found)} {word}: {', '.join(found[:SHOWN])}{' ...' if len(found) > SHOWN else ''}"
        for word, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if found
    ]
    if problems:
        raise ValueError(
            f"{where} does not fit {type(model).__name__}; {'; '.join(problems)}. Other arguments "
            "of the factory (classes, width)?"
        )
    own = {name.replace("_orig_mod.", ""): name for name in state}
    model.load_state_dict({own[name]: value for name, value in given.items()}, strict=False)


def _imported(factory: str) -> Callable[..., Any]:
    """The object behind "package.module:name" or "file.py:name"."""
    place, _, name = factory.rpartition(":")
    if not place or not name:
        raise ValueError(
            f"factory {factory!r}: write 'package.module:function', for instance "
            "'torchvision.models:resnet18', or 'path/to/file.py:Class'"
        )
    module: Any = _module(place, factory)
    try:
        return functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        close = difflib.get_close_matches(name, [n for n in dir(module) if n[0] != "_"], n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"{place} has no {name!r}{hint}") from None


def _module(place: str, factory: str) -> ModuleType:
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"factory {factory!r}: no file {path.absolute()}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader  # a name that ends in .py has a loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    if place.split(".")[0] == "torchvision":
        importlib.import_module("modgraph_lib._torchvision")  # before torchvision itself
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"factory {factory!r}: {error}; is it installed here, and spelt as in an import?"
        ) from None
