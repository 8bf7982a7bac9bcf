"""The report of one's own network, and loading it by import path and weights file."""

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from modgraph_lib import clustering, graphs, models, plots, report, toys
from modgraph_lib._torchvision import torchvision

FACTORY = "modgraph_lib.models:mlp"
ARGUMENTS = {"inputs": 6, "outputs": 4, "widths": [8, 8], "seed": 0}


@pytest.fixture(scope="module")
def strands():
    weights, strand = toys.strands(2, (8, 8, 8), leak=0.05, seed=0)
    return report.clusterability(weights, k=2, shuffles=9, workers=1), strand


def test_known_strands_are_reported(strands):
    found, strand = strands
    test = clustering.shuffle_test(found.graph, 2, shuffles=9, workers=1)
    assert (found.ncut, found.p, found.z) == (test.ncut, test.p_value, test.z_score)
    assert found.p == 0.1 and found.z < 0
    assert len({tuple(pair) for pair in np.stack([found.labels, strand], 1)}) == 2
    assert found.cluster_sizes[[1, 2]].to_numpy().tolist() == [[4, 4]] * 3
    assert list(found.cluster_sizes.index) == ["inputs", "weights[0]", "weights[1]"]


def test_the_summary_says_what_was_measured(strands):
    text = strands[0].summary()
    assert f"n-cut at k = 2: {strands[0].ncut:.3f}" in text
    assert "24 nodes" in text and "below 9 of 9 shuffles: p = 0.100" in text
    assert "cluster sizes: 12, 12" in text


def test_the_picture_shows_the_shares(strands):
    figure = strands[0].figure()
    shares, null = figure.axes[:2]
    np.testing.assert_allclose(shares.images[0].get_array(), 0.5)
    assert "k = 2" in null.get_xlabel()


def test_clusters_are_numbered_by_size_and_isolated_nodes_counted():
    weights = [np.kron(np.diag([1.0, 0, 1]), np.ones((2, 2)))]
    weights[0] = np.block([[np.ones((4, 3)), np.zeros((4, 3))], [np.zeros((2, 3)), np.eye(2, 3)]])
    found = report.clusterability(weights, k=2, shuffles=2, workers=1)
    totals = found.cluster_sizes[[1, 2]].sum()
    assert totals[1] >= totals[2]
    assert found.cluster_sizes["isolated"].tolist() == [1, 0]
    assert found.cluster_sizes["nodes"].tolist() == [6, 6]
    assert "1 of them isolated" in found.summary()


def test_units_without_weights_to_speak_of_are_told(strands):
    assert "next to no weights" not in strands[0].summary()
    weights = [np.array(w, dtype=float) for w in toys.strands(2, (8, 8, 8), leak=0.05, seed=0)[0]]
    weights[0][3] *= 1e-30  # a unit of the middle layer, (outputs, inputs)
    weights[1][:, 3] *= 1e-30
    told = report.clusterability(weights, k=2, shuffles=2, workers=1)
    assert "taken for zero: " in told.summary() and "1 of them isolated" in told.summary()
    found = report.clusterability(weights, k=3, shuffles=2, workers=1, floor=0)
    assert "nodes with next to no weights: 1 (" in found.summary()
    (advice,) = [line for line in found.summary().splitlines() if "next to no" in line]
    limit = float(advice.rsplit("(", 1)[1].split(")")[0])
    smaller = found.graph.without_isolated(limit)[0]
    assert smaller.nodes == found.graph.nodes - 1
    living = report.clusterability(smaller, k=2, shuffles=2, workers=1)
    assert "next to no weights" not in living.summary()


class Split(nn.Module):
    """Two layers that read halves of what is before them, as ShuffleNet's do."""

    def __init__(self, width=24):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 1)
        self.layers = nn.ModuleList(nn.Conv2d(width // 2, width // 2, 1) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            one, two = x.chunk(2, 1)
            x = torch.stack([one, layer(two)], 2).flatten(1, 2)
        return x


def test_kernel_shuffles_keep_what_the_architecture_ties():
    torch.manual_seed(0)
    model = Split()
    graph = graphs.weight_graph(model)
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[[0, 1]])
    assert shuffled.layers == graph.layers and shuffled.names == graph.names
    for pair, block in graph.blocks.items():
        assert np.array_equal(block > 0, shuffled.blocks[pair] > 0)
        assert not np.allclose(block, shuffled.blocks[pair])


@pytest.mark.parametrize("seed", [2, 3])
def test_untrained_networks_differ_from_shuffled_blocks_but_not_from_shuffled_kernels(seed):
    torch.manual_seed(seed)
    model = Split()
    tied = report.clusterability(model, k=4, shuffles=19, workers=1)
    apart = report.clusterability(model, k=4, shuffles=19, method="layer", workers=1)
    assert tied.method == "kernel" and tied.p > 0.2
    assert apart.p == 0.05 and apart.z < -5


def test_kernel_shuffles_of_a_chain_permute_each_block():
    model = models.mlp(5, 3, widths=(4,), seed=0)
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[0])
    for pair, block in graphs.weight_graph(model).blocks.items():
        np.testing.assert_allclose(np.sort(block.ravel()), np.sort(shuffled.blocks[pair].ravel()))
    assert report.clusterability(model, k=2, shuffles=2, workers=1).method == "layer"


