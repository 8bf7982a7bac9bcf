"""Networks with planted modules: what is planted is there, and nothing depends on company."""

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import clustering, datasets, graphs, training
from modgraph_lib.training import planted

SMALL = {"widths": (8, 8), "steps": 20, "pairs": 200}


@pytest.fixture(scope="module")
def digits():
    return [datasets.load("digits", half) for half in ("train", "test")]


def between(network: planted.Planted) -> list[float]:
    """Mean weight between modules over that within, block by block."""
    graph = graphs.weight_graph(network.model, floor=0)
    parts = np.split(network.modules, graph.offsets[1:-1])
    found = []
    for (i, j), block in sorted(graph.blocks.items()):
        same = parts[i][:, None] == parts[j]
        found.append(float(block[~same].mean() / block[same].mean()))
    return found


def test_at_leak_0_two_networks_lie_side_by_side(digits):
    network = planted.train(*digits, leak=0, seed=3, **SMALL)
    assert between(network) == [0, 0, 0]
    first = network.modules[: network.inputs.shape[1]] == 0
    changed = network.inputs.clone()
    changed[:, torch.from_numpy(~first)] = 0.5
    with torch.no_grad():
        before, after = network.model(network.inputs), network.model(changed)
    torch.testing.assert_close(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


@pytest.mark.parametrize("leak", [0.25, 1.0])
def test_an_untrained_network_has_the_leak_between_its_modules(digits, leak):
    network = planted.train(*digits, leak=leak, seed=0, widths=(200, 200), steps=0, pairs=10)
    np.testing.assert_allclose(between(network)[:2], leak, rtol=0.05)


def test_the_accuracy_is_that_of_the_network_returned(digits):
    network = planted.train(*digits, leak=0.5, seed=0, widths=(32, 32), steps=200, pairs=3000)
    with torch.no_grad():
        logits = network.model(network.inputs)
    for task, accuracy in enumerate(network.accuracy):
        said = logits[:, 10 * task : 10 * task + 10].argmax(1)
        assert accuracy == pytest.approx(float((said == network.labels[:, task]).float().mean()))
        assert accuracy > 0.5  # 0.1 by chance: both tasks are learned


def test_mixed_inputs_are_turned_and_belong_to_no_module(digits):
    plain, labels = planted.two_tasks(digits[1], 50, seed=4)
    mixed, same = planted.two_tasks(digits[1], 50, seed=4, mixed=True)
    assert torch.equal(labels, same)
    torch.testing.assert_close(mixed @ mixed.T, plain @ plain.T, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(mixed, plain)
    network = planted.train(*digits, leak=0, seed=0, mixed=True, **SMALL)
    assert (network.modules[:128] == -1).all()
    weights = [m.weight for m in network.model if isinstance(m, nn.Linear)]
    assert (weights[0] != 0).all() and (weights[1] == 0).any()


def test_pairs_show_the_images_whose_labels_they_carry(digits):
    inputs, labels = planted.two_tasks(digits[1], 30, seed=1)
    flat = digits[1].images.flatten(1).float()
    for half in range(2):
        part = inputs[:, 64 * half : 64 * half + 64]
        scale = float(flat.max() / inputs.max())
        nearest = torch.cdist(part * scale, flat).argmin(1)
        assert torch.equal(digits[1].labels[nearest], labels[:, half])


def test_a_network_is_its_seed_alone(digits):
    one, again = (planted.train(*digits, leak=0.3, seed=5, **SMALL) for _ in range(2))
    torch.manual_seed(99)
    third = planted.train(*digits, leak=0.3, seed=6, **SMALL)
    states = [network.model.state_dict() for network in (one, again, third)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["1.weight"], states[2]["1.weight"])


def test_what_cannot_be_planted_is_refused(digits):
    with pytest.raises(ValueError, match="leak"):
        planted.train(*digits, leak=1.5, seed=0)
    with pytest.raises(ValueError, match="widths"):
        planted.train(*digits, leak=0.5, seed=0, widths=(1,))
    with pytest.raises(ValueError, match="count"):
        planted.two_tasks(digits[0], 0, seed=0)


def test_its_modules_are_what_layered_modularity_finds(digits):
    network = training.planted.train(*digits, leak=0.1, seed=0, widths=(16, 16), steps=100)
    found = clustering.cluster_layered(graphs.weight_graph(network.model), 2).labels
    assert len({*zip(found, network.modules, strict=True)}) == 2
