"""Statistics of the five papers: how unusual is a measurement beside its null?

Where scipy has the method, scipy does the work; what is here are the papers' own definitions
and the choices they leave open, each stated. Sources: Surprisingly Modular (2020), section 3 and
appendix A.4; Clusterability in Neural Networks (2021), appendix A.4; Detecting Modularity in
Deep Neural Networks, section 3.2 and appendix A.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, floor, inf, isfinite, isnan
from typing import Literal

import numpy as np
from scipy import special

__all__ = [
    "BenjaminiHochberg",
    "EffectMeasure",
    "Interval",
    "bates_p_value",
    "benjamini_hochberg",
    "centred_percentile",
    "cohens_d",
    "cohens_d_from_moments",
    "effect_measure",
    "empirical_p_value",
    "fisher_combine",
    "two_sample_z",
    "two_sample_z_from_moments",
    "z_score",
]

Numbers = Sequence[float] | np.ndarray
Alternative = Literal["less", "greater"]
Ties = Literal["count", "ignore"]
Average = Literal["random_first", "draw_by_draw"]


def _numbers(values: Numbers, name: str, *, least: int = 1) -> np.ndarray:
    """``values`` as a flat float64 array; ValueError when too few or any is not finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a flat list of numbers, got {values!r}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be a flat list of numbers, got shape {array.shape}")
    if len(array) < least:
        raise ValueError(f"{name} needs at least {least} value(s), got {len(array)}")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} has {bad} value(s) that are NaN or infinite")
    return array


def _number(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if isnan(number):
        raise ValueError(f"{name} is NaN")
    return number


def _probabilities(values: Numbers, name: str = "p_values") -> np.ndarray:
    array = _numbers(values, name)
    if (array < 0).any() or (array > 1).any():
        raise ValueError(f"{name} must lie between 0 and 1")
    return array


# --- one value against a null ---------------------------------------------------------------


def empirical_p_value(
    observed: float,
    null: Numbers,
    *,
    alternative: Alternative = "less",
    ties: Ties = "count",
) -> float:
    """Monte Carlo p-value (r + 1) / (n + 1) of North et al. (2002).

    Args:
        observed: the measured value.
        null: (n,) values drawn under the null, for instance n-cuts of shuffled networks.
        alternative: "less" when small values are the remarkable ones, or "greater".
        ties: "count" lets r include null values equal to ``observed`` (as the papers describe
            it); "ignore" counts strictly more extreme ones only (as their code does).

    Never 0: the smallest possible value is 1 / (n + 1). Raises ValueError for an empty null,
    NaN or infinite null values, NaN, or another option.

    >>> statistics.empirical_p_value(1.0, [2, 3, 4])
    0.25
    """
    null = _numbers(null, "null")
    observed = _number(observed, "observed")
    if alternative not in ("less", "greater"):
        raise ValueError(f'alternative must be "less" or "greater", got {alternative!r}')
    if ties not in ("count", "ignore"):
        raise ValueError(f'ties must be "count" or "ignore", got {ties!r}')
    if alternative == "greater":
        null, observed = -null, -observed
    beyond = null <= observed if ties == "count" else null < observed
    return (int(beyond.sum()) + 1) / (len(null) + 1)


def centred_percentile(
    observed: float,
    null: Numbers,
    *,
    alternative: Alternative = "less",
    ties: Ties = "count",
) -> float:
    """(r + 1/2) / (n + 1): a percentile whose mean under the null is 1/2, for Fisher's method.

    Arguments as for ``empirical_p_value``, from which it differs by 1 / (2n + 2). Source:
    Detecting Modularity, section 3.2 (the published code uses ``ties="ignore"``).

    >>> statistics.centred_percentile(1.0, [2, 3, 4])
    0.125
    """
    p = empirical_p_value(observed, null, alternative=alternative, ties=ties)
    return p - 0.5 / (len(null) + 1)


def z_score(observed: float, null: Numbers) -> float:
    """(observed - mean of null) / population standard deviation (ddof 0) of null.

    A null without spread gives 0 when ``observed`` equals it and an infinity of the right sign
    otherwise.

    >>> statistics.z_score(1.0, [2, 4])
    -2.0
    """
    null = _numbers(null, "null")
    distance = _number(observed, "observed") - float(null.mean())
    # The mean of equal numbers can be off by a rounding error: ask the values themselves.
    if (null == null[0]).all():
        distance = float(observed) - float(null[0])
        return 0.0 if distance == 0 else inf if distance > 0 else -inf
    return distance / float(null.std())


# --- two samples ----------------------------------------------------------------------------


def _check_moments(sd: float, n: int, name: str) -> None:
    if not isfinite(sd) or sd < 0:
        raise ValueError(f"standard deviation of the {name} sample must be >= 0, got {sd}")
    if n < 2:
        raise ValueError(f"the {name} sample needs at least 2 values, got {n}")


def _ratio(difference: float, spread: float) -> float:
    if spread == 0:
        return 0.0 if difference == 0 else inf if difference > 0 else -inf
    return float(difference / spread)


def cohens_d_from_moments(
    mean_a: float, sd_a: float, n_a: int, mean_b: float, sd_b: float, n_b: int
) -> float:
    """Cohen's d from means, standard deviations (ddof 1) and sizes, as tables print them.

    >>> statistics.cohens_d_from_moments(4, 1, 10, 2, 1, 10)
    2.0
    """
    _check_moments(sd_a, n_a, "first")
    _check_moments(sd_b, n_b, "second")
    pooled = ((n_a - 1) * sd_a**2 + (n_b - 1) * sd_b**2) / (n_a + n_b - 2)
    return _ratio(_number(mean_a, "mean_a") - _number(mean_b, "mean_b"), pooled**0.5)


def cohens_d(first: Numbers, second: Numbers) -> float:
    """(mean of first - mean of second) / pooled standard deviation (ddof 1).

    Positive when ``first`` is larger. In Surprisingly Modular, appendix A.4, ``first`` are full
    shuffles and ``second`` shuffles of nonzero weights only. Without any spread: 0 for equal
    means, else an infinity.

    >>> round(statistics.cohens_d([3, 4, 5], [1, 2, 3]), 2)
    2.0
    """
    a, b = _numbers(first, "first", least=2), _numbers(second, "second", least=2)
    return cohens_d_from_moments(a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b))


