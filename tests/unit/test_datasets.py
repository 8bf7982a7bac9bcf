"""Data sets: closed forms of the made ones, faults of the real ones, agreement with torchvision."""

import gzip
import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modgraph_lib import cache, datasets
from modgraph_lib.datasets import (
    _cache,
    _cifar,
    _fetch,
    _idx,
    _load,
    _places,
    _trees,
    constructed,
    resize,
)
from modgraph_lib.datasets.__main__ import main

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A home and working directory with no data anywhere; returns the data root."""
    for folder in ("home", "work", "root"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "checkout", lambda: None)
    monkeypatch.setattr(_places, "SYSTEM", tmp_path / "none")
    for variable in ("MODGRAPH_DATA", "MODGRAPH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "root"


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


# --- CIFAR: pickles and image trees ---------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (eval, ("1 + 1",))


def cifar_pickles(root, monkeypatch, last=None):
    """A CIFAR-10 folder of 2 x 3 + 2 images, its checksums registered."""
    rng = np.random.RandomState(1)
    folder = root / "cifar-10-batches-py"
    folder.mkdir()

    def put(file, content):
        packed = pickle.dumps(content, protocol=2)
        (folder / file).write_bytes(packed)
        return [file, hashlib.md5(packed, usedforsecurity=False).hexdigest()]

    def batch(count):
        return {"data": rng.randint(0, 256, (count, 3072)).astype(np.uint8),
                "labels": [int(x) for x in rng.randint(0, 10, count)]}  # fmt: skip

    class Table:
        train_list = [put("data_batch_1", batch(3)), put("data_batch_2", batch(3))]
        test_list = [put("test_batch", last or batch(2))]
        meta = dict(zip(
            ("filename", "md5"), put("batches.meta", {"label_names": list("abcdefghij")}),
            strict=True), key="label_names")  # fmt: skip

    monkeypatch.setattr(_cifar, "tables", lambda name: Table)
    # Python 3 writes an array's bytes in a roundabout way that Python 2's files do not have.
    latin1 = {("_codecs", "encode"): lambda text, encoding: text.encode("latin1")}
    monkeypatch.setattr(_cifar._ArraysOnly, "_allowed", _cifar._ArraysOnly._allowed | latin1)
    return folder


def test_reader_takes_arrays_as_python_2_wrote_them():
    written = (
        b"(dS'data'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I3\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x01\\xff\\x00'\ntbsS'labels'\n(lI6\nas."
    )
    read = _cifar._ArraysOnly(io.BytesIO(written), encoding="latin1").load()
    assert read["data"].dtype == np.uint8 and read["data"].tolist() == [1, 255, 0]
    assert read["labels"] == [6]


def test_cifar_pickles_are_checked_before_they_are_read(empty, monkeypatch):
    folder = cifar_pickles(empty, monkeypatch)
    data = datasets.load("cifar10", "train", root=empty)
    assert data.images.shape == (6, 3, 32, 32) and data.classes == tuple("abcdefghij")
    grey = datasets.load("cifar10_grey", "train", root=empty)
    assert grey.images.shape == (6, 28, 28) and torch.equal(grey.labels, data.labels)
    (folder / "data_batch_2").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(datasets.DataCorrupt, match="data_batch_2 differs"):
        datasets.load("cifar10", "train", root=empty)


def test_a_pickle_that_calls_functions_is_refused_even_with_its_checksum(empty, monkeypatch):
    cifar_pickles(empty, monkeypatch, last=Evil())
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        datasets.load("cifar10", "test", root=empty)


@pytest.fixture
def tree(empty, monkeypatch):
    """A cifar10 image tree of 2 classes with 3 + 2 PNG images each; returns the data root."""
    from PIL import Image

    spec = replace(_trees.TREES["cifar10"], counts={"train": 6, "test": 4}, classes=2)
    monkeypatch.setitem(_trees.TREES, "cifar10", spec)
    rng = np.random.RandomState(2)
    for split, count in (("train", 3), ("test", 2)):
        for kind in ("ant", "bee"):
            folder = empty / "cifar10" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.randint(0, 256, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return empty


def pack(root):
    with tarfile.open(root / "cifar10-jpeg.tar.xz", "w:xz") as archive:
        for path in sorted(root.glob("cifar10/*/*/*"), reverse=True):  # order must not matter
            archive.add(path, arcname=path.relative_to(root))


def test_tree_and_archive_give_the_same_data(tree):
    unpacked = datasets.load("cifar10", "train", root=tree)
    assert unpacked.images.shape == (6, 3, 32, 32) and unpacked.classes == ("ant", "bee")
    assert "not the original files" in unpacked.note
    pack(tree)
    (tree / "cifar10").rename(tree / "elsewhere")
    assert datasets.load("cifar10", "train", root=tree) == unpacked
    assert not (tree / "cifar10").exists()  # an archive is read, not unpacked


@pytest.mark.parametrize("fault", ["truncated", "altered", "empty"])
def test_damaged_cache_is_made_again_and_said_so(tree, fault, caplog):
    first = datasets.load("cifar10", "train", root=tree)
    (stored,) = (cache.user_cache() / "decoded").glob("cifar10-train-*")
    content = bytearray(stored.read_bytes())
    content = {"truncated": content[:-7], "altered": content, "empty": b""}[fault]
    if fault == "altered":
        content[-1] ^= 1
    stored.write_bytes(content)
    assert datasets.load("cifar10", "train", root=tree) == first
    assert [record.message.count("is damaged (") for record in caplog.records] == [1]
    caplog.clear()
    assert datasets.load("cifar10", "train", root=tree) == first and not caplog.records


def test_a_changed_tree_is_decoded_again(tree):
    from PIL import Image

    first = datasets.load("cifar10", "test", root=tree)
    Image.new("RGB", (32, 32)).save(tree / "cifar10" / "test" / "ant" / "0.png")
    assert datasets.load("cifar10", "test", root=tree) != first


@pytest.mark.parametrize("fault", ["fewer", "broken", "size"])
def test_faulty_trees(tree, fault):
    from PIL import Image

    path = tree / "cifar10" / "train" / "bee" / "1.png"
    if fault == "fewer":
        path.unlink()
    elif fault == "broken":
        path.write_bytes(path.read_bytes()[:100])
    else:
        Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(datasets.DataCorrupt):
        datasets.load("cifar10", "train", root=tree)


def test_broken_archive(tree):
    pack(tree)
    archive = tree / "cifar10-jpeg.tar.xz"
    archive.write_bytes(archive.read_bytes()[:2000])
    (tree / "cifar10").rename(tree / "elsewhere")
    with pytest.raises(datasets.DataCorrupt):
        datasets.load("cifar10", "train", root=tree)


def test_cache_that_cannot_be_written_is_no_error(tree, caplog):
    (cache.user_cache()).parent.mkdir(parents=True)
    cache.user_cache().write_text("a file where the folder should be")
    assert len(datasets.load("cifar10", "train", root=tree)) == 6
    assert "cannot be written" in caplog.text


def test_interrupted_cache_write_leaves_nothing(empty, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(_cache, "save_file", stop)
    with pytest.raises(KeyboardInterrupt):
        _cache.cached("key", lambda: {"x": torch.zeros(3)})
    assert list((cache.user_cache() / "decoded").iterdir()) == []


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


def test_fetch_unpacks_cifar_safely(empty, monkeypatch):
    source = empty / "source"
    source.mkdir()
    folder = cifar_pickles(source, monkeypatch)
    table = _cifar.tables("cifar10")
    table.url, table.filename, table.tgz_md5 = "x", "x.tar.gz", ""
    table.base_folder = "cifar-10-batches-py"

    def deliver(addresses, target, file, md5):
        with tarfile.open(target / file, "w:gz") as archive:
            archive.add(folder, arcname="cifar-10-batches-py")

    monkeypatch.setattr(_fetch, "_download", deliver)
    target = empty / "target"
    assert "6 + 2 images" in _fetch.fetch("cifar10", root=target)[0]

    def attack(addresses, target, file, md5):
        with tarfile.open(target / file, "w:gz") as archive:
            member = tarfile.TarInfo("../escaped")
            archive.addfile(member, io.BytesIO())

    monkeypatch.setattr(_fetch, "_download", attack)
    with pytest.raises(tarfile.OutsideDestinationError):
        _fetch.fetch("cifar10", root=empty / "other")
    assert not list(empty.rglob("escaped"))


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
