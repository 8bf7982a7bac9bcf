"""The rendered site, served on loopback, in a real headless Chromium with the network cut."""

import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
DRIVER = shutil.which("chromedriver")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"  # axe-core 4.10.3, MPL-2.0, unchanged
# Leaves three elements of every kind: of the same tag, class and style, in a parent of the same tag
# and class. One goes only if all that it holds is there three times already, and no form needs it.
SAMPLE = """
const named = e => [e.tagName, (e.className.baseVal ?? e.className).replace(/\\d+/g, "")].join(".");
const kind = e => [named(e), e.getAttribute("style"), named(e.parentElement)].join("<");
const seen = {}, keep = "label, input, select, script, style", whole = "a, button, label, svg";
for (const e of document.body.querySelectorAll("*")) {
  if (!e.isConnected || e.parentElement.closest(whole)) continue;
  const all = [e, ...e.querySelectorAll("*")];
  const spare = all.every(x => seen[kind(x)] >= 3 && !x.matches(keep));
  if (spare && !e.matches("dt, dd")) e.remove();  // of a list of terms, none alone
  else for (const x of e.matches(whole) ? all : [e]) seen[kind(x)] = (seen[kind(x)] || 0) + 1;
}"""
PHONE = (390, 844)
DESK = (1400, 1000)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A plain file server that does not print each request."""

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder with the rendered pages."""
    if not (HTML / "index.html").exists():
        pytest.skip("the site is not built: run `make book` first")
    return HTML


@pytest.fixture(scope="session")
def base(html):
    """Address of the site, served as any file server would."""
    handler = functools.partial(QuietHandler, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Browser:
    """A thin wrapper: open a page, ask it things, know what it requested."""

    def __init__(self, driver, base):
        self.driver, self.base = driver, base

    def size(self, width, height):
        self.driver.set_window_size(width, height)
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def media(self, theme="light", medium=""):
        """What the system prefers, and "print" for how a printer would see the page."""
        wanted = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": medium, "features": features}
        )

    def open(self, page, *, size=DESK, theme="light"):
        """Load ``page`` and wait until mathematics and widgets have been drawn."""
        self.size(*size)
        self.media(theme)
        self.driver.get_log("browser"), self.driver.get_log("performance")  # forget what was
        self.driver.get(f"{self.base}/{page}")
        self.driver.set_script_timeout(30)
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "const ready = window.MathJax?.startup?.promise ?? Promise.resolve();"
            "ready.then(() => document.fonts.ready).then(() => setTimeout(done, 150));"
        )

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def requested(self):
        """Addresses requested since the page was opened."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [m["params"]["request"]["url"] for m in sent]

    def errors(self):
        """What the console says at level SEVERE (errors, failed requests)."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def barriers(self, only=None):
        """What axe-core finds serious or critical, in words; ``only``: one rule.

        Of what a page repeats, three of every kind are looked at (``SAMPLE``); the rest is
        taken off the page, so this comes last.
        """
        if not self.script("return !!window.axe"):
            self.script(AXE.read_text("utf8"))
            self.script(SAMPLE)
            # The theme says 300 ms after a change of size or content what the keyboard can scroll.
            self.driver.execute_async_script(
                "requestAnimationFrame(() => setTimeout(arguments[0], 350))"
            )
        self.driver.set_script_timeout(60)
        rules = f"runOnly: ['{only}'], " if only else ""
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            f"axe.run({{{rules}resultTypes: ['violations']}}).then(r => done(r.violations))"
        )
        return [
            f"{one['id']}: {node['target']} {node['html'][:100]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]

    def screenshot(self, name):
        """Save what is seen where MODGRAPH_SHOTS says, for people to look at."""
        folder = os.environ.get("MODGRAPH_SHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder, f"{name}.png")))


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Chromium that can reach 127.0.0.1 and nothing else."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver, base):
    return Browser(driver, base)
