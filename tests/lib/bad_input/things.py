"""What the wrong calls are made with."""

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from torch import nn

from modgraph_lib import datasets, graphs, models, toys

NAN, INF = float("nan"), float("inf")
MODEL = models.mlp(4, 2, widths=(8,), seed=0).eval()
CNN = models.small_cnn((1, 8, 8), channels=4, seed=0).eval()
GRAPH = graphs.weight_graph(MODEL)
RELAY = toys.relay(3, units=2)
TRIANGLES = toys.two_triangles()
IMAGES, LABELS = torch.rand(10, 4, generator=torch.Generator().manual_seed(0)), [0, 1] * 5
PICTURES = torch.zeros(2, 1, 8, 8)
MASKS = {"1": np.ones((2, 8), bool)}
DIGITS = datasets.load("digits", "test")
META = torch.zeros(6, 6, device="meta")
SPARSE = scipy.sparse.eye_array(6)
NETWORKX = nx.path_graph(6)
TRAINING = models.mlp(4, 2, widths=(8,), seed=0)


class Fails(nn.Module):
    """A forward with a fault of its own."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.two(self.one(x))[7, 7, 7]


class Pair(nn.Module):
    """Gives two tensors."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 2)

    def forward(self, x):
        return self.one(x), x


def quantised():
    """A tensor of codes."""
    return torch.quantize_per_tensor(torch.eye(6), 0.1, 0, torch.qint8)


def changed(matrix, value):
    """A copy with one entry (and its mirror image) set."""
    matrix = np.array(matrix, dtype=type(value) if isinstance(value, complex) else float)
    matrix[0, 1] = matrix[1, 0] = value
    return matrix
