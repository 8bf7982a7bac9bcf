"""Lesions: by hand, against one forward pass a lesion, and what random sets look like."""

import copy

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from modgraph_lib import clustering, graphs, lesions, models, toys
from modgraph_lib.lesions import _accuracies as _lesion_accuracies
from modgraph_lib.lesions import _passes as _lesion_passes
from modgraph_lib.lesions._passes import Traced, passes
from modgraph_lib.lesions._whole import Hooked, sites


def plain(model, masks, images, labels, kind):
    """(M,) accuracies, each from a copy of the model that is damaged and run on its own."""
    found = []
    for index in range(len(next(iter(masks.values())))):
        damaged = copy.deepcopy(model).eval()
        handles = []
        for name, mask in masks.items():
            units = torch.as_tensor(mask[index])
            layer = damaged.get_submodule(name)
            with torch.no_grad():
                if kind != "activations":
                    layer.weight[units] = 0
                if kind == "weights_and_biases" and layer.bias is not None:
                    layer.bias[units] = 0
            if kind == "activations":

                def silence(module, inputs, output, units=units):
                    output = output.clone()
                    output[:, units] = 0
                    return output

                handles.append(layer.register_forward_hook(silence))
        with torch.no_grad():
            right = damaged(images).argmax(1) == labels
        found.append(right.sum().item() / len(labels))
    return np.array(found)


def random_masks(model, layers, count, seed, share=0.3):
    rng = np.random.default_rng(seed)
    masks = {}
    for name in layers:
        module = model.get_submodule(name)
        units = getattr(module, "out_features", None) or module.out_channels
        rows = rng.random((count, units)) < share * rng.random((count, 1))
        masks[name] = rows & (rng.random((count, 1)) < 0.7)
    return masks


