"""The layer explorer: its graphs are those of the curve, and a slide redraws."""

import ipywidgets
import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import communities, plots
from modgraph_lib.widgets import layer_explorer


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 3
    return torch.eye(3)[labels] + 0.3 * torch.rand(24, 3, generator=generator), labels


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 2)).eval()


@pytest.fixture(scope="module")
def chart(model, samples):
    images, labels = samples
    points = np.random.default_rng(0).normal(size=(3, 24, 2))
    return layer_explorer.layer_map(
        model, images, labels, points, layers=["0", "2", "3"], classes=("a", "b", "c"),
        device="cpu",
    )  # fmt: skip


def test_q_is_that_of_the_curve(chart, model, samples):
    images, labels = samples
    curve = communities.modularity_curve(
        model, images, labels, layers=["0", "2", "3"], device="cpu"
    )
    assert chart.layers == curve.layers
    assert chart.q == pytest.approx(curve.q, abs=1e-12)
    with torch.no_grad():
        first = communities.knn_graph(model[0](images), 3)
    assert abs(chart.graphs[0] - first).max() < 1e-6
    graph = chart.graphs[0].toarray()
    pairs = [(i, j) for i in range(24) for j in range(i) if graph[i, j]]
    same = [labels[i] == labels[j] for i, j in pairs]
    assert chart.inside(0) == pytest.approx(np.mean(same))


def test_a_sentence_says_how_q_moved(chart):
    assert chart.describe(0).startswith("Layer 1 of 3 (0): Q = ")
    assert "from the one before" not in chart.describe(0)
    assert f"{chart.q[1] - chart.q[0]:+.3f} from the one before" in chart.describe(1)
    assert chart.spread(2) == (0, 2) and chart.spread(9) == (0, 1, 2)


def test_pictures_show_every_sample_and_edge(chart):
    figure = plots.layer_state(chart, 1)
    left, right = figure.axes
    drawn = sum(len(c.get_offsets()) for c in left.collections if len(c.get_paths()) == 1)
    assert drawn == 24
    edges = sum(len(c.get_segments()) for c in left.collections if hasattr(c, "get_segments"))
    assert edges == chart.graphs[1].nnz / 2
    assert right.lines[1].get_xydata().tolist() == [[2, chart.q[1]]]
    several = plots.layer_states(chart, chart.spread(3), columns=2)
    assert [axes.get_title(loc="left")[:7] for axes in several.axes] == [
        "layer 1",
        "layer 2",
        "layer 3",
        "",
    ]
    for layers in ((), (3,)):
        with pytest.raises(ValueError, match=r"0\.\.2"):
            plots.layer_states(chart, layers)


def test_the_widget_redraws_on_a_slide(chart):
    box = layer_explorer.explore(chart)
    (play, slider), sentence, picture = box.children[0].children, *box.children[1:]
    assert isinstance(play, ipywidgets.Play) and isinstance(picture, ipywidgets.Image)
    first, words = picture.value, sentence.value
    slider.value = 3
    assert picture.value != first and sentence.value.startswith("Layer 3")
    slider.value = 1
    assert picture.value == first and sentence.value == words


def test_many_classes_keep_different_looks(chart):
    labels = np.arange(24)
    many = layer_explorer.LayerMap(
        chart.layers, chart.points, chart.graphs, labels, tuple(map(str, labels))
    )
    figure = plots.layer_state(many, 0)
    assert len(figure.legends[0].get_texts()) == 2  # only the two kinds of edge are named
    looks = {(c.get_facecolor().tobytes(), c.get_paths()[0].vertices.tobytes())
             for c in figure.axes[0].collections if len(c.get_paths()) == 1}  # fmt: skip
    assert len(looks) == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"points": np.zeros((3, 24, 3))}, r"\(3, 24, 2\)"),
        ({"graphs": ()}, "as many graphs"),
        ({"classes": ("a", "b")}, r"0\.\.1"),
    ],
)
def test_parts_that_do_not_fit(chart, change, message):
    parts = {
        name: getattr(chart, name) for name in ("layers", "points", "graphs", "labels", "classes")
    }
    with pytest.raises(ValueError, match=message):
        layer_explorer.LayerMap(**{**parts, **change})
