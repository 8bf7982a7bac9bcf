import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from book.papers.clusterability.s05_promoting import closed_form
from modgraph_lib import clustering, graphs, models, promoting, toys
from modgraph_lib.training import TrainConfig, loop
from modgraph_lib.training.state import State

SIZES = st.lists(st.integers(3, 7), min_size=3, max_size=5)


def kernels(layers, seed, sparsity=0.0):
    """Random kernels in double precision; some weights are exactly zero."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for before, after in zip(layers[:-1], layers[1:], strict=True):
        weight = torch.randn(after, before, generator=generator, dtype=torch.float64)
        weight[torch.rand(weight.shape, generator=generator) < sparsity] = 0.0
        found.append(weight.requires_grad_())
    return found


def dense_eigenvalues(weights):
    """Eigenvalues of L_sym of the whole graph, units without an edge left out."""
    graph = graphs.weight_graph([w.detach() for w in weights]).without_isolated()[0]
    adjacency = graph.adjacency().toarray()
    root = adjacency.sum(1) ** -0.5
    return np.linalg.eigvalsh(np.eye(len(root)) - adjacency * root[:, None] * root)


def large_enough(layers):
    return min(sum(layers[0::2]), sum(layers[1::2])) > 3


@settings(max_examples=40, deadline=None)
@given(SIZES.filter(large_enough), st.integers(0, 99), st.sampled_from([0.0, 0.3]))
def test_eigenvalues_are_those_of_the_dense_laplacian(layers, seed, sparsity):
    weights = kernels(layers, seed, sparsity)
    dense = dense_eigenvalues(weights)
    # beyond the bipartite half the block has singular value zero, an eigenvalue at one
    expected = np.minimum(dense[1:4], 1.0)
    found = promoting.eigenvalues(weights).values
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_gradient_is_that_of_autograd_and_of_finite_differences():
    weights = kernels((9, 7, 6, 5), 0)
    found = promoting.eigenvalues(weights).gradients
    assert torch.autograd.gradcheck(lambda *w: promoting.eigenvalue_sum(w), tuple(weights))
    plain = [w.detach().numpy() for w in weights]
    numerical = [
        sum(parts)
        for parts in zip(*(closed_form.differences(plain, which=i) for i in (2, 3, 4)), strict=True)
    ]
    assert closed_form.distance([g.numpy() for g in found], numerical) < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_needs_a_half_where_the_paper_prints_a_quarter(seed):
    weights = closed_form.example(seed)
    numerical = closed_form.differences(weights)
    assert closed_form.distance(closed_form.gradient(weights), numerical) < 1e-6
    assert closed_form.distance(closed_form.gradient(weights, factor=0.25), numerical) > 0.1


def test_stacks_are_their_members_and_float32_is_close():
    members = [kernels((8, 6, 7, 5), seed) for seed in range(3)]
    stacked = [torch.stack(parts).detach() for parts in zip(*members, strict=True)]
    together = promoting.eigenvalues(stacked)
    single = promoting.eigenvalues([w.float() for w in stacked])
    for place, member in enumerate(members):
        alone = promoting.eigenvalues(member)
        torch.testing.assert_close(together.values[place], alone.values)
        for both, one in zip(together.gradients, alone.gradients, strict=True):
            torch.testing.assert_close(both[place], one)
    torch.testing.assert_close(single.values, together.values.float(), atol=1e-5, rtol=0)
    for low, high in zip(single.gradients, together.gradients, strict=True):
        torch.testing.assert_close(low, high.float(), atol=1e-3, rtol=0)


def test_eigenvalues_tracked_from_step_to_step_are_the_exact_ones():
    weights = [w.detach().float() for w in kernels((20, 18, 16, 12), 0)]
    generator = torch.Generator().manual_seed(1)
    basis = None
    for _ in range(30):
        found = promoting.eigenvalues(weights, start=basis)
        basis = found.basis
        exact = promoting.eigenvalues([w.double() for w in weights])
        torch.testing.assert_close(found.values.double(), exact.values, atol=1e-5, rtol=0)
        for near, right in zip(found.gradients, exact.gradients, strict=True):
            torch.testing.assert_close(near.double(), right, atol=2e-3, rtol=0)
        for w in weights:
            w += 0.01 * torch.randn(w.shape, generator=generator)


def test_what_cannot_be_tracked_is_decomposed():
    one, other = ([w.detach() for w in kernels((9, 8, 8, 7), seed)] for seed in (0, 1))
    start = promoting.eigenvalues(one).basis
    jumped = promoting.eigenvalues(other, start=start)
    torch.testing.assert_close(
        jumped.values, promoting.eigenvalues(other).values, atol=1e-7, rtol=0
    )


def test_a_network_in_pieces_has_zero_eigenvalues_without_slope():
    weights, strand = toys.strands(4, (8, 8, 8, 4), leak=0.0, seed=0)
    found = promoting.eigenvalues([torch.from_numpy(w) for w in weights])
    assert found.values.abs().max() < 1e-9
    assert all(part.abs().max() < 1e-9 for part in found.gradients)
    leaking, _ = toys.strands(4, (8, 8, 8, 4), leak=0.3, seed=0)
    total = promoting.eigenvalues([torch.from_numpy(w) for w in leaking]).values.sum()
    assert total <= clustering.ncut(graphs.weight_graph(leaking), strand)


def test_coinciding_eigenvalues_have_the_slope_of_their_sum():
    # Four equal strands: the leak lifts three eigenvalues together.
    block = torch.kron(torch.eye(4), torch.ones(3, 3)).double() + 0.1
    found = promoting.eigenvalues([block, block])
    values = found.values
    torch.testing.assert_close(values, values[:1].expand(3))
    direction = torch.ones_like(block) - torch.kron(torch.eye(4), torch.ones(3, 3))
    step = 1e-6
    ends = [
        promoting.eigenvalues([block + sign * step * direction, block]).values.sum()
        for sign in (1, -1)
    ]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert (found.gradients[0] * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5)


def test_what_cannot_be_an_eigenvalue_problem_is_refused():
    with pytest.raises(ValueError, match="too small"):
        promoting.eigenvalues([torch.rand(3, 5), torch.rand(4, 3)])
    with pytest.raises(ValueError, match="kernel 1 takes 6 inputs"):
        promoting.eigenvalues([torch.rand(5, 5), torch.rand(4, 6)])
    with pytest.raises(ValueError, match="at least 2 kernels"):
        promoting.eigenvalues([torch.rand(5, 5)])
    broken = [torch.full((6, 6), torch.nan), torch.rand(6, 6)]
    with pytest.raises(FloatingPointError, match="not finite"):
        promoting.eigenvalues(broken)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 8), min_size=2, max_size=5),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.booleans(),
)
def test_normalised_units_compute_the_same_function(layers, seed, sparsity, bias):
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for before, after in zip(layers[:-1], layers[1:], strict=True):
        parts += [nn.Linear(before, after, bias=bias).double(), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            draw[torch.rand(draw.shape, generator=generator) < sparsity] = 0.0
            parameter.copy_(draw)
    images = torch.randn(20, layers[0], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        before = model(images)
        after = promoting.normalise_units(model)(images)
        again = copy.deepcopy(model)
        promoting.normalise_units(again)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-11)
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, two)
    for layer in [part for part in model if isinstance(part, nn.Linear)][:-1]:
        incoming = layer.weight if not bias else torch.cat([layer.weight, layer.bias[:, None]], 1)
        norms = incoming.norm(dim=1)
        assert ((norms - 2**0.5).abs() < 1e-9).logical_or(norms == 0).all()


def test_networks_through_which_a_factor_does_not_pass_are_refused():
    with pytest.raises(TypeError, match="layer 1 is a Tanh"):
        promoting.normalise_units(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)))
    with pytest.raises(TypeError, match="Linear"):
        promoting.normalise_units(nn.Linear(2, 2))


@pytest.mark.parametrize("beta", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("tags", [2, 10])
def test_the_expected_factor_is_one(tags, beta):
    every = np.arange(tags)
    factors = promoting.tag_factors(every, every, tags=tags, beta=beta)
    assert factors.mean() == pytest.approx(1)
    assert factors[0, 0] == pytest.approx(1 + (1 - beta) * (tags - 1))
    assert factors[0, 1] == beta


def test_which_kernels_a_clusterable_start_scales():
    plain = models.mlp(12, 4, widths=(9, 8, 7), seed=3)

    def scaled(**options):
        model = copy.deepcopy(plain)
        promoting.clusterable_initialisation(model, tags=3, beta=0.5, seed=3, **options)
        return [
            sorted({round(x, 4) for x in (new / old).flatten().tolist()})
            for new, old in zip(models.kernels(model), models.kernels(plain), strict=True)
        ]

    assert scaled() == [[1.0], [0.5, 2.0], [0.5, 2.0], [1.0]]
    assert scaled(outputs=True) == [[1.0], [0.5, 2.0], [0.5, 2.0], [0.5, 2.0]]


def test_class_j_carries_tag_j():
    model = models.mlp(5, 3, widths=(30,), seed=0)
    before = model[-1].weight.detach().clone()
    promoting.clusterable_initialisation(model, tags=3, beta=0.5, seed=0, outputs=True)
    strong = (model[-1].weight / before).detach() > 1
    # every hidden unit has one tag, so one class it is strongly joined to
    assert (strong.sum(0) == 1).all()


def test_channels_of_a_cnn_are_tagged_and_dense_layers_are_not():
    plain = models.small_cnn((1, 8, 8), 10, channels=12, dense=6, seed=0)
    model = copy.deepcopy(plain)
    promoting.clusterable_initialisation(model, tags=4, beta=0.8, seed=0, outputs=True)
    ratios = [
        (new / old).detach()
        for new, old in zip(models.kernels(model), models.kernels(plain), strict=True)
    ]
    assert [bool((ratio == 1).all()) for ratio in ratios] == [True, False, False, True, True]
    assert torch.allclose(ratios[1], ratios[1][:, :, :1, :1].expand_as(ratios[1]))


def test_a_start_with_tags_is_its_seed_and_refuses_nonsense():
    one, two, other = (
        loop.build(TrainConfig("digits", seed, widths=(8, 8), tags=4, tag_beta=0.6), (1, 8, 8), 10)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one[3].weight, two[3].weight)
    assert not torch.equal(one[3].weight, other[3].weight)
    with pytest.raises(ValueError, match=r"tags must .*at least 2"):
        promoting.tag_factors(np.zeros(2), np.zeros(2), tags=1, beta=0.5)
    with pytest.raises(ValueError, match="beta lies in"):
        promoting.tag_factors(np.zeros(2), np.zeros(2), tags=2, beta=0.0)
    for bad, message in [
        ({"tags": 1}, "tags is 0"),
        ({"eigenvalue_penalty": -1.0}, "eigenvalue_penalty must be .* at least 0"),
        ({"eigenvalue_penalty": 0.1, "architecture": "small_cnn"}, "MLPs only"),
    ]:
        with pytest.raises(ValueError, match=message):
            TrainConfig("digits", 0, **bad)


def test_a_training_step_adds_the_penalty_of_every_member():
    config = TrainConfig("digits", 0, widths=(8, 7), normalise=True, eigenvalue_penalty=0.3)
    members = [loop.build(config, (1, 8, 8), 10), loop.build(config, (1, 8, 8), 10)]
    with torch.no_grad():
        members[1][1].weight.mul_(torch.rand(8, 64))
    state = State.fresh(members, "cpu", 1e-3)
    loop._normalise(state)
    for parameter in state.parameters:
        parameter.grad = torch.zeros_like(parameter)
    loop._penalise(state, config)
    for place, model in enumerate(members):
        promoting.normalise_units(model)
        (0.3 * promoting.eigenvalue_sum(models.kernels(model))).backward()
        for index, kernel in zip(state.kernels, models.kernels(model), strict=True):
            torch.testing.assert_close(
                state.parameters[index].grad[place], kernel.grad, atol=1e-4, rtol=1e-2
            )
