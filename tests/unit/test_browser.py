"""The cluster browser counts what the graph holds, and redraws on a choice."""

import numpy as np
import pytest

from modgraph_lib import clustering, plots, report, toys
from modgraph_lib.widgets import browser


@pytest.fixture(scope="module")
def found():
    weights, _ = toys.strands(2, (8, 8, 8), leak=0.05, seed=0)
    weights[0][:, 5] = 0  # an isolated input
    return report.clusterability(weights, k=2, shuffles=2, workers=1)


def test_flows_give_the_ncut_again(found):
    between = browser.flows(found)
    np.testing.assert_allclose(between, between.T)
    np.testing.assert_allclose(between.sum(), found.graph.degrees().sum())
    assert (1 - np.diag(between) / between.sum(1)).sum() == pytest.approx(found.ncut)
    assert clustering.ncut(found.graph, found.labels - 1) == pytest.approx(found.ncut)


def test_the_table_names_the_main_layer(found):
    table = browser.cluster_table(found)
    assert list(table.index) == [1, 2]
    assert table["nodes"].sum() == 23
    assert (table["layers"] == 3).all()
    assert table["neighbour"].tolist() == [2, 1]
    assert (table["inside"] > 0.8).all()


def test_profiles_show_shares_and_refuse_unknown_clusters(found):
    figure = plots.cluster_profiles(found.cluster_sizes, browser.flows(found), [2, 1])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, found.cluster_sizes[2] / found.cluster_sizes["nodes"])
    with pytest.raises(ValueError, match="from 1 to 2"):
        plots.cluster_profiles(found.cluster_sizes, browser.flows(found), [3])


def test_the_widget_redraws_on_a_choice(found):
    box = browser.browse(found)
    (chosen, picture), words = box.children[0].children, box.children[1]
    before = picture.value
    chosen.value = (1, 2)
    assert picture.value != before
    assert "Cluster 2 holds" in words.value
    chosen.value = ()
    assert "at least one" in words.value


def test_a_sentence_lists_the_first_units(found):
    text = browser.describe(found, 1, units=2)
    assert text.startswith("Cluster 1 holds 4 of") and text.endswith("....")
