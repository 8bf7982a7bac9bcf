"""Random small networks: a list of words makes blocks that follow one another."""

import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, TOKENS = 8, 5


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "relu": F.relu,
    "gelu by hand": gelu,
    "erf by hand": lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))),
    "silu by hand": lambda x: x / (1 + torch.exp(-x)),
    "hardswish by hand": lambda x: x * F.relu6(x + 3) / 6,
    "leaky by hand": lambda x: torch.maximum(x, 0.1 * x),
    "elu by hand": lambda x: torch.where(x > 0, x, torch.exp(x.clamp_max(0)) - 1),
    "relu by mask": lambda x: x * (x > 0).float(),
    "softsign by hand": lambda x: x / (1 + x.abs()),
    "mish": F.mish,
    "squared relu": lambda x: F.relu(x).square(),
}


def layer_norm(x, axis):
    centred = x - x.mean(axis, keepdim=True)
    return centred / torch.sqrt(centred.pow(2).mean(axis, keepdim=True) + 1e-5)


def std_norm(x, axis):
    std, mean = torch.std_mean(x, axis, keepdim=True, correction=0)
    return (x - mean) / (std + 1e-5)


NORMS = {
    "layer": layer_norm,
    "std": std_norm,
    "rms": lambda x, axis: x * torch.rsqrt(x.pow(2).mean(axis, keepdim=True) + 1e-6),
    "length": lambda x, axis: F.normalize(x, dim=axis) * math.sqrt(WIDTH),
    "vector": lambda x, axis: x / x.norm(dim=axis, keepdim=True).clamp_min(1e-6) * math.sqrt(WIDTH),
}


class Block(nn.Module):
    """One block; ``kind`` says what it does, ``choice`` picks a variant."""

    def __init__(self, kind, choice, image):
        super().__init__()
        self.kind, self.choice, self.image = kind, choice, image
        for name in "qkvo":
            self.add_module(name, self.made(WIDTH, WIDTH))
        self.wide = self.made(2 * WIDTH, WIDTH)
        self.gamma = nn.Parameter(0.5 + torch.rand(WIDTH))
        self.scalar = nn.Parameter(torch.tensor(0.3))
        self.norm = nn.GroupNorm(2, WIDTH) if image else nn.LayerNorm(WIDTH)
        self.heads = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def made(self, i, o):
        size = 1 + 2 * (self.choice % 2)
        return nn.Conv2d(i, o, size, padding="same") if self.image else nn.Linear(i, o)

    def per_channel(self):
        return self.gamma[:, None, None] if self.image else self.gamma

    def forward(self, x):
        return getattr(self, self.kind)(x, 1 if self.image else -1)

    def layer(self, x, axis):
        return self.q(x)

    def activation(self, x, axis):
        functions = list(ACTIVATIONS.values())
        return functions[self.choice % len(functions)](self.q(x))

    def residual(self, x, axis):
        y = F.relu(self.q(x))
        return [
            lambda: x + y, lambda: x + 0.1 * y, lambda: x + self.scalar * y,
            lambda: torch.add(x, y, alpha=0.5), lambda: x - y / 2, lambda: torch.lerp(x, y, 0.3),
            lambda: torch.addcmul(x, y, self.per_channel()),
            lambda: torch.stack([x, y]).sum(0), lambda: torch.stack([x, y, x]).mean(0),
            lambda: x.clone().add_(y), lambda: x + self.per_channel() * y,
        ][self.choice % 11]()  # fmt: skip

    def norm_module(self, x, axis):
        return self.q(self.norm(x)) + x

    def norm_by_hand(self, x, axis):
        norm = list(NORMS.values())[self.choice % len(NORMS)]
        return norm(x, axis) * self.per_channel()

    def instance(self, x, axis):
        dims = (2, 3) if self.image else 1
        return (x - x.mean(dims, keepdim=True)) / (x.std(dims, keepdim=True) + 1e-3)

    def concatenation(self, x, axis):
        return self.wide(torch.cat([F.relu(self.q(x)), x], axis))

    def halves(self, x, axis):
        one, two = x.chunk(2, axis)
        return torch.cat([two + one, one][:: 1 - 2 * (self.choice % 2)], axis)

    def shuffle(self, x, axis):
        size = x.movedim(axis, -1)
        return size.unflatten(-1, (2, 4)).transpose(-1, -2).flatten(-2).movedim(-1, axis)

    def gate(self, x, axis):
        if self.choice % 3 == 0:
            return F.silu(self.q(x)) * self.k(x)
        if self.choice % 3 == 1:
            return F.glu(torch.cat([self.q(x), self.k(x)], axis), axis)
        dims = (2, 3) if self.image else 1
        return x * torch.sigmoid(self.k(x.mean(dims, keepdim=True)))

    def attention(self, x, axis):
        tokens = x.flatten(2).mT if self.image else x
        if self.choice % 7 == 6:
            mixed = self.heads(tokens, tokens, tokens, need_weights=False)[0]
            return x + (mixed.mT.view_as(x) if self.image else mixed)
        q, k, v = (
            (y.flatten(2).mT if self.image else y).unflatten(-1, (2, 4)).transpose(1, 2)
            for y in (self.q(x), self.k(x), self.v(x))
        )
        mixed = [
            lambda: F.scaled_dot_product_attention(q, k, v),
            lambda: torch.softmax(q @ k.mT / 2, -1) @ v,
            lambda: F.relu(q) @ (F.relu(k).mT @ v),
            lambda: torch.einsum("bhts,bhsd->bhtd", torch.einsum("bhtd,bhsd->bhts", q, k), v),
            lambda: torch.einsum("bhtd,bhde->bhte", q, torch.einsum("bhsd,bhse->bhde", k, v)),
            lambda: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True),
        ][self.choice % 7]()  # fmt: skip
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.o(mixed.mT.reshape(x.shape) if self.image else mixed)

    def reuse(self, x, axis):
        return self.q(F.relu(self.q(x)))

    def pooled(self, x, axis):
        if self.image:
            return F.interpolate(F.max_pool2d(x, 2), scale_factor=2)
        return x + self.q(x.amax(1, keepdim=True))


KINDS = [name for name, value in vars(Block).items() if callable(value) and not name.startswith("_")
         and name not in ("made", "per_channel", "forward")]  # fmt: skip


class Network(nn.Module):
    """A first layer, blocks and a last layer, with the weights of one seed."""

    def __init__(self, words, image, seed):
        super().__init__()
        torch.manual_seed(seed)
        first, last = (nn.Conv2d(3, WIDTH, 1), nn.Conv2d(WIDTH, 3, 1)) if image else (
            nn.Linear(6, WIDTH), nn.Linear(WIDTH, 3))  # fmt: skip
        self.first, self.last = first, last
        self.blocks = nn.Sequential(*(Block(kind, choice, image) for kind, choice in words))
        self.example = (3, 4, 4) if image else (TOKENS, 6)

    def forward(self, x):
        return self.last(self.blocks(self.first(x)))
