"""What each torch operation does to the sources of the numbers that pass through it.

Operations fall into few kinds, listed at the end of this file; one that is not listed makes its
result unusable, which is an error only where a later kernel reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from modgraph_lib.graphs.tracing.recorder import Recorder, all_tensors, on_axis, plain_name
from modgraph_lib.graphs.tracing.sources import CONSTANT, DENSE, compact

__all__ = ["RULES"]


def linear(recorder, func, args, kwargs):
    """A layer of nodes; left out on (N, features) of a network with convolutions."""
    value, weight = _arguments(args, kwargs, "input", "weight")
    tags = recorder.tags(value)
    if tags is None:
        recorder.constant(weight, value)
        return func(*args, **kwargs)
    if recorder.options.convolutional and not recorder.options.dense and value.ndim <= 2:
        # Left out, so the size of the image it was made for does not matter either.
        result = value.new_zeros(*value.shape[:-1], len(weight))
        return recorder.put(result, torch.full((1,) * value.ndim, float(DENSE)))
    name = recorder.name_of(weight)
    made = recorder.read(name, recorder.options.strength(name, weight), tags, -1, value.ndim)
    return recorder.put(func(*args, **kwargs), made)


def conv(recorder, func, args, kwargs):
    """A layer of nodes; a depthwise convolution is a factor on each channel."""
    value, weight = _arguments(args, kwargs, "input", "weight")
    tags = recorder.tags(value)
    if tags is None:
        recorder.constant(weight, value)
        return func(*args, **kwargs)
    transposed = "transpose" in func.__name__
    groups = kwargs.get("groups", args[6] if len(args) > 6 else 1)
    result = func(*args, **kwargs)
    axis = 1 - weight.ndim  # the channels stand before the spatial dimensions
    inputs = value.shape[axis]
    name = recorder.name_of(weight)
    parts = weight.chunk(groups, 0)
    # (inputs, outputs) of each group
    strengths = [
        recorder.options.strength(name, p.transpose(0, 1) if transposed else p) for p in parts
    ]
    if groups == inputs > 1 and recorder.options.depthwise == "scale":
        channels = recorder.channels(tags, axis, inputs)
        factors = torch.from_numpy(np.concatenate(strengths))  # (inputs, multiplier)
        made = recorder.sources.scale(channels[:, None], factors).reshape(-1)
        return recorder.put(result, on_axis(made, axis, result.ndim))
    whole = strengths[0] if groups == 1 else _block_diagonal(strengths)
    made = recorder.read(name, whole, tags, axis, result.ndim, groups=groups)
    return recorder.put(result, made)


def embedding(recorder, func, args, kwargs):
    """A table looked up: its columns are nodes without incoming edges, like inputs."""
    (weight,) = _arguments(args[1:], kwargs, "weight")
    result = func(*args, **kwargs)
    tags = recorder.start(recorder.name_of(weight), weight.shape[1])
    return recorder.put(result, on_axis(tags, -1, result.ndim))


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
        made = recorder.read(f"{name}.in_proj", whole, tags[0], -1, ndim)[..., 2 * size :]
    else:
        for which, one, part in zip("qkv", tags, parts, strict=True):
            made = recorder.read(f"{name}.{which}_proj", strength(name, part), one, -1, ndim)
    result = func(*args, **kwargs)
    out = given["out_proj_weight"]
    made = recorder.read(f"{name}.out_proj", strength(name, out), made, -1, ndim)
    recorder.put(result[0], made)
    return result


def pass_through(recorder, func, args, kwargs):
    """Elementwise: each number keeps its source."""
    value = next(x for x in all_tensors((args, kwargs)) if recorder.tags(x) is not None)
    tags, shape = recorder.tags(value), value.shape
    result = func(*args, **kwargs)
    if isinstance(result, torch.Tensor) and result.shape == shape:
        return recorder.put(result, tags)
    return recorder.failed(result, plain_name(func))


def constant_result(recorder, func, args, kwargs):
    """Uses the shape of its argument only."""
    return func(*args, **kwargs)


def move(recorder, func, args, kwargs):
    """Moves numbers about: the tags move alike."""
    twin_args, twin_kwargs = _twins(recorder, args), _twins(recorder, kwargs)
    if "value" in kwargs:  # padding brings constants
        twin_kwargs["value"] = CONSTANT
    elif plain_name(func) == "pad" and len(args) > 3:
        twin_args = (*twin_args[:3], CONSTANT, *twin_args[4:])
    result, moved = func(*args, **kwargs), func(*twin_args, **twin_kwargs)
    several = isinstance(result, tuple | list)
    for one, tags in zip(*((result, moved) if several else ([result], [moved])), strict=True):
        if isinstance(one, torch.Tensor):
            recorder.put(one, tags)
    return result


def assign(recorder, func, args, kwargs):
    """In-place writing of a part: the whole can no longer be followed."""
    result = func(*args, **kwargs)
    recorder.failed(args[0], "an assignment to a part of a tensor")
    return result


def pool(recorder, func, args, kwargs):
    """Mixes positions of a channel: channels (axis 1) keep their sources."""
    (value,) = _arguments(args, kwargs, "input")
    tags = recorder.tags(value)
    result = func(*args, **kwargs)
    first = result[0] if isinstance(result, tuple) else result
    if tags is None or first.ndim != value.ndim or first.shape[:2] != value.shape[:2]:
        return recorder.failed(first, plain_name(func))
    recorder.put(first, recorder.sources.over(tags, tuple(range(2, tags.ndim))))
    return result


def reduce(recorder, func, args, kwargs):
    """Sums, means and extremes over some dimensions: a union of sources."""
    rest = args[1:] if len(args) > 1 else (kwargs.get("dim", kwargs.get("axis")),)
    if isinstance(rest[0], torch.Tensor):
        return add(recorder, func, args, kwargs)
    result = func(*args, **kwargs)
    first = result if isinstance(result, torch.Tensor) else result[0]
    value, tags = args[0], recorder.tags(args[0])
    every = tuple(range(value.ndim))
    dims = every if rest[0] is None else np.atleast_1d(rest[0]).tolist()
    united = recorder.sources.over(tags, tuple(dims))
    if first.ndim != value.ndim:
        united = united.squeeze(tuple(dims))
    recorder.put(first, united)
    return result


def add(recorder, func, args, kwargs):
    """Sum or difference: both operands go on; a residual stream may be merged."""
    one, two = _operands(args, kwargs)
    first, second = recorder.tags(one), recorder.tags(two)
    result = func(*args, **kwargs)
    if first is None or second is None:
        tags = first if second is None else second
        tags = tags.reshape((1,) * (result.ndim - tags.ndim) + tags.shape)
        return recorder.put(result, tags)
    if recorder.options.merge:
        return recorder.put(result, recorder.sources.pairwise(first, second, recorder.join))
    return recorder.put(result, recorder.sources.unite(first, second, add=True))


def multiply(recorder, func, args, kwargs):
    """Product: a fixed factor scales, a computed one (a gate) goes on beside the other."""
    one, two = _operands(args, kwargs)
    first, second = recorder.tags(one), recorder.tags(two)
    result = func(*args, **kwargs)
    if first is not None and second is not None:
        return recorder.put(result, recorder.sources.unite(first, second, add=False))
    tags, factor = (first, two) if second is None else (second, one)
    tags = tags.reshape((1,) * (result.ndim - tags.ndim) + tags.shape)
    if recorder.options.fold and isinstance(factor, torch.Tensor) and factor.numel() > 1:
        factor = 1 / factor if "div" in plain_name(func) else factor
        tags = recorder.sources.scale(tags, compact(factor.detach()))
    return recorder.put(result, tags)


def normalise(recorder, func, args, kwargs):
    """Normalisation: its fixed factor per channel goes into the outgoing weights."""
    (value,) = _arguments(args, kwargs, "input")
    result, tags = func(*args, **kwargs), recorder.tags(value)
    given = dict(zip(_NORMS[plain_name(func)], args[1:], strict=False)) | kwargs
    gamma, variance = given.get("weight"), given.get("running_var")
    factor = None if gamma is None else gamma.detach().double()
    if variance is not None:
        root = (variance.detach().double() + given.get("eps", 1e-5)).sqrt()
        factor = (1.0 if factor is None else factor) / root
    if factor is not None and recorder.options.fold:
        if "normalized_shape" not in given:
            factor = on_axis(factor, 1, value.ndim)
        tags = recorder.sources.scale(tags, factor)
    return recorder.put(result, tags)


def matmul(recorder, func, args, kwargs):
    """A fixed matrix on the right is a linear layer; attention patterns mix positions."""
    one, two = _operands(args, kwargs)
    first, second = recorder.tags(one), recorder.tags(two)
    if second is None and two.ndim == 2:
        name = recorder.name_of(two)
        made = recorder.read(name, recorder.options.strength(name, two.T), first, -1, one.ndim)
        return recorder.put(func(*args, **kwargs), made)
    result = func(*args, **kwargs)
    if first is None or second is None:
        return recorder.failed(result, "a product with a fixed matrix that mixes positions")
    if recorder.sources.is_pattern(first):
        return recorder.put(result, recorder.sources.over(second, (-2,)))
    if recorder.sources.is_pattern(second):
        return recorder.put(result, recorder.sources.over(first, (-1,)))
    return recorder.failed(result, "a product of two computed tensors", pattern=True)


def einsum(recorder, func, args, kwargs):
    """Two operands, read as ``matmul`` is."""
    result = func(*args, **kwargs)
    equation, operands = args[0].replace(" ", ""), args[1:]
    ins, _, out = equation.partition("->")
    one, _, two = ins.partition(",")
    tags = [recorder.tags(x) for x in operands]
    if len(tags) != 2 or any(one is None for one in tags) or not out or "." in equation:
        return recorder.failed(result, f"einsum {args[0]!r}")
    for pattern, values, letters in ((tags[0], tags[1], two), (tags[1], tags[0], one)):
        if recorder.sources.is_pattern(pattern):
            gone = [place for place, letter in enumerate(letters) if letter not in out]
            kept = [letter for letter in letters if letter in out]
            united = recorder.sources.over(values, tuple(gone)).squeeze(tuple(gone))
            united = united.permute([kept.index(x) for x in out if x in kept])
            for place, letter in enumerate(out):
                united = united if letter in kept else united.unsqueeze(place)
            return recorder.put(result, united)
    return recorder.failed(result, "a product of two computed tensors", pattern=True)


def attend(recorder, func, args, kwargs):
    """Scaled dot-product attention: the values go on, united over positions."""
    value = _arguments(args, kwargs, "query", "key", "value")[2]
    tags, result = recorder.tags(value), func(*args, **kwargs)
    if tags is None:
        return recorder.failed(result, "attention to constant values")
    return recorder.put(result, recorder.sources.over(tags, (-2,)))


def gated(recorder, func, args, kwargs):
    """Gated linear unit: one half of the channels times a function of the other."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
    full = recorder.tags(args[0]).expand(args[0].shape)
    one, two = full.chunk(2, dim)
    return recorder.put(func(*args, **kwargs), recorder.sources.unite(one, two, add=False))


