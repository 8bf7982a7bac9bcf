"""Published architectures of torchvision, against derivatives and counts."""

import numpy as np
import pytest
import torch
from torch import fx, nn

from modgraph_lib import graphs
from modgraph_lib._torchvision import torchvision


def torchvision_model(name):
    options = {"init_weights": False} if name in ("googlenet", "vgg11_bn") else {}
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=10, **options).eval()


ARCHITECTURES = {
    "alexnet": 1152,
    "squeezenet1_1": 2954,
    "vgg11_bn": 2752,
    "resnet18": 4800,
    "googlenet": 7280,
    "densenet121": 10240,
    "mobilenet_v2": 9920,
    "mobilenet_v3_small": 6488,
    "shufflenet_v2_x0_5": 2944,
    "mnasnet0_5": 6240,
}


@pytest.mark.parametrize(("name", "nodes"), ARCHITECTURES.items())
def test_torchvision_networks(name, nodes):
    model = torchvision_model(name)
    graph = graphs.weight_graph(model)
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    counted = {
        n: m.out_channels
        for n, m in convolutions.items()
        if m.groups < m.in_channels and not n.startswith("aux")
    }
    assert dict(zip(graph.names, graph.layers, strict=True)) == counted
    assert graph.nodes == nodes
    pairs = {(graph.names[i], graph.names[j]) for i, j in graph.blocks}
    reachable = joined_in_fx(model, counted)
    # a slice of channels (ShuffleNet) may leave a layer out, which layers alone cannot tell
    assert pairs <= reachable if name.startswith("shufflenet") else pairs == reachable


def joined_in_fx(model, wanted):
    """Pairs of convolutions without another between them, by torch.fx."""
    network = fx.symbolic_trace(model)
    is_end = {n: n.op == "call_module" and n.target in wanted for n in network.graph.nodes}
    pairs = set()
    for end in (node for node, found in is_end.items() if found):
        seen, queue = set(), list(end.all_input_nodes)
        while queue:
            node = queue.pop()
            if node in seen:
                continue
            seen.add(node)
            if is_end[node]:
                pairs.add((node.target, end.target))
            else:
                queue += node.all_input_nodes
    return pairs


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "shufflenet_v2_x0_5"])
def test_edges_are_derivatives_of_the_network_cut_at_every_layer(name):
    """With positive weights and every layer's output cut off, an edge is a derivative."""
    model = torchvision_model(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.abs_()
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
    graph = graphs.weight_graph(model)
    leaves, outputs = {}, {}

    def cut(layer, inputs, output):
        outputs[names[layer]] = output
        leaves[names[layer]] = (0.01 + 1e-3 * torch.rand(output.shape)).requires_grad_()
        return leaves[names[layer]]

    names = {m: n for n, m in model.named_modules() if n in graph.names}
    hooks = [layer.register_forward_hook(cut) for layer in names]
    with torch.enable_grad():
        model(torch.rand(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    rng = np.random.default_rng(0)
    for j in rng.choice(np.arange(1, len(graph.layers)), 6, replace=False):
        channel = rng.integers(graph.layers[j])
        out = outputs[graph.names[j]]
        pixel = out[0, channel, out.shape[2] // 2, out.shape[3] // 2]
        given = [i for i in range(j) if (i, j) in graph.blocks]
        ends = [leaves[graph.names[i]] for i in given]
        gradients = torch.autograd.grad(pixel, ends, retain_graph=True)
        for i, gradient in zip(given, gradients, strict=True):
            expected = gradient.sum((0, 2, 3)).double().numpy()
            np.testing.assert_allclose(graph.blocks[i, j][:, channel], expected, rtol=1e-4)


def test_channel_last_and_windowed_networks():
    vision = torchvision.models
    setting = vision.convnext.CNBlockConfig
    network = vision.ConvNeXt([setting(8, 16, 2), setting(16, None, 1)], num_classes=3)
    # stem; two blocks of two pointwise layers; downsampling; one block
    assert graphs.weight_graph(network).layers == (8, 32, 8, 32, 8, 16, 64, 16)
    for block in (None, vision.swin_transformer.SwinTransformerBlockV2):
        options = {"block": block, "downsample_layer": vision.swin_transformer.PatchMergingV2}
        network = vision.SwinTransformer(
            [4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=3, **(options if block else {})
        )
        graph = graphs.weight_graph(network)
        assert graph.layers == (16, 48, 16, 64, 16, 32, 96, 32, 128, 32)
