"""From measurements of clusters beside random sets of units to one p-value and one effect.

A *proxy* is what is measured instead of "this group is a module": the accuracy that a lesion costs,
how far classes differ in that, how strongly an image can excite the group. Each true group stands
beside random ones of its size: a rank each, a p-value a network (Fisher), one for all networks
(Bates). Ranks over few random sets have ties, and what is done with ties decides a good deal.

Source: Detecting Modularity in Deep Neural Networks, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modgraph_lib import _checks, statistics

__all__ = ["TIES", "Combined", "ProxyTest", "combine", "fisher_exact"]

# What a random set that equals the true one counts as: as extreme ("count", the cautious side), not
# as extreme ("ignore", the released code), half, or either by lot (exact on average).
TIES = ("count", "ignore", "middle", "random")
GRID = 2**18  # places of the statistic's distribution


@dataclass(frozen=True, eq=False)
class ProxyTest:
    """One measurement of every true group of a network, beside those of random groups.

    Attributes:
        true: (n,) of the true groups; NaN where there is nothing to measure (the class range of a
            lesion that does no damage, divided by that damage), which ties with everything.
        controls: (n, m) of random groups of the same size, NaN likewise.
        high_is_modular: whether large values speak for a module.

    Raises:
        ValueError: shapes that do not fit, no group, no control, infinite values.

    >>> test = proxies.ProxyTest(np.array([3.0, 5.0]), np.array([[1.0, 3, 4], [2, 1, 0]]))
    >>> [test.percentiles(ties).tolist() for ties in ("count", "ignore", "middle")]
    [[0.625, 0.125], [0.375, 0.125], [0.5, 0.125]]
    """

    true: np.ndarray
    controls: np.ndarray
    high_is_modular: bool = True

    def __post_init__(self) -> None:
        true, controls = (_checks.numbers(v, "measurements") for v in (self.true, self.controls))
        object.__setattr__(self, "true", true)
        object.__setattr__(self, "controls", controls)
        if true.ndim != 1 or controls.ndim != 2 or len(controls) != len(true):
            raise ValueError(
                f"need (n,) true values and (n, m) controls, got {true.shape} and {controls.shape}"
            )
        if not controls.size:
            raise ValueError("no group, or no random group beside it: there is nothing to rank")
        if np.isinf(true).any() or np.isinf(controls).any():
            raise ValueError("measurements must be finite (NaN: nothing to measure)")

    @property
    def tied(self) -> float:
        """Share of random groups that equal their true one, or cannot be compared with it."""
        _, ties = self._counts()
        return float(ties.sum() / self.controls.size)

    def ranks(self, ties: str = "random", *, seed: int | Sequence[int] = 0) -> np.ndarray:
        """(n,) random groups at least as modular as the true one, from 0 to m; see ``TIES``."""
        if ties not in TIES:
            raise ValueError(f"ties is one of {', '.join(TIES)}; got {ties!r}")
        more, equal = self._counts()
        if ties == "random":
            return more + np.random.default_rng(seed).integers(0, equal + 1)
        return more + {"count": 1, "ignore": 0, "middle": 0.5}[ties] * equal

    def percentiles(self, ties: str = "random", *, seed: int | Sequence[int] = 0) -> np.ndarray:
        """(n,) (rank + 1/2) / (m + 1): low where modular, 1/2 on average under the null."""
        return (self.ranks(ties, seed=seed) + 0.5) / (self.controls.shape[1] + 1)

    def fisher(self, ties: str = "random", *, seed: int | Sequence[int] = 0) -> float:
        """Fisher's p-value of this network, as the paper takes it (conservative)."""
        return statistics.fisher_combine(self.percentiles(ties, seed=seed))

    def exact(self, *, ties: str = "random", seed: int | Sequence[int] = 0) -> float:
        """The same with the null distribution of ranks, see ``fisher_exact``."""
        return fisher_exact(self.ranks(ties, seed=seed), self.controls.shape[1])

    def effect(
        self, average: statistics.Average = "random_first", **options
    ) -> statistics.EffectMeasure:
        """``statistics.effect_measure``; what cannot be measured has the effect 0."""
        x, r = np.nan_to_num(self.true), np.nan_to_num(self.controls)
        return statistics.effect_measure(x, r, average=average, **options)

    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) random groups more modular than the true one, and (n,) that tie with it."""
        sign = 1 if self.high_is_modular else -1
        apart = sign * (self.controls - self.true[:, None])
        more, fewer = (apart > 0).sum(1), (apart < 0).sum(1)
        return more, self.controls.shape[1] - more - fewer


@dataclass(frozen=True, eq=False)
class Combined:
    """One proxy over several networks.

    Attributes:
        fisher: (networks,) p-value of each.
        p_value: of their mean (Bates); with one network its own.
        effect, standard_error: over all groups of all networks.
        groups: (networks,) number of groups.
        tied: share of random groups that tie with their true one.
    """

    fisher: np.ndarray
    p_value: float
    effect: float
    standard_error: float
    groups: np.ndarray
    tied: float


def combine(
    tests: Sequence[ProxyTest],
    *,
    ties: str = "random",
    average: statistics.Average = "random_first",
    variant: str = "described",
    exact: bool = False,
    seed: int = 0,
) -> Combined:
    """Fisher-Bates p-value and effect measure of networks that differ in their seeds alone.

    Args:
        tests: one a network.
        ties, average, variant: see ``TIES`` and ``statistics.effect_measure``.
        exact: use ``fisher_exact`` in place of Fisher's chi-squared distribution.
        seed: breaks ties, with the network's place.

    Raises:
        ValueError: no test, an unknown option.

    Source: section 3.2.

    >>> test = proxies.ProxyTest(np.array([3.0, 5.0]), np.array([[1.0, 0, 4], [2, 1, 0]]))
    >>> round(proxies.combine([test, test]).p_value, 3)
    0.072
    """
    if not tests:
        raise ValueError("no network to combine")
    p = [
        one.exact(ties=ties, seed=[seed, i]) if exact else one.fisher(ties, seed=[seed, i])
        for i, one in enumerate(tests)
    ]
    values = np.concatenate([one.effect(average, variant=variant).values for one in tests])
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    sizes = np.array([one.controls.size for one in tests])
    return Combined(
        np.array(p),
        statistics.bates_p_value(p),
        float(values.mean()),
        error,
        np.array([len(one.true) for one in tests]),
        float(np.average([one.tied for one in tests], weights=sizes)),
    )


def fisher_exact(ranks: np.ndarray, controls: int) -> float:
    """Fisher's method for ranks 0 to ``controls``, each equally likely under the null.

    The distribution of -2 sum log((r + 1/2) / (controls + 1)) is computed by convolution, on a grid
    that its n terms are rounded to, and tilted towards the observed value so that p-values of 1e-40
    keep their digits. The chi-squared distribution of the paper has more mass in its tail, for it
    holds percentiles below 1 / (2 controls + 2) possible.

    Args:
        ranks: (n,) whole numbers; break ties first.
        controls: random groups beside each true one.

    Raises:
        ValueError: no rank, or one outside 0 to ``controls``.

    >>> round(proxies.fisher_exact([0], 19), 3), round(proxies.fisher_exact([0, 0], 19), 4)
    (0.05, 0.0025)
    """
    _checks.whole(controls, "controls", least=1)
    ranks = np.asarray(ranks)
    whole = ranks.astype(int)
    if ranks.ndim != 1 or not len(ranks) or (whole != ranks).any():
        raise ValueError("ranks are a flat list of whole numbers: count ties or break them by lot")
    if whole.min() < 0 or whole.max() > controls:
        raise ValueError(f"ranks lie between 0 and {controls}, got {whole.min()} to {whole.max()}")
    terms = -2 * np.log((np.arange(controls + 1) + 0.5) / (controls + 1))
    steps = np.rint(terms / terms[0] * ((GRID - 1) // len(ranks))).astype(int)
    observed = int(steps[whole].sum())
    scale = steps / steps[0]

    def tilted(slope: float) -> tuple[float, np.ndarray]:
        weights = np.exp(slope * scale - slope)
        return float(np.log(weights.mean()) + slope), weights / weights.sum()

    slope, mean = 0.0, observed / len(ranks) / steps[0]
    for _ in range(60):  # Newton: the mean of the tilted term is the observed mean
        weights = tilted(slope)[1]
        spread = (weights * scale**2).sum() - (weights * scale).sum() ** 2
        gap = mean - (weights * scale).sum()
        if abs(gap) < 1e-9 or spread < 1e-6 or slope > 50:
            break
        slope = max(0.0, slope + np.clip(gap / spread, -2, 2))
    height, weights = tilted(slope)
    one = np.bincount(steps, weights=weights, minlength=GRID)
    mass = np.fft.irfft(np.fft.rfft(one, GRID) ** len(ranks), GRID)
    beyond = np.arange(observed, GRID)
    untilt = np.exp(len(ranks) * height - slope * observed / steps[0])
    tail = np.clip(mass[observed:], 0, None) * np.exp(-slope * (beyond - observed) / steps[0])
    return float(min(1.0, untilt * tail.sum()))
