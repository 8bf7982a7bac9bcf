import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info
from torch.nn import functional

from modgraph_lib import datasets, training
from modgraph_lib.training import TrainConfig, checkpoints, forward, loop, seeds
from modgraph_lib.training.pruning import PruningSchedule, magnitude_mask

PROMOTED = {"eigenvalue_penalty": 0.1, "normalise": True, "tags": 4, "tag_beta": 0.6}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", "train"), datasets.load("digits", "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    return tmp_path


def config(seed=0, **changes):
    settings = {"widths": (16, 16), "epochs": 2, "prune_epochs": 2, "batch_size": 64, **changes}
    return TrainConfig("digits", seed, **settings)


def same(a, b, **tolerance):
    for stage in a.weights:
        for name in a.weights[stage]:
            torch.testing.assert_close(a.weights[stage][name], b.weights[stage][name], **tolerance)


def exact(a, b):
    same(a, b, rtol=0, atol=0)


def test_the_cubic_schedule_by_hand():
    schedule = PruningSchedule()
    assert schedule.sparsity(0, 80) == pytest.approx(0.5)
    assert schedule.sparsity(40, 80) == pytest.approx(0.9 - 0.4 / 8)
    assert schedule.sparsity(80, 80) == pytest.approx(0.9)
    assert [t for t in range(25) if schedule.updates_at(t)] == [0, 10, 20]


def test_masks_keep_the_largest_magnitudes_of_each_network():
    weight = torch.tensor([[[1.0, -4.0], [3.0, 2.0]], [[0.0, 0.0], [0.0, -1.0]]])
    mask = magnitude_mask(weight, 0.5)
    assert mask[0].tolist() == [[False, True], [True, False]]
    assert mask[1].tolist() == [[False, False], [False, True]]
    assert magnitude_mask(weight, 0.0).all()


@pytest.mark.parametrize(
    "changes", [{}, {"l1": 1e-3}, {"l2": 1e-3}, {"l2": 1e-3, "first_layer_l1": True}]
)
def test_training_is_what_a_plain_loop_does(digits, changes):
    c = config(prune_epochs=0, epochs=1, **changes)
    ours = loop.train([c], *digits)[0].model("unpruned")
    model = loop.build(c, (1, 8, 8), 10)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    images = digits[0].images.float()[:, None] / 255
    order = loop._order(c, 0, 0, len(images))
    for batch in order.split(64):
        loss = functional.cross_entropy(model(images[batch]), digits[0].labels[batch])
        kernels = [p for p in model.parameters() if p.ndim == 2]
        for index, kernel in enumerate(kernels):
            if c.first_layer_l1 and index == 0:
                loss = loss + c.l2 * kernel.abs().sum()
            else:
                loss = loss + c.l1 * kernel.abs().sum() + c.l2 * kernel.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for a, b in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_pruned_network_has_nine_tenths_of_every_kernel_zero(digits):
    network = training.train([config()], *digits)[0]
    for name, weight in network.weights["pruned"].items():
        kept = torch.count_nonzero(weight).item()
        if name.endswith("weight"):
            total = len(digits[0].labels)
            steps = 2 * -(-total // 64)
            last = (steps - 1) // 10 * 10
            expected = round(weight.numel() * (1 - PruningSchedule().sparsity(last, steps)))
            assert kept == expected
        else:
            assert kept > 0.5 * weight.numel()
    assert all(
        torch.count_nonzero(w) == w.numel()
        for n, w in network.weights["unpruned"].items()
        if n.endswith("weight")
    )


@pytest.mark.parametrize("changes", [{}, {"l1": 0.1, "epochs": 10}])
def test_a_pruned_weight_never_comes_back(digits, monkeypatch, changes):
    kept = []
    plain = loop._update_masks

    def watched(state, common, step, steps):
        plain(state, common, step, steps)
        kept.append([mask.bool() for mask in state.masks.values()])

    monkeypatch.setattr(loop, "_update_masks", watched)

    def came_back():
        pairs = zip(kept[:-1], kept[1:], strict=True)
        return any((b & ~a).any() for old, new in pairs for a, b in zip(old, new, strict=True))

    training.train([config(**changes)], *digits)
    assert not came_back()
    kept.clear()
    training.train([config(regrowth=True, **changes)], *digits)
    assert came_back() == bool(changes)  # without L1 every threshold is above one step


def test_a_stack_trains_each_member_as_it_would_train_alone(digits):
    configs = [config(seed) for seed in (5, 9)]
    together = training.train(configs, *digits)
    for c, member in zip(configs, together, strict=True):
        alone = training.train([c], *digits)[0]
        same(alone, member, rtol=1e-3, atol=1e-4)
        assert member.metrics["pruned"]["test_accuracy"] == pytest.approx(
            alone.metrics["pruned"]["test_accuracy"], abs=0.01
        )


def test_the_same_configuration_gives_the_same_bits(digits):
    first = training.train([config(dropout=0.5)], *digits)[0]
    torch.manual_seed(99)
    second = training.train([config(dropout=0.5)], *digits)[0]
    exact(first, second)
    assert first.metrics == second.metrics


@pytest.mark.parametrize("stop_at", [("unpruned", 1), ("pruned", 1)])
@pytest.mark.parametrize("changes", [{"dropout": 0.3}, PROMOTED])
def test_a_stopped_run_continues_to_the_same_bits(digits, own_cache, monkeypatch, stop_at, changes):
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    c = config(**changes)
    whole = training.train([c], *digits)[0]
    path = own_cache / "run.safetensors"
    epochs = []

    class Killed(Exception):
        pass

    def stop(phase, epoch, _):
        if epochs and epochs[-1] == stop_at:
            raise Killed
        epochs.append((phase, epoch))

    with pytest.raises(Killed):
        training.train([c], *digits, checkpoint=path, progress=stop)
    seen = []
    continued = training.train(
        [c], *digits, checkpoint=path, progress=lambda p, e, _: seen.append((p, e))
    )[0]
    exact(whole, continued)
    assert whole.metrics == continued.metrics
    assert seen[0] == {("unpruned", 1): ("unpruned", 2), ("pruned", 1): ("pruned", 2)}[stop_at]


def test_finished_networks_come_from_the_cache_and_damage_is_repaired(own_cache):
    first = training.trained(config())
    (path,) = (own_cache / "networks").iterdir()
    stamp = path.stat().st_mtime_ns
    exact(first, training.trained(config()))
    assert path.stat().st_mtime_ns == stamp
    assert not list((own_cache / "checkpoints").glob("*"))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="recomputed"):
        exact(first, training.trained(config()))
    model = first.model("pruned")
    assert model(torch.zeros(1, 8, 8)).shape == (1, 10) and not model.training


