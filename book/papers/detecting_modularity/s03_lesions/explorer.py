"""The explorer of sub-clusters: its classes, its visualisation, its rank under three rules.

``explore`` is the live widget for Jupyter; ``still`` offers some of its states on a page without a
kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from book.lab.scorecard import Html
from book.lab.states import chooser
from modgraph_lib import features, lesions, partitions, plots
from modgraph_lib.lesions import SingleLesion, Submodule
from modgraph_lib.partitions import Partition
from modgraph_lib.plots import style
from modgraph_lib.proxies import ProxyTest

__all__ = ["Explorer", "State", "explore", "states", "still"]

RULES = ("count", "random", "ignore")


@dataclass(frozen=True, eq=False)
class State:
    """One sub-cluster beside its random sets.

    Attributes:
        title: partition, layer, cluster, size.
        image: (H, W) that excites it most.
        drops: (C,) of each class; random_drops: (R, C).
        percentiles: rule for ties -> percentile of the accuracy drop.
    """

    title: str
    image: np.ndarray
    drops: np.ndarray
    random_drops: np.ndarray
    percentiles: dict[str, float]


class Explorer:
    """A network, its partitions, and what any sub-cluster of them costs.

    Args:
        model, images, labels: as for ``lesions.single_lesions``.
        cuts: partitions on offer.
        classes: names of the classes.
        image_shape: as for ``features.visualize``.
    """

    def __init__(
        self,
        model: nn.Module,
        cuts: Sequence[Partition],
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: Sequence[str],
        *,
        image_shape: tuple[int, int, int],
    ) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.classes, self.image_shape = tuple(classes), image_shape
        self.parts = {
            cut.name: {part.name: part for part in partitions.subclusters(cut)} for cut in cuts
        }
        self.state = functools.cache(self._state)

    def lesion(self, part: Submodule, seed: int = 0) -> SingleLesion:
        """The sub-cluster beside nineteen random sets; another seed draws others."""
        (found,) = lesions.single_lesions(
            self.model, [part], self.images, self.labels, controls=19, seed=seed,
            kind="weights_and_biases", device="cpu",
        )  # fmt: skip
        return found

    def _state(self, partition: str, name: str, seed: int = 0) -> State:
        part = self.parts[partition][name]
        one = self.lesion(part, seed)
        intact = self._intact[: len(self.classes)]
        seen = features.visualize(
            self.model, part.layer, [part.units], image_shape=self.image_shape, steps=60, seed=0
        )
        test = ProxyTest(np.array([one.loss]), one.intact - one.random[None])
        assert one.random_by_class is not None
        return State(
            f"{partition}, layer {part.depth}, cluster {part.module}: {len(part.units)} units",
            seen.images[0].mean(0),
            intact - one.by_class[: len(intact)],
            intact - one.random_by_class[:, : len(intact)],
            {rule: float(test.percentiles(rule, seed=seed)[0]) for rule in RULES},
        )

    @functools.cached_property
    def _intact(self) -> np.ndarray:
        part = next(iter(next(iter(self.parts.values())).values()))
        nothing = {part.layer: np.zeros(part.width, dtype=bool)}
        found = lesions.lesion_accuracies(
            self.model, nothing, self.images, self.labels, device="cpu"
        )
        return found.intact_by_class


def states(chosen: Sequence[State], classes: Sequence[str]) -> Figure:
    """States one under the other: the image, and points lost by class among random sets."""
    with style.styled():
        figure, axes = style.axes(
            len(chosen), 2, height=1.75 * len(chosen), gridspec_kw={"width_ratios": [1, 4]}
        )
        for one, left, right in zip(chosen, axes[::2], axes[1::2], strict=True):
            left.imshow(one.image, cmap="gray", vmin=0, vmax=1)
            left.set_axis_off()
            x = np.arange(len(one.drops))
            right.bar(x, 100 * one.drops, color=style.NETWORK, width=0.6)
            rows = 100 * one.random_drops
            right.plot(np.tile(x, len(rows)), rows.ravel(), "_", color=style.INK, alpha=0.5)
            right.set_xticks(x, classes)
            said = ", ".join(f"{rule} {value:.3f}" for rule, value in one.percentiles.items())
            right.set_title(f"{one.title}\npercentile of the drop: {said}", fontsize=8)
            right.set_ylabel("points lost")
    return figure


def still(explorer: Explorer, *, each: int, name: str) -> Html:
    """The first ``each`` sub-clusters of every partition, as an explorer that needs no kernel."""
    found = {
        (cut, part): explorer.state(cut, part)
        for cut, parts in explorer.parts.items()
        for part in list(parts)[:each]
    }
    pictures = {
        choice: (states([state], explorer.classes), _caption(state, explorer.classes))
        for choice, state in found.items()
    }
    return chooser(pictures, ("partition", "sub-cluster"), name=name)


def _caption(state: State, classes: Sequence[str]) -> str:
    worst = int(np.argmax(state.drops))
    rules = ", ".join(f"{value:.3f} ({rule})" for rule, value in state.percentiles.items())
    return (
        f"{state.title}. Most is lost by class {classes[worst]}, "
        f"{100 * state.drops[worst]:.0f} points. Percentile of the drop by rule for ties: {rules}."
    )


def explore(explorer: Explorer) -> Any:
    """The live widget: menus for partition and sub-cluster, a button for other random sets."""
    import ipywidgets as widgets  # only a live notebook needs it

    partition = widgets.Dropdown(options=list(explorer.parts), description="partition")
    name = widgets.Dropdown(description="layer-cluster")
    again = widgets.Button(description="another random set")
    picture = widgets.Image(format="png")
    seed = 0

    def show(*_: Any) -> None:
        if name.value in explorer.parts[partition.value]:
            state = explorer.state(partition.value, name.value, seed)
            picture.value = plots.png(states([state], explorer.classes))

    def offer(*_: Any) -> None:
        name.options = list(explorer.parts[partition.value])

    def draw(*_: Any) -> None:
        nonlocal seed
        seed += 1
        show()

    partition.observe(offer, names="value")
    name.observe(show, names="value")
    again.on_click(draw)
    offer()
    show()
    return widgets.VBox([widgets.HBox([partition, name, again]), picture])
