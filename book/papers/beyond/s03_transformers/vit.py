"""A vision transformer for 8x8 digits, trained in half a minute, and the same one turned."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import training
from modgraph_lib.training.seeds import derived

__all__ = ["Vit", "fresh", "images_of", "trained", "turned"]

PATCH, SIDE, CLASSES = 2, 8, 10
WIDTH, HEADS, UNITS, LAYERS = 32, 4, 128, 3
RATE, DECAY, BATCH = 2e-3, 0.01, 64


class Vit(nn.Module):
    """Sixteen patches of four pixels, three pre-norm blocks of torch's own, a mean, a read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(PATCH**2, WIDTH)
        self.positions = nn.Parameter(torch.randn((SIDE // PATCH) ** 2, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, UNITS, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
        )
        last = nn.LayerNorm(WIDTH)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, last, enable_nested_tensor=False)
        for block in self.encoder.layers:  # copies of one layer, unless they are drawn anew
            block.self_attn._reset_parameters()
            block.linear1.reset_parameters()
            block.linear2.reset_parameters()
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 10) logits of images (N, 1, 8, 8)."""
        patches = functional.unfold(images, PATCH, stride=PATCH).transpose(1, 2)
        return self.head(self.encoder(self.embed(patches) + self.positions).mean(1))


def fresh(seed: int) -> Vit:
    """An untrained network; its weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived(seed, 0))
        return Vit().eval()


def images_of(half: str, root: str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 1, 8, 8) from 0 to 1 and labels of the handwritten digits, "train" or "test"."""
    data = training.sets.pair("digits", root)[half == "test"]
    return data.images[:, None].float() / 255, data.labels


@functools.lru_cache(maxsize=8)
def trained(seed: int, epochs: int, root: str | None = None) -> Vit:
    """A network trained on digits with AdamW and a cosine schedule; the seed fixes all of it."""
    model = fresh(seed).train()
    images, labels = images_of("train", root)
    draws = torch.Generator().manual_seed(derived(seed, 1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=draws).split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def turned(model: Vit, rotation: np.ndarray) -> Vit:
    """The same function with its stream turned.

    Gains and shifts of the norms go into what reads after them, so that nothing is left that knows
    a coordinate. What a LayerNorm takes away, the mean, has to stay where it is.

    Args:
        rotation: (32, 32) orthogonal, with the vector of ones as a fixed point.

    Raises:
        ValueError: another matrix.
    """
    turn = torch.from_numpy(np.asarray(rotation)).to(model.positions.dtype)
    ones = torch.ones(WIDTH, dtype=turn.dtype)
    if not torch.allclose(turn @ turn.T, torch.eye(WIDTH, dtype=turn.dtype), atol=1e-5):
        raise ValueError("a rotation is orthogonal")
    if not torch.allclose(turn @ ones, ones, atol=1e-5):
        raise ValueError("a rotation must leave the vector of ones, or LayerNorm's mean is another")
    other = copy.deepcopy(model)
    readers = [(other.encoder.norm, other.head.weight, other.head.bias)]
    for block in other.encoder.layers:
        attention = block.self_attn
        readers.append((block.norm1, attention.in_proj_weight, attention.in_proj_bias))
        readers.append((block.norm2, block.linear1.weight, block.linear1.bias))
        for writer in (attention.out_proj, block.linear2):
            writer.weight.copy_(turn @ writer.weight)
            writer.bias.copy_(turn @ writer.bias)
    for norm, weight, bias in readers:
        bias += weight @ norm.bias
        weight.copy_(weight * norm.weight @ turn.T)
        norm.weight.fill_(1)
        norm.bias.zero_()
    other.embed.weight.copy_(turn @ other.embed.weight)
    other.embed.bias.copy_(turn @ other.embed.bias)
    other.positions.copy_(other.positions @ turn.T)
    return other
