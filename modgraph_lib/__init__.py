"""Modularity inside neural networks: measures, reproductions, verdicts.

Import the rooms you need, ``from modgraph_lib import graphs, clustering``, or write
``import modgraph_lib`` and ``modgraph_lib.report.clusterability(model)``: a room is loaded when it
is first asked for, so that a parameter check or ``--help`` costs no torch import. Examples in
docstrings are as after ``from modgraph_lib import *``, with numpy as np, torch, and its nn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what __getattr__ loads, for type checkers and editors
    from modgraph_lib import (
        activations,
        attacks,
        cache,
        cli,
        clustering,
        communities,
        datasets,
        device,
        features,
        graphs,
        hooks,
        layer_pruning,
        lesions,
        models,
        modules,
        noise,
        partitions,
        pictures,
        pixels,
        plots,
        promoting,
        provenance,
        proxies,
        report,
        signatures,
        statistics,
        toys,
        training,
        widgets,
    )

__version__ = "0.1.0"

# The face: room -> names a user may rely on, in the order of the API page. All else may change.
FACE = {
    "report": ("clusterability", "load_model", "load_weights", "fill", "Report"),
    "modules": ("find", "Modules"),
    "graphs": (
        "LayeredGraph",
        "weight_graph",
        "activation_graph",
        "input_graph",
        "kernel_shuffles",
        "rolled_graph",
        "unrolled_graph",
        "UnrolledGraph",
        "virtual_weights",
        "virtual_rotations",
        "stream_parts",
        "mlp_part",
        "attention_part",
        "StreamPart",
    ),
    "signatures": ("weighted_degree", "eigenvector_centrality", "signature", "temporal"),
    "clustering": (
        "spectral_clustering",
        "cluster",
        "Clustering",
        "ncut",
        "shuffle_test",
        "ShuffleTest",
        "layered_modularity",
        "cluster_layered",
        "LayeredClustering",
        "layered_shuffle_test",
        "LayeredTest",
        "depth_share",
        "strand_limit",
    ),
    "communities": (
        "knn_graph",
        "modularity",
        "modularity_curve",
        "modularity_curves",
        "ModularityCurve",
    ),
    "communities.cka": ("linear_cka", "cka_matrix", "CkaMatrix"),
    "attacks": ("attack", "collect", "Misled", "sizes"),
    "lesions": ("lesion_accuracies", "single_lesions", "double_lesions"),
    "activations": ("pre_activations", "hidden_layers"),
    "partitions": ("partition", "subclusters", "Partition"),
    "features": ("visualize", "coherence", "Visualisations", "Coherence"),
    "pictures": ("unit_pictures", "group_picture", "aligned", "one_sidedness"),
    "proxies": ("ProxyTest", "combine", "Combined", "fisher_exact"),
    "statistics": (
        "empirical_p_value",
        "fisher_combine",
        "bates_p_value",
        "benjamini_hochberg",
        "effect_measure",
        "cohens_d",
    ),
    "datasets": (
        "load",
        "halves",
        "stack",
        "mixture",
        "lines",
        "random_images",
        "polynomials",
        "Dataset",
        "DataMissing",
    ),
    "promoting": (
        "clusterable_initialisation",
        "tag_factors",
        "eigenvalues",
        "Eigenvalues",
        "eigenvalue_sum",
        "normalise_units",
    ),
    "models": ("mlp", "small_cnn", "vgg", "lenet", "alexnet", "vgg1613"),
    "models.cifar_networks": ("build", "measured_layers", "plan_of"),
    "training": ("trained", "train_many", "TrainConfig", "SgdConfig"),
    "training.zoo": ("train", "Member"),
    "training.planted": ("train", "two_tasks", "Planted"),
    "layer_pruning": ("choose", "cost", "Cost"),
    "toys": ("two_triangles", "strands", "relay"),
    "cache": ("cache_root", "canonical", "config_key", "write_atomically"),
}

__all__ = [
    "FACE",
    "__version__",
    "activations",
    "attacks",
    "cache",
    "cli",
    "clustering",
    "communities",
    "datasets",
    "device",
    "features",
    "graphs",
    "hooks",
    "layer_pruning",
    "lesions",
    "models",
    "modules",
    "partitions",
    "pictures",
    "noise",
    "pixels",
    "plots",
    "promoting",
    "provenance",
    "proxies",
    "report",
    "signatures",
    "statistics",
    "toys",
    "training",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
