"""Sub-modules: their random sets, when one is important, and a network known by hand."""

import numpy as np
import pytest
import torch

from modgraph_lib import clustering, graphs, lesions, models, toys


@pytest.fixture(scope="module")
def noise():
    images = torch.rand(150, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return images, torch.randint(0, 10, (150,), generator=torch.Generator().manual_seed(1))


def test_submodules_partition_the_joined_hidden_units():
    model = models.mlp(20, 5, widths=(12, 9), seed=0)
    with torch.no_grad():
        model[1].weight[:3] = 0
        model[3].weight[:, :3] = 0
    graph = graphs.weight_graph(model)
    labels = clustering.spectral_clustering(graph, 3, seed=0)
    parts = lesions.submodules(graph, labels)
    first = [part for part in parts if part.depth == 1]
    assert sorted(np.concatenate([part.units for part in first])) == list(range(3, 12))
    assert {part.layer for part in parts} == {"1", "3"}
    assert all(list(part.population) == list(range(3, 12)) for part in first)
    assert sum(part.proportion for part in first) == pytest.approx(1)
    assert first[0].mask.sum() == len(first[0].units)
    assert first[0].name == f"1-{first[0].module}"
    with pytest.raises(ValueError, match="as many labels"):
        lesions.submodules(graph, labels[:-1])
    with pytest.raises(ValueError, match="no hidden layer"):
        shallow = graphs.weight_graph([np.ones((3, 4))])
        lesions.submodules(shallow, np.zeros(7, dtype=int))


def part_of(size, population=20, width=24, depth=1, module=0):
    return lesions.Submodule(
        str(depth), depth, module, np.arange(size), np.arange(population), width
    )


def test_random_sets_are_uniform_and_keep_to_joined_units():
    part = part_of(5)
    masks = lesions.random_units(part, 4000, seed=0)
    assert (masks.sum(1) == 5).all()
    assert not masks[:, 20:].any()
    # each unit is drawn with probability 1/4, members of the sub-module included
    counts = masks[:, :20].sum(0)
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)
    overlap = masks[:, :5].sum(1)
    assert overlap.mean() == pytest.approx(5 * 5 / 20, abs=0.06)
    assert (lesions.random_units(part, 7, seed=0) == masks[:7]).all()
    assert (lesions.random_units(part, 7, seed=1) != masks[:7]).any()


def test_p_values_and_ties():
    part = part_of(5)
    random = np.array([0.9] * 98 + [0.8, 0.7])
    lesion = lesions.SingleLesion(part, 0.95, 0.8, np.zeros(2), random)
    assert lesion.p_value("described") == pytest.approx(3 / 101)
    assert lesion.p_value("published") == pytest.approx(2 / 101)
    tied = lesions.SingleLesion(part, 0.95, 0.7, np.zeros(2), random)
    assert tied.p_value("described") == pytest.approx(2 / 101)
    assert tied.p_value("published") == pytest.approx(1 / 101)
    assert tied.importance("described") == "diff-but-not-sig"
    assert tied.importance("published") == "small"  # 5 units of 20
    with pytest.raises(ValueError, match="variant is one of"):
        tied.p_value("prescribed")


@pytest.mark.parametrize(
    ("loss", "p", "size", "proportion", "described", "published"),
    [
        (0.05, 1 / 101, 30, 0.2, "important", "important"),
        (0.01, 1 / 101, 30, 0.2, "sig-but-not-diff", "important"),
        (0.0100000000001, 1 / 101, 30, 0.2, "sig-but-not-diff", "important"),
        (0.0101, 1 / 101, 30, 0.2, "important", "important"),
        (0.005, 1 / 101, 30, 0.2, "sig-but-not-diff", "sig-but-not-diff"),
        (0.05, 2 / 101, 30, 0.2, "diff-but-not-sig", "diff-but-not-sig"),
        (-0.05, 1.0, 30, 0.2, "other", "other"),
        (0.05, 1 / 101, 12, 0.06, "important", "small"),
        (0.05, 1 / 101, 13, 0.05, "important", "important"),
        (0.05, 1 / 101, 13, 0.049, "small", "important"),
        (0.05, 1.0, 40, 1.0, "complete", "complete"),
    ],
)
def test_classes_of_importance(loss, p, size, proportion, described, published):
    for variant, expected in (("described", described), ("published", published)):
        found = lesions.classify(
            loss, p, controls=100, size=size, proportion=proportion, variant=variant
        )
        assert found == expected in lesions.IMPORTANCES
        numpy = lesions.classify(
            np.float64(loss), p, controls=100, size=size, proportion=proportion, variant=variant
        )
        assert numpy == expected


