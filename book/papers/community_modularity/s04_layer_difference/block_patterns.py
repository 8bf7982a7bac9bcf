"""The block pattern of a heat map over layers, as numbers.

The paper (section 5.1) says that representations after residual additions differ more from those
inside blocks than from other ones after additions. What that means here was fixed before any run
and stands in ``data/papers/criteria.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from book.papers.community_modularity.s04_layer_difference.experiment import matrices

__all__ = ["Alike", "Contrast", "alike", "contrast", "contrast_of"]


@dataclass(frozen=True)
class Contrast:
    """Distances of block outputs to the inside of blocks, against those to other outputs.

    Attributes:
        inside: mean distance between a block's output and the layers inside another block.
        after: mean distance between two blocks' outputs.
        share: of the blocks, those whose output lies farther from the inside of the other blocks
            than from their outputs, in the mean.
    """

    inside: float
    after: float
    share: float

    @property
    def gap(self) -> float:
        """Positive where the pattern is the paper's."""
        return self.inside - self.after


@dataclass(frozen=True)
class Alike:
    """How alike two matrices of distances between layers are.

    Attributes:
        correlation: Spearman's, over pairs of layers.
        p_value: share of permutations of the layers of one of them (this one counted) that
            correlate at least as well: Mantel's test.
        beyond_depth: the same correlation once what goes with the number of layers between the
            two is taken out of the ranks of both.
    """

    correlation: float
    p_value: float
    beyond_depth: float


def contrast_of(distance: np.ndarray, kinds: list[str], blocks: np.ndarray) -> Contrast:
    """The contrast in a matrix of distances.

    Args:
        distance: (L, L) symmetric.
        kinds: (L,) "stem", "inside" or "after".
        blocks: (L,) number of the block each layer belongs to.

    Both means run over the same pairs of different blocks, so that the two kinds of pair are
    equally far apart in depth.

    Raises:
        ValueError: fewer than two blocks' outputs, or none inside.
    """
    kinds, blocks = np.asarray(kinds), np.asarray(blocks)
    outputs, within = np.flatnonzero(kinds == "after"), np.flatnonzero(kinds == "inside")
    if len(outputs) < 2 or not len(within):
        raise ValueError("a block pattern needs two blocks at least, with layers inside them")
    inside, after = [], []
    for output in outputs:
        elsewhere = blocks[within] != blocks[output]
        inside.append(distance[output, within[elsewhere]].mean())
        after.append(distance[output, outputs[outputs != output]].mean())
    farther = np.greater(inside, after).mean()
    return Contrast(float(np.mean(inside)), float(np.mean(after)), float(farther))


def contrast(rows: pd.DataFrame, measure: str) -> Contrast:
    """The contrast of one record.

    Args:
        rows: of ``layer_difference.table``, of one record.
        measure: "difference" (of Q) or "cka", whose distance is 1 - CKA.

    Raises:
        ValueError: another measure.
    """
    kinds, difference, alignment = matrices(rows)
    if measure not in ("difference", "cka"):
        raise ValueError(f'measure must be "difference" or "cka", got {measure!r}')
    count = len(kinds)
    blocks = np.zeros(count, dtype=int)
    for side in ("i", "j"):
        blocks[rows[f"layer_{side}"].to_numpy(dtype=int) - 1] = rows[f"block_{side}"]
    return contrast_of(difference if measure == "difference" else 1 - alignment, kinds, blocks)


def alike(rows: pd.DataFrame, *, permutations: int = 999, seed: int = 0) -> Alike:
    """Whether abs(Q_i - Q_j) and 1 - CKA order the pairs of layers alike.

    Args:
        rows: of ``layer_difference.table``, of one record.
        permutations: of Mantel's test.
        seed: of the permutations.
    """
    _, difference, alignment = matrices(rows)
    distance = 1 - alignment
    pairs = np.triu_indices(len(difference), 1)

    def ranked(matrix: np.ndarray) -> np.ndarray:
        # stored numbers are rounded: equal ones stay equal after a subtraction
        return stats.rankdata(np.round(matrix[pairs], 9))

    one, other = ranked(difference), ranked(distance)
    found = _correlation(one, other)
    rng = np.random.default_rng(seed)
    as_good = 1
    for _ in range(permutations):
        order = rng.permutation(len(difference))
        as_good += _correlation(ranked(difference[np.ix_(order, order)]), other) >= found - 1e-12
    apart = stats.rankdata(pairs[1] - pairs[0])
    beyond = _correlation(_without(one, apart), _without(other, apart))
    return Alike(found, as_good / (permutations + 1), beyond)


def _without(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What a straight line through ``other`` leaves of ``values``."""
    other = other - other.mean()
    values = values - values.mean()
    return values - other * (values @ other) / (other @ other)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
