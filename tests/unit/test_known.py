"""A mistyped section, scale or parameter is refused in one line, before anything is installed."""

import json
import os
import shutil
import subprocess

import pytest

from book.scripts import known
from book.scripts.sections import ROOT, all_sections

SECTION = "clusterability/01_mlps"


def test_every_section_is_known_at_every_scale():
    assert known.sections() == [section.name for section in all_sections()]
    for name in known.sections():
        assert known.parameters(name)
        assert not [scale for scale in known.SCALES if known.problem(name, scale)]


@pytest.mark.parametrize(
    ("section", "scale", "arguments", "told"),
    [
        ("clusterability/01_mlp", "quick", "", "did you mean clusterability/01_mlps?"),
        ("clusterabilty/01_mlps", "quick", "", "did you mean clusterability/01_mlps?"),
        ("notebooks/clusterability/01_mlps.ipynb", "quick", "", "did you mean clusterability/01_"),
        ("imagenet", "quick", "", "did you mean clusterability/04_imagenet?"),
        ("quantum", "quick", "", "there are: beyond/01_calibration, "),
        ("", "quick", "", "name a section, as in SECTION=beyond/01_calibration"),
        (SECTION, "papr", "", "no scale 'papr'; did you mean paper?"),
        (SECTION, "huge", "", "there are: quick, laptop, paper"),
        (SECTION, "quick", "-p sedes 2", "no parameter 'sedes'; did you mean seeds"),
        (SECTION, "quick", "-p seeds 2 -r epoch 1", "no parameter 'epoch'; "),
    ],
)
def test_a_slip_is_told_with_the_nearest_names(section, scale, arguments, told):
    line = known.problem(section, scale, arguments)
    assert told in line and "\n" not in line


@pytest.mark.parametrize("arguments", ["", "-p seeds 2", "-y 'seeds: 2' --log-output"])
def test_what_is_right_passes(arguments):
    assert known.problem(SECTION, "paper", arguments) == ""


# Without what a make around these tests would tell the one inside them.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
}


@pytest.fixture
def checkout(tmp_path):
    """The Makefile and one notebook; the environment would fail."""
    for name in ("Makefile", "book/scripts/known.py", f"notebooks/{SECTION}.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "book/scripts/environment.py").write_text("print('installing')")
    return tmp_path


@pytest.mark.parametrize("target", ["run", "rows"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["SECTION=clusterability/01_mlpz"],
        [],
        [f"SECTION={SECTION}", "SCALE=big"],
        [f"SECTION={SECTION}", "ARGS=-p sedes 2"],
    ],
)
def test_make_says_it_before_it_installs(checkout, target, arguments):
    done = subprocess.run(
        ["make", target, *arguments], cwd=checkout, env=CLEAN, capture_output=True, text=True
    )
    assert done.returncode == 2 and "installing" not in done.stdout
    line, last = done.stderr.splitlines()
    assert last.startswith("make: ***") and "Traceback" not in line


def test_quotes_in_arguments_survive_make(checkout):
    """They reach the check, and papermill, as they were typed."""
    arguments = "-y '{seeds: 2}' -p seeds \"it's\""
    done = subprocess.run(
        ["make", "-n", "run", f"SECTION={SECTION}", f"ARGS={arguments}"],
        cwd=checkout, env=CLEAN, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith(arguments)
    check = done.stdout.splitlines()[0].replace("known.py", "-c 'import sys, json; "
        "print(json.dumps(sys.argv[3]))'").replace("book/scripts/-c", "-c")  # fmt: skip
    shown = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == arguments