def unknown(recorder, func, args, kwargs):
    """An operation of no kind below."""
    result = func(*args, **kwargs)
    for one in result if isinstance(result, tuple | list) else [result]:
        recorder.failed(one, f"{plain_name(func)} (not supported)")
    return result


def _twins(recorder: Recorder, value: Any) -> Any:
    """Arguments with each tensor of numbers replaced by its tags."""
    if isinstance(value, torch.Tensor):
        tags = recorder.tags(value)
        if tags is None and not torch.is_floating_point(value):
            return value.cpu()
        tags = torch.zeros((1,) * value.ndim, dtype=torch.float64) if tags is None else tags
        return tags.expand(value.shape)
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        return type(value)(_twins(recorder, one) for one in value)
    if isinstance(value, dict):
        return {key: _twins(recorder, one) for key, one in value.items()}
    return value


def _arguments(args: tuple, kwargs: dict, *names: str) -> list[Any]:
    """The first arguments by position or by name."""
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in enumerate(names)]


def _operands(args: tuple, kwargs: dict) -> tuple[Any, Any]:
    """Both sides of a binary operation."""
    both = [*args, *(kwargs[name] for name in ("input", "other", "mat2") if name in kwargs)]
    return both[0], both[1]


def _block_diagonal(parts: list[np.ndarray]) -> np.ndarray:
    """(sum of inputs, sum of outputs) with one part a group."""
    rows, columns = parts[0].shape
    whole = np.zeros((rows * len(parts), columns * len(parts)))
    for index, part in enumerate(parts):
        whole[index * rows : (index + 1) * rows, index * columns : (index + 1) * columns] = part
    return whole


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
_NORMS = {
    "batch_norm": ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "instance_norm": ("running_mean", "running_var", "weight", "bias", "use_input_stats"),
    "layer_norm": ("normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("normalized_shape", "weight", "eps"),
    "group_norm": ("num_groups", "weight", "bias", "eps"),
}
_KINDS = {
    linear: "linear",
    conv: "conv",
    embedding: "embedding",
    attention: "multi_head_attention_forward",
    attend: "scaled_dot_product_attention",
    pass_through: """
        relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid
        tanh tanhshrink softplus softsign softshrink hardshrink logsigmoid prelu rrelu threshold
        dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout
        abs neg exp log sqrt rsqrt square pow sin cos erf clamp clip softmax softmin log_softmax
        normalize local_response_norm masked_fill to type type_as float half double bfloat16 cpu
        cuda requires_grad nan_to_num log1p expm1 reciprocal""",
    move: """
        view reshape flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t
        squeeze unsqueeze expand expand_as view_as reshape_as repeat tile repeat_interleave
        contiguous clone detach cat concat concatenate stack split chunk unbind tensor_split
        getitem narrow select index_select roll flip rot90 pixel_shuffle pixel_unshuffle
        channel_shuffle pad unfold get broadcast_to hstack vstack dstack""",
    assign: "setitem copy index_copy scatter masked_scatter index_add fill",
    pool: """
        max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool1d
        adaptive_avg_pool2d adaptive_avg_pool3d max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices adaptive_max_pool2d_with_indices interpolate upsample""",
    reduce: "mean sum amax amin max min std var logsumexp",
    add: "add iadd radd sub isub rsub subtract maximum minimum",
    multiply: """
        mul imul rmul multiply div idiv rdiv truediv itruediv rtruediv divide true_divide""",
    normalise: " ".join(_NORMS),
    matmul: "matmul rmatmul bmm mm",
    einsum: "einsum",
    gated: "glu",
    constant_result: """
        zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full
        new_empty new_tensor size dim numel is_floating_point eq ne lt le gt ge argmax argmin""",
}
RULES = {name: rule for rule, names in _KINDS.items() for name in names.split()}
RULES[""] = unknown
