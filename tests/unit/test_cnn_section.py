"""Records, measurements and page helpers of the section on convolutional networks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from book.lab import ledger
from book.lab.registry import measurement
from book.papers.clusterability.s03_cnns import experiment as clusterability_cnns
from book.papers.clusterability.s03_cnns import page as chapter
from book.papers.clusterability.s03_cnns import pictures
from book.papers.ncut import beside as beside_paper
from book.papers.ncut import cnns
from book.papers.ncut.cnn_rows import cnn_cell, cnn_initial
from modgraph_lib import datasets, graphs, models, training
from tests import made


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


def rows(**changes):
    """Rows of five networks at the paper's settings, as ``cnns.table`` gives them."""
    line = {
        "architecture": "small_cnn", "data": "mnist", "regularizer": "none", "stage": "pruned",
        "k": 12, "variant": "described", "reading": "described", "epochs": 10, "prune_epochs": 10,
        "batch_size": 64, "width": 64, "images": 0, "nodes": 190, "isolated": 2, "method": "layer",
        "shuffles": 50, "dropout": 0.0, "ncut": 10.0, "shuffle_mean": 10.1, "shuffle_std": 0.1,
        "p_value": 0.1, "z_score": -1.0, "significant": True, "test_accuracy": 0.99,
        "shuffled": np.full(50, 10.1), "train_accuracy": 0.99, "device": "cpu",
        "precision": "float32",
    }  # fmt: skip
    frames = [pd.DataFrame([{**line, "seed": seed}]) for seed in range(5)]
    return made.configured(pd.concat(frames, ignore_index=True).assign(**changes), made.cnn)


def test_a_network_is_trained_once_for_all_readings_and_records_are_found_again(
    own_cache, monkeypatch
):
    train = cnns.small_cnn("digits", "l2", 0, epochs=1, prune_epochs=1, width=6, batch_size=256)
    configs = cnns.readings(replace(train, precision="float32"), shuffles=3, cluster_counts=(3,))
    records = cnns.run(configs, device="cpu", workers=1)
    table = cnns.table(records)
    assert list(table["reading"]) == [name for name in cnns.READINGS for _ in cnns.STAGES]
    assert set(table["regularizer"]) == {"l2"}
    assert (table["nodes"] + table["isolated"] == 18).all()
    network = training.trained(configs[0].train).model("pruned")
    assert table["isolated"].iloc[1] == (graphs.weight_graph(network).degrees() == 0).sum()

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "trained", refuse)
    assert cnns.run(configs, device="cpu", workers=1) == records


def test_the_configurations_are_the_papers():
    small = cnns.small_cnn("mnist", "dropout", 3)
    assert (small.epochs, small.prune_epochs, small.batch_size) == (10, 10, 64)
    assert (small.widths, small.dropout, small.dense_dropout) == ((64,), 0.25, 0.5)
    large = cnns.vgg("dropout+l2", 0)
    assert (large.epochs, large.prune_epochs, large.batch_size) == (200, 50, 128)
    assert (large.dropout, large.l1, large.l2) == (0.5, 0.0, 5e-4)
    assert large.augmentation == "described"
    assert cnns.vgg("none", 0, variant="published").augmentation == "published"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: cnns.small_cnn("mnist", "dropout+l2", 0),
        lambda: cnns.vgg("none", 0, variant="guessed"),
        lambda: cnns.NcutConfig(training.TrainConfig("mnist", 0), "pruned"),
        lambda: cnns.NcutConfig(cnns.small_cnn("mnist", "none", 0), "halfway"),
        lambda: cnns.NcutConfig(cnns.small_cnn("mnist", "none", 0), "pruned", "nuclear"),
        lambda: cnns.NcutConfig(cnns.small_cnn("mnist", "none", 0, prune_epochs=0), "pruned"),
        lambda: cnns.InitialConfig("mlp"),
        lambda: cnns.InitialConfig(networks=0),
        lambda: clusterability_cnns.CnnsParameters(width=3),
    ],
)
def test_border(wrong):
    with pytest.raises(ValueError, match=r"is one of|is unpruned|no epochs|use mlps|at most|least"):
        wrong()


def test_untrained_networks_and_their_table(own_cache):
    configs = cnns.initial_configs("small_cnn", networks=30, width=8, cluster_counts=(3,))
    assert [(c.first_seed, c.networks) for c in configs[:2]] == [(0, 25), (25, 5)]
    table = cnns.initial_table(cnns.run_initial(configs[:2], workers=1))
    assert list(table["seed"]) == list(range(30))
    assert table["ncut"].between(0, 3).all()


