"""Modularity inside neural networks: measures, reproductions, verdicts.

Import the rooms you need: ``from modgraph_lib import graphs, clustering``. The package
itself imports nothing, so that a parameter check or ``--help`` costs no torch import.
"""

__version__ = "0.1.0"
