"""Networks trained side by side: each as if it were alone, whatever becomes of the others."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import datasets, models
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import zoo
from modgraph_lib.training.ensemble import ensemble
from modgraph_lib.training.seeds import derived

RATES = [0.1, 0.05, 0.2, 0.02, 0.1, 0.3, 1e-4, 0.05]
DROPOUTS = [0.0, 0.2, 0.5, 0.8, 0.0, 0.4, 0.6, 0.2]


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (200, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (200,), generator=generator)
    made = datasets.make("noise", images, labels, classes=list("0123456789"))
    return made.take(slice(160)), made.take(slice(160, 200))


def lenets(places):
    return [models.lenet((3, 16, 16), dropout=DROPOUTS[i], seed=i) for i in places]


def trained(data, places, **options):
    options = {"epochs": 2, "batch_size": 16, "seed": 3, **options}
    rates = [RATES[i] for i in places]
    return zoo.train(lenets(places), rates, *data, **options)


def weights(member):
    return torch.cat([p.detach().flatten() for p in member.model.parameters()])


def alone(model, rate, keep, data, steps):
    """The first steps of one network by the book: a module, a loss, torch's own SGD."""
    images = data[0].images.float() / 255
    order = torch.Generator().manual_seed(derived(3, 1, 0))
    noise = torch.Generator().manual_seed(derived(3, 1, 1))
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    for batch in torch.randperm(160, generator=order).split(16)[:steps]:
        x = images[batch]
        for part in model:
            if isinstance(part, nn.Dropout):
                x = x * (torch.rand(x.shape, generator=noise) < keep) / keep
            else:
                x = part(x)
        optimiser.zero_grad()
        functional.cross_entropy(x, data[0].labels[batch]).backward()
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_member_is_the_network_trained_alone(data, place):
    together = trained(data, range(4), epochs=1)[place]
    expected = alone(*lenets([place]), RATES[place], 1 - DROPOUTS[place], data, 10)
    torch.testing.assert_close(weights(together), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "padding", "stride"), [(2, 1, 1), (1, 1, 1), (2, (0, 1), (1, 2))])
def test_small_images_are_convolved_as_one_product(size, padding, stride):
    torch.manual_seed(0)
    kinds = lambda: (  # noqa: E731
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, (2, 3), stride, padding), nn.Flatten(),
        nn.LazyLinear(5),
    )  # fmt: skip
    x = torch.rand(7, 3, size, size + 1)[..., :size]
    pair = [nn.Sequential(*kinds()) for _ in range(2)]
    alone = torch.stack([model(x) for model in pair])
    both = ensemble(pair, [0.1, 0.2], "cpu")
    torch.testing.assert_close(both.forward(x), alone)
    found = torch.autograd.grad(both.forward(x).square().sum(), both.parameters)
    for place, model in enumerate(pair):
        expected = torch.autograd.grad(alone[place].square().sum(), list(model.parameters()))
        torch.testing.assert_close(tuple(part[place] for part in found), expected)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_who_trains_beside_it_changes_nothing(data, momentum):
    whole = trained(data, range(8), momentum=momentum)
    for places in ([0], [1, 5, 3], [7, 6, 5, 4, 3, 2, 1, 0]):
        for place, member in zip(places, trained(data, places, momentum=momentum), strict=True):
            torch.testing.assert_close(weights(member), weights(whole[place]), rtol=0, atol=1e-6)
            assert member.history[-1]["test_accuracy"] == whole[place].history[-1]["test_accuracy"]


def test_a_network_that_diverges_leaves_the_others_as_they_are(data):
    members = lenets([0, 1, 2, 3])
    rates = [0.1, 1e30, 0.2, 0.02]
    found = zoo.train(members, rates, *data, epochs=2, batch_size=16, seed=3)
    assert [member.diverged for member in found] == [None, 1, None, None]
    assert found[1].epochs == 1 and found[1].history[1]["train_loss"] is None
    share = float((data[1].labels == 0).float().mean())
    assert found[1].history[1]["test_accuracy"] == pytest.approx(share)
    whole = trained(data, range(4))
    for place in (0, 2, 3):
        assert torch.equal(weights(found[place]), weights(whole[place]))


