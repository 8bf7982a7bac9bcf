"""Idioms and short cuts of real code have the graph of the plain module that computes the same."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from modgraph_lib import graphs


class Net(nn.Module):
    """Named parts and a forward pass given as a function of itself and the inputs."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.call = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.call(self, *args, **kwargs)


def linear(*sizes, seed=0):
    torch.manual_seed(seed)
    names = "abcdef"
    pairs = zip(names, sizes[:-1], sizes[1:], strict=False)
    return {name: nn.Linear(i, o) for name, i, o in pairs}


def named(model, **options):
    graph = graphs.weight_graph(model, **options)
    return {(graph.names[i], graph.names[j]): block for (i, j), block in graph.blocks.items()}


def weight(layer):
    return layer.weight.detach().abs().double().numpy().T


def same(one, two, **options):
    one, two = named(one, **options), named(two, **options)
    assert one.keys() == two.keys()
    for pair, block in one.items():
        np.testing.assert_allclose(block, two[pair], rtol=1e-6, err_msg=str(pair))


GAMMA = torch.tensor([0.5, 1.0, 1.5, 2.0, -0.7, 3.0])


def rms(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def by_moments(x):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(var + 1e-5)


def by_scale_and_shift(x):
    var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
    scale = GAMMA * torch.rsqrt(var + 1e-5)
    return x * scale - mean * scale


NORMS = {
    "rms": (lambda x: GAMMA * rms(x), F.rms_norm),
    "rms of lengths": (lambda x: F.normalize(x, dim=-1) * math.sqrt(6) * GAMMA, F.rms_norm),
    "layer norm": (lambda x: GAMMA * by_moments(x) + 0.3, F.layer_norm),
    "layer norm from sums": (
        lambda x: GAMMA * (c := x - x.sum(-1, True) / 6) / (c.square().sum(-1, True) / 6).sqrt(),
        F.layer_norm,
    ),
    "scale and shift": (by_scale_and_shift, F.layer_norm),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_by_hand_is_the_norm_by_module(name):
    by_hand, module = NORMS[name]
    one = Net(lambda s, x: s.b(by_hand(s.a(x))), **linear(4, 6, 3))
    two = Net(lambda s, x: s.b(module(s.a(x), (6,), GAMMA)), **linear(4, 6, 3))
    same(one, two)


def test_instance_norm_by_hand():
    def by_hand(s, x):
        y = s.a(x)
        y = (y - y.mean((2, 3), keepdim=True)) / (y.std((2, 3), keepdim=True) + 1e-5)
        return s.b(y * GAMMA[:4, None, None])

    parts = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 5, 1)}
    one = Net(by_hand, **parts)
    two = Net(lambda s, x: s.b(F.instance_norm(s.a(x), weight=GAMMA[:4])), **parts)
    same(one, two, example=(3, 8, 8))


def test_a_response_norm_of_sums_keeps_its_scale():
    def forward(s, x):  # ConvNeXt v2
        y = s.a(x)
        length = y.norm(2, (2, 3), keepdim=True)
        return s.b(GAMMA[:4, None, None] * (y * (length / length.mean(1, keepdim=True))) + y)

    model = Net(forward, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 5, 1))
    expected = (1 + GAMMA[:4].double().numpy())[:, None] * weight(model.b)[0, 0]
    np.testing.assert_allclose(named(model, example=(3, 8, 8))["a", "b"], expected, rtol=1e-6)


