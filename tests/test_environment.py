"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import tomllib
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from book.scripts import environment

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]


def requirements() -> list[Requirement]:
    """Every direct requirement of pyproject.toml, the extra that only names the others left out."""
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
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


def test_transitive_requirements_are_pinned_too():
    """Walk what is installed from the direct requirements down; each package must have a pin."""
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
            if need.marker is None or any(need.marker.evaluate(env) for env in wanted):
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
    assert pip == ["--constraint constraints.txt", "--editable .[all]"]
    assert sorted(d.split("=")[0] for d in plain) == ["pip", "python"]
    (python,) = [d.split("=")[1] for d in plain if d.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_supported_pythons_are_told_once():
    spec = SpecifierSet(PROJECT["requires-python"])
    low, high = environment.SUPPORTED
    assert spec.contains(f"{low[0]}.{low[1]}.0") and not spec.contains(f"{low[0]}.{low[1] - 1}.9")
    assert not spec.contains(f"{high[0]}.{high[1]}.0") and spec.contains(f"3.{high[1] - 1}.0")


def test_environment_digest_follows_content_not_dates(tmp_path):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf8"), "utf8")
    before = environment.digest(tmp_path)
    (tmp_path / "constraints.txt").touch()
    text = (tmp_path / "pyproject.toml").read_text("utf8")
    (tmp_path / "pyproject.toml").write_text(text + "\n[tool.other]\nx = 1\n", "utf8")
    assert environment.digest(tmp_path) == before
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("six==1.17.0\n")
    assert environment.digest(tmp_path) != before


def test_half_made_environment_is_not_current(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    assert not environment.is_current(venv)
    (venv / ".modgraph-stamp").write_text("something older")
    assert not environment.is_current(venv)
    (venv / ".modgraph-stamp").write_text(environment.digest())
    assert environment.is_current(venv)