def test_only_rows_at_the_papers_settings_count():
    good = rows()
    wrong = [
        rows(epochs=2), rows(width=32), rows(reading="published"), rows(shuffles=20),
        rows(images=100), rows(architecture="vgg"),
    ]  # fmt: skip
    cell = {"data": "mnist", "regularizer": "none", "stage": "pruned", "runs": 5}
    table = pd.concat([*wrong, good], ignore_index=True)
    assert len(cnn_cell({"cnn_ncut": table}, **cell)) == 5
    assert cnn_cell({"cnn_ncut": pd.concat(wrong)}, **cell).empty
    assert len(cnn_cell({"cnn_ncut": table}, **cell, variant="published")) == 5
    # no norm of a kernel changes what a network answers; another network does
    published = pd.concat([wrong[0], wrong[2]])
    assert len(cnn_cell({"cnn_ncut": published}, **cell, by_network=True)) == 5
    assert cnn_cell({"cnn_ncut": wrong[0]}, **cell, by_network=True).empty
    assert cnn_cell({}, **cell).empty
    assert cnn_initial({}, architecture="vgg", runs=100).empty


def test_a_published_vgg_is_trained_and_read_as_published():
    vgg = {"architecture": "vgg", "data": "cifar10", "epochs": 200, "prune_epochs": 50,
           "batch_size": 128, "nodes": 4224, "isolated": 0}  # fmt: skip
    table = pd.concat(
        [
            rows(**vgg),
            rows(**vgg, reading="published"),
            rows(**{**vgg, "variant": "published"}, reading="published", ncut=5.0),
        ]
    )
    cell = {"data": "cifar10", "regularizer": "none", "stage": "pruned", "runs": 5}
    assert (cnn_cell({"cnn_ncut": table}, **cell)["ncut"] == 10.0).all()
    assert (cnn_cell({"cnn_ncut": table}, **cell, variant="published")["ncut"] == 5.0).all()


def test_measurements_by_hand():
    same = rows(data="mnist_stack_same", ncut=[10.0, 10.1, 10.2, 10.3, 10.4])
    diff = rows(data="mnist_stack_diff", z_score=-3.0)
    results = {"cnn_ncut": pd.concat([same, diff], ignore_index=True)}
    _, pruned = measurement("cnn_same_minus_diff")(results, data="mnist", runs=5)
    assert pruned.observed == pytest.approx(0.2)
    assert pruned.spread == pytest.approx(np.std([0, 1, 2, 3, 4], ddof=1) / 10 / 5**0.5)
    _, z = measurement("cnn_same_minus_diff")(results, data="mnist", runs=5, column="z_score")
    assert z.observed == pytest.approx(2.0)
    parts = measurement("stack_significant")(
        results, data="mnist_stack", runs=5, stages=("pruned",)
    )
    assert [part.name for part in parts] == [
        "MNIST stack-same, pruned", "MNIST stack-diff, pruned"]  # fmt: skip
    assert [part.observed for part in parts] == [5, 5]


def test_norms_that_agree_on_four_networks_in_five():
    stages = [rows(stage=stage) for stage in cnns.STAGES]
    other = [
        rows(stage=stage, reading="described L2", ncut=9.5, significant=[True] * 4 + [False])
        for stage in cnns.STAGES
    ]
    results = {"cnn_ncut": pd.concat([*stages, *other], ignore_index=True)}
    asked = {"data": "mnist", "runs": 5, "regularizers": ("none",)}
    (share,) = measurement("cnn_norm_agreement")(results, **asked)
    assert share.observed == pytest.approx(0.8)
    moved = measurement("cnn_norm_difference")(results, **asked)
    assert [part.observed for part in moved] == pytest.approx([0.05, 0.05])


def test_pruning_is_compared_within_a_network():
    stack = "mnist_stack_same"
    before = rows(data=stack, stage="unpruned", ncut=[1.0, 2.0, 3.0, 4.0, 5.0])
    after = rows(data=stack, ncut=[0.5, 1.5, 2.5, 3.5, 4.5])
    results = {"cnn_ncut": pd.concat([before, after], ignore_index=True)}
    part, other = measurement("stack_pruning_gap")(results, data="mnist_stack", runs=5)
    assert (part.observed, part.spread) == (pytest.approx(0.5), pytest.approx(0.0))
    assert part.name == "MNIST stack-same, unpruned minus pruned" and not other.runs