def test_many_networks_come_in_the_order_asked_for():
    configs = [config(seed, prune_epochs=0, epochs=1) for seed in (2, 1, 2)]
    networks = training.train_many(configs, device="cpu", workers=1)
    assert [n.config.seed for n in networks] == [2, 1, 2]
    exact(networks[0], networks[2])


def test_the_small_cnn_trains_in_both_precisions(digits):
    for precision in ("float32", "bfloat16"):
        c = config(
            architecture="small_cnn", widths=(8,), precision=precision, epochs=6, prune_epochs=0
        )
        metrics = training.train([c], *digits)[0].metrics["unpruned"]
        assert metrics["test_accuracy"] > 0.5


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_bfloat16_training_keeps_channels_innermost(channels, monkeypatch):
    """With one channel every layer once fell back to channels first, at two thirds of the speed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (20, channels, 12, 8), dtype=torch.uint8, generator=generator)
    data = replace(datasets.load("digits", "test"), images=pixels, labels=torch.arange(20) % 10)
    innermost = []

    def watch(layer, _, output):
        if layer.training:
            innermost.append(output.is_contiguous(memory_format=torch.channels_last))

    def watched(*args):
        model = build(*args)
        for layer in model[:8]:  # up to the last pooling
            layer.register_forward_hook(watch)
        return model

    build = loop.build
    monkeypatch.setattr(loop, "build", watched)
    wanted = config(
        architecture="small_cnn", widths=(6,), epochs=1, prune_epochs=0, precision="bfloat16"
    )
    loop.train([wanted], data, data)
    assert innermost == [True] * 8

    batch = forward.training_batch(pixels, "none", "bfloat16", [])
    torch.testing.assert_close(batch, pixels / 255)


def test_regression_has_losses_and_no_accuracy():
    images = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    labels = images @ torch.tensor([[1.0, 0.5], [0.0, -1.0]])
    targets = datasets.Dataset("line", images, labels, ("x", "y"), "fingerprint")
    c = TrainConfig("line", 0, widths=(16,), loss="mse", epochs=20, prune_epochs=0, batch_size=20)
    metrics = training.train([c], targets, targets)[0].metrics["unpruned"]
    assert metrics["test_accuracy"] is None and metrics["train_accuracy"] is None
    assert metrics["test_loss"] < 0.5 * labels.square().mean()


def test_dropout_of_zero_and_evaluation_leave_the_model_in_its_mode(digits):
    model = loop.build(config(dropout=0.5), (1, 8, 8), 10).train()
    training.evaluate(model, digits[1].images, digits[1].labels)
    assert model.training
    before = copy.deepcopy(model.state_dict())
    first = training.evaluate(model, digits[1].images, digits[1].labels)
    assert first == training.evaluate(model, digits[1].images, digits[1].labels)
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": -1}, "epochs must be .*at least 0, got -1"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"l1": -1.0}, "l1 must be a number of at least 0, got -1.0"),
        ({"architecture": "lstm"}, "architecture must be one of mlp, small_cnn"),
        ({"precision": "int8"}, "precision"),
        ({"final_sparsity": 1.0}, "final_sparsity"),
        ({"initial_sparsity": 0.9, "final_sparsity": 0.5}, "sparsities"),
    ],
)
def test_impossible_runs_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_a_diverging_run_says_so(digits):
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        training.train([config(learning_rate=1e20, epochs=3)], *digits)


def test_networks_trained_together_differ_in_their_seed_only(digits):
    with pytest.raises(ValueError, match="seed only"):
        training.train([config(0), config(1, l1=1e-3)], *digits)
    with pytest.raises(ValueError, match="nothing to train"):
        training.train([], *digits)


def test_devices():
    assert training.pick_device("auto") in ("cuda", "mps", "cpu")
    with pytest.raises(ValueError, match="not available here; use auto"):
        training.pick_device("tpu")


def test_derived_seeds_differ():
    drawn = {seeds.derived(p, e, 0, s) for p in range(2) for e in range(50) for s in range(20)}
    assert len(drawn) == 2000
    assert np.log2(max(drawn)) < 63


def test_one_thread_means_numpy_too():
    def pools():
        return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]

    before = torch.get_num_threads(), pools()
    with training.single_thread():
        assert torch.get_num_threads() == 1
        assert {threads for _, threads in pools()} == {1}
    assert (torch.get_num_threads(), pools()) == before
