"""Graphs of architectures with skips, branches, norms and attention, against hand-made ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from modgraph_lib import graphs, models
from modgraph_lib._torchvision import torchvision
from modgraph_lib.graphs import tracing
from modgraph_lib.graphs.tracing import assembly


class Forward(nn.Module):
    """A module whose forward pass is a function of itself and the input."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.call = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.call(self, *inputs)


def conv(inputs, outputs, size=1, seed=0, **options):
    layer = nn.Conv2d(inputs, outputs, size, bias=False, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
    return layer


def strength(layer):
    """(inputs, outputs) by hand, for an ungrouped layer."""
    weight = layer.weight.detach().double().abs()
    return weight.reshape(*weight.shape[:2], -1).sum(2).T.numpy()


def norm(channels, seed=0, kind=nn.BatchNorm2d):
    layer = kind(channels)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(channels, generator=generator))
        layer.running_var.copy_(torch.rand(channels, generator=generator) + 0.1)
    return layer


def scale(layer):
    """|gamma| / sqrt(var + eps) by hand."""
    root = (layer.running_var.double() + layer.eps).sqrt()
    return (layer.weight.detach().double().abs() / root).numpy()


def equal(graph, expected):
    assert set(graph.blocks) == set(expected)
    for pair, block in expected.items():
        np.testing.assert_allclose(graph.blocks[pair], block, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        models.mlp(7, 3, widths=(5, 4), dropout=0.2, seed=0),
        models.small_cnn((1, 8, 8), 10, channels=6, dense=4, seed=0),
    ],
)
def test_a_chain_is_the_same_run_or_read(model):
    read = graphs.weight_graph(model)
    run = graphs.weight_graph(Forward(lambda self, x: self.inner(x), inner=model))
    assert run.layers == read.layers
    assert [name.removeprefix("inner.") for name in run.names] == list(read.names)
    equal(run, read.blocks)


def test_a_residual_sum_reaches_every_next_convolution():
    model = Forward(
        lambda self, x: self.c(F.relu((first := F.relu(self.a(x))) + self.b(first))),
        a=conv(3, 4), b=conv(4, 4, 3, 1, padding=1), c=conv(4, 5, 3, 2),
    )  # fmt: skip
    graph = graphs.weight_graph(model)
    assert graph.layers == (4, 4, 5) and graph.names == ("a", "b", "c")
    equal(graph, {(0, 1): strength(model.b), (1, 2): strength(model.c), (0, 2): strength(model.c)})
    assert not graph.is_bipartite


def test_a_concatenation_keeps_each_branch_its_channels():
    model = Forward(
        lambda self, x: self.c(torch.cat([F.relu(self.a(x)), self.b(x)], 1)),
        a=conv(3, 2), b=conv(3, 4, seed=1), c=conv(6, 5, seed=2),
    )  # fmt: skip
    graph = graphs.weight_graph(model)
    equal(graph, {(0, 2): strength(model.c)[:2], (1, 2): strength(model.c)[2:]})


@pytest.mark.parametrize("late", [False, True])
def test_batch_norm_multiplies_what_goes_out(late):
    def forward(self, x):
        x = self.a(x)
        x = self.norm(F.relu(x)) if late else F.relu(self.norm(x))
        return self.b(x)

    model = Forward(forward, a=conv(3, 4), norm=norm(4), b=conv(4, 2, 3, 1))
    equal(graphs.weight_graph(model), {(0, 1): scale(model.norm)[:, None] * strength(model.b)})
    equal(graphs.weight_graph(model, fold_batch_norm=False), {(0, 1): strength(model.b)})


def test_each_summand_keeps_its_own_batch_norm():
    model = Forward(
        lambda self, x: self.c(self.n(self.a(x)) + self.m(self.b(x))),
        a=conv(3, 4), n=norm(4), b=conv(3, 4, seed=1), m=norm(4, 1), c=conv(4, 2, seed=2),
    )  # fmt: skip
    graph = graphs.weight_graph(model)
    for place, layer in enumerate((model.n, model.m)):
        expected = scale(layer)[:, None] * strength(model.c)
        np.testing.assert_allclose(graph.blocks[place, 2], expected)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=4, max_size=4), st.sampled_from(["walk", "merge"]))
