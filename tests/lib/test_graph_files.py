"""Weights files, adjacency matrices and default layers as people have them."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from modgraph_lib import clustering, communities, report


def small(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.filterwarnings("ignore:`torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.",
               "model.net."]
)  # fmt: skip
def test_prefixes_of_wrapped_models_are_taken_off(prefix, tmp_path):
    source, path = small(1), tmp_path / "w.pt"
    state = {prefix + name: value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, path)
    for model in (small(0), torch.compile(small(0), backend="eager")):
        report.fill(model, report.load_weights(path), "w.pt")
        for one, two in zip(model.parameters(), source.parameters(), strict=True):
            assert torch.equal(one, two)


def test_part_of_a_checkpoint_may_be_compiled(tmp_path):
    source = small(1)
    state = {name.replace("2.", "2._orig_mod."): v for name, v in source.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    model = small(0)
    report.fill(model, report.load_weights(tmp_path / "w.pt"), "w.pt")
    assert torch.equal(model[2].weight, source[2].weight)


@pytest.mark.parametrize("content", [b"", b"accuracy 0.93\n", b"\x80\x02}q\x00.", b"{}"])
def test_files_without_weights_say_so(content, tmp_path):
    for name in ("w.pt", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read as|not tensors"):
            report.load_weights(tmp_path / name)


def test_codes_and_meta_tensors_are_no_weights():
    given = small(1).state_dict()
    with pytest.raises(ValueError, match=r"0.weight holds int8 numbers.*quantised"):
        report.fill(small(0), given | {"0.weight": torch.ones(4, 3, dtype=torch.int8)}, "w.pt")
    with pytest.raises(ValueError, match="meta device"):
        report.fill(small(0), given | {"0.weight": torch.ones(4, 3, device="meta")}, "w.pt")
    model = small(0)
    report.fill(model, given | {"0.weight": given["0.weight"].to_sparse()}, "w.pt")
    assert torch.equal(model[0].weight, given["0.weight"])


def test_an_adjacency_of_any_type():
    network = nx.barbell_graph(5, 0)
    matrix = nx.to_scipy_sparse_array(network, weight=None)
    tensor = torch.tensor(matrix.toarray())
    kinds = [matrix, matrix.astype(bool), matrix.astype(float), matrix.toarray(), tensor]
    kinds.append(tensor.to_sparse())
    for adjacency in kinds:
        labels = clustering.spectral_clustering(adjacency, 2)
        assert len(set(labels[:5])) == len(set(labels[5:])) == 1 and labels[0] != labels[5]
        # one edge between two cliques of 10 edges each: 1/21 + 1/21
        assert clustering.ncut(adjacency, labels) == pytest.approx(2 / 21)
    with pytest.raises(TypeError, match="to_scipy_sparse_array"):
        clustering.spectral_clustering(network, 2)
    with pytest.raises(ValueError, match="real weights"):
        clustering.ncut(np.eye(2) * 1j, np.array([0, 1]))


class Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last, self.aux = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.first(x)
        return (self.last(x), self.aux(x)) if self.training else self.last(x)


def test_heads_that_only_training_runs_are_no_default_layers():
    images, labels = torch.rand(8, 3, 4, 4), [0, 1] * 4
    curve = communities.modularity_curve(Auxiliary().eval(), images, labels, k=2)
    assert tuple(curve.layers) == ("first", "last")
    with pytest.raises(ValueError, match="never ran"):
        communities.modularity_curve(Auxiliary().eval(), images, labels, k=2, layers=["aux"])
