"""Attacks against closed forms on linear classifiers, brute force, and the toolbox."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modgraph_lib import attacks
from modgraph_lib.attacks import _gradient as _gradient_attacks
from modgraph_lib.attacks import _pixel as _pixel_attacks

SHAPE = (1, 4, 4)
QUICK = {
    "cw": {"steps": 20, "searches": 2, "constant": 1.0},
    "one_pixel": {"population": 6, "generations": 2},
    "local_search": {"rounds": 10, "start_share": 1.0, "pixels": 2, "r": 1.9},
}


class Linear(nn.Module):
    """Two logits, w.x + b apart."""

    def __init__(self, weight, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weight, dtype=torch.float32).flatten())
        self.bias = bias

    def forward(self, images):
        lead = images.flatten(1) @ self.weight + self.bias
        return torch.stack([lead, -lead], 1) / 2


def images(count=6, shape=SHAPE, low=0.35, high=0.65, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, *shape, generator=generator)


def linear(seed=0, shape=SHAPE, lead=0.5):
    """A linear classifier that gives class 0 to ``images`` of this shape by about ``lead``."""
    weight = torch.randn(int(np.prod(shape)), generator=torch.Generator().manual_seed(seed))
    return Linear(weight, lead - 0.5 * float(weight.sum())).eval()


def network(seed=0, classes=4, channels=1):
    """Untrained, with all classes about equally likely, so that every attack has a chance."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, classes)
    )
    with torch.no_grad():
        model[3].bias -= model(torch.rand(200, channels, 4, 4)).mean(0)
    return model.eval()


def zeros(batch):
    return torch.zeros(len(batch), dtype=torch.long)


# --- FGSM and PGD -------------------------------------------------------------------------------


def test_fgsm_takes_the_best_corner_of_a_linear_model():
    model, x = linear(), images()
    moved = attacks.attack("fgsm", model, x, zeros(x), seed=0, eps=0.1)
    torch.testing.assert_close(moved, x - 0.1 * model.weight.sign().view(SHAPE))
    fall = 2 * (model(x) - model(moved))[:, 0]
    torch.testing.assert_close(fall, (0.1 * model.weight.abs().sum()).expand(6))


def test_fgsm_stays_inside_zero_and_one():
    model, x = linear(), images(low=0.0, high=1.0)
    moved = attacks.attack("fgsm", model, x, zeros(x), seed=0)
    torch.testing.assert_close(moved, (x - 0.3 * model.weight.sign().view(SHAPE)).clamp(0, 1))


def test_pgd_reaches_the_same_corner_when_its_steps_reach_across_the_ball():
    model, x = linear(), images()
    corner = x - 0.3 * model.weight.sign().view(SHAPE)
    moved = attacks.attack("pgd", model, x, zeros(x), seed=0, steps=60)
    torch.testing.assert_close(moved, corner.clamp(0, 1))


def test_pgd_by_default_ends_up_to_a_third_of_the_ball_short():
    model, x = linear(), images(count=20)
    moved = attacks.attack("pgd", model, x, zeros(x), seed=0)
    along = (x - moved) * model.weight.sign().view(SHAPE)
    # From a start in -0.3..0.3, forty steps of 0.01 reach 0.1 at least, and 0.3 at most.
    assert along.min() >= 0.1 - 1e-5
    assert along.max() <= 0.3 + 1e-5
    assert along.min() < 0.2


def test_pgd_repeats_with_its_seed_and_leaves_numpys_generator_alone():
    model, x = network(), images()
    labels = model(x).argmax(1)
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (attacks.attack("pgd", model, x, labels, seed=s, steps=5) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


# --- JSMA ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.booleans())
def test_best_pair_is_that_of_all_pairs(seed, width, rounded):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 3, width, generator=generator)
    if rounded:  # many ties
        a, b = a.round(), b.round()
    free = torch.rand(3, width, generator=generator) < 0.8
    pair, found = _gradient_attacks.best_pair(a, b, free)
    for row in range(3):
        scores = {
            (p, q): -float((a[row, p] + a[row, q]) * (b[row, p] + b[row, q]))
            for p in range(width)
            for q in range(p)
            if free[row, p] and free[row, q]
            if a[row, p] + a[row, q] > 0 and b[row, p] + b[row, q] < 0
        }
        assert bool(found[row]) == bool(scores)
        if scores:
            p, q = (int(index) for index in pair[row])
            got = scores[max(p, q), min(p, q)]
            assert got == pytest.approx(max(scores.values()), rel=1e-5)


