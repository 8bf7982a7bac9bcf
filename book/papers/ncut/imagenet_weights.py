"""ImageNet weights of torchvision's networks: from a folder that the user names, or fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from modgraph_lib import report

__all__ = ["IMAGENET", "RANDOM", "fill"]

RANDOM, IMAGENET = "random", "imagenet"
SUFFIXES = (".safetensors", ".pth", ".pt")


def fill(model: nn.Module, name: str, weights: str) -> None:
    """Put ImageNet weights into a network of torchvision's; arguments and errors as ``load``."""
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
