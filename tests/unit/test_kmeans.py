import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from modgraph_lib.clustering.kmeans import kmeans


def blobs(seed=0, count=200, k=5, width=3, spread=0.05):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, count)
    points = rng.normal(size=(k, width))[truth] + spread * rng.normal(size=(count, width))
    return torch.from_numpy(points.astype(np.float32)), truth


def inertia(points, labels):
    points, labels = points.numpy().astype(float), np.asarray(labels)
    return sum(
        ((points[labels == c] - points[labels == c].mean(0)) ** 2).sum() for c in np.unique(labels)
    )


def test_separated_blobs_are_recovered():
    points, truth = blobs()
    labels = kmeans(points[None], 5, seeds=[0])[0].numpy()
    assert len(set(zip(labels, truth, strict=True))) == 5


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_inertia_matches_scikit_learn(spread):
    points, _ = blobs(1, 400, 8, 6, spread)
    ours = [inertia(points, kmeans(points[None], 8, seeds=[s])[0]) for s in range(5)]
    theirs = [KMeans(8, n_init=10, random_state=s).fit(points.numpy()).inertia_ for s in range(5)]
    assert np.mean(ours) <= np.mean(theirs) * 1.005


def test_a_set_is_clustered_the_same_alone_and_in_company():
    sets = torch.stack([blobs(s, spread=0.5)[0] for s in range(4)])
    together = kmeans(sets, 5, seeds=[3, 4, 5, 6])
    for index in range(4):
        alone = kmeans(sets[index : index + 1], 5, seeds=[3 + index])[0]
        assert inertia(sets[index], alone) == pytest.approx(
            inertia(sets[index], together[index]), rel=1e-4
        )


def test_absent_points_take_no_part():
    points, _ = blobs(2, spread=0.4)
    far = torch.cat([points, torch.full((3, 3), 100.0)])
    present = torch.ones(1, len(far), dtype=torch.bool)
    present[0, -3:] = False
    labels = kmeans(far[None], 5, present=present, seeds=[1])[0]
    assert labels[-3:].tolist() == [-1, -1, -1]
    alone = kmeans(points[None], 5, seeds=[1])[0]
    assert inertia(points, labels[:-3]) == pytest.approx(inertia(points, alone), rel=1e-4)


def test_coinciding_points_leave_clusters_empty_without_failing():
    points = torch.zeros(1, 10, 2)
    labels = kmeans(points, 3, seeds=[0])
    assert set(labels[0].tolist()) <= {0, 1, 2}


def test_bad_input_is_refused():
    points = torch.zeros(1, 4, 2)
    with pytest.raises(ValueError, match="cannot form 5 clusters"):
        kmeans(points, 5, seeds=[0])
    with pytest.raises(ValueError, match="at least 1"):
        kmeans(points, 0, seeds=[0])
    with pytest.raises(ValueError, match="NaN"):
        kmeans(points * float("nan"), 2, seeds=[0])
