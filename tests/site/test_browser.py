"""The site as a person sees it: real headless Chromium, the network cut."""

import functools

import pytest

from tests.site.conftest import DESK, PHONE, Browser
from tests.site.pages import PAGES, SECTIONS

WITH_FORMULAS = ["book/notation.html", *SECTIONS]
# The long way, by a load of their own: in dark from the start, or printed.
SOME = ["book/introduction.html", "book/scorecard.html", "book/notation.html", *SECTIONS[::7]]
OUTSIDE_THE_TEXT = (
    ".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".headerlink"
)  # fmt: skip


def name_of(page):
    return page.removesuffix(".html").replace("/", "-")


def brightness(browser, selector, what):
    """Perceived brightness (0 to 255) of the first matching element's colour."""
    colour = browser.script(
        "let e = document.querySelector(arguments[0]);"
        "let c = getComputedStyle(e)[arguments[1]];"
        "while (arguments[1] == 'backgroundColor' && /, 0\\)$/.test(c) && e.parentElement) {"
        "  e = e.parentElement; c = getComputedStyle(e).backgroundColor }"
        "return c.match(/[\\d.]+/g).slice(0, 3).map(Number)",
        selector,
        what,
    )
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def contrast(browser):
    """Brightness of the text less that of what lies behind it, the smaller of two kinds of text."""
    kinds = [
        kind
        for kind in ("article p", "article table td")
        if browser.script("return !!document.querySelector(arguments[0])", kind)
    ]
    return min(brightness(browser, k, "color") - brightness(browser, k, "backgroundColor")
               for k in kinds)  # fmt: skip


