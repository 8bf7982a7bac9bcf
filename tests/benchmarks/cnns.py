"""Training steps of a small CNN: bfloat16 and channels last, against a plain loop."""

from __future__ import annotations

import time

import torch
from torch.nn import functional

from book.papers.ncut import cnns
from modgraph_lib import datasets, training
from modgraph_lib.training import loop

STEPS, TEST_IMAGES = 150, 2000


def small_cnn(contender: str) -> tuple[float, float]:
    """Training steps with one thread (digits have images for fewer); outcome: test accuracy."""
    from tests.benchmarks.cases import data_name

    config = cnns.small_cnn(data_name(), "none", 0, epochs=1, prune_epochs=0)
    train_data = datasets.load(config.data, "train").take(slice(STEPS * config.batch_size))
    test_data = datasets.load(config.data, "test").take(slice(TEST_IMAGES))
    with training.single_thread():
        if contender == "ours":
            begin, ends = time.perf_counter(), []
            (network,) = loop.train(
                [config],
                train_data,
                test_data,
                progress=lambda *_: ends.append(time.perf_counter()),
            )
            return ends[0] - begin, float(network.metrics["unpruned"]["test_accuracy"])
        return _plain_loop(config, train_data, test_data)


def _plain_loop(config, train_data, test_data) -> tuple[float, float]:
    """The same as one would first write it."""
    torch.manual_seed(config.seed)
    images, tests = (x.images[:, None].float() / 255 for x in (train_data, test_data))
    model = loop.build(config, tuple(images.shape[1:]), 10)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, eps=1e-7)
    begin = time.perf_counter()
    for batch in torch.randperm(len(images)).split(config.batch_size):
        loss = functional.cross_entropy(model(images[batch]), train_data.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seconds = time.perf_counter() - begin
    with torch.no_grad():
        right = model.eval()(tests).argmax(1) == test_data.labels
    return seconds, right.float().mean().item()