def test_jsma_raises_the_two_values_that_a_linear_model_wants():
    weight = torch.zeros(16)
    weight[[3, 7, 9]] = torch.tensor([-5.0, -4.0, -3.0])  # raising these lowers class 0
    model, x = Linear(weight, 8.0).eval(), torch.full((1, *SHAPE), 0.5)
    moved = attacks.attack("jsma", model, x, zeros(x), seed=0)
    assert (moved != x).flatten().nonzero().flatten().tolist() == [3, 7]
    assert moved.flatten()[[3, 7]].tolist() == [1.0, 1.0]
    assert model(moved).argmax(1).item() == 1


def test_jsma_towards_the_images_own_class_takes_no_step():
    model, x = network(), images()
    labels = model(x).argmax(1)
    assert torch.equal(attacks.attack("jsma", model, x, labels, seed=0, towards="own"), x)


def test_jsma_changes_no_more_than_its_share_and_stops_when_it_fools():
    model, x = network(), images(count=20)
    labels = model(x).argmax(1)
    moved = attacks.attack("jsma", model, x, labels, seed=0, gamma=0.25)
    changed = (moved != x).flatten(1).sum(1)
    assert changed.max() <= 4
    assert (changed > 0).any()


# --- Carlini and Wagner -------------------------------------------------------------------------


def test_cw_finds_the_distance_to_the_plane():
    model, x = linear(lead=0.3), images()
    label = model(x).argmax(1)
    # Within a box large enough the nearest point of the other class is the foot on the plane.
    distance = (2 * model(x)[:, 0].abs() / model.weight.norm()).detach()
    moved = attacks.attack(
        "cw", model, x, label, seed=0, steps=300, searches=9, constant=0.01, rate=0.01
    )
    assert (model(moved).argmax(1) != label).all()
    found = attacks.sizes(x, moved)["l2"]
    torch.testing.assert_close(found, distance, rtol=0.05, atol=1e-3)
    assert (found >= distance - 1e-5).all()


def test_cw_is_never_farther_than_the_toolboxes():
    from art.attacks.evasion import CarliniL2Method
    from art.estimators.classification import PyTorchClassifier

    model, x = network(), images(count=4)
    labels = model(x).argmax(1)
    ours = attacks.attack("cw", model, x, labels, seed=0, steps=100, searches=4, constant=0.1)
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), SHAPE, 4, clip_values=(0, 1), device_type="cpu"
    )
    peer = CarliniL2Method(
        classifier, max_iter=10, binary_search_steps=4, initial_const=0.1, verbose=False
    )
    theirs = torch.from_numpy(peer.generate(x.numpy(), labels.numpy()))
    fooled = model(theirs).argmax(1) != labels
    assert fooled.any()
    assert (model(ours).argmax(1) != labels).all()
    nearest, other = (attacks.sizes(x, moved)["l2"][fooled] for moved in (ours, theirs))
    assert (nearest <= other * 1.05).all()


# --- attacks on pixels --------------------------------------------------------------------------


def one_pixel_model(place=6):
    """Class 1 once the pixel at ``place`` is above 0.9."""
    weight = torch.zeros(16)
    weight[place] = -1.0
    return Linear(weight, 0.9).eval()


@pytest.mark.parametrize("name", ["single_pixel", "one_pixel", "local_search"])
def test_attacks_on_pixels_find_the_pixel_that_matters(name):
    model, x = one_pixel_model(), images(low=0.69, high=0.71)
    # 0.7 is 0.2 on the scale -1/2..1/2; times 1.5 twice it is past 0.9. All pixels are tried.
    search = {"start_share": 1.0, "pixels": 1, "half_side": 4, "rounds": 3}
    options = {"one_pixel": {"population": 300, "generations": 20}, "local_search": search}
    moved = attacks.attack(name, model, x, zeros(x), seed=0, **options.get(name, {}))
    assert (model(moved).argmax(1) == 1).all()
    assert (attacks.sizes(x, moved)["pixels"] == 1).all()
    changed = (moved != x).flatten(1)
    assert changed[:, 6].all()