def two_sample_z_from_moments(
    mean_a: float, sd_a: float, n_a: int, mean_b: float, sd_b: float, n_b: int
) -> float:
    """(mean_a - mean_b) / sqrt(sd_a^2 / n_a + sd_b^2 / n_b), standard deviations with ddof 1.

    The Z of a footnote in Surprisingly Modular, section 3.1, that compares dropout with none.

    >>> round(statistics.two_sample_z_from_moments(2.000, 0.035, 10, 1.840, 0.015, 10), 1)
    13.3
    """
    _check_moments(sd_a, n_a, "first")
    _check_moments(sd_b, n_b, "second")
    spread = (sd_a**2 / n_a + sd_b**2 / n_b) ** 0.5
    return _ratio(_number(mean_a, "mean_a") - _number(mean_b, "mean_b"), spread)


def two_sample_z(first: Numbers, second: Numbers) -> float:
    """As ``two_sample_z_from_moments``, from the values themselves.

    >>> round(statistics.two_sample_z([3, 4, 5], [1, 2, 3]), 2)
    2.45
    """
    a, b = _numbers(first, "first", least=2), _numbers(second, "second", least=2)
    return two_sample_z_from_moments(
        a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b)
    )


# --- many p-values --------------------------------------------------------------------------


def fisher_combine(p_values: Numbers) -> float:
    """Fisher's method: the chi-squared tail (2n degrees) of -2 sum(log p).

    A p-value of 0 makes the result 0. Raises ValueError when empty or outside [0, 1].

    >>> round(statistics.fisher_combine([0.1, 0.1, 0.1]), 3)
    0.032
    """
    p = _probabilities(p_values)
    if (p == 0).any():
        return 0.0
    return float(special.chdtrc(2 * len(p), -2 * np.log(p).sum()))


def bates_p_value(p_values: Numbers) -> float:
    """Probability that the mean of n uniform numbers is at most the mean of these n p-values.

    The Bates distribution function (Detecting Modularity prints its density's exponent in a
    footnote): F(x) = sum over k <= nx of (-1)^k C(n, k) (nx - k)^n, over n!. Computed in exact
    fractions, so that results as small as 1e-120 keep all their digits.

    >>> round(statistics.bates_p_value([0.2, 0.4]), 3)
    0.18
    """
    p = _probabilities(p_values)
    n = len(p)
    total = sum(Fraction(float(value)) for value in p)  # n times the mean
    terms = ((-1) ** k * comb(n, k) * (total - k) ** n for k in range(floor(total) + 1))
    return float(sum(terms) / factorial(n))


