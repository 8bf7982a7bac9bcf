"""Transformers of other libraries read as what they are; random weights, nothing downloaded."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import graphs
from modgraph_lib._torchvision import torchvision

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}


def transformers():
    """The package, or the reason to skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says about itself when it is loaded
        return pytest.importorskip("transformers", reason="pip install transformers")


def bert():
    package = transformers()
    return package.BertModel(package.BertConfig(**SIZES, hidden_act="gelu")).encoder


def gpt2():
    package = transformers()
    return package.GPT2Model(package.GPT2Config(n_embd=16, n_layer=2, n_head=4, n_inner=24))


def llama():
    package = transformers()
    return package.LlamaModel(package.LlamaConfig(**SIZES, num_key_value_heads=2))


def vit():
    package = transformers()
    return package.ViTModel(package.ViTConfig(**SIZES, image_size=32))


def torchvision_vit():
    return torchvision.models.VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=4, hidden_dim=16, mlp_dim=24
    )


def randomised(model: nn.Module) -> nn.Module:
    """Biases and gains that are not what they start as."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.5)
        if parameter.ndim == 1 and "bias" not in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model.double().eval()


MODELS = {
    "bert": (bert, "intermediate.dense", "output.dense", "attention.output.dense"),
    "gpt2": (gpt2, "mlp.c_fc", "mlp.c_proj", "attn.c_proj"),
    "llama": (llama, "mlp.up_proj", "mlp.down_proj", "self_attn.o_proj"),
    "vit": (vit, "mlp.fc1", "mlp.fc2", "attention.o_proj"),
    "torchvision": (torchvision_vit, "mlp.0", "mlp.3", "self_attention.out_proj"),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_edge_between_mlps_is_what_a_hook_sees(name):
    """A unit's output moved by a little: how far do later units' inputs move, norms held?"""
    make, inward, outward, _ = MODELS[name]
    model = randomised(make())
    graph = graphs.virtual_weights(model)
    assert graph.layers == (4, 24, 4, 24)
    blocks = [m for m in model.modules() if has(m, inward) and has(m, outward)]
    into, out = (blocks[i].get_submodule(p) for i, p in ((1, inward), (0, outward)))
    gain, centred, after = norms(name, blocks)
    write = weight(out)  # (d, units)
    if after is not None:  # a norm after the sum, before the second block's attention
        write = after[:, None] * (write - write.mean(0))
    write = write - write.mean(0) * centred
    reads = [weight(into) * gain]
    if name == "llama":
        reads.append(weight(blocks[1].mlp.gate_proj) * gain)
    total = 0
    for read in reads:
        read = read - read.mean(1, keepdims=True) * centred
        seen = read @ write
        sizes = np.linalg.norm(read, axis=1)[:, None] * np.linalg.norm(write, axis=0)
        total += np.square(seen / sizes)
    np.testing.assert_allclose(graph.blocks[1, 3], np.sqrt(total / len(reads)).T, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_a_head_moves_what_its_part_says(name):
    """With one token the pattern is 1: attention is W_OV, whose squares the part must hold."""
    make, _, _, output = MODELS[name]
    model = randomised(make())
    attention = graphs.stream_parts(model)[2]
    block = [m for m in model.modules() if has(m, output)][1]
    last = block.get_submodule(output)
    gain, centred, _ = norms(name, [block], of="attention")
    whole = weight(last).copy()
    for head in range(4):
        only = np.zeros_like(whole)
        only[:, 4 * head : 4 * head + 4] = whole[:, 4 * head : 4 * head + 4]
        with torch.no_grad():
            last.weight.copy_(torch.from_numpy(only.T if name == "gpt2" else only))
        moved = jacobian(block, output, name)
        if name == "bert":  # reads the first block's output through that block's norm
            first = next(m for m in model.modules() if has(m, output))
            gain, centred = first.output.LayerNorm.weight.detach().numpy(), True
            moved = moved * gain
            moved = moved - moved.mean(1, keepdims=True)
        moved = moved - moved.mean(0) * centred
        writes, value = attention.writes[head], attention.reads[2][head]
        np.testing.assert_allclose(writes @ writes.T, moved @ moved.T, atol=1e-8)
        np.testing.assert_allclose(value @ value.T, moved.T @ moved, atol=1e-8)


def jacobian(block: nn.Module, output: str, name: str) -> np.ndarray:
    """(d, d) attention's output over the stream, the norm before it frozen at gain and centring."""
    caught = {}
    hook = block.get_submodule(output).register_forward_hook(
        lambda module, inputs, found: caught.update(output=found)
    )
    before = {"gpt2": "ln_1", "llama": "input_layernorm", "vit": "layernorm_before"}
    norm = before.get(name, "ln_1" if name == "torchvision" else None)
    handles = [hook]
    if norm:
        module = block.get_submodule(norm)
        gain = module.weight

        def frozen(module, inputs, found):
            x = inputs[0]
            x = x if name == "llama" else x - x.mean(-1, keepdim=True)
            return x * gain

        handles.append(module.register_forward_hook(frozen))
    extra = {}
    if name == "llama":
        extra["position_embeddings"] = (torch.ones(1, 1, 4).double(), torch.zeros(1, 1, 4).double())

    def attended(x: torch.Tensor) -> torch.Tensor:
        block(x[None, None], **extra)
        return caught["output"].reshape(-1)

    try:
        if name == "torchvision":  # its fast path runs no hook on the projection
            return of_torchvision(block)
        return torch.autograd.functional.jacobian(attended, torch.zeros(16).double()).numpy()
    finally:
        for handle in handles:
            handle.remove()


