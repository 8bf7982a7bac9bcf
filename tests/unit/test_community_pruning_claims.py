"""The measurements behind CM-35 to CM-55 on made rows, with answers known by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from book.lab import ledger
from book.papers.community_modularity import settings
from book.papers.community_modularity.s05_layer_pruning import (
    experiment as pruning,
)
from book.papers.community_modularity.s05_layer_pruning import measures, pictures
from book.papers.community_modularity.s05_layer_pruning import page as chapter
from book.papers.community_modularity.s05_layer_pruning import (
    section as pruning_section,
)
from book.papers.community_modularity.s05_layer_pruning.rows import pruned, removal_steps
from modgraph_lib.models import cifar_networks
from tests.made import SHORT, configured
from tests.made import pruned as pruned_config

SECTION = "community_modularity/05_layer_pruning"


def rows(network, q, accuracy, *, seed=0, kind="variant", full=False, best=None, **changes):
    """Rows of one network as ``pruning.table`` makes them, two repeats around the given Q."""
    plan = cifar_networks.plan_of(network)
    whole = cifar_networks.plan_of(plan.family).counts
    inherits = kind in ("variant", "control")
    parent = 150 if full else 10
    facts = {
        "network": network, "data": "cifar10", "seed": seed, "width": 0 if full else 16,
        "epochs": 150 if full else 3 if inherits else 10, "images": 0,
        "schedule": "steps" if full else "one_cycle", "stage": "trained", "samples": 500,
        "similarity": "cosine", "symmetrise": "mean", "sampling": "random",
        "layers": "described", "k": 3, "test_accuracy": accuracy,
        "best_accuracy": accuracy if best is None else best, "learning_rate": 0.02,
        "family": plan.family, "parent": plan.family if inherits else None,
        "parent_epochs": parent if inherits else 0, "removed": sum(whole) - sum(plan.counts),
        "kept": "", "start_accuracy": 0.1 if inherits else None,
        "reading": "described" if kind == "variant" else kind,
        "key": f"{network}-{seed}-{kind}-{full}", "device": "cpu", "date": "2026-11-21",
        "data_note": "", **changes,
    }  # fmt: skip
    lines = [
        {**facts, "repeat": repeat, "layer": layer + 1, "name": f"l{layer}", "q": value + shift}
        for repeat, shift in enumerate((-0.001, 0.001))
        for layer, value in enumerate(q)
    ]
    return pd.DataFrame(lines)


def together(*frames):
    return {"community_pruning": configured(pd.concat(frames, ignore_index=True), pruned_config)}


def climb(layers, plateau):
    """A straight climb to 0.8, then a level stretch after its first layer."""
    return [*np.linspace(0.1, 0.8, layers - plateau), *[0.8] * plateau]


@pytest.fixture
def vgg19():
    """Two seeds of VGG19: each removal shortens the plateau of 6 by one and costs 0.2 points."""
    frames = []
    for seed in (0, 1):
        frames.append(rows("vgg19", climb(16, 6), 0.80, seed=seed, kind="parent"))
        frames.append(rows("vgg19", climb(16, 6), 0.82, seed=seed, kind="control"))
        for gone in range(1, 7):
            q = climb(16 - gone, 6 - gone)
            frames.append(rows(f"vgg19_{gone}", q, 0.82 - 0.002 * gone, seed=seed))
    return together(*frames)


@pytest.fixture
def vgg11():
    """Removed layers add 0.2 (the 8th), 0.05 (6th) and 0.1 (4th) to Q; losses in proportion."""
    q = np.cumsum([0.1, 0.1, 0.02, 0.1, 0.03, 0.05, 0.1, 0.2])
    accuracy = (0.90, 0.88, 0.875, 0.865)
    frames = []
    for seed in (0, 1):
        frames.append(rows("vgg11", q, 0.80, seed=seed, kind="parent"))
        frames.append(rows("vgg11", q, accuracy[0], seed=seed, kind="control"))
        for gone, last in ((1, 7), (2, 6), (3, 5)):
            frames.append(rows(f"vgg11_{gone}", q[:last], accuracy[gone], seed=seed))
    return together(*frames)


def one(parts):
    (part,) = parts
    return part


# --- figure 9 -------------------------------------------------------------------------------


def test_variants_that_only_lose_their_plateau(vgg19):
    off = measures.pruned_curve_distance(vgg19, runs=2, family="vgg19")
    assert [part.observed for part in off] == pytest.approx([0] * 6)
    assert {part.runs for part in off} == {2}
    assert {part.scale for part in off} == {f"{SHORT}, 3 of fine-tuning"}
    lengths = [
        one(measures.pruned_plateau(vgg19, runs=2, family="vgg19", removed=gone)).observed
        for gone in (1, 6)
    ]
    assert lengths == [5, 0]
    assert one(measures.plateau_against_removed(vgg19, runs=2, family="vgg19")).observed == -1
    # against the control, not the parent, which is two points below it
    losses = measures.pruning_loss(vgg19, runs=2, family="vgg19")
    assert [part.observed for part in losses] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    worst = one(measures.plateau_pruning_loss(vgg19, runs=2, family="vgg19"))
    assert worst.observed == pytest.approx(1.2) and worst.name == "VGG19, plateau only"


def test_verdicts_of_such_a_family(vgg19):
    found = ledger.verdicts(vgg19, section=SECTION).set_index("id")["verdict"]
    assert found["CM-35"] == found["CM-36"] == found["CM-37"] == "reproduced"
    assert found["CM-38"] == found["CM-42"] == "not run (needs GPU)"  # no short run may decide
    assert found["CM-41"] == "not run (needs GPU)"
    assert found["CM-43"] == "not run (needs CIFAR-100)"


def test_distance_is_a_share_of_the_parents_range(vgg19):
    table = vgg19["community_pruning"]
    table.loc[table["network"] == "vgg19_2", "q"] += 0.07  # of a range of 0.7
    off = measures.pruned_curve_distance(vgg19, runs=2, family="vgg19")
    assert off[1].observed == pytest.approx(0.1)


def test_a_parent_without_a_plateau_has_nothing_to_test(vgg11):
    part = one(measures.plateau_pruning_loss(vgg11, runs=2, family="vgg11"))
    assert math.isnan(part.observed) and part.runs == 2


def test_shallow_layers_of_resnet152():
    q = np.linspace(0.1, 0.8, 50)
    frames = [rows("resnet152", q, 0.9, kind="parent", full=True)]
    for gone in pruning.REMOVED["resnet152"]:
        mine = np.concatenate([q[:11], np.full(39 - gone, 0.0)])
        frames.append(rows(f"resnet152_{gone}", mine, 0.9, full=True))
    parts = measures.pruned_curve_distance(
        together(*frames), runs=2, family="resnet152", shallow=True
    )
    assert [part.observed for part in parts] == pytest.approx([0] * 6)
    assert {part.scale for part in parts} == {""} and len(parts) == 6


# --- figure 10 ------------------------------------------------------------------------------


def test_steps_by_hand(vgg11):
    found = removal_steps(pruned(vgg11, family="vgg11"))
    means = found.groupby("step")[["delta_q", "delta_accuracy"]].mean()
    assert means["delta_q"].tolist() == pytest.approx([0.2, 0.05, 0.1])
    assert means["delta_accuracy"].tolist() == pytest.approx([2, 0.5, 1])
    # as printed: against the parent, by best epoch
    assert found.loc[found["step"] == 1, "printed_accuracy"].tolist() == pytest.approx([-8, -8])
    assert one(measures.loss_follows_q(vgg11, runs=2)).observed == pytest.approx(1)
    assert one(measures.loss_per_q(vgg11, runs=2)).observed == pytest.approx(1)
    peaks = one(measures.peak_spread(vgg11, runs=2, family="vgg11"))
    assert peaks.observed == pytest.approx((0.7 - 0.35) / 0.6)


def test_a_useful_layer_that_costs_nothing_has_no_ratio(vgg11):
    table = vgg11["community_pruning"]
    table.loc[table["network"] == "vgg11_2", "test_accuracy"] = 0.88
    assert one(measures.loss_per_q(vgg11, runs=2)).observed == math.inf


def test_seeds_without_every_variant_do_not_count(vgg11):
    table = vgg11["community_pruning"]
    table = table[(table["seed"] == 0) | (table["network"] != "vgg11_2")]
    part = one(measures.loss_follows_q({"community_pruning": table}, runs=2))
    assert part.runs == 1
    # and a gap in the chain ends a seed's steps
    assert removal_steps(pruned({"community_pruning": table}, family="vgg11"))["step"].max() == 3
    assert (
        removal_steps(pruned({"community_pruning": table}, family="vgg11"))["seed"] == 1
    ).sum() == 1


def test_printed_losses_ask_for_the_papers_scale(vgg11):
    assert math.isnan(one(measures.printed_loss(vgg11, runs=2, delta_q=0.16)).observed)
    frames = []
    q = np.cumsum([0.1, 0.1, 0.02, 0.1, 0.03, 0.05, 0.1, 0.2])
    for network, last, best in (("vgg11", 8, 0.92), ("vgg11_1", 7, 0.914), ("vgg11_2", 6, 0.913)):
        kind = "parent" if network == "vgg11" else "variant"
        frames.append(rows(network, q[:last], 0.9, kind=kind, full=True, best=best))
    both = together(vgg11["community_pruning"], *frames)
    part = one(measures.printed_loss(both, runs=2, delta_q=0.16))
    assert part.observed == pytest.approx(0.6) and part.scale == ""
    assert math.isnan(one(measures.printed_loss(both, runs=2, delta_q=0.01)).observed)


def test_costs_on_harder_data(vgg11):
    hard = vgg11["community_pruning"].copy()
    hard["data"], hard["samples"], hard["key"] = "cifar100", 1000, hard["key"] + "h"
    hard.loc[hard["network"] == "vgg11_3", "test_accuracy"] -= 0.01 * (1 + hard["seed"])
    part = one(measures.harder_data_cost(together(vgg11["community_pruning"], hard), runs=2,
                                         hard="cifar100"))  # fmt: skip
    assert part.observed == pytest.approx(1.5) and part.spread == pytest.approx(0.5)


# --- table 1 --------------------------------------------------------------------------------


def test_guided_networks_count_at_the_papers_scale_only():
    q = np.linspace(0.1, 0.8, 27)
    frames = []
    for seed in (0, 1):
        frames.append(rows("resnet56", q, 0.93, seed=seed, kind="parent", full=True))
        name = "resnet56_7_6_3"
        frames.append(rows(name, q[:11], 0.93, seed=seed, full=True, best=0.932 + 0.001 * seed))
    found = together(*frames)
    assert one(measures.guided_accuracy(found, runs=2)).observed == pytest.approx(93.25)
    gain = one(measures.guided_gain(found, runs=2))
    assert gain.observed == pytest.approx(0.25) and gain.spread == pytest.approx(0.05)
    gap = one(measures.guided_gain(found, runs=2, over=93.39))
    assert gap.observed == pytest.approx(-0.14)
    short = together(*(frame.assign(epochs=10, parent_epochs=0) for frame in frames))
    assert math.isnan(one(measures.guided_accuracy(short, runs=2)).observed)


def test_the_nearest_plan_by_hand():
    """Seven, six and three blocks: all of a stage but the first cost the same."""
    blocks = {16: 7, 32: 6, 64: 3}
    gone = sum(count * (2 * 9 * width**2 + 4 * width) for width, count in blocks.items())
    part = one(measures.nearest_reduction({}, runs=1, of="parameters"))
    assert part.observed == pytest.approx(100 * gone / 853_018)
    work = one(measures.nearest_reduction({}, runs=1, of="operations")).observed
    assert 60 < work < 60.5


# --- which rows -----------------------------------------------------------------------------


def test_full_scale_comes_first_and_other_rows_stay_out(vgg11):
    full = [
        rows("vgg11", [0.1, 0.5], 0.9, kind="parent", full=True),
        rows("vgg11_1", [0.1, 0.5], 0.9, full=True),
    ]
    table = vgg11["community_pruning"]
    assert set(pruned(together(table, *full), family="vgg11")["scale"]) == {""}
    # a parent alone is no family
    assert set(pruned(together(table, full[0]), family="vgg11")["scale"]) != {""}
    other = together(table.assign(learning_rate=0.5))  # of fine-tuning
    assert set(pruned(other, family="vgg11")["reading"]) == {"parent"}
    for column, value in (("epochs", 4), ("k", 5), ("images", 9)):
        assert pruned(together(table.assign(**{column: value})), family="vgg11").empty
    later = table[table["network"] == "vgg11_1"].assign(date="2027-01-01", test_accuracy=0.5)
    again = pruned(together(table, later.assign(key=later["key"] + "again")), family="vgg11")
    assert len(again) == 10
    assert (again.loc[again["network"] == "vgg11_1", "test_accuracy"] == 0.5).all()


def test_no_rows_leave_claims_open_and_the_page_whole():
    found = ledger.verdicts({}, section=SECTION)
    assert len(found) == 21
    assert set(found["verdict"]) <= {
        "not run yet", "not run (needs ImageNet)", "not run (needs CIFAR-100)",
        "not run (needs GPU)", "partly",
    }  # fmt: skip
    empty = pruned({}, family="vgg19")
    for shown in (chapter.costs(empty, name="a"), chapter.steps(empty, name="b")):
        assert "Not run yet" in shown.data
    assert math.isnan(chapter.plateau(empty))


# --- tables and pictures --------------------------------------------------------------------


def test_tables_of_the_page(vgg19, vgg11):
    networks = pruned(vgg19, family="vgg19")
    costs = chapter.costs(networks, name="t").data
    assert costs["lost, points"].tolist()[:3] == ["–", "0.00 ± 0.00", "0.20 ± 0.00"]
    assert costs["last plateau"].iloc[0] == "6.0 ± 0.0" and len(costs) == 8
    steps = chapter.steps(pruned(vgg11, family="vgg11"), name="t").data
    assert steps["points per unit of Q"].tolist() == ["10.0", "10.0", "10.0"]
    for table in ("table_b2", "table_b3", "table_b4", "table_b5"):
        assert set(chapter.architectures(table, name="t").data["agree"]) == {"yes"}
    assert chapter.ratios(name="t").data["points per unit of Q"].round(1).tolist() == [
        1.0, 3.6, 4.6, 8.1,
    ]  # fmt: skip
    evidence = chapter.evidence(networks, results=vgg19)
    assert len(evidence) == len(vgg19["community_pruning"])


def test_pictures(vgg19, vgg11):
    networks = pruned(vgg19, family="vgg19")
    panels = [axes for axes in pictures.pruned_curves(networks).axes if axes.lines]
    assert [len(axes.lines) for axes in panels] == [7, 7]
    assert pictures.costs_of_removal(networks, 6.0).axes[0].get_xticks().tolist() == list(range(7))
    steps = removal_steps(pruned(vgg11, family="vgg11"))
    assert pictures.loss_against_q(steps, chapter.PRINTED_PAIRS).axes
    assert pictures.loss_against_q(steps.iloc[:0], chapter.PRINTED_PAIRS).axes
    assert pictures.guided_blocks([0.1, 0.2, 0.2], (2, 1), ((0, 1), (0,))).axes
    with pytest.raises(ValueError, match="no network"):
        pictures.pruned_curves(networks.iloc[:0])


# --- parameters -----------------------------------------------------------------------------


def test_the_laptop_asks_for_the_rows_that_decide():
    p = pruning_section.PruningParameters(
        data="cifar10", deep_removed=[1, 2, 3, 4, 5, 6], scale="short", tune_rate=0.02, samples=500,
        repeats=5, guided="none",
    )  # fmt: skip
    looks = pruning_section.family_looks(p, "deep")
    parent = settings.training_run("vgg19", 0, scale="short")
    assert [look.train for look in looks] == pruning.family(
        parent, pruning.REMOVED["vgg19"], **pruning.FINE_TUNING["short"]
    )
    assert pruning_section.guided_look(p) is None
    quick = pruning_section.PruningParameters()
    assert pruning_section.guided_look(quick).train.width == 4
    with pytest.raises(ValueError, match="tune_rate"):
        pruning_section.PruningParameters(tune_rate=0.0)
    with pytest.raises(ValueError, match="samples"):
        pruning_section.PruningParameters(samples=4, neighbours=4)


def test_a_mean_of_nothing_but_rounding_is_an_ordinary_zero():
    assert chapter._mean([0.001, -0.003], 2) == "0.00 ± 0.00"
