"""Part IV's ImageNet networks: the whole way, with random weights on made images of few classes."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from book.lab import run
from book.papers.detecting_modularity import measures
from book.papers.detecting_modularity.conditions import cell
from book.papers.detecting_modularity.s05_larger_networks import experiment, page, pretrained
from book.papers.detecting_modularity.s05_larger_networks.pretrained import Pretrained
from modgraph_lib import activations, features, lesions, models, report
from modgraph_lib.datasets import _imagenet
from modgraph_lib.features import _moved

CLASSES = ("n01440764", "n01443537", "n01484850")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Four validation images of each of three classes, 40x30 pixels."""
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(_imagenet, "SIZE", 32)
    monkeypatch.setattr(_imagenet, "SHORTER_SIDE", 32)
    rng = np.random.default_rng(0)
    for kind in CLASSES:
        for split in ("train", "val"):
            (tmp_path / "imagenet" / split / kind).mkdir(parents=True)
        for place in range(4):
            pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "imagenet/val" / kind / f"{place}.JPEG")
    return tmp_path


class Small(nn.Module):
    """A residual network of a few channels under torchvision's name for it."""

    def __init__(self) -> None:
        super().__init__()
        made = [nn.Conv2d(3, 8, 3, 4), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)]
        self.first, self.a, self.b = made
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.first(x).relu()
        x = (x + self.norm(self.b(self.a(x).relu()))).relu()
        return self.head(x.mean((2, 3)))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(report, "load_model", lambda name, arguments: Small())

    def fill(model, name, weights):
        assert weights == "there"

    monkeypatch.setattr(pretrained.imagenet, "fill", fill)


def missing(monkeypatch, results):
    """What the page says is missing, of ImageNet's three networks."""
    monkeypatch.setattr(page.ledger, "load_results", lambda: results)
    return page.not_run().data["missing"].iloc[-1], len(page.evidence())


def test_the_papers_own_rows_decide_and_are_stored_once(tree, small, monkeypatch):
    asked = [pretrained.asked(Pretrained("vgg16"), proxy) for proxy in ("drop", "score")]
    options = {"weights": "there", "device": "cpu", "workers": 1, "root": str(tree)}
    made = pretrained.run(asked, **options)
    assert made == pretrained.run(asked, **options)
    kinds = pretrained.LESIONS, pretrained.FEATURES
    results = {kind.name: kind.table([one]) for kind, one in zip(kinds, made, strict=True)}
    for kind, record in zip(kinds, made, strict=True):
        assert kind.keep(record) and len(record["result"]["partitions"]) == 5
    assert set(results["dm_imagenet_features"]["recipe"]) == {"described"}
    lesioned = made[0]["result"]
    assert sum(lesioned["classes"]) == 12 and "by_class" not in lesioned["partitions"][0]

    where = {"architecture": "vgg16", "data": "imagenet", "edges": "weights", "scope": "global"}
    for proxy in ("drop", "range", "score", "entropy"):
        own = cell(results, proxy=proxy, runs=1, **where)
        assert list(own.index) == [0] and own["test"][0].controls.shape[1] == 9
        assert cell(results, proxy=proxy, runs=1, **{**where, "architecture": "resnet18"}).empty
    found = {
        name: (len(rows), p) for name, rows, p, _ in measures.conditions_of(results, "drop", 5)
    }
    (count, p), (none, nothing) = found["VGG-16, weights/global"], found["ResNet18, weights/global"]
    assert count == 1 and 0 < p <= 1 and none == 0 and np.isnan(nothing)
    assert missing(monkeypatch, results) == ("2 of 3", 16)


