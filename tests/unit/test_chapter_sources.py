"""The chapters' text sources keep the project's rules."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

from book.lab import parameters, registry

ROOT = Path(__file__).resolve().parents[2] / "notebooks"
SECTIONS = {section.name: section.parameters for section in registry.sections()}
LONGEST = 16  # lines of code in a cell


def notebook(section):
    return jupytext.read(ROOT / "text" / f"{section}.md")


def code_cells(section):
    return [cell for cell in notebook(section).cells if cell.cell_type == "code"]


def parameters_cell(section):
    (cell,) = [c for c in code_cells(section) if "parameters" in c.metadata.get("tags", [])]
    return cell.source


def test_every_section_is_known():
    found = {path.relative_to(ROOT / "text") for path in (ROOT / "text").rglob("*.md")}
    assert {str(path.with_suffix("")) for path in found} == set(SECTIONS)


@pytest.mark.parametrize(("section", "cls"), SECTIONS.items())
def test_parameters_cell_mirrors_the_dataclass(section, cls):
    assert parameters_cell(section) == parameters.cell(cls)


@pytest.mark.parametrize(("section", "cls"), SECTIONS.items())
@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_parameter_files_pass_the_guard(section, cls, scale):
    path = ROOT / "params" / scale / f"{section}.yaml"
    given = yaml.safe_load(path.read_text())
    defaults = {field.name: parameters.default_of(field) for field in dataclasses.fields(cls)}
    values = parameters.read({**defaults, **given}, cls)
    assert all(getattr(values, name) == value for name, value in given.items())


@pytest.mark.parametrize("section", SECTIONS)
def test_cells_are_short_and_figures_described(section):
    names = []
    for cell in code_cells(section):
        if "parameters" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= LONGEST, cell.source
        assert all(len(line) <= 100 for line in cell.source.splitlines()), cell.source
        figure = cell.metadata.get("mystnb", {}).get("figure")
        last = cell.source.splitlines()[-1]
        draws = bool(re.match(r"(plots|\w*pictures|chapter\.drawn)\b", last)) or last.endswith(
            ".figure()"
        )
        assert draws == (figure is not None), cell.source
        if figure:
            names.append(figure["name"])
            assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40
            assert figure["caption"].strip().endswith(".")
    assert len(names) == len(set(names)) >= 2


def test_figure_names_are_unique_over_the_book():
    names = [
        cell.metadata["mystnb"]["figure"]["name"]
        for section in SECTIONS
        for cell in code_cells(section)
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("section", SECTIONS)
def test_paths_are_not_relative_and_nothing_is_algorithmic(section):
    for cell in code_cells(section):
        assert not re.search(r"^\s*(def|class) ", cell.source, re.MULTILINE), cell.source
        assert "open(" not in cell.source and "../" not in cell.source


@pytest.mark.parametrize("section", SECTIONS)
def test_papermill_shows_the_help(section, tmp_path):
    path = tmp_path / "section.ipynb"
    nbformat.write(notebook(section), path)
    told = papermill.inspect_notebook(str(path))
    fields = {field.name: field.metadata["help"] for field in dataclasses.fields(SECTIONS[section])}
    assert {name: one["help"] for name, one in told.items()} == fields


@pytest.mark.parametrize("section", SECTIONS)
def test_a_mistyped_parameter_is_refused_before_anything_runs(section):
    """As papermill runs it: the parameters' cell, what was given, and the cell after it."""
    given, after, *_ = [cell.source for cell in code_cells(section)]
    assert given == parameters_cell(section)
    names = {field.name for field in dataclasses.fields(SECTIONS[section])}
    meant = "seeds" if "seeds" in names else "seed"
    with pytest.raises(parameters.ParameterError, match=f"'sedes'. Did you mean {meant!r}"):
        exec(f"{given}\nsedes = 2\n{after}", {})


def test_papermill_itself_stops_there(tmp_path):
    """One section for all; in a folder where the library is not."""
    path = tmp_path / "section.ipynb"
    nbformat.write(notebook(next(iter(SECTIONS))), path)
    folders = [str(ROOT.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "section.ipynb", "out.ipynb", "-p", "sedes", "2"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )  # fmt: skip
    assert done.returncode != 0 and "unknown parameter 'sedes'" in done.stderr
