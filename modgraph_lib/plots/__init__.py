"""Pictures of networks, nulls and conditions; every public function returns a Figure.

Choices that hold for all of them: an opaque white background with padding (a figure reads the
same on a light page, a dark page and in print), one palette per role (`style`), colour always
paired with a marker or a position, widths that fit the text column of the book.
"""

from modgraph_lib.plots.clusters import cluster_profiles, clusters_by_layer
from modgraph_lib.plots.cnns import ncut_by_data, stacked_images
from modgraph_lib.plots.community_adversarial import adversarial_curves, attacked_images
from modgraph_lib.plots.community_curves import (
    class_maps,
    curve_lines,
    curve_panels,
    graph_snapshots,
    probes_and_q,
)
from modgraph_lib.plots.community_layer_difference import difference_against_cka, layer_differences
from modgraph_lib.plots.community_pruning import (
    costs_of_removal,
    guided_blocks,
    loss_against_q,
    pruned_curves,
    removal_plans,
)
from modgraph_lib.plots.community_training import (
    deep_against_accuracy,
    q_over_depth,
    q_over_epochs,
)
from modgraph_lib.plots.conditions import ncut_against_accuracy, ncut_by_condition
from modgraph_lib.plots.imagenet import networks_and_shuffles, spectrum
from modgraph_lib.plots.layers import layer_state, layer_states
from modgraph_lib.plots.lesions import class_bars, lesion_maps, lesion_null, two_kinds
from modgraph_lib.plots.networks import block_matrices, layered_layout, small_graph
from modgraph_lib.plots.nulls import initial_ncuts, null_against_networks, null_histogram
from modgraph_lib.plots.pairs import all_pairs, dependency_graphs, pair_matrix
from modgraph_lib.plots.states import State, state_grid
from modgraph_lib.plots.style import png
from modgraph_lib.plots.tasks import by_stage, dropout_modes, halves, image_rows, mixtures
from modgraph_lib.plots.topology import effect_sizes, equal_nulls, two_nulls

__all__ = [
    "State",
    "adversarial_curves",
    "all_pairs",
    "attacked_images",
    "block_matrices",
    "by_stage",
    "class_bars",
    "class_maps",
    "cluster_profiles",
    "clusters_by_layer",
    "curve_lines",
    "curve_panels",
    "deep_against_accuracy",
    "costs_of_removal",
    "dependency_graphs",
    "effect_sizes",
    "equal_nulls",
    "difference_against_cka",
    "dropout_modes",
    "graph_snapshots",
    "guided_blocks",
    "halves",
    "image_rows",
    "initial_ncuts",
    "layer_differences",
    "layer_state",
    "layer_states",
    "layered_layout",
    "lesion_maps",
    "lesion_null",
    "loss_against_q",
    "mixtures",
    "ncut_against_accuracy",
    "ncut_by_condition",
    "ncut_by_data",
    "networks_and_shuffles",
    "null_against_networks",
    "null_histogram",
    "pair_matrix",
    "probes_and_q",
    "png",
    "q_over_depth",
    "q_over_epochs",
    "pruned_curves",
    "removal_plans",
    "small_graph",
    "stacked_images",
    "spectrum",
    "state_grid",
    "two_kinds",
    "two_nulls",
]