def test_moving_a_factor_from_batch_norm_to_the_next_kernel_changes_nothing(factors, residual):
    def forward(self, x):
        x = self.n(self.a(x))
        return self.c(F.relu(self.b(x)))

    model = Forward(forward, a=conv(3, 4), n=norm(4), b=conv(4, 4, 3, 1), c=conv(4, 2, seed=2))
    before = graphs.weight_graph(model, residual=residual, example=(3, 8, 8))
    factor = torch.tensor(factors)
    with torch.no_grad():
        model.n.weight *= factor
        model.b.weight /= factor[:, None, None]
    after = graphs.weight_graph(model, residual=residual, example=(3, 8, 8))
    for pair, block in before.blocks.items():
        np.testing.assert_allclose(after.blocks[pair], block, rtol=1e-5)


def test_a_depthwise_convolution_scales_its_channels_or_has_nodes():
    model = nn.Sequential(conv(3, 4), conv(4, 8, 3, 1, groups=4), conv(8, 5, seed=2))
    by_hand = model[1].weight.detach().double().abs().sum((1, 2, 3)).numpy()
    read = strength(model[2]) * by_hand[:, None]
    equal(graphs.weight_graph(model), {(0, 1): read[0::2] + read[1::2]})
    graph = graphs.weight_graph(model, depthwise="nodes")
    assert graph.layers == (4, 8, 5)
    # channel c becomes channels 2c and 2c + 1
    expected = np.zeros((4, 8))
    expected[np.arange(8) // 2, np.arange(8)] = by_hand
    equal(graph, {(0, 1): expected, (1, 2): strength(model[2])})


def test_a_grouped_convolution_has_edges_within_groups_only():
    model = nn.Sequential(conv(3, 6), conv(6, 4, 3, 1, groups=2))
    block = graphs.weight_graph(model).blocks[0, 1]
    weight = model[1].weight.detach().double().abs().sum((2, 3)).numpy()
    assert not block[:3, 2:].any() and not block[3:, :2].any()
    np.testing.assert_allclose(block[:3, :2], weight[:2].T)
    np.testing.assert_allclose(block[3:, 2:], weight[2:].T)


def test_reshaping_moves_the_channels_along():
    def shuffled(self, x):
        x = self.a(x)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        one, two = x.chunk(2, dim=1)
        return self.b(torch.cat([two, F.pad(one, (0, 0))], 1).flip(1).flip(1))

    model = Forward(shuffled, a=conv(3, 6), b=conv(6, 2, seed=1))
    order = np.arange(6).reshape(2, 3).T.ravel()  # 0 3 1 4 2 5
    order = np.concatenate([order[3:], order[:3]])
    expected = np.zeros((6, 2))
    expected[order] = strength(model.b)
    equal(graphs.weight_graph(model), {(0, 1): expected})


def test_dense_layers_sum_over_positions_when_they_are_asked_for():
    model = Forward(
        lambda self, x: self.head(torch.flatten(F.avg_pool2d(self.a(x), 2), 1)),
        a=conv(1, 3), head=nn.Linear(3 * 16, 10),
    )  # fmt: skip
    with pytest.raises(ValueError, match="no weights between layers"):
        graphs.weight_graph(model)
    graph = graphs.weight_graph(model, dense=True, example=(1, 8, 8))
    weight = model.head.weight.detach().double().abs().reshape(10, 3, 16)
    equal(graph, {(0, 1): weight.sum(2).T.numpy()})


def test_a_gate_goes_on_beside_what_it_gates():
    def forward(self, x):
        x = self.a(x)
        return self.b(x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True))))

    model = Forward(forward, a=conv(3, 4), gate=conv(4, 4, seed=1), b=conv(4, 2, seed=2))
    expected = {(0, 1): strength(model.gate), (0, 2): strength(model.b), (1, 2): strength(model.b)}
    equal(graphs.weight_graph(model), expected)


