"""The graph of a transformer: edges by hand, by autograd, and what a rotation does to them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from torch import nn

from modgraph_lib import graphs

WIDTH, HEADS, UNITS = 8, 2, 5


def encoder(*, norm_first: bool, layers: int = 2, seed: int = 0) -> nn.TransformerEncoder:
    """A small encoder with gains that are not one."""
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, UNITS, dropout=0.0, norm_first=norm_first, batch_first=True
    )
    model = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.3, 2)
    return model


def frozen_norm(norm: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    """A LayerNorm whose division by the stream's size is a constant."""
    centred = x - x.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt().detach()
    return centred / scale * norm.weight + norm.bias


def seen_by(layer, norm, x: torch.Tensor, kind: str) -> dict[str, torch.Tensor]:
    """What the parts of a layer read in x, a head by the linear maps of its two circuits.

    ``norm`` is the one before the layer: the other side of query and key sees through it, too.
    """

    def centred(seen: torch.Tensor) -> torch.Tensor:
        return seen - seen.mean()

    if kind == "mlp":
        return {f"unit{i}": value[None] for i, value in enumerate(layer.linear1(x))}
    queries, keys, values = layer.self_attn.in_proj_weight.chunk(3)
    size, found = WIDTH // HEADS, {}
    for head in range(HEADS):
        rows = slice(head * size, (head + 1) * size)
        key_side, query_side = keys[rows] @ x, queries[rows] @ x
        found[f"head{head} query"] = centred(norm.weight * (keys[rows].T @ query_side))
        found[f"head{head} key"] = centred(norm.weight * (queries[rows].T @ key_side))
        # what is moved, as far as a later norm lets it through
        moved = layer.self_attn.out_proj.weight[:, rows] @ (values[rows] @ x)
        found[f"head{head} value"] = centred(moved)
    return found


def path_jacobian(model, writer: int, unit: int, reader: int, kind: str) -> dict[str, np.ndarray]:
    """What each component of a part reads of one unit's output: autograd, nothing else moves.

    Parts are numbered attention 0, MLP 0, attention 1, ...; the writer is an MLP.
    """
    torch.manual_seed(1)
    start = torch.randn(WIDTH).double()
    post = not model.layers[0].norm_first

    def read(activation: torch.Tensor) -> dict[str, torch.Tensor]:
        x, place, last = start, 0, None
        for layer in model.layers:
            for norm in (layer.norm1, layer.norm2):
                if place == reader:
                    return (
                        seen_by(layer, last, x, kind)
                        if post
                        else seen_by(layer, norm, frozen_norm(norm, x), kind)
                    )
                if place == writer:
                    x = x + layer.linear2.weight[:, unit] * activation
                x, last = frozen_norm(norm, x) if post else x, norm
                place += 1
        raise AssertionError

    zero = torch.zeros((), dtype=torch.double)
    names = list(read(zero))
    return {
        name: torch.autograd.functional.jacobian(lambda a, n=name: read(a)[n], zero).numpy()
        for name in names
    }


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize(("reader", "kind"), [(3, "mlp"), (2, "attention"), (5, "mlp")])
def test_edges_are_the_jacobian_of_the_linear_path(norm_first, reader, kind):
    model = encoder(norm_first=norm_first, layers=3)
    graph = graphs.virtual_weights(model)
    block = graph.blocks[1, reader]  # from the units of the first MLP
    strength = np.zeros(block.shape)
    for unit in range(UNITS):
        for name, jacobian in path_jacobian(model, 1, unit, reader, kind).items():
            to = int(name.removeprefix("unit").removeprefix("head").split()[0])
            strength[unit, to] += np.square(jacobian).sum() / (
                reading_norms(model, reader, kind)[name] ** 2
            )
    strength = np.sqrt(strength / (3 if kind == "attention" else 1))
    # The size of a write on arrival is one number a unit (and scale); the rest must agree.
    ratio = strength / block
    assert ratio == pytest.approx(np.repeat(ratio[:, :1], block.shape[1], 1), rel=1e-9)
    if norm_first:
        out = model.layers[0].linear2.weight.detach().numpy()
        arrived = np.linalg.norm(out - out.mean(0), axis=0)
        assert ratio[:, 0] / arrived == pytest.approx(ratio[0, 0] / arrived[0], rel=1e-9)


