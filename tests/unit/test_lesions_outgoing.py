"""Outgoing weights cut, random sets by class, and captum's ablation of one group."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import lesions, models
from modgraph_lib.lesions import Submodule


def cut_by_hand(model, reader, columns):
    """A copy of the model whose layer ``reader`` does not read these inputs any more."""
    damaged = copy.deepcopy(model).eval()
    with torch.no_grad():
        damaged.get_submodule(reader).weight[:, columns] = 0
    return damaged


@pytest.fixture(scope="module")
def normed():
    """A batch norm after the ReLU, whose shift turns silence into a constant."""
    parts = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2)]
    parts += [nn.Conv2d(4, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)]
    model = models.initialise(nn.Sequential(*parts), seed=0)
    with torch.no_grad():
        model[2].bias[:] = 3.0
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def agreement(model, other, images):
    with torch.no_grad():
        return (model(images).argmax(1) == other(images).argmax(1)).float().mean().item()


@pytest.mark.parametrize(
    ("layer", "units", "reader", "columns"),
    [
        ("0", [0, 2], "4", [0, 2]),
        ("4", [1], "7", [4, 5, 6, 7]),  # a channel is four columns of the layer that reads it flat
    ],
)
def test_outgoing_weights_are_cut_as_by_hand(normed, images, layer, units, reader, columns):
    mask = np.zeros(normed.get_submodule(layer).out_channels, dtype=bool)
    mask[units] = True
    truth = normed(images).argmax(1)
    found = lesions.lesion_accuracies(
        normed, {layer: mask}, images, truth, kind="outgoing", device="cpu"
    )
    expected = agreement(normed, cut_by_hand(normed, reader, columns), images)
    assert found.overall[0] == pytest.approx(expected, abs=1 / 200)


def test_behind_a_batch_norm_incoming_and_outgoing_differ(normed, images):
    truth, mask = normed(images).argmax(1), np.array([True, True, False, False])
    found = {
        kind: lesions.lesion_accuracies(normed, {"0": mask}, images, truth, kind=kind, device="cpu")
        for kind in ("weights_and_biases", "outgoing")
    }
    assert found["outgoing"].overall[0] != found["weights_and_biases"].overall[0]


def test_without_a_norm_outgoing_is_silence():
    model = models.mlp(6, 3, widths=(9, 8), seed=0)
    images = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    truth = model(images).argmax(1)
    masks = {"1": np.random.default_rng(0).random((20, 9)) < 0.4}
    found = [
        lesions.lesion_accuracies(model, masks, images, truth, kind=kind, device="cpu").correct
        for kind in ("outgoing", "weights_and_biases")
    ]
    assert np.array_equal(*found)


def test_a_residual_sum_has_no_outgoing_weights_of_its_own():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.two(x + self.one(x).relu())

    with pytest.raises(ValueError, match="no outgoing weights of its own"):
        lesions.lesion_accuracies(
            Block(), {"one": np.ones(4, dtype=bool)}, torch.zeros(5, 4), torch.zeros(5).long(),
            kind="outgoing", device="cpu",
        )  # fmt: skip


def test_random_sets_by_class_add_up():
    model = models.mlp(6, 3, widths=(9, 8), seed=0)
    images = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
    truth = torch.arange(120) % 3
    part = Submodule("1", 1, 0, np.arange(3), np.arange(9), 9)
    (one,) = lesions.single_lesions(model, [part], images, truth, controls=7, device="cpu")
    assert one.random_by_class.shape == (7, 3)
    assert one.random_by_class.mean(1) == pytest.approx(one.random)
    masks = lesions.controls_of(part, 7, 0)
    again = lesions.lesion_accuracies(model, {"1": masks}, images, truth, device="cpu")
    assert np.array_equal(again.by_class, one.random_by_class)


def test_a_cluster_that_leaves_nothing_to_draw_ties_with_its_random_sets():
    model = models.mlp(6, 3, widths=(9, 8), seed=0)
    images = torch.randn(60, 6)
    part = Submodule("1", 1, 0, np.arange(9), np.arange(9), 9)
    (one,) = lesions.single_lesions(
        model, [part], images, torch.arange(60) % 3, controls=5, device="cpu"
    )
    assert (one.random == one.accuracy).all() and one.p_value() == 1


def test_classes_without_images_have_no_accuracy():
    model = models.mlp(6, 3, widths=(9,), seed=0)
    part = Submodule("1", 1, 0, np.arange(2), np.arange(9), 9)
    (one,) = lesions.single_lesions(
        model, [part], torch.randn(9, 6), torch.zeros(9).long(), controls=2, device="cpu"
    )
    assert np.isnan(one.random_by_class[:, 1:]).all() and np.isfinite(one.random).all()


def test_captum_ablates_alike():
    attr = pytest.importorskip("captum.attr")
    model = models.mlp(6, 3, widths=(9, 8), seed=0)
    images = torch.randn(80, 6, generator=torch.Generator().manual_seed(0))
    truth = model(images).argmax(1)
    mask = np.array([True] * 4 + [False] * 5)
    ours = lesions.lesion_accuracies(
        model, {"2": mask}, images, truth, kind="activations", device="cpu"
    )

    def right(x):
        return (model(x).argmax(1) == truth).float().sum()[None]

    ablation = attr.LayerFeatureAblation(right, model[2])
    lost = ablation.attribute(images, layer_mask=torch.from_numpy(mask).long()[None])
    assert len(truth) - ours.correct.sum() == pytest.approx(float(lost[0, 0]))
