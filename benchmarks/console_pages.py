"""Pages in Chromium, and when they show what: by the browser's own clock, from the start of the navigation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
NOT_HERE: Final = "no Chromium is installed: apt-get install chromium"
_OBSERVE: Final = """
window.benchmark = {interactions: []};
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (one.interactionId) benchmark.interactions.push(one.duration);
}).observe({type: 'event', durationThreshold: 16, buffered: true});
"""
"""Chromium reports interactions of 16 ms and more."""

_WHEN: Final = """
([condition, limit]) => new Promise((done, failed) => {
  const holds = new Function('return ' + condition);
  const look = () => {
    if (performance.now() > limit) failed(new Error('it is not shown: ' + condition));
    else if (holds()) requestAnimationFrame(() => setTimeout(() => done(performance.now())));
    else requestAnimationFrame(look);
  };
  look();
})
"""
"""Resolves with the moment after the paint of the first frame in which a condition holds."""
_LIMIT_MS: Final = 30_000


@dataclass(frozen=True)
class Load:
    """A page that was opened with an empty cache.

    Attributes:
        paint_ms: the first contentful paint.
        shown_ms: the first frame that shows what was asked for.
        transferred: bytes of all responses, as they came.
    """

    paint_ms: float
    shown_ms: float
    transferred: int
    requests: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    if CHROMIUM is None:
        raise SystemExit(NOT_HERE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@contextmanager
def fresh_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page with an empty cache and no session."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True, **options)
    page = context.new_page()
    page.add_init_script(_OBSERVE)
    yield page
    context.close()


def load(browser: Browser, url: str, condition: str) -> Load:
    """Open a page with an empty cache, until a condition (JavaScript) holds."""
    with fresh_page(browser) as page:
        network = page.context.new_cdp_session(page)
        sizes: list[int] = []
        network.send("Network.enable")
        network.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
        page.goto(url, wait_until="commit")
        shown = moment_of(page, condition)
        page.wait_for_load_state("networkidle")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        return Load(paint, shown, sum(sizes), len(sizes))


def moment_of(page: Page, condition: str) -> float:
    """The moment (ms since the navigation) after the paint of the first frame in which a condition holds."""
    return float(page.evaluate(_WHEN, [condition, page.evaluate("performance.now()") + _LIMIT_MS]))


def interactions_of(page: Page) -> list[float]:
    """Milliseconds from each input event of the page until the next paint; 0 for one that took less than 16 ms."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    return [float(one) for one in page.evaluate("benchmark.interactions.splice(0)")]
