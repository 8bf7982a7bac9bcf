"""Pages of the site whose content is computed: scorecard, run times, API reference.

Each function returns MyST Markdown. They only read; :mod:`book.scripts.render` writes what they
return into the staged copy of the book.
"""

from __future__ import annotations

import base64
import functools
import importlib
import inspect
import json
import statistics
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import nbformat
import pandas as pd

import modgraph_lib
from book.scripts import pictures, shared_cache
from book.scripts.reading import Opening

PUBLIC = modgraph_lib.FACE


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; cells are turned into text, None into a dash."""

    def line(cells: Iterable[object]) -> str:
        texts = ("–" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
        return "| " + " | ".join(texts) + " |"

    columns = list(columns)
    return "\n".join([line(columns), line("---" for _ in columns), *map(line, rows)])


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def scorecard(sections: Collection[str]) -> str:
    """The scorecard, as the ledger computes it from the committed rows, linked to ``sections``."""
    ledger = importlib.import_module("book.lab.ledger")
    text = ledger.scorecard_markdown(verdicts(), sections=sections)
    return text if text.lstrip().startswith("# ") else f"# Scorecard\n\n{text}"


def what_we_found() -> str:
    """The findings, as the ledger computes them from the committed rows."""
    own = importlib.import_module("book.lab.questions").answers()
    return importlib.import_module("book.lab.findings").markdown(pd.concat([verdicts(), own]))


@functools.cache
def verdicts() -> pd.DataFrame:
    """The verdicts on all claims, computed once for the pages that count them."""
    return importlib.import_module("book.lab.verdict").verdicts()


def counts() -> str:
    """Claims by verdict, those of the abstracts beside all."""
    return importlib.import_module("book.lab.abstracts").counts_markdown(verdicts())


def questions(sections: Collection[str]) -> str:
    """The questions of our own with their answers, linked to ``sections``."""
    answers = importlib.import_module("book.lab.questions").answers()
    abstracts = importlib.import_module("book.lab.abstracts")
    return abstracts.questions_markdown(answers, sections=sections)


def paper(name: str, figure: str) -> str:
    """The opening page of a paper; ``figure`` is MyST."""
    return importlib.import_module("book.lab.abstracts").paper_markdown(
        name, verdicts(), figure=figure
    )


def openings() -> dict[str, Opening]:
    """Answer and figure of the sections that do not write their own, by name."""
    found = importlib.import_module("book.lab.findings").answers(verdicts())
    return {name: Opening(**entry) for name, entry in found.items()}


class Figure(NamedTuple):
    """A figure of an executed section; ``width`` is that at which it is shown, "" for its own."""

    kind: str
    content: bytes
    caption: str
    alt: str
    width: str


def figure_of(notebook: nbformat.NotebookNode, name: str) -> Figure | None:
    """A figure of an executed section, as "png" or "svg"; None where there were no rows for it."""
    for cell in notebook.cells:
        said = cell.metadata.get("mystnb", {})
        if said.get("figure", {}).get("name") != name:
            continue
        for output in cell.get("outputs", ()):
            for kind, mime in (("svg", "image/svg+xml"), ("png", "image/png")):
                if text := output.get("data", {}).get(mime):
                    content = text.encode() if kind == "svg" else base64.b64decode(text)
                    caption, alt = said["figure"]["caption"], said["image"]["alt"]
                    return Figure(kind, content, caption, alt, pictures.width(output))
    return None


def api() -> str:
    """API reference from the docstrings of every public name."""
    parts = [
        "# API reference",
        "The names below are the library's public interface; everything else may change without "
        "notice. All of them take ordinary PyTorch modules or NumPy arrays. Import what you need: "
        "`from modgraph_lib import graphs, clustering`.",
    ]
    for short, names in PUBLIC.items():
        full = f"modgraph_lib.{short}"
        module = importlib.import_module(full)
        summary = (inspect.getdoc(module) or "").split("\n\n")[0]
        parts += [f"## {short}", "```{eval-rst}", summary, "", f".. currentmodule:: {full}", ""]
        parts += [directive(full, name, getattr(module, name)) for name in names]
        parts.append("```")
    return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:]) + "\n"


def directive(module: str, name: str, thing: object) -> str:
    """The autodoc directive for one public name."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f".. autoexception:: {module}.{name}\n"
    if inspect.isclass(thing):
        return f".. autoclass:: {module}.{name}\n   :members:\n"
    return f".. autofunction:: {module}.{name}\n"


