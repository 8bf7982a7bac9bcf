"""What each torch operation does to the sources of the numbers that pass through it.

Operations fall into few kinds, listed at the end of this file; one that is not listed makes its
result unusable, which is an error only where a later kernel reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from modgraph_lib.graphs.tracing.elementwise import (
    add,
    detach,
    either,
    multiply,
    pass_through,
    reduce,
)
from modgraph_lib.graphs.tracing.products import attend, attention, composed, einsum, matmul
from modgraph_lib.graphs.tracing.recorder import (
    SHAPE_ONLY,
    Recorder,
    all_tensors,
    on_axis,
    plain_name,
)
from modgraph_lib.graphs.tracing.sources import CONSTANT, DENSE, IMAGE, WEAK

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
    strengths = recorder.options.strength(name, weight)
    return recorder.kernel(name, strengths, value, -1, func(*args, **kwargs))


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
        recorder.scaled = True
        made = recorder.sources.scale(channels[:, None], factors).reshape(-1)
        return recorder.put(result, on_axis(made, axis, result.ndim))
    whole = strengths[0] if groups == 1 else _block_diagonal(strengths)
    return recorder.kernel(name, whole, value, axis, result, groups=groups)


def embedding(recorder, func, args, kwargs):
    """A table looked up: its columns are nodes without incoming edges, like inputs."""
    (weight,) = _arguments(args[1:], kwargs, "weight")
    result = func(*args, **kwargs)
    name = recorder.name_of(weight)
    tags = recorder.start(name, weight.shape[1])
    if not recorder.left_out(name):
        result = recorder.cut(result, -1)
    return recorder.put(result, on_axis(tags, -1, result.ndim))


def shape_only(recorder, func, args, kwargs):
    """Uses the shape of its argument only."""
    return func(*args, **kwargs)


def discrete(recorder, func, args, kwargs):
    """A mask or an index: it depends on the input, and no weight leads on from it."""
    result = func(*args, **kwargs)
    return recorder.put(result, torch.zeros(())) if isinstance(result, torch.Tensor) else result


def move(recorder, func, args, kwargs):
    """Moves numbers about: the tags move alike."""
    twin_args, twin_kwargs = _twins(recorder, args), _twins(recorder, kwargs)
    if "value" in kwargs:  # padding brings constants
        twin_kwargs["value"] = CONSTANT
    elif plain_name(func) == "pad" and len(args) > 3:
        twin_args = (*twin_args[:3], CONSTANT, *twin_args[4:])
    # Tags are expanded, and so are no contiguous memory that could be viewed otherwise.
    twin = torch.Tensor.reshape if plain_name(func) == "view" else func
    result, moved = func(*args, **kwargs), twin(*twin_args, **twin_kwargs)
    lost = recorder.cuts is not None and plain_name(func) == "get" and args[0].requires_grad
    if lost and isinstance(result, torch.Tensor) and not result.requires_grad:
        result = args[0].view_as(args[0])  # .data
    several = isinstance(result, tuple | list)
    for one, tags in zip(*((result, moved) if several else ([result], [moved])), strict=True):
        if isinstance(one, torch.Tensor):
            recorder.put(one, tags)
    return result


def stack(recorder, func, args, kwargs):
    """Puts tensors side by side, each of them told apart from equal ones (a later sum counts)."""
    tensors, *rest = args or (kwargs["tensors"],)
    twins = [recorder.sources.again(twin) for twin in _twins(recorder, list(tensors))]
    options = {key: value for key, value in kwargs.items() if key != "tensors"}
    return recorder.put(func(*args, **kwargs), func(twins, *rest, **options))


def assign(recorder, func, args, kwargs):
    """In-place writing of a part of a tensor."""
    target, where, value = (*args, None)[:3]
    whole = _twins(recorder, target).contiguous().clone()
    result = func(*args, **kwargs)
    if plain_name(func) != "setitem" or target._base is not None:
        recorder.failed(target, "an assignment to a part of a tensor")
        return result
    value = _twins(recorder, value) if isinstance(value, torch.Tensor) else CONSTANT
    whole[_twins(recorder, where)] = value
    recorder.put(target, whole)
    return result


def pool(recorder, func, args, kwargs):
    """Mixes positions of a channel: channels (axis 1) keep their sources."""
    (value,) = _arguments(args, kwargs, "input")
    tags = recorder.tags(value)
    result = func(*args, **kwargs)
    first = result[0] if isinstance(result, tuple) else result
    if tags is None or first.ndim != value.ndim or first.shape[:2] != value.shape[:2]:
        return recorder.failed(first, plain_name(func))
    united = recorder.sources.over(tags, tuple(range(2, tags.ndim)))
    if value.ndim > 2:  # one number for all positions is a mean, one for a few is new
        spread = any(size > 1 for size in first.shape[2:])
        united = recorder.sources.again(united, -1 if spread else 1)
    recorder.put(first, united)
    return result


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
    if "batch" not in plain_name(func) and "instance" not in plain_name(func):
        tags = recorder.sources.beside(tags, recorder.sources.side(tags, "norm"))
    return recorder.put(result, tags)


def gated(recorder, func, args, kwargs):
    """Gated linear unit: one half of the channels times a function of the other."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
    full = recorder.tags(args[0]).expand(args[0].shape)
    one, two = full.chunk(2, dim)
    return recorder.put(func(*args, **kwargs), recorder.sources.unite(one, two, how="product"))


