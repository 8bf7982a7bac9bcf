"""Made tasks: configurations, second looks, measurements, toys, pictures."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from book.lab import store
from book.lab.parameters import ParameterError, read
from book.lab.registry import measurement
from book.papers.clusterability.s02_halves_and_polynomials import experiment as tasks
from book.papers.clusterability.s02_halves_and_polynomials import measures as measured
from book.papers.ncut import mixtures, mlps, second_looks
from book.papers.ncut import settings as paper
from book.papers.ncut import task_page as shown
from book.papers.ncut import task_pictures as pictures
from modgraph_lib import clustering, graphs, models, toys, training
from tests import made

SMALL = {"width": 16, "batch_size": 64, "epochs": 1, "prune_epochs": 1}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


# --- what is run


def test_paper_scale_of_the_2021_tasks():
    p = tasks.TasksParameters(
        halves=["mnist"], mixtures=list(tasks.PAPER_MIXTURES), seeds=5, width=256, batch_size=128,
        points=0, epochs=20, prune_epochs=20,
    )  # fmt: skip
    halves = tasks.halves_networks(p)
    assert {c.train.data for c in halves} == {"mnist_halves_same", "mnist_halves_diff"}
    assert len(halves) == 5 * 2 * 2 and all(c.cluster_counts == (12,) for c in halves)
    assert {c.train.loss for c in tasks.polynomial_networks(p)} == {"mse"}
    blends = tasks.mixture_networks(p)
    assert {c.stage for c in blends} == {"pruned"}
    assert len(blends) == 5 * 4 * 2
    # the records of section 01 are found again, not made twice
    alone = mlps.NcutConfig(mlps.condition("mnist", "none", 0), "pruned", (12,), 50)
    assert alone in blends


def test_paper_scale_of_the_2020_mixtures():
    p = mixtures.MixturesParameters(
        mixtures=list(mixtures.PAPER), seeds=10, shuffles=320, width=256, batch_size=128
    )
    configs = mixtures.mixture_networks(p)
    assert len(configs) == 10 * 9 * 2
    by_data = {c.train.data: c for c in configs if c.train.dropout}
    assert by_data["mnist+cifar10_grey"].train.prune_epochs == 40
    assert by_data["mnist+cifar10_grey"].train.dropout == 0.2
    assert by_data["lines"].cluster_counts == (4,)
    assert by_data["mnist"].cluster_counts == (2, 4, 7, 10)  # as in section 01
    published = dataclasses.replace(p, variant="published")
    epochs = {c.train.data: c.train.epochs for c in mixtures.mixture_networks(published)}
    assert epochs["lines+cifar10_grey"] == 30 and epochs["lines+mnist"] == 20


def test_parameters_are_checked():
    with pytest.raises(ParameterError, match="A\\+B"):
        read({"mixtures": ["digits"], **_others(mixtures.MixturesParameters)},
             mixtures.MixturesParameters)  # fmt: skip
    with pytest.raises(ValueError, match="cannot be found"):
        tasks.TasksParameters(width=2, clusters=600)
    assert mixtures.with_constituents(["a+b", "a+c:separate"]) == [
        "a", "b", "c", "a+b", "a+c:separate",
    ]  # fmt: skip
    for bad in ("a", "a+", "a+b+c"):
        with pytest.raises(ValueError, match="A\\+B"):
            mixtures.constituents(bad)
    assert paper.of("digits+digits_halves_same").inputs == 64


def _others(cls) -> dict:
    return {
        field.name: getattr(cls(), field.name)
        for field in dataclasses.fields(cls)
        if field.name != "mixtures"
    }


def test_a_small_run_end_to_end():
    p = mixtures.MixturesParameters(
        mixtures=["digits+digits_halves_same"], regularizers=["none"], seeds=1, clusters=3,
        shuffles=4, **SMALL,
    )  # fmt: skip
    table = mlps.table(mlps.run(mixtures.mixture_networks(p), device="cpu", workers=1))
    assert len(table) == 3
    frame = mixtures.against_constituents(table, p.mixtures)
    assert frame["networks"].tolist() == [1]
    assert mixtures.against_constituents(table, ["a+b"]).empty
    assert (
        pictures.mixtures(frame, k=3).axes[0].get_yticklabels()[0].get_text().startswith("Digits")
    )
    shown.mixture_table(frame, name="t")


def test_position_of_a_mixture():
    rows = pd.DataFrame(
        [
            {"data": data, "regularizer": "none", "ncut": value}
            for data, value in (("a", 1.0), ("a", 1.2), ("b", 2.1), ("a+b", 1.6), ("c", 3.0),
                                ("b+c", 1.0))
        ]
    )  # fmt: skip
    frame = mixtures.against_constituents(rows, ["a+b", "b+c"]).set_index("mixture")
    assert frame.loc["a+b", "position"] == pytest.approx(0.5)
    assert frame.loc["b+c", "position"] < 0
    assert frame.loc["a+b", "lower_sd"] == pytest.approx(0.02**0.5)


# --- second looks


def test_penalty_is_what_training_adds():
    """The gradient that training adds is the gradient of the penalty."""
    train = mlps.condition("digits", "l2", 0, variant="published", **SMALL)
    train = dataclasses.replace(train, l1=0.01)
    model = models.mlp(4, 3, widths=(5,), seed=0)
    first, second = models.kernels(model)
    by_hand = (0.01 + 5e-5) * first.abs().sum() + 0.01 * second.abs().sum()
    by_hand = by_hand + 5e-5 * second.square().sum()
    assert second_looks.penalty(model, train) == pytest.approx(by_hand.item())
    plain = mlps.condition("digits", "none", 0, **SMALL)
    assert second_looks.penalty(model, plain) == 0


def test_dropout_modes_agree_without_dropout_and_differ_with():
    images, labels = torch.randn(400, 6), torch.randint(0, 3, (400,))
    plain = models.mlp(6, 3, widths=(8,), seed=0)
    off, on = second_looks.dropout_modes(plain, images, labels)
    assert off == on == training.evaluate(plain, images, labels)[1]
    noisy = models.mlp(6, 3, widths=(8,), dropout=0.5, seed=0)
    labels = plain.eval()(images).argmax(1)
    off, on = second_looks.dropout_modes(noisy, images, labels)
    assert off == 1 and on < 1 and not noisy.training


def test_looks_are_stored_and_found_again():
    train = mlps.condition("digits", "dropout", 0, images=200, **SMALL)
    looks = [second_looks.LookConfig(train, stage) for stage in ("unpruned", "pruned")]
    for experiment in (second_looks.PENALTY, second_looks.DROPOUT_MODES):
        records = experiment.run(looks, workers=1)
        assert records == experiment.run(looks, workers=1)
        assert len(store.read(experiment.name)) == 2
    modes = second_looks.dropout_modes_table(store.read("mlp_dropout_modes"))
    metrics = training.trained(train).metrics
    row = modes.set_index("stage").loc["pruned"]
    assert row["test_off"] == pytest.approx(metrics["pruned"]["test_accuracy"])
    assert row["train_off"] == pytest.approx(metrics["pruned"]["train_accuracy_final"])
    penalties = second_looks.penalty_table(store.read("mlp_penalty"))
    assert (penalties["test_loss_penalised"] == penalties["test_loss"]).all()
    with pytest.raises(ValueError, match="stage is"):
        second_looks.LookConfig(train, "later")
    # a small network is no evidence
    assert shown.dropout_modes(shown.dropout_rows(), name="t").data.startswith("*Not run yet")
    assert shown.losses(name="t").data.startswith("*Not run yet")
    assert shown.dropout_modes(modes, name="t").data["networks"].tolist() == [1, 1]
    assert len(pictures.dropout_modes(modes).axes) == 2
    assert "Not run yet" in shown.dropout_in_words(modes, "mnist").data
    said = shown.dropout_in_words(modes, "digits").data
    assert "mean of 1:" in said and f" and {row['test_off']:.0%}." in said
    with pytest.raises(ValueError, match="nothing has been run"):
        pictures.dropout_modes(modes.iloc[:0])


# --- measurements


def cell_rows(data, ncuts, *, stage="pruned", regularizer="none", k=12, **changes):
    usual = paper.of(data)
    return pd.DataFrame(
        {
            "data": data, "regularizer": regularizer, "stage": stage, "k": k, "seed": seed,
            "variant": "described", "epochs": usual.epochs, "prune_epochs": usual.prune_epochs,
            "batch_size": 128, "width": 256, "images": 0, "nodes": usual.nodes, "isolated": 0,
            "method": "layer", "shuffles": paper.SHUFFLES[k],
            "dropout": usual.dropout if regularizer == "dropout" else 0.0, "ncut": ncut,
            "shuffled": np.full(paper.SHUFFLES[k], 10.0), "shuffle_mean": 10.0,
            "shuffle_std": 0.1, "p_value": 0.5, "significant": True, "test_accuracy": 0.3,
            "train_accuracy": 0.9, "test_loss": 0.01 * (seed + 1), "key": f"{data}{stage}{seed}",
            **changes,
        }
        for seed, ncut in enumerate(ncuts)
    )  # fmt: skip


def results(*frames):
    return {"mlp_ncut": made.configured(pd.concat(frames, ignore_index=True), made.mlp)}


def test_halves_are_compared_both_ways():
    found = results(
        *(
            cell_rows(f"mnist_halves_{kind}", ncuts, stage=stage)
            for stage in ("unpruned", "pruned")
            for kind, ncuts in (("same", (9.0, 9.2, 9.4)), ("diff", (8.0, 8.2, 8.4)))
        )
    )
    for part in measurement("halves_z_gap")(found, data="mnist", k=12, runs=5):
        assert part.observed == pytest.approx(10.0)  # a gap of 1 at an SD of 0.1
        assert part.spread == pytest.approx(2**0.5 * 2.0 / 3**0.5)
    for part in measurement("halves_ncut_excess")(found, data="mnist", k=12, runs=5):
        assert part.observed == pytest.approx(-1.0)
    highest = measurement("halves_highest_ncut")(found, data="mnist", k=12, runs=5)
    assert [part.observed for part in highest] == [9.4, 8.4] * 2


def test_losses():
    found = results(
        *(cell_rows("polynomials", (9.0,) * 5, stage=s) for s in ("unpruned", "pruned")),
        *(
            cell_rows("polynomials", (9.0,) * 5, stage=s, regularizer="dropout", test_loss=0.5)
            for s in ("unpruned", "pruned")
        ),
    )
    at = {"data": "polynomials", "k": 12, "runs": 5}
    low, high = measurement("loss_extremes")(found, regularizer="none", **at)
    assert (low.observed, high.observed, low.runs) == (0.01, 0.05, 5)
    (share,) = measurement("share_of_losses_between")(
        found, regularizer="none", least=0.005, most=0.02, **at
    )
    assert share.observed == pytest.approx(0.4)
    for part in measurement("loss_excess")(found, regularizer="dropout", **at):
        assert part.observed == pytest.approx(0.47)
    means = measurement("test_loss")(found, regularizers=("none",), **at)
    assert [part.observed for part in means] == pytest.approx([0.03, 0.03])
    (gap,) = measurement("generalisation_gap")(found, regularizer="dropout", stage="pruned", **at)
    assert gap.observed == pytest.approx(0.6)


def test_mixtures_are_placed_between_or_below():
    found = results(
        cell_rows("lines", (1.0, 1.1), k=4),
        cell_rows("mnist", (2.0, 2.1), k=4),
        cell_rows("lines+mnist", (1.5, 1.6), k=4),
    )
    at = {"mixture": "lines+mnist", "k": 4, "runs": 2, "regularizers": ("none",)}
    assert [p.observed for p in measured.mixture_between(found, **at)] == pytest.approx([0.5, 0.5])
    below = measured.mixture_below_both(found, **at)
    assert [part.observed for part in below] == pytest.approx([-0.5, 0.5])
    (share,) = measured.share_of_mixtures_below_both(found, k=4, runs=2)
    assert np.isnan(share.observed)


def test_share_of_mixtures_below_both_counts_all_twelve():
    singles = {"lines": 1.0, "mnist": 2.0, "cifar10_grey": 2.1}
    frames = []
    for regularizer in ("none", "dropout"):
        frames += [cell_rows(d, (v,), k=4, regularizer=regularizer) for d, v in singles.items()]
        for pair, form in itertools.product(measured.MIXTURES, ("", ":separate")):
            low = 1.5 if "lines" not in pair else 1.2
            frames.append(cell_rows(pair + form, (low,), k=4, regularizer=regularizer))
    (share,) = measured.share_of_mixtures_below_both(results(*frames), k=4, runs=1)
    assert share.observed == pytest.approx(4 / 12)


def test_polynomials_are_counted():
    assert [part.observed for part in measured.polynomial_count({}, runs=1)] == [512]
    assert {part.observed for part in measured.monomial_occurrences({}, runs=1)} == {256}


# --- toys


@settings(max_examples=25, deadline=None)
@given(
    strands=st.sampled_from([1, 2, 3]),
    parts=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    data=st.data(),
)
def test_even_split_of_joined_strands_has_the_closed_form(strands, parts, sizes, data):
    k = strands * parts
    layers = [k * size for size in sizes]
    together = data.draw(st.integers(0, len(layers) - 1))
    weights = toys.joined_strands(strands, layers, together=together)
    sums = [weight.sum() for weight in weights]
    share = sum(sums[len(sums) - together :]) / sum(sums)
    even = np.concatenate([np.arange(size) % k for size in layers])
    by_hand = k - strands + share * (strands - 1)
    assert clustering.ncut(graphs.weight_graph(weights), even) == pytest.approx(by_hand)


@pytest.mark.parametrize(("base", "relays"), [(2, 1), (3, 2), (10, 3)])
def test_adder_adds_and_its_parts_have_the_closed_form(base, relays):
    network, labels = toys.adder(base, relays=relays)
    one, two = torch.arange(base**2) // base, torch.arange(base**2) % base
    digits = torch.cat([torch.eye(base)[one], torch.eye(base)[two]], dim=1)
    assert torch.equal(network(digits).argmax(1), (one + two) % base)
    by_hand = 2 * base / (2 * relays + base) + 0.5
    assert clustering.ncut(graphs.weight_graph(network), labels) == pytest.approx(by_hand)


def test_toys_refuse_what_they_cannot_build():
    with pytest.raises(ValueError, match="divisible"):
        toys.joined_strands(2, (4, 3), together=0)
    with pytest.raises(ValueError, match="together"):
        toys.joined_strands(2, (4, 4), together=2)
    with pytest.raises(ValueError, match="base"):
        toys.adder(1, relays=1)


# --- pictures


def test_pictures_show_every_group_and_refuse_the_rest():
    table = pd.concat(
        [
            cell_rows(f"{base}_halves_{kind}", (9.0, 9.2), stage=stage)
            for base in ("mnist", "fashion_mnist")
            for kind in ("same", "diff")
            for stage in ("unpruned", "pruned")
        ]
    )
    figure = pictures.halves(table)
    assert len(figure.axes) == 4
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["halves-same", "halves-diff"]
    with pytest.raises(ValueError, match="no"):
        pictures.halves(table.assign(data="mnist"))
    one = table[table["data"] == "mnist_halves_same"]
    assert len(pictures.by_stage(one).axes) == 2
    with pytest.raises(ValueError, match="one data set"):
        pictures.by_stage(table)
    with pytest.raises(ValueError, match="nothing has been run"):
        pictures.mixtures(pd.DataFrame(columns=mixtures.AGAINST), k=4)


def test_samples_are_of_one_class_and_skip_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("MODGRAPH_DATA", str(tmp_path))
    rows = shown.halves_samples(["digits"], count=4)
    assert [images.shape for images in rows.values()] == [(4, 8, 8)] * 2
    assert len(pictures.image_rows(rows).axes) == 8
    mixed = shown.mixture_samples("digits+digits_halves_same:separate")
    assert [images.shape for images in mixed.values()] == [(10, 8, 8)] * 2
    assert np.array_equal(mixed["overlapping"][8], mixed["separate"][0]) is False
    assert np.array_equal(mixed["overlapping"][[0, 2, 4]], mixed["separate"][[0, 2, 4]])
    with pytest.raises(ValueError, match="number of images"):
        pictures.image_rows({"a": np.zeros((2, 3, 3)), "b": np.zeros((1, 3, 3))})
