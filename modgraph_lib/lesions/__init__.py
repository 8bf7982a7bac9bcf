"""Lesions: switch units off, and see what the network loses.

A *sub-module* is what a cluster of the weight graph has in one hidden layer. Lesioning one, and
many random sets of as many units of the same layer, tells whether it matters more than its size
explains (single lesions); lesioning two tells whether one still matters once the other is gone
(double lesions).

Source: Neural networks are surprisingly modular, section 4; what the released code does
differently is an option throughout.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modgraph_lib import _checks, statistics
from modgraph_lib.graphs import LayeredGraph
from modgraph_lib.lesions._accuracies import (
    KINDS,
    Images,
    Labels,
    LesionAccuracies,
    lesion_accuracies,
)
from modgraph_lib.lesions.importance import IMPORTANCES, RULES, Rules, classify, lowest, rules_of

__all__ = [
    "IMPORTANCES",
    "KINDS",
    "RULES",
    "DoubleLesion",
    "LesionAccuracies",
    "Rules",
    "SingleLesion",
    "Submodule",
    "classify",
    "double_lesions",
    "lesion_accuracies",
    "pairs_across_layers",
    "random_units",
    "single_lesions",
    "submodules",
]


PAIRS = "pairs of sub-modules (lesions.pairs_across_layers makes them)"


@dataclass(frozen=True, eq=False)
class Submodule:
    """What one cluster has in one hidden layer.

    Attributes:
        layer: module name of the layer.
        depth: 1 for the first hidden layer.
        module: number of the cluster.
        units: (n,) its units, as positions in the layer.
        population: units of the layer that are joined to anything; random lesions draw from
            these, the sub-module's own units included.
        width: units of the layer, isolated ones included.
    """

    layer: str
    depth: int
    module: int
    units: np.ndarray
    population: np.ndarray
    width: int

    @property
    def name(self) -> str:
        """The paper's way of naming: layer number, then module number."""
        return f"{self.depth}-{self.module}"

    @property
    def proportion(self) -> float:
        """Share of the layer's joined units."""
        return len(self.units) / len(self.population)

    @property
    def mask(self) -> np.ndarray:
        """(width,) bool."""
        mask = np.zeros(self.width, dtype=bool)
        mask[self.units] = True
        return mask


def submodules(graph: LayeredGraph, labels: np.ndarray) -> list[Submodule]:
    """Intersections of clusters and hidden layers, by layer and then by cluster.

    Args:
        graph: of a network of linear layers; its names are the modules' names.
        labels: (N,) clusters as ``clustering.spectral_clustering`` returns them; -1: isolated.

    Raises:
        ValueError: labels that do not fit, or no hidden layer.

    Source: section 4.1.

    >>> graph = graphs.weight_graph(toys.relay(2, units=3).model)
    >>> parts = lesions.submodules(graph, clustering.spectral_clustering(graph, 2))
    >>> [(part.layer, part.units.tolist()) for part in parts][:2]
    [('0', [0, 1, 2]), ('0', [3, 4, 5])]
    """
    _checks.instance(graph, LayeredGraph, "a layered graph (graphs.weight_graph makes one)")
    labels = np.asarray(labels)
    if labels.shape != (graph.nodes,):
        raise ValueError(f"a graph of {graph.nodes} nodes needs as many labels, got {labels.shape}")
    if len(graph.layers) < 3:
        raise ValueError("the network has no hidden layer to lesion")
    found = []
    for depth in range(1, len(graph.layers) - 1):
        here = labels[graph.offsets[depth] : graph.offsets[depth + 1]]
        population = np.flatnonzero(here >= 0)
        found += [
            Submodule(
                graph.names[depth], depth, int(c), np.flatnonzero(here == c), population, len(here)
            )
            for c in np.unique(here[population])
        ]
    return found


def random_units(submodule: Submodule, count: int, *, seed: int | Sequence[int]) -> np.ndarray:
    """(count, width) bool: random sets of as many of the layer's joined units.

    Source: section 4.1; that units of the sub-module itself can be drawn, and isolated ones
    cannot, is what the released code does (the text leaves it open).

    >>> lesions.random_units(toys.relay(3, units=2).parts[0], 2, seed=0).astype(int)
    array([[0, 0, 0, 1, 1, 0],
           [0, 1, 0, 0, 0, 1]])
    """
    rng = np.random.default_rng(seed)
    size = len(submodule.units)
    masks = np.zeros((count, submodule.width), dtype=bool)
    for mask in masks:
        mask[rng.choice(submodule.population, size, replace=False)] = True
    return masks


