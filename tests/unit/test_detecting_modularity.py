"""Part IV's records, conditions and measurements, on networks of a few seconds and made-up rows."""

import json

import numpy as np
import pytest
import torch

from book.lab import ledger, registry
from book.lab.criteria import Criterion, judge
from book.papers.detecting_modularity import conditions, measures, networks, settings
from book.papers.detecting_modularity import page as chapter
from book.papers.detecting_modularity.s01_two_halves import experiment as halves
from book.papers.detecting_modularity.s01_two_halves import measures as halves_measures
from book.papers.detecting_modularity.s01_two_halves import page as halves_page
from book.papers.detecting_modularity.s02_twenty_numbers import experiment as null
from book.papers.detecting_modularity.s02_twenty_numbers import measures as null_measures
from book.papers.detecting_modularity.s02_twenty_numbers import page as null_page
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from book.papers.detecting_modularity.s03_lesions import page as lesion_page
from book.papers.detecting_modularity.s04_what_excites_them import experiment as feature
from book.papers.detecting_modularity.s04_what_excites_them import page as feature_page
from book.papers.detecting_modularity.s05_larger_networks import experiment as larger
from book.papers.detecting_modularity.s05_larger_networks import page as larger_page
from modgraph_lib import cache, datasets
from modgraph_lib.datasets import _load
from modgraph_lib.proxies import ProxyTest

SMALL = {"epochs": 3, "width": 16, "batch_size": 32}


@pytest.fixture(scope="module")
def train():
    return networks.condition("mlp", "digits", "published", 0, **SMALL)


@pytest.fixture(scope="module")
def record(train):
    config = lesion.LesionsConfig(train, clusters=4, responses=200, controls=5)
    found = lesion.measure(config)
    return as_record(config, found)


def as_record(config, found):
    """A record as the store gives it back: through JSON."""
    whole = {"key": cache.config_key("x", 1, config), "config": cache.canonical(config), **found}
    return json.loads(json.dumps(whole, allow_nan=False))


def test_every_claim_of_the_paper_has_a_test():
    claims = ledger.load_claims(arguments=True)
    ours = claims[claims["paper"] == "detecting_modularity"]
    assert len(ours) == 45 and all(ours["tests"])
    sections = {section.name for section in registry.sections()}
    assert set(ours["section"]) <= sections


def test_conditions_of_the_text_and_of_the_code():
    plain = networks.condition("mlp", "mnist", "described", 3)
    assert (plain.dropout, plain.l2, plain.epochs, plain.prune_epochs) == (0, 0, 20, 0)
    coded = networks.condition("small_cnn", "mnist", "published", 3)
    assert (coded.dropout, coded.dense_dropout, coded.l2) == (0.25, 0.5, 5e-4)
    with pytest.raises(ValueError, match="architecture is one of mlp, small_cnn"):
        networks.condition("transformer", "mnist", "described", 0)


def test_a_run_that_was_stopped_goes_on_with_the_next_partition(train, tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    config = lesion.LesionsConfig(train, clusters=4, responses=200, controls=3)
    whole, seen = lesion.lesions.single_lesions, []

    def stopped(*args, **options):
        seen.append(options["seed"])
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(*args, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lesion.lesions, "single_lesions", stopped)
        lesion.run_one(config)
    before = [len(list(tmp_path.rglob(f"{name}/*.json"))) for name in (lesion.PARTS, "dm_lesions")]
    assert before[0] >= 2 and before[1] == 0
    monkeypatch.setattr(lesion.lesions, "single_lesions", stopped)
    resumed = lesion.run_one(config)
    assert len(seen) == len(set(seen)) + 1  # the third alone was begun twice
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "other"))
    assert resumed["result"]["partitions"] == lesion.run_one(config)["result"]["partitions"]
    assert "earlier" not in resumed["result"]


