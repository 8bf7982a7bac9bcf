"""ImageNet in class folders, torchvision's ResNets on it, and what large images need."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from book.lab import ledger
from book.lab.claims import papers_root
from book.papers.community_modularity.s01_curves import pretrained
from book.papers.community_modularity.s01_curves.pretrained import PretrainedConfig
from book.papers.community_modularity.settings import training_run
from modgraph_lib import communities, datasets
from modgraph_lib._torchvision import torchvision
from modgraph_lib.datasets import _fetch, _imagenet
from modgraph_lib.models import cifar_networks
from modgraph_lib.training.augment import augment


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODGRAPH_DATA", str(tmp_path / "nothing"))
    (tmp_path / "nothing").mkdir()


@pytest.fixture
def tree(tmp_path):
    """Two validation images and one training image of each of the fifty classes, unequal sizes."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for number, kind in enumerate(_imagenet.CLASSES_50):
        for split, count in (("train", 1), ("val", 2)):
            folder = root / "imagenet" / split / kind
            folder.mkdir(parents=True)
            for place in range(count):
                size = (20 + number % 3, 30) if place else (30, 20)
                colour = rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)
                pixels = np.broadcast_to(colour, (*size, 3)).copy()
                Image.fromarray(pixels).save(folder / f"{kind}_{place}.JPEG")
    return root


def test_the_fifty_classes_are_the_papers():
    with open(papers_root() / "tables/community_modularity/imagenet50_classes.csv") as file:
        assert tuple(row["wordnet_id"] for row in csv.DictReader(file)) == _imagenet.CLASSES_50


def test_load_from_class_folders(tree):
    test = datasets.load("imagenet50", "test", root=tree)
    assert test.images.shape == (100, 3, 224, 224) and test.images.dtype == torch.uint8
    assert test.classes == _imagenet.CLASSES_50
    assert torch.bincount(test.labels).tolist() == [2] * 50
    assert (test.labels[:20].diff() != 0).any()  # not class after class
    assert len(datasets.load("imagenet50", "train", root=tree)) == 50
    assert datasets.load("imagenet50", "test", root=tree) == test


def test_an_image_is_the_middle_of_its_shorter_side_at_256(tmp_path):
    # red left third, green middle, blue right: the central window keeps the green and some of both
    pixels = np.zeros((256, 768, 3), dtype=np.uint8)
    for third in range(3):
        pixels[:, 256 * third : 256 * (third + 1), third] = 255
    path = tmp_path / "stripes.png"
    Image.fromarray(pixels).save(path)
    found = _imagenet.read(path)
    assert found.shape == (3, 224, 224)
    torch.testing.assert_close(found.float().mean((1, 2)), torch.tensor([0.0, 255, 0]))


def test_missing_data_say_what_is_wanted(tree):
    with pytest.raises(datasets.DataMissing, match="no free download") as caught:
        datasets.load("imagenet50", "train")
    assert "imagenet/{train,val}/<class>/*.JPEG" in str(caught.value)
    assert "10 GB" in str(caught.value)
    for path in (tree / "imagenet/val/n01443537").iterdir():
        path.unlink()
    with pytest.raises(datasets.DataMissing, match="1 of 50 classes: n01443537"):
        datasets.load("imagenet50", "test", root=tree)
    assert _fetch.needs("imagenet50") == ("imagenet50",)


def test_a_file_that_is_no_image(tree):
    (tree / "imagenet/val/n01443537/n01443537_0.JPEG").write_bytes(b"no image")
    with pytest.raises(datasets.DataCorrupt, match="cannot be decoded"):
        datasets.load("imagenet50", "test", root=tree)


def test_all_of_imagenet_is_read_as_it_is_asked_for(tree):
    other = tree / "imagenet" / "val" / "n99999999"
    other.mkdir()
    Image.new("RGB", (30, 30)).save(other / "x.JPEG")
    items, classes = _imagenet.listing("imagenet", "test", [tree])
    assert len(items) == 101 and len(classes) == 51
    images, labels = _imagenet.sample("imagenet", np.array([0, 5]), tree)
    assert images.shape == (2, 3, 224, 224) and len(labels) == 2


