"""Convolutional networks: the VGG, batch norm in training, augmentation, and their records."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from modgraph_lib import cache, datasets, graphs, models, training
from modgraph_lib.training import TrainConfig, checkpoints
from modgraph_lib.training.augment import augment, warp


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (24, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(24) % 10
    return datasets.make("pictures", images, labels, tuple(map(str, range(10))))


def tiny_vgg(**changes):
    config = TrainConfig(
        "pictures", 0, "vgg", widths=(2,), epochs=2, prune_epochs=2, batch_size=8, dropout=0.5
    )
    return replace(config, **{"augmentation": "described", "precision": "bfloat16", **changes})


def test_the_vgg_has_the_layers_of_the_released_code():
    model = models.vgg(dropout=0.5, seed=0)
    kinds = "".join(
        {"Conv2d": "c", "ReLU": "r", "MaxPool2d": "p", "BatchNorm2d": "n", "Dropout": "d"}.get(
            type(part).__name__, type(part).__name__[0]
        )
        for part in model
    )
    convolutions = "crnd crpn crnd crpn crnd crnd crpn crnd crnd crpn crnd crnd crpnd"
    assert kinds == convolutions.replace(" ", "") + "FLrBdLrL"
    rates = [part.p for part in model if isinstance(part, nn.Dropout)]
    assert rates == pytest.approx([0.3, *[0.4] * 7, 0.5, 0.5])
    assert graphs.weight_graph(model.eval(), example=(3, 32, 32)).nodes == 4224
    assert [part.out_features for part in model if isinstance(part, nn.Linear)] == [512, 512, 10]


def test_small_images_are_refused_by_the_vgg():
    with pytest.raises(ValueError, match=r"28x28 vanish.*32x32"):
        models.vgg((1, 28, 28), seed=0)


def test_running_statistics_are_trained_kept_and_used(pictures):
    network = training.train([tiny_vgg()], pictures, pictures)[0]
    before, after = network.model("unpruned"), network.model("pruned")
    for model in (before, after):
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert all((norm.running_var != 1).any() for norm in norms)
    # 3 batches an epoch, 2 epochs a phase; the second phase goes on from the first
    assert before[2].num_batches_tracked == 6
    assert after[2].num_batches_tracked == 12
    loss, accuracy = training.evaluate(after, pictures.images, pictures.labels)
    assert network.metrics["pruned"]["test_accuracy"] == pytest.approx(accuracy, abs=0.05)
    assert network.metrics["pruned"]["test_loss"] == pytest.approx(loss, rel=0.01)


def test_running_statistics_agree_with_torch_on_one_step(pictures):
    config = tiny_vgg(
        dropout=0.0, epochs=1, prune_epochs=0, batch_size=24, augmentation="none",
        precision="float32", learning_rate=1e-12,
    )  # fmt: skip
    found = training.train([config], pictures, pictures)[0].model("unpruned")
    plain = training.build(config, (3, 32, 32), 10).train()
    with torch.no_grad():
        plain(pictures.images.float() / 255)
    for ours, theirs in zip(found.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "changes",
    # a channels-last kernel once met its Adam moments in another memory order
    [{}, {"architecture": "small_cnn", "widths": (4,), "augmentation": "none"}],
)
def test_a_cnn_continued_from_a_checkpoint_is_the_same_bit_for_bit(
    changes, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    config, path = tiny_vgg(**changes), tmp_path / "state.safetensors"
    undisturbed = training.train([config], pictures, pictures)[0]

    class Killed(Exception):
        pass

    def kill(phase, epoch, epochs):
        if (phase, epoch) == ("pruned", 2):
            raise Killed

    with pytest.raises(Killed):
        training.train([config], pictures, pictures, checkpoint=path, progress=kill)
    assert checkpoints.load(path, [config], pictures).epoch == 1
    again = training.train([config], pictures, pictures, checkpoint=path)[0]
    for stage, weights in undisturbed.weights.items():
        for name, weight in weights.items():
            assert torch.equal(weight, again.weights[stage][name]), (stage, name)


def test_every_kernel_of_a_pruned_vgg_is_sparse_and_nothing_else(pictures):
    model = training.train([tiny_vgg()], pictures, pictures)[0].model("pruned")
    for kernel in models.kernels(model):
        kept = int((kernel != 0).sum())
        # the schedule's last update comes before its last step
        assert kept <= 0.55 * kernel.numel()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((norm.weight != 0).all() for norm in norms)


def test_networks_with_batch_norm_are_no_stack(pictures):
    configs = [tiny_vgg(seed=seed) for seed in (0, 1)]
    with pytest.raises(ValueError, match="running statistics"):
        training.train(configs, pictures, pictures)


def test_augmentation_that_does_nothing_is_the_identity():
    images = torch.rand(3, 2, 5, 7)
    still = torch.zeros(3)
    none = torch.zeros(3, dtype=torch.bool)
    torch.testing.assert_close(warp(images, still, torch.zeros(3, 2), none), images)
    torch.testing.assert_close(warp(images, still, torch.zeros(3, 2), ~none), images.flip(-1))
    assert augment(images, "none", torch.Generator()) is images


def test_augmentation_shifts_by_pixels_and_repeats_the_edge():
    images = torch.arange(10.0).expand(1, 1, 10, 10)
    shifted = warp(images, torch.zeros(1), torch.tensor([[0.1, 0.0]]), torch.tensor([False]))
    expected = torch.tensor([*range(1, 10), 9.0])
    torch.testing.assert_close(shifted[0, 0], expected.expand(10, 10))


def test_augmentation_turns_by_a_quarter_like_rot90():
    images = torch.rand(1, 1, 6, 6)
    turned = warp(images, torch.tensor([torch.pi / 2]), torch.zeros(1, 2), torch.tensor([False]))
    quarter = (images.rot90(1, (2, 3)), images.rot90(-1, (2, 3)))
    assert any(torch.allclose(turned, other, atol=1e-5) for other in quarter)


@pytest.mark.parametrize("kind", ["described", "published"])
def test_augmentation_invents_no_brightness_and_repeats_with_the_seed(kind):
    images = torch.rand(16, 3, 32, 32)
    first, again = (augment(images, kind, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert first.min() >= images.min() - 1e-6
    assert first.max() <= images.max() + 1e-6


def test_augmentation_border():
    with pytest.raises(ValueError, match="sideways"):
        augment(torch.rand(1, 1, 4, 4), "sideways", torch.Generator())
    with pytest.raises(ValueError, match="images"):
        augment(torch.rand(4, 2), "described", torch.Generator())
    with pytest.raises(ValueError, match="augmentation must be one of"):
        TrainConfig("digits", 0, augmentation="sideways")


def test_a_new_field_leaves_old_keys_alone():
    assert "augmentation" not in cache.canonical(TrainConfig("digits", 0))
    assert cache.canonical(tiny_vgg())["augmentation"] == "described"
