"""One HTML page that needs nothing but itself: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure", "page", "table", "text"]

STYLE = """
:root { color-scheme: light dark; --ink: #222; --faint: #666; --line: #ddd; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --faint: #a0a0a0; --line: #444; --paper: #181a1b; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
figure { margin: 1rem 0; overflow-x: auto; background: #fff; border-radius: 4px; padding: .5rem; }
figure svg { display: block; max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
footer { color: var(--faint); font-size: .85rem; margin-top: 2rem; }
"""


def page(title: str, parts: Sequence[str], note: str = "") -> str:
    """A whole page: its title, parts made by the functions below, and a note at its end."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',  # else a browser asks for one
            f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>{html.escape(title)}</h1>",
            *parts,
            f"<footer>{html.escape(note)}</footer>\n</body>\n</html>\n",
        ]
    )


def text(lines: Sequence[str], heading: str = "") -> str:
    """A heading, if any, and one paragraph a line."""
    above = f"<h2>{html.escape(heading)}</h2>\n" if heading else ""
    return above + "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)


def table(header: Sequence[Any], rows: Sequence[Sequence[Any]], heading: str = "") -> str:
    """A table whose first column holds words and the others numbers."""
    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in header)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return (
        f'{text([], heading)}<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def figure(drawn: Figure, alt: str) -> str:
    """A figure as vectors inside the page; ``alt`` says in words what it shows."""
    import matplotlib as mpl

    stream = io.StringIO()
    # Letters as outlines, so that no font is asked for; the same bytes for the same figure.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "modgraph"}):
        drawn.savefig(stream, format="svg", metadata={"Date": None})
    whole = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", whole[whole.index("<svg") :], flags=re.S)
    label = html.escape(alt, quote=True)
    return f'<figure>\n<svg role="img" aria-label="{label}"{svg[4:]}</figure>'