def test_pretrained_path_on_random_weights(tree):
    config = PretrainedConfig("resnet18", samples=12, repeats=2)
    record = pretrained.run_one(config, root=tree)
    assert pretrained.run_one(config, root=tree) == record
    table = pretrained.table([record])
    assert table["layer"].max() == table["layers_in_all"].iloc[0] == 8
    assert len(table) == 2 * 8 and table["q"].between(-0.5, 1).all()
    model = pretrained.load(config)
    images, labels = _imagenet.sample(
        "imagenet50", np.random.default_rng(0).permutation(100)[:12], tree
    )
    curve = communities.modularity_curve(model, images, labels, layers=pretrained.blocks(model))
    np.testing.assert_allclose(table["q"][:8], curve.q, atol=1e-6)


def test_random_weights_decide_no_claim(tree):
    record = pretrained.run_one(PretrainedConfig("resnet18", samples=8, repeats=1), root=tree)
    results = {"community_pretrained": pretrained.table([record])}
    found = ledger.verdicts(results, ids=("CM-17", "CM-18", "CM-19"))
    assert set(found["verdict"]) == {"not run (needs ImageNet)"}


def test_pretrained_refuses():
    with pytest.raises(ValueError, match="network must be one of"):
        PretrainedConfig("vgg11")
    with pytest.raises(ValueError, match="weights must be one of"):
        PretrainedConfig("resnet18", "cifar10")
    with pytest.raises(FileNotFoundError, match="no weights of resnet101"):
        pretrained.load(PretrainedConfig("resnet101", "imagenet"), "nowhere")
    with pytest.raises(datasets.DataMissing, match="no free download"):
        pretrained.run_one(PretrainedConfig("resnet18"))


def test_large_images_get_the_stem_of_imagenet():
    ours = cifar_networks.build("resnet18", (3, 224, 224), 50, seed=0).eval()
    peer = torchvision.models.resnet18(num_classes=50)
    count = sum(parameter.numel() for parameter in peer.parameters())
    assert sum(parameter.numel() for parameter in ours.parameters()) == count
    shapes = {}
    for place in range(4):
        ours.stages[place].register_forward_hook(
            lambda module, inputs, output, place=place: shapes.update({place: output.shape[2]})
        )
    with torch.inference_mode():
        assert ours(torch.rand(1, 3, 224, 224)).shape == (1, 50)
    assert list(shapes.values()) == [56, 28, 14, 7]  # Table B4
    small = cifar_networks.build("resnet18", (3, 32, 32), 10, width=8, seed=0)
    assert small.stem[0].kernel_size == (3, 3) and len(small.stem) == 3


def test_resized_crops_stay_within_the_image_and_vary():
    ramp = torch.linspace(0, 1, 32).expand(200, 1, 32, 32).contiguous()
    found = augment(ramp, "resized_crop_flip", torch.Generator().manual_seed(0))
    assert found.shape == ramp.shape and found.min() >= 0 and found.max() <= 1
    slope = (found[:, 0, 16, -1] - found[:, 0, 16, 0]).numpy()
    assert 0.3 < (slope < 0).mean() < 0.7  # mirrored every other time
    width = np.abs(slope)
    assert width.min() > 0.2 and width.max() <= 1 and width.std() > 0.1
    # sides are the root of area times ratio, cut at the whole image
    rng = np.random.default_rng(0)
    area = rng.uniform(0.08, 1, 100_000)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), 100_000))
    assert width.mean() == pytest.approx(np.sqrt(area * ratio).clip(max=1).mean(), abs=0.05)
    assert training_run("vgg11", 0, data="imagenet50").augmentation == "resized_crop_flip"
