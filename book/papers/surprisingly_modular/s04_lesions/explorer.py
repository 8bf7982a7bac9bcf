"""The lesion map: pick sub-modules, switch them off together, see which classes suffer.

`explore` is the live widget for Jupyter; `still` draws chosen lesions once and offers them
on a page without a kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from book.lab.scorecard import Html
from book.lab.states import chooser
from book.papers.surprisingly_modular.s04_lesions import map_pictures
from modgraph_lib import plots
from modgraph_lib.lesions import LesionAccuracies, SingleLesion, Submodule, lesion_accuracies

__all__ = ["LesionMap", "explore", "map_rows", "states", "still"]

KIND_WORDS = {
    "weights": "incoming weights to zero, bias kept",
    "activations": "activation to zero",
    "weights_and_biases": "incoming weights and bias to zero",
}


class LesionMap:
    """A network, its sub-modules, and the accuracies under any choice of them.

    Args:
        model, images, labels: as for ``lesions.lesion_accuracies``.
        parts: sub-modules on offer.
        classes: name of each class.

    Raises:
        ValueError: no sub-module, or two of one name.
    """

    def __init__(
        self,
        model: nn.Module,
        parts: Sequence[Submodule],
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: Sequence[str],
    ) -> None:
        if not parts:
            raise ValueError("the lesion map needs at least one sub-module")
        self.parts = {part.name: part for part in parts}
        if len(self.parts) < len(parts):
            raise ValueError("two sub-modules have one name")
        self.model, self.images, self.labels = model, images, labels
        self.classes = tuple(classes)
        self._lesioned = functools.cache(self._lesion)

    def lesion(self, names: Sequence[str], kind: str = "weights") -> LesionAccuracies:
        """Accuracies with these sub-modules lesioned together; none gives the whole network.

        Raises:
            ValueError: a name that no sub-module has.
        """
        if unknown := sorted(set(names) - set(self.parts)):
            known = ", ".join(self.parts)
            raise ValueError(f"no sub-module {', '.join(unknown)}; there are: {known}")
        return self._lesioned(tuple(sorted(set(names))), kind)

    def _lesion(self, names: tuple[str, ...], kind: str) -> LesionAccuracies:
        masks: dict[str, np.ndarray] = {}
        chosen = [self.parts[name] for name in names] or [next(iter(self.parts.values()))]
        for part in chosen:
            mask = masks.setdefault(part.layer, np.zeros((1, part.width), dtype=bool))
            if names:
                mask[0] |= part.mask
        return lesion_accuracies(
            self.model, masks, self.images, self.labels, kind=kind, device="cpu"
        )

    def describe(self, names: Sequence[str], kind: str = "weights") -> str:
        """One sentence: what the lesion costs, and the class that loses most."""
        found = self.lesion(names, kind)
        accuracy = float(found.overall[0])
        if not len(names):
            return f"Nothing lesioned: {accuracy:.1%} right."
        lost = found.intact_by_class[: len(self.classes)] - found.by_class[0, : len(self.classes)]
        worst = int(np.nanargmax(lost))
        return (
            f"Without {', '.join(names)}: {accuracy:.1%} right, "
            f"{100 * (found.intact_overall - accuracy):.1f} points lost; most by "
            f"{self.classes[worst]} ({100 * lost[worst]:.0f} points)."
        )


def map_rows(singles: Sequence[SingleLesion], variant: str = "described") -> pd.DataFrame:
    """Single lesions as ``map_pictures.lesion_maps`` takes them."""
    return pd.DataFrame(
        {
            "name": one.submodule.name,
            "depth": one.submodule.depth,
            "module": one.submodule.module,
            "proportion": one.submodule.proportion,
            "loss": one.loss,
            "p_value": one.p_value(variant),
            "importance": one.importance(variant),
            "random_mean": float((one.random - one.intact).mean()),
            "random_std": float(one.random.std()),
        }
        for one in singles
    )


def states(
    chart: LesionMap, choices: Sequence[Sequence[str]], kind: str = "weights"
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Accuracies by class for each choice of sub-modules, and without a lesion."""
    count = len(chart.classes)
    found = {
        f"without {' and '.join(names)}": chart.lesion(names, kind).by_class[0, :count]
        for names in choices
    }
    return found, chart.lesion((), kind).intact_by_class[:count]


def still(
    chart: LesionMap, choices: Sequence[Sequence[str]], kind: str = "weights", *, name: str
) -> Html:
    """Lesions as an explorer that needs no kernel; ``name`` is its anchor."""
    found, intact = states(chart, choices, kind)
    pictures = {
        (" and ".join(names),): (
            map_pictures.class_bars({title: bars}, intact, chart.classes),
            chart.describe(names, kind),
        )
        for names, (title, bars) in zip(choices, found.items(), strict=True)
    }
    return chooser(pictures, ("without",), name=name)


def explore(chart: LesionMap, rows: pd.DataFrame) -> Any:
    """The live explorer: an ipywidgets box with a list of sub-modules, a menu and two pictures.

    Args:
        chart: the network.
        rows: as ``map_rows`` gives them.
    """
    import ipywidgets as widgets  # only a live notebook needs it

    costs = rows.set_index("name")["loss"]
    options = [
        (f"{name}: {len(part.units)} units, alone {100 * costs[name]:+.1f} points", name)
        for name, part in chart.parts.items()
    ]
    names = widgets.SelectMultiple(
        options=options, rows=min(12, len(options)), description="lesion",
        layout=widgets.Layout(width="26em"),
    )  # fmt: skip
    kind = widgets.Dropdown(
        options=[(words, word) for word, words in KIND_WORDS.items()], description="as"
    )
    sentence = widgets.HTML()
    pictures = widgets.VBox()

    def show(*_: Any) -> None:
        sentence.value = chart.describe(names.value, kind.value)
        pictures.children = [
            widgets.Image(
                value=plots.png(figure), format="png", layout=widgets.Layout(max_width="100%")
            )
            for figure in figures(chart, rows, names.value, kind.value)
        ]

    for menu in (names, kind):
        menu.observe(show, names="value")
    show()
    return widgets.VBox([widgets.HBox([names, kind]), sentence, pictures])


def figures(chart: LesionMap, rows: pd.DataFrame, names: Sequence[str], kind: str) -> list[Any]:
    """The lesion map with the chosen sub-modules named, and the accuracies by class."""
    title = f"without {', '.join(names)}" if names else "nothing lesioned"
    count = len(chart.classes)
    found = chart.lesion(names, kind)
    bars = {title: found.by_class[0, :count]}
    return [
        map_pictures.lesion_maps({"each sub-module alone": rows}, named=tuple(names)),
        map_pictures.class_bars(bars, found.intact_by_class[:count], chart.classes),
    ]
