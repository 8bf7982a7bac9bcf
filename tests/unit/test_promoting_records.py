import numpy as np
import pandas as pd
import pytest

from book.lab import ledger
from book.papers.clusterability.s05_promoting import experiment as promoting
from book.papers.clusterability.s05_promoting import measures as measured
from book.papers.clusterability.s05_promoting import page as shown
from book.papers.ncut import mlps, pictures
from modgraph_lib import cache, training
from tests import made

QUICK = {
    "seeds": 1,
    "small_seeds": 1,
    "clusters": 3,
    "shuffles": 3,
    "epochs": 1,
    "prune_epochs": 1,
    "small_epochs": 1,
    "width": 12,
    "small_width": 12,
}


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("promoting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGRAPH_CACHE", str(folder / "cache"))
        patch.setenv("MODGRAPH_RESULTS", str(folder / "results"))
        yield


@pytest.fixture(scope="module")
def table(folders):
    p = promoting.PromotingParameters(**QUICK)
    configs = [
        *promoting.tagged_networks(p),
        *promoting.tagged_networks(p, control=True),
        *promoting.regulariser_networks(p),
    ]
    return promoting.table(promoting.run(configs, device="cpu", workers=1))


def test_keys_of_earlier_networks_are_what_they_were():
    canonical = cache.canonical(mlps.condition("mnist", "none", 0))
    added = {"eigenvalue_penalty", "normalise", "tags", "tag_beta", "tag_outputs"}
    assert not added & set(canonical)
    assert promoting.plain("mnist", 0) == mlps.condition("mnist", "none", 0)