ACTIVATIONS = {
    "gelu of GPT-2": lambda x: 0.5 * x * (1 + torch.tanh(0.79788 * (x + 0.044715 * x**3))),
    "gelu by erf": lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2))),
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "hard swish": lambda x: x * F.relu6(x + 3) / 6,
    "leaky": lambda x: torch.maximum(x, 0.1 * x),
    "leaky from two": lambda x: F.relu(x) - 0.1 * F.relu(-x),
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - 1),
    "mish": lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))),
    "mask": lambda x: x * (x > 0),
    "straight through": lambda x: x + (x.round() - x).detach(),
    "clamp": lambda x: x.clamp_min(0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_by_hand_keeps_the_edges(name):
    model = Net(lambda s, x: s.b(ACTIVATIONS[name](s.a(x))), **linear(4, 6, 3))
    np.testing.assert_allclose(named(model)["a", "b"], weight(model.b))


SUMS = {  # factor of y, factor of f
    "number": (lambda s, y, f: y + 0.1 * f, 1, 0.1),
    "parameter": (lambda s, y, f: y + s.z * f, 1, 0.1),
    "alpha": (lambda s, y, f: torch.add(y, f, alpha=0.1), 1, 0.1),
    "per channel": (lambda s, y, f: y + torch.full((5,), 0.1) * f, 1, 0.1),
    "division": (lambda s, y, f: (y - f / 2) / 2, 0.5, 0.25),
    "lerp": (lambda s, y, f: torch.lerp(y, f, 0.25), 0.75, 0.25),
    "addcmul": (lambda s, y, f: torch.addcmul(y, f, torch.full((5,), 0.5), value=0.5), 1, 0.25),
    "stack and sum": (lambda s, y, f: torch.stack([y, f]).sum(0), 1, 1),
    "stack and mean": (lambda s, y, f: torch.stack([y, f, y]).mean(0), 2 / 3, 1 / 3),
    "in place": (lambda s, y, f: y.clone().add_(f, alpha=3), 1, 3),
    "twice": (lambda s, y, f: y + f + y, 2, 1),
}


@pytest.mark.parametrize("name", SUMS)
def test_scalars_on_branches_count(name):
    how, first, second = SUMS[name]

    def forward(s, x):
        y = F.relu(s.a(x))
        return s.c(how(s, y, s.b(y)))

    model = Net(forward, z=nn.Parameter(torch.tensor(0.1)), **linear(4, 5, 5, 3))
    blocks = named(model)
    np.testing.assert_allclose(blocks["a", "c"], first * weight(model.c), rtol=1e-6)
    np.testing.assert_allclose(blocks["b", "c"], second * weight(model.c), rtol=1e-6)


def einsum_linear(q, k, v):
    return torch.einsum("ntd,nde->nte", q, torch.einsum("nsd,nse->nde", k, v))


ATTENTIONS = {
    "softmax": lambda q, k, v: torch.softmax(q @ k.mT / 2, -1) @ v,
    "linear": lambda q, k, v: F.relu(q) @ (F.relu(k).mT @ v),
    "quadratic": lambda q, k, v: (F.relu(q) @ F.relu(k).mT) @ v,
    "einsum": einsum_linear,
    "bmm": lambda q, k, v: torch.bmm(torch.bmm(q, k.mT), v),
    "baddbmm": lambda q, k, v: torch.baddbmm(q[:1, :1, :1] * 0, q, k.mT, beta=0).softmax(-1) @ v,
    "fused": F.scaled_dot_product_attention,
    "normalised": lambda q, k, v: (F.relu(q) @ (F.relu(k).mT @ v))
    / (F.relu(q) @ F.relu(k).sum(1, keepdim=True).mT + 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_values_go_on_from_any_attention(name):
    torch.manual_seed(0)
    parts = {name: nn.Linear(6, 4) for name in "qkv"} | {"o": nn.Linear(4, 3)}
    model = Net(lambda s, x: s.o(ATTENTIONS[name](s.q(x), s.k(x), s.v(x))), **parts)
    blocks = named(model, example=(7, 6))
    assert blocks.keys() == {("inputs", "q"), ("inputs", "k"), ("inputs", "v"), ("v", "o")}
    np.testing.assert_array_equal(blocks["v", "o"], weight(model.o))


def test_grouped_queries_share_the_values():
    def forward(s, x):
        q, k, v = ((f(x).unflatten(-1, (-1, 2)).transpose(1, 2)) for f in (s.q, s.k, s.v))
        y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return s.o(y.transpose(1, 2).flatten(2))

    sizes = {"q": (8, 8), "k": (8, 4), "v": (8, 4), "o": (8, 8)}
    model = Net(forward, **{name: nn.Linear(*size) for name, size in sizes.items()})
    expected = weight(model.o).reshape(2, 2, 2, 8).sum(1).reshape(4, 8)
    np.testing.assert_allclose(named(model, example=(5, 8))["v", "o"], expected)


def test_addmm_and_a_tied_table_are_layers():
    def forward(s, ids):
        y = torch.addmm(s.bias, F.relu(s.table(ids)).view(-1, 4), s.square)
        return s.head(y.view(*ids.shape, 4))

    square, bias = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.zeros(4))
    table, head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
    model = Net(forward, table=table, head=head, square=square, bias=bias)
    model.head.weight = model.table.weight
    blocks = named(model, example={"ids": torch.arange(6).reshape(2, 3)})
    assert blocks.keys() == {("table", "square"), ("square", "head")}
    np.testing.assert_allclose(blocks["square", "head"], weight(model.head))


class Skip(nn.Sequential):
    def forward(self, x):
        return self[2](self[1](self[0](x)) + x)


def test_a_sequence_is_read_off_only_where_it_is_plain():
    skip = Skip(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    assert named(skip).keys() == {("inputs", "0"), ("inputs", "2"), ("0", "2")}
    shared = nn.Linear(4, 4)
    assert graphs.weight_graph(nn.Sequential(shared, nn.ReLU(), shared)).names == (
        "inputs", "0", "0 #2")  # fmt: skip
    hooked = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    hooked[0].register_forward_hook(lambda module, args, output: output + args[0])
    assert ("inputs", "1") in named(hooked)


@pytest.mark.parametrize("how", ["pruned", "weight norm", "parametrised"])
def test_weights_that_hooks_compute_are_those_of_now(how):
    def made(seed):
        torch.manual_seed(seed)
        layer = nn.Linear(4, 4)
        if how == "pruned":
            prune.l1_unstructured(layer, "weight", 0.5)
        elif how == "parametrised":
            nn.utils.parametrizations.weight_norm(layer)
        else:
            with pytest.warns(FutureWarning):
                nn.utils.weight_norm(layer)
        return nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 2))

    model, trained = made(0), made(1)
    before = model[0].weight.detach().clone()
    model.load_state_dict(trained.state_dict())
    graph = graphs.weight_graph(model)
    if how != "parametrised":  # the stale attribute is left alone
        assert torch.equal(model[0].weight, before)
    trained(torch.zeros(1, 4))
    np.testing.assert_allclose(graph.blocks[0, 1], weight(trained[0]), rtol=1e-6)


def test_inputs_that_are_whole_numbers_lose_no_layer():
    ids = torch.tensor([1, 3])
    both = Net(
        lambda s, i, x: s.c(torch.cat([F.relu(s.a(F.one_hot(i, 10).float())), s.b(x)], 1)),
        a=nn.Linear(10, 5), b=nn.Linear(3, 6), c=nn.Linear(11, 2),
    )  # fmt: skip
    blocks = named(both, example=[ids, torch.randn(2, 3)])
    np.testing.assert_array_equal(blocks["a", "c"], weight(both.c)[:5])
    np.testing.assert_array_equal(blocks["b", "c"], weight(both.c)[5:])
    bags = nn.Sequential(nn.EmbeddingBag(9, 4), nn.ReLU(), nn.Linear(4, 2))
    assert named(bags, example=torch.tensor([[1, 2], [3, 4]])).keys() == {("0", "2")}
    bytes_ = Net(lambda s, x: s.b(s.a(x.float())), **linear(4, 6, 3))
    graph = graphs.weight_graph(bytes_, example=torch.ones(2, 4, dtype=torch.uint8))
    assert graph.layers == (4, 6, 3)


def test_complex_weights_count_by_their_size():
    given = [torch.tensor([[3 + 4j, 1j]]), torch.tensor([[1j]])]
    assert graphs.weight_graph(given).blocks[0, 1].ravel().tolist() == [5.0, 1.0]
    model = nn.Sequential(*(nn.Linear(2, 2, dtype=torch.complex64) for _ in range(2)))
    np.testing.assert_allclose(graphs.weight_graph(model).blocks[0, 1], weight(model[0]), rtol=1e-6)
    same(Net(lambda s, x: s.m(x), m=model), Net(lambda s, x: s.m[1](s.m[0](x)), m=model))


@pytest.mark.parametrize("residual", ["walk", "merge"])
def test_layers_do_not_depend_on_the_values_of_gamma(residual):
    """Post-norm: untrained gammas of one must not merge what trained ones keep apart."""

    def made(trained):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0)
        model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.LayerNorm) and trained:
                    module.weight.uniform_(0.5, 2)
        return graphs.weight_graph(model, residual=residual, example=(5, 8))

    one, two = made(False), made(True)
    assert one.names == two.names and one.layers == two.layers
    assert one.blocks.keys() == two.blocks.keys()


