"""Random draws from a generator of one's own, where torch would take the process's global one.

Layers draw their first weights, and dropout its noise, from a generator that all threads share:
two networks trained side by side would take each other's numbers. With these a network draws the
same in a thread, in a process and alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modgraph_lib import _checks

__all__ = ["own_dropout", "seeded"]

# Whatever a layer's first weights are drawn with. Those of nn.init that are not here end in these.
DRAWS = {
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli,
    torch.multinomial, torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.bernoulli_,
    torch.Tensor.random_, torch.Tensor.exponential_, torch.Tensor.log_normal_, nn.init.uniform_,
    nn.init.normal_, nn.init.kaiming_uniform_,
}  # fmt: skip


class seeded(TorchFunctionMode):
    """What this thread draws inside comes from generators of this seed, one for each device.

    The numbers are those that ``torch.manual_seed`` gives; the global generator stays as it is.

    >>> with noise.seeded(0):
    ...     first = nn.Linear(2, 1).weight
    >>> torch.equal(first, nn.Linear(2, 1).weight)
    False
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = _checks.whole(seed, "seed")
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        if func in DRAWS and kwargs.get("generator") is None:
            given = next(
                (a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)), None
            )
            named = kwargs.get("device") or torch.get_default_device()
            device = torch.device(named) if given is None else given.device
            if device.type != "meta":
                if device not in self.generators:
                    self.generators[device] = torch.Generator(device).manual_seed(self.seed)
                kwargs["generator"] = self.generators[device]
        return func(*args, **kwargs)


def own_dropout(model: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Have every ``nn.Dropout`` of a model draw from these generators, in place.

    Args:
        generators: one; or one for each network of a stack, where the model is called through
            ``torch.vmap``. They live on the device of the activations, and may be seeded again
            at any time. On a CPU the noise is to the bit that of ``nn.Dropout`` after
            ``torch.manual_seed`` of the same seed.

    >>> model, mine = nn.Sequential(nn.Dropout(0.5)), torch.Generator().manual_seed(0)
    >>> noise.own_dropout(model, [mine])
    >>> model(torch.ones(6))
    tensor([0., 0., 2., 0., 0., 0.])
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                own = _Dropout(child.p)
                own.generators = generators
                setattr(parent, name, own.train(child.training))


class _Dropout(nn.Dropout):
    """Dropout with generators, see ``own_dropout``."""

    generators: Sequence[torch.Generator]

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return input
        return input * _Mask.apply(input.detach(), self.generators, self.p)


class _Mask(torch.autograd.Function):
    """Zeros, and 1 / (1 - rate) where a unit stays; a function, so that vmap hands over a stack."""

    @staticmethod
    def forward(values, generators, rate):
        (generator,) = generators
        # In the memory order of the values, as torch's own dropout draws it.
        return torch.empty_like(values).bernoulli_(1 - rate, generator=generator).div_(1 - rate)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info, axes, values, generators, rate):
        members = values.unbind(axes[0])
        pairs = zip(members, generators, strict=True)
        return torch.stack([_Mask.apply(one, [own], rate) for one, own in pairs]), 0