@pytest.mark.parametrize("name", ["single_pixel", "one_pixel"])
def test_one_pixel_of_a_colour_image_is_one_position(name):
    model, x = network(channels=3), images(count=20, shape=(3, 4, 4), low=0, high=1)
    labels = model(x).argmax(1)
    moved = attacks.attack(name, model, x, labels, seed=1, **QUICK.get(name, {}))
    pixels = (moved != x).any(1).flatten(1).sum(1)
    assert set(pixels.tolist()) <= {0, 1}
    assert pixels.sum() > 0
    fooled = model(moved).argmax(1) != labels
    assert torch.equal(fooled, pixels > 0)  # an image that was not fooled comes back as it was


def test_local_search_adds_up_or_starts_over():
    """Three equal pixels, all needed at 1: one a round gets there only if changes add up."""
    weight = torch.zeros(16)
    weight[[0, 5, 10]] = -1.0
    model, x = Linear(weight, 2.5).eval(), torch.full((1, *SHAPE), 0.7)
    options = {"start_share": 1.0, "pixels": 3, "half_side": 4, "rounds": 5}
    added = attacks.attack("local_search", model, x, zeros(x), seed=0, **options)
    over = attacks.attack("local_search", model, x, zeros(x), seed=0, **options, starting_over=True)
    # 0.7 is 0.2 on the scale -1/2..1/2: 0.3 after one round, 0.45 after two, so 0.95 each
    torch.testing.assert_close(added.flatten()[[0, 5, 10]], torch.full((3,), 0.95))
    assert model(added).argmax(1).item() == 1
    assert torch.equal(over, x)


def test_values_that_leave_come_back_at_the_other_end():
    values = torch.tensor([0.2, 0.5, 0.6, -0.5, -0.75])
    expected = torch.tensor([0.2, 0.5, -0.4, -0.5, 0.25])
    torch.testing.assert_close(_pixel_attacks._cyclic(values), expected)


def test_squares_around_pixels_stay_in_the_image_and_count_once():
    near = _pixel_attacks._around(np.array([[0, 0], [1, 1]]), 1, 4, 4)
    assert sorted(map(tuple, near)) == [(i, j) for i in range(3) for j in range(3)]


# --- normalised images that are clipped all the same --------------------------------------------


def test_in_a_normalised_space_images_end_between_mean_and_one_deviation_above():
    model, x = network(channels=3), images(count=8, shape=(3, 4, 4), low=0, high=1)
    mean = torch.tensor([0.49, 0.48, 0.45]).view(3, 1, 1)
    deviation = torch.tensor([0.20, 0.20, 0.20]).view(3, 1, 1)
    labels = model(x).argmax(1)
    space = (mean, deviation)
    for name in ("fgsm", "pgd", "jsma"):
        moved = attacks.attack(name, model, x, labels, seed=0, space=space)
        assert (moved >= mean - 1e-6).all()
        assert (moved <= mean + deviation + 1e-6).all()
    clipped = attacks.attack("jsma", model, x, labels, seed=0, space=space, towards="own")
    torch.testing.assert_close(clipped, torch.minimum(torch.maximum(x, mean), mean + deviation))


def test_pgd_in_a_normalised_space_is_the_plain_loop():
    """AdverTorch's loop: steps and projection around the image, every sum clipped to 0..1."""
    model, x = linear(seed=2), images(low=0.0, high=1.0)
    mean, deviation = torch.tensor(0.5), torch.tensor(0.2)
    moved = attacks.attack("pgd", model, x, zeros(x), seed=0, steps=60, space=(mean, deviation))
    z = (x - mean) / deviation
    corner = (z - 0.3 * model.weight.sign().view(SHAPE)).clamp(0, 1)
    torch.testing.assert_close(moved, corner * deviation + mean)


# --- gathering what was misled ------------------------------------------------------------------


