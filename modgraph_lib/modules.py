"""Everything Part IV asks of a network, asked of yours in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks, features, lesions, partitions
from modgraph_lib.features import Coherence
from modgraph_lib.lesions import SingleLesion
from modgraph_lib.partitions import Partition
from modgraph_lib.proxies import ProxyTest

__all__ = ["Modules", "find"]

NAMES = {
    "drop": "accuracy lost by a lesion",
    "range": "range of that over classes",
    "score": "visualisation score",
}


@dataclass(frozen=True, eq=False)
class Modules:
    """Groups of units of a network, whether they matter, for which classes, what excites them.

    Attributes:
        partition: how units were grouped.
        lesions: one ``SingleLesion`` a sub-cluster, beside its random sets.
        coherences: one ``Coherence`` a sub-cluster.
        intact: (C,) accuracy of each class without a lesion.
        classes: names of the classes.
    """

    partition: Partition
    lesions: tuple[SingleLesion, ...]
    coherences: tuple[Coherence, ...]
    intact: np.ndarray
    classes: tuple[str, ...]

    @property
    def tests(self) -> dict[str, ProxyTest]:
        """The proxies of ``NAMES`` over all sub-clusters."""
        drops = np.array([[one.loss, *(one.intact - one.random)] for one in self.lesions])
        every = np.array([[one.by_class, *_random(one)] for one in self.lesions])
        seen = ~np.isnan(self.intact)
        ranges = np.ptp((self.intact - every)[..., seen], axis=2)
        scores = np.array([[one.score, *one.random_scores] for one in self.coherences])
        found = {"drop": drops, "range": ranges, "score": scores}
        return {name: ProxyTest(v[:, 0], v[:, 1:]) for name, v in found.items()}

    def summary(self, *, most: int = 5) -> str:
        """The report as text, with the ``most`` damaging sub-clusters one by one."""
        cut, count = self.partition, len(self.lesions)
        isolated = sum(int((row < 0).sum()) for row in cut.labels.values())
        lines = [
            f"{cut.name}, {cut.k} clusters: {count} sub-clusters in {len(cut.labels)} layers, each "
            f"beside {len(self.lesions[0].random)} random sets of its size"
        ]
        if isolated or cut.erased:
            lines.append(
                f"left out: {isolated} units joined to nothing; {cut.erased} weights too small to "
                "count"
            )
        for name, test in self.tests.items():
            lines.append(
                f"{NAMES[name]}: p = {test.exact():.2g} (ties broken by lot, {test.tied:.0%} of "
                f"them), effect {test.effect().mean:.2f}"
            )
        if self.tests["drop"].true.max() <= 0:
            lines.append("no sub-cluster costs any accuracy: no damage to measure")
            return "\n".join(lines)
        ranks = {name: test.ranks("count").astype(int) for name, test in self.tests.items()}
        order = np.argsort([-one.loss for one in self.lesions])
        for place in order[:most]:
            lines.append(self._line(int(place), {n: int(r[place]) for n, r in ranks.items()}))
        return "\n".join(lines)

    def figure(self, *, most: int = 8):
        """A matplotlib figure: what excites the most damaging sub-clusters, and what they cost."""
        from modgraph_lib.plots.groups import modules_figure

        return modules_figure(self, most=most)

    def _line(self, place: int, ranks: dict[str, int]) -> str:
        one, seen = self.lesions[place], self.coherences[place]
        drops = self.intact - one.by_class
        worst = [c for c in np.argsort(-np.nan_to_num(drops))[:2] if drops[c] > 0]
        lost = ", ".join(f"{self.classes[c]} {100 * drops[c]:.1f}" for c in worst)
        part, m = one.submodule, len(one.random)
        ratio = seen.score / seen.random_scores.mean() if seen.random_scores.mean() else np.nan
        return (
            f"layer {part.layer}, cluster {part.module} ({len(part.units)} units): loses "
            f"{100 * one.loss:.1f} points, more than {m - ranks['drop']} of {m} random sets"
            + (f" (by class: {lost})" if lost else "")
            + f"; an image excites it {ratio:.2f} times as strongly as a random set"
        )


def find(
    model: nn.Module,
    images: torch.Tensor | np.ndarray,
    labels: torch.Tensor | np.ndarray | Sequence[int],
    *,
    edges: str = "weights",
    scope: str = "global",
    k: int = 16,
    responses: torch.Tensor | np.ndarray | None = None,
    controls: int = 19,
    steps: int = 50,
    classes: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    **graph_options: Any,
) -> Modules:
    """Which groups of units matter, for which classes, what excites them, and how sure that is.

    Args:
        model: a torch module that maps images to (N, classes) logits; it is left as it was.
        images, labels: (N, ...) and (N,) test images and their classes.
        edges, scope, k: see ``partitions.partition``.
        responses: other images, to correlate activations over where ``edges`` are activations; by
            default ``images`` themselves, which then are seen twice.
        controls: random sets beside each sub-cluster.
        steps: of the visualisations.
        classes: their names, by default numbers.
        device: "auto" is cuda, then mps, then cpu.
        graph_options: see ``partitions.partition``.

    Raises:
        ValueError: no usable sub-cluster (says why), and what partitions, lesions and
            visualisations raise.

    Source: Detecting Modularity, sections 3 and 4.

    >>> r = toys.relay(3, units=4)
    >>> found = modules.find(r.model, r.images, r.labels, k=3, steps=5, device="cpu")
    >>> print(found.summary(most=1).splitlines()[0])
    weights/global, 3 clusters: 9 sub-clusters in 3 layers, each beside 19 random sets of its size
    """
    images = _checks.tensor(images, "images")
    heard = images if responses is None else responses
    cut = partitions.partition(
        model, edges=edges, scope=scope, k=k, images=heard, seed=seed, **graph_options
    )
    parts = partitions.subclusters(cut)
    nothing = {name: np.zeros(len(row), dtype=bool) for name, row in cut.labels.items()}
    given: dict[str, Any] = {"kind": "activations", "device": device}
    intact = lesions.lesion_accuracies(model, nothing, images, labels, **given)
    singles = lesions.single_lesions(
        model, parts, images, labels, controls=controls, seed=seed, **given
    )
    coherences = features.coherence(
        model,
        parts,
        image_shape=_shape(images),
        controls=controls,
        steps=steps,
        seed=seed,
        device=device,
    )
    count = len(intact.images)
    names = tuple(classes) or tuple(map(str, range(count)))
    if len(names) != count:
        raise ValueError(f"the model has {count} classes, got {len(names)} names")
    return Modules(cut, tuple(singles), tuple(coherences), intact.intact_by_class, names)


def _random(one: SingleLesion) -> np.ndarray:
    assert one.random_by_class is not None
    return one.random_by_class


def _shape(images: torch.Tensor) -> tuple[int, int, int]:
    """(channels, height, width) of one image; plain features are an image of one line."""
    if images.ndim not in (2, 3, 4):
        raise ValueError(f"images are (N, C, H, W), (N, H, W) or (N, D), got {tuple(images.shape)}")
    channels, height, width = (1, 1, *images.shape[1:])[-3:]
    return int(channels), int(height), int(width)
