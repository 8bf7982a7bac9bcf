"""Data sets: closed forms of the made ones, faults of the real ones, agreement with torchvision."""

import gzip
import hashlib

import numpy as np
import pytest
import torch
from hypothesis import settings

from modgraph_lib import cache, datasets
from modgraph_lib.datasets import (
    _fetch,
    _idx,
    _places,
)
from modgraph_lib.datasets.__main__ import main

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist(empty, monkeypatch):
    """MNIST's files with 40 + 20 made images, their checksums registered."""
    rng = np.random.RandomState(0)
    folder = empty / "MNIST" / "raw"
    folder.mkdir(parents=True)
    sums = {}
    for prefix, count in (("train", 40), ("t10k", 20)):
        for kind, array in (
            ("images-idx3-ubyte", rng.randint(0, 256, (count, 28, 28))),
            ("labels-idx1-ubyte", np.arange(count) % 10),
        ):
            content = idx_bytes(array)
            (folder / f"{prefix}-{kind}").write_bytes(content)
            sums[f"{prefix}-{kind}"] = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(_idx.SHA256, "mnist", sums)
    return empty


def tiny(name="tiny", count=30, size=4, classes=3, seed=0):
    rng = np.random.RandomState(seed)
    images = rng.randint(0, 256, (count, size, size)).astype(np.uint8)
    return datasets.make(name, torch.from_numpy(images), torch.arange(count) % classes)


# --- names and errors -----------------------------------------------------------------------


def test_digits_split_is_fixed_and_complete():
    train, test = datasets.load("digits", "train"), datasets.load("digits", "test")
    assert train.images.shape == (1498, 8, 8) and test.images.shape == (299, 8, 8)
    assert train.images.dtype == torch.uint8 and train.labels.dtype == torch.int64
    assert int(train.images.max()) == 255
    assert torch.bincount(test.labels).min() >= 29
    # No image is in both parts more often than scikit-learn's set holds duplicates (none).
    both = torch.cat([train.images, test.images]).reshape(1797, -1)
    assert len(torch.unique(both, dim=0)) == 1797
    assert train.fingerprint.startswith("b0ea0e92")
    assert datasets.load("digits", "train") == train != test


@pytest.mark.parametrize(
    ("name", "meant"), [("fashion-mnist", "fashion_mnist"), ("mnsit", "mnist"), ("line", "lines")]
)
def test_unknown_name_suggests(name, meant):
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        datasets.load(name, "train")


@pytest.mark.parametrize("name", ["", "mnist:separate", "lines+nothing", "lines+polynomials", 3])
def test_other_unknown_names(name):
    with pytest.raises(ValueError):
        datasets.load(name, "train")


def test_bad_split_and_seed():
    with pytest.raises(ValueError, match="split"):
        datasets.load("digits", "validation")
    for seed in (-1, 1.5, True, "42"):
        with pytest.raises(ValueError, match="seed"):
            datasets.load("digits", "train", seed=seed)


def test_missing_data_says_what_where_and_how(empty):
    with pytest.raises(datasets.DataMissing) as caught:
        datasets.load("mnist", "train", root=empty)
    text = str(caught.value)
    assert "'mnist'" in text and str(empty) in text
    assert "python -m modgraph_lib.datasets fetch mnist" in text
    for name in ("fashion_mnist", "cifar10", "cifar100", "tiny_imagenet", "lines+mnist"):
        with pytest.raises(datasets.DataMissing):
            datasets.load(name, "test")
    with pytest.raises(datasets.DataMissing, match="not a folder"):
        datasets.load("mnist", "train", root=empty / "typo")


def test_roots_in_order(empty, monkeypatch):
    a, b = empty / "a", empty / "b"
    monkeypatch.setenv("MODGRAPH_DATA", f"{a}:{b}:{a}")
    found = _places.roots(empty)
    assert found[:3] == [empty, a, b]
    assert found[3].parts[-3:] == ("data", "cache", "datasets")
    assert found[4] == cache.user_cache() and len(found) == 6
    assert _places.roots("") == found[1:]


# --- MNIST and its kin ----------------------------------------------------------------------


def test_idx_files_plain_and_gzipped(small_mnist):
    plain = datasets.load("mnist", "train", root=small_mnist)
    assert plain.images.shape == (40, 28, 28) and plain.classes == tuple("0123456789")
    for path in (small_mnist / "MNIST" / "raw").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert datasets.load("mnist", "train", root=small_mnist) == plain


@pytest.mark.parametrize("fault", ["truncated", "altered", "header", "empty"])
def test_damaged_idx_file_is_refused(small_mnist, fault):
    path = small_mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    if fault == "truncated":
        content = content[:-1]
    elif fault == "altered":
        content[500] ^= 1
    elif fault == "header":
        content[2] = 13
    else:
        content = b""
    path.write_bytes(content)
    with pytest.raises(datasets.DataCorrupt, match="train-images"):
        datasets.load("mnist", "train", root=small_mnist)
    assert len(datasets.load("mnist", "test", root=small_mnist)) == 20


