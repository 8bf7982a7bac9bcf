"""Rules for matrix products: with weights, of attention patterns, and of patterns with values.

An operand that is summed over its own channels decides *how much* of the other goes on (queries,
keys); one whose channels survive goes on itself (values). (q k') v and q (k' v) have one graph.
"""

from __future__ import annotations

import string

import numpy as np
import torch

from modgraph_lib.graphs.tracing.elementwise import operands, scalar
from modgraph_lib.graphs.tracing.recorder import plain_name

_PRODUCT = "a product of two computed tensors"


def matmul(recorder, func, args, kwargs):
    """A fixed matrix is a linear layer; attention patterns mix positions."""
    one, two = operands(args, kwargs)
    if plain_name(func) == "rmatmul":
        one, two = two, one
    first, second = recorder.computed(one), recorder.computed(two)
    weight, value, tags, axis = (two, one, first, -1) if second is None else (one, two, second, -2)
    result = func(*args, **kwargs)
    if first is None or second is None:
        varies = tags.ndim + axis >= 0 and tags.shape[axis] > 1
        if weight.ndim == 2 and (axis == -1 or varies):
            name = recorder.name_of(weight)
            strengths = recorder.options.strength(name, weight.T if axis == -1 else weight)
            return recorder.kernel(name, strengths, value, axis, result)
        if not varies and tags.ndim == result.ndim:
            return recorder.put(result, tags)
        side = recorder.sources.side(tags, "pattern")  # learned keys or queries
        text = "a product with a fixed matrix that mixes positions"
        return recorder.failed(result, text, pattern=True, side=side)
    if one.ndim == 1:
        first = first[None]
    if two.ndim == 1:
        second = second[:, None]
    made = contract(recorder, first.unsqueeze(-1), second.unsqueeze(-3), (-2,), plain_name(func))
    made = made.squeeze(-2)
    for vector, axis in ((one, -2), (two, -1)):
        made = made.squeeze(axis) if vector.ndim == 1 else made
    return recorder.put(result, made)


def einsum(recorder, func, args, kwargs):
    """Two operands, read as ``matmul`` is."""
    result = func(*args, **kwargs)
    equation, given = args[0].replace(" ", ""), args[1:]
    given = given[0] if len(given) == 1 and isinstance(given[0], tuple | list) else given
    ins, _, out = equation.partition("->")
    parts = ins.split(",")
    tags = [recorder.computed(x) for x in given]
    if len(parts) == 2 and "..." in equation:
        places = {one.ndim - len(p) + 3 for one, p in zip(given, parts, strict=True) if "." in p}
        spare = [x for x in string.ascii_uppercase if x not in equation][: max(places)]
        whole = [p.replace("...", "".join(spare)) for p in (*parts, out)]
        parts, out, ins = whole[:2], whole[2], ",".join(whole[:2])
    if (
        len(parts) != 2
        or not out
        or any(len(p) != x.ndim for p, x in zip(parts, given, strict=True))
        or any(len(set(p)) < len(p) for p in parts)
    ):
        return recorder.failed(result, f"einsum {args[0]!r}")
    gone = [letter for letter in dict.fromkeys(ins) if letter not in out and letter != ","]
    for x, w in ((0, 1), (1, 0)):
        free = [letter for letter in parts[w] if letter not in parts[x]]
        fits = len(parts[w]) == 2 and len(free) == len(gone) == 1 and out.endswith(free[0])
        if tags[w] is None and fits and gone[0] in parts[x]:
            name, weight = recorder.name_of(given[w]), given[w]
            weight = weight if parts[w][0] == free[0] else weight.T
            axis = parts[x].index(gone[0])
            value = given[x].movedim(axis, -1)
            recorder.put(value, recorder.tags(given[x]).movedim(axis, -1))
            kept = [letter for letter in parts[x] if letter != gone[0]]
            if [letter for letter in out if letter in kept] == kept:
                strengths = recorder.options.strength(name, weight)
                return recorder.kernel(name, strengths, value, -1, result)
    if any(one is None for one in tags):
        return recorder.failed(result, f"einsum {args[0]!r} with fixed numbers")
    order = [*out, *gone]
    laid = []
    for letters, one in zip(parts, tags, strict=True):
        one = one.permute([letters.index(x) for x in order if x in letters])
        for place, letter in enumerate(order):
            one = one if letter in letters else one.unsqueeze(place)
        laid.append(one)
    dims = tuple(range(len(out), len(order)))
    one, two = laid
    return recorder.put(result, contract(recorder, one, two, dims, "einsum").squeeze(dims))


