"""Classifiers trained by SGD: the networks, the loop beside a plain one, resuming, watching."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import datasets
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, checkpoints, seeds, sgd
from modgraph_lib.training.augment import crop_flip


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", "train"), datasets.load("digits", "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    return tmp_path


def config(network="vgg11", **changes):
    usual = {"width": 4, "epochs": 3, "batch_size": 128, "images": 400, "schedule": "one_cycle"}
    return SgdConfig("digits", network, **{"seed": 0, **usual, **changes})


def same(a, b):
    assert a.history == b.history
    for name, weight in a.weights.items():
        assert torch.equal(weight, b.weights[name]), name


# --- networks -------------------------------------------------------------------------------


def conv(fan_in, fan_out, size, bias=False):
    """Parameters of a convolution with its batch norm."""
    return fan_in * fan_out * size**2 + fan_out * bias + 2 * fan_out


def vgg_parameters(plan):
    total, fan_in = 0, 3
    for stage, count in enumerate(plan):
        fan_out = min(64 * 2**stage, 512)
        for _ in range(count):
            total += conv(fan_in, fan_out, 3, bias=True)
            fan_in = fan_out
    return total + 2 * (512 * 512 + 512) + 512 * 10 + 10


def resnet_parameters(plan, bottleneck):
    total, fan_in = conv(3, 64, 3), 64
    for stage, count in enumerate(plan):
        width = 64 * 2**stage
        fan_out = 4 * width if bottleneck else width
        for number in range(count):
            if bottleneck:
                total += conv(fan_in, width, 1) + conv(width, width, 3) + conv(width, fan_out, 1)
            else:
                total += conv(fan_in, width, 3) + conv(width, width, 3)
            if number == 0 and (stage or bottleneck):
                total += conv(fan_in, fan_out, 1)
            fan_in = fan_out
    return total + fan_in * 10 + 10


@pytest.mark.parametrize(
    "name", [n for n in cifar_networks.NAMES if n not in cifar_networks.NARROW]
)
def test_networks_have_the_parameters_of_their_plans(name):
    plan = cifar_networks.plan_of(name)
    if name.startswith("vgg"):
        wanted = vgg_parameters(plan.counts)
    else:
        wanted = resnet_parameters(plan.counts, name in cifar_networks.BOTTLENECKS)
    with torch.device("meta"):  # counting needs no weights
        model = cifar_networks.build(name, seed=0)
    assert sum(p.numel() for p in model.parameters()) == wanted


@pytest.mark.parametrize(("name", "millions"), [("resnet32", 0.46), ("resnet44", 0.66)])
def test_narrow_resnets_have_the_parameters_of_their_paper(name, millions):
    model = cifar_networks.build(name, seed=0)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


def test_resnet56_has_the_0_85_million_parameters_of_its_paper():
    model = cifar_networks.build("resnet56", seed=0)
    total = conv(3, 16, 3) + 650
    for stage, width in enumerate((16, 32, 64)):
        total += conv(width // 2 if stage else 16, width, 3) + 17 * conv(width, width, 3)
    assert sum(p.numel() for p in model.parameters()) == total == 853_018


@pytest.mark.parametrize("name", ["vgg13", "resnet18", "resnet50", "resnet56"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8)])
def test_networks_take_images_of_any_size(name, shape):
    model = cifar_networks.build(name, shape, 7, width=2, seed=0).eval()
    assert model(torch.rand(2, *shape)).shape == (2, 7)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    one = cifar_networks.build("resnet18", width=2, seed=3).state_dict()
    torch.manual_seed(2)
    two = cifar_networks.build("resnet18", width=2, seed=3).state_dict()
    other = cifar_networks.build("resnet18", width=2, seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])


def test_shortened_networks_lose_units_from_the_back():
    assert cifar_networks.plan_of("vgg19_3").counts == (2, 2, 4, 4, 1)
    assert cifar_networks.plan_of("vgg11_3").counts == (1, 1, 1, 1, 1)
    assert cifar_networks.plan_of("resnet152_11").counts == (3, 8, 25, 3)
    assert cifar_networks.plan_of("resnet56_4_2_3").counts == (5, 7, 6)


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg12", "vgg11_4", "vgg19_1_1", "resnet152_36", "resnet56_1", "vgg11_"]
)
def test_networks_there_are_not(name):
    with pytest.raises(ValueError, match=name):
        cifar_networks.build(name, seed=0)


def test_measured_layers():
    vgg = cifar_networks.build("vgg16", width=2, seed=0)
    resnet = cifar_networks.build("resnet34", width=2, seed=0)
    named = dict(vgg.named_modules())
    described, published = (
        cifar_networks.measured_layers(vgg, r) for r in ("described", "published")
    )
    assert len(described) == len(published) == 13
    assert {type(named[n]) for n in described} == {nn.ReLU}
    assert {type(named[n]) for n in published} == {nn.Conv2d}
    assert len(cifar_networks.measured_layers(resnet)) == 16
    assert cifar_networks.measured_layers(resnet, "published")[0] == "stem.0"
    with pytest.raises(ValueError, match="reading"):
        cifar_networks.measured_layers(vgg, "both")


def test_the_network_normalises_its_pixels():
    model = cifar_networks.build("vgg11", width=2, seed=0).eval()
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in cifar_networks.MOMENTS["cifar10"])
    images = torch.rand(2, 3, 32, 32)
    by_hand = model.features((images - mean) / deviation)
    assert torch.equal(model.features(model.normalise(images)), by_hand)


# --- distortion and rates -------------------------------------------------------------------


def test_crop_flip_takes_windows_of_the_padded_image():
    torch.manual_seed(0)
    images = torch.rand(6, 2, 5, 7) + 1
    padded = functional.pad(images, (4, 4, 4, 4))
    for image, source in zip(crop_flip(images, torch.Generator()), padded, strict=True):
        windows = [source[:, i : i + 5, j : j + 7] for i in range(9) for j in range(9)]
        assert any(torch.equal(image, w) or torch.equal(image, w.flip(2)) for w in windows)


def test_crop_flip_uses_every_place_and_both_sides():
    image = torch.arange(1.0, 10).view(1, 1, 3, 3)
    windows = functional.pad(image, (4, 4, 4, 4)).unfold(2, 3, 1).unfold(3, 3, 1).reshape(81, 9)
    mirrored = windows.view(81, 3, 3).flip(2).reshape(81, 9)
    every = {tuple(x) for x in torch.cat([windows, mirrored]).tolist()}
    drawn = crop_flip(image.expand(4000, -1, -1, -1), torch.Generator().manual_seed(0))
    seen = {tuple(x.flatten().tolist()) for x in drawn}
    assert seen == every


def test_rates_by_hand():
    steps = config(schedule="steps", learning_rate=1.0)
    assert [sgd.learning_rate(steps, s, 150) for s in (0, 49, 50, 99, 100, 149)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    cycle = config(schedule="one_cycle", learning_rate=0.3)
    rates = [sgd.learning_rate(cycle, s, 300) for s in range(300)]
    assert max(rates) == rates[100] == pytest.approx(0.3)
    assert rates[50] == pytest.approx(0.15) and rates[200] == pytest.approx(0.15)
    assert min(rates) > 0
    assert sgd.learning_rate(config(schedule="constant", learning_rate=2.0), 7, 9) == 2.0


# --- training -------------------------------------------------------------------------------


def test_training_is_what_a_plain_loop_does(digits):
    made = config(augmentation="none", network="resnet18", schedule="constant", epochs=2)
    found = sgd.fit(made, *digits)
    model = sgd.untrained(made, (1, 8, 8), 10).train()
    plain = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.005)
    images = digits[0].images[:400, None].float() / 255
    for epoch in range(2):
        generator = torch.Generator().manual_seed(seeds.derived(0, epoch, 0))
        for index in torch.randperm(400, generator=generator).split(128):
            plain.zero_grad()
            functional.cross_entropy(model(images[index]), digits[0].labels[index]).backward()
            plain.step()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(found.weights[name], weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{}, {"network": "resnet18", "augmentation": "crop_flip", "precision": "bfloat16"}]
)
def test_a_killed_run_goes_on_bit_for_bit(digits, tmp_path, changes):
    made = config(**changes)
    whole = sgd.fit(made, *digits)
    checkpoint = tmp_path / "run.safetensors"

    def kill(model, epoch, entry):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sgd.fit(made, *digits, checkpoint=checkpoint, after_epoch=kill)
    assert checkpoint.exists()
    seen = []
    again = sgd.fit(
        made, *digits, checkpoint=checkpoint, after_epoch=lambda m, epoch, e: seen.append(epoch)
    )
    assert seen == [3]
    same(whole, again)


def test_a_checkpoint_of_another_run_is_not_taken_up(digits, tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    sgd.fit(config(epochs=1), *digits, checkpoint=checkpoint)
    fresh = sgd.fit(config(epochs=1, seed=1), *digits)
    same(fresh, sgd.fit(config(epochs=1, seed=1), *digits, checkpoint=checkpoint))


def test_watching_leaves_the_training_alone(digits):
    def look(model, epoch, entry):
        assert not model.training
        with torch.no_grad():
            model(torch.rand(5, 1, 8, 8))

    same(sgd.fit(config(), *digits), sgd.fit(config(), *digits, after_epoch=look))


def test_trained_networks_come_back_from_the_cache(own_cache, monkeypatch):
    first = sgd.trained(config())
    assert len(list((own_cache / "networks").iterdir())) == 1
    assert not list((own_cache / "checkpoints").iterdir())
    monkeypatch.setattr(sgd, "fit", None)
    second = sgd.trained(config())
    same(first, second)
    assert first.test_accuracy == second.test_accuracy
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(first.model()(images), second.model()(images))


def test_watching_trains_what_is_in_the_cache(own_cache):
    sgd.trained(config())
    seen = []
    sgd.trained(config(), after_epoch=lambda m, epoch, e: seen.append(epoch))
    assert seen == [1, 2, 3]


def test_learning_happens(digits):
    made = config(network="resnet18", epochs=3, images=0, learning_rate=0.1, augmentation="none")
    found = sgd.fit(made, *digits)
    assert found.best_accuracy >= found.test_accuracy
    assert found.best_accuracy > 0.5 > found.history[0]["train_accuracy"]


def test_a_last_batch_of_one_image_is_passed_over(digits):
    found = sgd.fit(config(images=129, epochs=1), *digits)
    assert math.isfinite(found.history[0]["train_loss"])


def test_a_loss_that_explodes_is_said(digits):
    with pytest.raises(FloatingPointError, match="epoch 1"):
        sgd.fit(config(learning_rate=1e20), *digits)


def test_data_without_images_or_classes_is_refused(digits):
    polynomials = datasets.make("numbers", torch.rand(9, 2), torch.rand(9, 3))
    with pytest.raises(ValueError, match="no images"):
        sgd.fit(config(), polynomials, polynomials)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "cosine"}, "schedule"),
        ({"precision": "half"}, "precision"),
        ({"augmentation": "mixup"}, "augmentation"),
        ({"epochs": 0}, "epochs"),
        ({"width": -1}, "width"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"network": "vgg"}, "unknown network"),
    ],
)
def test_settings_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=words):
        config(**changes)
