"""Graphs whose eigenvalues coincide: the same clusters whatever linear algebra is underneath."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs_by_hand import DEGENERATE, copies, equal_strands, random_layers

from modgraph_lib import clustering, report

SEEDS = range(10)
KS = (2, 3, 4, 7, 12)
# Other routines of OpenBLAS and torch, as an older processor has them: other rounding.
OLDER = {"OPENBLAS_CORETYPE": "Prescott", "ATEN_CPU_CAPABILITY": "default"}


def ncuts() -> dict[str, list[float]]:
    """n-cuts of every degenerate graph, for each k and seed, and of the shuffles of some."""
    found = {}
    for name, graph in DEGENERATE.items():
        for k in KS:
            if k <= graph.nodes // 2:
                cuts = [clustering.cluster(graph, k, seed=seed).ncut for seed in SEEDS]
                found[f"{name}, k = {k}"] = cuts
    for name in ("thin chains", "three copies"):
        graph, method = DEGENERATE[name], "layer_nonzero"
        tests = clustering.shuffle_tests(graph, [2, 4], shuffles=10, method=method, workers=1)
        for k, test in tests.items():
            found[f"shuffles of {name}, k = {k}"] = test.shuffled.tolist()
    return found


def elsewhere(**environment: str) -> dict[str, list[float]]:
    here = str(Path(__file__).parent)
    paths = os.pathsep.join([here, str(Path(__file__).parents[2])])
    code = "import json, test_symmetric_graphs as t; print(json.dumps(t.ncuts()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ncuts_do_not_depend_on_the_linear_algebra():
    here, older = elsewhere(), elsewhere(**OLDER)
    assert len(here) > 45
    differ = {
        name: (cuts, older[name])
        for name, cuts in here.items()
        if not np.allclose(cuts, older[name], atol=5e-5)
    }
    assert not differ


@pytest.mark.parametrize(
    ("graph", "ambiguous"),
    [(equal_strands(6, 5), {3, 4}), (equal_strands(6, 5, 0.1), {2, 3, 4, 5}), (copies(3), {2})],
)
def test_an_ambiguous_k_is_said(graph, ambiguous):
    for k in (2, 3, 4, 5, 6):
        if k in ambiguous:
            assert clustering.cluster(graph, k).ambiguous
            assert clustering.shuffle_test(graph, k, shuffles=1).ambiguous
    assert not clustering.cluster(graph, 1).ambiguous


def test_an_ordinary_graph_is_not_ambiguous():
    for k in (2, 4, 12):
        assert not clustering.cluster(random_layers(), k).ambiguous


def test_a_report_says_it():
    graph = equal_strands(6, 5)
    said = report.clusterability(graph, k=3, shuffles=2)
    assert said.ambiguous and "k = 3 is ambiguous" in said.summary()
    other = report.clusterability(graph, k=6, shuffles=2)
    assert not other.ambiguous and "ambiguous" not in other.summary()


def test_separate_strands_are_never_cut():
    """k strands or fewer in a cluster: every such clustering has n-cut 0, and one is found."""
    graph = equal_strands(6, 5)
    for k in (2, 3, 6):
        for seed in SEEDS:
            assert clustering.cluster(graph, k, seed=seed).ncut == 0


def test_isolated_nodes_stay_out():
    graph = equal_strands(6, 3)
    blocks = {pair: block.copy() for pair, block in graph.blocks.items()}
    blocks[0, 1][5] = blocks[0, 1][:, 5] = 0
    blocks[1, 2][5] = blocks[1, 2][:, 5] = 0
    found = clustering.cluster(type(graph)(graph.layers, blocks), 3)
    assert found.ambiguous and found.ncut == 0
    assert [np.flatnonzero(found.labels < 0).tolist()] == [[5, 11, 17]]
