"""A lesion of kind "activations", beside the same network taken apart and put together by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modgraph_lib import lesions

INPUTS = torch.randn(150, 6, generator=torch.Generator().manual_seed(0))
MASKS = np.eye(8, dtype=bool)[:5]
MASKS[4, 2:6] = True


class Net(nn.Module):
    """The steps of ``forward``, with a branch on the data that keeps torch.fx out, or without."""

    def __init__(self, forward, untraceable, **parts):
        super().__init__()
        self.call, self.untraceable = forward, untraceable
        for name, part in parts.items():
            self.add_module(name, part)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for tensor in [*self.parameters(), *self.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
                if tensor.ndim > 1:
                    tensor.sub_(0.7).mul_(3)
        self.eval()

    def forward(self, x):
        if self.untraceable and x.sum() == float("inf"):
            return x
        hidden = self.call(self, x)
        return self.rest(hidden) if hasattr(self, "rest") else hidden


def silent(hidden, row, axis=-1):
    shape = [1] * hidden.ndim
    shape[axis] = len(row)
    return torch.where(torch.from_numpy(row).view(shape), 0.0, hidden)


def compared(model, x, steps, rest, *, layer="a", masks=MASKS, axis=-1):
    """Right answers of the library, and of ``rest`` after ``steps`` with units silenced."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias -= rest(steps(x)).mean(0)  # so that every class wins somewhere
        wanted = [rest(silent(steps(x), row, axis)).argmax(1) for row in masks]
        labels = rest(steps(x)).argmax(1)
    found = lesions.lesion_accuracies(
        model, {layer: masks}, x, labels, kind="activations", device="cpu"
    )
    assert found.intact_overall == 1
    assert found.correct.sum(1).tolist() == [int((w == labels).sum()) for w in wanted]
    assert found.correct.sum(1).min() < len(x)


ENDS = {
    "sigmoid": lambda s, x: torch.sigmoid(s.a(x)),
    "method": lambda s, x: s.a(x).sigmoid(),
    "softplus": lambda s, x: F.softplus(s.a(x)),
    "batch norm": lambda s, x: F.relu(s.n(s.a(x))),
    "layer norm": lambda s, x: torch.sigmoid(s.l(s.a(x))),
    "in place": lambda s, x: F.relu(s.n(s.a(x)), inplace=True),
    "norm at the end": lambda s, x: s.n(s.a(x)),
    "sigmoid by hand": lambda s, x: 1 / (1 + torch.exp(-s.a(x))),
    "softplus by hand": lambda s, x: torch.log1p(torch.exp(s.a(x))),
    "scaled": lambda s, x: torch.sigmoid(0.5 * s.a(x) - 0.1),
    "by a parameter": lambda s, x: torch.sigmoid(s.a(x) * s.n.weight),
    "dropout": lambda s, x: s.d(torch.sigmoid(s.a(x))),
    "identity": lambda s, x: torch.sigmoid(s.i(s.a(x))),
    "nothing": lambda s, x: s.a(x),
}


