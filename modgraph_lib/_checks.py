"""Arguments at the borders: one line that says what was wanted and what was given."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

__all__ = [
    "answering",
    "filled",
    "integers",
    "instance",
    "module",
    "number",
    "numbers",
    "plain",
    "seed",
    "shape",
    "tensor",
    "threads",
    "whole",
]


def whole(value: Any, name: str, *, least: int = 0) -> int:
    """A whole number; ValueError for anything else, or one below ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def seed(value: Any) -> int | list[int]:
    """A seed: a whole number, or a list of them."""
    if isinstance(value, list | tuple) and len(value):
        return [whole(part, "each part of seed") for part in value]
    return whole(value, "seed")


def threads(workers: Any) -> int:
    """Threads to use: a whole number of at least 1; None is one for each core."""
    return joblib.cpu_count() if workers is None else whole(workers, "workers", least=1)


def number(
    value: Any,
    name: str,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """A finite number within these limits; ValueError, which names it, for anything else."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    found = float(value) if real else math.nan
    if not (math.isfinite(found) and least <= found <= most and above < found < below):
        words = {"of at least": least, "above": above, "of at most": most, "below": below}
        limits = [f"{word} {limit:g}" for word, limit in words.items() if math.isfinite(limit)]
        raise ValueError(
            f"{' '.join([name, 'must be a number', ' and '.join(limits)]).strip()}, got {value!r}"
        )
    return found


def instance(value: Any, kind: Any, wanted: str) -> Any:
    """``value`` when it is of this kind; else a TypeError that says what was wanted."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {wanted}, got {_briefly(value)}")
    return value


def module(value: Any) -> nn.Module:
    """A torch module, or a TypeError."""
    return instance(value, nn.Module, "a torch module")


def filled(value: Any) -> nn.Module:
    """A torch module that holds numbers; ValueError for one on the meta device."""
    for name, held in (*module(value).named_parameters(), *value.named_buffers()):
        if held.is_meta:
            raise ValueError(
                f"{name} is on the meta device and holds no numbers; make the model on a real one, "
                "or call model.to_empty(device='cpu') and load its weights"
            )
    return value


def tensor(value: Any, name: str) -> torch.Tensor:
    """What torch can take as a tensor, ``plain``, without a copy where it can."""
    try:
        found = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"expected {name} as a tensor of numbers, got {_briefly(value)}") from None
    return plain(found, name)


def plain(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """A strided tensor of the same numbers, without gradients; ValueError for one without any."""
    tensor = tensor.detach()
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and holds no numbers")
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def integers(value: Any, name: str) -> np.ndarray:
    """(N,) whole numbers, as an array."""
    found = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    if found.size and found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be whole numbers, one a node or sample; got {found.dtype}")
    return found


@contextlib.contextmanager
def answering(model: nn.Module, inputs: torch.Tensor) -> Iterator[None]:
    """What a foreign model raises on inputs that do not fit it, as a ValueError that says so."""
    try:
        yield
    except (RuntimeError, TypeError, IndexError, KeyError, AttributeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(
            f"{type(model).__name__} could not take {inputs.dtype} inputs of shape "
            f"{tuple(inputs.shape)}: {type(error).__name__}: {reason}"
        ) from error


def numbers(value: Any, name: str) -> np.ndarray:
    """What numpy can take as an array of float64."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"expected {name} as an array of numbers, got {_briefly(value)}") from None


def shape(value: Any, name: str) -> tuple[int, int, int]:
    """(channels, height, width)."""
    if not isinstance(value, Sequence | torch.Size) or len(value) != 3:
        raise ValueError(f"{name} must be (channels, height, width), got {value!r}")
    channels, height, width = (whole(size, name, least=1) for size in value)
    return channels, height, width


def _briefly(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