def test_a_gate_of_dense_layers_is_left_out_with_them():
    def forward(self, x):
        x = self.a(x)
        return self.b(x * torch.sigmoid(self.gate(x.mean((2, 3))))[..., None, None])

    model = Forward(forward, a=conv(3, 4), gate=nn.Linear(4, 4), b=conv(4, 2, seed=2))
    equal(graphs.weight_graph(model), {(0, 1): strength(model.b)})
    assert graphs.weight_graph(model, dense=True).layers == (4, 4, 2)


def test_a_perceptron_with_a_skip_a_norm_and_functional_weights():
    def forward(self, x):
        x = F.relu(self.norm(F.linear(x.flatten(1), self.first)))
        return self.last(x + x @ self.square)

    model = Forward(
        forward,
        first=nn.Parameter(torch.randn(4, 6)),
        norm=norm(4, kind=nn.BatchNorm1d),
        square=nn.Parameter(torch.randn(4, 4)),
        last=nn.Linear(4, 3),
    )
    graph = graphs.weight_graph(model, example=(6,))
    assert graph.names == ("inputs", "first", "square", "last")
    factor = scale(model.norm)[:, None]
    expected = {
        (0, 1): model.first.detach().double().abs().T.numpy(),
        (1, 2): factor * model.square.detach().double().abs().numpy(),
        (1, 3): factor * strength(model.last),
        (2, 3): strength(model.last),
    }
    equal(graph, expected)


def test_merged_residual_streams_are_one_layer():
    def forward(self, x):
        x = self.n(self.a(x))
        x = F.relu(x + self.m(self.c(self.b(x))))
        return self.d(x)

    model = Forward(
        forward,
        a=conv(3, 4), n=norm(4), b=conv(4, 5, seed=1), c=conv(5, 4, seed=2), m=norm(4, 1),
        d=conv(4, 2, seed=3),
    )  # fmt: skip
    graph = graphs.weight_graph(model, residual="merge")
    assert graph.layers == (4, 5, 2) and graph.names == ("a", "b", "d")
    # The stream holds a's channels after its batch norm; c's batch norm acts on what c writes.
    written = (strength(model.c) * scale(model.m)).T
    equal(graph, {(0, 1): strength(model.b) + written, (0, 2): strength(model.d)})


def test_a_merged_layer_cannot_join_the_stream_to_itself():
    model = Forward(
        lambda self, x: self.c((y := self.a(x)) + self.b(y)),
        a=conv(3, 4), b=conv(4, 4), c=conv(4, 2),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"layer 'b' joins a residual stream to itself"):
        graphs.weight_graph(model, residual="merge")


def vision_transformer(layers=2):
    return torchvision.models.VisionTransformer(32, 8, layers, 4, 64, 128, num_classes=10)


def test_a_vision_transformer_has_a_definition():
    walked = graphs.weight_graph(vision_transformer())
    # patches; per block queries, keys and values, output projection, two layers of the MLP
    assert walked.layers == (64, *(192, 64, 128, 64) * 2)
    merged = graphs.weight_graph(vision_transformer(), residual="merge")
    assert merged.layers == (64, *(192, 128) * 2)
    assert set(merged.blocks) == {(0, 1), (0, 2), (0, 3), (0, 4)}


def test_only_values_lead_on_from_attention():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, dropout=0.0)
    graph = graphs.weight_graph(layer)
    assert graph.names == (
        "inputs",
        "self_attn.in_proj",
        "self_attn.out_proj",
        "linear1",
        "linear2",
    )
    assert graph.layers == (8, 24, 8, 16, 8)
    onward = graph.blocks[1, 2]
    assert not onward[:16].any()
    expected = layer.self_attn.out_proj.weight.detach().double().abs().T
    np.testing.assert_allclose(onward[16:], expected)
    by_hand = Forward(_attention_by_hand, inner=layer)
    other = graphs.weight_graph(by_hand, example=(4, 8))
    assert other.layers == graph.layers
    equal(other, graph.blocks)


