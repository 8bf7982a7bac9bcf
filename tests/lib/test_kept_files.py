"""What is kept on disk is what was asked for, and what cannot be kept is told before the work."""

import errno
import os

import pytest
import torch
from safetensors import SafetensorError

from book.lab import parameters, store
from book.papers.clusterability.s06_your_own_network.experiment import YourOwnParameters
from modgraph_lib import cache, datasets, training
from modgraph_lib.training import SgdConfig, TrainConfig, checkpoints, loop, sgd

SMALL = TrainConfig("digits", 0, widths=(4,), epochs=1, prune_epochs=0, images=64)
PICTURES = SgdConfig("digits", "vgg11", seed=0, width=2, epochs=1, images=32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def only_network(folder):
    (path,) = (folder / "networks").iterdir()
    return path


def test_a_file_of_another_configuration_is_told_and_trained_anew(own_cache):
    other = training.trained(TrainConfig(**{**vars(SMALL), "seed": 1, "l1": 0.1}))
    only_network(own_cache).rename(training.cache_path(SMALL))
    with pytest.warns(UserWarning, match=r"another configuration's network \(l1, seed differ\)"):
        found = training.trained(SMALL)
    assert not torch.equal(found.weights["unpruned"]["1.weight"],
                           other.weights["unpruned"]["1.weight"])  # fmt: skip
    again = training.trained(SMALL)  # in its place now, so that no warning is given
    assert torch.equal(found.weights["unpruned"]["1.weight"], again.weights["unpruned"]["1.weight"])


def test_so_is_one_of_another_classifier(own_cache):
    sgd.trained(SgdConfig(**{**vars(PICTURES), "momentum": 0.5}))
    path = only_network(own_cache)
    sgd.trained(PICTURES)
    (mine,) = set((own_cache / "networks").iterdir()) - {path}
    path.replace(mine)
    with pytest.warns(UserWarning, match=r"\(momentum differ\)"):
        found = sgd.trained(PICTURES)
    assert found.config == PICTURES and checkpoints.load_network(mine, PICTURES)


def test_a_loss_that_does_not_fit_the_labels_is_refused():
    wrong = TrainConfig(**{**vars(SMALL), "loss": "mse"})
    with pytest.raises(ValueError, match="'mse' does not fit digits, whose labels are classes"):
        training.trained(wrong)
    targets = datasets.Dataset("line", torch.rand(9, 2), torch.rand(9, 2), ("x", "y"), "f")
    with pytest.raises(ValueError, match=r"labels are targets .*loss='mse'"):
        loop.train([SMALL], targets, targets)


@pytest.mark.parametrize("place", ["/proc/nothing", "/dev/null/cache"])
@pytest.mark.parametrize(
    "work",
    [
        lambda: training.trained(SMALL),
        lambda: sgd.trained(PICTURES),
        lambda: store.get("toy", 1, {"a": 1}),
        cache.check_writable,
    ],
)
def test_a_folder_that_cannot_be_written_is_named_before_the_work(place, work, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", place)
    monkeypatch.setattr(loop, "build", None)  # so that nothing can be trained
    monkeypatch.setattr(sgd, "fit", None)
    with pytest.raises(
        OSError, match=f"cannot be written.*{place}, or name another .*MODGRAPH_CACHE"
    ):
        work()


def test_a_full_disk_is_told_with_the_file(own_cache, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def rust(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"probe.* cannot be written: No space left") as caught:
            training.trained(SMALL)
        assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(checkpoints, "save_file", rust)
    with pytest.raises(OSError, match="safetensors cannot be written: I/O error: No space"):
        training.trained(SMALL)
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_a_folder_in_place_of_a_file_is_named(own_cache):
    key = cache.config_key("toy", 1, {"a": 1})
    for place in (own_cache / "records" / "toy" / f"{key}.json", training.cache_path(SMALL)):
        place.mkdir(parents=True)
    for read in (lambda: store.get("toy", 1, {"a": 1}), lambda: store.read("toy"),
                 lambda: training.trained(SMALL)):  # fmt: skip
        with pytest.raises(ValueError, match="is a folder where a file belongs; move it away"):
            read()
    with pytest.raises(OSError, match=f"{key}.json cannot be written: Is a directory"):
        store.put("toy", 1, {"a": 1}, {}, {})


@pytest.mark.parametrize("given", ["[3, 64, 64]", " [3, 64, 64] ", "3, 64, 64"])
def test_the_hint_for_a_list_given_as_text_can_be_followed(given):
    import yaml

    with pytest.raises(parameters.ParameterError) as caught:
        parameters.read({**vars(YourOwnParameters()), "input_shape": given}, YourOwnParameters)
    hint = str(caught.value).partition("write -y '")[2].partition("'\n")[0]
    followed = {**vars(YourOwnParameters()), **yaml.safe_load(hint)}
    assert parameters.read(followed, YourOwnParameters).input_shape == [3, 64, 64]
