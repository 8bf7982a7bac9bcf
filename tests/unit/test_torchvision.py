"""The import of torchvision beside a CPU build of torch."""

import subprocess
import sys

import pytest
import torch

from modgraph_lib import _torchvision, hooks


def test_import_leaves_a_working_torchvision():
    model = _torchvision.torchvision.models.resnet18(num_classes=10).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    blocks = [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]
    assert hooks.default_layers(model) == ("conv1", *blocks)


def test_nothing_is_declared_where_the_operators_exist():
    assert hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
    assert _torchvision.declare_missing_operators() is None


def test_a_missing_torchvision_is_named(monkeypatch):
    monkeypatch.setattr(_torchvision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="torchvision is not installed"):
        _torchvision.declare_missing_operators()


def test_only_absent_operators_are_declared():
    """In a fresh process: one operator exists already, the other one is added."""
    script = (
        "import torch;"
        "own = torch.library.Library('torchvision', 'FRAGMENT');"
        "own.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor');"
        "from modgraph_lib._torchvision import torchvision;"
        "assert hasattr(torch.ops.torchvision, 'qnms'); print(torchvision.__version__)"
    )
    if _torchvision._declared is None:
        pytest.skip("torchvision matches torch here: its own operators are loaded")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