def test_a_lesion_record_gives_every_proxy(record):
    table = lesion.table([record])
    assert set(table["proxy"]) == set(lesion.PROXIES)
    assert table.groupby("proxy").size().eq(len(settings.PARTITIONS)).all()
    for row in table.itertuples():
        if row.test is None:
            assert row.unusable
            continue
        assert row.test.controls.shape == (len(row.size), 5)
    kept = next(p for p in record["result"]["partitions"] if p["size"])
    drops = np.array(kept["class_mean"]) / lesion.UNIT
    assert np.abs(np.array(kept["by_class"]).mean(1) / lesion.UNIT - drops[:, 0]).max() < 2e-6
    labels = networks.labels_of(kept)
    assert {len(row) for row in labels.values()} == {16}


def test_a_record_can_be_rebuilt_and_measured_again(record, train):
    from book.lab.experiment import rebuilt

    config = rebuilt(lesion.LesionsConfig, record["config"])
    assert config.train == train
    again = as_record(config, lesion.measure(config))
    assert again["result"]["partitions"] == record["result"]["partitions"]


def test_the_first_sub_clusters_are_checked_anew(record):
    now = lesion.EXPERIMENT.again(record)
    assert 1 <= len(now["partitions"][0]["size"]) <= 6
    assert lesion.EXPERIMENT.compare(record["result"], now)[0] == "identical"
    now["partitions"][0]["correct"][0][0] *= 2
    outcome, detail = lesion.EXPERIMENT.compare(record["result"], now)
    assert outcome == "differs" and detail.startswith("correct off by")


def test_residuals_are_of_a_line_through_all_twenty_points():
    rng = np.random.default_rng(0)
    drop = rng.random((3, 20))
    exact = lesion.residual(drop, 2 * drop + 1)
    assert np.abs(exact).max() < 1e-9
    spread = 2 * drop + rng.normal(size=(3, 20))
    found = lesion.residual(drop, spread)
    for x, y, ours in zip(drop, spread, found, strict=True):
        assert ours == pytest.approx(y - np.polyval(np.polyfit(x, y, 1), x), abs=1e-8)
    flat = lesion.residual(np.zeros((1, 4)), np.array([[1.0, 2, 3, 4]]))
    assert flat.tolist() == [[-1.5, -0.5, 0.5, 1.5]]


def test_visualisation_records(train):
    config = feature.FeaturesConfig(train, clusters=4, responses=200, controls=4, steps=5)
    table = feature.table([as_record(config, feature.measure(config))])
    assert set(table["proxy"]) == {"score", "entropy"} and set(table["recipe"]) == {"other"}
    score = table[table["proxy"] == "score"]["test"].dropna()
    assert all(test.high_is_modular for test in score)
    assert not any(t.high_is_modular for t in table[table["proxy"] == "entropy"]["test"].dropna())


@pytest.mark.parametrize("data", ["digits", "mnist"])
@pytest.mark.parametrize("recipe", feature.RECIPES)
def test_recipes_are_recognised(data, recipe):
    p = feature.FeaturesParameters(data=data, recipes=[recipe], seeds=1)
    (config,) = feature.configs(p)
    assert feature.recipe_of(cache.canonical(config)) == recipe


def test_pictures_survive_their_record():
    picture = np.random.default_rng(0).normal(size=(8, 8))
    back = halves.decoded(halves.encoded(picture), (8, 8))
    assert back == pytest.approx(picture / np.abs(picture).max(), abs=1 / 127)


def test_halves_records():
    made = networks.condition("mlp", "digits_halves_diff", "described", 0, **SMALL)
    config = halves.HalvesConfig(made, clusters=4, responses=200, controls=9, kept_pictures=1)
    table = halves.table([as_record(config, halves.measure(config))])
    assert len(table) == len(settings.PARTITIONS)
    for row in table.itertuples():
        assert row.random.shape == (len(row.true), 9) or not len(row.true)
        assert len(row.pictures) == (len(row.true) if row.scope == "global" else 0)


