"""Part IV's two heavy steps: a dense graph clustered, and groups of units visualised."""

from __future__ import annotations

import importlib
import time

import numpy as np
import torch
from sklearn.cluster import SpectralClustering

from modgraph_lib import clustering, features, graphs, models

UNITS, CAUSES, CLUSTERS, GROUPS, STEPS = 1024, 20, 16, 60, 65


def dense_clustering(contender: str) -> tuple[float, float]:
    """A correlation graph of 1,024 units in 16 clusters; outcome: n-cut."""
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(2000, CAUSES)) @ rng.normal(size=(CAUSES, UNITS))
    graph = graphs.activation_graph({"a": responses + 2 * rng.normal(size=responses.shape)})
    matrix = graph.matrix()
    begin = time.perf_counter()
    if contender == "ours":
        labels = clustering.spectral_clustering(matrix, CLUSTERS, n_init=25)
    else:
        peer = SpectralClustering(CLUSTERS, affinity="precomputed", n_init=25, random_state=0)
        labels = peer.fit_predict(matrix)
    return time.perf_counter() - begin, clustering.ncut(graph, labels)


def visualisation(contender: str) -> tuple[float, float]:
    """Images for 60 groups of units of an MLP, in one batch or one by one; outcome: mean score.

    The peer is torch-lucent's renderer, with a start of its own for each image.
    """
    model = models.mlp(28 * 28, 10, seed=0).eval()
    rng = np.random.default_rng(0)
    groups = [rng.choice(256, 16, replace=False) for _ in range(GROUPS)]
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # loads for a second when first made
    if contender == "ours":
        begin = time.perf_counter()
        seen = features.visualize(
            model, "3", groups, image_shape=(1, 28, 28), steps=STEPS, parametrisation="fourier",
            seed=0,
        )  # fmt: skip
        return time.perf_counter() - begin, float(seen.scores.mean())
    importlib.import_module("modgraph_lib._torchvision")  # the renderer needs all of torchvision
    objectives, param, render = (
        importlib.import_module(f"lucent.optvis.{n}") for n in ("objectives", "param", "render")
    )
    torch.manual_seed(0)
    begin, scores = time.perf_counter(), []
    for group in groups:

        @objectives.wrap_objective()
        def excite(units=group):
            return lambda layers: -layers("3")[0, units].abs().sum()

        found = render.render_vis(
            model, excite(), lambda: param.image(28, channels=1), thresholds=(STEPS,),
            transforms=[], preprocess=False, fixed_image_size=28, show_image=False,
            verbose=False, progress=False,
        )  # fmt: skip
        with torch.no_grad():
            image = torch.from_numpy(found[0]).permute(0, 3, 1, 2)
            scores.append(float(model[:4](image)[0, group].abs().sum()))
    return time.perf_counter() - begin, float(np.mean(scores))
