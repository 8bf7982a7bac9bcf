"""Q watched over epochs: resuming to the bit, what is measured when, and what it says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from book.lab import ledger, store
from book.papers.community_modularity import curves
from book.papers.community_modularity.s03_training import (
    experiment as training_time,
)
from book.papers.community_modularity.s03_training import (
    shapes as training_shapes,
)
from book.papers.community_modularity.s03_training.experiment import EpochConfig
from book.papers.community_modularity.settings import training_run
from modgraph_lib.training import checkpoints, sgd
from tests import made

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TRAIN = training_run(
    "vgg11", 0, data="digits", scale="short", width=4, epochs=4, images=300, precision="float32"
)
QUICK = {"samples": 50, "repeats": 2}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    return tmp_path


def watch(epoch=4, train=TRAIN):
    return training_time.run([EpochConfig(train, epoch, **QUICK)], device="cpu", workers=1)


def numbers(records):
    """Records without when and how long."""
    return [{name: r[name] for name in ("key", "config", "result")} for r in records]


def count_trained(monkeypatch):
    epochs = []
    before = sgd._epoch
    monkeypatch.setattr(sgd, "_epoch", lambda *a: (epochs.append(a[-1]), before(*a))[1])
    return epochs


# --- records --------------------------------------------------------------------------------


def test_a_killed_run_gives_the_same_records(folders, monkeypatch):
    whole = watch()
    assert [r["config"]["epoch"] for r in whole] == [0, 1, 2, 3, 4]
    monkeypatch.setenv("MODGRAPH_CACHE", str(folders / "other"))
    measure, seen = curves.curves_of, []

    def dies(*args, **options):
        seen.append(1)
        if len(seen) == 4:  # while looking at epoch 3, before its checkpoint
            raise KeyboardInterrupt
        return measure(*args, **options)

    monkeypatch.setattr(curves, "curves_of", dies)
    with pytest.raises(KeyboardInterrupt):
        watch()
    monkeypatch.setattr(curves, "curves_of", measure)
    epochs = count_trained(monkeypatch)
    assert numbers(watch()) == numbers(whole)
    assert epochs == [2, 3]  # two epochs were safe


def test_watching_ends_where_it_is_told_to_and_goes_on_when_asked(monkeypatch):
    early = watch(epoch=2)
    assert [r["config"]["epoch"] for r in early] == [0, 1, 2]
    assert len(store.read(training_time.EXPERIMENT.name)) == 3  # trained on, and no more looked at
    epochs = count_trained(monkeypatch)
    assert numbers(watch(epoch=2)) == numbers(early) and epochs == []
    # The finished network is in the cache and says nothing of early epochs: trained again.
    every = watch(epoch=4)
    assert epochs == [0, 1, 2, 3]
    assert numbers(every[:3]) == numbers(early)


def test_a_cached_network_is_the_one_that_is_watched():
    found = sgd.trained(TRAIN)
    records = watch()
    for entry, record in zip(found.history, records[1:], strict=True):
        assert record["result"]["test_accuracy"] == pytest.approx(entry["test_accuracy"])
    last = curves.run_one(curves.CurveConfig(TRAIN, **QUICK))
    assert last["result"]["curves"] == records[-1]["result"]["curves"]
    start = curves.run_one(curves.CurveConfig(TRAIN, "untrained", **QUICK))
    assert start["result"]["curves"] == records[0]["result"]["curves"]


def test_the_table_has_a_row_an_epoch_repeat_and_layer():
    rows = training_time.table(watch(epoch=2))
    assert len(rows) == 3 * 2 * 8
    accuracy = rows.groupby("epoch")["test_accuracy"].first()
    assert accuracy.isna().tolist() == [True, False, False]
    q = training_shapes.over_epochs(rows)
    assert q.shape == (3, 9) and q.index.tolist() == [0, 1, 2]
    assert set(training_time.table([])) <= set(rows)


@pytest.mark.parametrize("epoch", [-1, 5])
def test_epochs_there_are_not(epoch):
    with pytest.raises(ValueError, match=r"epoch lies in 0\.\.4"):
        EpochConfig(TRAIN, epoch)


# --- shapes ---------------------------------------------------------------------------------


def test_the_ends_are_quarters():
    assert training_shapes.ends(8) == ((1, 2), (7, 8))
    assert training_shapes.ends(13) == ((1, 2, 3), (11, 12, 13))
    assert training_shapes.ends(2) == ((1,), (2,))
    with pytest.raises(ValueError, match="two layers"):
        training_shapes.ends(1)


def by_hand(accuracy, *layers):
    columns = {i + 1: np.asarray(q, float) for i, q in enumerate(layers)}
    return pd.DataFrame({**columns, "test_accuracy": accuracy}, index=range(1, len(accuracy) + 1))


def test_swings_by_hand():
    table = by_hand([0.3, 0.5, 0.6], [0.1, 0.14, 0.12], [0.1, 0.5, 0.62])
    swings = training_shapes.swings(table)
    assert swings[1] == pytest.approx(0.04 / 0.5) and swings[2] == pytest.approx(0.52 / 0.5)
    assert np.isinf(training_shapes.swings(by_hand([0.1, 0.2], [0, 0.1], [0.1, 0.1]))[1])


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_proportional_curves_have_slope_one(seed, factor):
    accuracy = np.random.RandomState(seed).uniform(0.1, 0.9, 8)
    found = training_shapes.tracking(by_hand(accuracy, accuracy * 0, accuracy * factor))
    assert found.correlation == pytest.approx(1) and found.slope == pytest.approx(1)
    # Twice as steep as the line through the origin: Q = 2 acc - mean.
    steep = training_shapes.tracking(by_hand(accuracy, accuracy, 2 * accuracy - accuracy.mean()))
    assert steep.slope == pytest.approx(2)


def test_tracking_agrees_with_scipy():
    rng = np.random.RandomState(0)
    accuracy, deep = rng.uniform(size=9), rng.uniform(size=9)
    found = training_shapes.tracking(by_hand(accuracy, deep * 0, deep))
    peer = stats.linregress(accuracy, deep)
    assert found.correlation == pytest.approx(peer.rvalue)
    assert found.slope == pytest.approx(peer.slope * accuracy.mean() / deep.mean())


def test_nothing_to_track():
    for table in (by_hand([0.1, 0.2], [0, 1], [0, 1]), by_hand([0.5] * 3, [0, 1, 2], [0, 1, 2]),
                  by_hand([0.1, 0.2, 0.3], [1] * 3, [1] * 3)):  # fmt: skip
        assert np.isnan(training_shapes.tracking(table).correlation)
    with pytest.raises(ValueError, match="one network"):
        training_shapes.over_epochs(pd.DataFrame({"seed": []}))


# --- claims ---------------------------------------------------------------------------------


def pretend(network, layers, epochs=10, paper=False, missing=()):
    """Rows in which shallow layers stay and the deep ones are half the accuracy."""
    rows = []
    for seed in (0, 1):
        for epoch in range(epochs + 1):
            accuracy = 0.1 + 0.08 * epoch if epoch else np.nan
            for layer in range(1, layers + 1):
                q = 0.1 + 0.001 * (epoch % 2) if layer <= layers // 2 else 0.5 * accuracy
                if (seed, epoch) not in missing:
                    rows.append((seed, epoch, layer, q if epoch else 0.0, accuracy))
    frame = pd.DataFrame(rows, columns=["seed", "epoch", "layer", "q", "test_accuracy"])
    size = {"width": 0, "epochs": 150, "schedule": "steps"} if paper else {
        "width": 16, "epochs": 10, "schedule": "one_cycle"}  # fmt: skip
    fixed = {"stage": "trained", "samples": 500, "similarity": "cosine", "symmetrise": "mean",
             "sampling": "random", "layers": "described", "k": 3, "inside": 0.5,
             "best_accuracy": np.nan, "images": 0, "data": "cifar10"}  # fmt: skip
    frame = frame.assign(network=network, layers_in_all=layers, **size, **fixed)
    return made.configured(frame, made.epoch)


def test_claims_of_a_short_run_say_so():
    rows = pd.concat([pretend("resnet18", 8), pretend("vgg16", 13)])
    found = ledger.verdicts({"community_epochs": rows}, ids=("CM-23", "CM-24", "CM-25", "CM-26"))
    # how constant shallow layers are is a matter of the schedule, which a short run has not
    assert found["verdict"].tolist() == ["not run (needs GPU)"] * 2 + ["reproduced"] * 2
    assert set(found["scale"][2:]) == {
        "another recipe: width 16, the first 10 of 10 epochs, 2 of each"
    }
    assert [len(parts) for parts in found["parts"]] == [2, 3, 2, 2]
    moving = rows.assign(q=rows["q"] + 0.01 * rows["epoch"])
    found = ledger.verdicts({"community_epochs": moving}, ids=("CM-23", "CM-25"))
    assert found["verdict"].tolist() == ["not run (needs GPU)", "reproduced"]
    unmoved = rows.assign(q=0.7 - 0.1 * rows["test_accuracy"])
    found = ledger.verdicts({"community_epochs": unmoved}, ids=("CM-25",))
    assert found["verdict"].tolist() == ["not reproduced"]


def test_runs_with_gaps_do_not_count_and_the_paper_scale_comes_first():
    short = pretend("resnet18", 8)
    gap = pretend("resnet18", 8, missing=[(0, 4), (1, 10)])
    found = ledger.verdicts({"community_epochs": gap}, ids=("CM-23", "CM-25"))
    assert found["verdict"].tolist() == ["not run (needs GPU)", "not run yet"]
    paper = pretend("resnet18", 8, epochs=31, paper=True)
    found = ledger.verdicts({"community_epochs": pd.concat([short, paper])}, ids=("CM-25",))
    assert found["scale"].tolist() == ["paper"]
    empty = ledger.verdicts({}, ids=("CM-23", "CM-24", "CM-25", "CM-26"))
    assert set(empty["verdict"]) == {"not run yet", "not run (needs GPU)"}
