"""Choose a network, a number of clusters and a kind of shuffle, and look.

`explore` is the live widget for Jupyter; `states` computes the same choices once, and `still`
offers them on a page without a kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from book.lab.scorecard import Html
from book.lab.states import chooser
from book.papers.ncut.mlps import NcutConfig
from book.papers.ncut.state_pictures import METHOD_WORDS, State, state_grid
from modgraph_lib import plots, training
from modgraph_lib.clustering import SHUFFLE_METHODS, ShuffleTest, shuffle_graph, shuffle_tests
from modgraph_lib.datasets.names import data_name
from modgraph_lib.graphs import LayeredGraph, weight_graph
from modgraph_lib.plots import style

Networks = Mapping[str, LayeredGraph | Callable[[], LayeredGraph]]


class Choices:
    """Graphs by name, and the shuffle test of each choice, computed once.

    Args:
        networks: name -> LayeredGraph, or a function without arguments that returns one (for
            networks that take long to train or load).
        ks: numbers of clusters on offer.
        shuffles: size of each null sample.
        seed: fixes shuffles and k-means.

    Raises:
        ValueError: no network, no k, or a k below 2.
    """

    def __init__(self, networks: Networks, *, ks: Sequence[int], shuffles: int, seed: int = 0):
        if not networks:
            raise ValueError("the explorer needs at least one network")
        if not ks or min(ks) < 2:
            raise ValueError(f"ks must be a non-empty list of numbers from 2 up, got {list(ks)}")
        self.networks = dict(networks)
        self.ks = tuple(ks)
        self.shuffles = shuffles
        self.seed = seed
        self.tests = functools.cache(self._tests)
        self.graph = functools.cache(self._graph)

    def test(self, name: str, k: int, method: str) -> ShuffleTest:
        """The shuffle test of one choice; the other k of the same network come along."""
        return self.tests(name, method)[k]

    def _graph(self, name: str) -> LayeredGraph:
        network = self.networks[name]
        return network() if callable(network) else network

    def _tests(self, name: str, method: str) -> dict[int, ShuffleTest]:
        graph = self.graph(name)
        return shuffle_tests(graph, self.ks, shuffles=self.shuffles, method=method, seed=self.seed)


def trained_networks(configs: Iterable[NcutConfig]) -> dict[str, Callable[[], LayeredGraph]]:
    """The first network of each condition and stage by name, loaded only when looked at.

    Args:
        configs: measurements of ``experiments``; their networks are in the cache, or are
            trained when first asked for.
    """
    found: dict[str, Callable[[], LayeredGraph]] = {}
    for config in configs:
        regularizer = next((w for w in ("dropout", "l1", "l2") if getattr(config.train, w)), "none")
        word = style.condition(regularizer)[2]
        name = f"{data_name(config.train.data)}, {word}, {config.stage}"
        found.setdefault(name, functools.partial(_trained_graph, config))
    return found


def _trained_graph(config: NcutConfig) -> LayeredGraph:
    return weight_graph(training.trained(config.train).model(config.stage), floor=0)


def states(
    networks: Networks,
    *,
    ks: Sequence[int],
    shuffles: int = 20,
    methods: Sequence[str] = SHUFFLE_METHODS,
    seed: int = 0,
) -> list[State]:
    """Every network at every k, with the null of every kind of shuffle."""
    choices = Choices(networks, ks=ks, shuffles=shuffles, seed=seed)
    found = []
    for name in choices.networks:
        for k in choices.ks:
            tests = {method: choices.test(name, k, method) for method in methods}
            first = next(iter(tests.values()))
            nulls = {method: test.shuffled for method, test in tests.items()}
            graph = choices.graph(name)
            found.append(State(name, k, graph, first.labels, first.ncut, nulls))
    return found


def still(found: Sequence[State], *, name: str) -> Html:
    """The states as an explorer that needs no kernel; ``name`` is its anchor."""
    pictures = {
        (state.name, str(state.k)): (state_grid([state], columns=2), _caption(state))
        for state in found
    }
    return chooser(pictures, ("network", "clusters"), name=name)


def _caption(state: State) -> str:
    nulls = "; ".join(
        f"{METHOD_WORDS[method]}: {values.mean():.3f} on average, {(values > state.ncut).sum()} of "
        f"{len(values)} higher"
        for method, values in state.shuffled.items()
    )
    return f"{state.name}, k = {state.k}: n-cut {state.ncut:.3f}. {nulls[0].upper()}{nulls[1:]}."


def explore(
    networks: Networks, *, ks: Sequence[int] = (2, 4, 7, 10), shuffles: int = 20, seed: int = 0
) -> Any:
    """The live explorer: an ipywidgets box with three menus and three pictures."""
    import ipywidgets as widgets  # only a live notebook needs it

    choices = Choices(networks, ks=ks, shuffles=shuffles, seed=seed)
    words = [(METHOD_WORDS[method], method) for method in SHUFFLE_METHODS]
    name = widgets.Dropdown(options=list(choices.networks), description="network")
    k = widgets.Dropdown(options=choices.ks, description="clusters k")
    method = widgets.Dropdown(options=words, description="null")
    sentence = widgets.HTML()
    pictures = widgets.VBox()

    def show(*_: Any) -> None:
        test = choices.test(name.value, k.value, method.value)
        sentence.value = describe(test)
        pictures.children = [
            widgets.Image(
                value=plots.png(figure), format="png", layout=widgets.Layout(max_width="100%")
            )
            for figure in figures(choices, name.value, k.value, method.value)
        ]

    for menu in (name, k, method):
        menu.observe(show, names="value")
    show()
    return widgets.VBox([widgets.HBox([name, k, method]), sentence, pictures])


def figures(choices: Choices, name: str, k: int, method: str) -> list[Any]:
    """Matrix (the network beside one shuffle), layout, and n-cut over its null."""
    graph, test = choices.graph(name), choices.test(name, k, method)
    return [
        plots.block_matrices(
            {
                f"{name}": (graph, test.labels),
                "one shuffle, same clusters": (
                    shuffle_graph(graph, method=method, seed=choices.seed),
                    test.labels,
                ),
            }
        ),
        plots.layered_layout(graph, test.labels),
        plots.null_histogram(test.ncut, test.shuffled, k=k),
    ]


def describe(test: ShuffleTest) -> str:
    """One sentence on a shuffle test."""
    below = int((test.shuffled > test.ncut).sum())
    return (
        f"n-cut {test.ncut:.3f} at k = {test.k}: below {below} of {len(test.shuffled)} shuffles "
        f"(mean {test.shuffled.mean():.3f}, p = {test.p_value:.3f}, z = {test.z_score:.1f})."
    )
