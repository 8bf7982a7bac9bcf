"""CIFAR and its kin: pickles that may hold anything, image trees, and decoded copies."""

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from modgraph_lib import cache, datasets
from modgraph_lib.datasets import _cache, _cifar, _fetch, _trees


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
