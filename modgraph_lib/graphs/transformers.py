"""The parts of known transformers: which weights read the stream, which write to it.

Blocks are known by the names of what they hold (``LAYOUTS``), so that no library of transformers
has to be installed. A block that holds weights beside those named is refused rather than misread.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from modgraph_lib import _checks
from modgraph_lib.graphs.stream import StreamPart, attention_part, mlp_part

__all__ = ["LAYOUTS", "Layout", "stream_parts"]

HEADS = ("num_heads", "num_attention_heads")
CLOSE = 1e-2  # relative: how well a norm must be what it is taken for (half precision included)


@dataclass(frozen=True)
class Layout:
    """Names of a block's parts.

    Attributes:
        norms: of the attention, of the MLP.
        queries: one fused projection, or query, key and value.
        output: of the heads.
        inward, outward: weights into the MLP's units (gated: two) and out of them.
        post: whether norms stand after the sums; None: the block's ``norm_first`` says so.
    """

    norms: tuple[str, str]
    queries: tuple[str, ...]
    output: str
    inward: tuple[str, ...]
    outward: str
    post: bool | None = False

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.norms, *self.queries, self.output, *self.inward, self.outward)


def _three(text: str, *names: str) -> tuple[str, ...]:
    return tuple(text.format(name) for name in names)


LAYOUTS = {
    "torch": Layout(
        ("norm1", "norm2"), ("self_attn",), "self_attn.out_proj", ("linear1",), "linear2", None
    ),
    "torchvision ViT": Layout(
        ("ln_1", "ln_2"), ("self_attention",), "self_attention.out_proj", ("mlp.0",), "mlp.3"
    ),
    "timm ViT": Layout(("norm1", "norm2"), ("attn.qkv",), "attn.proj", ("mlp.fc1",), "mlp.fc2"),
    "BERT": Layout(
        ("attention.output.LayerNorm", "output.LayerNorm"),
        _three("attention.self.{}", "query", "key", "value"),
        "attention.output.dense",
        ("intermediate.dense",),
        "output.dense",
        True,
    ),
    "ViT": Layout(
        ("layernorm_before", "layernorm_after"),
        _three("attention.{}_proj", "q", "k", "v"),
        "attention.o_proj",
        ("mlp.fc1",),
        "mlp.fc2",
    ),
    "ViT of transformers 4": Layout(
        ("layernorm_before", "layernorm_after"),
        _three("attention.attention.{}", "query", "key", "value"),
        "attention.output.dense",
        ("intermediate.dense",),
        "output.dense",
    ),
    "GPT-2": Layout(("ln_1", "ln_2"), ("attn.c_attn",), "attn.c_proj", ("mlp.c_fc",), "mlp.c_proj"),
    "Llama": Layout(
        ("input_layernorm", "post_attention_layernorm"),
        _three("self_attn.{}_proj", "q", "k", "v"),
        "self_attn.o_proj",
        ("mlp.gate_proj", "mlp.up_proj"),
        "mlp.down_proj",
    ),
}


def stream_parts(model: nn.Module) -> tuple[StreamPart, ...]:
    """The parts of a transformer, attention and MLP of each block in turn.

    Gains of the norms are folded into what reads, and what reads is centred where the norm
    centres. Grouped key and value heads are repeated; rotary positions are taken at distance zero.

    Args:
        model: see ``virtual_weights``.

    Raises:
        TypeError: no module.
        ValueError: no block of a known kind, blocks in several stacks, weights in a block that this
            reading would leave out, a norm that is neither LayerNorm nor RMSNorm.

    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> [(part.name, part.count, len(part.reads)) for part in graphs.stream_parts(layer)]
    [('attention', 2, 3), ('mlp', 16, 1)]
    """
    blocks = list(_blocks(_checks.module(model)))
    norms = [[_norm(block, path) for path in layout.norms] for _, block, layout in blocks]
    centred = all(norm.centred for pair in norms for norm in pair)
    parts: list[StreamPart] = []
    passed: _Norm | None = None  # the norm that the stream has gone through, with norms after sums
    for (name, block, layout), pair in zip(blocks, norms, strict=True):
        post = layout.post if layout.post is not None else not block.norm_first
        for kind, make, own in zip(KINDS, (_attention, _mlp), pair, strict=True):
            before = passed if post else own
            carry = passed.carry() if post and passed else None
            called = f"{name.rpartition('.')[2]}.{kind}".removeprefix(".")
            parts.append(make(called, block, layout, before, centred, carry))
            passed = own
    return tuple(parts)


KINDS = ("attention", "mlp")


@dataclass(frozen=True, eq=False)
class _Norm:
    gain: np.ndarray  # (d,)
    centred: bool

    def fold(self, weights: np.ndarray) -> np.ndarray:
        """Weights (..., d) on the normalised stream, as weights on the stream."""
        folded = weights * self.gain
        return folded - folded.mean(-1, keepdims=True) if self.centred else folded

    def carry(self) -> np.ndarray:
        """(d, d) what the norm does to the stream, its division by the stream's size apart."""
        width = len(self.gain)
        return self.gain[:, None] * (np.eye(width) - (1 / width if self.centred else 0))


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module, Layout]]:
    """Name, module and layout of each block, in the order of the model."""
    found: list[tuple[str, nn.Module, Layout]] = []
    for name, module in model.named_modules():
        held = {path for path, _ in module.named_modules()}
        for layout in LAYOUTS.values():
            known = layout.post is not None or hasattr(module, "norm_first")
            if known and held.issuperset(layout.paths):
                found.append((name, module, layout))
                break
    if not found:
        raise ValueError(
            f"{type(model).__name__} holds no transformer block of a known kind "
            f"({', '.join(LAYOUTS)}); give its parts as a list of graphs.StreamPart"
        )
    stacks = sorted({name.rpartition(".")[0] for name, _, _ in found})
    if len(stacks) > 1:
        raise ValueError(
            f"blocks in several stacks ({', '.join(stacks)}), which may not share a stream; pass "
            "one of them, or a list of graphs.StreamPart"
        )
    for name, module, layout in found:
        extra = [
            path
            for path, _ in module.named_parameters()
            if not any(path.startswith(f"{known}.") for known in layout.paths)
        ]
        if extra:
            raise ValueError(
                f"block {name or type(module).__name__} has weights that this reading would leave "
                f"out: {', '.join(extra[:4])}; give its parts as a list of graphs.StreamPart"
            )
    yield from found