class Killed(Exception):
    pass


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_killed_run_goes_on_as_if_nothing_had_been(data, tmp_path, monkeypatch, momentum):
    monkeypatch.setattr(zoo.checkpoints, "EVERY_SECONDS", 0.0)
    path = tmp_path / "zoo.safetensors"
    options = {"epochs": 5, "patience": 2, "momentum": momentum}
    seen = []

    def look(model, epoch):
        seen.append(epoch)
        if epoch == 3:
            raise Killed
        return {"epoch": epoch}

    with pytest.raises(Killed):
        trained(data, range(3), after_epoch=look, checkpoint=path, **options)
    assert path.exists()
    seen.clear()
    look_on = lambda model, epoch: seen.append(epoch) or {"epoch": epoch}  # noqa: E731
    again = trained(data, range(3), after_epoch=look_on, checkpoint=path, **options)
    assert min(seen) == 3
    whole = trained(data, range(3), after_epoch=lambda model, epoch: {"epoch": epoch}, **options)
    for one, other in zip(again, whole, strict=True):
        assert one.history == other.history and one.stopped == other.stopped
        assert torch.equal(weights(one), weights(other))


def test_a_checkpoint_of_other_data_is_not_gone_on_from(data, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.checkpoints, "EVERY_SECONDS", 0.0)
    path = tmp_path / "zoo.safetensors"
    trained(data, [0, 1], checkpoint=path)
    other = (data[0].take(slice(100)), data[1])
    assert trained(other, [0, 1], epochs=1, checkpoint=path)[0].epochs == 1


def test_patience_ends_a_network_that_no_longer_improves(data):
    done = []
    rates = [1e-12, 0.1]
    found = zoo.train(
        lenets([0, 4]), rates, *data, epochs=6, patience=3, batch_size=16, seed=0,
        when_done=lambda index, member: done.append((index, member.epochs)),
    )  # fmt: skip
    assert found[0].stopped == 4 and found[0].epochs == 4  # best at 1, three without a rise
    assert done[0] == (0, 4) and {index for index, _ in done} == {0, 1}


def test_history_holds_every_epoch_from_before_training(data):
    (member,) = trained(data, [0], after_epoch=lambda model, epoch: {"training": model.training})
    assert [sorted(entry) for entry in member.history] == [
        ["half_accuracy", "test_accuracy", "training"],
        *[["half_accuracy", "test_accuracy", "train_accuracy", "train_loss", "training"]] * 2,
    ]
    assert not any(entry["training"] for entry in member.history)
    whole = member.model(data[1].images.float() / 255).argmax(1) == data[1].labels
    assert member.history[-1]["test_accuracy"] == pytest.approx(float(whole.float().mean()))
    assert member.history[-1]["half_accuracy"] == pytest.approx(float(whole[::2].float().mean()))


def test_any_module_trains_alone(data):
    (member,) = zoo.train(
        [cifar_networks.build("resnet32", (3, 16, 16), width=2, dropout=0.2, seed=0)],
        [0.05], *data, epochs=1, batch_size=80, seed=0,
    )  # fmt: skip
    assert member.epochs == 1 and member.diverged is None


@pytest.mark.parametrize(
    ("made", "rates", "words"),
    [
        (lambda: lenets([0, 1]), [0.1], "2 models but 1 learning rates"),
        (lambda: lenets([0]), [0.0], "positive number, got 0.0"),
        (lambda: [*lenets([0]), models.lenet(seed=0)], [0.1, 0.1], "differ in shape"),
        (
            lambda: [cifar_networks.build("resnet32", width=2, seed=i) for i in (0, 1)],
            [0.1, 0.1],
            "train other networks one by one",
        ),
    ],
)
def test_what_cannot_be_trained_is_said(data, made, rates, words):
    with pytest.raises(ValueError, match=words):
        zoo.train(made(), rates, *data, seed=0)


def test_a_regression_has_no_classes(data):
    polynomials = datasets.load("polynomials", "test")
    with pytest.raises(ValueError, match="no classes to learn"):
        zoo.train(lenets([0]), [0.1], polynomials, polynomials, seed=0)