def test_dealt_partitions_have_the_same_sizes(train):
    config = null.NullConfig(train, clusters=4, responses=200)
    _, _, cuts = networks.prepared(config)
    own, _ = networks.usable(cuts[2])
    lot = null.dealt(own, seed=[1])
    assert [len(p.units) for p in lot] == [len(p.units) for p in own]
    for layer in {part.layer for part in lot}:
        units = np.concatenate([p.units for p in lot if p.layer == layer])
        assert len(set(units.tolist())) == len(units)


def rows_of_conditions(p_and_effect):
    """What ``conditions_of`` yields, from name -> (p, effect); the others are missing."""
    every = measures.conditions_of({}, "range", 5)
    return [(name, rows, *p_and_effect.get(name, (np.nan, np.nan))) for name, rows, _, _ in every]


@pytest.mark.parametrize(
    ("significant", "insignificant", "observed"),
    [(4, 0, np.nan), (7, 0, 7), (0, 14, np.nan), (3, 17, 3), (0, 20, 0)],
)
def test_counts_are_decided_once_nothing_could_mend_them(
    monkeypatch, significant, insignificant, observed
):
    """Two of twenty, within four: seven significant ones refute it whatever the others are."""
    names = [name for name, *_ in measures.conditions_of({}, "range", 5)]
    known = dict.fromkeys(names[:significant], (0.001, 1.5))
    known |= dict.fromkeys(names[significant : significant + insignificant], (0.9, 0.9))
    found = rows_of_conditions(known)
    monkeypatch.setattr(measures, "conditions_of", lambda *_: found)
    (part,) = measures.dm_count({}, runs=5, proxy="range", what="p", low=2, slack=4)
    assert part.observed == pytest.approx(observed, nan_ok=True)


def test_one_condition_refutes_what_is_said_of_all(monkeypatch):
    name = "MLP, weights/global"
    made = {e: rows_of_conditions({name: (0.5, e)}) for e in (0.9, 1.2)}
    for effect, observed in ((0.9, np.nan), (1.2, 1.2)):
        monkeypatch.setattr(measures, "conditions_of", lambda *_, e=effect: made[e])
        (part,) = measures.dm_largest_effect({}, runs=5, proxy="range")
        assert part.observed == pytest.approx(observed, nan_ok=True)


def test_the_answer_tells_of_our_own_small_cnns(monkeypatch):
    ours = [(proxy, p) for proxy in ("drop", "score") for p in (0.001, 0.02, 0.3, 0.9)]
    found = chapter.pd.DataFrame(ours, columns=["proxy", "p"])
    for count, told in ((3, True), (2, False)):
        found["networks"] = count
        monkeypatch.setattr(larger_page, "conditions", lambda *_, **__: found)
        said = "Of the 4 partitions of our small CNNs, 2 have a sig" in larger_page.answer().data
        assert said == told


def test_twenty_conditions_for_each_proxy():
    for proxy in conditions.COLUMNS:
        names = [name for name, *_ in measures.conditions_of({}, proxy, 5)]
        assert len(names) == len(set(names)) == 20
    assert sum(chapter.pd.notna(larger_page.printed_matrix()["p"])) == 80


def test_a_combination_published_is_the_codes():
    test = ProxyTest([0.2, -0.1], [[0.2, 0.1], [0.1, 0.3]])

    class Rows(dict):
        pass

    rows = Rows(test=[test])
    text = conditions.combined(rows, proxy="drop")
    code = conditions.combined(rows, proxy="drop", published=True)
    assert code.p_value < text.p_value
    assert conditions.combined(Rows(test=[None]), proxy="drop") is None


def test_identities_come_out():
    judged = [
        (null_measures.dm_critical, {}, 0.025, 0.0005),
        (null_measures.dm_effect_meaning, {"effect": 1.05}, 0.1, 0.01),
        (halves_measures.dm_modular_sum, {"base": 7}, 0, 0),
    ]
    for measure, of, low, tolerance in judged:
        criterion = Criterion(measure.__name__, (), "within", low, np.nan, tolerance, runs=1)
        assert [judge(part, criterion) for part in measure({}, runs=1, **of)] == ["met"]
    assert null_measures.critical(("table_4",)) == pytest.approx(0.021)
    assert null_measures.critical(("table_5",)) == pytest.approx(0.013)