def _norm(block: nn.Module, path: str) -> _Norm:
    """The gain of a norm, and whether it centres: found out by using it."""
    module = copy.deepcopy(block.get_submodule(path)).cpu().double()
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    if weight is None:
        shape = getattr(module, "normalized_shape", None)
        if shape is None:
            raise ValueError(f"{path} is a {type(module).__name__}, no LayerNorm or RMSNorm")
        weight = torch.ones(shape, dtype=torch.double)
    gain = weight.detach()
    probe = 1 + torch.cos(torch.arange(len(gain), dtype=torch.double) * 2)
    with torch.no_grad():
        seen = module(probe[None])[0] - (0 if bias is None else bias)
    for centred in (True, False):
        inner = probe - probe.mean() * centred
        wanted = gain * inner / inner.square().mean().sqrt()
        if (seen - wanted).abs().max() <= CLOSE * wanted.abs().max():
            return _Norm(gain.numpy(), centred)
    raise ValueError(
        f"{path} ({type(module).__name__}) is neither a LayerNorm nor an RMSNorm with its weight "
        "as gain; give the parts as a list of graphs.StreamPart"
    )


def _attention(
    name: str, block: nn.Module, layout: Layout, norm: _Norm | None, centred: bool, carry
) -> StreamPart:
    output = _weight(block, layout.output)  # (d, H h)
    attention = block.get_submodule(layout.queries[0])
    if isinstance(attention, nn.MultiheadAttention):
        if attention.in_proj_weight is None or attention.bias_k is not None:
            raise ValueError(f"{name}: attention to other inputs, or with added keys, is not known")
        given = np.split(_plain(attention.in_proj_weight), 3)
    else:
        attention = block.get_submodule(layout.queries[0].rpartition(".")[0])
        given = [_weight(block, path) for path in layout.queries]
        given = np.split(given[0], 3) if len(given) == 1 else given
    heads = _heads(attention, name)
    size = output.shape[1] // heads
    if len(given[0]) != heads * size or any(len(g) % size for g in given):
        raise ValueError(f"{name}: {heads} heads do not divide weights {given[0].shape}")
    split = [one.reshape(-1, size, one.shape[1]) for one in given]
    split = [np.repeat(one, heads // len(one), axis=0) for one in split]
    query, key, value = (norm.fold(one) for one in split) if norm else split
    return attention_part(
        name,
        query=query,
        key=key,
        value=value,
        output=_written(output, centred).reshape(-1, heads, size).transpose(1, 0, 2),
        carry=carry,
    )


def _mlp(
    name: str, block: nn.Module, layout: Layout, norm: _Norm | None, centred: bool, carry
) -> StreamPart:
    reads = [_weight(block, path) for path in layout.inward]
    reads = [norm.fold(one) for one in reads] if norm else reads
    return mlp_part(name, reads, _written(_weight(block, layout.outward), centred), carry=carry)


def _written(weights: np.ndarray, centred: bool) -> np.ndarray:
    """Weights (d, n) that write, without the mean where every norm takes it away."""
    return weights - weights.mean(0) if centred else weights


def _heads(attention: nn.Module, name: str) -> int:
    for holder in (attention, getattr(attention, "config", None)):
        for attribute in HEADS:
            if isinstance(found := getattr(holder, attribute, None), int):
                return found
    raise ValueError(f"{name}: a {type(attention).__name__} does not say how many heads it has")


def _weight(block: nn.Module, path: str) -> np.ndarray:
    """(outputs, inputs) of a linear layer; GPT-2's Conv1D keeps it the other way round."""
    module = block.get_submodule(path)
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
        raise ValueError(f"{path} is a {type(module).__name__} and no linear layer")
    return _plain(weight).T if type(module).__name__ == "Conv1D" else _plain(weight)


def _plain(weight: torch.Tensor) -> np.ndarray:
    return _checks.plain(weight, "a weight").cpu().double().numpy()