def test_damaged_gzip_is_refused(small_mnist):
    path = small_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    with pytest.raises(datasets.DataCorrupt, match="cannot be read"):
        datasets.load("mnist", "test", root=small_mnist)


def test_sets_made_from_mnist_continue_one_stream(small_mnist):
    """The test set's draws follow the training set's, as in the published script."""
    rng = np.random.RandomState(42)
    train = datasets.load("mnist", "train", root=small_mnist)
    test = datasets.load("mnist", "test", root=small_mnist)
    for kind in ("same", "diff"):
        rng = np.random.RandomState(42)
        expected = [datasets.stack(part, kind, seed=rng) for part in (train, test)]
        name = f"mnist_stack_{kind}"
        loaded = [datasets.load(name, split, root=small_mnist) for split in ("train", "test")]
        assert loaded == expected and loaded[0].name == name
    seven = datasets.load("mnist_7x7", "test", root=small_mnist)
    assert seven.images.shape == (20, 7, 7)
    mixed = datasets.load("lines+mnist", "test", root=small_mnist)
    assert len(mixed) == 10_020 and mixed.classes[3] == "4 lines | 3"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_files_agree_with_torchvision(name):
    try:
        data = datasets.load(name, "test")
    except datasets.DataMissing:
        pytest.skip(f"{name} is not on this machine (set MODGRAPH_DATA)")
    assert data.images.shape == (10_000, 28, 28)
    from modgraph_lib._torchvision import torchvision

    folder = _idx.locate(name, _places.roots())
    kind = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name]
    if folder.parts[-2:] != (kind, "raw"):
        pytest.skip("not in torchvision's layout")
    peer = getattr(torchvision.datasets, kind)(folder.parents[1], train=False)
    assert torch.equal(peer.data, data.images) and torch.equal(peer.targets, data.labels)


# --- command line ---------------------------------------------------------------------------


def test_command_line(small_mnist, capsys):
    assert main(["list", "--root", str(small_mnist)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "ready" in lines["mnist"] and "missing cifar100" in lines["cifar100"]
    assert main(["fetch", "mnist_halves_diff", "--root", str(small_mnist)]) == 0
    assert "already here" in capsys.readouterr().out
    assert main(["fetch", "lines"]) == 0
    assert main(["fetch", "mnits"]) == 1
    assert "Did you mean" in capsys.readouterr().err
    assert main(["fetch", "tiny_imagenet"]) == 1
    assert "no download" in capsys.readouterr().err


def test_fetch_names_its_sources():
    assert _fetch.needs("mnist+cifar10_grey:separate") == ("mnist", "cifar10")
    assert _fetch.needs("fashion_mnist_stack_same") == ("fashion_mnist",)
    assert _fetch.needs("random") == ()


def test_fetch_replaces_a_damaged_file(small_mnist, monkeypatch):
    """What the network would deliver is handed over by a stand-in for the download."""
    from modgraph_lib._torchvision import torchvision

    folder = small_mnist / "MNIST" / "raw"
    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"rubbish")

    def deliver(addresses, target, file, md5):
        (target / file).write_bytes(gzip.compress(good[file.removesuffix(".gz")]))

    monkeypatch.setattr(_fetch, "_download", deliver)
    assert torchvision.datasets.MNIST.resources  # the table fetch walks through
    report = _fetch.fetch("mnist", root=small_mnist)
    assert "40 + 20 images" in report[-1] and len(report) == 2
    assert not list(small_mnist.glob(".fetch-*"))


# --- the record -----------------------------------------------------------------------------


def test_fingerprint_sees_type_shape_and_bytes():
    x = torch.zeros(4, 2, dtype=torch.uint8)
    prints = {
        datasets.fingerprint([t])
        for t in (x, x.reshape(2, 4), x.to(torch.int8), torch.ones_like(x), x.double())
    }
    assert len(prints) == 5
    assert datasets.fingerprint([x.t()]) == datasets.fingerprint([x.t().contiguous()])


def test_make_checks():
    images = torch.zeros(3, 2, 2, dtype=torch.uint8)
    assert datasets.make("own", images, [0, 2, 1]).classes == ("0", "1", "2")
    for bad in ([0, 1], [[0], [1], [2]], [0, 1, -1]):
        with pytest.raises(ValueError):
            datasets.make("own", images, bad)
    with pytest.raises(ValueError, match="classes"):
        datasets.make("own", images, [0, 1, 2], ("a", "b"))
    with pytest.raises(ValueError, match="uint8"):
        datasets.make("own", images.double(), [0, 1, 2])
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        datasets.make("own", images[0], [0, 1])
