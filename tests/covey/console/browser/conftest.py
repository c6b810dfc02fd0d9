"""The console in a real Chromium. Tests take these fixtures:

* `page`: an operator's page (1280 × 800, light) on the shared `console_server`, which is opened and shows its first place.
* `kept_page`: such a page at its lab, for tests that only look at places. One page serves them all, and is loaded anew for each.
* `open_page(server=…, role=…, width=…, height=…, colour=…)`: more pages, other roles ("reader" or "operator"), sizes, or servers.
* `watch_of(page)`: the page's `Watch`. A page that asks another host, writes an error to its console, has an exception, or sends
  a request that fails, fails the test; `watch_of(page).expect(409, "/composer/file")` says before which failures are meant.
* `open_place(page, "features", "key=ATL")` of `.places`: go to a place, and wait until it shows what it has.
* `own_world` and `serving_console(own_world, tmp_path / "log")` of the folder above: a console that the test may change or stop.

The tests are skipped where there is no Chromium or no Playwright, or where the page is not built. Playwright's loop runs in this
thread while the package's tests run: such a test cannot call `asyncio.run`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from covey.console.assets import INDEX, AssetFiles
from tests.covey.console.server import ConsoleServer

from .places import wait_until_shown
from .watch import Watch

CHROMIUM: Final = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
PATIENCE_MS: Final = 15_000
"""How long a page may take on a machine whose cores are all busy."""
WIDTH: Final = 1280
HEIGHT: Final = 800
"""CSS pixels of a page, where a test does not choose them."""
PHONE: Final = 390
"""CSS pixels: the width of a phone."""

OpenPage = Callable[..., Page]
WatchOf = Callable[[Page], Watch]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this folder."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    if AssetFiles().find(INDEX) is None:
        pytest.skip("the console's page is not built: make console")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def watches() -> Iterator[dict[Page, Watch]]:
    """The watch of each page of a test. After the test, their defects fail it."""
    watches: dict[Page, Watch] = {}
    yield watches
    assert [defect for watch in watches.values() for defect in watch.defects] == []


@pytest.fixture
def watch_of(watches: dict[Page, Watch]) -> WatchOf:
    """The watch of a page that `open_page` has opened."""
    return watches.__getitem__


@pytest.fixture
def open_page(chromium: Browser, request: pytest.FixtureRequest, watches: dict[Page, Watch]) -> Iterator[OpenPage]:
    """Opens pages, each with its own session."""
    contexts = []

    def opened(
        server: ConsoleServer | None = None,
        *,
        role: Literal["reader", "operator"] = "operator",
        width: int = WIDTH,
        height: int = HEIGHT,
        colour: Literal["light", "dark"] = "light",
        **options: Any,
    ) -> Page:
        server = server or request.getfixturevalue("console_server")
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=colour, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        watches[page] = Watch(page, server.origin)
        page.goto(server.operator_url if role == "operator" else server.url)
        wait_until_shown(page)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """An operator's page on the shared console."""
    return open_page()


@pytest.fixture(scope="package")
def page_of_all(chromium: Browser, console_server: ConsoleServer) -> Iterator[Page]:
    """The page behind `kept_page`: a new page is a new process of the browser, which takes two CPU seconds to show a place."""
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(console_server.operator_url)
    wait_until_shown(page)
    yield page
    context.close()


@pytest.fixture
def kept_page(page_of_all: Page, console_server: ConsoleServer, watches: dict[Page, Watch]) -> Iterator[Page]:
    """An operator's page on the shared console. A test leaves no unsaved edit and no route behind."""
    page = page_of_all
    page.goto("about:blank")  # from there, a place is a page that is loaded, and no step inside one
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.emulate_media(color_scheme="light")
    watch = watches[page] = Watch(page, console_server.origin)
    page.goto(f"{console_server.url}#/lab")
    wait_until_shown(page)
    yield page
    watch.end()
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    for opened in page.context.pages:
        if opened is not page:
            opened.close()
