"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from book.scripts import environment, lock, pythons

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]


def requirements() -> list[Requirement]:
    """Every direct requirement of pyproject.toml, the extra that only names the others left out.

    So is "minilm": 84 MB and what they need, for a few rows of one section. It pins its model.
    """
    extras = {name: given for name, given in PROJECT["optional-dependencies"].items()
              if name != "minilm"}  # fmt: skip
    lists = [PROJECT["dependencies"], *extras.values()]
    found = [Requirement(text) for one in lists for text in one]
    return [r for r in found if canonicalize_name(r.name) != canonicalize_name(PROJECT["name"])]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt holds exact pins only"
    names = [canonicalize_name(name) for name, _ in pairs]
    assert len(names) == len(set(names)), "constraints.txt names a package twice"
    return dict(zip(names, (v for _, v in pairs), strict=True))


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_every_requirement_is_pinned_to_a_version_it_allows(requirement):
    pinned = pins().get(canonicalize_name(requirement.name))
    assert pinned, f"{requirement.name} is in pyproject.toml and not in constraints.txt"
    assert requirement.specifier.contains(pinned), f"{requirement} does not allow {pinned}"


@pytest.mark.parametrize("python", pythons.VERSIONS)
def test_transitive_requirements_are_pinned_too(python):
    """Walk what is installed from the direct requirements down; each package must have a pin.

    Also those that another Python needs; what these need in turn is known where they are installed.
    """
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    locked, todo, seen = pins(), [(r.name, r.extras) for r in requirements()], set()
    missing = set()
    while todo:
        name, extras = todo.pop()
        name = canonicalize_name(name)
        if (name, frozenset(extras)) in seen:
            continue
        seen.add((name, frozenset(extras)))
        try:
            needs = requires(name) or []
        except PackageNotFoundError:  # for another platform
            continue
        if name not in locked and not name.startswith(("nvidia-", "cuda-", "triton")):
            missing.add(name)
        for need in map(Requirement, needs):
            wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate({**here, **e}) for e in wanted):
                todo.append((need.name, need.extras))
    assert not missing, f"not in constraints.txt: {sorted(missing)}"


def test_installed_versions_are_the_locked_ones():
    installed = {canonicalize_name(d.name): d.version for d in distributions()}
    others = {
        name: (pin, installed[name])
        for name, pin in pins().items()
        if name in installed and Version(installed[name]).public != pin
    }
    assert not others, f"locked and installed versions differ: {others}"


