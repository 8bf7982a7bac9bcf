"""The command line: what it prints and keeps, its exit status, its one-line errors."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch

from modgraph_lib import cli, communities, datasets, models, report
from modgraph_lib.cli import compare, curve
from modgraph_lib.cli import report as report_command
from modgraph_lib.communities import cka

NET = """
from modgraph_lib import models

def net(width=16, seed=0):
    return models.mlp(64, 10, widths=(width, width), seed=seed)

def ghost():
    return net().to("meta")

def breaks():
    raise RuntimeError("no licence\\nsecond line")
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network in a file, weights of it, and images."""
    place = tmp_path_factory.mktemp("work")
    (place / "net.py").write_text(NET)
    weights = models.mlp(64, 10, widths=(16, 16), seed=7).state_dict()
    safetensors.torch.save_file(weights, place / "w.safetensors")
    digits = datasets.load("digits", "test")
    held = {"images": digits.images[:60].numpy() / 16, "labels": digits.labels[:60].numpy()}
    np.savez(place / "digits.npz", **{n: a.astype("float32") for n, a in held.items()})
    safetensors.numpy.save_file({"x": held["images"]}, place / "other.safetensors")
    (place / "readonly").write_text("a file, where a folder would have to be")
    return place


def modgraph(folder, *arguments, status=0):
    """What a command prints, and what it says about errors."""
    done = subprocess.run(
        [sys.executable, "-m", "modgraph_lib.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_a_report_is_printed_and_kept(folder):
    told, errors = modgraph(
        folder, "report", "net.py:net", "--weights", "w.safetensors", "--k", "4",
        "--shuffles", "9", "--workers", "1", "--out", "found.json",
    )  # fmt: skip
    found = report.Report.load(folder / "found.json")
    assert errors == "" and told == f"{found.summary()}\nfound.json\n"
    model = models.mlp(64, 10, widths=(16, 16), seed=7)
    mine = report.clusterability(model, k=4, shuffles=9, workers=1)
    assert (found.ncut, found.p, found.z) == (mine.ncut, mine.p, mine.z)
    assert found.name == "net.py:net with w.safetensors"


def test_a_curve_is_that_of_the_library(folder):
    told, _ = modgraph(
        folder, "curve", "net.py:net", "--weights", "w.safetensors", "--data", "digits.npz",
        "--samples", "50", "--device", "cpu", "--out", "curve.csv",
    )  # fmt: skip
    model = models.mlp(64, 10, widths=(16, 16), seed=7).eval()
    with np.load(folder / "digits.npz") as held:
        chosen = np.sort(np.random.default_rng(0).permutation(60)[:50])
        images, labels = held["images"][chosen], held["labels"][chosen]
    mine = communities.modularity_curve(model, images, labels, device="cpu")
    rows = list(csv.DictReader((folder / "curve.csv").read_text().splitlines()))
    assert [row["layer"] for row in rows] == list(mine.layers)
    np.testing.assert_allclose([float(row["q"]) for row in rows], mine.q, atol=1e-6)
    assert told.splitlines()[0] == f"1  Q = {mine.q[0]:.3f}"


def test_a_comparison_is_that_of_the_library(folder):
    told, _ = modgraph(
        folder, "compare", "net.py:net", "net.py:net", "--weights-a", "w.safetensors",
        "--data", "digits.npz", "--unbiased", "--device", "cpu", "--out", "cka.json",
    )  # fmt: skip
    one, two = (models.mlp(64, 10, widths=(16, 16), seed=seed).eval() for seed in (7, 0))
    with np.load(folder / "digits.npz") as held:
        images = held["images"]
    mine = cka.cka_matrix(one, images, two, unbiased=True, device="cpu")
    found = json.loads((folder / "cka.json").read_text())
    np.testing.assert_allclose(found["cka"], mine.values, atol=5e-5)
    assert found["unbiased"] and len(told.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["report", "net.py:net", "--k", "3", "--shuffles", "2"], "r.html"),
        (["curve", "net.py:net", "--data", "digits", "--samples", "40"], "c.html"),
        (["compare", "net.py:net", "net.py:net", "--data", "digits", "--samples", "40"], "k.html"),
    ],
)
def test_a_page_asks_for_nothing_outside_itself(folder, monkeypatch, arguments, name):
    monkeypatch.chdir(folder)
    assert cli.main([*arguments, "--out", name]) == 0
    page = (folder / name).read_text("utf8")
    assert page.startswith("<!DOCTYPE html>") and "<svg role=" in page and "net.py:net" in page
    for asks in ("<script", '<link rel="stylesheet', "src=", "@import", "url(http"):
        assert asks not in page


WRONG = [
    (["report", "nowhere.py:net"], 2, "no file"),
    (["report", "net.py:nett"], 2, "did you mean net"),
    (["report", "net.py:breaks"], 2, "no licence"),
    (["report", "net.py:net", "--weights", "gone.safetensors"], 2, "no weights file"),
    (["report", "net.py:net", "--weights", "w.safetensors", "--arg", "width=8"], 2,
     "another shape"),
    (["report", "net.py:net", "--arg", "width"], 2, "--arg takes NAME=VALUE"),
    (["report", "net.py:net", "--input", "3x4"], 2, "--input takes sizes"),
    (["report", "net.py:net", "--out", "page.pdf"], 2, "ends in .html or .json"),
    (["report", "net.py:net", "--out", "gone/page.html"], 2, "cannot be written: No such file"),
    (["report", "net.py:net", "--out", "readonly/page.html"], 2, "cannot be written: Not a dir"),
    (["report", "net.py:ghost", "--k", "3"], 1, "on the meta device and holds no numbers"),
    (["report", "net.py:net", "--k", "1"], 1, "at least 2, got 1"),
    (["report", "net.py:net", "--k", "900"], 1, "106 nodes"),
    (["curve", "net.py:net", "--data", "digts"], 2, "Did you mean 'digits'"),
    (["curve", "net.py:net", "--data", "gone.npz"], 2, "no file"),
    (["curve", "net.py:net", "--data", "other.safetensors"], 2, "must hold 'images' and 'labels'"),
    (["curve", "net.py:net", "--data", "digits", "--samples", "1"], 2, "--samples must be"),
    (["curve", "net.py:net", "--data", "digits", "--layers", "nine"], 1, "nine"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG, ids=lambda x: str(x)[:40])
def test_what_cannot_be_done_is_told_in_one_line(folder, monkeypatch, capfd, arguments, status,
                                                 message):  # fmt: skip
    """In this process, which is quicker; the status of a process is checked below."""
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert cli.main(arguments) == status
    told = capfd.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and "Traceback" not in told.err
    assert told.err.startswith("modgraph: ") and not told.out
    assert [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"] == [
        path for path in before if path.name != "__pycache__"
    ]


def test_the_status_is_that_of_the_process_and_debug_shows_the_place(folder):
    _, errors = modgraph(folder, "report", "net.py:net", "--k", "1", status=1)
    assert errors.count("\n") == 1
    _, errors = modgraph(folder, "report", "net.py:breaks", "--debug", status=1)
    assert "Traceback" in errors
    _, errors = modgraph(folder, "repot", status=2)
    assert "invalid choice" in errors


@pytest.mark.parametrize("module", [report_command, curve, compare])
def test_help_shows_examples_and_loads_nothing_heavy(folder, module):
    name = module.__name__.rpartition(".")[2]
    told, _ = modgraph(folder, name, "--help")
    assert module.EXAMPLES.splitlines()[1] in told
    code = (
        "import sys\nfrom modgraph_lib import cli\n"
        f"try: cli.main(['{name}', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("False\n")
