"""When a lesioned sub-module counts as important: the paper's rules, and its code's."""

from __future__ import annotations

from dataclasses import dataclass

from modgraph_lib.statistics import Ties

__all__ = ["IMPORTANCES", "RULES", "Rules", "classify", "lowest"]

IMPORTANCES = (
    "complete",
    "small",
    "important",
    "sig-but-not-diff",
    "diff-but-not-sig",
    "other",
)
ROUNDING = 1e-9  # accuracies are counts over images: differences below this are rounding


@dataclass(frozen=True)
class Rules:
    """When a sub-module is important.

    Attributes:
        ties: "count" lets a random lesion that hurts as much as the true one speak against it;
            "ignore" does not.
        inclusive: whether a drop of exactly ``drop`` is enough.
        smallest_share: below this share of the layer a sub-module is small (0: no such rule).
        largest_small: up to this many units a sub-module is small (0: no such rule).
        drop: of accuracy, one percentage point.
    """

    ties: Ties
    inclusive: bool
    smallest_share: float = 0.0
    largest_small: int = 0
    drop: float = 0.01

    def is_drop(self, loss: float) -> bool:
        """Whether a loss of accuracy is large enough to matter."""
        return bool(loss >= self.drop - ROUNDING if self.inclusive else loss > self.drop + ROUNDING)

    def is_small(self, size: int, proportion: float) -> bool:
        """Whether a sub-module is too small to be called important."""
        return size <= self.largest_small or proportion < self.smallest_share


RULES = {
    # Section 4.1 and the caption of figure 5.
    "described": Rules(ties="count", inclusive=False, smallest_share=0.05),
    # The released code: 12 units instead of 5 %, ties in favour of the sub-module.
    "published": Rules(ties="ignore", inclusive=True, largest_small=12),
}


def classify(
    loss: float,
    p_value: float,
    *,
    controls: int,
    size: int,
    proportion: float,
    variant: str = "described",
) -> str:
    """One of ``IMPORTANCES`` for a single lesion.

    Args:
        loss: accuracy lost by the lesion, a fraction.
        p_value: of that loss against random lesions, by the same variant's rule for ties.
        controls: number of random lesions; significant means worse than every one of them.
        size, proportion: units of the sub-module, and their share of the layer.
        variant: a key of ``RULES``.

    "complete" is a sub-module that is its whole layer: every random lesion is the lesion itself.

    Source: section 4.1, figure 5, table A.18 (names and order).

    >>> lesions.classify(0.05, 1 / 101, controls=100, size=20, proportion=0.1)
    'important'
    """
    rules = rules_of(variant)
    if proportion >= 1:
        return "complete"
    if rules.is_small(size, proportion):
        return "small"
    significant, drop = lowest(p_value, controls), rules.is_drop(loss)
    if significant:
        return "important" if drop else "sig-but-not-diff"
    return "diff-but-not-sig" if drop else "other"


def rules_of(variant: str) -> Rules:
    """The rules of a variant; ValueError for another word."""
    if variant not in RULES:
        raise ValueError(f"variant is one of {', '.join(RULES)}; got {variant!r}")
    return RULES[variant]


def lowest(p_value: float, controls: int) -> bool:
    """Whether no control reached the observed value: p = 1 / (controls + 1).

    >>> lesions.importance.lowest(1 / 101, 100), lesions.importance.lowest(2 / 101, 100)
    (True, False)
    """
    return p_value < 1.5 / (controls + 1)
