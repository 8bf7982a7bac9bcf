"""Visualisations: closed forms, lucent, batches, random numbers, bad input."""

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import features, lesions, models, toys
from modgraph_lib.features import parametrisation
from modgraph_lib.lesions import Submodule


@pytest.fixture(scope="module")
def model():
    return models.mlp(64, 10, widths=(16, 12), seed=0)


def test_a_linear_unit_wants_the_signs_of_its_weights():
    """Its best image is 1 where the weight is positive and 0 elsewhere, or the other way round."""
    layer = nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[3.0, -0.1, 2, -0.2, 1, 4]])
    net = nn.Sequential(nn.Flatten(), layer, nn.ReLU(), nn.Linear(1, 2))
    seen = features.visualize(net, "1", [[0]], image_shape=(1, 2, 3), steps=400, seed=0)
    assert seen.images[0, 0].round().ravel().tolist() == [1, 0, 1, 0, 1, 1]
    assert seen.scores[0] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("kind", parametrisation.PARAMETRISATIONS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 6), (3, 6, 7)])
def test_our_images_are_lucents(kind, shape):
    pytest.importorskip("lucent")
    channels, height, width = shape
    spectrum = (height, width // 2 + 1 + width % 2, 2)
    tail = (height, width) if kind == "pixels" else spectrum
    start = torch.randn(4, channels, *tail, generator=torch.Generator().manual_seed(0))
    before = torch.random.get_rng_state()
    theirs = parametrisation.by_lucent(kind, shape, start)
    assert torch.equal(before, torch.random.get_rng_state())
    ours = parametrisation.own(kind, shape, start)
    assert torch.allclose(theirs[1](), ours[1](), atol=1e-6)


def test_a_batch_changes_nothing(model):
    groups = [[0, 1], [2, 3, 4], [5]]
    given = {"image_shape": (1, 8, 8), "steps": 20, "jitter": 0.5, "scale": 0.1, "seed": 3}
    whole = features.visualize(model, "3", groups, **given)
    apart = features.visualize(model, "3", groups, batch=1, **given)
    assert whole.scores == pytest.approx(apart.scores, rel=1e-3)
    assert whole.images == pytest.approx(apart.images, abs=1e-3)


def test_scores_and_entropy_are_those_of_the_final_image(model):
    seen = features.visualize(model, "1", [[0, 3]], image_shape=(1, 8, 8), steps=5, seed=0)
    image = torch.from_numpy(seen.images)
    hidden = image.flatten(1) @ model[1].weight.T + model[1].bias
    assert seen.scores[0] == pytest.approx(hidden[0, [0, 3]].abs().sum().item(), rel=1e-5)
    q = model(image).softmax(1)[0].detach().double().numpy()
    assert seen.entropy[0] == pytest.approx(-(q * np.log(q)).sum(), rel=1e-5)


def test_objectives_of_maps():
    net = models.small_cnn((1, 8, 8), channels=4, seed=0)
    for name, of in (
        ("l1", lambda m: m.abs().sum((1, 2))),
        ("spatial_mean", lambda m: m.mean((1, 2)).abs()),
    ):
        seen = features.visualize(
            net, "2", [[1, 2]], image_shape=(1, 8, 8), steps=3, objective=name, seed=0
        )
        box = []
        handle = net[2].register_forward_hook(lambda m, i, o, box=box: box.append(o))
        net(torch.from_numpy(seen.images))
        handle.remove()
        assert seen.scores[0] == pytest.approx(of(box[0][0])[[1, 2]].sum().item(), rel=1e-4)


def test_the_model_is_left_as_it_was_and_no_global_randomness_is_used(model):
    model.train()
    before = torch.random.get_rng_state(), [p.clone() for p in model.parameters()]
    np_before = np.random.get_state()[1].copy()  # noqa: NPY002
    features.visualize(model, "1", [[0]], image_shape=(1, 8, 8), steps=3, seed=0)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(np_before, np.random.get_state()[1])  # noqa: NPY002
    assert all(map(torch.equal, before[1], model.parameters()))
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert not model[1]._forward_hooks and all(p.grad is None for p in model.parameters())


def test_coherence_compares_with_the_random_sets_of_lesions(model):
    part = Submodule("1", 1, 2, np.array([0, 1, 2]), np.arange(16), 16)
    (one,) = features.coherence(
        model, [part], image_shape=(1, 8, 8), controls=3, steps=4, same_start=True, seed=5
    )
    masks = lesions.controls_of(part, 3, 5)
    seen = features.visualize(
        model, "1", list(masks), image_shape=(1, 8, 8), steps=4, seed=5,
        starts=[(5, 4, 1, 2, 0)] * 3,
    )  # fmt: skip
    assert one.random_scores == pytest.approx(seen.scores, rel=1e-5)


def test_units_of_one_strand_agree_better_than_random_ones():
    relay = toys.relay(4, units=6)
    found = features.coherence(
        relay.model, relay.parts[:4], image_shape=(1, 1, 4), controls=9, seed=0, steps=30
    )
    assert all(np.isfinite(one.random_scores).all() for one in found)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"units": []}, ValueError, "no group"),
        ({"units": [[]]}, TypeError, "a group is a list of units"),
        ({"units": [["unit 3"]]}, TypeError, "a group is a list of units"),
        ({"units": [[16]]}, ValueError, "go from 0 to 15"),
        ({"units": [np.zeros(9, dtype=bool)]}, ValueError, "has 16 units, a mask has 9"),
        ({"units": [np.zeros(16, dtype=bool)]}, ValueError, "nothing to excite"),
        ({"image_shape": (1, 9, 9)}, ValueError, "does not take images of shape"),
        ({"image_shape": (8, 8)}, ValueError, "channels, height, width"),
        ({"parametrisation": "clay"}, ValueError, "parametrisation is one of"),
        ({"objective": "l2"}, ValueError, "objective is one of"),
        ({"steps": 0}, ValueError, "steps must be"),
        ({"starts": [(0,), (1,)]}, ValueError, "as many starts"),
        ({"layer": "2"}, ValueError, "name a linear layer"),
        ({"layer": "nowhere"}, ValueError, "no layer 'nowhere'"),
    ],
)
def test_bad_input(model, change, kind, message):
    given = {"layer": "1", "units": [[0]], "image_shape": (1, 8, 8), "seed": 0, **change}
    with pytest.raises(kind, match=message):
        features.visualize(model, given.pop("layer"), given.pop("units"), **given)


def test_softmax_half_precision_and_silent_layers_are_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Softmax(1))
    with pytest.raises(ValueError, match="its units compete"):
        features.visualize(net, "2", [[0]], image_shape=(1, 8, 8), seed=0)
    with pytest.raises(ValueError, match="too coarse"):
        features.visualize(net.half(), "1", [[0]], image_shape=(1, 8, 8), seed=0)

    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aside = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x):
            return self.used(x.flatten(1))

    with pytest.raises(ValueError, match="never ran"):
        features.visualize(Aside(), "aside", [[0]], image_shape=(1, 2, 2), seed=0)
