"""A page of ``modgraph report``, opened from a file in a Chromium that reaches nothing."""

import pytest

from modgraph_lib import report, toys
from tests.site.conftest import PHONE, Browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    weights, _ = toys.strands(3, (9, 9, 9), leak=0.05, seed=0)
    found = report.clusterability(weights, k=3, shuffles=9, workers=1, name="strands")
    place = tmp_path_factory.mktemp("page")
    (place / "report.html").write_text(found.html(), "utf8")
    return place


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_whole_by_itself(driver, folder, theme):
    browser = Browser(driver, folder.as_uri())
    browser.open("report.html", theme=theme)
    assert browser.errors() == []
    asked = [url for url in browser.requested() if not url.startswith("data:")]
    assert asked == [f"{folder.as_uri()}/report.html"]
    assert browser.script("return document.title") == "Clusterability of strands"
    box = browser.script(
        "return document.querySelector('figure svg').getBoundingClientRect().width"
    )
    assert box > 300
    back = browser.script("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (theme == "light")
    browser.screenshot(f"report-{theme}")


def test_a_phone_needs_no_sideways_scrolling(driver, folder):
    browser = Browser(driver, folder.as_uri())
    browser.open("report.html", size=PHONE)
    wide, window = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window
