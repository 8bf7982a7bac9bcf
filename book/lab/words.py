"""Computed prose of any page: paragraphs, commands to copy, digests."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

import modgraph_lib
from book.lab.show import NOT_RUN

__all__ = ["Origin", "command", "drawn", "library_digest", "origin", "rows_digest", "say", "work"]


def say(text: str) -> Markdown:
    """A paragraph with computed numbers: an f-string, indented as the code around it."""
    return Markdown(textwrap.dedent(text).strip())


def drawn(rows: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure]) -> Figure | Markdown:
    """``draw(rows)``, or a line that says so where nothing has been run yet."""
    return draw(rows) if len(rows) else Markdown(NOT_RUN)


@dataclass(frozen=True)
class Origin:
    """Who made rows and when, in words.

    Attributes:
        span: the day, or the first and the last.
        devices, commits: each once, between commas; commits to eight digits, as code.
        notes: what is particular about the data, each once.
    """

    span: str
    devices: str
    commits: str
    notes: str

    def under(self, text: str) -> Markdown:
        """``text`` in italics, and behind it what is particular about the data."""
        return Markdown(f"*{text}*" + (f" *Data: {self.notes}.*" if self.notes else ""))


def origin(rows: pd.DataFrame) -> Origin:
    """Origin of rows (columns date, device; commit, data_note where there are any); not empty."""
    dates = sorted({str(date)[:10] for date in rows["date"]})
    commits = sorted({f"`{str(commit)[:8]}`" for commit in rows.get("commit", ())})
    return Origin(
        span=dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        devices=", ".join(sorted(set(rows["device"]))),
        commits=", ".join(commits),
        notes="; ".join(sorted({note for note in rows.get("data_note", ()) if note})),
    )


def provenance(rows: pd.DataFrame, what: str = "") -> Markdown:
    """Who ran what and when, from the rows themselves; ``what`` in place of their number."""
    if rows.empty:
        return Markdown(NOT_RUN)
    once = rows.drop_duplicates("key")
    made, spent = origin(once), work(once["seconds"].sum())
    told = f"{what or f'{len(once)} records'}; {spent} ({made.devices}), {made.span}"
    return made.under(f"{told}, commit {made.commits}.")


def work(seconds: float) -> str:
    """So many hours of work; minutes where an hour would be rounded away.

    >>> work(100), work(2000), work(9000)
    ('2 minutes of work', '33 minutes of work', '2.5 hours of work')
    """
    if seconds < 3600:
        minutes = max(1, round(seconds / 60))
        return f"{minutes} minute{'s' * (minutes > 1)} of work"
    return f"{seconds / 3600:.1f} hours of work"


def command(section: str, scale: str = "paper", extra: str = "") -> Markdown:
    """The command that makes the rows again, folded, as a block to copy."""
    lines = [
        f"papermill notebooks/{section}.ipynb out.ipynb",
        f"  -f notebooks/params/{scale}/{section}.yaml",
        *([f"  {extra}"] if extra else []),
    ]
    block = "```bash\n" + " \\\n".join(lines) + "\n```"
    summary = "<summary>Command that makes these rows again</summary>"
    return Markdown(f"<details>{summary}\n\n{block}\n\n</details>")


def library_digest() -> str:
    """First eight digits of the SHA-256 of the library's source files."""
    digest = hashlib.sha256()
    root = Path(modgraph_lib.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def rows_digest(rows: pd.DataFrame) -> str:
    """First eight digits of the SHA-256 of the rows' keys, which data and settings decide."""
    keys = "\n".join(sorted(set(rows["key"])))
    return hashlib.sha256(keys.encode()).hexdigest()[:8]
