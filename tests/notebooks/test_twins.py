"""Each notebook and its text say the same, and hold to the rules of a section."""

import ast

import nbformat
import pytest
import yaml

from book.scripts import sync
from book.scripts.render import toc_files
from book.scripts.sections import ROOT, Section, all_sections

NAMES = [section.name for section in all_sections()]
LONGEST_CELL = 15


def read(name):
    return nbformat.read(Section(name).notebook, as_version=4)


def test_there_are_sections():
    assert NAMES


@pytest.mark.parametrize("name", [s.name for s in sync.text_sections()])
def test_notebook_agrees_with_its_text(name):
    assert sync.differences(Section(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_has_a_text(name):
    assert Section(name).text.exists()


def test_every_notebook_is_in_the_book():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    listed = {f.removeprefix("notebooks/") for f in toc_files(toc) if f.startswith("notebooks/")}
    assert listed == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_parameters_cell_of_literals(name):
    cells = [c for c in read(name).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    for node in ast.parse(cells[0].source).body:
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        assert isinstance(ast.literal_eval(node.value), str | int | float | bool | list)
    for line in cells[0].source.splitlines():
        assert "  # " in line, f"a parameter without its comment: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_cells_stay_short(name):
    cells = [c for c in read(name).cells if c.cell_type == "code"]
    # one line a parameter: however many there are, they are a list and no code
    code = [c.source for c in cells if "parameters" not in c.metadata.get("tags", [])]
    long = [source for source in code if len(source.splitlines()) > LONGEST_CELL]
    assert not long, f"{len(long)} cells over {LONGEST_CELL} lines, the first:\n{long[0]}"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_checked_by_something(name):
    checked = [c for c in read(name).cells if sync.is_checked(c)]
    assert checked, "no reference output: nothing would notice a change of results"
    images = [o for c in checked for o in c.outputs if "image/png" in o.get("data", {})]
    assert not images, "images are not compared"


@pytest.mark.parametrize("scale", ["laptop", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_larger_scales_name_known_parameters(name, scale):
    path = ROOT / "notebooks" / "params" / scale / f"{name}.yaml"
    given = yaml.safe_load(path.read_text("utf8"))
    (cell,) = [c for c in read(name).cells if "parameters" in c.metadata.get("tags", [])]
    targets = [
        node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        for node in ast.parse(cell.source).body
    ]
    unknown = set(given) - {target.id for target in targets}
    assert not unknown


@pytest.mark.parametrize("name", NAMES)
def test_the_guard_runs_first(name):
    """A typo stops a papermill run before anything is computed, drawn or read from the ledger."""
    first, second = [c for c in read(name).cells if c.cell_type == "code"][:2]
    assert "parameters" in first.metadata.get("tags", [])
    *imports, guard = ast.parse(second.source).body
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in imports)
    assert "parameters.read(globals()" in ast.unparse(guard)
