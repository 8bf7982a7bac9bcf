"""The explorer computes each choice once and its static states agree with it."""

import ipywidgets
import pytest

from book.papers.ncut import explorer
from book.papers.ncut.mlps import NcutConfig, condition
from book.papers.ncut.state_pictures import state_grid
from modgraph_lib import graphs, toys


@pytest.fixture(scope="module")
def networks():
    calls = []

    def load():
        calls.append(1)
        weights, _ = toys.strands(2, (8, 8, 8), leak=0.1, seed=0)
        return graphs.weight_graph(weights)

    return {"two strands": load}, calls


def test_states_agree_with_the_live_choices(networks):
    made, _ = networks
    found = explorer.states(made, ks=(2, 3), shuffles=4)
    choices = explorer.Choices(made, ks=(2, 3), shuffles=4)
    assert [(state.name, state.k) for state in found] == [("two strands", 2), ("two strands", 3)]
    for state in found:
        assert set(state.shuffled) == {"layer", "layer_nonzero"}
        assert state.ncut == choices.test(state.name, state.k, "layer").ncut
    figure = state_grid(found, columns=2)
    assert sum(axes.get_visible() for axes in figure.axes) == 4


def test_a_network_is_loaded_once(networks):
    made, calls = networks
    calls.clear()
    choices = explorer.Choices(made, ks=(2,), shuffles=2)
    for method in ("layer", "layer", "layer_nonzero"):
        choices.test("two strands", 2, method)
    assert len(calls) == 1


def test_the_widget_redraws_on_a_choice(networks):
    made, _ = networks
    box = explorer.explore(made, ks=(2, 3), shuffles=3)
    menus, sentence, pictures = box.children
    assert [type(child) for child in pictures.children] == [ipywidgets.Image] * 3
    before = sentence.value
    menus.children[1].value = 3
    assert "k = 3" in sentence.value and sentence.value != before


def test_trained_networks_are_named_and_lazy():
    train = condition("digits", "dropout", 0)
    configs = [NcutConfig(train, stage, (4,), 5) for stage in ("unpruned", "pruned")]
    found = explorer.trained_networks(configs)
    assert list(found) == ["Digits 8×8, dropout, unpruned", "Digits 8×8, dropout, pruned"]
    assert all(callable(load) for load in found.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, (2,)), "at least one network"),
        (({"a": None}, ()), "from 2 up"),
        (({"a": None}, (1, 2)), "from 2 up"),
    ],
)
def test_bad_choices(arguments, message):
    networks, ks = arguments
    with pytest.raises(ValueError, match=message):
        explorer.Choices(networks, ks=ks, shuffles=2)


def test_no_states_is_an_error():
    with pytest.raises(ValueError, match="at least one state"):
        state_grid([], columns=2)