@dataclass(frozen=True, eq=False)
class BenjaminiHochberg:
    """Outcome of the procedure.

    Attributes:
        rejected: (m,) bool, in the order given.
        critical: the largest p-value that is rejected; 0.0 when none is.
        adjusted: (m,) adjusted p-values; rejected where at most alpha.
    """

    rejected: np.ndarray
    critical: float
    adjusted: np.ndarray


def benjamini_hochberg(p_values: Numbers, *, alpha: float = 0.05) -> BenjaminiHochberg:
    """Control the false discovery rate at ``alpha`` (Benjamini and Hochberg 1995).

    With sorted p-values p(1) <= ... <= p(m), everything up to p(k) is rejected, where k is the
    largest j with p(j) <= alpha j / m.

    >>> statistics.benjamini_hochberg([0.01, 0.02, 0.4]).rejected.tolist()
    [True, True, False]
    """
    from scipy.stats import false_discovery_control  # slow to import

    p = _probabilities(p_values)
    if not 0 < _number(alpha, "alpha") < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    ordered = np.sort(p)
    passing = ordered[ordered <= alpha * np.arange(1, len(p) + 1) / len(p)]
    critical = float(passing[-1]) if len(passing) else 0.0
    rejected = p <= critical if len(passing) else np.zeros(len(p), dtype=bool)
    return BenjaminiHochberg(rejected, critical, false_discovery_control(p))


# --- effect measure -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class EffectMeasure:
    """Mean of 2x / (x + mu) over subclusters, its standard error (ddof 1), and every value.

    ``standard_error`` is NaN for a single subcluster.
    """

    mean: float
    standard_error: float
    values: np.ndarray


def effect_measure(
    true: Numbers,
    random: Numbers,
    *,
    variant: Literal["described", "published"] = "described",
    average: Average = "random_first",
) -> EffectMeasure:
    """How much larger a true subcluster's measurement is than a random one's; 1 means equal.

    Args:
        true: (n,) measurement x of every true subcluster.
        random: (n,) mean mu over the random subclusters of the same size, or (n, m) each of them.
        variant: "described" (Detecting Modularity, section 3.2 and footnote 9) replaces values
            of 2x / (x + mu) below 0 by 0; "published" (the code, for accuracy drops) gives 0
            unless x and mu are both above 0. They differ when mu or both are negative.
        average: "random_first" is the text's 2x / (x + mu); "draw_by_draw" is the mean over
            draws r of 2x / (x + r), as the code has it for visualisations. They differ where
            draws span decades. It needs all draws.

    Values lie in [0, 2] wherever x and mu are not negative. x + mu = 0 has no value: 0 is taken,
    the cautious side.

    >>> statistics.effect_measure([0.3, 0.1], [0.1, 0.1]).values.round(2).tolist()
    [1.5, 1.0]
    >>> draws = [[0.01, 100.0]]
    >>> [round(statistics.effect_measure([1], draws, average=a).mean, 2)
    ...  for a in ("random_first", "draw_by_draw")]
    [0.04, 1.0]
    """
    x, shape = _numbers(true, "true")[:, None], np.shape(random)
    if len(shape) not in (1, 2):
        raise ValueError(f"random must be means (n,) or draws (n, m), got shape {shape}")
    mu = _numbers(np.ravel(random), "random").reshape(shape)
    if len(mu) != len(x):
        raise ValueError(f"{len(x)} true values but {len(mu)} random means or rows of draws")
    if variant not in ("described", "published"):
        raise ValueError(f'variant must be "described" or "published", got {variant!r}')
    if average not in ("random_first", "draw_by_draw"):
        raise ValueError(f'average must be "random_first" or "draw_by_draw", got {average!r}')
    if average == "draw_by_draw" and mu.ndim == 1:
        raise ValueError("draw by draw needs every random measurement, not their means")
    if mu.ndim == 1 or average == "random_first":
        mu = mu.reshape(len(x), -1).mean(1, keepdims=True)
    total = x + mu
    values = np.divide(2 * x, total, out=np.zeros(total.shape), where=total != 0)
    keep = values > 0 if variant == "described" else (x > 0) & (mu > 0)
    values = np.where(keep, values, 0.0).mean(1)
    error = float(values.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else float("nan")
    return EffectMeasure(float(values.mean()), error, values)


# --- intervals ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A point estimate and its confidence limits."""

    estimate: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high
