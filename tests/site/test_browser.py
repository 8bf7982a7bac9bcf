"""The site as a person sees it: real headless Chromium, the network cut."""

import pytest

from tests.site.conftest import PHONE
from tests.site.pages import PAGES, SECTIONS

WITH_FORMULAS = ["book/notation.html", *SECTIONS]


def name_of(page):
    return page.removesuffix(".html").replace("/", "-")


@pytest.mark.parametrize("page", PAGES)
def test_page_is_clean_and_asks_nobody_else(browser, page):
    browser.open(page)
    assert browser.errors() == []
    outside = [
        url
        for url in browser.requested()
        if not url.startswith((browser.base + "/", "data:", "blob:"))
    ]
    assert outside == []
    broken = browser.script(
        "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []
    browser.screenshot(f"{name_of(page)}-light")
    assert browser.barriers() == []
    browser.script("document.documentElement.dataset.theme = 'dark'")
    assert browser.barriers(only="color-contrast") == []


def test_front_address_leads_to_the_introduction(browser):
    browser.open("index.html")
    assert browser.driver.current_url.endswith("book/introduction.html")
    assert "Modularity" in browser.driver.title


@pytest.mark.parametrize("page", WITH_FORMULAS)
def test_formulas_are_drawn(browser, page):
    browser.open(page)
    drawn = browser.script("return document.querySelectorAll('mjx-container').length")
    failed = browser.script("return document.querySelectorAll('mjx-merror').length")
    left = browser.script(
        "return [...document.querySelectorAll('.math')]"
        ".filter(e => e.tagName != 'A' && !e.querySelector('mjx-container')).length"
    )
    some = browser.script("return document.querySelectorAll('.math').length")
    assert (drawn > 0) == (some > 0) and failed == 0 and left == 0
    assert drawn > 0 or page != "book/notation.html"


@pytest.mark.parametrize("page", PAGES)
def test_phone_needs_no_sideways_scrolling(browser, page):
    browser.open(page, size=PHONE)
    wide, window = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window
    small = browser.script(  # letters of 8.5 pt, drawn for 100 dots an inch
        "return [...document.querySelectorAll('article figure img')].filter(e => e.offsetParent)"
        ".map(e => 11.8 * e.clientWidth / (Number(e.style.width.replace('px', '')) || 720))"
        ".filter(size => size < 11)"
    )
    assert small == []
    browser.screenshot(f"{name_of(page)}-phone")


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


@pytest.mark.parametrize("page", ["book/introduction.html", "book/scorecard.html", *SECTIONS])
def test_dark_mode_follows_the_system_and_stays_legible(browser, page):
    browser.open(page, theme="dark")
    assert browser.script("return document.documentElement.dataset.theme") == "dark"
    for selector in ("article p", "article table td"):
        if browser.script("return !!document.querySelector(arguments[0])", selector):
            back = brightness(browser, selector, "backgroundColor")
            ink = brightness(browser, selector, "color")
            assert ink - back > 100, selector
    browser.screenshot(f"{name_of(page)}-dark")


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


@pytest.mark.parametrize("page", ["book/notation.html", *SECTIONS])
def test_print_is_the_text_alone_on_white(browser, page):
    browser.open(page, theme="dark")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.script(
        "const gone = ['.bd-sidebar-primary', '.bd-sidebar-secondary', '.bd-header-article',"
        " '.headerlink'];"
        "const shown = s => [...document.querySelectorAll(s)].some(e => e.offsetParent !== null);"
        "return gone.filter(shown)"
    )
    assert shown == []
    assert brightness(browser, "article p", "color") < 60
    assert brightness(browser, "article p", "backgroundColor") > 240
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
