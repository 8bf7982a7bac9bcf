"""The grid of networks: records, what is predicted from them, and what may decide a claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from book.lab import ledger, store
from book.papers.cnn_dynamics import evidence, features, looks, predict, settings, zoo
from book.papers.cnn_dynamics.s01_graphs import sizes
from book.papers.cnn_dynamics.s02_training import explorer, measures
from book.papers.cnn_dynamics.s03_predicting import experiment as predictions
from book.papers.cnn_dynamics.s04_what_it_knows.measures import gain
from book.papers.cnn_dynamics.settings import OneGridParameters
from modgraph_lib import graphs, models, signatures
from modgraph_lib.training import zoo as trainer

RATES = (0.1, 0.03, 1e-4, 1e-6)


def member(rate, **options):
    options = {
        "data": "digits",
        "pixels": 16,
        "images": 150,
        "epochs": 2,
        "batch_size": 16,
    } | options
    return settings.member("lenet", rate, 0.2, **options)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGRAPH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield patch


@pytest.fixture(scope="module")
def records(cache):
    chunk = zoo.Chunk(tuple(member(rate) for rate in RATES))
    return zoo.run([chunk], device="cpu", workers=1)


def test_a_record_holds_the_course_of_a_network(records):
    result = records[0]["result"]
    assert {len(curve) for curve in result["curves"].values()} == {3}
    assert result["curves"]["train_loss"][0] is None
    names = set(result["signatures"])
    assert {"rolled.degree", "unrolled.negative.eigenvector"} <= names and len(names) == 8
    assert all(np.shape(table) == (3, 5) for table in result["signatures"].values())
    assert np.shape(result["layer_norms"]) == (3, 5)
    assert np.shape(result["degree_deciles"]) == (3, 11)
    assert set(result["weight_statistics"]) == {"0", "1"} and set(result["globals"]) == {"0"}


def test_the_first_signature_is_that_of_the_network_before_training(records):
    model = models.lenet((1, 16, 16), dropout=0.2, seed=records[0]["config"]["seed"])
    expected = signatures.signature(graphs.rolled_graph(model).degrees())
    np.testing.assert_allclose(records[0]["result"]["signatures"]["rolled.degree"][0], expected)
    again = zoo.EXPERIMENT.again(records[0])
    outcome, _ = zoo.EXPERIMENT.compare(records[0]["result"], again)
    assert outcome == "identical"


@pytest.mark.parametrize("together", [1, 2])
def test_records_do_not_depend_on_who_trains_together(records, tmp_path, monkeypatch, together):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    configs = [member(rate) for rate in RATES]
    chunks = [zoo.Chunk(tuple(configs[i : i + together])) for i in range(0, 4, together)]
    found = zoo.run(chunks, device="cpu", workers=1)
    for one, other in zip(found, records, strict=True):
        assert one["key"] == other["key"]
        assert one["result"]["curves"] == other["result"]["curves"]
        assert one["result"]["signatures"] == other["result"]["signatures"]


class Killed(Exception):
    pass


def test_a_killed_chunk_goes_on_and_keeps_what_was_done(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setattr(trainer.checkpoints, "EVERY_SECONDS", 0.0)
    options = {"patience": 3, "epochs": 5, "images": 500}
    chunk = zoo.Chunk(tuple(member(rate, **options) for rate in (1e-9, 0.1)))
    look = looks.look

    def killed(model, epoch, **options):
        if epoch == 5:
            raise Killed
        return look(model, epoch, **options)

    monkeypatch.setattr(looks, "look", killed)
    with pytest.raises(Killed):
        zoo.run([chunk], device="cpu", workers=1)
    assert zoo.EXPERIMENT.stored(chunk.members[0])["result"]["stopped"] == 4
    seen = []
    monkeypatch.setattr(looks, "look", lambda m, e, **o: seen.append(e) or look(m, e, **o))
    again = zoo.run([chunk], device="cpu", workers=1)
    assert min(seen) == 5
    assert not list((tmp_path / "checkpoints").glob("*"))
    monkeypatch.setattr(looks, "look", look)
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "other"))
    whole = zoo.run([chunk], device="cpu", workers=1)
    for one, other in zip(again, whole, strict=True):
        assert one["result"]["curves"] == other["result"]["curves"]
        assert one["result"]["signatures"] == other["result"]["signatures"]


def test_a_network_that_diverged_is_a_record_with_a_flag(cache):
    config = member(1e20)
    (record,) = zoo.run([zoo.Chunk((config,))], device="cpu", workers=1)
    assert record["result"]["diverged"] == 1
    assert len(record["result"]["signatures"]["rolled.degree"]) == 1
    table = zoo.table([record])
    x = features.matrix(table, "change.rolled.degree", [1, 5])
    assert (x == 0).all()
    assert np.isfinite(features.matrix(table, "loss+accuracy+norms+weights", [1, 5])).all()


def test_smaller_grids_are_parts_of_larger_ones():
    few = settings.chunks(OneGridParameters(), "lenet")
    parameters = OneGridParameters(
        mantissas=[1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5], dropouts=[i / 10 for i in range(10)]
    )
    many = settings.chunks(parameters, "lenet")
    whole = {c for chunk in many for c in chunk.members}
    assert len(whole) == len({c.seed for c in whole}) == 480
    assert {c for chunk in few for c in chunk.members} <= whole


@pytest.mark.parametrize(
    ("name", "epochs", "words"),
    [
        ("rolled.closeness", [1], "no features"),
        ("rolled.degree", [-1], "epochs 0 to 15"),
        ("rolled.degree", [16], "epochs 0 to 15"),
        ("accuracy", [], "epochs 0 to 15"),
    ],
)
def test_features_that_are_not_there_are_named(records, name, epochs, words):
    with pytest.raises(ValueError, match=words):
        features.matrix(zoo.table(records), name, epochs)


def test_features_by_hand(records):
    table = zoo.table(records)
    raw = np.array(table["signatures"].iloc[1]["rolled.degree"])
    x = features.matrix(table, "settings+change.rolled.degree", [1, 2])
    assert x.shape == (4, 12)
    np.testing.assert_allclose(x[1, :2], [np.log10(0.03), 0.2])
    np.testing.assert_allclose(x[1, 2:], (raw[1:] - raw[0]).ravel())
    np.testing.assert_allclose(features.matrix(table, "start.rolled.degree", [1])[1], raw[0])
    assert features.matrix(table, "unrolled.both.degree", [1]).shape == (4, 10)


def test_balanced_samples_and_their_limits():
    rng = np.random.default_rng(0)
    high = np.arange(40) < 12
    chosen = predict.balanced(high, rng)
    assert len(chosen) == len(set(chosen)) == 24 and high[chosen].sum() == 12
    assert len(predict.balanced(high, rng, each=7)) == 14
    for wrong in (np.arange(40) < 4, np.zeros(40, bool)):
        with pytest.raises(ValueError, match="needs 5 of each"):
            predict.balanced(wrong, rng)


@pytest.mark.parametrize("model", predict.CLASSIFIERS)
def test_what_can_be_told_is_told_and_shuffled_labels_are_not(model):
    rng = np.random.default_rng(1)
    high = np.arange(60) < 30
    x = np.stack([high + 0.1 * rng.normal(size=60), rng.normal(size=60)], 1)
    options = {"model": model, "draws": 4, "seed": 0}
    assert np.mean(predict.classify(x, high, permuted=False, **options)["scores"]) > 95
    assert 25 < np.mean(predict.classify(x, high, permuted=True, **options)["scores"]) < 75


def test_least_squares_finds_a_line_and_a_forest_keeps_groups_apart():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 2))
    y = 50 + 10 * x[:, 0]
    found = predict.regress(np.sign(x) * np.expm1(np.abs(x)), y, splits=3, seed=0)
    assert min(found["r2"]) > 0.999 and max(found["mae"]) < 0.1
    group = np.repeat(np.arange(8), 10)
    noise = rng.normal(size=8)[group]  # told by the group alone
    column = group[:, None].astype(float)
    near = predict.forest(column, noise, None, repeats=1, seed=0)
    apart = predict.forest(column, noise, group, repeats=1, seed=0)
    assert np.abs(near - noise).mean() < 0.1 < np.abs(apart - noise).mean()


def test_a_gain_is_the_difference_of_errors_with_an_interval_over_rates():
    accuracy = list(np.linspace(10, 60, 24))
    rates = [rate for rate in range(12) for _ in range(2)]
    facts = {"digest": "a", "rates": rates, "accuracy": accuracy}
    off = pd.Series({**facts, "predicted": [a + 4 for a in accuracy]})
    near = pd.Series({**facts, "predicted": [a - 1 for a in accuracy]})
    better, worse, same = gain(off, near), gain(near, off), gain(off, off)
    assert better.points == pytest.approx(3) and better.answer == "yes"
    assert worse.points == pytest.approx(-3) and worse.answer == "nothing that matters"
    assert (same.low, same.high, same.answer) == (0, 0, "nothing that matters")
    with pytest.raises(ValueError, match="different networks"):
        gain(off, near.replace("a", "b"))


def test_predictions_belong_to_the_networks_they_were_made_from(records, cache):
    shared = ("lenet", "digits", 16, 150, 2, "rolled.degree", (1, 2), "least squares")
    config = predictions.PredictionConfig(*shared, repeats=2)
    before = predictions.key(config)["networks"]
    zoo.run([zoo.Chunk((member(0.3),))], device="cpu", workers=1)
    assert predictions.key(config)["networks"] != before
    assert predictions.run([config], workers=1) == []  # fewer than ten networks


def test_two_copies_of_the_data_are_not_mixed(records, monkeypatch):
    other = {**records[1], "config": {**records[1]["config"], "data_fingerprint": "other"}}
    monkeypatch.setattr(predictions.store, "read", lambda name: [records[0], other])
    shared = ("lenet", "digits", 16, 150, 2, "rolled.degree", (1, 2), "svm")
    with pytest.raises(ValueError, match="data that differ"):
        predictions.networks_of(predictions.PredictionConfig(*shared))


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="no network 'lenet6'; there are lenet"):
        settings.member("lenet6", 0.1, 0.0)
    with pytest.raises(ValueError, match="dropout"):
        settings.member("lenet", 0.1, 1.0)


def _paper(record, **config):
    stored = {**record["config"], "data": "cifar10", "pixels": 32, "images": 0, "epochs": 50}
    return {**record, "config": {**stored, "batch_size": 128, **config}}


def test_only_the_papers_own_networks_decide(records):
    whole = zoo.table([_paper(record) for record in records])
    found = evidence.grid({"cnn_zoo": whole}, network="lenet")
    assert len(found) == 4 and set(found["scale"]) == {"4 of the paper's 480 networks"}
    for change in ({"momentum": 0.9}, {"batch_size": 64}, {"seed": 1}, {"patience": 5}):
        other = zoo.table([_paper(record, **change) for record in records])
        assert evidence.grid({"cnn_zoo": other}, network="lenet").empty, change
    small = zoo.table([_paper(record, **evidence.SMALL) for record in records])
    assert set(evidence.grid({"cnn_zoo": small}, network="lenet")["scale"]) == {
        "4 of the paper's 480 networks, 16 pixels, 5000 images, 15 epochs, "
        "half the paper's thresholds"
    }
    assert evidence.grid({"cnn_zoo": small}, network="lenet", whole=True).empty
    both = {"cnn_zoo": pd.concat([whole.assign(key=whole["key"] + "x"), small])}
    assert set(evidence.grid(both, network="lenet")["pixels"]) == {16}  # four are not enough
    assert set(evidence.grid(both, network="lenet", whole=True)["pixels"]) == {32}


@pytest.mark.parametrize(
    ("curve", "spikes"),
    [
        ([1, 1.5, 1.5, 1.5, 1.5, 1.5], True),
        ([1, 1.001, 1.001, 1.001, 1.001, 1.001], False),
        ([1, 1.1, 1.2, 1.3, 1.4, 1.5], False),
    ],
)
def test_what_counts_as_a_spike(curve, spikes):
    assert measures._spikes(np.array(curve)) == spikes


def test_claims_without_rows_are_not_run_and_counts_need_none():
    verdicts = ledger.verdicts({}, section="cnn_dynamics/01_graphs").set_index("id")["verdict"]
    assert verdicts["CD-32"] == verdicts["CD-48"] == "reproduced"
    assert verdicts["CD-40"] == "partly" and verdicts["CD-52"] == "not reproduced"
    assert verdicts["CD-29"] == "not run yet"


def test_widths_that_the_counts_leave_open():
    filters = (96, 256, 384, 384, 256)
    ten = sizes.dense_layouts(filters, 10, 2925, 1_160_480)
    hundred = sizes.dense_layouts(filters, 100, 3015, 1_206_560)
    assert set(ten) & set(hundred) == {(1024, 512)}
    assert ((64, 128, 128, 256, 256, 256, 256), (128, 128)) in sizes.vgg_layouts()


def test_the_explorer_holds_every_network_and_asks_nobody(records):
    page = explorer.explore(zoo.table(records), {records[0]["key"]: 12.34}).data
    assert page.count('"name"') == 4 and '"predicted":12.3' in page
    assert "http" not in page and "src=" not in page
    with pytest.raises(ValueError, match="at least one network"):
        explorer.explore(zoo.table([]))


def test_images_are_sized_by_means_or_repeats():
    digits, _ = zoo.pair("digits", 16, 0)
    plain, _ = zoo.pair("digits", 8, 0)
    assert (digits.images[:, 0, ::2, 1::2] == plain.images).all()
    with pytest.raises(ValueError, match="a divisor or a multiple of 8"):
        zoo.pair("digits", 20, 0)


def test_committed_records_are_those_of_real_images(records):
    assert not any(zoo.EXPERIMENT.keep(record) for record in records)
    assert zoo.EXPERIMENT.keep(_paper(records[0]))
    assert store.read("cnn_zoo") is not None
