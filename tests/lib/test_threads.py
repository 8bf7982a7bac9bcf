"""The same bits in processes, in threads and alone, whatever else draws or runs meanwhile."""

import hashlib
import threading

import joblib
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modgraph_lib import attacks, datasets, models, noise, promoting, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, TrainConfig, loop, sgd

SHORT = {"epochs": 2, "prune_epochs": 1, "images": 300}
NETWORKS = [
    *(TrainConfig("digits", seed, widths=(16, 16), dropout=0.5, **SHORT) for seed in (0, 1)),
    TrainConfig("digits", 0, "small_cnn", (4,), 0.25, 0.5, augmentation="described", **SHORT),
    TrainConfig("digits", 0, "small_cnn", (4,), 0.25, precision="bfloat16", **SHORT),
    SgdConfig("digits", "vgg11", seed=0, width=4, epochs=1, images=128),
    SgdConfig("digits", "resnet56_8_8_8", seed=0, width=4, epochs=1, images=64),
]


def digits(half):
    return datasets.load("digits", half).take(slice(400))


def digest(config) -> str:
    """Of the trained weights, made without any cache."""
    data = digits("train"), digits("test")
    with training.single_thread():
        if isinstance(config, SgdConfig):
            states = [sgd.fit(config, *data).weights]
        else:
            states = loop.train([config], *data)[0].weights.values()
    found = hashlib.sha256()
    for state in states:
        for name in sorted(state):
            found.update(state[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def test_networks_are_the_same_bits_in_processes_threads_and_alone():
    alone = [digest(config) for config in NETWORKS]
    assert len(set(alone)) == len(alone)
    jobs = [joblib.delayed(digest)(config) for config in NETWORKS * 2]
    for backend in ("threading", "loky"):
        with joblib.parallel_config(backend=backend, n_jobs=2):
            assert joblib.Parallel()(jobs) == alone * 2


def test_stored_networks_are_the_same_bits_too(tmp_path, monkeypatch):
    weights = []
    for workers, backend in ((1, "sequential"), (2, "threading")):
        monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path / backend))
        with joblib.parallel_config(backend=backend):
            found = training.train_many(NETWORKS[:3], device="cpu", workers=workers)
        weights.append([network.weights["pruned"] for network in found])
    for one, other in zip(*weights, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_is_drawn_from_a_global_generator():
    before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    for config in NETWORKS:
        digest(config)
    for name in cifar_networks.NAMES[:8]:
        cifar_networks.build(name, width=2, seed=0)
    model = models.small_cnn((1, 8, 8), channels=4, seed=0)
    promoting.clusterable_initialisation(models.mlp(4, 4, widths=(8,), seed=0), tags=2, beta=0.5,
                                         seed=0)  # fmt: skip
    pictures = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    attacks.attack("pgd", model.eval(), pictures, torch.tensor([0, 1]), seed=0)
    after = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert all(np.array_equal(x, y) for x, y in zip(before[1], after[1], strict=True))


@pytest.mark.parametrize("augmentation", ["none", "described", "crop_flip", "resized_crop_flip"])
def test_a_stack_draws_what_its_members_draw_alone(augmentation):
    made = {**SHORT, "augmentation": augmentation}
    configs = [TrainConfig("digits", s, "small_cnn", (4,), 0.25, 0.5, **made) for s in (5, 9)]
    together = loop.train(configs, digits("train"), digits("test"))
    for config, member in zip(configs, together, strict=True):
        alone = loop.train([config], digits("train"), digits("test"))[0]
        for name, weight in alone.weights["unpruned"].items():
            torch.testing.assert_close(
                member.weights["unpruned"][name], weight, rtol=1e-2, atol=1e-3
            )


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_own_dropout_is_torchs_to_the_bit(kind, layout):
    values = torch.randn(7, 3, 5, 6, generator=torch.Generator().manual_seed(1)).to(kind)
    values = values.contiguous(memory_format=layout).requires_grad_()
    model = nn.Sequential(nn.Dropout(0.3), nn.Sequential(nn.Dropout(0.6)))
    noise.own_dropout(model, [torch.Generator().manual_seed(4)])
    torch.manual_seed(4)
    wanted = functional.dropout(functional.dropout(values, 0.3), 0.6)
    found = model(values)
    assert torch.equal(found, wanted) and found.stride() == wanted.stride()
    assert torch.equal(
        *(torch.autograd.grad(output.float().sum(), values)[0] for output in (found, wanted))
    )
    assert model.eval()(values) is values and isinstance(model[0], nn.Dropout)


def test_seeded_layers_are_those_of_a_seed():
    def layers():
        return nn.ModuleList([
            nn.Linear(4, 3), nn.Conv2d(2, 3, 3), nn.LSTM(3, 4), nn.MultiheadAttention(8, 2),
            nn.Embedding(5, 2), nn.Bilinear(2, 3, 2), nn.ParameterList([torch.randn(3)]),
        ])  # fmt: skip

    torch.manual_seed(6)
    wanted = layers().state_dict()
    state = torch.get_rng_state()
    with noise.seeded(6):
        found = layers().state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_on_the_meta_device_draw_nothing():
    with noise.seeded(6), torch.device("meta"):
        assert nn.Linear(4, 3).weight.is_meta and torch.randn(2).is_meta
    with noise.seeded(6):
        after = torch.randn(2)
    assert torch.equal(after, torch.randn(2, generator=torch.Generator().manual_seed(6)))


def test_one_thread_is_one_thread_until_the_last_has_left():
    before, seen = torch.get_num_threads(), []
    entered, left = threading.Event(), threading.Event()

    def short():
        with training.single_thread():
            entered.set()
        left.set()

    other = threading.Thread(target=short)
    with training.single_thread():
        other.start()
        assert entered.wait(60) and left.wait(60)
        seen.append(torch.get_num_threads())
    other.join()
    assert seen == [1] and torch.get_num_threads() == before