def visit(browser, page):
    """What the tests ask of a page, from one load: on a desk, dark, printed, on a phone."""
    browser.open(page)
    found = {
        "errors": browser.errors(),
        "outside": [
            url
            for url in browser.requested()
            if not url.startswith((browser.base + "/", "data:", "blob:"))
        ],
        "broken": browser.script(
            "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        ),
        "drawn": browser.script("return document.querySelectorAll('mjx-container').length"),
        "failed": browser.script("return document.querySelectorAll('mjx-merror').length"),
        "left": browser.script(
            "return [...document.querySelectorAll('.math')]"
            ".filter(e => e.tagName != 'A' && !e.querySelector('mjx-container')).length"
        ),
        "formulas": browser.script("return document.querySelectorAll('.math').length"),
    }
    browser.screenshot(f"{name_of(page)}-light")

    theme = "document.documentElement.dataset.theme = arguments[0]"
    browser.script(theme, "dark")
    found["dark"] = contrast(browser)
    browser.screenshot(f"{name_of(page)}-dark")
    browser.media("dark", "print")
    found["printed"] = browser.script(
        "return arguments[0].filter(s => [...document.querySelectorAll(s)]"
        ".some(e => e.offsetParent !== null))",
        OUTSIDE_THE_TEXT,
    )
    found["ink"], found["paper"] = (
        brightness(browser, "article p", what) for what in ("color", "backgroundColor")
    )

    browser.media("light")
    browser.script(theme, "light")
    browser.size(*PHONE)
    found["wide"], found["window"] = browser.script(
        "return [document.documentElement.scrollWidth, innerWidth]"
    )
    found["small"] = browser.script(  # letters of 8.5 pt, drawn for 100 dots an inch
        "return [...document.querySelectorAll('article figure img')].filter(e => e.offsetParent)"
        ".map(e => 11.8 * e.clientWidth / (Number(e.style.width.replace('px', '')) || 720))"
        ".filter(size => size < 11)"
    )
    browser.screenshot(f"{name_of(page)}-phone")

    browser.size(*DESK)
    found["barriers"] = browser.barriers()
    browser.script(theme, "dark")
    found["dark_barriers"] = browser.barriers(only="color-contrast")
    return found


@pytest.fixture(scope="module")
def seen(driver, base):
    """page -> what ``visit`` found there, once a page."""
    browser = Browser(driver, base)
    return functools.cache(lambda page: visit(browser, page))


@pytest.mark.parametrize("page", PAGES)
def test_page_is_clean_and_asks_nobody_else(seen, page):
    found = seen(page)
    assert found["errors"] == found["outside"] == found["broken"] == []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_bars_the_way(seen, page):
    assert seen(page)["barriers"] == seen(page)["dark_barriers"] == []


def test_barriers_are_found(browser):
    """Among what is looked at of a page are those that a page has only once."""
    browser.open("book/references.html")
    browser.script(
        "const last = document.querySelector('article section');"
        "last.innerHTML += '<p style=\"color: #ccc; background: #fff\">pale</p><button></button>'"
    )
    found = " ".join(browser.barriers())
    assert "color-contrast" in found and "button-name" in found


def test_front_address_leads_to_the_introduction(browser):
    browser.open("index.html")
    assert browser.driver.current_url.endswith("book/introduction.html")
    assert "Modularity" in browser.driver.title


@pytest.mark.parametrize("page", WITH_FORMULAS)
def test_formulas_are_drawn(seen, page):
    found = seen(page)
    assert (found["drawn"] > 0) == (found["formulas"] > 0)
    assert found["failed"] == found["left"] == 0
    assert found["drawn"] > 0 or page != "book/notation.html"


@pytest.mark.parametrize("page", PAGES)
def test_phone_needs_no_sideways_scrolling(seen, page):
    assert seen(page)["wide"] <= seen(page)["window"]
    assert seen(page)["small"] == []


@pytest.mark.parametrize("page", PAGES)
def test_dark_mode_is_legible(seen, page):
    assert seen(page)["dark"] > 100


@pytest.mark.parametrize("page", SOME)
def test_dark_mode_follows_the_system(browser, page):
    browser.open(page, theme="dark")
    assert browser.script("return document.documentElement.dataset.theme") == "dark"
    assert contrast(browser) > 100


def test_dark_mode_can_be_chosen(browser):
    browser.open("book/introduction.html")
    for _ in range(3):
        browser.script("document.querySelector('.theme-switch-button').click()")
        if browser.script("return document.documentElement.dataset.theme") == "dark":
            break
    assert brightness(browser, "body", "backgroundColor") < 60
    browser.script("localStorage.clear()")


@pytest.mark.parametrize("word", ["clusterability", "pruning", "spectral", "isolated"])
def test_search_finds(browser, word):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.open(f"search.html?q={word}")
    hits = "return document.querySelectorAll('#search-results ul.search li a').length"
    WebDriverWait(browser.driver, 20).until(lambda _: browser.script(hits) > 0)
    browser.screenshot(f"search-{word}")


def test_search_of_nonsense_says_so(browser):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.open("search.html?q=xyzzyplugh")
    said = "return document.querySelector('#search-results').innerText"
    WebDriverWait(browser.driver, 20).until(lambda _: "did not match" in browser.script(said))


WITH_EXPLORERS = (
    "beyond/01_calibration",
    "community_modularity/01_curves",
    "detecting_modularity/03_lesions",
    "surprisingly_modular/01_clusterability",
    "surprisingly_modular/04_lesions",
)
EXPLORERS = [page for page in SECTIONS if page.endswith(tuple(f"{n}.html" for n in WITH_EXPLORERS))]


@pytest.mark.parametrize("page", EXPLORERS)
def test_explorers_show_one_state_and_follow_the_keyboard(browser, page):
    browser.open(page)
    shown = (
        "return [...document.querySelectorAll('.mg-explorer figure')]"
        ".filter(f => f.offsetParent).map(f => f.dataset.state)"
    )
    first = browser.script(shown)
    menu = browser.driver.find_elements("css selector", ".mg-explorer select")[-1]
    menu.send_keys("\ue015")  # arrow down
    second = browser.script(shown)
    assert len(first) == len(second) == 1 and first != second
    assert browser.script("return document.querySelector('.mg-explorer [aria-live]') != null")
    assert browser.errors() == []


@pytest.mark.parametrize("page", PAGES)
def test_print_is_the_text_alone_on_white(seen, page):
    assert seen(page)["printed"] == []
    assert seen(page)["ink"] < 60 and seen(page)["paper"] > 240


@pytest.mark.parametrize("page", SOME)
def test_pages_can_be_printed(browser, page):
    browser.open(page, theme="dark")
    pdf = browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(pdf) > 20_000


def test_keyboard_focus_is_seen(browser):
    browser.open("book/introduction.html")
    browser.driver.switch_to.active_element.send_keys("\ue004")  # Tab
    style = browser.script(
        "const s = getComputedStyle(document.activeElement);"
        "return [s.outlineStyle, s.outlineWidth, s.boxShadow]"
    )
    assert (style[0] != "none" and style[1] != "0px") or style[2] != "none"