def test_inputs_by_name_in_lists_and_as_arrays():
    model = Net(lambda s, x, mask=None: s.b(s.a(x)), **linear(3, 4, 2))
    nested = Net(lambda s, xs: s.b(s.a(xs["x"][0])), **linear(3, 4, 2))
    x = torch.randn(2, 3)
    for net, example in (
        (model, {"x": x}), (model, {"x": x, "mask": None}), (model, x.numpy()), (model, [x, None]),
        (nested, {"x": [x]}), (nested, [{"x": [x]}]), (model, (3,)), (model, torch.Size([3])),
    ):  # fmt: skip
        assert graphs.weight_graph(net, example=example).layers == (3, 4, 2)
    for bad in ("abc", {"a": 1}, [None], 3.5):
        with pytest.raises(graphs.tracing.TracingError, match="example= takes the shape of one"):
            graphs.weight_graph(model, example=bad)


def never(*args):
    raise AssertionError("Dynamo was asked to compile")


@pytest.mark.filterwarnings("ignore:`torch.jit.*:DeprecationWarning")
def test_compiled_modules_are_their_originals():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    parts = {"inner": inner, "a": nn.Linear(4, 6), "b": nn.Linear(6, 3)}
    plain = Net(lambda s, x: s.b(s.inner(s.a(x))), **parts)
    expected = named(plain, example=(4,))
    plain.inner = torch.compile(inner, backend=never)
    part = named(plain, example=(4,))
    whole = named(torch.compile(plain, backend=never), example=(4,))
    inner.compile(backend=never)
    for found in (part, whole, named(plain, example=(4,))):
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[pair], block) for pair, block in expected.items())


