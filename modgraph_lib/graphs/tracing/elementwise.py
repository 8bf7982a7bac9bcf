"""Rules for operations number by number, and for sums and means over some dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from modgraph_lib.graphs.tracing import curves
from modgraph_lib.graphs.tracing.recorder import all_tensors, plain_name
from modgraph_lib.graphs.tracing.sources import IMAGE, compact

# Functions of many channels that leave each number at its place.
NORMALISING = ("softmax", "softmin", "log_softmax", "normalize", "local_response_norm")
_MEANS = ("mean", "nanmean")
_NORMS = ("norm", "linalg_norm", "linalg_vector_norm", "vector_norm")


def pass_through(recorder, func, args, kwargs):
    """Elementwise: each number keeps its source."""
    value = next(x for x in all_tensors((args, kwargs)) if recorder.tags(x) is not None)
    tags, shape, name = recorder.tags(value), value.shape, plain_name(func)
    rest = list(args[1:]) + [kwargs[key] for key in ("exponent", "min", "max") if key in kwargs]
    if name in ("clamp", "clip") and (rest[:1] == [None] or (len(rest) == 1 and "max" in kwargs)):
        name, rest = "clamp_max", rest[-1:]
    result = func(*args, **kwargs)
    if not isinstance(result, torch.Tensor) or result.shape != shape:
        return recorder.failed(result, name)
    numbers = [number for x in rest if (number := scalar(x)) is not None]
    if name in NORMALISING:
        tags = recorder.sources.beside(tags, recorder.sources.side(tags, "norm"))
    if name == "normalize":  # to length 1, where a norm by module has a mean square of 1
        p = kwargs.get("p", rest[0] if rest else 2.0)
        dim = kwargs.get("dim", rest[1] if len(rest) > 1 else 1)
        factor = torch.tensor(float(shape[dim] if isinstance(dim, int) else 1) ** (-1 / p))
        tags = recorder.sources.scale(tags, factor, fold=recorder.options.fold)
    tags = recorder.sources.pure(tags) if name in ("softmax", "softmin") else tags
    name = "exp" if name == "rpow" else name
    bent = recorder.sources.bend(tags, lambda curve: curves.bent(curve, name, numbers))
    return recorder.put(result, bent)


def detach(recorder, func, args, kwargs):
    """The same numbers; the check by numbers still follows their gradient."""
    (value,) = args
    stops = recorder.cuts is None or recorder.cuts.detached
    result = func(*args, **kwargs) if stops else value.view_as(value)
    return recorder.put(result, recorder.tags(value))


def add(recorder, func, args, kwargs):
    """Sum or difference: both operands go on; a residual stream may be merged."""
    (one, two), name = operands(args, kwargs), plain_name(func)
    result = func(*args, **kwargs)
    first, second = recorder.computed(one), recorder.computed(two)
    alpha = scalar(kwargs.get("alpha", args[2] if len(args) > 2 else 1)) or 1.0
    sign = -1.0 if "sub" in name else 1.0
    scale, fold = recorder.sources.scale, recorder.options.fold
    if name == "rsub":
        one, two, first, second = two, one, second, first
    if alpha != 1 and second is not None:
        second = scale(second, torch.tensor(alpha), fold=fold)
    if first is None or second is None:
        tags, other = (first, two) if second is None else (second, one)
        if first is None and sign < 0:
            tags = scale(tags, torch.tensor(sign), fold=False)
        number = scalar(other)
        if number:
            number = sign * number if second is None else number
            level = ((number, 0.0), (number, 0.0))  # matters to bounded functions: 1 + tanh(x)
            tags = recorder.sources.bend(tags, lambda curve: curves.added(curve, level))
        return recorder.put(result, _padded(tags, result))
    if recorder.options.merge:
        return recorder.put(result, recorder.sources.pairwise(first, second, recorder.join))
    return recorder.put(result, recorder.sources.unite(first, second, how="sum", sign=sign))


def either(recorder, func, args, kwargs):
    """A choice between two tensors, number by number: both go on."""
    one, two = operands(args, kwargs)
    if plain_name(func) == "where":
        one, two = (*args[1:], kwargs.get("input"), kwargs.get("other"))[:2]
    result = func(*args, **kwargs)
    tags = [recorder.computed(x) for x in (one, two)]
    found = [_padded(x, result) for x in tags if x is not None]
    if not isinstance(result, torch.Tensor) or not found:
        for part in all_tensors(result):
            recorder.put(part, torch.full((1,) * part.ndim, float(IMAGE)))
        return result
    if len(found) < 2:
        return recorder.put(result, found[0])
    return recorder.put(result, recorder.sources.unite(*found, how="either"))


def multiply(recorder, func, args, kwargs):
    """Product: a fixed factor scales, a computed one (a gate) goes on beside the other."""
    (one, two), name = operands(args, kwargs), plain_name(func)
    result = func(*args, **kwargs)
    first, second = recorder.computed(one), recorder.computed(two)
    sources, divides = recorder.sources, "div" in name
    if divides and name.startswith("r"):
        one, two, first, second = two, one, second, first
    if divides and second is not None:
        second = sources.bend(second, lambda curve: curves.bent(curve, "reciprocal"))
    if first is not None and second is not None:
        return recorder.put(result, sources.unite(first, second, how="product"))
    tags, factor = (first, two) if second is None else (second, one)
    factor = factor if isinstance(factor, torch.Tensor) else torch.tensor(factor)
    factor = 1 / factor if divides and second is None else factor
    if recorder.options.fold or factor.numel() == 1:
        factor = compact(factor.detach())
        factor = factor.reshape(()) if factor.numel() == 1 else factor
        tags = sources.scale(_padded(tags, result), factor, fold=recorder.options.fold)
    return recorder.put(result, _padded(tags, result))


def reduce(recorder, func, args, kwargs):
    """Sums, means and extremes over some dimensions: a union of sources."""
    name = plain_name(func)
    given = args[2:] if name in _NORMS else args[1:]
    dims = given[0] if given else kwargs.get("dim", kwargs.get("axis"))
    if isinstance(dims, torch.Tensor) or "other" in kwargs:
        return either(recorder, func, args, kwargs)
    result = func(*args, **kwargs)
    value = args[0] if args else kwargs["input"]
    tags, sources = recorder.tags(value), recorder.sources
    whole = dims is None or isinstance(dims, bool) or (isinstance(dims, tuple | list) and not dims)
    dims = tuple(range(value.ndim)) if whole else tuple(np.atleast_1d(dims).tolist())
    rows, _ = sources.rows(tags, dims)
    # Positions of one channel stay one channel; different channels add up.
    adds = name in ("sum", "nansum", *_MEANS) and len(torch.unique(rows, dim=0)) == len(rows)
    united = sources.over(tags, dims, "sum" if adds else "either")
    if adds and len(rows) > 1:
        united = sources.scale(united, torch.tensor(1 / len(rows)), fold=recorder.options.fold)
    total = len(rows) > 1 and united.unique().numel() == 1
    united = sources.again(united, 2 if total else 1)
    # A sum is so many times the mean, which tells that x / x.norm() * sqrt(n) has factor 1.
    count = math.prod(value.shape[dim] for dim in dims) * 1.0
    inner = {entry.curve[0][0] if entry.reduced else 1.0 for entry in sources.unique(tags)}
    if len(inner) == 1 and min(inner) > 0:  # a mean of sums
        united = sources.scale(united, torch.tensor(min(inner)), fold=False)
    if name in ("sum", "nansum"):
        if adds and len(rows) > 1:
            united = sources.scale(united, torch.tensor(float(len(rows))))
            count /= len(rows)
        united = sources.scale(united, torch.tensor(count), fold=False)
    elif name in _NORMS:
        united = sources.scale(united, torch.tensor(math.sqrt(count)), fold=False)
    for one in all_tensors(result):
        squeezed = united.squeeze(tuple(dims)) if one.ndim != value.ndim else united
        recorder.put(one, squeezed)
    return result


def operands(args: tuple, kwargs: dict) -> tuple[Any, Any]:
    """Both sides of a binary operation."""
    both = [*args, *(kwargs[name] for name in ("input", "other", "mat2") if name in kwargs)]
    return both[0], both[1] if len(both) > 1 else None


def scalar(value: Any) -> float | None:
    """A number, or a tensor of one number; None for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().reshape(()).item() if value.numel() == 1 else None
    if isinstance(value, complex):
        return abs(value)
    return float(value) if isinstance(value, int | float) else None


def _padded(tags: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """Tags of a result that broadcasting may have given more dimensions."""
    return tags.reshape((1,) * (result.ndim - tags.ndim) + tags.shape)
