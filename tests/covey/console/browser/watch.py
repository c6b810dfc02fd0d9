"""What a page must not do: ask another host, write an error to its console, or send a request that fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response

_FAILED_TO_LOAD = "Failed to load resource"
"""How Chromium reports a failed request on the console, which the response says better."""


class Watch:
    """Notes the defects of a page. A test that provokes one says so before with `expect`."""

    def __init__(self, page: Page, origin: str) -> None:
        self.defects: list[str] = []
        self.requests: list[str] = []
        self._origin, self._expected, self._lost = origin, list[tuple[int, re.Pattern[str]]](), False
        self._page = page
        self._handlers: dict[str, Callable[[Any], None]] = {
            "request": self._request,
            "response": self._response,
            "requestfailed": self._failure,
            "console": self._message,
            "pageerror": lambda error: self.defects.append(f"an exception: {error}"),
        }
        for event, handler in self._handlers.items():
            page.on(event, handler)

    def end(self) -> None:
        """Note nothing more: the next test has a watch of its own."""
        for event, handler in self._handlers.items():
            self._page.remove_listener(event, handler)

    def expect(self, status: int, path: str) -> None:
        """Responses with this status are no defect if the path (a regular expression) is in their URL."""
        self._expected.append((status, re.compile(path)))

    def expect_lost_connection(self) -> None:
        """From now on the server does not answer, and parts of the page cannot be loaded."""
        self._lost = True

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.defects.append(f"a request to another host: {request.method} {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not any(
            status == response.status and path.search(response.url) for status, path in self._expected
        ):
            self.defects.append(f"{response.status} from {response.request.method} {response.url}")

    def _failure(self, request: Request) -> None:
        aborted = request.failure in ("net::ERR_ABORTED", None)  # the page has left, or closed a stream
        if not self._lost and not aborted:
            self.defects.append(f"{request.failure}: {request.method} {request.url}")

    def _message(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._lost and _FAILED_TO_LOAD not in message.text:
            self.defects.append(f"on the console: {message.text}")
