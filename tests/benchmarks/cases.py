"""What is measured: each case runs ours or the peer a user would otherwise write.

Every case is a function ``case(contender) -> (seconds, outcome)``, run in a process of its own
so that its memory peak is its own. ``outcome`` is a number on which both must agree.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from sklearn.cluster import SpectralClustering
from torch.nn import functional

from book.papers.ncut import mlps
from modgraph_lib import clustering, datasets, graphs, report, training
from modgraph_lib.training import TrainConfig, loop
from tests.benchmarks import cnn_graphs, machines
from tests.benchmarks.cnns import STEPS, small_cnn
from tests.benchmarks.communities import curve_500, curve_5000
from tests.benchmarks.lesions import SETS, lesions
from tests.benchmarks.modules import GROUPS, UNITS, dense_clustering, visualisation
from tests.benchmarks.promoting import eigenvalue_gradient, regularised_step

SHUFFLES, LARGE_SHUFFLES = 50, 4
CLUSTERS = 12


def data_name() -> str:
    """MNIST where it is at hand, else the digits that ship with scikit-learn."""
    try:
        datasets.load("mnist", "test")
    except datasets.DataMissing:
        return "digits"
    return "mnist"


def shuffle_test(contender: str) -> tuple[float, float]:
    """50 shuffles of one pruned 4x256 MLP clustered at k=12; outcome: their mean n-cut."""
    return _shuffles(graphs.weight_graph(_pruned_network()), SHUFFLES, contender)


def large_graph(contender: str) -> tuple[float, float]:
    """4 shuffles of an untrained VGG-16 (4,224 channels) at k=12; outcome: their mean n-cut."""
    torch.manual_seed(0)
    model = report.load_model("torchvision.models:vgg16")
    return _shuffles(graphs.weight_graph(model), LARGE_SHUFFLES, contender)


def _shuffles(graph: graphs.LayeredGraph, count: int, contender: str) -> tuple[float, float]:
    graph = graph.without_isolated()[0]
    if contender == "ours":
        begin = time.perf_counter()
        test = clustering.shuffle_test(graph, CLUSTERS, shuffles=count)
        return time.perf_counter() - begin, float(test.shuffled.mean())
    shuffled = [clustering.shuffle_graph(graph, seed=[0, i]) for i in range(count)]
    adjacencies = [_for_sklearn(g.without_isolated()[0].adjacency()) for g in shuffled]
    begin = time.perf_counter()
    labels = [
        SpectralClustering(
            CLUSTERS, affinity="precomputed", eigen_solver="arpack", n_init=10, random_state=i
        )
        .fit(adjacency)
        .labels_
        for i, adjacency in enumerate(adjacencies)
    ]
    seconds = time.perf_counter() - begin
    values = [clustering.ncut(a, x) for a, x in zip(adjacencies, labels, strict=True)]
    return seconds, float(np.mean(values))


def training_five(contender: str) -> tuple[float, float]:
    """Five MLPs, one epoch plain and one pruning; outcome: their mean test accuracy."""
    name = data_name()
    configs = [TrainConfig(name, seed, epochs=1, prune_epochs=1) for seed in range(100, 105)]
    # Loaded beforehand on both sides; worker processes of ours load it again, on the clock.
    train_data, test_data = datasets.load(name, "train"), datasets.load(name, "test")
    begin = time.perf_counter()
    if contender == "ours":
        networks = training.train_many(configs, device="cpu", workers=2)
        accuracies = [n.metrics["pruned"]["test_accuracy"] for n in networks]
    else:
        accuracies = [_plain_loop(c, train_data, test_data) for c in configs]
    return time.perf_counter() - begin, float(np.mean(accuracies))


CASES = {
    "shuffle_test": {
        "function": shuffle_test,
        "title": f"{SHUFFLES} shuffles of a pruned 4x256 MLP, k={CLUSTERS}",
        "peer": 'scikit-learn SpectralClustering(eigen_solver="arpack", n_init=10), sparse input',
        "outcome": "mean n-cut",
    },
    "large_graph": {
        "function": large_graph,
        "title": f"{LARGE_SHUFFLES} shuffles of an untrained VGG-16 (4,224 channels), k={CLUSTERS}",
        "peer": 'scikit-learn SpectralClustering(eigen_solver="arpack", n_init=10), sparse input',
        "outcome": "mean n-cut",
    },
    "training": {
        "function": training_five,
        "title": "training and pruning five 4x256 MLPs, 1 + 1 epochs",
        "peer": "a plain PyTorch loop, one network after another",
        "outcome": "mean test accuracy",
    },
    "small_cnn": {
        "function": small_cnn,
        "title": f"{STEPS} training steps of the small CNN in bfloat16, one thread",
        "peer": "a plain PyTorch loop in float32",
        "outcome": "test accuracy",
    },
    "lesions": {
        "function": lesions,
        "title": f"lesions of a pruned 4x256 MLP: its sub-modules at k=10, {SETS} random sets each",
        "peer": "a copy of the network and one forward pass for each lesion",
        "outcome": "mean accuracy",
    },
    "dense_clustering": {
        "function": dense_clustering,
        "title": f"a dense adjacency of {UNITS:,} units in 16 clusters, n_init=25",
        "peer": "scikit-learn SpectralClustering(n_init=25)",
        "outcome": "n-cut",
    },
    "visualisation": {
        "function": visualisation,
        "title": f"images that excite {GROUPS} groups of units of a 4x256 MLP, 65 steps",
        "peer": "torch-lucent's render_vis, one group after another",
        "outcome": "mean score",
    },
    "regularised_step": {
        "function": regularised_step,
        "title": "1,500 training steps with the eigenvalue regulariser, 3x64 MLP, one thread",
        "peer": "the same steps without it (a ratio of 0.5: the regulariser doubles a step)",
        "outcome": "test accuracy",
    },
    "eigenvalue_gradient": {
        "function": eigenvalue_gradient,
        "title": "200 training steps with the eigenvalue regulariser, 3x64 MLP, one thread",
        "peer": "autograd through torch.linalg.eigvalsh of the whole graph's Laplacian",
        "outcome": "sum of eigenvalues 2 to 4",
    },
    "curve_500": {
        "function": curve_500,
        "title": "Q after the last 9 layers of a VGG-16 of width 16, N=500",
        "peer": "a Python loop over nodes, and networkx modularity",
        "outcome": "mean Q",
    },
    "curve_5000": {
        "function": curve_5000,
        "title": "Q after the last 3 layers of a VGG-16 of width 16, N=5,000",
        "peer": "a Python loop over nodes, and networkx modularity",
        "outcome": "mean Q",
    },
    **cnn_graphs.CASES,
    **machines.CASES,
}


def _pruned_network():
    """A pruned 4x256 MLP: the cached paper-scale one if it is there, else one epoch of each."""
    config = mlps.condition(data_name(), "none", 0)
    path = training.cache_path(config)
    if not path.exists():
        config = mlps.condition(data_name(), "none", 0, epochs=1, prune_epochs=1)
    return training.trained(config).model("pruned")


def _for_sklearn(adjacency):
    """scikit-learn's graph code takes 32-bit indices only."""
    adjacency.indices = adjacency.indices.astype(np.int32)
    adjacency.indptr = adjacency.indptr.astype(np.int32)
    return adjacency