def run_times(executed: Mapping[str, nbformat.NotebookNode], results: Path) -> str:
    """Run times, hardware and versions of this very build, then of the committed rows.

    Args:
        executed: section name -> executed notebook (with its ``modgraph`` metadata).
        results: the folder with committed ``*.jsonl`` records and ``bench.json``.
    """
    parts = [
        "# Run times and versions",
        "Nothing on this page is typed by hand. All of it comes from the runs themselves.",
        "## This build",
        "Every section of the book was executed at the quick scale before this page was "
        "rendered. A section whose notebook, library and data had not changed since an earlier "
        "build was taken over from that build. The date says when each section really ran.",
        build_table(executed),
        *environment_tables(executed),
        "## Measured against peers",
        bench_table(results / "bench.json"),
        "## The committed rows",
        "The tables of the book rest on the rows in `data/results`. Each row has its own "
        "provenance. The seconds are a sum over the rows: each counts the time that it took on the "
        "machine where it ran, and networks that were trained side by side share their time. "
        '"Uncommitted" counts rows whose code had changes that were not committed when it ran; '
        "`make verify` recomputes these first.",
        records_table(results),
        "## A cache that many runs share",
        shared_cache.text(results),
    ]
    return "\n\n".join(parts) + "\n"


def build_table(executed: Mapping[str, nbformat.NotebookNode]) -> str:
    """One line per section of this build."""
    rows = []
    for name, notebook in sorted(executed.items()):
        run = notebook.metadata["modgraph"]
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        link = f"[{name}](../notebooks/{name}.ipynb)"
        rows.append(
            (
                link,
                run["scale"],
                duration(run["seconds"]),
                cells,
                run["date"][:16].replace("T", " "),
            )
        )
    if not rows:
        return "No section has been executed."
    return table(("section", "scale", "wall time", "code cells", "executed (UTC)"), rows)


def environment_tables(executed: Mapping[str, nbformat.NotebookNode]) -> list[str]:
    """Hardware and versions; several columns where sections ran in different ones."""
    runs = [notebook.metadata["modgraph"] for _, notebook in sorted(executed.items())]
    if not runs:
        return []

    def spread(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(map(str, values)))

    machine = [(key, spread(run["machine"][key] for run in runs)) for key in runs[0]["machine"]]
    versions = [("Python", spread(run["python"] for run in runs))]
    versions += [
        (name, spread(run["versions"].get(name, "–") for run in runs))
        for name in runs[0]["versions"]
    ]
    return [
        "### Hardware",
        table(("what", "value"), machine),
        "### Versions",
        table(("package", "version"), versions),
        "Every other version: `constraints.txt`.",
    ]


def bench_table(path: Path) -> str:
    """The table that ``make bench`` wrote (``tests/benchmarks``), or how to get it."""
    if not path.exists():
        return "Not measured yet: `make bench` writes `data/results/bench.json`."
    bench = json.loads(path.read_text("utf8"))
    rows = [
        (
            row["title"],
            row["peer"],
            f"{row['ratio']:.1f}×",
            duration(statistics.median(row["ours_seconds"])),
            duration(statistics.median(row["peer_seconds"])),
            f"{row['outcome_name']}: {row['ours_outcome']:.4g} and {row['peer_outcome']:.4g}",
            f"{row['ours_memory_mib']} and {row['peer_memory_mib']} MiB",
            f"{row['repeats']} repeats, {row.get('date', '')[:10]}".rstrip(", "),
        )
        for row in bench["rows"]
    ]
    columns = (
        "what",
        "peer",
        "ratio",
        "ours",
        "peer's",
        "agreement, ours and peer",
        "peak memory",
        "measured",
    )
    origin = bench.get("provenance", {})
    facts = [
        f"Data: {bench.get('data', 'not recorded')}",
        f"{bench.get('cores', '?')} cores, {origin.get('processor', 'processor not recorded')}",
        "medians over the repeats",
    ]
    intro = (
        "Each line compares our code with the code that one would otherwise write. Both ran in "
        "turn on one machine (`make bench`). The ratio is the peer's seconds divided by ours: "
        "above 1, ours is faster."
    )
    return "\n\n".join([intro, table(columns, rows), "; ".join(filter(None, facts)) + "."])


def records_table(results: Path) -> str:
    """Rows, wall seconds, dates, devices and processors of each committed experiment."""
    rows = []
    for path in sorted(results.glob("*.jsonl")):
        lines = [line for line in path.read_text("utf8").splitlines() if line.strip()]
        notes = [json.loads(line).get("provenance", {}) for line in lines]
        if not notes:
            continue
        seconds = [float(note["seconds"]) for note in notes if note.get("seconds") is not None]
        dates = sorted(str(note["date"])[:10] for note in notes if note.get("date"))
        span = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else None
        where = dict.fromkeys(
            ", ".join(str(note[key]) for key in ("device", "processor") if note.get(key))
            for note in notes
        )
        commits = [str(note.get("commit", "unknown")) for note in notes]
        marked = sum(commit.endswith("+changes") or commit == "unknown" for commit in commits)
        time = duration(sum(seconds))
        rows.append((f"`{path.stem}`", len(notes), marked, time, span, "; ".join(where)))
    if not rows:
        return "No rows are committed yet."
    return table(("experiment", "rows", "uncommitted", "seconds in all", "dates", "ran on"), rows)