def test_settings_of_the_paper_and_of_its_code():
    tagged = promoting.initialised(promoting.plain("mnist", 1))
    assert (tagged.tags, tagged.tag_beta, tagged.tag_outputs) == (10, 0.6, False)
    code = promoting.initialised(promoting.plain("mnist", 1), variant="published")
    assert code.tag_outputs
    small = promoting.plain("mnist", 0, architecture="small_cnn")
    assert (small.widths, small.epochs, small.batch_size) == ((64,), 10, 64)
    assert promoting.initialised(small, variant="published").tag_outputs is False
    assert promoting.initialised(small).tag_beta == 0.8
    vgg = promoting.initialised(promoting.plain("cifar10", 0, architecture="vgg"))
    assert (vgg.tag_beta, vgg.epochs, vgg.prune_epochs, vgg.l2) == (0.8, 200, 50, 0.0)
    arm = promoting.regularised(0, "eigenvalues")
    assert (arm.widths, arm.epochs, arm.eigenvalue_penalty) == ((64, 64, 64), 10, 0.1)
    third = promoting.regularised(0, "eigenvalues", variant="published")
    assert third.eigenvalue_penalty == pytest.approx(0.1 / 3)
    assert promoting.regularised(0, "none").normalise is False
    for wrong, message in [
        (lambda: promoting.regularised(0, "both"), "arm is one of"),
        (lambda: promoting.initialised(tagged, variant="third"), "variant is one of"),
        (lambda: promoting.plain("mnist", 0, architecture="lstm"), "architecture is one of"),
        (lambda: promoting.PromotingParameters(beta=0.0), "beta lies in"),
        (lambda: promoting.PromotingParameters(penalty=0.0), "penalty must be positive"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()


def test_rows_say_what_was_done_and_are_found_again(table, monkeypatch):
    assert table["promotion"].value_counts().to_dict() == {
        "none": 6,
        "normalised": 4,
        "eigenvalues": 4,
        "tags": 2,
    }
    assert set(table.loc[table["promotion"] == "tags", "beta"]) == {0.6}
    monkeypatch.setattr(training, "trained", lambda *a, **k: pytest.fail("trained again"))
    again = promoting.regulariser_networks(promoting.PromotingParameters(**QUICK))
    assert len(promoting.run(again, device="cpu", workers=1)) == 6


def test_normalised_networks_end_with_normalised_units(table):
    network = training.trained(promoting.regularised(0, "eigenvalues", data="digits", epochs=1))
    for stage in ("unpruned", "pruned"):
        layer = network.model(stage)[1]
        norms = (layer.weight.square().sum(1) + layer.bias.square()).sqrt()
        assert ((norms - 2**0.5).abs() < 1e-5).all()


def test_initial_networks(folders):
    configs = promoting.initial_configs("digits", networks=2, width=12, cluster_counts=(3,))
    rows = promoting.initial_table(promoting.run_initial(configs, workers=1))
    assert rows["tag_outputs"].tolist() == [False, False, True, True]
    assert rows["seed"].tolist() == [0, 1, 0, 1]
    assert rows["ncut"].between(0, 3).all()


def pretend(table, **settings):
    """Rows as if they had been run at the paper's settings, one a seed."""
    frame = pd.concat([table.iloc[[0]]] * 10, ignore_index=True)
    fixed = {"seed": range(10), "shuffles": 50, "batch_size": 128}
    rows = frame.drop(columns="key").assign(**fixed | settings)
    return made.configured(rows, made.promoted)


def regularised(table, arm, **settings):
    small = {"data": "mnist_7x7", "width": 64, "depth": 3, "epochs": 10, "prune_epochs": 10}
    found = {"promotion": arm, "penalty": 0.1 if arm == "eigenvalues" else 0.0}
    return pd.concat(
        pretend(table, stage=stage, k=k, **small | found | settings)
        for stage in ("unpruned", "pruned")
        for k in (4, 12)
    )


def test_claims_of_the_regulariser(table):
    noise = np.linspace(0, 0.1, 10)
    rows = pd.concat(
        [
            regularised(table, "none", ncut=9 + noise, z_score=-1 + noise, test_accuracy=0.96),
            regularised(
                table, "eigenvalues", ncut=7 + noise, z_score=-5 + noise, test_accuracy=0.95
            ),
            # another strength decides nothing
            regularised(table, "eigenvalues", penalty=1.0, ncut=1.0, test_accuracy=0.1),
        ]
    )
    found = ledger.verdicts({"promoting_ncut": rows}, ids=("CL-77", "CL-78", "CL-79"))
    assert found["verdict"].tolist() == ["reproduced"] * 3
    worse = rows.assign(test_accuracy=np.where(rows["penalty"] > 0, 0.9, 0.96))
    found = ledger.verdicts({"promoting_ncut": worse}, ids=("CL-77",))
    assert found["verdict"].tolist() == ["not reproduced"]


def test_claims_of_small_cnns_need_three_networks(table):
    small = {"architecture": "small_cnn", "data": "mnist", "width": 64, "depth": 1}
    small |= {"epochs": 10, "prune_epochs": 10, "batch_size": 64, "k": 12}
    rows = pd.concat(
        pretend(table, stage=stage, promotion=promotion, **small, **more)
        for stage in ("unpruned", "pruned")
        for promotion, more in (
            ("none", {"tags": 0}),
            ("tags", {"tags": 10, "beta": 0.8, "tag_outputs": False}),
        )
    )
    for seeds, verdict in ((5, "reproduced"), (2, "not run yet (about 2.1 hours)")):
        some = {"promoting_ncut": rows[rows["seed"] < seeds]}
        assert ledger.verdicts(some, ids=("CL-89",))["verdict"].tolist() == [verdict]


def test_identities():
    found = ledger.verdicts({}, ids=("CL-80", "CL-81", "CL-82", "CL-83", "CL-84"))
    expected = ["reproduced", "not reproduced", *["reproduced"] * 3]
    assert found["verdict"].tolist() == expected
    assert "1/2" in found["explanation"][1]


def test_rows_of_another_shape_are_refused(table):
    with pytest.raises(ValueError, match="promoting_ncut lack the columns"):
        measured.regulariser_cell(
            {"promoting_ncut": table.drop(columns="beta")}, arm="none", stage="pruned", k=12, runs=5
        )


def test_tables_and_pictures_of_the_chapter(table):
    nothing = ledger.load_results() | {"promoting_ncut": table.iloc[:0]}
    html = shown.tags_beside("table_a13", nothing).to_html()
    assert "not run yet" in html and "8.718" in html and "10.024" in html
    assert "not run (needs GPU)" in shown.tags_beside("table_a14", nothing).to_html()
    assert "Not run yet" in shown.arms_compared(name="x", results=nothing).data
    assert shown.every_row(nothing).empty
    assert "1.306" in shown.lowering(nothing, name="x").to_html()
    rows = pd.concat([regularised(table, arm) for arm in ("none", "normalised", "eigenvalues")])
    html = shown.arms_compared(name="x", results=nothing | {"promoting_ncut": rows}).to_html()
    assert html.count("10 of 10") + html.count("0 of 10") == 12
    drawn = shown.regulariser_rows(k=12, results={"promoting_ncut": rows})
    assert len(pictures.ncut_by_condition(drawn, stage="pruned").axes) == 1
