"""Activation functions written by hand: how a function of one number grows at both ends.

A ``Curve`` says what becomes of x far to the right, c * |x| ** d, and far to the left. That is
enough to tell that 0.5 * x * (1 + tanh(...)) has slope 1, as a GELU has, that x + 0.1 * x has slope
1.1, and that x / (1 + |x|) is an activation function, without a list of known ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

__all__ = ["IDENTITY", "Curve", "added", "bent", "larger", "scaled", "size", "times"]

End = tuple[float, float]
Curve = tuple[End, End]

IDENTITY: Curve = ((1.0, 1.0), (-1.0, 1.0))
_EXPONENTIAL = 9.0  # a degree beyond that of any polynomial one meets


def size(curve: Curve) -> float:
    """The steeper end's coefficient: 1.0 for ReLU, 2.0 for x + x."""
    ends = [(degree, abs(factor)) for factor, degree in curve if factor]
    return max(ends)[1] if ends else 0.0


def scaled(curve: Curve, factor: float) -> Curve:
    """The curve times a number."""
    (a, b), (c, d) = curve
    return (a * factor, b), (c * factor, d)


def added(one: Curve, two: Curve, sign: float = 1.0) -> Curve:
    """The sum (difference) of two functions of the same number."""
    low, high = (_sum(a, (sign * c, d)) for a, (c, d) in zip(one, two, strict=True))
    return low, high


def times(one: Curve, two: Curve) -> Curve:
    """The product of two functions of the same number."""
    low, high = ((a * c, b + d) for (a, b), (c, d) in zip(one, two, strict=True))
    return low, high


def larger(one: Curve, two: Curve) -> Curve:
    """What can be said of a choice between two functions of the same number."""
    low, high = (
        max(a, b, key=lambda end: (end[0] != 0, end[1], abs(end[0])))
        for a, b in zip(one, two, strict=True)
    )
    return low, high


def bent(curve: Curve, name: str, arguments: Sequence[float] = ()) -> Curve:
    """The curve after an elementwise function; unknown functions are taken as straight."""
    rule = _BENDS.get(name)
    if rule is None:
        return curve
    low, high = (rule(c, d, *arguments) for c, d in curve)
    return low, high


def _sum(one: End, two: End) -> End:
    if not one[0] or not two[0]:
        return two if not one[0] else one
    if one[1] == two[1]:
        return one[0] + two[0], one[1]
    return max(one, two, key=lambda end: end[1])


def _half(c: float, d: float, *_) -> End:
    return (c, d) if c > 0 else (0.0, 0.0)


def _between(low: float, high: float) -> Callable[..., End]:
    return lambda c, d, *_: (c, d) if d <= 0 else ((high if c > 0 else low), 0.0)


def _clamp(c: float, d: float, low: float = -math.inf, high: float = math.inf, *_) -> End:
    if d <= 0:
        return c, d
    bound = high if c > 0 else low
    return (c, d) if math.isinf(bound) else (bound, 0.0)


def _power(c: float, d: float, exponent: float = 2.0, *_) -> End:
    whole = float(exponent).is_integer()
    if c == 0 and exponent < 0:
        return 1.0, 1.0
    return (c if whole else abs(c)) ** exponent, d * exponent


def _exponential(c: float, d: float, *_) -> End:
    if d <= 0:
        return math.exp(min(c, 50.0)), 0.0
    return (1.0, _EXPONENTIAL) if c > 0 else (0.0, 0.0)


def _logarithm(c: float, d: float, *_) -> End:
    return (1.0, 1.0) if d >= _EXPONENTIAL or c <= 0 else (math.log(c), 0.0)


_HALVES = "relu elu selu celu gelu silu mish hardswish softplus leaky_relu"
_BENDS: dict[str, Callable[..., End]] = {
    **dict.fromkeys(_HALVES.split(), _half),
    **dict.fromkeys(("tanh", "erf", "softsign", "hardtanh", "sign"), _between(-1.0, 1.0)),
    **dict.fromkeys(("sigmoid", "hardsigmoid", "softmax"), _between(0.0, 1.0)),
    "relu6": _between(0.0, 6.0),
    "logsigmoid": lambda c, d, *_: (0.0, 0.0) if c > 0 else (c, d),
    "abs": lambda c, d, *_: (abs(c), d),
    "neg": lambda c, d, *_: (-c, d),
    **dict.fromkeys(("clamp", "clip"), _clamp),
    "clamp_min": _clamp,
    "clamp_max": lambda c, d, high=math.inf, *_: _clamp(c, d, -math.inf, high),
    "square": _power,
    "pow": _power,
    "sqrt": lambda c, d, *_: _power(c, d, 0.5),
    "rsqrt": lambda c, d, *_: _power(c, d, -0.5),
    "reciprocal": lambda c, d, *_: _power(c, d, -1.0),
    "exp": _exponential,
    "log": _logarithm,
    "log1p": _logarithm,
    "expm1": _exponential,
}
