"""What the built pages hold, read as files; no browser needed."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.site.pages import PAGES, SECTIONS

LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
# A link element with these relations is never fetched by a browser.
NOT_FETCHED = {"canonical", "index", "search", "next", "prev"}


class Page(HTMLParser):
    """The few facts about a page that the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.images, self.loads, self.ids, self.links = [], [], set(), []
        self.captions, self.figures, self.headings = 0, 0, []
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
    numbers = re.findall(r'caption-number">Figure (\d+)', (html / name).read_text("utf8"))
    assert len(numbers) == read(name).figures > 0
    assert numbers == sorted(numbers, key=int)


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


def test_nothing_is_injected_into_every_page(html):
    """A source folder called _static would be; only the named assets may be in the pages."""
    text = (html / "book/introduction.html").read_text("utf8")
    scripts = re.findall(r'<script[^>]*src="[^"]*_static/([^"?]*)', text)
    assert not [script for script in scripts if script.startswith("vendor/html-manager")]
