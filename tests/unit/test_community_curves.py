"""The section on curves of Q: toy graph, maps, probes, claims on made rows, pictures, tables."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from book.lab import ledger, parameters
from book.papers.community_modularity import curves
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.parts import NETWORKS, RESNETS, VGGS
from book.papers.community_modularity.s01_curves import (
    experiment as curves_section,
)
from book.papers.community_modularity.s01_curves import (
    maps,
    pictures,
    probes,
    toy,
)
from book.papers.community_modularity.s01_curves import page as chapter
from book.papers.community_modularity.s01_curves.experiment import CurvesParameters
from book.papers.community_modularity.settings import training_run
from modgraph_lib import cache
from tests import made as by_hand

TINY = {"width": 4, "epochs": 1, "batch_size": 256, "precision": "float32", "images": 200}


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))


def made(network, q, *, seed=0, data="cifar10", names=None, k=3, accuracy=0.8, scale="short", **f):
    """A record of ``community_curves`` with a given curve, the same in two draws."""
    train = training_run(network, seed, data=data, scale=scale)
    samples = f.pop("samples", 1000 if data == "cifar100" else 500)
    config = CurveConfig(train, samples=samples, neighbours=(k,), **f)
    q = [float(value) for value in q]
    result = {
        "layers": names or [f"features.{i}" for i in range(len(q))],
        "curves": {str(k): {"q": [q, q], "inside": [q, q]}},
        "test_accuracy": accuracy,
        "best_accuracy": accuracy,
    }
    origin = {"device": "cpu", "seconds": 60.0, "date": "2026-01-01", "data_note": ""}
    key = cache.config_key(curves.EXPERIMENT.name, 1, config)
    return {"key": key, "config": cache.canonical(config), "result": result, "provenance": origin}


def verdict(claim, *records, **tables):
    results = {"community_curves": curves.table(records), **tables}
    (row,) = ledger.verdicts(results, ids=(claim,)).itertuples()
    return row.verdict, row


def rising(count, high=0.8, flat=0):
    """A curve that rises evenly and then stays for ``flat`` layers."""
    return np.r_[np.linspace(0.05, high, count - flat), np.full(flat, high)]


LENGTHS = {"vgg11": 8, "vgg13": 10, "vgg16": 13, "vgg19": 16, "resnet18": 8}


def five(**options):
    return [
        made(name, rising(count), seed=seed, **options)
        for name, count in LENGTHS.items()
        for seed in (0, 1)
    ]


def test_vgg11_rises_or_does_not():
    up = [made("vgg11", rising(8), seed=seed) for seed in (0, 1)]
    found, row = verdict("CM-02", *up)
    assert found == "reproduced" and row.scale == f"another recipe: {by_hand.SHORT}, 2 of each"
    down = [made("vgg11", rising(8)[::-1], seed=seed) for seed in (0, 1)]
    assert verdict("CM-02", *down)[0] == "not reproduced"
    assert verdict("CM-02")[0] == "not run yet"


def test_full_networks_replace_short_ones():
    short = [made("vgg11", rising(8)[::-1], seed=seed) for seed in (0, 1)]
    full = [made("vgg11", rising(8), seed=seed, scale="paper") for seed in (0, 1)]
    found, row = verdict("CM-02", *short, *full)
    assert found == "reproduced" and row.scale == "paper"


def test_five_of_nine_networks_are_enough_and_four_are_not():
    assert verdict("CM-05", *five())[0] == "reproduced"
    assert verdict("CM-05", *five()[:8])[0] == "not run yet"
    falling = [made(name, rising(9)[::-1]) for name in ("vgg13", "vgg16", "vgg19")]
    found, row = verdict("CM-05", *[r for r in five() if r["config"]["train"]["network"] in
                                    ("vgg11", "resnet18")], *falling)  # fmt: skip
    assert found == "not reproduced" and "2 of 5" in row.observed


def test_other_data_need_what_is_not_here():
    assert verdict("CM-06", *five())[0] == "not run (needs CIFAR-100)"
    assert verdict("CM-06", *five(data="cifar100"))[0] == "reproduced"
    assert verdict("CM-07")[0] == "not run (needs ImageNet)"


def test_deeper_networks_stand_still_more_often():
    more = [made(n, rising(c, flat=c // 3)) for n, c in LENGTHS.items()]
    fewer = [made(n, rising(c, flat={8: 6, 10: 4, 13: 2, 16: 0}[c])) for n, c in LENGTHS.items()]
    assert verdict("CM-08", *more)[0] == "reproduced"
    assert verdict("CM-08", *fewer)[0] == "not reproduced"


def test_plateaus_grow_with_depth():
    def vggs(flats, data="cifar10"):
        return [
            made(name, rising(LENGTHS[name], flat=flat), data=data)
            for name, flat in zip(VGGS, flats, strict=True)
        ]

    assert verdict("CM-09", *vggs((0, 2, 4, 6)))[0] == "reproduced"
    assert verdict("CM-09", *vggs((4, 2, 2, 0)))[0] == "not reproduced"
    assert verdict("CM-09", *vggs((0, 2, 4, 6))[:3])[0] == "not run yet"
    assert verdict("CM-10", *vggs((0, 2, 4, 6), "cifar100"))[0] == "reproduced"
    both = [*vggs((0, 2, 4, 6)), *vggs((0, 1, 2, 3), "cifar100")]
    assert verdict("CM-12", *both)[0] == "reproduced"
    assert verdict("CM-13", *both)[0] == "not run (needs ImageNet)"


def test_where_resnets_stand_still():
    names = [f"stages.{s}.{b}" for s in range(4) for b in range(2)]
    at_repeats = np.cumsum([0.1, 0, 0.1, 0, 0.1, 0, 0.1, 0.1])
    at_first = np.cumsum([0.1, 0.1, 0, 0.1, 0, 0.1, 0, 0.1])
    three = [made(n, at_repeats, names=names) for n in RESNETS[:3]]
    assert verdict("CM-11", *three)[0] == "reproduced"
    assert verdict("CM-11", *three[:2])[0] == "not run yet"
    other = [made(n, at_first, names=names) for n in RESNETS[:3]]
    assert verdict("CM-11", *other)[0] == "not reproduced"


def test_easier_data_have_more_layers_that_add_nothing():
    easy = [made(n, rising(c, flat=4)) for n, c in LENGTHS.items()]
    hard = [made(n, rising(c), data="cifar100") for n, c in LENGTHS.items()]
    assert verdict("CM-14", *easy, *hard)[0] == "reproduced"


def test_accuracy_is_judged_at_the_papers_scale_only():
    def pair(scale):
        return [
            made("resnet18", rising(8), seed=s, accuracy=0.948, scale=scale) for s in (0, 1)
        ] + [made("resnet34", rising(16), seed=s, accuracy=0.951, scale=scale) for s in (0, 1)]

    assert verdict("CM-16", *pair("short"))[0] == "not run (needs GPU)"
    assert verdict("CM-16", *pair("paper"))[0] == "reproduced"


def over(option, values, curve_of):
    return [
        made(network, curve_of(value), **{option: value}, **({} if option == "k" else {"k": 3}))
        for network in ("vgg16", "resnet18")
        for value in values
    ]


SIZES, SMALL, LARGE = (200, 500, 1000, 2000, 5000), (3, 5, 7, 9, 11), (3, 100, 200, 300, 400)


def test_number_of_samples():
    def like_paper(n):
        return rising(12) + np.r_[np.full(4, 0.01 * np.log(n)), np.zeros(8)]

    rows = over("samples", SIZES, like_paper)
    assert [verdict(f"CM-{i}", *rows)[0] for i in (27, 28, 29)] == ["reproduced"] * 3
    rows = over("samples", SIZES, lambda n: rising(12)[:: -1 if n > 500 else 1] - 0.01 * np.log(n))
    assert [verdict(f"CM-{i}", *rows)[0] for i in (28, 29)] == ["not reproduced"] * 2
    assert verdict("CM-27", *rows[:4])[0] == "not run yet"


def test_number_of_neighbours():
    rows = over("k", SMALL, lambda k: rising(12) - 0.001 * k)
    assert verdict("CM-30", *rows)[0] == "reproduced"
    rows = over("k", SMALL, lambda k: rising(12) - 0.02 * k)
    assert verdict("CM-30", *rows)[0] == "not reproduced"
    rows = over("k", LARGE, lambda k: rising(12) * (1 - k / 500))
    assert [verdict(f"CM-{i}", *rows)[0] for i in (31, 32)] == ["reproduced"] * 2
    rows = over("k", LARGE, lambda k: rising(12)[:: -1 if k == 400 else 1] + k / 5000)
    assert [verdict(f"CM-{i}", *rows)[0] for i in (31, 32)] == ["not reproduced"] * 2


def test_pearson_beside_cosine():
    assert verdict("CM-56", *five())[0] == "not run yet"
    near = [made(n, rising(c) + 0.01, similarity="pearson") for n, c in LENGTHS.items()]
    assert verdict("CM-56", *five(), *near)[0] == "reproduced"
    far = [made(n, rising(c) + 0.2, similarity="pearson") for n, c in LENGTHS.items()]
    assert verdict("CM-56", *five(), *far)[0] == "not reproduced"


@pytest.mark.parametrize(("claim", "name"), [("CM-57", "vgg16"), ("CM-58", "resnet18")])
def test_untrained_networks(claim, name):
    trained = [made(name, rising(8), seed=s) for s in (0, 1)]
    flat = [made(name, np.linspace(0.1, 0.12, 8), seed=s, stage="untrained") for s in (0, 1)]
    falls = [made(name, np.linspace(0.5, 0.1, 8), seed=s, stage="untrained") for s in (0, 1)]
    assert verdict(claim, *trained, *flat)[0] == "reproduced"
    assert verdict(claim, *trained, *falls)[0] == "not reproduced"
    assert verdict(claim, *trained)[0] == "not run yet"


def rows_of(network, column, values, seed=0, **fields):
    train = training_run(network, seed, scale="short")
    shared = asdict(train) | fields
    shared |= {"layers": "described", "key": f"{network}-{seed}", "device": "cpu",
               "date": "2026", "data_note": "", "test_accuracy": 0.8}  # fmt: skip
    rows = pd.DataFrame([{**shared, "layer": i + 1, column: v} for i, v in enumerate(values)])
    config = by_hand.mapped if column == "silhouette" else by_hand.probed
    return by_hand.configured(rows, config)


def test_maps_and_probes_decide():
    kept = {"samples": 500}
    table = pd.concat([rows_of("vgg11", "silhouette", rising(8), s, **kept) for s in (0, 1)])
    assert verdict("CM-01", community_maps=table)[0] == "reproduced"
    kept = {"fit_images": 5000, "test_images": 2000}
    table = pd.concat(
        [
            rows_of(n, "accuracy", rising(8), s, **kept)
            for n in ("vgg16", "resnet18")
            for s in (0, 1)
        ]
    )
    both = [made(n, rising(8), seed=s) for n in ("vgg16", "resnet18") for s in (0, 1)]
    assert verdict("CM-15", *both, community_probes=table)[0] == "reproduced"
    assert verdict("CM-15", *both)[0] == "not run yet"
    results = {"community_curves": curves.table(both), "community_probes": table}
    frame = chapter.probe_rows(results)
    assert len(frame) == 32 and set(frame["network"]) == {"vgg16", "resnet18"}
    assert pictures.probes_and_q(frame).axes


def test_pretrained_networks_decide():
    frames = []
    for name in RESNETS:
        shared = {"network": name, "weights": "imagenet", "data": "imagenet50", "samples": 500,
                  "neighbours": 3, "seed": 0, "key": name}  # fmt: skip
        frames.append(pd.DataFrame([{**shared, "layer": i + 1, "q": q}
                                    for i, q in enumerate(rising(8, 0.7))]))  # fmt: skip
    table = by_hand.configured(pd.concat(frames, ignore_index=True), by_hand.pretrained)
    own = [made(n, rising(8, 0.7, flat=3), data="imagenet50") for n in RESNETS]
    for claim in ("CM-17", "CM-18", "CM-19"):
        assert verdict(claim, *own, community_pretrained=table)[0] == "reproduced"


def test_toy_claims_need_no_rows():
    assert verdict("CM-03")[0] == "not run (needs weights that are not printed)"
    assert verdict("CM-04")[0] == "reproduced"


# --- parameters, pictures and tables -------------------------------------------------------------


def test_parameters_make_configurations():
    p = CurvesParameters()
    assert [train.network for train in curves_section.trainings(p)] == ["vgg11", "resnet18"]
    (one, _) = curves_section.base(p)
    assert (one.samples, one.neighbours, one.repeats) == (200, (3,), 3)
    varied = curves_section.sensitivity(p)
    assert len(varied) == 2 * (1 + len(p.sizes) + 7) and len(set(varied)) == len(varied)
    assert len(curves_section.map_configs(p)) == 1 and len(curves_section.probe_configs(p)) == 2
    assert curves_section.pretrained_configs(p) == []
    full = CurvesParameters(data=["cifar100"], scale="paper", samples=0, networks=list(NETWORKS))
    assert {config.samples for config in curves_section.base(full)} == {1000}
    assert all(train.epochs == 150 and train.width == 0 for train in curves_section.trainings(full))
    some = CurvesParameters(imagenet_networks=["resnet101"], imagenet_weights="folder")
    assert curves_section.pretrained_configs(some)[0].weights == "imagenet"
    given = {name: getattr(p, name) for name in p.__dataclass_fields__}
    with pytest.raises(parameters.ParameterError, match="k = 40 needs more than 40 images"):
        parameters.read({**given, "samples": 30}, CurvesParameters)


def test_pictures():
    rows = curves.table(five())
    frame = chapter.titled(rows)
    assert len(pictures.curve_panels(frame, words=chapter.WORDS).axes) == 5
    assert [axes.get_title("left") for axes in pictures.curve_lines(frame, by="seed").axes[:2]] == [
        "VGG11", "VGG13",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no curve"):
        pictures.curve_panels(rows[:0])
    with pytest.raises(ValueError, match="columns"):
        pictures.curve_lines(rows, by="nothing")
    with pytest.raises(ValueError, match="told apart"):
        pictures.curve_lines(rows.assign(x=range(len(rows))), by="x")
    figure = pictures.graph_snapshots(toy.snapshots(), toy.CLASSES, list("abcd"))
    assert [len(axes.lines) for axes in figure.axes] == [21] * 4  # 18 edges and three classes
    with pytest.raises(ValueError, match="titles"):
        pictures.graph_snapshots(toy.snapshots(), toy.CLASSES, ["a"])
    points = np.random.default_rng(0).normal(size=(5, 30, 2))
    assert len(pictures.class_maps(points, np.arange(30) % 3, list("abcde")).axes) == 8
    with pytest.raises(ValueError, match="maps"):
        pictures.class_maps(points, np.arange(29), list("abcde"))


def test_tables_and_sentences_with_and_without_rows():
    empty = {"community_curves": curves.table([]), "community_maps": maps.table([]),
             "community_probes": probes.table([])}  # fmt: skip
    full = {**empty, "community_curves": curves.table(five())}
    for results in (empty, full):
        rows = chapter.rows(results)
        chapter.accuracies_beside(results, name="a")
        chapter.stand_in(results, name="b")
        chapter.over_samples(results), chapter.over_k(results), chapter.probe_rows(results)
        for which in (chapter.READINGS, chapter.SYMMETRISED, chapter.SIMILARITIES, chapter.STAGES):
            chapter.readings(results, which)
        assert chapter.stored_maps(results) == ()
        said = [chapter.provenance(rows).data, chapter.surprises(rows).data]
        shapes_shown = chapter.shape_table(rows, name="c")
        if results is empty:
            assert all("ot run yet" in text for text in [*said, shapes_shown.data])
        else:
            assert "VGG19 (2)" in said[0] and by_hand.SHORT in said[0]
            assert "VGG11: Q goes from 0.05 to 0.80" in said[1]
            assert shapes_shown.data["layers"].tolist() == list(LENGTHS.values())
    beside = chapter.accuracies_beside(full, name="a").data
    ours = beside.set_index(["data", "network"])
    assert len(beside) == 27 and ours.loc[("CIFAR-10", "VGG16"), "ours, best epoch"].startswith(
        "80"
    )
    assert ours.loc[("CIFAR-100", "VGG16"), "trained"] == "not run (needs CIFAR-100)"
    assert ours.loc[("CIFAR-10", "ResNet152"), "trained"] == "not run (needs GPU)"
    assert "needs ImageNet" in chapter.missing("imagenet50").data
    assert "28 claims" in chapter.status().data
    table = curves.table([*five(), made("vgg11", rising(8) + 0.1, similarity="pearson")])
    changes = chapter.changes(table, 500, name="d").data.set_index("network")
    assert changes.loc["VGG11", "Pearson"] == "+0.100" and changes.loc["VGG11", "union"] == "–"
    stored = five() + five(data="tiny_imagenet_50")
    frame = chapter.stand_in({**empty, "community_curves": curves.table(stored)}, name="e").data
    assert frame["network"].tolist() == ["VGG11", "VGG13", "VGG16", "VGG19"]


def test_every_claim_of_the_section_has_a_test_or_a_reason():
    ids = [f"CM-{i:02d}" for i in (*range(1, 20), *range(27, 33), *range(56, 60))]
    claims = ledger.load_claims().set_index("id").loc[ids]
    assert (claims["tests"].map(bool) | claims["reason"].astype(bool)).all()
    assert (claims["section"] == chapter.SECTION).sum() == 28