def test_conda_environment_takes_everything_from_the_other_two():
    env = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))
    plain = [d for d in env["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in env["dependencies"] if isinstance(d, dict)]
    assert pip == ["--constraint constraints.txt", "--editable .[all]", "--editable ./book"]
    assert sorted(d.split("=")[0] for d in plain) == ["pip", "python"]
    (python,) = [d.split("=")[1] for d in plain if d.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_supported_pythons_are_told_once():
    spec = SpecifierSet(PROJECT["requires-python"])
    low, high = environment.SUPPORTED
    assert spec.contains(f"{low[0]}.{low[1]}.0") and not spec.contains(f"{low[0]}.{low[1] - 1}.9")
    assert not spec.contains(f"{high[0]}.{high[1]}.0") and spec.contains(f"3.{high[1] - 1}.0")


@pytest.fixture
def checkout(tmp_path):
    """The files that define the environment, in a folder of their own."""
    for name in ("pyproject.toml", "book/pyproject.toml", "constraints.txt", "Makefile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_environment_digest_follows_content_not_dates(checkout):
    before = environment.digest(checkout)
    (checkout / "constraints.txt").touch()
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("\n[tool.other]\nx = 1\n")
    assert environment.digest(checkout) == before


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("constraints.txt", "six==1.17.0\n"),
        ("pyproject.toml", '\n[project.urls]\nx = "https://y.z"\n'),
        ("book/pyproject.toml", '\n[project.scripts]\nx = "y:z"\n'),
    ],
)
def test_environment_digest_follows_each_of_its_files(checkout, name, more):
    before = environment.digest(checkout)
    with (checkout / name).open("a") as file:
        file.write(more)
    assert environment.digest(checkout) != before


def test_half_made_environment_is_not_current(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    assert not environment.is_current(venv)
    (venv / ".modgraph-stamp").write_text("something older")
    assert not environment.is_current(venv)
    (venv / ".modgraph-stamp").write_text(environment.digest())
    assert environment.is_current(venv)


def test_library_and_book_are_installed_and_the_stamp_is_last(checkout, monkeypatch):
    venv, calls = checkout / "venv", []

    def run(command, check):
        assert check and not (venv / ".modgraph-stamp").exists()
        venv.mkdir(exist_ok=True)
        calls.append(command)

    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.install(venv, checkout)
    assert [call[-1] for call in calls] == [
        str(venv), "setuptools", f"{checkout}[all]", str(checkout / "book")
    ]  # fmt: skip
    assert all(str(checkout / "constraints.txt") in call for call in calls[1:])
    assert {"--editable", "--no-deps"} <= set(calls[3])
    assert (venv / ".modgraph-stamp").read_text() == environment.digest(checkout)


def test_book_and_library_are_importable_from_any_folder(tmp_path):
    code = "import book.lab, book.papers, modgraph_lib; print('here')"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True
    )
    assert done.stdout == "here\n", done.stderr


class TestInterpreter:
    """`make` asks for the Python of `.venv`, unless told another; no real Python is started."""

    @pytest.fixture
    def make(self, checkout):
        script = '#!/bin/sh\necho "asked ${0##*/}"\n'
        for name in ("remembered", "python3", "named"):
            (checkout / name).write_text(script)
            (checkout / name).chmod(0o755)

        def run(*arguments, **variables):
            path = f"{checkout}{os.pathsep}{os.environ['PATH']}"
            hidden = ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of a make around the tests
            clean = {k: v for k, v in os.environ.items() if k not in hidden}
            done = subprocess.run(
                ["make", "env", *arguments],
                cwd=checkout,
                env={**clean, "PATH": path, **variables},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        return run

    @pytest.fixture
    def made(self, checkout):
        (checkout / ".venv").mkdir()
        config = f"home = {checkout}\nversion = 3.13.0\nexecutable = {checkout}/remembered\n"
        (checkout / ".venv" / "pyvenv.cfg").write_text(config)

    def test_the_first_time_it_is_the_systems(self, make):
        assert make() == "asked python3"

    def test_afterwards_it_is_the_environments_own(self, make, made):
        assert make() == "asked remembered"

    def test_a_named_one_wins(self, make, made):
        assert make("PYTHON=named") == make(PYTHON="named") == "asked named"

    def test_one_that_is_gone_is_forgotten(self, checkout, make, made):
        (checkout / "remembered").unlink()
        assert make() == "asked python3"

    def test_an_environment_records_what_made_it(self, tmp_path):
        """The line that the Makefile reads is really written."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
        config = (tmp_path / "pyvenv.cfg").read_text()
        (line,) = [line for line in config.splitlines() if line.startswith("executable = ")]
        assert os.access(line.removeprefix("executable = "), os.X_OK)


class TestPythons:
    def test_supported_versions(self):
        spec = SpecifierSet(PROJECT["requires-python"])
        assert all(spec.contains(version) for version in pythons.VERSIONS)

    @pytest.fixture
    def only(self, tmp_path, monkeypatch):
        """A machine with a Python 3.12 from pyenv, and a command for 3.13 that does not work."""
        good = tmp_path / "pyenv" / "versions" / "3.12.9" / "bin" / "python"
        broken = tmp_path / "bin" / "python3.13"
        for path, line in ((good, "echo 3.12"), (broken, "echo not switched on >&2; exit 127")):
            path.parent.mkdir(parents=True)
            path.write_text(f"#!/bin/sh\n{line}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
        monkeypatch.setenv("PATH", str(broken.parent))
        return str(good)

    def test_those_that_start_are_found(self, only):
        assert [pythons.find(version) for version in pythons.VERSIONS] == [None, only, None]

    @pytest.mark.parametrize(
        ("arguments", "outcome", "status"),
        [([], "passed", 0), ([], "FAILED: no", 1), (["3.11", "3.12"], "passed", 1)],
    )
    def test_all_are_named_in_the_end(self, only, monkeypatch, capsys, arguments, outcome, status):
        monkeypatch.setattr(pythons, "run_suite", lambda *_: outcome)
        assert pythons.main([*arguments, "--", "-x"]) == status
        told = capsys.readouterr().out
        assert "Python 3.11: not found" in told and f"Python 3.12: {outcome}" in told

    def test_an_unknown_one_is_refused(self, capsys):
        with pytest.raises(SystemExit):
            pythons.main(["3.9"])
        assert "3.11, 3.12, 3.13" in capsys.readouterr().err


class TestLock:
    def test_pins_of_absent_pythons_are_kept_and_of_present_ones_gathered(self, tmp_path):
        (tmp_path / "constraints.txt").write_text("# a comment\nonly-elsewhere==1\nnumpy==0.1\n")
        pins, absent = lock.gathered(tmp_path)
        assert pins["only-elsewhere"] == "1" and pins["numpy"] != "0.1"
        assert not {"pip", "modgraph-lib", "modgraph-book"} & set(map(canonicalize_name, pins))
        running = f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert absent == [version for version in pythons.VERSIONS if version != running]
        for version in absent:
            packages = tmp_path / f".venv-{version}" / "lib" / f"python{version}" / "site-packages"
            (packages / "other-2.dist-info").mkdir(parents=True)
            text = "Metadata-Version: 2.1\nName: other\nVersion: 2+cpu\n"
            (packages / "other-2.dist-info" / "METADATA").write_text(text)
        pins, absent = lock.gathered(tmp_path)
        assert absent == [] and pins["other"] == "2" and "only-elsewhere" not in pins