@pytest.mark.parametrize("change", [
    {"controls": 19}, {"clusters": 12}, {"test_images": 0}, {"kind": "weights"}, {"responses": 9},
])  # fmt: skip
def test_any_other_setting_decides_nothing(tree, small, monkeypatch, change):
    config = pretrained.asked(Pretrained("vgg16"), "drop", **change)
    record = pretrained.run_one(config, weights="there", root=str(tree))
    results = {"dm_imagenet_lesions": pretrained.LESIONS.table([record])}
    (part, *_) = measures.dm_p_values(
        results, runs=1, architecture="vgg16", data="imagenet", proxy="drop"
    )
    assert part.runs == 0 and np.isnan(part.observed)
    assert missing(monkeypatch, results) == ("3 of 3", 0)


def test_the_section_asks_for_what_the_paper_measured_of_each():
    parameters = run.read_parameters(
        experiment.SECTION, changes={"imagenet_networks": ["vgg16", "vgg19", "resnet18"]}
    )
    wanted = experiment.of_imagenet(parameters)
    names = [(one.train.architecture, type(one).__name__) for one in wanted if one.clusters == 8]
    assert names == [
        ("vgg16", "PretrainedLesions"), ("vgg16", "PretrainedFeatures"),
        ("vgg19", "PretrainedFeatures"), ("resnet18", "PretrainedLesions"),
    ]  # fmt: skip
    assert {one.train.weights for one in wanted} == {"random"}
    assert not pretrained.LESIONS.keep({"config": {"train": {"weights": "random"}}})
    assert experiment.sweeps(parameters)[2].configs == wanted
    with pytest.raises(ValueError, match="architecture must be one of vgg16, vgg19, resnet18"):
        Pretrained("vgg11")


def test_networks_of_imagenet_count_one_each():
    rows = [pd.DataFrame(index=range(count)) for count in (5, 4, 1)]
    names = ("MLP, weights/global", "CNN, weights/global", "VGG-16, weights/global")
    found = [(name, some, 0.5, 1.0) for name, some in zip(names, rows, strict=True)]
    assert measures._runs(found) == 4 and measures._runs(found[2:]) == 1
    assert measures._runs([(names[0], rows[0], float("nan"), 1.0)]) == 0


def test_a_silent_channel_has_no_outgoing_weights():
    """What is called "activations" for ImageNet networks is what the released code does."""
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3)]
    net = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 4))
    net = models.initialise(net, seed=0).eval()
    net[1].bias.data.uniform_(1, 2, generator=torch.Generator().manual_seed(0))
    images = torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    masks = {"0": np.eye(6, dtype=bool)}
    silent, cut, kept = (
        lesions.lesion_accuracies(net, masks, images, net(images).argmax(1), kind=k, device="cpu")
        for k in ("activations", "outgoing", "weights_and_biases")
    )
    assert (silent.correct == cut.correct).all() and (kept.correct != cut.correct).any()


def test_large_images_are_taken_a_few_at_a_time(monkeypatch):
    net = models.initialise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(),
                                          nn.Linear(4 * 98 * 98, 3)), seed=0).eval()  # fmt: skip
    images = torch.rand(70, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    seen = []
    hook = net[0].register_forward_hook(lambda _, __, out: seen.append(len(out)))
    few = activations.pre_activations(net, images)["0"]
    hook.remove()
    assert max(seen) == 500 * 1024 // 10_000 and sum(seen) == 70
    whole = net[0](images).abs().sum((2, 3)).detach().numpy()
    np.testing.assert_allclose(few, whole, rtol=1e-4)


def test_a_quarter_turn_is_a_quarter_turn():
    images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))

    class Up:
        def uniform(self, *shape):
            return np.zeros(3) if len(shape) == 3 else 1.0

    turned = _moved(images, 0.0, 0.0, 90.0, Up())
    torch.testing.assert_close(turned, torch.rot90(images, 1, (2, 3)), atol=1e-5, rtol=0)
    options = {"image_shape": (1, 8, 8), "steps": 3, "seed": 0}
    net = models.initialise(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), seed=0)
    still, moved = (features.visualize(net, "0", [[0]], rotation=r, **options) for r in (0.0, 20.0))
    assert not np.array_equal(still.images, moved.images)
