"""An executed notebook, arranged as a page.

A notebook is in the order in which it runs: parameters first, tables where their rows are read. A
page is in the order in which it teaches: the answer and one figure, then question, toy and measure,
then, under *Evidence*, what was tagged so in the text, and at the end what only a second run needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from book.lab.claims import PAPERS
from book.scripts import pictures
from book.scripts.sections import MARKER

__all__ = ["Opening", "arranged", "for_download", "for_readers", "is_progress"]

HEADING = re.compile(r"(?m)^(?=(?:\([\w-]+\)=\n)?## )")
PAPER = re.compile(r"^\*\*Paper:\*\* (.+?)<br>")
LONG = 24  # rows of a table that is folded among the evidence
AT_THE_END = "How this page was made"
NEEDS = (
    "*Needs Python 3.11 or later with the book's packages (`pip install -c constraints.txt -e "
    "'.[all]' -e ./book` in the book's source; “How to re-run it” says where to get it). The "
    "defaults below take about a minute on a laptop and download nothing.*"
)


@dataclass(frozen=True)
class Opening:
    """The first lines of a page: the answer, the figure that shows it, and what to see there."""

    says: str
    figure: str = ""
    see: str = ""


def for_readers(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what only a live run or a test needs. Changes it in place.

    Left out: the marks of the notebook tests, progress bars, which a static page would show
    frozen in all their stages (standard error with carriage returns), the code of figures, and the
    state of widgets, which need a kernel. A figure that was not drawn for want of rows, but said so
    in a line of text, loses its caption.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        cell.source = "\n".join(line for line in lines if line.strip() != MARKER)
        cell.outputs = [one for one in cell.outputs if not (is_progress(one) or is_widget(one))]
        for output in cell.outputs:
            if width := pictures.width(output):
                cell.metadata.setdefault("mystnb", {}).setdefault("image", {})["width"] = width
        if any("text/markdown" in output.get("data", ()) for output in cell.outputs):
            for part in ("figure", "image"):
                cell.metadata.get("mystnb", {}).pop(part, None)
        elif "figure" in cell.metadata.get("mystnb", {}) and "hide-cell" not in tags(cell):
            cell.metadata["tags"] = ["remove-input"]
    return notebook


def is_progress(output: NotebookNode) -> bool:
    """Whether an output is (a piece of) a progress bar."""
    return (
        output.output_type == "stream"
        and output.name == "stderr"
        and ("\r" in output.text or not output.text.strip())
    )


def is_widget(output: NotebookNode) -> bool:
    """Whether an output is a live widget, which a page without a kernel cannot run."""
    return "application/vnd.jupyter.widget-view+json" in output.get("data", ())


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def arranged(notebook: NotebookNode, opening: Opening | None = None) -> NotebookNode:
    """The notebook in the order of a page. Changes it in place."""
    top, *blocks = blocks_of(notebook)
    last = [new_markdown_cell(f"## {AT_THE_END}")]
    first = []
    for place, cell in enumerate(top):
        if "parameters" in tags(cell):
            last += top[place : place + 2]  # the guard reads them
        elif status := said(cell, "**Paper:**"):
            shown, rest = split_status(status)
            shown = PAPER.sub(to_its_page, shown)
            first.append(new_markdown_cell(shown))
            last.insert(1, new_markdown_cell(rest))
        elif cell not in last:
            first.append(cell)
    lesson = [block for block in blocks if not is_evidence(block) and not is_last(block)]
    evidence = [block for block in blocks if is_evidence(block)]
    final = [block for block in blocks if is_last(block)]
    if evidence:
        proof = [new_markdown_cell("## Evidence"), *(demoted(c) for b in evidence for c in b)]
    else:
        proof = []
    cells = [*first, *(c for b in lesson for c in b), *proof, *(c for b in final for c in b), *last]
    notebook.cells = opened(cells, opening) if opening else cells
    return notebook


def blocks_of(notebook: NotebookNode) -> list[list[NotebookNode]]:
    """Cells between headings of the second level; text cells are cut where one stands inside."""
    blocks: list[list[NotebookNode]] = [[]]
    for cell in notebook.cells:
        pieces = HEADING.split(cell.source) if cell.cell_type == "markdown" else [cell.source]
        for number, piece in enumerate(pieces):
            one = cell if len(pieces) == 1 else new_markdown_cell(piece, metadata=cell.metadata)
            if cell.cell_type == "markdown" and HEADING.match(piece):
                blocks.append([one])
            elif piece.strip() or not number:
                blocks[-1].append(one)
    return blocks


def is_evidence(block: list[NotebookNode]) -> bool:
    """Whether the text tags these cells as evidence."""
    return bool(block) and "evidence" in tags(block[0])


def is_last(block: list[NotebookNode]) -> bool:
    """Whether these cells say how to run the section at another scale."""
    return bool(block) and re.search(r"(?m)^## Run it", block[0].source) is not None


def demoted(cell: NotebookNode) -> NotebookNode:
    """The cell with its headings one level lower, and long tables folded."""
    if cell.cell_type == "markdown":
        cell.source = re.sub(r"(?m)^(#{2,4} )", r"#\1", cell.source)
        return cell
    for output in cell.outputs:
        data = output.get("data", {})
        rows = data.get("text/html", "").count("<tr")
        if rows > LONG:
            data["text/html"] = (
                f'<details class="mg-long"><summary>Table of {rows - 1} lines</summary>'
                f"{data['text/html']}</details>"
            )
    return cell


def said(cell: NotebookNode, start: str) -> str:
    """The Markdown that a code cell wrote, if it begins so; else nothing."""
    for output in cell.get("outputs", ()):
        text = output.get("data", {}).get("text/markdown", "")
        if text.startswith(start):
            return text
    return ""


def split_status(text: str) -> tuple[str, str]:
    """Paper and verdicts, which stand on top; evidence, cost and digests, which stand last."""
    lines = [line.strip() for line in text.split("<br>")]
    top = [line for line in lines if line.startswith(("**Paper", "**Verdicts"))]
    return "<br>\n".join(top), "<br>\n".join(line for line in lines if line not in top)


def opened(cells: list[NotebookNode], opening: Opening) -> list[NotebookNode]:
    """The cells with answer and figure after title and status."""
    figure = [cell for cell in cells if opening.figure and named(cell) == opening.figure]
    rest = [cell for cell in cells if cell not in figure]
    where = next((place for place, cell in enumerate(rest) if is_status(cell)), 0) + 1
    answer = [new_markdown_cell(f"**The answer.** {opening.says}")]
    if figure:
        see = new_markdown_cell(f"**What to see.** {opening.see}")
        there = new_markdown_cell(f"{{numref}}`{opening.figure}` is at the top of this page.")
        rest.insert(cells.index(figure[0]), there)
        answer += [figure[0], see]
    return [*rest[:where], *answer, *rest[where:]]


def to_its_page(found: re.Match) -> str:
    """The paper's title as a link to its opening page."""
    pages = {title: name for name, title in PAPERS.items()}
    name, title = pages.get(found[1]), found[1]
    return f"**Paper:** [{title}](../../papers/{name}.md)<br>" if name else found[0]


def is_status(cell: NotebookNode) -> bool:
    """Whether this is the line with paper and verdicts."""
    return cell.source.startswith("**Paper:**")


def named(cell: NotebookNode) -> str:
    """The name of a cell's figure."""
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")


def for_download(notebook: NotebookNode) -> NotebookNode:
    """The committed notebook as readers get it: in the order in which it runs, with its needs."""
    cells: Iterator[NotebookNode] = iter(notebook.cells)
    notebook.cells = [next(cells), new_markdown_cell(NEEDS), *cells]
    return nbformat.from_dict(notebook)