def reading_norms(model, reader: int, kind: str) -> dict[str, float]:
    """Norm of what each component reads with, by the Jacobian with respect to the stream."""
    layer = model.layers[reader // 2]
    post = not layer.norm_first
    norms = [norm for one in model.layers for norm in (one.norm1, one.norm2)]
    norm = norms[reader - 1] if post else norms[reader]

    def read(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean()
        return seen_by(layer, norm, centred * norm.weight, kind)[name]

    zero = torch.zeros(WIDTH, dtype=torch.double)
    return {
        name: float(
            torch.linalg.norm(
                torch.autograd.functional.jacobian(lambda x, n=name: read(x, n), zero)
            )
        )
        for name in seen_by(layer, norm, zero, kind)
    }


def random_parts(rng: np.random.Generator, *, carries: bool) -> list[graphs.StreamPart]:
    """MLP, heads and a gated MLP on a stream of WIDTH dimensions."""

    def carry():
        return rng.normal(size=(WIDTH, WIDTH)) if carries else None

    def heads():
        return rng.normal(size=(HEADS, 4, WIDTH))

    attention = graphs.attention_part(
        "heads", query=heads(), key=heads(), value=heads(), output=heads().mT, carry=carry()
    )
    plain = graphs.mlp_part("plain", [rng.normal(size=(6, WIDTH))], rng.normal(size=(WIDTH, 6)))
    two = [rng.normal(size=(6, WIDTH)) for _ in range(2)]
    gated = graphs.mlp_part("gated", two, rng.normal(size=(WIDTH, 6)), carry=carry())
    return [plain, attention, gated]


def turned(part: graphs.StreamPart, rotation: np.ndarray) -> graphs.StreamPart:
    carry = None if part.carry is None else rotation @ part.carry @ rotation.T
    reads = tuple(rotation @ read for read in part.reads)
    return graphs.StreamPart(part.name, reads, rotation @ part.writes, carry)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), carries=st.booleans())
def test_turning_the_stream_changes_no_edge(seed, carries):
    rng = np.random.default_rng(seed)
    parts = random_parts(rng, carries=carries)
    rotation = ortho_group.rvs(WIDTH, random_state=rng)
    before = graphs.virtual_weights(parts)
    after = graphs.virtual_weights([turned(part, rotation) for part in parts])
    for pair, block in before.blocks.items():
        np.testing.assert_allclose(after.blocks[pair], block, atol=1e-10)
        assert block.max() <= 1 + 1e-12


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_basis_inside_a_head_and_sizes_change_no_edge(seed):
    rng = np.random.default_rng(seed)
    query, key, value = (rng.normal(size=(HEADS, 4, WIDTH)) for _ in range(3))
    output = rng.normal(size=(HEADS, WIDTH, 4))
    inner, other = (rng.normal(size=(4, 4)) + 3 * np.eye(4) for _ in range(2))
    units = graphs.mlp_part("units", [rng.normal(size=(6, WIDTH))], rng.normal(size=(WIDTH, 6)))
    one = graphs.attention_part("heads", query=query, key=key, value=value, output=output)
    two = graphs.attention_part(
        "heads",
        query=7 * inner @ query,
        key=np.linalg.inv(inner).T @ key,
        value=other @ value,
        output=output @ np.linalg.inv(other) / 5,
    )
    for first, second in (([units, one], [units, two]), ([one, units], [two, units])):
        before, after = (graphs.virtual_weights(parts).blocks[0, 1] for parts in (first, second))
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_two_writers_two_readers_by_hand():
    write = graphs.mlp_part("write", [np.eye(2)], np.array([[3.0, 0], [0, 2]]))
    read = graphs.mlp_part("read", [np.array([[1.0, 1], [0, 5]])], np.eye(2))
    block = graphs.virtual_weights([write, read]).blocks[0, 1]
    half = 0.5**0.5
    np.testing.assert_allclose(block, [[half, 0], [half, 1]], atol=1e-12)


