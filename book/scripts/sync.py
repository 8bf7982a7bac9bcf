"""Make ``notebooks/<paper>/*.ipynb`` from their text twins, and check that the two agree.

The text (``notebooks/text/<paper>/*.md``, MyST) is what people edit. The notebook is derived: the
same cells, and the outputs of those cells that start with ``# NBVAL_CHECK_OUTPUT``, as they came
out at quick scale. Those few small outputs are what the notebook tests compare against; all
others are left out so that a review shows changes of substance only.

``python -m book.scripts.sync [SECTION ...]`` writes, ``--check`` only compares. A section in which
prose alone was edited keeps its outputs and is done at once; ``--anew`` executes it all the same,
for when the library's answers changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat

from book.scripts.execute import CELL_TIMEOUT, run_notebook, write_atomically
from book.scripts.sections import MARKER, ROOT, Section, all_sections

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def text_sections(root: Path = ROOT) -> list[Section]:
    """Every section with a text twin."""
    found = sorted((root / "notebooks" / "text").glob("*/*.md"))
    return [Section(f"{p.parent.name}/{p.stem}", root) for p in found]


def from_text(section: Section) -> nbformat.NotebookNode:
    """The notebook that the text describes, without outputs.

    Cell ids are numbered, so that the same text always gives the same file.
    """
    notebook = jupytext.read(section.text, fmt="md:myst")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    kept = {k: v for k, v in notebook.metadata.items() if k not in ("jupytext", "kernelspec")}
    notebook.metadata = nbformat.from_dict(
        {**kept, "kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def is_checked(cell: nbformat.NotebookNode) -> bool:
    """Whether the cell's output is kept as a reference."""
    return cell.cell_type == "code" and MARKER in cell.source


def add_reference_outputs(notebook: nbformat.NotebookNode, section: Section) -> None:
    """Execute ``notebook`` at quick scale; put the outputs of its checked cells into it.

    Raises:
        papermill.PapermillExecutionError: a cell raised.
    """
    with tempfile.TemporaryDirectory(prefix="mg-sync-") as folder:
        source, output = Path(folder, "in.ipynb"), Path(folder, "out.ipynb")
        nbformat.write(notebook, source)
        done = run_notebook(source, output, cwd=section.root, timeout=CELL_TIMEOUT)
    outputs = {cell["id"]: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        if is_checked(cell):
            cell.outputs = merged_streams(outputs[cell["id"]])
            # nbval wants a cell with outputs to look as if it had been run.
            for one in (cell, *cell.outputs):
                if "execution_count" in one:
                    one["execution_count"] = number


def keep_reference_outputs(notebook: nbformat.NotebookNode, section: Section) -> bool:
    """Take over the committed outputs where the code is as committed; says whether it was."""
    if not section.notebook.exists():
        return False
    mine = [cell for cell in notebook.cells if cell.cell_type == "code"]
    committed = nbformat.read(section.notebook, as_version=4)
    theirs = [cell for cell in committed.cells if cell.cell_type == "code"]
    if [cell.source for cell in mine] != [cell.source for cell in theirs]:
        return False
    if any(is_checked(cell) and not cell.outputs for cell in theirs):
        return False
    for cell, kept in zip(mine, theirs, strict=True):
        cell.outputs, cell.execution_count = kept.outputs, kept.execution_count
    return True


def merged_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """``outputs`` with neighbouring pieces of one stream put together.

    How a cell's printing is cut into pieces depends on the moment; a derived file must not.
    """
    merged: list[nbformat.NotebookNode] = []
    for one in outputs:
        last = merged[-1] if merged else None
        if last and one.output_type == last.output_type == "stream" and one.name == last.name:
            last.text += one.text
            continue
        merged.append(nbformat.from_dict(one))
    return merged


def differences(section: Section) -> list[str]:
    """How the committed notebook departs from its text; empty where the twins agree."""
    if not section.text.exists():
        return [f"{section.name}: no text twin {section.text}"]
    if not section.notebook.exists():
        return [f"{section.name}: no notebook {section.notebook}"]
    text, notebook = from_text(section), nbformat.read(section.notebook, as_version=4)
    found = []
    if text.metadata != notebook.metadata:
        found.append(f"{section.name}: the notebooks' metadata differ")
    if len(text.cells) != len(notebook.cells):
        found.append(f"{section.name}: {len(text.cells)} and {len(notebook.cells)} cells")
    for mine, theirs in zip(text.cells, notebook.cells, strict=False):
        for key in ("cell_type", "source", "metadata", "id"):
            if mine[key] != theirs[key]:
                found.append(f"{section.name}: {key} of {mine['id']} differs")
        if theirs.cell_type == "code" and bool(theirs.outputs) != is_checked(theirs):
            state = "has no reference output" if is_checked(theirs) else "holds outputs"
            found.append(f"{section.name}: {theirs['id']} {state}")
        elif theirs.cell_type == "code" and bool(theirs.execution_count) != is_checked(theirs):
            found.append(f"{section.name}: {theirs['id']} has a wrong execution count")
    return found


def check(root: Path = ROOT) -> list[str]:
    """All differences, over every section that has a text or a notebook."""
    sections = {s.name: s for s in [*text_sections(root), *all_sections(root)]}
    return [line for name in sorted(sections) for line in differences(sections[name])]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="notebooks from their text twins")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="paper/NN_topic")
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--anew", action="store_true", help="execute unchanged code as well")
    options = parser.parse_args(argv)
    if options.check:
        found = check()
        if found:
            print("\n".join(found), "run `make sync`", sep="\n", file=sys.stderr)
        return 1 if found else 0
    known = {section.name: section for section in text_sections()}
    for name in options.sections or known:
        if name not in known:
            parser.error(f"no section {name}; there are: {', '.join(known)}")
        notebook = from_text(known[name])
        kept = not options.anew and keep_reference_outputs(notebook, known[name])
        if not kept:
            add_reference_outputs(notebook, known[name])
        write_atomically(notebook, known[name].notebook)
        print(f"{name}: written{', outputs kept' if kept else ''}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
