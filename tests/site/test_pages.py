"""What the built pages hold, read as files; no browser needed."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tests.site.pages import PAGES, PLAIN, SECTIONS

LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
# A link element with these relations is never fetched by a browser.
NOT_FETCHED = {"canonical", "index", "search", "next", "prev"}


class Page(HTMLParser):
    """The few facts about a page that the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.images, self.loads, self.ids, self.links = [], [], set(), []
        self.captions, self.figures, self.numbered, self.headings = 0, 0, 0, []
        self.metas = {}
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if found.get("id"):
            self.ids.add(found["id"])
        if tag == "img":
            self.images.append((found, "figure" in self._open, "main" in self._open))
        if tag in LOADS and found.get(LOADS[tag]) and found.get("rel") not in NOT_FETCHED:
            self.loads.append(found[LOADS[tag]])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if re.fullmatch("h[1-6]", tag) and "article" in self._open:
            self.headings.append(int(tag[1]))
        self.figures += tag == "figure"
        # one state of an explorer has a caption and no number
        self.numbered += tag == "figure" and found.get("class") != "mg-state"
        if tag == "meta":
            self.metas[found.get("name") or found.get("property")] = found.get("content")
        self.captions += tag == "figcaption"
        if tag in ("figure", "main", "article"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            self._open.remove(tag)


@pytest.fixture(scope="module")
def read(html):
    pages = {}

    def get(name):
        if name not in pages:
            pages[name] = Page((html / name).read_text("utf8"))
        return pages[name]

    return get


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_left_as_text(html, name):
    """Outputs of cells are read as CommonMark, which has no tables."""
    text = re.sub(r"<(pre|script|style)\b.*?</\1>", "", (html / name).read_text("utf8"), flags=re.S)
    assert not re.search(r"\|\s?:?(---|\N{EM DASH})", text)


@pytest.mark.parametrize("name", PAGES)
def test_every_image_is_described(read, name):
    bare = [found["src"] for found, _, _ in read(name).images if not found.get("alt", "").strip()]
    assert not bare, f"images without alternative text: {bare}"
    named = [found for found, _, _ in read(name).images if found["alt"].startswith("../")]
    assert not named, "a file name is no description"


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_a_caption(read, name):
    page = read(name)
    assert page.figures == page.captions
    loose = [f["src"] for f, in_figure, in_text in page.images if in_text and not in_figure]
    assert not loose, f"images outside a numbered figure: {loose}"


@pytest.mark.parametrize("name", SECTIONS)
def test_figures_of_a_section_are_numbered(html, read, name):
    numbers = re.findall(r'caption-number">Figure (\d+)\.(\d+)', (html / name).read_text("utf8"))
    assert len(numbers) == read(name).numbered > 0
    assert len({chapter for chapter, _ in numbers}) == 1
    assert [int(number) for _, number in numbers] == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", PAGES)
def test_pages_load_nothing_from_elsewhere(read, name):
    outside = [url for url in read(name).loads if urlsplit(url).scheme or url.startswith("//")]
    outside = [url for url in outside if not url.startswith("data:")]
    assert not outside


def test_style_sheets_load_nothing_from_elsewhere(html):
    pattern = re.compile(r"(?:url\(|@import)\s*[\"']?(https?:)?//")
    guilty = [p.name for p in html.rglob("*.css") if pattern.search(p.read_text("utf8"))]
    assert not guilty


@pytest.mark.parametrize("name", PAGES)
def test_links_within_the_site_lead_somewhere(html, read, name):
    dead = []
    for link in read(name).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (html / name).parent / unquote(parts.path) if parts.path else html / name
        target = target.resolve()
        if not target.exists():
            dead.append(link)
        elif parts.fragment and target.suffix == ".html":
            page = read(target.relative_to(html.resolve()).as_posix())
            if unquote(parts.fragment) not in page.ids:
                dead.append(link)
    assert not dead


@pytest.mark.parametrize("name", PAGES)
def test_headings_have_one_top_and_skip_no_level(read, name):
    levels = read(name).headings
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("name", SECTIONS)
def test_sections_show_neither_errors_nor_marks(html, name):
    text = (html / name).read_text("utf8")
    assert "Traceback (most recent call last)" not in text
    assert "NBVAL_CHECK_OUTPUT" not in text
    assert "it/s]" not in text and "/network]" not in text


def test_run_times_come_from_the_runs(html):
    text = (html / "book/run_times.html").read_text("utf8")
    for word in ("processor", "torch", "Python", *(s.removesuffix(".html") for s in SECTIONS)):
        assert word in text or word.removeprefix("notebooks/") in text


@pytest.mark.parametrize("name", PAGES)
def test_pages_say_what_they_are_about(read, name):
    metas = read(name).metas
    assert len(metas["description"]) > 40 and metas["og:description"] == metas["description"]
    assert metas["og:title"] and metas["og:type"] == "article"


def weight(html, page, name):
    """Bytes of a page and of its pictures; what all pages share is not counted."""
    pictures = {f["src"] for f, _, _ in page.images if not f["src"].startswith("data:")}
    files = [(html / name).parent / unquote(urlsplit(source).path) for source in pictures]
    return (html / name).stat().st_size + sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_light(html, read, name):
    assert weight(html, read(name), name) <= (200_000 if name in PLAIN else 1_500_000)


def test_addresses_stay():
    """Pages that people may have linked to: none may go, new ones are added here."""
    known = (Path(__file__).parent / "addresses.txt").read_text("utf8").split()
    assert sorted(known) == sorted(PAGES)


def test_downloads_are_the_notebooks_as_they_run(html):
    for name in SECTIONS:
        path = html / "_sources" / name.replace(".html", ".ipynb")
        notebook = nbformat.read(path, as_version=4)
        assert "Needs Python" in notebook.cells[1].source
        assert "parameters" in next(
            cell.metadata.get("tags", []) for cell in notebook.cells if cell.cell_type == "code"
        )


@pytest.mark.parametrize("name", SECTIONS)
def test_lesson_comes_before_evidence(html, name):
    text = (html / name).read_text("utf8").split("<article")[1]
    heads = re.findall(r"<h2>(?:<[^>]*>)*([^<]+)", text)
    assert heads[-1] == "How this page was made"
    assert heads.index("Exercises") < heads.index("Evidence") if "Evidence" in heads else True
    assert text.index("he answer") < text.index("<h2>The question")
    assert text.lower().count("this execution") == 0


def test_every_reference_can_be_followed(html):
    text = (html / "book/references.html").read_text("utf8")
    entries = re.findall(r'<div class="citation".*?</div>', text, re.DOTALL)
    assert len(entries) > 25
    assert all('class="reference external" href="http' in entry for entry in entries)


def test_nothing_is_injected_into_every_page(html):
    """A source folder called _static would be; only the named assets may be in the pages."""
    text = (html / "book/introduction.html").read_text("utf8")
    scripts = re.findall(r'<script[^>]*src="[^"]*_static/([^"?]*)', text)
    assert not [script for script in scripts if "require" in script or "html-manager" in script]
