"""Lesions: by hand, against one forward pass a lesion, and what random sets look like."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from modgraph_lib import lesions, models
from modgraph_lib.lesions import _accuracies as _lesion_accuracies
from modgraph_lib.lesions import _passes as _lesion_passes
from modgraph_lib.lesions._passes import Traced, passes
from modgraph_lib.lesions._steps import is_pooling, pooled
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
        ({"1": np.zeros((2, 20), dtype=bool)}, {"kind": "sideways"}, "kind must be one of"),
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


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 2, 9, 7), (3, 1, 5, 6)])
@pytest.mark.parametrize("options", [
    (2,), (2, 2), (3, 2), (3, 1), ((2, 3), (1, 2)), (2, 2, 1), (3, 2, 1, 1, False, True),
    (2, 1, 0, 2),
])  # fmt: skip
def test_quick_pooling_is_torchs_to_the_bit(shape, options):
    module = nn.MaxPool2d(*options)
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    maps[0, 0, 2, 2] = float("nan")
    for laid in (maps, maps.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(pooled(module, laid).nan_to_num(9), module(laid).nan_to_num(9))
    seen = []
    module.register_forward_hook(lambda *_: seen.append(1))
    pooled(module, maps)
    assert seen == [1]
    with pytest.raises(RuntimeError):
        pooled(nn.MaxPool2d(20), maps)


@pytest.mark.parametrize("kind", lesions.KINDS[:3])
def test_a_lesion_passes_a_pooling_as_few_channels(kind, monkeypatch):
    """A silent map is silent when it is pooled: the next kernel need not be run whole."""
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 6, 3), nn.ReLU(),
              nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 4)]  # fmt: skip
    net = models.initialise(nn.Sequential(*layers), seed=0).eval()
    images = torch.randn(50, 1, 18, 18, generator=torch.Generator().manual_seed(0))
    masks = {"0": np.eye(8, dtype=bool)}
    wanted = {name: torch.from_numpy(mask) for name, mask in masks.items()}
    with torch.no_grad():
        runner = passes(net, sites(net, ["0"], kind), images[:2])
        assert isinstance(runner, Traced)
        shared = runner.intact(images)
        rows = []
        hook = net[3].register_forward_hook(lambda _, __, out: rows.append(len(out)))
        found = runner.outputs(images, wanted, shared)
        hook.remove()
        assert not rows  # the second convolution adds what the change gives, and is not run again
        for unit in range(8):
            cut = copy.deepcopy(net)
            cut[0].weight[unit] = 0
            if kind != "weights":
                cut[0].bias[unit] = 0
            torch.testing.assert_close(found[unit], cut(images), rtol=1e-4, atol=1e-5)


def test_a_dilated_pooling_can_miss_a_map_that_is_one_number():
    module = nn.MaxPool2d(2, 1, 1, dilation=5)
    assert torch.isinf(module(torch.ones(1, 1, 4, 4))).all() and not is_pooling(module)
    assert is_pooling(nn.MaxPool2d(3, 2, 1)) and not is_pooling(nn.AvgPool2d(2))
