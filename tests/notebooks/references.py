"""The outputs of an execution against those committed as references, by nbval's own rules.

nbval executes a notebook and compares in one go. The book has been executed by the time that its
tests run, so only the second half is wanted: nbval's collector reads the notebook and its cells
compare, sanitise and report, and no kernel is started.
"""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that nbval numbers, in its order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def nbval_cells(session: pytest.Session, notebook: Path) -> list[IPyNbCell]:
    """One item of nbval for each code cell of a committed notebook."""
    collector = IPyNbFile.from_parent(session, path=notebook)
    collector.setup_sanitize_files()
    return list(collector.collect())


def mismatch(session: pytest.Session, notebook: Path, executed: Path, number: int) -> str | None:
    """nbval's report on one code cell of an executed notebook, or None where it agrees.

    Args:
        session: of the running tests; its nbval options hold.
        notebook: the committed notebook with its references.
        executed: the same notebook, executed.
        number: of the cell among the code cells, from 0.
    """
    item = nbval_cells(session, notebook)[number]
    done = code_cells(nbformat.read(executed, as_version=4))[number]
    if done.source != item.cell.source:
        return f"Cell {number} of {executed} is not the committed one: run `make book`"
    outputs = copy.deepcopy(done.outputs)
    try:
        if item.cell.execution_count is None and item.cell.outputs:
            item.raise_cell_error("Unrun reference cell has outputs")
        if not item.compare_outputs(coalesce_streams(outputs), coalesce_streams(item.cell.outputs)):
            item.raise_cell_error("Cell outputs differ", "\n".join(item.comparison_traceback))
    except NbCellError:
        return item.repr_failure(pytest.ExceptionInfo.from_current())
    return None