@pytest.mark.parametrize("name", list(attacks.SETTINGS))
def test_collected_images_were_right_and_are_wrong(name):
    model, x = network(seed=1, channels=3), images(count=60, shape=(3, 4, 4), low=0, high=1)
    labels = model(x).argmax(1)
    labels[::5] = (labels[::5] + 1) % 4  # these the model gets wrong from the start
    weights = [p.clone() for p in model.parameters()]
    misled = attacks.collect(
        name, model, x, labels, samples=30, seed=0, batch_size=20, **QUICK.get(name, {})
    )
    assert 0 < len(misled.labels) <= 30
    assert (model(misled.originals).argmax(1) == misled.labels).all()
    assert (model(misled.adversarial).argmax(1) == misled.answers).all()
    assert (misled.answers != misled.labels).all()
    assert misled.adversarial.min() >= 0 and misled.adversarial.max() <= 1
    assert misled.success_rate == misled.succeeded / misled.attempted
    assert misled.attempted <= 48
    assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_collecting_ends_when_enough_or_out_of_attempts():
    model, x = network(), images(count=50)
    labels = model(x).argmax(1)
    few = attacks.collect("fgsm", model, x, labels, samples=3, seed=0, batch_size=10)
    assert len(few.labels) == 3
    assert few.attempted <= 20
    capped = attacks.collect("fgsm", model, x, labels, samples=50, seed=0, attempts=7, batch_size=5)
    assert capped.attempted == 7
    nothing = attacks.collect("fgsm", model, x, (labels + 1) % 4, samples=5, seed=0)
    assert nothing.attempted == 0
    assert np.isnan(nothing.success_rate)


def test_a_coarse_look_changes_the_attack_and_not_what_counts():
    model, x = network(), images(count=40)
    labels = model(x).argmax(1)
    misled = attacks.collect("pgd", model, x, labels, samples=20, seed=0, precision="bfloat16")
    assert (model(misled.adversarial).argmax(1) != misled.labels).all()


def test_sizes_by_hand():
    x = torch.zeros(1, 3, 2, 2)
    moved = x.clone()
    moved[0, :, 0, 0] = torch.tensor([0.3, 0.0, 0.4])
    moved[0, 0, 1, 1] = 0.001  # less than half a grey level
    found = {name: float(value) for name, value in attacks.sizes(x, moved).items()}
    assert found["pixels"] == 1
    assert found["linf"] == pytest.approx(0.4)
    assert found["l2"] == pytest.approx((0.25 + 1e-6) ** 0.5)


# --- what cannot be attacked --------------------------------------------------------------------


def test_what_cannot_be_attacked_is_named():
    model, x = network(), images()
    labels = model(x).argmax(1)
    with pytest.raises(ValueError, match="there are fgsm"):
        attacks.attack("fgms", model, x, labels, seed=0)
    with pytest.raises(ValueError, match="did you mean 'eps'"):
        attacks.attack("fgsm", model, x, labels, seed=0, epss=0.1)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        attacks.attack("fgsm", model, x * 3, labels, seed=0)
    with pytest.raises(ValueError, match="as many labels"):
        attacks.attack("fgsm", model, x, labels[:2], seed=0)
    with pytest.raises(ValueError, match="training mode"):
        attacks.attack("fgsm", network().train(), x, labels, seed=0)
    with pytest.raises(ValueError, match="precision"):
        attacks.collect("fgsm", model, x, labels, samples=2, seed=0, precision="float8")
    with pytest.raises(ValueError, match="samples"):
        attacks.collect("fgsm", model, x, labels, samples=0, seed=0)


def test_without_the_toolbox_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(attacks.importlib.util, "find_spec", lambda name: None)
    model, x = network(), images()
    labels = model(x).argmax(1)
    with pytest.raises(ModuleNotFoundError, match=r"modgraph-lib\[attacks\]"):
        attacks.attack("pgd", model, x, labels, seed=0)
    assert attacks.attack("jsma", model, x, labels, seed=0).shape == x.shape


def test_no_images_are_no_trouble_and_bytes_are_pixels():
    model = network()
    none = torch.zeros(0, *SHAPE)
    assert len(attacks.attack("cw", model, none, zeros(none), seed=0)) == 0
    grey = torch.full((1, *SHAPE), 51, dtype=torch.uint8)
    label = model(grey.float() / 255).argmax(1)
    moved = attacks.attack("fgsm", model, grey, label, seed=0, eps=0.0001)
    torch.testing.assert_close(moved, torch.full((1, *SHAPE), 0.2), atol=2e-4, rtol=0)
