"""Published architectures, small and with random weights: layers and edges known by hand.

Runs only where transformers and timm are installed; the locked environment has neither.
"""

import numpy as np
import pytest
import torch

import modgraph_lib._torchvision  # noqa: F401  before libraries that import torchvision
from modgraph_lib import graphs

IDS = torch.arange(10).reshape(2, 5)


def built(package, make):
    library = pytest.importorskip(package)
    torch.manual_seed(0)
    return make(library).eval()


def graph_of(model, example):
    graph = graphs.weight_graph(model, example=example)
    modules = dict(model.named_modules())
    blocks = {(graph.names[i], graph.names[j]): b for (i, j), b in graph.blocks.items()}
    weights = {n: m.weight.detach().abs().double().numpy() for n, m in modules.items()
               if isinstance(getattr(m, "weight", None), torch.Tensor)}  # fmt: skip
    return graph, blocks, weights


def randomised(model):
    """Norms' gammas away from one, so that a wrong or lost factor shows."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and "bias" not in name:
                parameter.uniform_(0.5, 2)
    return model


def test_gpt2():
    model = built("transformers", lambda t: randomised(t.GPT2LMHeadModel(t.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2))))  # fmt: skip
    graph, blocks, weights = graph_of(model, {"input_ids": IDS})
    assert graph.layers == (8, 8, *(24, 8, 32, 8) * 2, 11)
    gamma, kernel = weights["transformer.h.0.ln_1"], weights["transformer.h.0.attn.c_attn"]
    for table in ("transformer.wte", "transformer.wpe"):
        block = blocks[table, "transformer.h.0.attn.c_attn"]
        np.testing.assert_allclose(block, gamma[:, None] * kernel, rtol=1e-6)
    values = blocks["transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj"]
    assert not values[:16].any()
    np.testing.assert_allclose(values[16:], weights["transformer.h.0.attn.c_proj"], rtol=1e-6)
    inner = blocks["transformer.h.1.mlp.c_fc", "transformer.h.1.mlp.c_proj"]
    np.testing.assert_allclose(inner, weights["transformer.h.1.mlp.c_proj"], rtol=1e-6)
    head = weights["transformer.ln_f"][:, None] * weights["lm_head"].T
    np.testing.assert_allclose(blocks["transformer.h.0.mlp.c_proj", "lm_head"], head, rtol=1e-6)


def test_llama_with_grouped_queries():
    model = built("transformers", lambda t: randomised(t.LlamaForCausalLM(t.LlamaConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=2))))  # fmt: skip
    graph, blocks, weights = graph_of(model, {"input_ids": IDS})
    assert graph.layers == (8, *(8, 4, 4, 8, 12, 12, 8) * 2, 11)
    at = "model.layers.0."
    out = weights[at + "self_attn.o_proj"].T.reshape(2, 2, 2, 8).sum(1).reshape(4, 8)
    found = blocks[at + "self_attn.v_proj", at + "self_attn.o_proj"]
    np.testing.assert_allclose(found, out, rtol=1e-6)
    for part in ("gate_proj", "up_proj"):
        found = blocks[f"{at}mlp.{part}", at + "mlp.down_proj"]
        np.testing.assert_allclose(found, weights[at + "mlp.down_proj"].T, rtol=1e-6)
        gamma = weights[at + "post_attention_layernorm"][:, None]
        expected = gamma * weights[f"{at}mlp.{part}"].T
        for source in ("model.embed_tokens", at + "self_attn.o_proj"):
            np.testing.assert_allclose(blocks[source, f"{at}mlp.{part}"], expected, rtol=1e-6)


def test_t5():
    model = built("transformers", lambda t: randomised(t.T5ForConditionalGeneration(t.T5Config(
        vocab_size=11, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_decoder_layers=1, num_heads=2,
        decoder_start_token_id=0))))  # fmt: skip
    _, blocks, weights = graph_of(model, {"input_ids": IDS, "decoder_input_ids": IDS[:, :3]})
    enc, dec = "encoder.block.0.layer.", "decoder.block.0.layer."
    expected = weights[enc + "0.layer_norm"][:, None] * weights[enc + "0.SelfAttention.v"].T
    source = next(a for a, b in blocks if b == enc + "0.SelfAttention.v")
    np.testing.assert_allclose(blocks[source, enc + "0.SelfAttention.v"], expected, rtol=1e-6)
    across = blocks[dec + "1.EncDecAttention.v", dec + "1.EncDecAttention.o"]
    np.testing.assert_allclose(across, weights[dec + "1.EncDecAttention.o"].T, rtol=1e-6)
    read = weights["encoder.final_layer_norm"][:, None] * weights[dec + "1.EncDecAttention.v"].T
    found = blocks[enc + "1.DenseReluDense.wo", dec + "1.EncDecAttention.v"]
    np.testing.assert_allclose(found, read, rtol=1e-6)


def test_bert():
    model = built("transformers", lambda t: randomised(t.BertModel(t.BertConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=12, max_position_embeddings=8), add_pooling_layer=False)))  # fmt: skip
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    graph, blocks, weights = graph_of(model, inputs)
    assert graph.layers == (8, 8, 8, *(8, 8, 8, 8, 12, 8) * 2)
    at = "encoder.layer.0."
    out = weights[at + "attention.output.dense"].T
    found = blocks[at + "attention.self.value", at + "attention.output.dense"]
    np.testing.assert_allclose(found, out, rtol=1e-6)
    gamma = weights[at + "attention.output.LayerNorm"][:, None]
    found = blocks[at + "attention.output.dense", at + "intermediate.dense"]
    np.testing.assert_allclose(found, gamma * weights[at + "intermediate.dense"].T, rtol=1e-6)


def test_timm_vision_transformer():
    model = built("timm", lambda t: randomised(t.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=8, depth=2, num_heads=2, num_classes=3)))  # fmt: skip
    graph, blocks, weights = graph_of(model, (3, 16, 16))
    assert graph.layers[:9] == (8, *(24, 8, 32, 8) * 2)
    found = blocks["blocks.0.mlp.fc1", "blocks.0.mlp.fc2"]
    np.testing.assert_allclose(found, weights["blocks.0.mlp.fc2"].T, rtol=1e-6)
    values = blocks["blocks.1.attn.qkv", "blocks.1.attn.proj"]
    assert not values[:16].any()
    np.testing.assert_allclose(values[16:], weights["blocks.1.attn.proj"].T, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "side"),
    [
        ("efficientvit_b0", {"widths": (8, 16, 16, 16, 32), "head_dim": 8}, 64),
        ("convnext_atto", {"dims": (8, 16, 16, 16), "depths": (1, 1, 1, 1)}, 64),
        ("convnextv2_atto", {"dims": (8, 16, 16, 16), "depths": (1, 1, 1, 1)}, 64),
        ("densenet121", {"block_config": (2, 2), "growth_rate": 4}, 32),
    ],
)
def test_timm_networks_without_a_disagreement(name, options, side):
    model = built("timm", lambda t: randomised(t.create_model(name, num_classes=3, **options)))
    graph = graphs.weight_graph(model, example=(3, side, side))
    modules = dict(model.named_modules())
    for layer, size in zip(graph.names, graph.layers, strict=True):
        module = modules[layer.partition(" #")[0]]
        assert size == getattr(module, "out_channels", getattr(module, "out_features", None))
    kernels = [m for n, m in modules.items() if isinstance(m, torch.nn.Conv2d)
               and m.groups < max(m.in_channels, 2)]  # fmt: skip
    assert len(graph.layers) >= len(kernels)
    joined = {j for _, j in graph.blocks}
    assert joined == set(range(1, len(graph.layers)))


def scale(norm):
    """What a batch norm multiplies a channel by."""
    return (norm.weight.abs() / (norm.running_var + norm.eps).sqrt()).detach().double().numpy()


def test_efficientvit_sends_values_and_no_queries_to_the_projection():
    options = {"widths": (8, 16, 16, 16, 32), "head_dim": 8}
    model = built("timm", lambda t: randomised(t.create_model(
        "efficientvit_b0", num_classes=3, **options)))  # fmt: skip
    _, blocks, weights = graph_of(model, (3, 64, 64))
    at = "stages.2.blocks.1.context_module.main."
    kernel = weights[at + "proj.conv"][:, :, 0, 0].T
    for source, first in (("qkv.conv", 0), ("aggreg.0.1", 16)):
        expected = np.zeros((48, 16))
        for head in range(2):  # each 24 channels: queries, keys, values
            expected[24 * head + 16 : 24 * head + 24] = kernel[first + 8 * head :][:8]
        np.testing.assert_allclose(blocks[at + source, at + "proj.conv"], expected, rtol=1e-6)


def test_convnext():
    options = {"dims": (8, 16, 16, 16), "depths": (1, 1, 1, 1)}
    model = built("timm", lambda t: randomised(t.create_model(
        "convnext_atto", num_classes=3, **options)))  # fmt: skip
    _, blocks, weights = graph_of(model, (3, 64, 64))
    at = "stages.1.blocks.0."
    inner = weights[at + "mlp.fc2"][:, :, 0, 0].T
    np.testing.assert_allclose(blocks[at + "mlp.fc1", at + "mlp.fc2"], inner, rtol=1e-6)
    depthwise = weights[at + "conv_dw"].sum((1, 2, 3)) * weights[at + "norm"]
    expected = depthwise[:, None] * weights[at + "mlp.fc1"][:, :, 0, 0].T
    found = blocks["stages.1.downsample.1", at + "mlp.fc1"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_densenet_reads_each_earlier_layer_at_its_place():
    options = {"block_config": (2, 2), "growth_rate": 4}
    model = built("timm", lambda t: randomised(t.create_model(
        "densenet121", num_classes=3, **options)))  # fmt: skip
    _, blocks, weights = graph_of(model, (3, 32, 32))
    at = "features.denseblock1."
    kernel = weights["features.transition1.conv"][:, :, 0, 0].T
    kernel = kernel * scale(model.features.transition1.norm)[:, None]
    sources = ("features.conv0", at + "denselayer1.conv2", at + "denselayer2.conv2")
    found = np.concatenate([blocks[name, "features.transition1.conv"] for name in sources])
    kernel[:8] *= scale(model.features.norm0)[:, None]
    np.testing.assert_allclose(found, kernel, rtol=1e-6)
