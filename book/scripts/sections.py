"""What the book is made of: its sections, their files, and the digest that says "unchanged".

A section is one notebook, named ``<paper>/<NN_topic>``.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
# Marks a code cell whose output is a reference for the notebook tests (nbval).
MARKER = "# NBVAL_CHECK_OUTPUT"
# A change in any of these may change what a section prints. Everything a notebook can import or
# read that is under version control is here; downloads and trained networks are keyed by content.
INPUTS = (
    "modgraph_lib/**/*.py",
    "book/lab/**/*.py",
    "book/papers/**/*.py",
    "data/results/**/*",
    "data/papers/**/*",
    "constraints.txt",
)


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


def inputs_digest(root: Path = ROOT) -> str:
    """SHA-256 over names and contents of what every section depends on, and over Python."""
    sha = hashlib.sha256(platform.python_version().encode())
    for pattern in INPUTS:
        for path in sorted(p for p in root.glob(pattern) if p.is_file()):
            sha.update(path.relative_to(root).as_posix().encode() + b"\0")
            sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


def section_digest(section: Section, shared: str) -> str:
    """Digest of one section: its notebook (parameters included) and ``shared`` inputs."""
    own = hashlib.sha256(section.notebook.read_bytes()).hexdigest()
    return hashlib.sha256(f"{own} {shared}".encode()).hexdigest()


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


def is_current(section: Section, shared: str) -> bool:
    """Whether the section's execution belongs to the notebook and library as they are now."""
    notebook = read_executed(section)
    if notebook is None:
        return False
    return notebook.metadata["modgraph"]["digest"] == section_digest(section, shared)
