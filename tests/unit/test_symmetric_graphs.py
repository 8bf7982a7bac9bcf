"""Graphs whose eigenvalues coincide: the same clusters whatever linear algebra is underneath."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs_by_hand import DEGENERATE, all_ones, copies, equal_strands, random_layers

from modgraph_lib import clustering, report
from modgraph_lib.clustering import spectral, symmetry

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


@pytest.mark.parametrize(
    ("values", "cut", "symmetric"),
    [
        ([1, 0.5, 0.5, 0.2], False, True),  # two of the eigenvectors could be turned
        ([1, 0.5, 0.4, 0.4], True, True),
        ([1, 1, 1, 0.3], False, False),  # three separate parts
        ([1, 1, 1, 1], True, True),  # four
        ([1, 1 - 1e-8, 1 - 1e-8, 0.3], False, False),  # parts that weight decay all but separated
        ([1, 0.5, 0.4], False, False),  # no fourth eigenvalue
    ],
)
def test_multiple_eigenvalues_are_seen(values, cut, symmetric):
    values = np.array(values, dtype=float)
    assert symmetry.is_cut(values, 3) == cut
    assert symmetry.is_symmetric(values, 3) == symmetric


def projector(vectors):
    """Projector on the span of orthogonal columns."""
    unit = vectors / np.linalg.norm(vectors, axis=0)
    return unit @ unit.T


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_whole_eigenspace_has_one_basis(k):
    graph = equal_strands(5, 3)  # 1 five times
    points = symmetry.eigenspace(graph, k)
    assert points.shape == (15, 5)
    root = np.sqrt(graph.degrees())[:, None]
    np.testing.assert_allclose(
        projector(points * root), projector(spectral.embedding(graph, 5) * root), atol=1e-10
    )
    rng = np.random.default_rng(k)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    vectors = points * root
    np.testing.assert_allclose(symmetry._own_basis(vectors @ turn), vectors, atol=1e-10)


def test_a_wide_eigenspace_of_a_large_graph_is_left(monkeypatch):
    graph = equal_strands(40, 3)
    whole = symmetry.eigenspace(graph, 3)
    assert whole.shape == (120, 40)
    monkeypatch.setattr(symmetry, "WHOLE_LIMIT", 100)
    np.testing.assert_allclose(symmetry.eigenspace(graph, 3), whole, atol=1e-9)
    monkeypatch.setattr(symmetry, "WIDEST", 30)
    assert symmetry.eigenspace(graph, 3) is None
    monkeypatch.setattr(symmetry, "WIDEST", 100)
    assert symmetry.eigenspace(all_ones(40, 40, 40), 3) is None  # the null space