def test_every_claim_of_the_section_is_computed_without_and_with_rows():
    section = "clusterability/03_cnns"
    empty = ledger.verdicts({}, section=section)
    assert len(empty) == 33
    untrained = empty["id"].isin(["CL-02", "CL-03"])
    assert set(empty["verdict"][untrained]) == {"not run yet"}
    assert {verdict.split(" (")[0] for verdict in empty["verdict"][~untrained]} == {
        "not run",
        "not run yet",
    }
    cells = [
        rows(data=data, regularizer=condition, stage=stage, reading=reading,
             ncut=np.linspace(9.9, 10.1, 5))
        for data in ("mnist", "fashion_mnist", *chapter.STACKS)
        for condition in cnns.REGULARIZERS
        for stage in cnns.STAGES
        for reading in cnns.READINGS
    ]  # fmt: skip
    table = pd.concat(cells, ignore_index=True)
    full = ledger.verdicts({"cnn_ncut": table}, section=section).set_index("id")["verdict"]
    small = [f"CL-{n:02d}" for n in (4, *range(38, 52), *range(69, 77))]
    assert set(full[small]) <= {"reproduced", "partly", "not reproduced"}
    assert full["CL-38"] == "reproduced"
    assert full["CL-40"] == "not reproduced"
    beside = beside_paper.paper_beside_ours("clusterability/table_a8", table)
    assert (beside["networks", "ours"] == 5).all()


def test_norms_of_a_kernel_by_hand():
    found = chapter.norms_of([[1, -2, 0], [3, 4, 0], [0, 0, 0]])
    largest = np.linalg.svd([[1, -2], [3, 4]], compute_uv=False)[0]
    assert list(found.values()) == pytest.approx([10, 6, 30**0.5, largest], abs=1e-4)


def test_every_norm_of_a_scaled_kernel_scales():
    model = models.small_cnn((1, 8, 8), channels=4, seed=0)
    for norm in ("l1", "matrix_l1", "frobenius", "l2"):
        before = graphs.weight_graph(model, kernel_norm=norm).degrees().sum()
        twice = models.small_cnn((1, 8, 8), channels=4, seed=0)
        for kernel in models.kernels(twice):
            kernel.data.mul_(2)
        after = graphs.weight_graph(twice, kernel_norm=norm).degrees().sum()
        assert after == pytest.approx(2 * before)


def test_the_page_helpers_say_when_nothing_is_run(own_cache):
    for said in (
        chapter.reduced_vggs("a"),
        chapter.initial_ranges("b"),
        chapter.readings(chapter.all_readings(data=("mnist",), regularizers=("none",)), name="c"),
    ):
        assert "ot" in said.data
    table = pd.concat([rows(reading=reading) for reading in cnns.READINGS], ignore_index=True)
    text = chapter.readings(table, name="d").to_html()
    assert text.count("10.00 (5 of 5)") == 4


def test_the_norm_nearest_to_the_printed_numbers(own_cache, monkeypatch):
    table = "clusterability/table_a8"
    assert "Not run" in chapter.closest(chapter.distances(table), name="a").data
    assert "Not run" in chapter.nearest(chapter.distances(table)).data
    # Without regulariser, pruned, the paper prints 10.462 and 10.034.
    ours = pd.concat(
        [
            rows(reading="described", ncut=10.262, shuffled=[np.full(50, 9.934)] * 5),
            rows(reading="published", ncut=10.472, shuffled=[np.full(50, 10.035)] * 5),
        ],
        ignore_index=True,
    )
    ours["shuffle_mean"] = ours["shuffled"].map(np.mean)
    monkeypatch.setattr(ledger, "load_results", lambda: {"cnn_ncut": ours})
    found = chapter.distances(table)
    assert chapter.nearest(found).data.startswith("**L1: column sum** is nearest")
    first, second = chapter.closest(found, name="a").data.to_dict("records")
    assert first["edge"] == "L1: sum" and first["cells"] == second["cells"] == 1
    assert first["n-cut, off by"] == pytest.approx(0.2)
    assert first["shuffles, off by"] == pytest.approx(0.1)
    assert second["n-cut, off by"] == pytest.approx(0.01)
    assert second["shuffles, off by"] == pytest.approx(0.001)


def test_figures_of_the_section():
    table = pd.concat([rows(data=name) for name in chapter.STACKS])
    assert isinstance(pictures.ncut_by_data(table), Figure)
    with pytest.raises(ValueError, match="nothing has been run"):
        pictures.ncut_by_data(table.iloc[:0])
    pairs = [datasets.load(f"digits_stack_{kind}", "test") for kind in ("same", "diff")]
    assert len(pictures.stacked_images(*pairs, label=3).axes) == 20
    with pytest.raises(ValueError, match="two-channel"):
        pictures.stacked_images(datasets.load("digits", "test"), label=3)