@pytest.mark.parametrize("untraceable", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_the_activation_behind_a_linear_layer_is_zero(end, untraceable):
    parts = {"a": nn.Linear(6, 8), "n": nn.BatchNorm1d(8), "l": nn.LayerNorm(8), "i": nn.Identity(),
             "d": nn.Dropout(0.5), "rest": nn.Linear(8, 3)}  # fmt: skip
    model = Net(ENDS[end], untraceable, **parts)
    compared(model, INPUTS, lambda x: ENDS[end](model, x), model.rest)


@pytest.mark.parametrize("untraceable", [False, True])
def test_so_it_is_behind_a_convolution_and_a_pooling(untraceable):
    def steps(self, x):
        return torch.sigmoid(F.max_pool2d(self.n(self.a(x)), 2))

    rest = nn.Sequential(nn.Flatten(), nn.Linear(8 * 4, 3))
    model = Net(steps, untraceable, a=nn.Conv2d(1, 8, 3), n=nn.BatchNorm2d(8), rest=rest)
    pictures = torch.randn(60, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    compared(model, pictures, lambda x: steps(model, x), rest, axis=1)


@pytest.mark.parametrize("untraceable", [False, True])
def test_an_added_branch_is_no_part_of_the_activation(untraceable):
    def forward(self, x):
        return self.n(self.a(x)) + self.b(x)

    parts = {name: nn.Linear(6, 8) for name in "ab"}
    model = Net(forward, untraceable, **parts, n=nn.BatchNorm1d(8), rest=nn.Linear(8, 3))
    with torch.no_grad():
        side = model.b(INPUTS)
    compared(model, INPUTS, lambda x: model.n(model.a(x)), lambda h: model.rest(h + side))


@pytest.mark.parametrize("untraceable", [False, True])
@pytest.mark.parametrize("tokens", [5, 8])
@pytest.mark.parametrize("layer", ["a", "act", "norm"])
def test_units_of_tokens_are_channels(layer, tokens, untraceable):
    """The second axis counts tokens here, of which there may be as many as units."""
    steps = {"a": lambda s, x: s.act(s.a(x)), "act": lambda s, x: s.act(s.a(x)),
             "norm": lambda s, x: s.norm(s.act(s.a(x)))}[layer]  # fmt: skip
    parts = {"a": nn.Linear(6, 8), "act": nn.Softplus(), "norm": nn.LayerNorm(8)}
    model = Net(lambda s, x: s.head(steps(s, x).mean(1)), untraceable, **parts,
                head=nn.Linear(8, 3))  # fmt: skip
    x = torch.randn(80, tokens, 6, generator=torch.Generator().manual_seed(3))
    compared(model, x, lambda x: steps(model, x), lambda h: model.head(h.mean(1)), layer=layer)


def test_units_of_a_block_are_on_the_axis_that_fits_its_masks():
    block = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
    model = Net(lambda s, x: s.head(s.block(x).mean(1)), False, block=block, head=nn.Linear(8, 3))
    x = torch.randn(80, 5, 6, generator=torch.Generator().manual_seed(3))
    compared(model, x, block, lambda h: model.head(h.mean(1)), layer="block")
    with pytest.raises(ValueError, match=r"'block' gives \(5, 8\) a sample; its masks have 7"):
        lesions.lesion_accuracies(model, {"block": MASKS[:, :7]}, x, torch.zeros(80, dtype=int),
                                  kind="activations")  # fmt: skip


def refused(model, layer, masks=MASKS):
    x = torch.randn(20, 8, 6, generator=torch.Generator().manual_seed(3))
    lesions.lesion_accuracies(
        model, {layer: masks}, x, torch.zeros(20, dtype=int), kind="activations", device="cpu"
    )


def test_what_cannot_be_told_is_refused():
    def turned(self, x):
        return self.head(torch.sigmoid(self.a(x).transpose(1, 2)).mean(2))

    with pytest.raises(ValueError, match="sigmoid comes after a step that moves or mixes units"):
        refused(Net(turned, False, a=nn.Linear(6, 8), head=nn.Linear(8, 3)), "a")

    def square(self, x):
        return self.head(self.act(self.a(x).transpose(1, 2)).mean(2))

    with pytest.raises(ValueError, match="8 units and 8 positions look alike"):
        model = Net(square, False, a=nn.Linear(6, 8), act=nn.ReLU(), head=nn.Linear(8, 3))
        refused(model, "act")


def test_a_path_that_changes_with_the_data_is_told():
    def fickle(self, x):
        hidden = self.a(x)
        return self.head((torch.sigmoid(hidden) if len(x) == 1 else hidden.cos()).mean(1))

    with pytest.raises(ValueError, match="'a' took other steps to its activation"):
        refused(Net(fickle, True, a=nn.Linear(6, 8), head=nn.Linear(8, 3)), "a")