def unknown(recorder, func, args, kwargs):
    """An operation of no kind below."""
    result = func(*args, **kwargs)
    heard = [recorder.tags(x) for x in all_tensors((args, kwargs))]
    raw = all(tags is None or all(int(t) in WEAK for t in torch.unique(tags)) for tags in heard)
    for one in all_tensors(result):
        if raw:  # whatever is made of an image without weights is still the image
            recorder.put(one, torch.full((1,) * one.ndim, float(IMAGE)))
        else:
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


def _block_diagonal(parts: list[np.ndarray]) -> np.ndarray:
    """(sum of inputs, sum of outputs) with one part a group."""
    rows, columns = parts[0].shape
    whole = np.zeros((rows * len(parts), columns * len(parts)))
    for index, part in enumerate(parts):
        whole[index * rows : (index + 1) * rows, index * columns : (index + 1) * columns] = part
    return whole


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
    embedding: "embedding embedding_bag",
    attention: "multi_head_attention_forward",
    attend: "scaled_dot_product_attention",
    pass_through: """
        relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid
        tanh tanhshrink softplus softsign softshrink hardshrink logsigmoid prelu rrelu threshold
        dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout
        abs neg exp log sqrt rsqrt square pow rpow sin cos tan atan sinh cosh erf erfc clamp clip
        clamp_min clamp_max softmax softmin log_softmax normalize local_response_norm masked_fill
        to type type_as float half double bfloat16 cpu cuda requires_grad nan_to_num log1p expm1
        reciprocal sign round floor ceil trunc tril triu real conj""",
    detach: "detach",
    move: """
        view reshape flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t
        squeeze unsqueeze expand expand_as view_as reshape_as repeat tile repeat_interleave
        contiguous clone cat concat concatenate split chunk unbind tensor_split narrow
        getitem select index_select gather take_along_dim roll flip fliplr flipud rot90
        pixel_shuffle pixel_unshuffle channel_shuffle pad unfold get broadcast_to hstack vstack
        dstack column_stack adjoint atleast_1d atleast_2d atleast_3d diagonal""",
    stack: "stack",
    assign: "setitem copy index_copy scatter masked_scatter index_add fill",
    pool: """
        max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adaptive_avg_pool1d
        adaptive_avg_pool2d adaptive_avg_pool3d max_pool1d_with_indices max_pool2d_with_indices
        max_pool3d_with_indices adaptive_max_pool2d_with_indices interpolate upsample""",
    reduce: """
        mean sum nansum nanmean amax amin max min std var logsumexp norm linalg_norm
        linalg_vector_norm vector_norm std_mean var_mean aminmax""",
    add: "add iadd radd sub isub rsub subtract",
    either: "where maximum minimum fmax fmin",
    multiply: """
        mul imul rmul multiply div idiv rdiv truediv itruediv rtruediv divide true_divide""",
    normalise: " ".join(_NORMS),
    composed: "addmm baddbmm addbmm addcmul addcdiv lerp",
    matmul: "matmul rmatmul bmm mm mv",
    einsum: "einsum",
    gated: "glu",
    shape_only: " ".join(SHAPE_ONLY),
    discrete: """
        eq ne lt le gt ge argmax argmin argsort isnan isinf isfinite logical_not logical_and
        logical_or any all isclose""",
}
RULES = {name: rule for rule, names in _KINDS.items() for name in names.split()}
RULES[""] = unknown