def test_a_layer_norm_hides_the_mean():
    """What is written along the mean reaches nobody: adding it changes nothing."""
    model = encoder(norm_first=True)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.layers[0].linear2.weight += torch.linspace(-3, 3, UNITS).double()
        other.layers[0].self_attn.out_proj.weight += 2.0
    for pair, block in graphs.virtual_weights(model).blocks.items():
        np.testing.assert_allclose(graphs.virtual_weights(other).blocks[pair], block, atol=1e-10)


def test_a_rotation_keeps_each_parts_own_geometry_and_depends_on_its_seed_alone():
    parts = random_parts(np.random.default_rng(0), carries=False)
    one, two = graphs.virtual_rotations(parts, seeds=[3, [4, 1]])
    (again,) = graphs.virtual_rotations(parts, seeds=[[4, 1]])
    assert np.array_equal(two.blocks[0, 2], again.blocks[0, 2])
    assert not np.allclose(one.blocks[0, 2], two.blocks[0, 2])
    # readers of full rank see all of a write between them, wherever it points
    eye = graphs.mlp_part("all", [np.eye(WIDTH)], np.eye(WIDTH))
    (graph,) = graphs.virtual_rotations([parts[0], eye], seeds=[0])
    np.testing.assert_allclose(np.square(graph.blocks[0, 1]).sum(1), 1)


def test_rotations_of_random_weights_are_as_random():
    """An untrained network is a draw from its null: mean squared edges are 1 / d in both."""
    rng = np.random.default_rng(0)
    parts = [
        graphs.mlp_part(str(i), [rng.normal(size=(400, 16))], rng.normal(size=(16, 400)))
        for i in range(2)
    ]
    (null,) = graphs.virtual_rotations(parts, seeds=[0])
    for graph in (graphs.virtual_weights(parts), null):
        assert np.square(graph.blocks[0, 1]).mean() == pytest.approx(1 / 16, rel=0.05)


def test_units_without_weights_are_isolated():
    model = encoder(norm_first=True)
    with torch.no_grad():
        model.layers[0].linear2.weight[:, 2] = 0
        model.layers[0].linear1.weight[2] = 0
    assert graphs.virtual_weights(model).degrees()[HEADS + 2] == 0


@pytest.mark.parametrize(
    ("error", "words", "given"),
    [
        (TypeError, "StreamPart", 3),
        (TypeError, "StreamPart", [np.eye(2)]),
        (ValueError, "two parts or more", []),
        (ValueError, "no transformer block", nn.Linear(2, 2)),
        (
            ValueError,
            "several stacks",
            nn.ModuleList([encoder(norm_first=True), encoder(norm_first=True)]),
        ),
    ],
)
def test_what_is_no_transformer_is_refused(error, words, given):
    with pytest.raises(error, match=words):
        graphs.virtual_weights(given)


def test_a_block_with_weights_left_over_is_refused():
    model = encoder(norm_first=True)
    model.layers[1].adapter = nn.Linear(WIDTH, WIDTH)
    with pytest.raises(ValueError, match=r"adapter\.weight"):
        graphs.virtual_weights(model)
    model = encoder(norm_first=True)
    model.layers[1].norm1 = nn.GroupNorm(2, WIDTH)
    with pytest.raises(ValueError, match="neither a LayerNorm"):
        graphs.virtual_weights(model)


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("NaN", lambda: graphs.mlp_part("m", [np.full((3, 2), np.nan)], np.eye(2, 3))),
        ("same components", lambda: graphs.mlp_part("m", [np.eye(4, 2)], np.eye(2, 3))),
        ("2 axes", lambda: graphs.mlp_part("m", [np.zeros(3)], np.eye(2, 3))),
        ("carry is square", lambda: graphs.mlp_part("m", [np.eye(3)], np.eye(3), carry=np.eye(2))),
        (
            "heads, size",
            lambda: graphs.attention_part(
                "a",
                query=np.zeros((1, 2, 4)),
                key=np.zeros((1, 2, 4)),
                value=np.zeros((1, 2, 4)),
                output=np.zeros((1, 2, 4)),
            ),
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(words, make):
    with pytest.raises(ValueError, match=words):
        make()
