"""The library as a user has it: a wheel, installed, in a folder with no repository around."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf8"), re.S)
# What the README's reader has already: a model, and images with their classes.
MODEL = """
import torch
from modgraph_lib import models
model = models.mlp(30, 4, widths=(24, 24), seed=0)
images = torch.rand(60, 30, generator=torch.Generator().manual_seed(0))
labels = torch.arange(60) % 4
"""
TRAINED = """
from modgraph_lib import cache, training
config = training.TrainConfig(data="digits", widths=(8,), epochs=1, prune_epochs=0, seed=0)
print(training.trained(config).image_shape)
print(training.cache_path(config))
"""


def pip(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder a wheel of this checkout is installed in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # building leaves files beside the source
    shutil.copytree(
        ROOT / "modgraph_lib", source / "modgraph_lib", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", *QUIET, "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    pip("install", *QUIET, "--target", folder / "site", wheel)
    return folder / "site"


def run(site, tmp_path, code, **environment):
    """What ``code`` prints in an empty folder, with the installed library alone."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODGRAPH", "XDG", "PYTHON"))}
    kept |= {"HOME": str(home), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=work,
        env=kept | {"MPLBACKEND": "Agg"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(work.iterdir()) == []
    return done.stdout.strip().splitlines()


def contents(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_the_wheel_holds_the_library_alone(site):
    assert {p.name for p in site.iterdir()} == {
        "bin",
        "modgraph_lib",
        "modgraph_lib-0.1.0.dist-info",
    }


def test_the_examples_of_the_readme_run_as_installed(site, tmp_path):
    assert len(EXAMPLES) == 3
    before = contents(site)
    code = "\n".join([MODEL, *EXAMPLES, "print(report.__file__)"])
    *told, place = run(site, tmp_path, code)
    assert Path(place) == site / "modgraph_lib" / "report.py"
    assert any(line.startswith("n-cut at k = 12: ") for line in told)
    assert contents(site) == before


def test_the_command_line_runs_as_installed(site, tmp_path):
    before, work = contents(site), tmp_path / "empty"
    work.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODGRAPH", "XDG", "PYTHON"))}
    kept |= {"HOME": str(tmp_path), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    network = ["modgraph_lib.models:mlp", "--arg", "inputs=64", "--arg", "outputs=10"]
    network += ["--arg", "seed=0", "--arg", "widths=[8]"]
    for arguments in (
        ["report", *network, "--k", "3", "--shuffles", "2", "--out", "report.html"],
        ["curve", *network, "--data", "digits", "--samples", "30", "--out", "curve.html"],
    ):
        done = subprocess.run(
            [sys.executable, "-P", site / "bin" / "modgraph", *arguments],
            cwd=work, env=kept | {"MPLBACKEND": "Agg"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"{arguments[-1]}\n")
    assert sorted(path.name for path in work.iterdir()) == ["curve.html", "report.html"]
    assert contents(site) == before


@pytest.mark.parametrize("chosen", [False, True], ids=["the user's folder", "MODGRAPH_CACHE"])
def test_what_is_kept_goes_to_the_cache(site, tmp_path, chosen):
    before, kept = contents(site), tmp_path / "kept"
    finished, place = run(
        site, tmp_path, TRAINED, **({"MODGRAPH_CACHE": str(kept)} if chosen else {})
    )
    assert finished == "(1, 8, 8)" and Path(place).is_file()
    assert Path(place).is_relative_to(kept if chosen else tmp_path / "home")
    assert contents(site) == before


def test_a_repository_around_an_installed_library_is_not_taken_for_its_own(site, tmp_path):
    """Not as the origin of results, and not as a place for a cache."""
    project = tmp_path / "project"
    shutil.copytree(site, project / "site")
    (project / "pyproject.toml").write_text("")
    commands = ["init -q", "-c user.name=a -c user.email=b commit -q --allow-empty -m c"]
    for command in commands:
        subprocess.run(["git", "-C", project, *command.split()], check=True)
    code = (
        "from modgraph_lib import cache, provenance\n"
        "print(cache.checkout(), provenance.stamp(device='cpu', threads=1, seconds=0)['commit'])"
    )
    assert run(project / "site", tmp_path, code) == ["None unknown"]
