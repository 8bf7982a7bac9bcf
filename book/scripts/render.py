"""Stage the book and render it to ``_build/html``.

The committed notebooks are never touched: a copy of the book with the *executed* notebooks and
the computed pages goes to ``_build/source``, Jupyter Book renders that with execution off and
warnings as errors, every page of the table of contents is asserted, and only then the finished
site takes the place of the old one.
"""

from __future__ import annotations

import copy
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml

from book.lab.abstracts import abstracts
from book.scripts import dist, pages, plain
from book.scripts.reading import arranged, for_download, for_readers
from book.scripts.sections import ROOT, all_sections, read_executed

STAMP = ".modgraph-digest"


class RenderError(RuntimeError):
    """The site could not be built; the message says what to look at."""


def toc_files(toc: dict) -> Iterator[str]:
    """Every file of a ``_toc.yml``, without extension, in reading order."""
    if "root" in toc:
        yield toc["root"]
    if "file" in toc:
        yield toc["file"]
    for key in ("parts", "chapters", "sections"):
        for entry in toc.get(key, ()):
            yield from toc_files(entry)


def stage(source: Path, root: Path = ROOT) -> None:
    """Write the complete source of the site into the empty folder ``source``.

    Raises:
        RenderError: a section of the table of contents has not been executed.
    """
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, source / name)
    ignore = shutil.ignore_patterns("scripts", "__pycache__")
    shutil.copytree(root / "book", source / "book", ignore=ignore)
    shutil.copy(root / "CHANGELOG.md", source / "book" / "changelog.md")

    executed = {s.name: read_executed(s) for s in all_sections(root)}
    executed = {name: notebook for name, notebook in executed.items() if notebook is not None}
    openings = pages.openings()
    for name, notebook in executed.items():
        target = source / "notebooks" / f"{name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        page = arranged(for_readers(copy.deepcopy(notebook)), openings.get(name))
        nbformat.write(page, target)

    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    sections = {f.removeprefix("notebooks/") for f in toc_files(toc)}
    results = root / "data" / "results"
    for name, text in (
        ("what_we_found", pages.what_we_found()),
        ("scorecard", pages.scorecard(sections)),
        ("run_times", pages.run_times(executed, results)),
        ("api", pages.api()),
        ("counts", pages.counts()),
        ("questions", pages.questions(sections)),
    ):
        (source / "book" / f"{name}.md").write_text(text, "utf8")
    stage_papers(source, executed)

    absent = [f for f in toc_files(toc) if not any(source.glob(f"{f}.*"))]
    if absent:
        raise RenderError(f"in _toc.yml but not there: {', '.join(absent)}")


def stage_papers(source: Path, executed: dict[str, nbformat.NotebookNode]) -> None:
    """Write the opening page of every paper, with one figure of an executed section."""
    folder = source / "papers"
    folder.mkdir()
    for name, entry in abstracts().items():
        chosen, text = entry["figure"], ""
        notebook = executed.get(chosen["section"])
        if notebook and (found := pages.figure_of(notebook, chosen["name"])):
            (folder / f"{name}.{found.kind}").write_bytes(found.content)
            width = f":width: {found.width}\n" if found.width else ""
            text = (
                f"```{{figure}} {name}.{found.kind}\n:name: fig-paper-{name}\n{width}"
                f":alt: {' '.join(found.alt.split())}\n\n{found.caption.strip()}\n"
                f"From [its section](../notebooks/{chosen['section']}.ipynb).\n```"
            )
        (folder / f"{name}.md").write_text(pages.paper(name, text), "utf8")


def site_digest(root: Path = ROOT) -> str:
    """SHA-256 over everything that the site is made from.

    That is the book's own files, the executed notebooks, and all that the computed pages read:
    the library (docstrings, ledger), its results and claims, the locked versions.
    """
    files = [root / name for name in ("_config.yml", "_toc.yml", "CHANGELOG.md")]
    files += (path for path in (root / "book").rglob("*") if "__pycache__" not in path.parts)
    files += (section.executed for section in all_sections(root))
    for pattern in ("modgraph_lib/**/*.py", "data/papers/**/*", "data/results/**/*"):
        files += root.glob(pattern)
    files.append(root / "constraints.txt")
    sha = hashlib.sha256(platform.python_version().encode())
    for path in sorted(path for path in files if path.is_file()):
        sha.update(f"{path.relative_to(root).as_posix()}\0".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


def build(source: Path, output: Path, log: Path) -> Path:
    """Run Jupyter Book, or Sphinx alone, on ``source``; return the folder with the pages.

    Raises:
        RenderError: a warning or an error; the end of the log is in the message.
    """
    start = "from jupyter_book.cli.main import main; main()"  # the package has no __main__
    command = [sys.executable, "-c", start, "build", str(source)]
    command += ["--path-output", str(output), "--warningiserror", "--keep-going", "--quiet"]
    if plain.wanted():
        plain.prepare(source)
        command = [sys.executable, *plain.command(source, output)]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr, "utf8")
    if done.returncode:
        told = [line for line in log.read_text("utf8").splitlines() if line.strip()]
        raise RenderError("\n".join([*told[-40:], f"log: {log}"]))
    return output / "_build" / "html"


def missing_pages(html: Path, toc: dict) -> list[str]:
    """Pages that the table of contents promises and ``html`` does not hold."""
    expected = ["index", "search", "genindex", *toc_files(toc)]
    return [f"{name}.html" for name in expected if not (html / f"{name}.html").is_file()]


def lead_in(html: Path, first: str) -> None:
    """An index page that leads to the first, where the builder wrote none."""
    if not (html / "index.html").exists():
        leads = f'<meta http-equiv="Refresh" content="0; url={first}.html" />'
        (html / "index.html").write_text(leads)


def offer_notebooks(html: Path, root: Path = ROOT) -> None:
    """Put the committed notebooks where the pages' download buttons lead."""
    for section in all_sections(root):
        target = html / "_sources" / "notebooks" / f"{section.name}.ipynb"
        if target.exists():
            nbformat.write(for_download(nbformat.read(section.notebook, as_version=4)), target)


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder ``new`` in the place of ``old``."""
    aside = old.with_name(f"{old.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def render(root: Path = ROOT) -> Path:
    """Bring ``_build/html`` up to date and return it.

    Raises:
        RenderError: see :func:`stage`, :func:`build`; or a promised page is missing.
    """
    html, source, output = (root / "_build" / name for name in ("html", "source", "render"))
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    digest, stamp = site_digest(root), html / STAMP
    if stamp.exists() and stamp.read_text() == digest and not missing_pages(html, toc):
        print("book: the site is up to date")
        return html
    for folder in (source, output):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    stage(source, root)
    start = time.monotonic()
    built = build(source, output, root / "_build" / "logs" / "render.log")
    lead_in(built, toc["root"])
    absent = missing_pages(built, toc)
    if absent:
        raise RenderError(f"pages are missing from the site: {', '.join(absent)}")
    offer_notebooks(built, root)
    dist.write(built / dist.NAME, root)
    (built / STAMP).write_text(digest)
    replace_folder(built, html)
    print(f"book: rendered in {time.monotonic() - start:.0f} s")
    return html


def main() -> int:
    """Command line; returns the exit status."""
    try:
        html = render()
    except RenderError as error:
        print(f"{error}\nbook: not rendered", file=sys.stderr)
        return 1
    print(f"book: file://{html}/index.html   (or `make serve`)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
