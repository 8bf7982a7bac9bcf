"""The introduction's graph of six dots, measured by the library."""

from fractions import Fraction

import numpy as np

from modgraph_lib import clustering, communities


def test_two_triangles_have_the_measures_that_the_introduction_gives():
    graph = np.zeros((6, 6))
    for a, b in ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (2, 3)):
        graph[a, b] = graph[b, a] = 1
    halves = np.array([0, 0, 0, 1, 1, 1])
    assert np.isclose(clustering.ncut(graph, halves), float(Fraction(2, 7)))
    assert np.isclose(communities.modularity(graph, halves), float(Fraction(6, 7) - Fraction(1, 2)))
    others = [np.array([int(d) for d in f"{n:06b}"]) for n in range(1, 63)]
    assert min(clustering.ncut(graph, cut) for cut in others) >= 2 / 7 - 1e-12
