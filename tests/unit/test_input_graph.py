"""The graph whose nodes are what convolutions read."""

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import graphs
from modgraph_lib._torchvision import torchvision


class Chain(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        widths = (3, 4, 5, 6)
        self.features = nn.Sequential()
        for a, b in zip(widths[:-1], widths[1:], strict=True):
            self.features.append(nn.Conv2d(a, b, 3, padding=1))
            self.features.extend([nn.BatchNorm2d(b), nn.ReLU()] if norm else [nn.ReLU()])
        self.avgpool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Sequential(nn.Linear(24, 7), nn.ReLU(), nn.Linear(7, 2))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Residual(nn.Module):
    """first -> (second + skip) -> third, all 1x1 with two channels, and a classifier."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1)
        self.second, self.third = (nn.Conv2d(2, 2, 1) for _ in range(2))
        self.norm = nn.BatchNorm2d(2)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        x = self.first(x)
        x = torch.relu(self.norm(self.second(x)) + x)
        return self.fc(self.third(x).mean((2, 3)))


def test_a_chain_has_one_graph():
    torch.manual_seed(0)
    model = Chain().eval()
    before = list(model.children())
    found = graphs.input_graph(model, kernel_norm="l1")
    plain = graphs.weight_graph(model)
    assert found.layers == plain.layers == (4, 5, 6)
    for pair, block in plain.blocks.items():
        np.testing.assert_allclose(found.blocks[pair], block)
    assert list(model.children()) == before  # the classifier is back in its place


def test_batch_norm_multiplies_the_kernel_before_it():
    torch.manual_seed(0)
    model = Chain(norm=True).eval()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(-2, 2)
            norm.running_var.uniform_(0.5, 2)
    found = graphs.input_graph(model, kernel_norm="l1")
    plain = graphs.weight_graph(model, fold_batch_norm=False)
    for i in range(2):
        factor = (norms[i + 1].weight.abs() / (norms[i + 1].running_var + 1e-5).sqrt()).detach()
        np.testing.assert_allclose(
            found.blocks[i, i + 1], plain.blocks[i, i + 1] * factor.double().numpy(), rtol=1e-6
        )


def test_channels_read_twice_are_two_nodes():
    torch.manual_seed(0)
    model = Residual().eval()
    with torch.no_grad():
        model.norm.weight.copy_(torch.tensor([2.0, -3.0]))
        model.norm.running_var.fill_(1 - 1e-5)
    found = graphs.input_graph(model)
    # inputs of second, inputs of third, what the classifier reads
    assert found.layers == (2, 2, 2) and set(found.blocks) == {(0, 1), (1, 2)}
    second = model.second.weight[:, :, 0, 0].abs().T.detach().numpy() * [2, 3]
    np.testing.assert_allclose(found.blocks[0, 1], second, rtol=1e-6)
    # the first convolution reads the image, so that its own channels begin nowhere


def test_branches_read_the_same_channels_each_for_itself():
    block = torchvision.models.resnet.BasicBlock
    down = nn.Sequential(nn.Conv2d(3, 4, 1, stride=2), nn.BatchNorm2d(4))
    torch.manual_seed(0)
    stem = nn.Conv2d(1, 3, 1)
    model = nn.Sequential()
    model.add_module("stem", stem)
    model.add_module("block", block(3, 4, stride=2, downsample=down))
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("fc", nn.Linear(4, 2))
    found = graphs.input_graph(model.eval(), example=(1, 8, 8))
    # read by conv1 (3), conv2 (4), the projection (3), the classifier (4)
    assert found.layers == (3, 4, 3, 4)
    assert set(found.blocks) == {(0, 1), (1, 3), (2, 3)}
    assert graphs.weight_graph(model, example=(1, 8, 8)).layers == (3, 4, 4, 4)


def test_a_network_without_a_classifier_is_refused():
    with pytest.raises(ValueError, match="no classifier called"):
        graphs.input_graph(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)))