def pictures():
    return torch.rand(150, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def noise():
    return pictures(), torch.randint(0, 10, (150,), generator=torch.Generator().manual_seed(1))


def biased(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


class Residual(nn.Module):
    """A skip connection, an in-place sum and functions instead of modules."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 6, 3, padding=1)
        self.two = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.shift = nn.Parameter(torch.randn(1, 6, 1, 1))
        self.head = nn.Linear(6 * 16, 10)

    def forward(self, x):
        x = self.relu(self.one(x))
        y = self.norm(self.two(x)) + self.shift
        y += x
        y = functional.max_pool2d(torch.relu(y), 2)
        return self.head(torch.flatten(y, 1))


class Untraceable(nn.Module):
    """Its path depends on the data, and a shape is read from the lesioned part."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(64, 12)
        self.two = nn.Linear(12, 10)

    def forward(self, x):
        x = torch.tanh(self.one(x.flatten(1)))
        if x.sum() > 1e9:
            x = -x
        return self.two(x.view(x.shape[0], -1))


NETWORKS = {
    "mlp": (lambda: models.mlp(64, 10, widths=(20, 24, 16), dropout=0.5, seed=0), "2 5 8"),
    "cnn": (lambda: models.small_cnn((1, 8, 8), channels=6, dense=8, seed=0), "0 2 5 9"),
    "residual": (Residual, "one two"),
    "untraceable": (Untraceable, "one"),
}


def network(name):
    build, layers = NETWORKS[name]
    torch.manual_seed(0)
    model = biased(build()).eval()
    with torch.no_grad():  # every class wins on some images
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        last.bias -= model(pictures()).mean(0)
    named = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return model, (named[:-1] if name in ("mlp", "cnn") else layers.split())


@pytest.mark.parametrize("kind", ["weights", "weights_and_biases"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_one_pass_a_lesion(name, kind, noise):
    model, layers = network(name)
    masks = random_masks(model, layers, 50, seed=3)
    found = lesions.lesion_accuracies(model, masks, *noise, kind=kind, batch_rows=700, device="cpu")
    assert found.overall == pytest.approx(plain(model, masks, *noise, kind), abs=1e-12)
    assert len(np.unique(found.overall)) > 5


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_side_by_side_change_nothing(name, noise, monkeypatch):
    monkeypatch.setattr(_lesion_accuracies, "LESIONS_AT_ONCE", 4)
    model, layers = network(name)
    masks = random_masks(model, layers, 50, seed=3)
    found = lesions.lesion_accuracies(model, masks, *noise, batch_rows=200, device="cpu")
    assert found.overall == pytest.approx(plain(model, masks, *noise, "weights"), abs=1e-12)
    assert torch.get_num_threads() == 2
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("rows", [1, 300, 10_000])
@pytest.mark.parametrize("share", [0.9, 2.0])
@pytest.mark.parametrize("name", ["mlp", "cnn", "residual"])
def test_traced_answers_are_the_hooked_ones(name, share, rows, noise, monkeypatch):
    monkeypatch.setitem(_lesion_passes.ROWS_TO_THE_END, "cpu", rows)
    model, layers = network(name)
    masks = {n: torch.from_numpy(m) for n, m in random_masks(model, layers, 20, 5, share).items()}
    where = sites(model, layers, "weights")
    with torch.no_grad():
        traced, hooked = passes(model, where, noise[0][:2]), Hooked(model, where)
        assert isinstance(traced, Traced)
        one = traced.outputs(noise[0], masks, traced.intact(noise[0]))
        two = hooked.outputs(noise[0], masks, hooked.intact(noise[0]))
    assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 3, 32])
def test_lesions_of_a_block_hit_the_same_layers(at_once, monkeypatch):
    monkeypatch.setattr(_lesion_accuracies, "LESIONS_AT_ONCE", at_once)
    model, layers = network("mlp")
    masks = [torch.from_numpy(m) for m in random_masks(model, layers, 40, 13).values()]
    masks[1][::4] = False
    blocks = _lesion_accuracies._similar_together(masks)
    assert sorted(torch.cat(blocks).tolist()) == list(range(40))
    assert max(map(len, blocks)) <= at_once
    for block in blocks:
        assert all(len(mask[block].any(1).unique()) == 1 for mask in masks)


def test_untraceable_models_are_run_whole(noise):
    model, layers = network("untraceable")
    assert isinstance(passes(model, sites(model, layers, "weights"), noise[0][:2]), Hooked)


def test_units_that_nothing_reads_are_left_out(noise):
    model, layers = network("mlp")
    with torch.no_grad():
        model[4].weight[:, ::2] = 0
        model[10].weight[:, 3:9] = 0
    masks = random_masks(model, layers, 60, 7, 0.8)
    runner = passes(model, sites(model, layers, "weights"), noise[0][:2])
    assert {int(kept.sum()) for kept in runner.read.values()} == {10}
    found = lesions.lesion_accuracies(model, masks, *noise, device="cpu")
    assert found.overall == pytest.approx(plain(model, masks, *noise, "weights"), abs=1e-12)


def test_activations_are_those_after_the_relu(noise):
    """Zero after the ReLU equals incoming weights and bias zero, and differs from bias kept."""
    model, layers = network("mlp")
    masks = random_masks(model, layers, 40, 11, 0.9)
    found = {
        kind: lesions.lesion_accuracies(model, masks, *noise, kind=kind, device="cpu").correct
        for kind in lesions.KINDS
    }
    assert (found["activations"] == found["weights_and_biases"]).all()
    assert (found["activations"] != found["weights"]).any()
    relus = {str(int(name) + 1): mask for name, mask in masks.items()}
    named = lesions.lesion_accuracies(model, relus, *noise, kind="activations", device="cpu")
    assert (named.correct == found["activations"]).all()
    assert named.overall == pytest.approx(plain(model, relus, *noise, "activations"), abs=1e-12)


def test_sigmoid_units_differ_in_all_three_kinds(noise):
    torch.manual_seed(0)
    model = biased(nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.Sigmoid(), nn.Linear(30, 10)))
    masks = {"1": np.ones((1, 30), dtype=bool)}
    accuracies = {
        kind: lesions.lesion_accuracies(model, masks, *noise, kind=kind, device="cpu").correct
        for kind in lesions.KINDS
    }
    assert model.training
    expected = {
        "activations": model[3].bias,
        "weights_and_biases": model[3].weight.sum(1) / 2 + model[3].bias,
        "weights": model[3](torch.sigmoid(model[1].bias)),
    }
    for kind, logits in expected.items():
        winner = int(logits.argmax())
        right = np.zeros(10, dtype=int)
        right[winner] = (noise[1] == winner).sum()
        assert (accuracies[kind][0] == right).all()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_any_masks(first, second):
    model = biased(models.mlp(64, 10, widths=(9, 5), seed=2)).eval()
    images = torch.rand(40, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 10
    masks = {"1": np.array(first), "3": np.array([second] * len(first))}
    found = lesions.lesion_accuracies(model, masks, images, labels, batch_rows=64, device="cpu")
    assert found.overall == pytest.approx(plain(model, masks, images, labels, "weights"), abs=1e-12)


def test_by_class_and_intact(noise):
    model, _ = network("mlp")
    images, labels = noise
    labels = labels.clamp(max=7)
    masks = {"1": np.zeros((2, 20), dtype=bool)}
    masks["1"][1] = True
    found = lesions.lesion_accuracies(model, masks, images, labels, device="cpu")
    guesses = model(images).argmax(1)
    for c in range(8):
        share = (guesses[labels == c] == c).float().mean().item()
        assert found.intact_by_class[c] == pytest.approx(share)
    assert np.isnan(found.by_class[:, 8:]).all()
    assert found.overall[0] == found.intact_overall
    assert (found.by_class[0, :8] == found.intact_by_class[:8]).all()
    assert set(np.unique(found.by_class[1, :8])) == {0.0, 1.0}  # every image gets one answer


def test_bytes_are_scaled(noise):
    model, _ = network("mlp")
    pixels = (noise[0] * 255).to(torch.uint8)
    masks = random_masks(model, ["1"], 3, 0)
    one = lesions.lesion_accuracies(model, masks, pixels, noise[1], device="cpu")
    two = lesions.lesion_accuracies(model, masks, pixels.float() / 255, noise[1], device="cpu")
    assert (one.correct == two.correct).all()


def test_the_model_is_left_as_it_was(noise):
    model, layers = network("residual")
    model.train()
    model.norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    masks = random_masks(model, layers, 5, 0)
    lesions.lesion_accuracies(model, masks, *noise, device="cpu")
    assert model.training and model.one.training and not model.norm.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.one._forward_hooks


@pytest.mark.parametrize(
    ("masks", "options", "message"),
    [
        ({"1": np.zeros((2, 19), dtype=bool)}, {}, "has 20 units"),
        ({"one": np.zeros((2, 20), dtype=bool)}, {}, "no layer 'one'"),
        ({"2": np.zeros((2, 20), dtype=bool)}, {}, "ReLU and has no incoming weights"),
        ({"1": np.zeros((2, 20))}, {}, "must be true or false"),
        ({}, {}, "masks is empty"),
        ({"1": np.zeros((0, 20), dtype=bool)}, {}, "masks is empty"),
        (
            {"1": np.zeros((2, 20), dtype=bool), "4": np.zeros((3, 24), dtype=bool)},
            {},
            "the same lesions",
        ),
        ({"1": np.zeros((2, 20), dtype=bool)}, {"kind": "outgoing"}, "kind must be one of"),
    ],
)
def test_bad_masks(masks, options, message, noise):
    model, _ = network("mlp")
    with pytest.raises(ValueError, match=message):
        lesions.lesion_accuracies(model, masks, *noise, device="cpu", **options)


def test_bad_models_and_labels(noise):
    images, labels = noise
    model, _ = network("mlp")
    masks = {"1": np.ones((1, 20), dtype=bool)}
    with pytest.raises(ValueError, match="as many whole-number classes"):
        lesions.lesion_accuracies(model, masks, images, labels[:-1], device="cpu")
    with pytest.raises(ValueError, match="labels go from 0 to 10"):
        lesions.lesion_accuracies(model, masks, images, labels + labels.eq(9), device="cpu")
    with pytest.raises(ValueError, match="no images"):
        lesions.lesion_accuracies(model, masks, images[:0], labels[:0], device="cpu")
    twice = nn.Sequential(nn.Flatten(), *[layer := nn.Linear(64, 64), layer], nn.Linear(64, 10))
    with pytest.raises(ValueError, match="more than once"):
        lesions.lesion_accuracies(
            twice, {"1": np.ones((1, 64), dtype=bool)}, images, labels, device="cpu"
        )
    model[1].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        lesions.lesion_accuracies(model, masks, images, labels, device="cpu")


# --- sub-modules, controls, importance --------------------------------------------------------


def test_submodules_partition_the_joined_hidden_units():
    model = models.mlp(20, 5, widths=(12, 9), seed=0)
    with torch.no_grad():
        model[1].weight[:3] = 0
        model[3].weight[:, :3] = 0
    graph = graphs.weight_graph(model)
    labels = clustering.spectral_clustering(graph, 3, seed=0)
    parts = lesions.submodules(graph, labels)
    first = [part for part in parts if part.depth == 1]
    assert sorted(np.concatenate([part.units for part in first])) == list(range(3, 12))
    assert {part.layer for part in parts} == {"1", "3"}
    assert all(list(part.population) == list(range(3, 12)) for part in first)
    assert sum(part.proportion for part in first) == pytest.approx(1)
    assert first[0].mask.sum() == len(first[0].units)
    assert first[0].name == f"1-{first[0].module}"
    with pytest.raises(ValueError, match="as many labels"):
        lesions.submodules(graph, labels[:-1])
    with pytest.raises(ValueError, match="no hidden layer"):
        shallow = graphs.weight_graph([np.ones((3, 4))])
        lesions.submodules(shallow, np.zeros(7, dtype=int))


def part_of(size, population=20, width=24, depth=1, module=0):
    return lesions.Submodule(
        str(depth), depth, module, np.arange(size), np.arange(population), width
    )


def test_random_sets_are_uniform_and_keep_to_joined_units():
    part = part_of(5)
    masks = lesions.random_units(part, 4000, seed=0)
    assert (masks.sum(1) == 5).all()
    assert not masks[:, 20:].any()
    # each unit is drawn with probability 1/4, members of the sub-module included
    counts = masks[:, :20].sum(0)
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)
    overlap = masks[:, :5].sum(1)
    assert overlap.mean() == pytest.approx(5 * 5 / 20, abs=0.06)
    assert (lesions.random_units(part, 7, seed=0) == masks[:7]).all()
    assert (lesions.random_units(part, 7, seed=1) != masks[:7]).any()


def test_p_values_and_ties():
    part = part_of(5)
    random = np.array([0.9] * 98 + [0.8, 0.7])
    lesion = lesions.SingleLesion(part, 0.95, 0.8, np.zeros(2), random)
    assert lesion.p_value("described") == pytest.approx(3 / 101)
    assert lesion.p_value("published") == pytest.approx(2 / 101)
    tied = lesions.SingleLesion(part, 0.95, 0.7, np.zeros(2), random)
    assert tied.p_value("described") == pytest.approx(2 / 101)
    assert tied.p_value("published") == pytest.approx(1 / 101)
    assert tied.importance("described") == "diff-but-not-sig"
    assert tied.importance("published") == "small"  # 5 units of 20
    with pytest.raises(ValueError, match="variant is one of"):
        tied.p_value("prescribed")


@pytest.mark.parametrize(
    ("loss", "p", "size", "proportion", "described", "published"),
    [
        (0.05, 1 / 101, 30, 0.2, "important", "important"),
        (0.01, 1 / 101, 30, 0.2, "sig-but-not-diff", "important"),
        (0.0100000000001, 1 / 101, 30, 0.2, "sig-but-not-diff", "important"),
        (0.0101, 1 / 101, 30, 0.2, "important", "important"),
        (0.005, 1 / 101, 30, 0.2, "sig-but-not-diff", "sig-but-not-diff"),
        (0.05, 2 / 101, 30, 0.2, "diff-but-not-sig", "diff-but-not-sig"),
        (-0.05, 1.0, 30, 0.2, "other", "other"),
        (0.05, 1 / 101, 12, 0.06, "important", "small"),
        (0.05, 1 / 101, 13, 0.05, "important", "important"),
        (0.05, 1 / 101, 13, 0.049, "small", "important"),
        (0.05, 1.0, 40, 1.0, "complete", "complete"),
    ],
)
def test_classes_of_importance(loss, p, size, proportion, described, published):
    for variant, expected in (("described", described), ("published", published)):
        found = lesions.classify(
            loss, p, controls=100, size=size, proportion=proportion, variant=variant
        )
        assert found == expected in lesions.IMPORTANCES
        numpy = lesions.classify(
            np.float64(loss), p, controls=100, size=size, proportion=proportion, variant=variant
        )
        assert numpy == expected


def test_the_papers_table_follows_from_the_rules():
    """Table A.18: the printed class of each sub-module is what the described rules give."""
    from book.lab import ledger

    printed = ledger.paper_table("surprisingly_modular/table_a18")
    for row in printed.to_dict("records"):
        found = lesions.classify(
            -float(row["accuracy_change_when_lesioned"]),
            float(row["p_value"]),
            controls=100,
            size=30,
            proportion=float(row["layer_proportion"]),
        )
        assert found == row["importance_type"], row


# --- a network whose lesions are known by hand ------------------------------------------------


@pytest.fixture(scope="module")
def relay():
    return toys.relay(4, units=6)


def test_single_lesions_of_the_relay(relay):
    """Each strand carries one of four classes: silencing it costs that class alone."""
    found = lesions.single_lesions(
        relay.model, relay.parts, relay.images, relay.labels, controls=30, device="cpu"
    )
    assert len(found) == 12
    for one in found:
        assert one.intact == 1.0
        assert one.loss == pytest.approx(0.25)
        assert one.by_class[one.submodule.module] == 0
        assert one.p_value() == pytest.approx(1 / 31)
        assert one.importance() == "important"


def test_double_lesions_of_the_relay(relay):
    """A strand's pieces depend on each other and on nothing else."""
    pairs = lesions.pairs_across_layers(relay.parts)
    assert len(pairs) == 3 * 16
    found = lesions.double_lesions(
        relay.model, pairs, relay.images, relay.labels, controls=20, device="cpu"
    )
    for pair in found:
        same = pair.x.module == pair.y.module
        assert pair.delta_x == pytest.approx(0.0 if same else 0.25)
        assert pair.delta_x - pair.delta_y == pytest.approx(pair.accuracy_y - pair.accuracy_x)
        assert pair.important() == ((False, False) if same else (True, True))
        assert pair.depends() == same
    graph = lesions.dependency_graph(found)
    assert isinstance(graph, nx.DiGraph) and len(graph) == 12
    assert nx.number_weakly_connected_components(graph) == 4
    assert all(one[2:] == two[2:] and one < two for one, two in graph.edges)


@pytest.mark.parametrize(("bias", "loss"), [(0.0, 0.25), (0.5, 0.0), (5.0, 0.75)])
def test_both_definitions_on_the_relay(bias, loss):
    """Without incoming weights a unit shows its bias: nothing, half a signal, or far too much."""
    relay = toys.relay(4, units=6, bias=bias)
    expected = {"weights": loss, "activations": 0.25, "weights_and_biases": 0.25}
    for kind, value in expected.items():
        found = lesions.single_lesions(
            relay.model, relay.parts[:4], relay.images, relay.labels,
            controls=1, kind=kind, device="cpu",
        )  # fmt: skip
        assert [one.intact for one in found] == [1.0] * 4
        assert [one.loss for one in found] == pytest.approx([value] * 4)


def test_clustering_finds_the_strands_of_the_relay(relay):
    graph = graphs.weight_graph(relay.model)
    labels = clustering.spectral_clustering(graph, 4, seed=0)
    found = lesions.submodules(graph, labels)
    assert {tuple(one.units) for one in found} == {tuple(one.units) for one in relay.parts}


def test_controls_depend_on_seed_and_submodule_alone(noise):
    model, _ = network("mlp")
    graph = graphs.weight_graph(model)
    parts = lesions.submodules(graph, clustering.spectral_clustering(graph, 3, seed=0))
    options = {"controls": 4, "device": "cpu"}
    whole = lesions.single_lesions(model, parts, *noise, **options)
    last = lesions.single_lesions(model, parts[-1:], *noise, **options)
    assert (whole[-1].random == last[0].random).all()
    other = lesions.single_lesions(model, parts, *noise, seed=1, **options)
    assert any((one.random != two.random).any() for one, two in zip(whole, other, strict=True))


def test_refusals(relay, noise):
    given_ = (relay.model, relay.parts, relay.images, relay.labels)
    with pytest.raises(ValueError, match=r"controls must .*at least 1"):
        lesions.single_lesions(*given_, controls=0)
    with pytest.raises(ValueError, match="no sub-module"):
        lesions.single_lesions(relay.model, [], relay.images, relay.labels)
    with pytest.raises(ValueError, match="1-0 has no unit"):
        lesions.single_lesions(relay.model, [part_of(0)], relay.images, relay.labels)
    x, y = relay.parts[0], relay.parts[-1]
    with pytest.raises(ValueError, match="earlier layer first"):
        lesions.double_lesions(relay.model, [(y, x)], relay.images, relay.labels)
    with pytest.raises(ValueError, match="no pair"):
        lesions.double_lesions(relay.model, [], relay.images, relay.labels)
