"""Pictures of networks and nulls; every public function returns a Figure.

Choices that hold for all of them: an opaque white background with padding (a figure reads the
same on a light page, a dark page and in print), one palette per role (`style`), colour always
paired with a marker or a position, widths that fit the text column of the book.
"""

from modgraph_lib.plots.clusters import cluster_profiles, clusters_by_layer
from modgraph_lib.plots.groups import image_rows, modules_figure
from modgraph_lib.plots.layers import layer_state, layer_states
from modgraph_lib.plots.measures import cka_by_layer, curve_by_layer
from modgraph_lib.plots.networks import block_matrices, layered_layout, small_graph
from modgraph_lib.plots.nulls import initial_ncuts, null_histogram
from modgraph_lib.plots.style import png

__all__ = [
    "block_matrices",
    "cka_by_layer",
    "cluster_profiles",
    "clusters_by_layer",
    "curve_by_layer",
    "image_rows",
    "initial_ncuts",
    "layer_state",
    "layer_states",
    "layered_layout",
    "modules_figure",
    "null_histogram",
    "png",
    "small_graph",
]