def test_a_residual_kernel_is_permuted_once_for_all_its_readers():
    torch.manual_seed(0)
    block = torchvision.models.resnet.BasicBlock
    model = nn.Sequential(nn.Conv2d(3, 8, 1), block(8, 8), nn.Conv2d(8, 4, 1)).eval()
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[3])
    # conv1 and the block's second convolution are summed before the last one
    root = np.sqrt(1 + 1e-5)  # of the batch norm behind the second convolution
    np.testing.assert_allclose(shuffled.blocks[0, 3], shuffled.blocks[2, 3] * root)


def test_grouped_kernels_are_permuted_within_groups():
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1, groups=2))
    (shuffled,) = graphs.kernel_shuffles(model, seeds=[0])
    (block,) = shuffled.blocks.values()
    (before,) = graphs.weight_graph(model).blocks.values()
    for rows, columns in ((slice(0, 3), slice(0, 2)), (slice(3, 6), slice(2, 4))):
        np.testing.assert_allclose(
            np.sort(block[rows, columns].ravel()), np.sort(before[rows, columns].ravel())
        )


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("wrap", [False, True])
def test_weights_come_from_a_file(tmp_path, suffix, wrap):
    source = models.mlp(6, 4, widths=(8, 8), seed=5)
    path = tmp_path / f"weights{suffix}"
    state = {f"module.{n}" if wrap else n: v for n, v in source.state_dict().items()}
    if suffix == ".pt":
        torch.save({"state_dict": state, "epoch": 3} if wrap else state, path)
    else:
        safetensors.torch.save_file(state, path)
    model = report.load_model(FACTORY, weights=path, arguments=ARGUMENTS)
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name])


def test_a_factory_in_a_file_or_from_torchvision(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from torch import nn\ndef tiny(width):\n    return nn.Linear(3, width)\n")
    assert report.load_model(f"{path}:tiny", arguments={"width": 5}).out_features == 5
    model = report.load_model("torchvision.models:squeezenet1_1", arguments={"num_classes": 3})
    assert isinstance(model, torchvision.models.SqueezeNet)


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("resnet18", {}, "write 'package.module:function'"),
        ("modgraph_lib.models:mpl", {}, "did you mean mlp"),
        ("modgraph_lib.modles:mlp", {}, "No module named"),
        ("nowhere/model.py:Net", {}, "no file"),
        (FACTORY, {"inputs": 3}, "missing"),
        (FACTORY, {**ARGUMENTS, "depth": 3}, "unexpected keyword argument 'depth'"),
        ("builtins:dict", {}, "gave a dict, not a torch module"),
    ],
)
def test_factories_that_do_not_work(factory, arguments, message):
    with pytest.raises(ValueError, match=message):
        report.load_model(factory, arguments=arguments)


def test_weights_that_do_not_fit_are_all_named(tmp_path):
    state = models.mlp(6, 4, widths=(9, 8), seed=0).state_dict()
    state["extra"] = state.pop("1.bias")
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file(state, path)
    message = r"1 missing: 1.bias; 1 unexpected: extra; 2 of another shape: 1.weight is \(9, 6\)"
    with pytest.raises(ValueError, match=message):
        report.load_model(FACTORY, weights=path, arguments=ARGUMENTS)


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights file"):
        report.load_weights(tmp_path / "none.safetensors")
    for name in ("broken.safetensors", "broken.pt"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(ValueError, match="cannot be read as safetensors or weights"):
            report.load_weights(tmp_path / name)
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ValueError, match="cannot be read"):
        report.load_weights(tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds a list, not tensors by name"):
        report.load_weights(tmp_path / "list.pt")


def test_misuse_is_refused(strands):
    with pytest.raises(TypeError, match="drop residual"):
        report.clusterability(strands[0].graph, k=2, residual="merge")
    with pytest.raises(ValueError, match="pass the module itself"):
        report.clusterability(strands[0].graph, k=2, method="kernel")
    with pytest.raises(ValueError, match=r"shuffles must .*at least 1"):
        report.clusterability(Split(8), k=2, shuffles=0)
    with pytest.raises(ValueError, match=r"columns 1\.\.3"):
        plots.clusters_by_layer(strands[0].cluster_sizes, ncut=1.0, shuffled=[1.0], k=3)
