"""The watch of a page notes what a console's page must not do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.waiting import wait_until

from .watch import Watch

DOCUMENT = b"""<!doctype html><title>odd</title><link rel=icon href=data:,>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><main></main>"""


class Odd(BaseHTTPRequestHandler):
    """Answers / with a page, and everything else with its path as the status."""

    def do_GET(self) -> None:
        status = 200 if self.path == "/" else int(self.path[1:])
        self.send_response(status)
        self.send_header("Content-Security-Policy", "img-src 'self' data:")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(DOCUMENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def odd(chromium: Browser, origin: str) -> Iterator[tuple[Page, Watch]]:
    context = chromium.new_context()
    page = context.new_page()
    watch = Watch(page, origin)
    page.goto(f"{origin}/")
    yield page, watch
    context.close()


def test_a_quiet_page_has_no_defects(odd: tuple[Page, Watch], origin: str) -> None:
    page, watch = odd
    page.evaluate("console.log('a word')")
    page.evaluate("fetch('/200').then(answer => answer.text())")
    assert watch.defects == []
    assert f"{origin}/200" in watch.requests


@pytest.mark.parametrize(
    ("script", "defect"),
    [
        ("fetch('http://127.0.0.1:1/x').catch(() => 0)", "a request to another host: GET http://127.0.0.1:1/x"),
        ("console.error('a broken rule')", "on the console: a broken rule"),
        ("setTimeout(() => { throw new Error('a broken page') })", "an exception: a broken page"),
        ("fetch('/409').then(answer => answer.text())", "409 from GET"),
        ("document.querySelector('img').src = 'http://elsewhere.example/x.png'", "Content Security Policy"),
    ],
)
def test_a_defect_is_noted(odd: tuple[Page, Watch], script: str, defect: str) -> None:
    page, watch = odd
    page.evaluate(f"() => {{ {script} }}")
    wait_until(lambda: page.evaluate("true") and any(defect in one for one in watch.defects))


def test_a_failure_that_is_meant_is_no_defect(odd: tuple[Page, Watch]) -> None:
    page, watch = odd
    watch.expect(409, "/409$")
    page.evaluate("fetch('/409').then(answer => answer.text())")
    page.evaluate("fetch('/404').then(answer => answer.text())")
    wait_until(lambda: page.evaluate("true") and len(watch.defects) > 0)
    assert [one.split()[:3] for one in watch.defects] == [["404", "from", "GET"]]
