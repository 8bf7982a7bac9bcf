"""Training with the eigenvalue regulariser: against a plain step, and against autograd."""

from __future__ import annotations

import time

import torch

from book.papers.clusterability.s05_promoting import experiment
from modgraph_lib import datasets, models, promoting, training
from modgraph_lib.training import loop
from modgraph_lib.training.state import State

STEPS = {"regularised_step": 1500, "eigenvalue_gradient": 200}


def regularised_step(contender: str) -> tuple[float, float]:
    """3x64 networks, batches of 128, one thread; the peer is the plain step of the same loop.

    CPU seconds, which neighbours on the machine disturb less than those of the clock.

    Outcome: test accuracy after the last step.
    """
    arm = "eigenvalues" if contender == "ours" else "none"
    return _run(arm, STEPS["regularised_step"], loop._penalise, _accuracy)


def eigenvalue_gradient(contender: str) -> tuple[float, float]:
    """The same regularised step; the peer differentiates torch.linalg.eigvalsh of the whole graph.

    Outcome: lambda_2 + lambda_3 + lambda_4 after the last step.
    """
    penalise = loop._penalise if contender == "ours" else _by_autograd
    return _run("eigenvalues", STEPS["eigenvalue_gradient"], penalise, _eigenvalue_sum)


def _run(arm: str, steps: int, penalise, outcome) -> tuple[float, float]:
    config = experiment.regularised(0, arm, data=_data())
    train, test = datasets.load(config.data, "train"), datasets.load(config.data, "test")
    images, count = train.images[:, None], len(train.images)
    with training.single_thread():
        model = loop.build(config, tuple(images.shape[1:]), 10).train()
        state = State.fresh([model], "cpu", config.learning_rate)
        loop._share(state, model)
        state.begin("unpruned")
        generator = torch.Generator().manual_seed(0)
        batches = torch.randint(count, (steps + 20, 1, config.batch_size), generator=generator)
        for step, index in enumerate(batches):
            if step == 20:
                begin = time.process_time()
            if config.normalise:
                loop._normalise(state)
            loop._plain(state, model, images, train.labels, index, config)
            penalise(state, config)
            state.optimiser.step()
        seconds = time.process_time() - begin
    model.load_state_dict(state.members()[0])
    return seconds, outcome(model, test)


def _by_autograd(state, config) -> None:
    kernels = [state.parameters[i] for i in state.kernels]
    sizes = [kernels[0].shape[-1], *(kernel.shape[-2] for kernel in kernels)]
    adjacency, corner = kernels[0].new_zeros(sum(sizes), sum(sizes)), 0
    for kernel, size in zip(kernels, sizes, strict=False):
        after = corner + size
        adjacency[corner:after, after : after + kernel.shape[-2]] = kernel[0].abs().T
        corner = after
    adjacency = adjacency + adjacency.T
    root = adjacency.sum(1).rsqrt()
    laplacian = torch.eye(len(root)) - adjacency * root[:, None] * root[None, :]
    (config.eigenvalue_penalty * torch.linalg.eigvalsh(laplacian)[1:4].sum()).backward()


def _accuracy(model, test) -> float:
    return training.evaluate(model, test.images[:, None], test.labels)[1]


def _eigenvalue_sum(model, test) -> float:
    return float(promoting.eigenvalue_sum(models.kernels(model)).detach())


def _data() -> str:
    """7x7 MNIST where MNIST is at hand, else the digits that ship with scikit-learn."""
    try:
        datasets.load("mnist_7x7", "test")
    except datasets.DataMissing:
        return "digits"
    return "mnist_7x7"