@dataclass(frozen=True, eq=False)
class SingleLesion:
    """One sub-module lesioned, beside random sets of its size.

    Attributes:
        submodule: what was lesioned.
        intact, accuracy: of the whole and of the lesioned network.
        by_class: (C,) accuracy of each class, lesioned.
        random: (R,) accuracies with random lesions.
    """

    submodule: Submodule
    intact: float
    accuracy: float
    by_class: np.ndarray
    random: np.ndarray

    @property
    def loss(self) -> float:
        """Accuracy lost; positive is damage (table A.18 prints the negative of it)."""
        return self.intact - self.accuracy

    def p_value(self, variant: str = "described") -> float:
        """(r + 1) / (R + 1), r random lesions at least as bad (published: strictly worse)."""
        ties = rules_of(variant).ties
        return statistics.empirical_p_value(self.accuracy, self.random, ties=ties)

    def importance(self, variant: str = "described") -> str:
        """One of ``IMPORTANCES``."""
        return classify(
            self.loss,
            self.p_value(variant),
            controls=len(self.random),
            size=len(self.submodule.units),
            proportion=self.submodule.proportion,
            variant=variant,
        )


def single_lesions(
    model: nn.Module,
    parts: Sequence[Submodule],
    images: Images,
    labels: Labels,
    *,
    controls: int = 100,
    seed: int = 0,
    kind: str = "weights",
    device: str = "auto",
) -> list[SingleLesion]:
    """Lesion each sub-module, and ``controls`` random sets of its size in its layer.

    The random sets of a sub-module depend on (seed, its depth, its number) alone.

    Args:
        parts: as ``submodules`` returns them.
        kind, device, model, images, labels: see ``lesion_accuracies``.

    Raises:
        ValueError: no sub-module, an empty one, fewer than one control, and what
            ``lesion_accuracies`` raises.

    Source: section 4.1 (100 random sets), figure 5, table A.18.

    >>> r = toys.relay(3, units=4)
    >>> found = lesions.single_lesions(r.model, r.parts[:1], r.images, r.labels, controls=30)
    >>> [(one.submodule.name, round(one.loss, 2), one.importance()) for one in found]
    [('1-0', 0.33, 'important')]
    """
    _check_parts(parts, controls, seed)
    wanted = []
    for part in parts:
        draws = random_units(part, controls, seed=[seed, 1, part.depth, part.module])
        wanted += [{part.layer: mask} for mask in (part.mask, *draws)]
    masks = _stacked(wanted, {part.layer: part.width for part in parts})
    found = lesion_accuracies(model, masks, images, labels, kind=kind, device=device)
    overall = found.overall.reshape(len(parts), controls + 1)
    by_class = found.by_class.reshape(len(parts), controls + 1, -1)
    return [
        SingleLesion(part, found.intact_overall, float(row[0]), classes[0], row[1:])
        for part, row, classes in zip(parts, overall, by_class, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class DoubleLesion:
    """Two sub-modules of different layers, lesioned alone and together.

    Attributes:
        x, y: sub-modules, x in the earlier layer.
        intact, accuracy_x, accuracy_y, accuracy_both: of the network whole, with X, with Y, and
            with both lesioned.
        random_x: (R,) accuracies with Y and a random set of X's size and layer lesioned.
        random_y: (R,) accuracies with X and a random set of Y's size and layer lesioned.
    """

    x: Submodule
    y: Submodule
    intact: float
    accuracy_x: float
    accuracy_y: float
    accuracy_both: float
    random_x: np.ndarray
    random_y: np.ndarray

    @property
    def delta_x(self) -> float:
        """delta(X, Y): what lesioning X costs when Y is lesioned already."""
        return self.accuracy_y - self.accuracy_both

    @property
    def delta_y(self) -> float:
        """delta(Y, X): what lesioning Y costs when X is lesioned already."""
        return self.accuracy_x - self.accuracy_both

    def p_values(self, variant: str = "described") -> tuple[float, float]:
        """Of X given Y, and of Y given X."""
        ties = rules_of(variant).ties
        null = (self.random_x, self.random_y)
        p = [statistics.empirical_p_value(self.accuracy_both, draws, ties=ties) for draws in null]
        return p[0], p[1]

    def important(self, variant: str = "described") -> tuple[bool, bool]:
        """Whether X is important given Y, and Y given X."""
        rules, p = rules_of(variant), self.p_values(variant)
        sizes = len(self.random_x), len(self.random_y)
        return (
            lowest(p[0], sizes[0]) and rules.is_drop(self.delta_x),
            lowest(p[1], sizes[1]) and rules.is_drop(self.delta_y),
        )

    def depends(self, variant: str = "described") -> bool:
        """Whether at least one of the two does not matter any more without the other."""
        return not all(self.important(variant))


def pairs_across_layers(parts: Iterable[Submodule]) -> list[tuple[Submodule, Submodule]]:
    """All pairs of sub-modules in different layers, the earlier one first.

    >>> pairs = lesions.pairs_across_layers(toys.relay(2, units=2).parts)
    >>> [f"{x.name} {y.name}" for x, y in pairs][:3]
    ['1-0 2-0', '1-0 2-1', '1-0 3-0']
    """
    ordered = sorted(parts, key=lambda part: (part.depth, part.module))
    return [(x, y) for x, y in itertools.combinations(ordered, 2) if x.depth != y.depth]


def double_lesions(
    model: nn.Module,
    pairs: Sequence[tuple[Submodule, Submodule]],
    images: Images,
    labels: Labels,
    *,
    controls: int = 50,
    seed: int = 0,
    kind: str = "weights",
    device: str = "auto",
) -> list[DoubleLesion]:
    """Lesion pairs of sub-modules, with random sets in place of either one.

    The random sets of a pair depend on (seed, the two depths and numbers) alone.

    Args:
        pairs: sub-modules of different layers, the earlier one first.
        controls: random sets in place of X, and as many in place of Y.
        kind, device, model, images, labels: see ``lesion_accuracies``.

    Raises:
        ValueError: no pair, two of one layer (nothing can depend there), an empty sub-module,
            fewer than one control, and what ``lesion_accuracies`` raises.

    Source: section 4.2 (50 random sets), figure 6, table A.19.

    >>> r = toys.relay(3, units=2)
    >>> pairs = [(r.parts[0], r.parts[3]), (r.parts[0], r.parts[4])]
    >>> found = lesions.double_lesions(r.model, pairs, r.images, r.labels, controls=5)
    >>> [(pair.x.name, pair.y.name, round(pair.delta_x, 2)) for pair in found]
    [('1-0', '2-0', 0.0), ('1-0', '2-1', 0.33)]
    """
    if not pairs:
        raise ValueError("no pair of sub-modules to lesion")
    for pair in pairs:
        x, y = _checks.instance(pair, tuple | list, PAIRS)
        _checks.instance(x, Submodule, PAIRS)
        _checks.instance(y, Submodule, PAIRS)
        if x.depth >= y.depth:
            raise ValueError(f"pair {x.name}, {y.name}: give the one of the earlier layer first")
    parts = [part for pair in pairs for part in pair]
    _check_parts(parts, controls, seed)
    wanted = []
    for x, y in pairs:
        who = [x.depth, x.module, y.depth, y.module]
        wanted += [{x.layer: x.mask}, {y.layer: y.mask}, {x.layer: x.mask, y.layer: y.mask}]
        draws = random_units(x, controls, seed=[seed, 2, *who])
        wanted += [{x.layer: mask, y.layer: y.mask} for mask in draws]
        draws = random_units(y, controls, seed=[seed, 3, *who])
        wanted += [{x.layer: x.mask, y.layer: mask} for mask in draws]
    masks = _stacked(wanted, {part.layer: part.width for part in parts})
    found = lesion_accuracies(model, masks, images, labels, kind=kind, device=device)
    rows = found.overall.reshape(len(pairs), 3 + 2 * controls)
    return [
        DoubleLesion(x, y, found.intact_overall, float(row[0]), float(row[1]), float(row[2]), a, b)
        for (x, y), row in zip(pairs, rows, strict=True)
        for a, b in [np.split(row[3:], 2)]
    ]


def _check_parts(parts: Sequence[Submodule], controls: int, seed: int) -> None:
    if not parts:
        raise ValueError("no sub-module to lesion")
    _checks.whole(controls, "controls", least=1)
    _checks.seed(seed)
    for part in parts:
        _checks.instance(part, Submodule, "sub-modules, as lesions.submodules finds them")
        if not len(part.units):
            raise ValueError(f"sub-module {part.name} has no unit: there is nothing to lesion")


def _stacked(wanted: list[dict[str, np.ndarray]], widths: dict[str, int]) -> dict[str, np.ndarray]:
    """layer -> (M, width) bool from one mapping a lesion."""
    masks = {name: np.zeros((len(wanted), width), dtype=bool) for name, width in widths.items()}
    for row, lesion in enumerate(wanted):
        for name, mask in lesion.items():
            masks[name][row] = mask
    return masks