def test_false_positive_rates_are_those_of_the_discrete_null():
    """Spread of a share of 0.03 over 40,000 draws: 0.0009."""
    for controls, groups, rate in ((19, 20, 0.031), (19, 45, 0.027), (9, 120, 0.011)):
        assert null_measures.false_positives(controls, groups) == pytest.approx(rate, abs=0.003)


def test_everything_can_be_shown_before_anything_is_run(monkeypatch):
    tables = {n: t for n, t in registry.tables().items() if n.startswith("dm_")}
    empty = {name: table.iloc[:0] for name, table in tables.items()}
    real = ledger.load_results
    monkeypatch.setattr(ledger, "load_results", lambda: {**real(), **empty})
    for shown in (
        halves_page.answer(), null_page.answer(), lesion_page.answer(), feature_page.answer(),
        lesion_page.which_reading(), lesion_page.before_relu(),
        null_page.null_table(null_page.evidence(), name="a"),
        halves_page.by_partition(halves_page.panels(), name="b"),
        feature_page.averages(feature_page.rows_of("described")),
        chapter.beside(chapter.conditions(empty, ("drop", "score")), name="c"),
        chapter.provenance(lesion_page.evidence()),
    ):  # fmt: skip
        assert "ot run yet" in shown.data
    assert "0 are run" in larger_page.answer().data
    for measure in (registry.measurement("dm_richer_before_relu"), halves_measures.dm_one_sidedness,
                    null_measures.dm_effect_bounds, null_measures.dm_dependence):  # fmt: skip
        assert all(np.isnan(part.observed) for part in measure(empty, runs=5))


def test_parameters_that_cannot_be():
    with pytest.raises(ValueError, match="cannot be found among 24 channels"):
        larger.LargerParameters(width=8, clusters=[40])
    with pytest.raises(ValueError, match="images of 32 pixels"):
        larger.LargerParameters(architecture="vgg", data="mnist")
    with pytest.raises(ValueError, match="at least 3 images"):
        lesion.LesionsConfig(networks.condition("mlp", "digits", "described", 0), responses=2)


def test_the_vgg_is_the_regularised_one_and_loses_what_goes_out():
    parameters = larger.LargerParameters(
        architecture="vgg", data="cifar10", epochs=0, batch_size=0, width=64, seeds=5, clusters=[16]
    )
    wanted, seen = larger.configs(parameters)
    train = wanted[0].train
    assert (train.epochs, train.batch_size, train.l2, train.dropout) == (200, 128, 5e-4, 0.5)
    assert train.augmentation == "described" and wanted[0].kind == "outgoing"
    record = {"config": {"train": {**vars(train), "widths": list(train.widths)}}}
    assert networks.words(record)["reading"] == "described" and networks.of_paper_size(record)
    assert [one.train.seed for one in seen] == [0, 1, 2, 3, 4]


def test_a_small_vgg_goes_the_whole_way(monkeypatch):
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (256, 3, 32, 32), generator=numbers, dtype=torch.uint8)
    noise = datasets.make("cifar10", images, torch.arange(256) % 10, classes=list("0123456789"))
    monkeypatch.setattr(_load, "_real", lambda *given: noise)
    parameters = larger.LargerParameters(
        architecture="vgg", data="cifar10", epochs=1, width=4, clusters=[8],
        controls=3, responses=40, test_images=60, steps=2, device="cpu",
    )  # fmt: skip
    (config,), (seen,) = larger.configs(parameters)
    table = lesion.table([as_record(config, lesion.measure(config))])
    assert set(table["reading"]) == {"described"} and (table["variant"] == "described").any()
    assert any(test is not None for test in table["test"])
    scores = feature.measure(seen)["result"]["partitions"]
    assert any(part.get("score") for part in scores)
