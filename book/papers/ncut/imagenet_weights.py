"""torchvision's networks, their ImageNet weights (from a folder, or fetched), and their records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from book.lab import store
from book.lab.experiment import Experiment
from modgraph_lib import cache, noise, provenance, report, training
from modgraph_lib.datasets import _imagenet, _places
from modgraph_lib.models.cifar_networks import Normalise

__all__ = ["IMAGENET", "RANDOM", "fill", "images", "network", "of_pixels", "record"]

RANDOM, IMAGENET = "random", "imagenet"
SUFFIXES = (".safetensors", ".pth", ".pt")


def network(config: Any, name: str, weights: str, **arguments: Any) -> nn.Module:
    """torchvision's network in evaluation mode; a configuration tells its ``weights`` and ``seed``.

    Args:
        weights: where ImageNet weights are: "torchvision" (fetches them), or a folder.
        arguments: of torchvision's function.

    Raises:
        FileNotFoundError: no weights in the folder, or none could be fetched (says what to do).
        ValueError: weights that do not fit the network.
    """
    with noise.seeded(config.seed):
        model = report.load_model(f"torchvision.models:{name}", arguments=arguments)
    if config.weights == IMAGENET:
        fill(model, name, weights)
    return model


def of_pixels(model: nn.Module) -> nn.Module:
    """The same network, in evaluation mode, for images of 0..1."""
    return nn.Sequential(Normalise(3, "imagenet"), model).eval()


def images(data: str, root: str | None = None) -> list[tuple[Path, int]]:
    """(file, class) of every validation image in one fixed mixed order."""
    return _imagenet.listing(data, "test", _places.roots(root))[0]


def record(
    experiment: Experiment,
    config: Any,
    model: nn.Module,
    measure: Callable[[Mapping[str, Any]], dict[str, Any]],
    *,
    items: list[tuple[Path, int]] | None = None,
    device: str = "cpu",
) -> dict:
    """The record of one configuration, from the store or computed (from its key) and stored.

    Its key names the weights, and the images if there are some, by their digests, so that others
    get another record.
    """
    weights = provenance.weights_digest(model.state_dict())
    key = {**cache.canonical(config), "weights_digest": weights}
    if items is not None:
        key["data_fingerprint"] = _imagenet.digest(items)
    if found := store.get(experiment.name, experiment.schema, key):
        return found
    start = time.perf_counter()
    with training.threads_for(device):
        result = measure(key)
    seconds = time.perf_counter() - start + result.pop("earlier", 0.0)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds)
    return store.put(experiment.name, experiment.schema, key, result, origin)


def fill(model: nn.Module, name: str, weights: str) -> None:
    """Put ImageNet weights into a network of torchvision's; errors as ``network``."""
    if weights == "torchvision":
        found = _fetched(name)
    else:
        paths = [Path(weights) / f"{name}{suffix}" for suffix in SUFFIXES]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"no weights of {name} in {Path(weights).absolute()}: name a folder that holds "
                f"{', '.join(path.name for path in paths[:-1])} or {paths[-1].name}"
            )
        found = report.load_weights(path)
    report.fill(model, found, f"weights of {name}")


def _fetched(name: str) -> Mapping[str, torch.Tensor]:
    """torchvision's first ImageNet weights, whose file name holds their digest."""
    from modgraph_lib._torchvision import torchvision  # slow to import

    wanted = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        return wanted.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:
        raise FileNotFoundError(
            f"{wanted.url} could not be fetched ({error}); download it elsewhere, save it as "
            f"{name}.pth in a folder, and name the folder as weights"
        ) from error
