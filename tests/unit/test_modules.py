"""Two networks in one: found, important, one-sided; and a relabelling by lot is none of it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

from book.papers.detecting_modularity.s02_twenty_numbers.experiment import dealt
from modgraph_lib import (
    activations,
    datasets,
    lesions,
    models,
    modules,
    partitions,
    pictures,
    proxies,
)

WIDTH = 32  # units of each strand in each hidden layer


def shown(split):
    """Digits below five in the left half of an image, the others in the right half."""
    data = datasets.load("digits", split)
    small = torch.nn.functional.avg_pool2d(data.images[:, None].float() / 255, (1, 2))[:, 0]
    images = torch.zeros(len(small), 8, 8)
    left = data.labels < 5
    images[left, :, :4] = small[left]
    images[~left, :, 4:] = small[~left]
    return images, data.labels


def both_halves():
    """Two digits that have nothing to do with each other, one a half."""
    images = datasets.load("digits", "train").images[:, None].float() / 255
    small = torch.nn.functional.avg_pool2d(images, (1, 2))[:, 0]
    return torch.cat([small, small.flip(0)], 2)


@pytest.fixture(scope="module")
def planted():
    """A trained network of two strands that never meet: left half to 0-4, right half to 5-9."""
    sizes = [64, 2 * WIDTH, 2 * WIDTH, 10]
    side = [torch.arange(64) % 8 >= 4]
    side += [torch.arange(size) >= size // 2 for size in sizes[1:]]
    layers = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    masks = [(b[:, None] == a[None, :]).float() for a, b in zip(side[:-1], side[1:], strict=True)]
    model = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    models.initialise(model, seed=0)
    images, labels = shown("train")
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    random = torch.Generator().manual_seed(0)
    # Units are dropped while it trains, so that half of a strand still knows its job.
    hooks = [
        model[i].register_forward_hook(
            lambda _, __, out: 2 * out * (torch.rand(out.shape[1], generator=random) < 0.5)
        )
        for i in (2, 4)
    ]
    for _ in range(400):
        with torch.no_grad():
            for layer, mask in zip(layers, masks, strict=True):
                layer.weight *= mask
        adam.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        adam.step()
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight *= mask
    return model.eval()


@pytest.fixture(scope="module")
def test_set():
    return shown("test")


def drops(model, parts, images, labels, seed):
    """Accuracy drops of parts, beside their random sets."""
    singles = lesions.single_lesions(
        model, parts, images, labels, controls=19, seed=seed, kind="activations", device="cpu"
    )
    return proxies.ProxyTest(
        [one.loss for one in singles], [one.intact - one.random for one in singles]
    )


@pytest.mark.parametrize("edges", partitions.EDGES)
def test_the_strands_are_found_and_matter(planted, test_set, edges):
    images, labels = test_set
    accuracy = (planted(images).argmax(1) == labels).float().mean()
    assert accuracy > 0.85
    both = both_halves()
    cut = partitions.partition(planted, edges=edges, k=2, images=both, seed=0)
    for row in cut.labels.values():
        true = np.repeat([0, 1], WIDTH)[row >= 0]
        assert adjusted_rand_score(true, row[row >= 0]) == 1
    given = {"edges": edges, "k": 2, "responses": both, "steps": 10, "device": "cpu"}
    found = modules.find(planted, images, labels, **given)
    assert found.tests["drop"].exact(ties="count") < 0.05
    assert found.tests["range"].exact(ties="count") < 0.05
    first = found.lesions[0]
    lost = found.intact - first.by_class
    assert np.ptp(lost) > 0.5 and min(lost[:5].mean(), lost[5:].mean()) < 0.1


def test_their_pictures_show_one_half(planted, test_set):
    images, _ = test_set
    cut = partitions.partition(planted, k=2, seed=0)
    heard = activations.pre_activations(planted, images)["1"]
    # Which half is lit goes with the label, so that pictures are taken where a half is lit.
    for part in partitions.subclusters(cut)[:2]:
        half = slice(0, 4) if part.units.min() < WIDTH else slice(4, 8)
        lit = images[:, :, half].flatten(1).sum(1) > 0
        units = pictures.unit_pictures(heard[lit], images[lit].numpy())
        picture = pictures.group_picture(units[part.units]).reshape(8, 8)
        assert pictures.one_sidedness(picture) > 0.95
        assert np.square(picture[:, half]).sum() > 0.95 * np.square(picture).sum()


def test_a_relabelling_by_lot_is_none_of_it(planted, test_set):
    images, labels = test_set
    own = partitions.subclusters(partitions.partition(planted, k=2, seed=0))
    p = []
    for number in range(100):
        test = drops(planted, dealt(own, seed=[number]), images, labels, number)
        p.append(test.fisher("random", seed=number))
    assert np.mean(np.array(p) > 0.05) >= 0.9


def test_the_report_says_what_it_found(planted, test_set):
    images, labels = test_set
    found = modules.find(
        planted, images, labels, k=2, steps=5, classes=[f"digit {i}" for i in range(10)],
        device="cpu",
    )  # fmt: skip
    text = found.summary(most=2)
    assert text.startswith("weights/global, 2 clusters: 4 sub-clusters in 2 layers")
    assert "accuracy lost by a lesion: p = " in text and "digit" in text
    assert text.count("\nlayer ") == 2
    assert len(found.figure(most=3).axes) == 6


def test_a_network_that_nothing_hurts(test_set):
    """A perfect network with a bias that decides: no damage to measure, and nothing is NaN."""
    images, _ = test_set
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        model[3].weight *= 0.001
        model[3].bias[:] = torch.tensor([9.0, 0.0])
    labels = torch.zeros(len(images), dtype=torch.long)
    found = modules.find(model, images, labels, k=2, steps=2, device="cpu")
    assert "no damage to measure" in found.summary() and "nan" not in found.summary()
    assert found.tests["drop"].fisher("count") > 0.9


def test_bad_input(planted, test_set):
    images, labels = test_set
    with pytest.raises(ValueError, match="10 classes, got 2 names"):
        modules.find(planted, images, labels, k=2, steps=1, classes=["a", "b"], device="cpu")
    with pytest.raises(ValueError, match="images are \\(N, C, H, W\\)"):
        modules._shape(torch.zeros(3))
    with pytest.raises(ValueError, match="controls must be"):
        modules.find(planted, images, labels, k=2, controls=0, device="cpu")
    with pytest.raises(ValueError, match="as many whole-number classes"):
        modules.find(planted, images, labels[:5], k=2, device="cpu")
