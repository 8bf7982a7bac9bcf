"""What the book is made of: its sections, their files, and whether their execution is current.

A section is one notebook, named ``<paper>/<NN_topic>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
# Marks a code cell whose output is a reference for the notebook tests (nbval).
MARKER = "# NBVAL_CHECK_OUTPUT"


@dataclass(frozen=True)
class Section:
    """One section of the book: the committed notebook and where its execution goes."""

    name: str
    root: Path = ROOT

    @property
    def notebook(self) -> Path:
        return self.root / "notebooks" / f"{self.name}.ipynb"

    @property
    def text(self) -> Path:
        return self.root / "notebooks" / "text" / f"{self.name}.md"

    @property
    def executed(self) -> Path:
        return self.root / "_build" / "executed" / f"{self.name}.ipynb"

    @property
    def log(self) -> Path:
        return self.root / "_build" / "logs" / f"{self.name}.log"

    @property
    def failed(self) -> Path:
        """Where a failed execution is kept for a look."""
        return self.root / "_build" / "failed" / f"{self.name}.ipynb"


def all_sections(root: Path = ROOT) -> list[Section]:
    """Every section with a notebook, in reading order of its name."""
    found = sorted((root / "notebooks").glob("*/*.ipynb"))
    return [Section(f"{p.parent.name}/{p.stem}", root) for p in found]


def read_executed(section: Section) -> nbformat.NotebookNode | None:
    """The executed notebook, or None where there is none or it is damaged.

    A damaged file is reported on standard output: it will be recomputed, and a person should
    know that something altered it.
    """
    if not section.executed.exists():
        return None
    try:
        notebook = nbformat.read(section.executed, as_version=4)
        notebook.metadata["modgraph"]["digest"]
    except Exception as error:  # any unreadable file, whatever the parser makes of it
        reason = type(error).__name__
        print(f"{section.name}: damaged result {section.executed} ({reason}), running it again")
        return None
    return notebook


def is_current(section: Section, digest: str) -> bool:
    """Whether the section's execution belongs to all it depends on as it is now.

    ``digest`` is that of :class:`book.scripts.inputs.Inputs`.
    """
    notebook = read_executed(section)
    return notebook is not None and notebook.metadata["modgraph"]["digest"] == digest
