"""From observed numbers to a verdict: the parts of a measurement, the tests, how parts combine.

A measurement splits a claim into parts (one per cell the claim names) and gives a number for
each. A test, an entry of ``data/papers/<paper>/tests.yaml``, says which numbers count as met.
The verdict follows from the parts alone; nothing here knows which paper is judged.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from scipy import stats

__all__ = [
    "COMPARATORS",
    "MET",
    "MISSING",
    "NOT_RUN_YET",
    "NOISE_FACTOR",
    "NOT_REPRODUCED",
    "PARTLY",
    "REPRODUCED",
    "UNDECIDED",
    "Criterion",
    "Part",
    "asked",
    "chance",
    "combine",
    "judge",
    "noise_factor",
]

REPRODUCED = "reproduced"
PARTLY = "partly"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NOT_RUN_YET = "not run yet"

MET, UNCLEAR, NOT_MET, MISSING = "met", "unclear", "not met", "missing"

# An ordering of two means counts once it exceeds this many standard errors of the difference, or
# more where networks are few (noise_factor).
NOISE_FACTOR = 2.0
BY_T = " by two standard errors (t, 95%)"
# Closed bounds admit what binary fractions lose, and nothing a printed digit could show.
SLACK = 1e-9
# An event that happens to `low` of all networks may go unseen with this probability.
UNSEEN = 0.05

# test name -> the bounds it needs
COMPARATORS = {
    "within": ("low", "tolerance"),  # |observed - low| <= tolerance
    "between": ("low", "high"),  # low - tolerance <= observed <= high + tolerance
    "at_least": ("low",),  # observed >= low - tolerance
    "at_most": ("high",),  # observed <= high + tolerance
    "above": ("low",),  # observed > low
    "below": ("high",),  # observed < high
    "count": ("low", "tolerance"),  # |count, scaled to the paper's runs, - low| <= tolerance
    "count_at_least": ("low",),  # count, scaled to the paper's runs, >= low
    "occurs": ("low",),  # a count above 0; unclear while a rate of `low` could go unseen (5%)
    "near_zero": ("high",),  # |observed| + 2 standard errors <= high; unclear while 0 is within
    "ordered": (),  # observed difference > 2 standard errors; unclear while only the sign fits
    "not_ordered": (),  # observed difference >= -2 standard errors: the contrary is not shown
}


@dataclass(frozen=True)
class Part:
    """One observed number of a claim.

    Attributes:
        name: the cell it belongs to, for instance "dropout, pruned".
        observed: the number; NaN when there is nothing to measure yet.
        spread: standard deviation over runs or standard error (see ``spread_is``); NaN if none.
        runs: networks (graphs, for an identity) behind it; the fewest of any group it compares.
        spread_is: "sd" or "se".
        keys: keys of the result records it was computed from.
        scale: in words, how the networks behind it differ from the paper's; empty if they do not.
    """

    name: str
    observed: float = math.nan
    spread: float = math.nan
    runs: int = 0
    spread_is: str = "sd"
    keys: tuple[str, ...] = field(default=(), repr=False)
    scale: str = ""


@dataclass(frozen=True)
class Criterion:
    """One test of one measurement, as an entry of ``tests.yaml`` has it.

    Attributes:
        measurement: name of a registered measurement.
        arguments: its keyword arguments, as (name, value) pairs.
        test: a key of ``COMPARATORS``.
        low, high, tolerance: bounds, in the unit of the observed number; NaN where unused.
        runs: networks per cell in the paper.
    """

    measurement: str
    arguments: tuple[tuple[str, object], ...]
    test: str
    low: float
    high: float
    tolerance: float
    runs: int

    def __post_init__(self) -> None:
        if self.test not in COMPARATORS:
            raise ValueError(f"unknown test {self.test!r}; known: {', '.join(COMPARATORS)}")
        for bound in COMPARATORS[self.test]:
            if math.isnan(getattr(self, bound)):
                raise ValueError(f"test {self.test!r} of {self.measurement} needs {bound!r}")
        if self.runs < 1:
            raise ValueError(f"runs must be at least 1, got {self.runs}")

    @property
    def fewest_runs(self) -> int:
        """Runs below which nothing is decided: half of the paper's, rounded up."""
        return math.ceil(self.runs / 2)


