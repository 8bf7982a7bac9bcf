"""Every reference output of the book comes out again: of the execution that the site shows."""

import copy
import functools

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book.scripts.inputs import Inputs
from book.scripts.sections import MARKER, ROOT, Section, all_sections, is_current
from tests.notebooks.references import code_cells, mismatch


def references():
    """Name of the section and number of the code cell, for every marked cell."""
    for section in all_sections():
        cells = code_cells(nbformat.read(section.notebook, as_version=4))
        yield from ((section.name, at) for at, cell in enumerate(cells) if MARKER in cell.source)


@functools.cache
def state(name):
    """Whether a section's execution can be looked at: "" or what is wrong with it."""
    section = Section(name)
    if not section.executed.exists():
        return "not executed"
    digest = inputs().digest(name, section.notebook)
    return "" if is_current(section, digest) else "changed since it was executed"


@functools.cache
def inputs():
    return Inputs(ROOT)


@pytest.mark.parametrize(("name", "number"), list(references()))
def test_reference_output(name, number, request):
    if (found := state(name)) == "not executed":
        pytest.skip(f"{name} is {found}: run `make book` first")
    assert not found, f"{name} has {found}: run `make book` first"
    section = Section(name)
    report = mismatch(request.session, section.notebook, section.executed, number)
    if report:
        pytest.fail(f"{name}\n{report}", pytrace=False)


class TestComparison:
    """A changed output does fail, and says what changed."""

    OUTPUTS = (
        new_output("stream", text="n-cut 0.447\n"),
        new_output("execute_result", data={"text/plain": "3"}, execution_count=1),
    )

    @pytest.fixture
    def compare(self, tmp_path, request):
        def run(change=lambda cell: None, source=f"{MARKER}\nprint(x)"):
            cell = new_code_cell(source, outputs=copy.deepcopy(list(self.OUTPUTS)))
            cell.execution_count = 1
            other = copy.deepcopy(cell)
            other.execution_count = 7  # the count is no output
            change(other)
            for name, one in (("committed", cell), ("executed", other)):
                prose = new_markdown_cell("prose is not counted")
                first = new_code_cell("x = 3")
                notebook = new_notebook(cells=[prose, first, one])
                nbformat.write(notebook, tmp_path / f"{name}.ipynb")
            paths = (tmp_path / "committed.ipynb", tmp_path / "executed.ipynb")
            return mismatch(request.session, *paths, 1)

        return run

    def test_the_same_passes(self, compare):
        assert compare() is None

    def test_pieces_of_a_stream_pass(self, compare):
        def cut(cell):
            pieces = [new_output("stream", text=text) for text in ("n-cut ", "0.447\n")]
            cell.outputs[:1] = pieces

        assert compare(cut) is None

    def test_another_number_fails_with_both_shown(self, compare):
        report = compare(lambda cell: cell.outputs[0].update(text="n-cut 0.522\n"))
        assert "Cell outputs differ" in report and "print(x)" in report
        assert "0.447" in report and "0.522" in report and "mismatch 'stdout'" in report

    @pytest.mark.parametrize(
        "change",
        [
            lambda cell: cell.outputs.pop(),
            lambda cell: cell.outputs.append(new_output("stream", name="stderr", text="oh\n")),
            lambda cell: cell.outputs[1].data.update({"text/html": "<b>3</b>"}),
            lambda cell: cell.outputs[1].data.update({"text/plain": "4"}),
        ],
    )
    def test_missing_and_added_outputs_fail(self, compare, change):
        assert "Cell outputs differ" in compare(change)

    def test_another_cell_is_not_compared(self, compare):
        report = compare(lambda cell: cell.update(source=f"{MARKER}\nprint(y)"))
        assert "not the committed one" in report
