"""Untrained networks have nothing to find: their p against the default null must look uniform.

``python -m tests.lib.untrained`` asks it of every architecture here and prints a line each.
"""

import argparse
import math
import sys
import warnings

import numpy as np
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from modgraph_lib import noise, report

LEVEL = 0.01  # that one architecture or more fails by chance, all taken together
# Two clusters would often be whole layers, with the same n-cut in every shuffle.
CLUSTERS = 8


class Made(nn.Module):
    """Parts by name, and a forward given as a function of them."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.call = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.call(self, x)


def conv(inputs, outputs, size=3, **options):
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **options)


def chain(*middle):
    return nn.Sequential(conv(3, 16), *middle, conv(16, 16, 1))


def perceptron():
    sizes = [(20, 16), (16, 16), (16, 6)]
    return nn.Sequential(*(p for s in sizes for p in (nn.Linear(*s), nn.ReLU())))


def grouped():
    return chain(*(part for _ in range(2) for part in (nn.ReLU(), conv(16, 16, groups=2))))


def depthwise():
    return chain(*(part for _ in range(2) for part in (
        nn.ReLU(), conv(16, 16, groups=16), nn.BatchNorm2d(16), conv(16, 16, 1))))  # fmt: skip


def split():
    def forward(self, x):
        x = self.stem(x)
        for layer in (self.a, self.b, self.c):
            left, right = x.chunk(2, 1)
            x = torch.stack([left, layer(right).relu()], 2).flatten(1, 2)
        return self.last(x)

    thirds = {name: conv(8, 8) for name in "abc"}
    return Made(forward, stem=conv(3, 16), last=conv(16, 16, 1), **thirds)


def residual():
    def forward(self, x):
        x = self.stem(x)
        x = (x + self.b(self.a(x).relu())).relu()
        return self.last((x + self.d(self.c(x).relu())).relu())

    return Made(
        forward, stem=conv(3, 12), last=conv(12, 12, 1), **{n: conv(12, 12) for n in "abcd"}
    )


def dense():
    def forward(self, x):
        x = self.stem(x)
        for layer in (self.a, self.b, self.c):
            x = torch.cat([x, layer(x).relu()], 1)
        return self.last(x)

    grown = {name: conv(12 + 6 * i, 6) for i, name in enumerate("abc")}
    return Made(forward, stem=conv(3, 12), last=conv(30, 12, 1), **grown)


def gated():
    def forward(self, x):
        x = self.a(self.stem(x).relu())
        gate = torch.sigmoid(self.up(self.down(x.mean((2, 3), keepdim=True)).relu()))
        return self.last(x * gate)

    return Made(forward, stem=conv(3, 12), a=conv(12, 12), down=conv(12, 4, 1), up=conv(4, 12, 1),
                last=conv(12, 12, 1))  # fmt: skip


def transformer():
    layers = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True, dropout=0.0)
    stack = nn.TransformerEncoder(layers, 2, enable_nested_tensor=False)
    fresh = [p for p in stack.parameters() if p.ndim > 1]
    for weight in fresh:  # clones of one layer begin equal, which is a tie of the values
        nn.init.xavier_uniform_(weight)
    return Made(lambda self, x: self.head(self.stack(self.first(x))), first=nn.Linear(6, 12),
                stack=stack, head=nn.Linear(12, 5))  # fmt: skip


def tied():
    def forward(self, x):
        x = self.first(x).relu()
        for _ in range(3):
            x = self.again(x).relu()
        return self.last(x)

    return Made(forward, first=nn.Linear(10, 16), again=nn.Linear(16, 16), last=nn.Linear(16, 8))


def autoencoder():
    def forward(self, x):
        code = functional.relu(self.b(functional.relu(self.a(x))))
        return functional.linear(functional.relu(functional.linear(code, self.b.weight.t())),
                                 self.a.weight.t())  # fmt: skip

    return Made(forward, a=nn.Linear(20, 14), b=nn.Linear(14, 8))


def normed():
    return chain(nn.BatchNorm2d(16), nn.ReLU(), conv(16, 16), nn.BatchNorm2d(16), nn.ReLU())


ARCHITECTURES = {
    "perceptron": (perceptron, None),
    "batch norm": (normed, (3, 8, 8)),
    "grouped": (grouped, (3, 8, 8)),
    "depthwise": (depthwise, (3, 8, 8)),
    "split": (split, (3, 8, 8)),
    "residual": (residual, (3, 8, 8)),
    "concatenated": (dense, (3, 8, 8)),
    "gated": (gated, (3, 8, 8)),
    "transformer": (transformer, torch.zeros(1, 5, 6)),
    "one layer thrice": (tied, None),
    "tied autoencoder": (autoencoder, (20,)),
}


def p_values(name, networks, shuffles, method=""):
    """p of so many untrained networks, and the null that was chosen."""
    make, example = ARCHITECTURES[name]
    found = []
    for seed in range(networks):
        with noise.seeded(seed):
            model = make().eval()
        found.append(report.clusterability(
            model, CLUSTERS, shuffles, seed, n_init=3, workers=1, example=example,
            method=method))  # fmt: skip
    return np.array([one.p for one in found]), found[0].method


def fit(p, shuffles):
    """How likely p like these are if each is uniform on 1/(S+1), ..., 1 (chi-squared in quarters).

    Quarters, because p takes steps; S + 1 is a multiple of four.
    """
    quarter = np.ceil(p * 4 - 1e-9).astype(int)
    return stats.chisquare(np.bincount(quarter, minlength=5)[1:]).pvalue


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--shuffles", type=int, default=39)
    options = parser.parse_args()
    limit = LEVEL / len(ARCHITECTURES)
    worst = math.inf
    for name in ARCHITECTURES:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            p, method = p_values(name, options.networks, options.shuffles)
        worst = min(worst, chance := fit(p, options.shuffles))
        print(f"{name:18} {method:8} mean p {p.mean():.2f}, lowest {p.min():.3f}, "
              f"chance {chance:.4f}{' UNLIKE' if chance < limit else ''}", flush=True)  # fmt: skip
    return 0 if worst >= limit else 1


if __name__ == "__main__":
    sys.exit(main())
