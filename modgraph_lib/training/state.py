"""The mutable middle of a training run: stacked weights, Adam, masks, and where it stands."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from modgraph_lib.training import checkpoints

__all__ = ["State"]


class State:
    """Parameters of M networks (M, ...), their optimiser, and the phase and epoch reached.

    ``buffers`` are the running statistics of batch norms, updated in place by the forward pass.
    ``finished`` maps a phase that is over to its weights and metrics; ``kernels`` indexes the
    parameters that penalties and pruning apply to. ``basis`` holds the last eigenvectors of the
    eigenvalue penalty, from where the next ones are found; it does not outlive an epoch.
    ``generators`` give each network its noise; the trainer seeds them for every epoch.
    """

    def __init__(
        self,
        names: list[str],
        parameters: list[torch.Tensor],
        learning_rate: float,
        buffers: dict[str, torch.Tensor],
    ) -> None:
        self.names = names
        self.learning_rate = learning_rate
        self.parameters = parameters
        self.buffers = buffers
        self.generators = [torch.Generator(parameters[0].device) for _ in parameters[0]]
        self.kernels = [i for i, p in enumerate(parameters) if p.ndim > 2]
        self.masks: dict[int, torch.Tensor] = {}
        self.finished: dict[str, tuple[dict[str, torch.Tensor], list[dict]]] = {}
        self.running: list[dict[str, float | None]] = []
        self.phase, self.epoch = "", 0
        self.basis: Any = None
        self.optimiser: torch.optim.Optimizer

    @classmethod
    def fresh(cls, members: list[nn.Module], device: str, learning_rate: float) -> State:
        """Stack the initial weights of the members on the device.

        In plain memory order, as checkpoints hold them: the fused Adam pairs weights and moments
        by their place in memory and would mix up those of a channels-last kernel.
        """
        names = [name for name, _ in members[0].named_parameters()]
        stacked = [
            torch.stack([dict(m.named_parameters())[name].detach().cpu() for m in members])
            .contiguous()
            .to(device)
            .requires_grad_()
            for name in names
        ]
        buffers = {
            name: torch.stack([dict(m.named_buffers())[name].cpu() for m in members]).to(device)
            for name, _ in members[0].named_buffers()
        }
        return cls(names, stacked, learning_rate, buffers)

    def begin(self, phase: str) -> None:
        """Start a phase with a fresh Adam and no masks."""
        self.phase, self.epoch, self.masks = phase, 0, {}
        self.optimiser = torch.optim.Adam(
            self.parameters, lr=self.learning_rate, eps=1e-7, fused=True
        )

    def members(self) -> list[dict[str, torch.Tensor]]:
        """Named weights and buffers of each network, without the member axis."""
        count, stacked = len(self.parameters[0]), self._stacked()
        return [{name: tensor[m] for name, tensor in stacked.items()} for m in range(count)]

    def _stacked(self) -> dict[str, torch.Tensor]:
        named = zip(self.names, self.parameters, strict=True)
        return {name: parameter.detach() for name, parameter in named} | self.buffers

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set pruned weights to zero."""
        for index, mask in self.masks.items():
            self.parameters[index].mul_(mask)

    def finish(self, phase: str, metrics: list[dict]) -> None:
        """Keep the weights and metrics of a phase that is over."""
        weights = {name: tensor.clone() for name, tensor in self._stacked().items()}
        self.finished[phase] = (weights, metrics)

    def snapshot(self, seconds: float) -> checkpoints.Snapshot:
        """Everything needed to go on from here; ``seconds`` is the time spent so far."""
        adam = [self.optimiser.state[p] for p in self.parameters]
        return checkpoints.Snapshot(
            phase=self.phase,
            epoch=self.epoch,
            seconds=seconds,
            running=self.running,
            parameters=[p.detach() for p in self.parameters],
            buffers=self.buffers,
            adam=[(s["step"], s["exp_avg"], s["exp_avg_sq"]) for s in adam],
            masks=self.masks,
            finished=self.finished,
        )

    def restore(self, saved: checkpoints.Snapshot) -> float:
        """Go back to a snapshot; returns the seconds spent before it."""
        device = self.parameters[0].device
        for parameter, value in zip(self.parameters, saved.parameters, strict=True):
            parameter.data.copy_(value)
        for name, value in saved.buffers.items():
            self.buffers[name].copy_(value)
        self.begin(saved.phase)
        for parameter, (step, mean, square) in zip(self.parameters, saved.adam, strict=True):
            self.optimiser.state[parameter] = {
                "step": step.to(device if parameter.is_cuda else "cpu"),
                "exp_avg": mean.to(device),
                "exp_avg_sq": square.to(device),
            }
        self.epoch, self.running = saved.epoch, saved.running
        self.masks = {i: m.to(device) for i, m in saved.masks.items()}
        self.finished = {
            phase: ({n: w.to(device) for n, w in weights.items()}, metrics)
            for phase, (weights, metrics) in saved.finished.items()
        }
        return saved.seconds
