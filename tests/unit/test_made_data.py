"""Made data sets and the resizing they rest on: closed forms, and agreement with torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgraph_lib import datasets
from modgraph_lib.datasets import _load, constructed, resize

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def tiny(name="tiny", count=30, size=4, classes=3, seed=0):
    rng = np.random.RandomState(seed)
    images = rng.randint(0, 256, (count, size, size)).astype(np.uint8)
    return datasets.make(name, torch.from_numpy(images), torch.arange(count) % classes)


# --- resizing -------------------------------------------------------------------------------


def test_no_blur_from_32_to_28_and_linear_ramps_survive():
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8), (2, 32, 32))
    assert np.array_equal(resize.blur(ramp, 28, 2), ramp)
    centres = (np.arange(28) + 0.5) * 32 / 28 - 0.5
    assert np.allclose(resize.shrink(ramp, 28, 28), centres * 8)


def test_grey_weights_and_order():
    colours = np.zeros((3, 3, 32, 32), dtype=np.uint8)
    for channel in range(3):
        colours[channel, channel] = 200
    grey = resize.grey_28(colours)
    assert [int(image[5, 5]) for image in grey] == [42, 143, 14]  # 42.5, 143.08, 14.42 rounded
    assert resize.to_grey(np.full((1, 3, 2, 2), 255)).max() == pytest.approx(255)


def test_interpolation_agrees_with_torch():
    images = np.random.RandomState(3).randint(0, 256, (4, 32, 32)).astype(np.uint8)
    peer = torch.nn.functional.interpolate(
        torch.from_numpy(images).double()[:, None], (28, 28), mode="bilinear", align_corners=False
    )[:, 0]
    assert np.allclose(resize.shrink(images, 28, 28), peer.numpy())


def test_halving_blurs_then_averages_pairs():
    images = np.random.RandomState(4).randint(0, 256, (5, 6, 28)).astype(np.uint8)
    # The Gaussian of deviation 1/2, cut at radius 2, by hand.
    kernel = np.exp(-2.0 * np.arange(-2, 3) ** 2)
    padded = np.pad(images.astype(float), [(0, 0), (0, 0), (2, 2)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=2)
    blurred = np.floor(windows @ (kernel / kernel.sum()) + 1e-9)
    means = (blurred[..., ::2] + blurred[..., 1::2]) / 2
    expected = means * 255 / means.max()
    assert np.abs(resize.halve_width(images) - expected).max() <= 0.5 + 1e-9


def test_halving_refuses():
    with pytest.raises(ValueError, match="even"):
        resize.halve_width(np.ones((1, 3, 3), np.uint8))
    with pytest.raises(ValueError, match="black"):
        resize.halve_width(np.zeros((1, 4, 4), np.uint8))


# --- made sets ------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(10, 60))
def test_pairs_follow_their_rules(seed, classes, count):
    labels = np.random.RandomState(seed % 1000).permutation(np.arange(count) % classes)
    rng = np.random.RandomState(seed)
    same = constructed.draw_pairs(labels, classes, "same", rng)
    assert np.array_equal(same[:, 0], np.arange(count))
    assert np.array_equal(labels[same[:, 1]], labels)
    smallest = np.bincount(labels).min()
    for kind in range(classes):  # partners come from the first n_min of the class
        members = np.flatnonzero(labels == kind)[:smallest]
        assert set(same[labels == kind, 1]) <= set(members)
    diff = constructed.draw_pairs(labels, classes, "diff", rng)
    assert diff.shape == (count, 2) and diff.min() >= 0 and diff.max() < count


def test_halves_and_stack_show_the_pairs():
    data = tiny()
    for kind in ("same", "diff"):
        pairs = constructed.draw_pairs(data.labels.numpy(), 3, kind, np.random.RandomState(7))
        stacked = datasets.stack(data, kind, seed=7)
        assert torch.equal(stacked.images[:, 0], data.images[pairs[:, 0]])
        assert torch.equal(stacked.images[:, 1], data.images[pairs[:, 1]])
        halved = datasets.halves(data, kind, seed=7)
        small = torch.from_numpy(resize.halve_width(data.images.numpy()))
        assert torch.equal(halved.images[:, :, :2], small[pairs[:, 0]])
        assert torch.equal(halved.images[:, :, 2:], small[pairs[:, 1]])
        labels = data.labels[torch.from_numpy(pairs)]
        expected = labels[:, 0] if kind == "same" else labels.sum(1) % 3
        assert torch.equal(stacked.labels, expected) and torch.equal(halved.labels, expected)
        assert halved == datasets.halves(data, kind, seed=7) != datasets.halves(data, kind, seed=8)


def test_pairs_refuse():
    with pytest.raises(ValueError, match="kind"):
        datasets.stack(tiny(), "similar")
    with pytest.raises(ValueError, match="no image"):
        datasets.stack(replace(tiny(), classes=("a", "b", "c", "d")), "same")
    with pytest.raises(ValueError, match="grey"):
        datasets.halves(datasets.stack(tiny(), "diff"), "diff")
    with pytest.raises(ValueError, match="no images"):
        datasets.stack(tiny().take(slice(0)), "diff")


def test_mixtures():
    first, second = tiny("a", classes=4), tiny("b", count=20, classes=4, seed=1)
    both = datasets.mixture(first, second, seed=5)
    assert both.name == "a+b" and len(both) == 50
    assert torch.equal(
        torch.bincount(both.labels), torch.bincount(torch.cat([first.labels, second.labels]))
    )
    apart = datasets.mixture(first, second, separate=True, seed=5)
    flat = {tuple(image.flatten().tolist()) for image in first.images}
    for image, label in zip(apart.images, apart.labels, strict=True):
        assert (tuple(image.flatten().tolist()) in flat) == (int(label) < 2)
    assert apart.name == "a+b:separate" and apart.classes == ("0", "1", "2", "3")
    with pytest.raises(ValueError, match="shapes differ"):
        datasets.mixture(first, tiny(size=6, classes=4))
    with pytest.raises(ValueError, match="classes"):
        datasets.mixture(first, tiny(classes=3))
    with pytest.raises(ValueError, match="equal halves"):
        datasets.mixture(tiny(), tiny(), separate=True)


def test_lines_are_counted():
    data = datasets.lines(3_000, seed=0)
    assert data.images.shape == (3_000, 28, 28) and set(data.images.unique().tolist()) == {0, 255}
    assert torch.equal(data.images, data.images[:, :1].expand_as(data.images))
    assert torch.equal((data.images[:, 0] == 255).sum(1), data.labels + 1)
    assert torch.bincount(data.labels).min() > 240  # 300 expected, 4 deviations below is 235
    columns = (data.images[:, 0] == 255).double().mean(0)
    assert (columns - 5.5 / 28).abs().max() < 0.04
    with pytest.raises(ValueError, match="most"):
        datasets.lines(5, size=4, most=5)
    with pytest.raises(ValueError, match="count"):
        datasets.lines(0)


def test_random_images_stream_does_not_depend_on_chunks(monkeypatch):
    expected = datasets.random_images(50, size=5, seed=3)
    monkeypatch.setattr(constructed, "_CHUNK", 7)
    assert datasets.random_images(50, size=5, seed=3) == expected
    rng = np.random.RandomState(3)
    assert np.array_equal(expected.images.numpy(), rng.randint(0, 256, (50, 5, 5)))
    assert np.array_equal(expected.labels.numpy(), rng.randint(0, 10, 50))


def test_polynomials():
    data = datasets.polynomials(20, seed=1)
    x, y = data.images.double().T
    value = dict(zip(data.classes, data.labels.double().T, strict=True))
    assert len(value) == 512  # all names differ
    assert torch.equal(value["0"], torch.zeros(20).double())
    assert torch.equal(value["1"], torch.ones(20).double())
    assert torch.allclose(value["xy^2"], x * y**2, atol=1e-5)
    assert torch.allclose(value["1 + y + x^2y^2"], 1 + y + x**2 * y**2, rtol=1e-5, atol=1e-5)
    whole = sum(x**i * y**j for i in range(3) for j in range(3))
    assert torch.allclose(value[data.classes[-1]], whole, rtol=1e-4, atol=1e-4)


def test_memorisation_set_is_the_beginning_of_the_noise(monkeypatch):
    monkeypatch.setattr(_load, "COUNTS", {"train": 50, "test": 20})
    monkeypatch.setattr(_load, "MEMORISED", 30)
    noise, few = (datasets.load(n, "train") for n in ("random", "random_memorisation"))
    assert torch.equal(noise.images[:30], few.images) and torch.equal(noise.labels[:30], few.labels)
    assert few.name == "random_memorisation"
    test = datasets.load("random", "test")
    assert len(test) == 20 and not torch.equal(test.images, noise.images[:20])
    assert datasets.load("random", "test", seed=1) != test
