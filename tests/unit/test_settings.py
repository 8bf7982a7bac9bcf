"""The papers' training settings by data set, and the cells of tables that rest on them."""

import pandas as pd
import pytest

from book.lab import ledger
from book.papers.ncut import beside, mlps, settings
from modgraph_lib import datasets
from modgraph_lib.datasets.names import data_name


@pytest.mark.parametrize("data", ["digits", "lines", "random", "polynomials"])
def test_sizes_are_those_of_the_data(data):
    """Made sets and digits are at hand everywhere; the settings must describe them."""
    sample = datasets.load(data, "test")
    images, labels = sample.images, sample.labels
    assert settings.of(data).inputs == images[0].numel()
    outputs = len(sample.classes) if labels.ndim == 1 else labels.shape[1]
    assert settings.of(data).outputs == outputs


@pytest.mark.parametrize(
    ("data", "variant", "epochs", "prune_epochs", "dropout"),
    [
        ("mnist", "described", 20, 20, 0.5),
        ("cifar10_grey", "described", 20, 40, 0.2),
        ("cifar10_grey", "published", 100, 40, 0.2),
        ("lines+cifar10_grey:separate", "described", 20, 40, 0.2),
        ("mnist+cifar10_grey", "published", 30, 40, 0.2),
        ("lines+mnist", "published", 20, 20, 0.5),
        ("random_memorisation", "described", 100, 100, 0.5),
        ("mnist_halves_diff", "described", 20, 20, 0.5),
    ],
)
def test_a_condition_trains_as_the_paper_says(data, variant, epochs, prune_epochs, dropout):
    train = mlps.condition(data, "dropout", 0, variant=variant)
    assert (train.epochs, train.prune_epochs, train.dropout) == (epochs, prune_epochs, dropout)
    assert train.reshuffle == (data != "random_memorisation")
    # what a stored configuration is read back as
    expected = variant if settings.published_epochs(data, dropout=True) != 20 else "described"
    if data == "random_memorisation":
        expected = "described"
    assert mlps.variant_of({**vars(train)}) == expected


def test_polynomials_are_a_regression():
    assert mlps.condition("polynomials", "none", 0).loss == "mse"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("mnist_halves_diff", "MNIST halves-diff"),
        ("fashion_mnist_stack_same", "Fashion-MNIST stack-same"),
        ("lines+cifar10_grey:separate", "LINES + CIFAR-10 grey, separate"),
        ("something_else", "something_else"),
    ],
)
def test_data_names(data, words):
    assert data_name(data) == words


@pytest.mark.parametrize("name", beside.BESIDE)
def test_every_printed_line_has_a_cell_of_ours(name):
    """Known data sets, and as many lines as the paper prints; no rows, no numbers of ours."""
    frame = beside.paper_beside_ours(name)
    printed = ledger.paper_table(name)
    assert len(frame) == len(printed) and frame.index.is_unique
    assert frame["n-cut", "paper"].notna().all() and frame["n-cut", "ours"].isna().all()
    for line in printed.to_dict("records"):
        datasets.check_name(beside._where(line)["data"])


def test_the_cells_of_special_tables():
    line = ledger.paper_table("surprisingly_modular/table_3").to_dict("records")[1]
    assert beside._where(line) == {
        "data": "random", "regularizer": "dropout", "stage": "pruned", "k": 4, "epochs": 1000,
    }  # fmt: skip
    names = ledger.paper_table("surprisingly_modular/table_a16")["dataset"]
    assert [beside._where({"dataset": name, "cluster_count": "4"})["data"] for name in names] == [
        "mnist", "cifar10_grey", "lines", "lines+mnist", "lines+cifar10_grey",
        "mnist+cifar10_grey", "lines+mnist:separate", "lines+cifar10_grey:separate",
        "mnist+cifar10_grey:separate",
    ]  # fmt: skip


def test_columns_that_only_some_tables_print():
    frame = beside.paper_beside_ours("surprisingly_modular/table_4")
    assert frame["n-cut before pruning", "paper"].tolist() == [2.464, 2.333]
    frame = beside.paper_beside_ours("clusterability/table_a19")
    assert frame["test loss", "paper"].iloc[0] == 0.046
    assert "training loss" not in beside.paper_beside_ours("clusterability/table_a7").columns
    assert isinstance(frame, pd.DataFrame)