def of_torchvision(block: nn.Module) -> np.ndarray:
    def attended(x: torch.Tensor) -> torch.Tensor:
        x = (x - x.mean()) * block.ln_1.weight
        return block.self_attention(*[x[None, None]] * 3, need_weights=False)[0].reshape(-1)

    return torch.autograd.functional.jacobian(attended, torch.zeros(16).double()).numpy()


def has(module: nn.Module, path: str) -> bool:
    return path in {name for name, _ in module.named_modules()}


def weight(module: nn.Module) -> np.ndarray:
    found = module.weight.detach().numpy()
    return found.T if type(module).__name__ == "Conv1D" else found


def norms(name: str, blocks: list[nn.Module], *, of: str = "mlp"):
    """Gain before the last block's MLP (attention), whether it centres, and a gain after sums."""
    paths = {
        "bert": ("attention.output.LayerNorm", "attention.output.LayerNorm"),
        "gpt2": ("ln_1", "ln_2"),
        "llama": ("input_layernorm", "post_attention_layernorm"),
        "vit": ("layernorm_before", "layernorm_after"),
        "torchvision": ("ln_1", "ln_2"),
    }[name]
    gain = blocks[-1].get_submodule(paths[of == "mlp"]).weight.detach().numpy()
    after = blocks[0].output.LayerNorm.weight.detach().numpy() if name == "bert" else None
    return gain, name != "llama", after


def test_bert_is_torchs_encoder_with_norms_after_the_sums():
    """The same weights under both names: the same function, and the same graph."""
    theirs = randomised(bert())
    layer = nn.TransformerEncoderLayer(
        16, 4, 24, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    ours = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval()
    for mine, block in zip(ours.layers, theirs.layer, strict=True):
        attention = block.attention.self
        three = (attention.query, attention.key, attention.value)
        with torch.no_grad():
            mine.self_attn.in_proj_weight.copy_(torch.cat([one.weight for one in three]))
            mine.self_attn.in_proj_bias.copy_(torch.cat([one.bias for one in three]))
        for module, other in (
            (mine.self_attn.out_proj, block.attention.output.dense),
            (mine.norm1, block.attention.output.LayerNorm),
            (mine.linear1, block.intermediate.dense),
            (mine.linear2, block.output.dense),
            (mine.norm2, block.output.LayerNorm),
        ):
            module.load_state_dict(other.state_dict())
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x)[0])
    one, two = graphs.virtual_weights(ours), graphs.virtual_weights(theirs)
    for pair, block in one.blocks.items():
        np.testing.assert_allclose(two.blocks[pair], block, atol=1e-10)


def test_gemmas_norm_is_refused_and_not_misread():
    """Its gain is one more than its weight."""
    package = transformers()
    config = package.GemmaConfig(**SIZES, num_key_value_heads=2, head_dim=4)
    with pytest.raises(ValueError, match="neither a LayerNorm nor an RMSNorm"):
        graphs.virtual_weights(randomised(package.GemmaModel(config)))


def test_cross_attention_is_refused():
    package = transformers()
    config = package.BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)
    with pytest.raises(ValueError, match="leave out"):
        graphs.virtual_weights(package.BertModel(config))