def test_the_papers_table_follows_from_the_rules():
    """Table A.18: the printed class of each sub-module is what the described rules give."""
    from book.lab import ledger

    printed = ledger.paper_table("surprisingly_modular/table_a18")
    for row in printed.to_dict("records"):
        found = lesions.classify(
            -float(row["accuracy_change_when_lesioned"]),
            float(row["p_value"]),
            controls=100,
            size=30,
            proportion=float(row["layer_proportion"]),
        )
        assert found == row["importance_type"], row


# --- a network whose lesions are known by hand ------------------------------------------------


@pytest.fixture(scope="module")
def relay():
    return toys.relay(4, units=6)


def test_single_lesions_of_the_relay(relay):
    """Each strand carries one of four classes: silencing it costs that class alone."""
    found = lesions.single_lesions(
        relay.model, relay.parts, relay.images, relay.labels, controls=30, device="cpu"
    )
    assert len(found) == 12
    for one in found:
        assert one.intact == 1.0
        assert one.loss == pytest.approx(0.25)
        assert one.by_class[one.submodule.module] == 0
        assert one.p_value() == pytest.approx(1 / 31)
        assert one.importance() == "important"


def test_double_lesions_of_the_relay(relay):
    """A strand's pieces depend on each other and on nothing else."""
    pairs = lesions.pairs_across_layers(relay.parts)
    assert len(pairs) == 3 * 16
    found = lesions.double_lesions(
        relay.model, pairs, relay.images, relay.labels, controls=20, device="cpu"
    )
    for pair in found:
        same = pair.x.module == pair.y.module
        assert pair.delta_x == pytest.approx(0.0 if same else 0.25)
        assert pair.delta_x - pair.delta_y == pytest.approx(pair.accuracy_y - pair.accuracy_x)
        assert pair.important() == ((False, False) if same else (True, True))
        assert pair.depends() == same


@pytest.mark.parametrize(("bias", "loss"), [(0.0, 0.25), (0.5, 0.0), (5.0, 0.75)])
def test_both_definitions_on_the_relay(bias, loss):
    """Without incoming weights a unit shows its bias: nothing, half a signal, or far too much."""
    relay = toys.relay(4, units=6, bias=bias)
    expected = {"weights": loss, "activations": 0.25, "weights_and_biases": 0.25}
    for kind, value in expected.items():
        found = lesions.single_lesions(
            relay.model, relay.parts[:4], relay.images, relay.labels,
            controls=1, kind=kind, device="cpu",
        )  # fmt: skip
        assert [one.intact for one in found] == [1.0] * 4
        assert [one.loss for one in found] == pytest.approx([value] * 4)


def test_clustering_finds_the_strands_of_the_relay(relay):
    graph = graphs.weight_graph(relay.model)
    labels = clustering.spectral_clustering(graph, 4, seed=0)
    found = lesions.submodules(graph, labels)
    assert {tuple(one.units) for one in found} == {tuple(one.units) for one in relay.parts}


def test_controls_depend_on_seed_and_submodule_alone(noise):
    model = models.mlp(64, 10, widths=(24, 24, 24), seed=0)
    graph = graphs.weight_graph(model)
    parts = lesions.submodules(graph, clustering.spectral_clustering(graph, 3, seed=0))
    options = {"controls": 4, "device": "cpu"}
    whole = lesions.single_lesions(model, parts, *noise, **options)
    last = lesions.single_lesions(model, parts[-1:], *noise, **options)
    assert (whole[-1].random == last[0].random).all()
    other = lesions.single_lesions(model, parts, *noise, seed=1, **options)
    assert any((one.random != two.random).any() for one, two in zip(whole, other, strict=True))


def test_refusals(relay, noise):
    given_ = (relay.model, relay.parts, relay.images, relay.labels)
    with pytest.raises(ValueError, match=r"controls must .*at least 1"):
        lesions.single_lesions(*given_, controls=0)
    with pytest.raises(ValueError, match="no sub-module"):
        lesions.single_lesions(relay.model, [], relay.images, relay.labels)
    with pytest.raises(ValueError, match="1-0 has no unit"):
        lesions.single_lesions(relay.model, [part_of(0)], relay.images, relay.labels)
    x, y = relay.parts[0], relay.parts[-1]
    with pytest.raises(ValueError, match="earlier layer first"):
        lesions.double_lesions(relay.model, [(y, x)], relay.images, relay.labels)
    with pytest.raises(ValueError, match="no pair"):
        lesions.double_lesions(relay.model, [], relay.images, relay.labels)
