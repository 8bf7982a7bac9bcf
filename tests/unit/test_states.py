"""The explorer for static pages holds every state, described, and says what it cannot take."""

import re

import pytest
from matplotlib.figure import Figure

from book.lab.states import chooser


def test_every_state_is_drawn_and_described():
    states = {
        (network, k): (Figure(figsize=(1, 1)), f"{network} <&> {k}")
        for network in ("a", 'b "c"')
        for k in ("2", "4")
    }
    text = chooser(states, ("network", "clusters"), name="here").text
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/svg', text)) == 4
    assert text.count("<option>") == 4 and text.count("<select>") == text.count("<label>") == 2
    assert "a &lt;&amp;&gt; 2" in text and 'getElementById("here")' in text
    assert "http" not in re.sub(r'src="[^"]*"', "", text)


def test_same_states_give_the_same_page():
    def made():
        return chooser({("a",): (Figure(figsize=(1, 1)), "one")}, ("x",), name="n").text

    assert made() == made()


def test_what_cannot_be_offered_is_refused():
    with pytest.raises(ValueError, match="at least one state"):
        chooser({}, ("x",), name="n")
    with pytest.raises(ValueError, match="2 menus, but the state"):
        chooser({("a",): (Figure(), "one")}, ("x", "y"), name="n")