def asked(criterion: Criterion) -> str:
    """What a test asks of a number, in words: "at least 0.95", "9, give or take 1"."""
    low, high, tolerance = (
        f"{x:.6g}" for x in (criterion.low, criterion.high, criterion.tolerance)
    )
    slack = f", give or take {tolerance}" if criterion.tolerance > 0 else ""
    words = {
        "within": f"{low}{slack}",
        "between": f"between {low} and {high}{slack}",
        "at_least": f"at least {low}{slack}",
        "at_most": f"at most {high}{slack}",
        "above": f"above {low}",
        "below": f"below {high}",
        "count": f"{low} of {criterion.runs}{slack}",
        "count_at_least": f"at least {low} of {criterion.runs}",
        "occurs": "at least one",
        "near_zero": f"within {high} of zero{BY_T}",
        "ordered": f"above zero{BY_T}",
        "not_ordered": f"not below zero{BY_T}",
    }
    return words[criterion.test]


def judge(part: Part, criterion: Criterion) -> str:
    """ "met", "unclear", "not met" or "missing" for one part.

    A part is missing when its number is NaN or rests on fewer than half of the paper's runs;
    missing is not failed. "unclear": the sign is the paper's, and the difference lies within
    ``noise_factor`` standard errors of zero ("ordered"); zero lies within them, and larger values
    too ("near_zero"); nothing was seen, in too few networks to say that there is nothing
    ("occurs").
    """
    observed = part.observed
    if math.isnan(observed) or part.runs < criterion.fewest_runs:
        return MISSING
    slack = SLACK * max(1.0, abs(observed))
    tolerance = slack + (0.0 if math.isnan(criterion.tolerance) else criterion.tolerance)
    low, high = criterion.low, criterion.high
    match criterion.test:
        case "within":
            met = abs(observed - low) <= tolerance
        case "between":
            met = low - tolerance <= observed <= high + tolerance
        case "at_least":
            met = observed >= low - tolerance
        case "at_most":
            met = observed <= high + tolerance
        case "above":
            met = observed > low
        case "below":
            met = observed < high
        case "count":
            met = abs(observed * criterion.runs / part.runs - low) <= tolerance
        case "count_at_least":
            met = observed * criterion.runs / part.runs >= low - slack
        case "occurs":
            if observed == 0 and (1 - low) ** part.runs > UNSEEN:
                return UNCLEAR
            met = observed > 0
        case "near_zero":
            met = abs(observed) + _noise(part) <= high
            if not met and abs(observed) <= _noise(part):
                return UNCLEAR
        case "not_ordered":
            met = observed >= -_noise(part)
        case _:  # "ordered"
            if 0 < observed <= _noise(part):
                return UNCLEAR
            met = observed > 0
    return MET if met else NOT_MET


def combine(outcomes: Sequence[str]) -> str:
    """The verdict of a claim from the outcomes of its parts.

    Every part met: reproduced. No part met or unclear: not reproduced. Anything missing, or
    no part at all: not run yet. No part failed, but some are unclear: undecided. Otherwise: partly.
    """
    if not outcomes or MISSING in outcomes:
        return NOT_RUN_YET
    if all(outcome == MET for outcome in outcomes):
        return REPRODUCED
    if all(outcome == NOT_MET for outcome in outcomes):
        return NOT_REPRODUCED
    return PARTLY if NOT_MET in outcomes else UNDECIDED


def _noise(part: Part) -> float:
    return 0.0 if math.isnan(part.spread) else noise_factor(part.runs) * part.spread


@functools.cache
def noise_factor(runs: int) -> float:
    """Standard errors that count as noise: two, or what 95% of t ask for with so few networks.

    >>> round(noise_factor(3), 2), noise_factor(1000)
    (4.3, 2.0)
    """
    return max(NOISE_FACTOR, float(stats.t.isf(0.025, _freedom(runs))))


def chance(observed: float, error: float, runs: int) -> float:
    """Two-sided p of a mean with this standard error, by t with ``runs`` - 1 degrees of freedom.

    The error in a single network is not over networks (pairs of its clusters, say): by the normal.
    """
    return float(2 * stats.t.sf(abs(observed) / error, _freedom(runs)))


def _freedom(runs: int) -> float:
    return runs - 1 if runs > 1 else math.inf
