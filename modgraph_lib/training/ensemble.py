"""Networks of one shape as one: stacked weights, grouped convolutions, batched products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import noise
from modgraph_lib.graphs import chain

__all__ = ["Ensemble", "Lone", "ensemble"]


def ensemble(models: Sequence[nn.Module], rates: Sequence[float], device: str) -> Ensemble | Lone:
    """Models of one shape, ready to be trained together.

    Raises:
        ValueError: several models that are no plain chains, or that differ in shape.

    >>> from modgraph_lib.training.ensemble import ensemble
    >>> pair = [models.lenet(seed=seed) for seed in (0, 1)]
    >>> ensemble(pair, [0.1, 0.2], "cpu").forward(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([2, 5, 10])
    """
    if all(_stacks(model) for model in models):
        return Ensemble(models, rates, device)
    if len(models) > 1:
        raise ValueError(
            "only chains of convolutions, poolings and dense layers train side by side (dropout "
            "on dense layers, no batch norm); train other networks one by one"
        )
    return Lone(models[0], rates[0], device)


class Ensemble:
    """Chains of one shape. Their weights are stacked, (members, ...) each.

    Attributes:
        models: the members; ``model(i)`` brings the weights of one up to date.
        parameters: stacked weights; an odd member has a copy beside it.
        rates: learning rates, shaped to multiply the parameters.
        noise: of a lone network's dropout; not drawn from here, where all share one draw.
    """

    def __init__(self, models: Sequence[nn.Module], rates: Sequence[float], device: str) -> None:
        self.models = list(models)
        shapes = [[tuple(p.shape) for p in model.parameters()] for model in self.models]
        kinds = [[type(part) for _, part in chain.steps(model)] for model in self.models]
        if any(s != shapes[0] for s in shapes) or any(k != kinds[0] for k in kinds):
            raise ValueError("the networks of an ensemble differ in shape; give those of one shape")
        self.members = list(range(len(models)))
        self.noise = torch.Generator()
        stacks = zip(*(model.parameters() for model in self.models), strict=True)
        self.parameters = [torch.stack([p.detach() for p in stack]).to(device) for stack in stacks]
        self.buffers = [torch.zeros_like(p) for p in self.parameters]
        self._rates = torch.tensor(list(rates), device=device)
        self._plan = [_Step(name, self.models, device) for name in _order(self.models[0])]
        self.keep(range(len(models)))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the members at these places alone."""
        places = list(places)
        self.members = [self.members[place] for place in places]
        index = torch.tensor(places + places[-1:] * (len(places) % 2))
        pick = lambda tensor: tensor.detach()[index.to(tensor.device)].clone()  # noqa: E731
        self.parameters = [_channels_last(pick(p)).requires_grad_() for p in self.parameters]
        self.buffers = [_channels_last(pick(b)) for b in self.buffers]
        self._rates = pick(self._rates)
        self.rates = [self._rates.view(-1, *[1] * (p.ndim - 1)) for p in self.parameters]
        for step in self._plan:
            step.kept = pick(step.kept)

    def model(self, place: int) -> nn.Module:
        """The member at a place, with its weights of now, in evaluation mode."""
        model = self.models[self.members[place]]
        with torch.no_grad():
            for own, stacked in zip(model.parameters(), self.parameters, strict=True):
                own.copy_(stacked[place])
        return model.eval()

    def forward(self, x: torch.Tensor, drawn_from: torch.Generator | None = None) -> torch.Tensor:
        """Logits (members, N, K) of images (N, C, H, W); with ``drawn_from``, as in training."""
        weights = iter(self.parameters)
        count = len(self._rates)
        shared = True  # all members still see the same numbers
        for step in self._plan:
            part = step.part
            if isinstance(part, nn.Conv2d):
                weight = next(weights)
                bias = next(weights) if part.bias is not None else None
                if not shared and bias is not None and _is_small(x, part):
                    x = _as_product(x, weight, bias, part)
                    continue
                settings: Any = (part.stride, part.padding, part.dilation, 1 if shared else count)
                bias = None if bias is None else bias.flatten()
                x, shared = functional.conv2d(x, weight.flatten(0, 1), bias, *settings), False
            elif isinstance(part, nn.Flatten):
                if shared:
                    x = x.flatten(1)
                else:
                    x = x.reshape(len(x), count, -1).transpose(0, 1)
            elif isinstance(part, nn.Linear):
                weight = next(weights).transpose(1, 2)
                x, shared = x.expand(count, *x.shape) if shared else x, False
                x = torch.baddbmm(next(weights)[:, None], x, weight)
            elif isinstance(part, nn.Dropout):
                if drawn_from is not None:
                    drawn = torch.rand(x.shape[1:], generator=drawn_from).to(x.device)
                    x = x * (drawn < step.kept) / step.kept
            else:
                x = part(x)
        return x

    def train(self) -> None:
        """Nothing to do: a chain without batch norm is told by its noise."""


class _Step:
    """One step of all members: the module of the first, and how much dropout leaves of each."""

    def __init__(self, name: str, models: Sequence[nn.Module], device: str) -> None:
        parts = [model.get_submodule(name) for model in models]
        self.part: Any = parts[0]
        kept = [1.0 - getattr(part, "p", 0.0) for part in parts]
        self.kept = torch.tensor(kept, device=device).view(-1, 1, 1)


class Lone:
    """One module of any kind, with the face of an ensemble."""

    def __init__(self, model: nn.Module, rate: float, device: str) -> None:
        self.noise = torch.Generator(device)
        noise.own_dropout(model, [self.noise])
        self.models, self.members = [model.to(device)], [0]
        self.parameters = list(model.parameters())
        self.buffers = [torch.zeros_like(p) for p in self.parameters]
        self.rates = [torch.tensor(rate, device=device)] * len(self.parameters)

    def keep(self, places: Sequence[int]) -> None:
        """Nothing to do: one member stays or all is over."""

    def model(self, place: int) -> nn.Module:
        """The model, in evaluation mode."""
        return self.models[place].eval()

    def forward(self, x: torch.Tensor, drawn_from: torch.Generator | None = None) -> torch.Tensor:
        """Logits (1, N, K); its dropout draws from ``self.noise``, seeded by epoch."""
        return self.models[0](x)[None]

    def train(self) -> None:
        """Batch norm and dropout as in training."""
        self.models[0].train()


def _stacks(model: nn.Module) -> bool:
    """Whether a chain can be stacked: its layers have biases, and it holds no batch norm."""
    if not chain.is_plain(model):
        return False
    flat = False
    for _, part in chain.steps(model):
        flat |= isinstance(part, nn.Flatten)
        if isinstance(part, chain.NORMS) or (isinstance(part, nn.Dropout) and not flat):
            return False
        if isinstance(part, nn.Dropout2d) or getattr(part, "groups", 1) != 1:
            return False
        if isinstance(part, nn.Linear) and (part.bias is None or not flat):
            return False
        if isinstance(part, nn.Conv2d) and part.padding_mode != "zeros":
            return False
    return True


def _channels_last(weight: torch.Tensor) -> torch.Tensor:
    """Filters (members, out, in, h, w) with ``in`` innermost, as images: two copies less a step."""
    if weight.ndim != 5:
        return weight
    return weight.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def _is_small(x: torch.Tensor, part: nn.Conv2d) -> bool:
    """Whether a convolution is mostly weights: on images of four pixels or fewer, on a CPU."""
    plain = part.dilation == (1, 1) and not isinstance(part.padding, str)
    return plain and x.device.type == "cpu" and x.shape[2] * x.shape[3] <= 4


def _as_product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, part: nn.Conv2d
) -> torch.Tensor:
    """Convolution of each member's channels as a product: oneDNN would copy all filters twice."""
    count, (down, right) = len(weight), part.padding
    x = functional.pad(x, (right, right, down, down)).unflatten(1, (count, -1))
    for axis in (0, 1):
        x = x.unfold(3 + axis, part.kernel_size[axis], part.stride[axis])
    x = x.permute(1, 0, 3, 4, 5, 6, 2)  # members, images, height, width, window, channels
    columns = x.flatten(4).flatten(1, 3).transpose(1, 2)
    found = torch.baddbmm(bias[:, :, None], weight.permute(0, 1, 3, 4, 2).flatten(2), columns)
    return found.unflatten(2, x.shape[1:4]).permute(2, 0, 1, 3, 4).flatten(1, 2)


def _order(model: nn.Module) -> list[str]:
    """Names of a chain's steps, max-poolings before the ReLU that they follow.

    A maximum of positive parts is the positive part of the maximum, to the last bit, and there
    are four times fewer to take.
    """
    steps = chain.steps(model)
    for place in range(1, len(steps)):
        pair = [type(part) for _, part in steps[place - 1 : place + 1]]
        if pair == [nn.ReLU, nn.MaxPool2d] and steps[place][1].padding == 0:
            steps[place - 1 : place + 1] = steps[place - 1 : place + 1][::-1]
    return [name for name, _ in steps]