def test_layers_are_chosen_and_left_out_by_name():
    model = Net(lambda s, x: s.c((y := F.relu(s.a(x))) + s.b(y)), **linear(4, 5, 5, 3))
    assert named(model, leave_out=["b"]).keys() == {("inputs", "a"), ("a", "c")}
    assert named(model, layers=["[bc]"]).keys() == {("b", "c")}
    inner = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    nested = nn.Sequential(inner, nn.Linear(5, 5), nn.Linear(5, 2))
    assert named(nested, leave_out=["0", "inputs"]).keys() == {("1", "2")}
    with pytest.raises(ValueError, match=r"no layer 'cc'; did you mean 'c'"):
        graphs.weight_graph(model, leave_out=["cc"])
    with pytest.raises(ValueError, match="layers takes a list"):
        graphs.weight_graph(model, layers="a")
    lost = Net(lambda s, x: (s.b(s.a(x)), s.c(s.a(x).sort(1)[0])), **linear(4, 5, 5, 3))
    with pytest.raises(ValueError, match=r"leave_out=\['c'\]"):
        graphs.weight_graph(lost)
    assert ("a", "b") in named(lost, leave_out=["c"])


def test_nothing_of_the_model_or_the_world_changes():
    model = Net(lambda s, x: s.b(F.dropout(s.n(s.a(x)), 0.5, s.training)) + torch.rand(3),
                n=nn.BatchNorm1d(6), **linear(4, 6, 3))  # fmt: skip
    model.b.weight.grad = torch.ones_like(model.b.weight)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    graphs.weight_graph(model)
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.a.weight.grad is None and model.b.weight.grad.eq(1).all()
    assert model.training and model.n.training and torch.is_grad_enabled()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_tensors_that_hold_no_plain_numbers():
    with pytest.raises(ValueError, match="meta device"):
        graphs.weight_graph([torch.ones(2, 2, device="meta")])
    meta = Net(lambda s, x: s.a(x), a=nn.Linear(2, 2, device="meta"))
    for model in (meta, nn.Sequential(nn.Linear(2, 2, device="meta"))):
        with pytest.raises(ValueError, match="meta device"):
            graphs.weight_graph(model)
    dense = torch.tensor([[0.5, 0.0], [0.0, 1.0]])
    codes = torch.quantize_per_tensor(dense, 0.25, 0, torch.qint8)
    for given in (dense.to_sparse(), codes, dense.to(torch.bfloat16), np.float16(dense.numpy())):
        assert graphs.weight_graph([given]).blocks[0, 1].tolist() == dense.T.tolist()
    whole = graphs.weight_graph([np.array([[1, 0], [2, 3]])])
    assert whole.blocks[0, 1].tolist() == [[1, 2], [0, 3]]
    assert graphs.weight_graph([np.array([[True, False]])]).blocks[0, 1].tolist() == [[1], [0]]
