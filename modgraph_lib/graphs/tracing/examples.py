"""Example inputs: what a person gives as ``example``, or shapes that fit the first layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs.tracing.recorder import TracingError, all_tensors

__all__ = ["Example", "examples", "is_convolutional", "width"]

# Side lengths of images tried in turn; the graph does not depend on it where several work.
SIDES = (64, 224, 32, 28, 96, 128, 299, 256, 384, 518, 16, 8)
TAKES = (
    "example= takes the shape of one sample (3, 224, 224), an input tensor or array, a list of "
    "positional inputs [x, None], or keyword inputs {'input_ids': ids}"
)
_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@dataclass(frozen=True)
class Example:
    """What one call of a model's forward is given."""

    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Example:
        """The same with every tensor changed."""
        return Example(
            tuple(_mapped(x, change) for x in self.args),
            {key: _mapped(x, change) for key, x in self.kwargs.items()},
        )

    def masks(self, model: nn.Module) -> set[int]:
        """Ids of tensors that are masks by the name of their argument, and so no input nodes."""
        names = list(inspect.signature(model.forward).parameters)
        given = dict(zip(names, self.args, strict=False)) | self.kwargs
        return {id(x) for name, x in given.items() if "mask" in name and x is not None}

    def sizes(self) -> str:
        """The shapes of all tensors, for a message."""
        return ", ".join(str(tuple(x.shape)) for x in all_tensors((self.args, self.kwargs)))


def examples(model: nn.Module, example: Any) -> list[Example]:
    """Inputs to try in turn.

    Raises:
        TracingError: something that cannot be an input.
    """
    if isinstance(example, torch.Tensor | np.ndarray):
        return [Example((_tensors(example),))]
    if isinstance(example, Mapping):
        given = _tensors(example)
        if not any(True for _ in all_tensors(given)):
            raise TracingError(f"an example without any tensor; {TAKES}")
        return [Example((), given), Example((given,))]
    if example is None:
        shapes = _shapes(model)
    elif isinstance(example, Sequence) and _is_shape(example):
        shapes = [tuple(_checks.whole(size, "each size of example", least=1) for size in example)]
    elif isinstance(example, Sequence) and not isinstance(example, str):
        given = tuple(_tensors(x) for x in example)
        if not any(True for _ in all_tensors(given)):
            raise TracingError(f"an example without any tensor: {example!r}; {TAKES}")
        return [Example(given)]
    else:
        raise TracingError(f"got an example of type {type(example).__name__}; {TAKES}")
    numbers = (p for p in model.parameters() if p.is_floating_point() or p.is_complex())
    weight: torch.Tensor = next(numbers, torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn((2, *shape), generator=generator) for shape in shapes]
    return [Example((x.to(weight.device, weight.dtype),)) for x in drawn]


def _is_shape(example: Sequence[Any]) -> bool:
    return bool(len(example)) and all(isinstance(n, int | np.integer) for n in example)


def is_convolutional(model: nn.Module, example: Any) -> bool:
    """Whether the input is an image whose pixels are no nodes."""
    if any(isinstance(module, _CONVOLUTIONS) for module in model.modules()):
        return True
    if any(isinstance(module, nn.Linear) for module in model.modules()):
        return False
    if isinstance(example, Mapping):
        return False
    shape = example.shape[1:] if isinstance(example, torch.Tensor | np.ndarray) else example or ()
    return len(shape) > 1


def width(model: nn.Module, value: torch.Tensor) -> int:
    """Nodes of the input of a network without convolutions: features at each position, or all."""
    first = next((m for m in model.modules() if isinstance(m, nn.Linear)), None)
    if first is not None and value.ndim > 2 and value.shape[-1] == first.in_features:
        return value.shape[-1]
    return value[0].numel()


def _shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of one sample that fit the first layer."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            return [(module.in_features,), (4, module.in_features)]
        if isinstance(module, nn.modules.conv._ConvNd):
            spatial = len(module.kernel_size)
            return [(module.in_channels, *(side,) * spatial) for side in SIDES]
    raise TracingError("no weights between layers: need a linear layer or two convolutions")


def _tensors(value: Any) -> Any:
    """Arrays inside lists, tuples and dictionaries as tensors."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Mapping):
        return {key: _tensors(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_tensors(one) for one in value)
    return value


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(one, change) for one in value)
    return value