def contract(recorder, one, two, dims, name: str) -> torch.Tensor:
    """Tags of a product of two computed tensors, broadcast, summed over ``dims`` (kept)."""
    sources = recorder.sources
    consumed, parts = [], []
    for tags in (one, two):
        varies = any(tags.shape[dim] > 1 for dim in dims)
        parts.append(sources.over(tags, dims) if varies else tags)
        consumed.append(varies and not sources.is_pattern(tags))
    for x, other in ((0, 1), (1, 0)):  # a single channel that weighs the positions of others
        consumed[x] |= parts[x].numel() == 1 < parts[other].numel() and not consumed[other]
    sides = [sources.side(tags, "pattern") for tags in parts]
    for x, other in ((0, 1), (1, 0)):
        pure = sources.is_pattern(parts[other]) and not any(
            entry.carried for entry in sources.unique(parts[other])
        )
        if consumed[x] and pure and not sources.is_pattern(parts[x]):
            recorder.note(f"{name} in {recorder.here()} mixes all channels with a computed matrix")
            return sources.unite(parts[x], parts[other], how="product")

    def carried(tag: int, gone: bool) -> tuple[int, ...]:
        entry = sources.entries[tag]
        return entry.carried if entry.pattern else () if gone or not entry.nodes else (tag,)

    def product(a: int, b: int) -> int:
        bad = [t for t in (a, b) if sources.entries[t].problem and not sources.entries[t].pattern]
        if bad:
            return bad[0]
        values = {*carried(a, consumed[0]), *carried(b, consumed[1])}
        side = sides[0] | sides[1]
        if len(values) == 1:
            own = sources.beside(torch.tensor([float(*values)]), side)
            return int(own[0])
        text = f"{_PRODUCT} in {recorder.here()}"
        return sources.problem(text, pattern=True, carried=values, side=side)

    return sources.pairwise(parts[0], parts[1], product)


def attend(recorder, func, args, kwargs):
    """Scaled dot-product attention: the values go on, united over positions."""
    query, key, value = (*args, *(kwargs[n] for n in ("query", "key", "value") if n in kwargs))[:3]
    tags, result = recorder.tags(value), func(*args, **kwargs)
    if tags is None:
        return recorder.failed(result, "attention to constant values")
    if tags.ndim > 2 and tags.shape[-3] > 1 and value.shape[-3] < query.shape[-3]:
        tags = tags.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    tags = recorder.sources.over(tags, (-2,))
    mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
    for one in (query, key, mask):
        if recorder.tags(one) is not None:
            side = recorder.sources.side(recorder.tags(one), "pattern")
            tags = recorder.sources.beside(tags, side)
    return recorder.put(result, tags)


def attention(recorder, func, args, kwargs):
    """Multi-head attention: the value path is followed, the pattern is not."""
    query, key, value, size = args[:4]
    given = dict(zip(_ATTENTION, args[4:], strict=False)) | kwargs
    name = recorder.here()
    if given.get("in_proj_weight") is not None:
        parts = list(given["in_proj_weight"].chunk(3, 0))
    else:
        parts = [given[f"{which}_proj_weight"] for which in "qkv"]
    tags = [recorder.tags(one) for one in (query, key, value)]
    if any(one is None for one in tags):
        return recorder.failed(func(*args, **kwargs), "attention on a constant")
    strength, ndim = recorder.options.strength, query.ndim
    if tags[0].equal(tags[1]) and tags[0].equal(tags[2]):
        whole = np.concatenate([strength(name, part) for part in parts], 1)
        made = recorder.read(f"{name}.in_proj", whole, tags[0], -1, ndim, value=query)
        made = made[..., 2 * size :]
    else:
        read = zip("qkv", (query, key, value), tags, parts, strict=True)
        for which, one, tag, part in read:
            weights = strength(name, part)
            made = recorder.read(f"{name}.{which}_proj", weights, tag, -1, ndim, value=one)
    result = func(*args, **kwargs)
    out, last = given["out_proj_weight"], f"{name}.out_proj"
    made = recorder.read(last, strength(name, out), made, -1, ndim)
    if recorder.left_out(last):
        recorder.put(result[0], made)
        return result
    mixed = recorder.put(recorder.cut(result[0], -1), made)
    return (mixed, *result[1:])


def composed(recorder, func, args, kwargs):
    """Operations that are others put together: those are followed instead."""
    name = plain_name(func)
    keys = ("value", "weight", "beta", "alpha")
    rest = {key: kwargs[key] for key in keys if key in kwargs}
    named = ("input", "tensor1", "tensor2", "mat1", "mat2", "batch1", "batch2", "end")
    operand = [*args, *(kwargs[key] for key in named if key in kwargs)]
    if name == "lerp":
        start, end, weight = (*operand, rest.get("weight"))[:3]
        with recorder:
            return (1 - weight) * start + weight * end
    start, one, two = operand[:3]
    with recorder:
        if name.startswith("addc"):
            inner = one * two if name == "addcmul" else one / two
            factor = scalar(rest.get("value", operand[3] if len(operand) > 3 else 1))
        else:
            inner = one @ two
            inner = inner.sum(0) if name == "addbmm" else inner
            factor = scalar(rest.get("alpha", 1))
            beta = scalar(rest.get("beta", 1))
            if not beta:
                return inner if factor == 1 else inner * factor
            start = start if beta == 1 else start * beta
        return start + (inner if factor == 1 else inner * factor)


# Positional arguments after query, key, value and embed_dim_to_check.
_ATTENTION = (
    "num_heads",
    "in_proj_weight",
    "in_proj_bias",
    "bias_k",
    "bias_v",
    "add_zero_attn",
    "dropout_p",
    "out_proj_weight",
)