def _attention_by_hand(self, x):
    """The same layer with packed projections, einsum and matmul."""
    layer, attention = self.inner, self.inner.self_attn
    y = layer.norm1(x)
    packed = F.linear(y, attention.in_proj_weight, attention.in_proj_bias)
    n, t, _ = packed.shape
    q, k, v = packed.view(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
    pattern = torch.einsum("n h i d, n h j d -> n h i j", q, k) / 2.0
    mixed = pattern.softmax(-1) @ v
    x = x + F.linear(mixed.transpose(1, 2).reshape(n, t, 8), attention.out_proj.weight)
    return x + layer.linear2(F.relu(layer.linear1(layer.norm2(x))))


def test_embeddings_are_inputs():
    model = Forward(
        lambda self, ids: self.head(self.words(ids) + self.places(torch.arange(ids.shape[1]))),
        words=nn.Embedding(11, 4), places=nn.Embedding(7, 4), head=nn.Linear(4, 3),
    )  # fmt: skip
    graph = graphs.weight_graph(model, example=torch.zeros(2, 7, dtype=torch.long))
    assert graph.names == ("words", "places", "head")
    equal(graph, {(0, 2): strength(model.head), (1, 2): strength(model.head)})


def test_a_layer_used_twice_has_nodes_for_each_use():
    shared = conv(4, 4)
    model = Forward(lambda self, x: self.b(self.b(self.a(x))), a=conv(3, 4), b=shared)
    graph = graphs.weight_graph(model)
    assert graph.names == ("a", "b", "b #2")


def test_the_model_is_left_as_it_was():
    model = torchvision.models.resnet18(weights=None, num_classes=3)
    model.layer1.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    graphs.weight_graph(model)
    assert [module.training for module in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Lost(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(x.numpy() * 2)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: self.b(torch.fft.fft2(self.a(x)).real), r"'b'.*fft_fft2.*not supported"),
        (lambda self, x: self.b(self.a(x) @ self.a(x)), r"'b'.*product of two computed tensors"),
        (lambda self, x: self.b(self.a(x).cumsum(1)), r"'b'.*cumsum.*pass the weight matrices"),
        (lambda self, x: self.b(Lost.apply(self.a(x))), r"'b'.*cannot be listened to"),
        (lambda self, x: self.b(self.f(self.a(x).mean((2, 3)))[..., None, None]), r"dense=True"),
        (lambda self, x: self.b(self.a(x[:, :5])), r"could not be run.*RuntimeError"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_named(forward, message):
    model = Forward(forward, a=conv(3, 4), b=conv(4, 2), f=nn.Linear(4, 4))
    if "could not" in message:
        model.a = conv(6, 4)
    with pytest.raises(tracing.TracingError, match=message):
        graphs.weight_graph(model)


@pytest.mark.filterwarnings("ignore:`torch.jit.*:DeprecationWarning")
def test_recurrent_scripted_and_huge_networks_say_why(monkeypatch):
    recurrent = Forward(lambda self, x: self.b(self.a(x)[0]), a=nn.LSTM(3, 4), b=nn.Linear(4, 2))
    with pytest.raises(tracing.TracingError, match=r"'b' reads the result of lstm.* in a"):
        graphs.weight_graph(recurrent, example=(5, 3))
    scripted = nn.Sequential(conv(3, 4), torch.jit.trace(conv(4, 4), torch.zeros(1, 4, 5, 5)))
    with pytest.raises(tracing.TracingError, match=r"'1' is compiled by torch.jit"):
        graphs.weight_graph(scripted)
    monkeypatch.setattr(assembly, "MAX_EDGES", 1000)
    with pytest.raises(tracing.TracingError, match=r"places for edges.*residual='merge'"):
        graphs.weight_graph(vision_transformer(1))


@pytest.mark.parametrize("option", ["residual", "depthwise", "kernel_norm"])
def test_unknown_options(option):
    with pytest.raises(ValueError, match=f"{option} is "):
        graphs.weight_graph(nn.Sequential(conv(3, 4), conv(4, 4, groups=2)), **{option: "other"})
