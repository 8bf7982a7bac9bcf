"""The whole book as one PDF, printed by Chromium from the rendered pages.

The articles of all pages go, in the order of the table of contents, into one page that loads the
site's own styles; links between pages become links inside it.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from book.scripts.render import toc_files
from book.scripts.sections import BUILD, ROOT

NAME, WHOLE = "modgraph-book.pdf", "whole-book.html"
OFFERS = "book/how_to_rerun"  # the page that links to it ...
PLACE = re.compile(r'(<span\s+id="whole-book-as-pdf">).*?(</span>)', re.DOTALL)  # ... here
ARTICLE = re.compile(r"<article[^>]*>(.*?)</article>", re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
ADDRESS = re.compile(r'\b(href|src)="([^"]*)"')
STYLE = """<style>
@page {size: A4; margin: 16mm}
.book-page {break-before: page} .mg-explorer figure:nth-of-type(n+2) {display: none}
body {padding: 0} main {max-width: 46rem; margin: auto} pre {white-space: pre-wrap}
details.admonition.hide {display: none}
</style>"""


def whole(html: Path, pages: Sequence[str]) -> str:
    """One page with the articles of ``pages`` (names without extension), to lie in ``html``.

    Raises:
        ValueError: a page without an article (names it).
    """
    first = (html / f"{pages[0]}.html").read_text("utf8")
    head = ADDRESS.sub(lambda m: _moved(m, pages[0], pages), first.split("</head>")[0])
    parts = []
    for page in pages:
        found = ARTICLE.search((html / f"{page}.html").read_text("utf8"))
        if not found:
            raise ValueError(f"{page}.html has no article")
        parts.append(_section(found[1], page, pages))
    body = f"<body><main class='bd-content'>{''.join(parts)}</main></body>"
    return f"{head}{STYLE}</head>{body}</html>"


def _section(article: str, page: str, pages: Sequence[str]) -> str:
    """The article of a page with anchors that no other page has."""
    text = SCRIPT.sub("", article)
    text = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{_anchor(page, m[1])}"', text)
    text = ADDRESS.sub(lambda m: _moved(m, page, pages), text)
    return f'<section class="book-page bd-article" id="{_anchor(page)}">{text}</section>'


def _anchor(page: str, name: str = "") -> str:
    return page.replace("/", "-") + (f"--{name}" if name else "")


def _moved(found: re.Match, page: str, pages: Sequence[str]) -> str:
    """A link or source of ``page`` as it reads from the one big page."""
    kind, address = found.groups()
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not address:
        return found[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), parts.path))
    goal = page if not parts.path else target.removesuffix(".html")
    if kind == "href" and goal in pages:
        return f'href="#{_anchor(goal, parts.fragment)}"'
    query = f"?{parts.query}" if parts.query else ""
    return f'{kind}="{target}{query}"'


def offer(html: Path) -> None:
    """Put the link to the PDF where the page on re-running has a place for it.

    Raises:
        ValueError: the page has no such place.
    """
    page = html / f"{OFFERS}.html"
    text = page.read_text("utf8")
    size = (html / NAME).stat().st_size / 1e6
    link = f' It is here: <a href="../{NAME}">{NAME}</a> ({size:.0f} MB).'
    text, done = PLACE.subn(lambda found: found[1] + link + found[2], text)
    if not done:
        raise ValueError(f"{page} has no place for the link to the PDF")
    page.write_text(text, "utf8")


def main() -> int:
    """Command line; returns the exit status."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), "")
    if not chromium:
        print("book: no Chromium here, which prints the PDF", file=sys.stderr)
        return 1
    html = BUILD / "html"
    pages = list(toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))))
    page, target = html / WHOLE, html / NAME
    page.write_text(whole(html, pages), "utf8")
    try:
        subprocess.run(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
             "--generate-pdf-document-outline", "--virtual-time-budget=120000",
             f"--print-to-pdf={target}", page.as_uri()],
            check=True, capture_output=True, timeout=600,
        )  # fmt: skip
    except subprocess.SubprocessError as error:
        print(f"book: Chromium did not print: {error}", file=sys.stderr)
        return 1
    finally:
        page.unlink()
    offer(html)
    print(f"book: {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