def _plain_loop(config: TrainConfig, train_data, test_data) -> float:
    """Training and pruning as one would first write it: whole tensors, Adam, top-k masks."""
    torch.manual_seed(config.seed)
    model = loop.build(config, (1, *train_data.images.shape[1:]), 10)
    images, labels = train_data.images.float() / 255, train_data.labels
    kernels = [p for p in model.parameters() if p.ndim > 1]
    steps = -(-len(images) // config.batch_size)
    for pruning in (False, True):
        optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, eps=1e-7)
        masks = []
        model.train()
        for step, batch in enumerate(torch.randperm(len(images)).split(config.batch_size)):
            if pruning and step % 10 == 0:
                sparsity = config.schedule.sparsity(step, steps)
                masks = [_top_mask(k, sparsity) for k in kernels]
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for kernel, mask in zip(kernels, masks, strict=bool(masks)):
                    kernel.mul_(mask)
    model.eval()
    with torch.no_grad():
        guesses = model(test_data.images.float() / 255).argmax(1)
    return (guesses == test_data.labels).float().mean().item()


def _top_mask(kernel: torch.Tensor, sparsity: float) -> torch.Tensor:
    flat = kernel.detach().abs().flatten()
    kept = flat.topk(round(flat.numel() * (1 - sparsity))).indices
    mask = torch.zeros_like(flat)
    mask[kept] = 1
    return mask.view_as(kernel)
