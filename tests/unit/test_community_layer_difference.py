"""CKA by closed forms and the textbook formula; layers inside blocks; records and their claims."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from book.lab import ledger
from book.papers.community_modularity.s04_layer_difference import (
    block_patterns,
)
from book.papers.community_modularity.s04_layer_difference import (
    experiment as layer_difference,
)
from book.papers.community_modularity.s04_layer_difference.experiment import DifferenceConfig
from book.papers.community_modularity.settings import training_run
from modgraph_lib.communities import cka
from modgraph_lib.models import cifar_networks
from tests import made

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def textbook(x, y):
    """||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F) of centred features."""
    x, y = (np.asarray(f, dtype=np.float64).reshape(len(f), -1) for f in (x, y))
    x, y = x - x.mean(0), y - y.mean(0)
    norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return np.linalg.norm(y.T @ x) ** 2 / norms


# --- linear CKA -----------------------------------------------------------------------------


def test_by_hand():
    """Two classes against one sample apart: K and L are 1 on the blocks and centred by hand."""
    halves = np.array([[1.0], [1], [-1], [-1]])
    odd = np.array([[3.0], [-1], [-1], [-1]])
    # <x, y>^2 / (|x|^2 |y|^2) for single centred columns: (3 - 1 + 1 + 1)^2 / (4 * 12) = 1/3.
    assert cka.linear_cka(halves, odd) == pytest.approx(1 / 3, abs=1e-14)
    across = np.array([[1.0], [-1], [1], [-1]])
    assert cka.linear_cka(halves, across) == pytest.approx(0, abs=1e-14)
    both = np.hstack([halves, across])
    # Two orthogonal directions of equal length: one of them shares 1 / sqrt(2) with the pair.
    assert cka.linear_cka(halves, both) == pytest.approx(2**-0.5, abs=1e-14)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30), st.floats(0, 1e3))
def test_the_textbook_formula(seed, one, other, offset):
    rng = np.random.RandomState(seed)
    x, y = rng.normal(size=(12, one)) + offset, rng.normal(size=(12, other))
    y[:, 0] += x[:, 0]
    found = cka.linear_cka(x, y)
    assert found == pytest.approx(textbook(x, y), abs=1e-6)
    assert 0 <= found <= 1
    assert found == pytest.approx(cka.linear_cka(y, x), abs=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 20), st.floats(1e-6, 1e6))
@example(278, 2, 1e-6)
def test_what_cka_does_not_see(seed, width, scale):
    rng = np.random.RandomState(seed)
    x, y = rng.normal(size=(15, width)), rng.normal(size=(15, 4))
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    assert cka.linear_cka(x, x) == pytest.approx(1, abs=1e-12)
    moved = scale * (x @ rotation) + rng.normal(size=width)
    assert cka.linear_cka(x, moved) == pytest.approx(1, abs=1e-6)
    assert cka.linear_cka(moved, y) == pytest.approx(cka.linear_cka(x, y), abs=1e-6)
    order = rng.permutation(15)
    assert cka.linear_cka(x[order], y[order]) == pytest.approx(cka.linear_cka(x, y))


def test_extreme_sizes_and_shapes():
    rng = np.random.RandomState(0)
    x, y = rng.normal(size=(10, 2, 3, 3)).astype(np.float32), rng.normal(size=(10, 40))
    expected = textbook(x, y)
    for factor in (1e-30, 1.0, 1e30):
        scaled = torch.tensor(x) * factor
        assert cka.linear_cka(scaled, y) == pytest.approx(expected, abs=1e-6)
    assert cka.linear_cka(x.reshape(10, -1), y) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 2)), np.eye(3), "x is the same for every sample"),
        (np.eye(3), np.full((3, 2), 0.1), "y is the same for every sample"),
        (np.eye(3), np.eye(4), "same samples, got 3 and 4"),
        (np.ones(3), np.eye(3), "x must be"),
        (np.eye(3), np.ones((1, 3)), "y must be"),
        (np.array([[1.0], [np.nan]]), np.eye(2), "NaN"),
        (np.ones((3, 0)), np.eye(3), "no features"),
    ],
)
def test_linear_cka_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        cka.linear_cka(x, y)


# --- a network ------------------------------------------------------------------------------


@pytest.fixture
def network():
    return cifar_networks.build("resnet18", (1, 8, 8), 10, width=4, moments="digits", seed=0).eval()


def test_matrix_equals_pair_by_pair_in_any_memory(network):
    images = torch.randint(0, 256, (25, 1, 8, 8), dtype=torch.uint8)
    layers = ["stages.1.0", "stem", "stages.3.1"]
    found = cka.cka_matrix(network, images, layers=layers, device="cpu")
    assert found.layers == tuple(layers) and found.samples == 25
    assert np.allclose(found.values, found.values.T) and (np.diag(found.values) == 1).all()
    features = {}
    for name in layers:
        module = network.get_submodule(name)
        module.register_forward_hook(lambda m, i, o, name=name: features.update({name: o}))
    with torch.no_grad():
        network(images / 255)
    for i, one in enumerate(layers):
        for j, other in enumerate(layers):
            peer = textbook(features[one], features[other])
            assert found.values[i, j] == pytest.approx(peer, abs=1e-6)
    tight = 50 * 8 * 25 / 2**30  # fifty features a sample at a time
    pieces = cka.cka_matrix(network, images, layers=layers, batch_size=4, memory=tight)
    assert np.allclose(pieces.values, found.values, atol=1e-9)


def test_matrix_refuses(network):
    images = torch.rand(6, 1, 8, 8)

    def fails(message, model=network, x=images, **options):
        with pytest.raises(ValueError, match=message):
            cka.cka_matrix(model, x, device="cpu", **options)

    fails("did you mean 'stem'", layers=["stemm"])
    fails("at least two images", x=images[:1])
    fails("'stem' is the same for every sample", x=torch.full((6, 1, 8, 8), 0.3), layers=["stem"])
    fails("NaN", x=images * float("nan"))
    fails("batch_size", batch_size=0)
    fails("training mode", model=nn.Sequential(nn.Conv2d(1, 1, 1)))


def test_layers_inside_and_after_blocks(network):
    units = cifar_networks.sub_layers(network)
    assert list(units)[:4] == ["stem", "stages.0.0.body.2", "stages.0.0.body.4", "stages.0.0"]
    kinds = list(units.values())
    assert kinds == ["stem"] + ["inside", "inside", "after"] * 8
    bare = cifar_networks.sub_layers(network, "convolutions")
    assert list(bare)[:4] == ["stem.0", "stages.0.0.body.0", "stages.0.0.body.3", "stages.0.0"]
    assert list(bare.values()) == kinds
    deep = cifar_networks.build("resnet50", width=4, seed=0)
    assert (
        list(cifar_networks.sub_layers(deep).values())
        == ["stem"] + (["inside"] * 3 + ["after"]) * 16
    )
    named = dict(deep.named_modules())
    for name, kind in cifar_networks.sub_layers(deep, "convolutions").items():
        assert kind == "after" or isinstance(named[name], nn.Conv2d)
    with pytest.raises(ValueError, match="only a ResNet"):
        cifar_networks.sub_layers(cifar_networks.build("vgg11", width=4, seed=0))
    with pytest.raises(ValueError, match="parts must be"):
        cifar_networks.sub_layers(network, "layers")


# --- records --------------------------------------------------------------------------------

TRAIN = training_run("resnet18", 0, data="digits", width=4, epochs=1, batch_size=256)
QUICK = {"samples": 60, "repeats": 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("difference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGRAPH_CACHE", str(folder / "cache"))
        patch.setenv("MODGRAPH_RESULTS", str(folder / "results"))
        yield


@pytest.fixture(scope="module")
def records(folders):
    configs = [DifferenceConfig(TRAIN, stage, **QUICK) for stage in ("trained", "untrained")]
    return layer_difference.run(configs, device="cpu", workers=1)


def test_records_and_their_table(records, monkeypatch):
    rows = layer_difference.table(records)
    assert len(rows) == 2 * 25 * 24 / 2
    assert "test_accuracy" in records[0]["result"] and len(records[0]["result"]["q"]) == 2
    first = rows[rows["stage"] == "trained"]
    kinds, difference, alignment = layer_difference.matrices(first)
    assert kinds == records[0]["result"]["kinds"]
    assert alignment.tolist() == records[0]["result"]["cka"]
    q = np.mean(records[0]["result"]["q"], axis=0)
    assert np.allclose(difference, np.abs(q[:, None] - q))
    pair = first[(first["name_i"] == "stages.0.0.body.4") & (first["name_j"] == "stages.0.1")]
    assert pair[["block_i", "block_j", "kind_i", "kind_j"]].values.tolist() == [
        [1, 2, "inside", "after"]
    ]
    assert (first[first["kind_i"] == "stem"]["block_i"] == 0).all()
    assert set(layer_difference.table([])) <= set(rows)
    monkeypatch.setattr(layer_difference, "measure", lambda *a, **k: pytest.fail("run again"))
    again = layer_difference.run(
        [DifferenceConfig(TRAIN, "untrained", **QUICK)], device="cpu", workers=1
    )
    assert again == records[1:]


def test_a_record_is_recomputed_alike(records):
    experiment = layer_difference.EXPERIMENT
    outcome, _ = experiment.compare(records[1]["result"], experiment.again(records[1]))
    assert outcome == "identical"
    assert not experiment.keep(records[0])  # digits stay local


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "pruned"}, "stage must be"),
        ({"parts": "blocks"}, "parts must be"),
        ({"samples": 1}, "two samples"),
        ({"train": training_run("vgg11", 0)}, "no residual blocks"),
    ],
)
def test_configurations_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        DifferenceConfig(**{"train": TRAIN, **options})


# --- patterns and claims --------------------------------------------------------------------

KINDS = ["stem"] + ["inside", "inside", "after"] * 3
BLOCKS = np.array([0, 1, 1, 1, 2, 2, 2, 3, 3, 3])


def from_values(values):
    return np.abs(np.subtract.outer(values, values))


def test_contrast_by_hand():
    """Outputs at 0, insides at 1: every output is 1 from insides and 0 from outputs."""
    values = np.array([5.0] + [1, 1, 0] * 3)
    found = block_patterns.contrast_of(from_values(values), KINDS, BLOCKS)
    assert (found.inside, found.after, found.share, found.gap) == (1.0, 0.0, 1.0, 1.0)
    # A straight rise over depth has hardly a pattern: insides lie half a step nearer or farther.
    rise = block_patterns.contrast_of(from_values(np.arange(10.0)), KINDS, BLOCKS)
    assert rise.after == pytest.approx(4.0)
    # outputs 3, 6, 9; insides of others at (4, 5, 7, 8), (1, 2, 7, 8), (1, 2, 4, 5)
    assert rise.inside == pytest.approx(np.mean([3, 3, 6]))
    with pytest.raises(ValueError, match="two blocks"):
        block_patterns.contrast_of(from_values(values[:4]), KINDS[:4], BLOCKS[:4])


def pretend(values, alignment=None, seed=0, **settings):
    """Rows of one network with these Q, as if of the short run."""
    values = np.asarray(values, float)
    one, other = np.triu_indices(len(values), 1)
    kinds, blocks = np.array(KINDS), BLOCKS
    difference = from_values(values)
    alignment = 1 - difference if alignment is None else alignment
    frame = pd.DataFrame(
        {
            "layer_i": one + 1, "layer_j": other + 1, "kind_i": kinds[one], "kind_j": kinds[other],
            "block_i": blocks[one], "block_j": blocks[other],
            "difference": difference[one, other], "cka": alignment[one, other],
        }
    )  # fmt: skip
    fixed = {
        "network": "resnet18", "data": "cifar10", "seed": seed, "width": 16, "epochs": 10,
        "images": 0, "schedule": "one_cycle", "stage": "trained", "parts": "units",
        "samples": 500, "k": 3, "layers_in_all": len(values), "key": f"key{seed}",
    }  # fmt: skip
    return made.configured(frame.assign(**fixed | settings), made.different)


def test_two_patterns_alike():
    values = np.array([0.5] + [0.3, 0.35, 0.1] * 3) + 0.01 * np.arange(10)
    same = block_patterns.alike(pretend(values), permutations=99)
    assert same.correlation == pytest.approx(1) and same.p_value == 0.01
    assert same.beyond_depth == pytest.approx(1)
    noise = np.random.RandomState(0).uniform(size=(10, 10))
    rows = pretend(values, (noise + noise.T) / 2)
    other = block_patterns.alike(rows, permutations=99)
    rows = rows.round({"difference": 9, "cka": 9})  # equal ones stay equal in ranks
    peer = stats.spearmanr(rows["difference"], -rows["cka"]).statistic
    assert other.correlation == pytest.approx(peer)
    # scipy's own partial correlation of ranks, by residuals of a least-squares line
    depth = stats.rankdata(rows["layer_j"] - rows["layer_i"])
    left = []
    for column in (rows["difference"], -rows["cka"]):
        ranks = stats.rankdata(column)
        line = stats.linregress(depth, ranks)
        left.append(ranks - line.intercept - line.slope * depth)
    assert other.beyond_depth == pytest.approx(stats.pearsonr(*left).statistic)
    assert other.p_value > 0.01
    with pytest.raises(ValueError, match="measure must be"):
        block_patterns.contrast(rows, "q")


def test_claims_of_patterns():
    pattern = np.array([0.3] + [0.3, 0.35, 0.1] * 3)
    rows = pd.concat(
        [pretend(pattern + 0.001 * np.arange(10) * seed, seed=seed) for seed in (0, 1)]
    )
    ids = ("CM-33", "CM-34")
    found = ledger.verdicts({"community_layer_difference": rows}, ids=ids)
    assert found["verdict"].tolist() == ["reproduced"] * 2
    assert set(found["scale"]) == {f"another recipe: {made.SHORT}, 2 of each"}
    reverse = np.array([0.3] + [0.2, 0.2, 0.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.4])
    rows_of = [pretend(reverse * (1 + 0.1 * seed), seed=seed) for seed in (0, 1)]
    found = ledger.verdicts({"community_layer_difference": pd.concat(rows_of)}, ids=ids)
    assert found["verdict"].tolist() == ["not reproduced", "partly"]  # alike, without a pattern
    bare = made.configured(rows.assign(parts="convolutions"), made.different)
    found = ledger.verdicts({"community_layer_difference": bare}, ids=ids)
    assert found["verdict"].tolist() == ["not run yet"] * 2
    assert ledger.verdicts({}, ids=ids)["verdict"].tolist() == ["not run yet"] * 2
