"""What every request of the console passes: limits, session, page token, and the headers of every answer.

It is raw ASGI around the app of the console, behind the guard of the feature server, which checks Host and Origin. A route
cannot forget it: without a session a request reaches only the page's files and the route that opens one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from covey.errors import BodyTooLarge, PageTokenMissing, RequestFromAnotherSite, TooManyRequests
from deployment.printing.output import printable
from featurestore.server.answer import App, Message, Receive, Send
from featurestore.server.connections import SURPLUS
from featurestore.server.errors import DEFECT
from featurestore.server.refusal import Refused
from featurestore.server.roles import Role
from featurestore.server.throttle import Throttle

from .commands import NAMED
from .problems import answer_of
from .roles import CHANGE, USER, Change
from .sessions import Session, Sessions

PREFIX: Final = "/console"
API: Final = "/console/api"
SESSION: Final = "/console/api/session"
HEADER: Final = "X-Covey-Console"
MAX_BODY: Final = 256 * 2**10
"""The longest look at a moment has about 100 kB."""
MAX_TEXTS: Final = 4 * 2**20
"""Of the composer: a views.py of 1 MB as JSON, and its graph, or a second text."""
MAX_CREDENTIALS: Final = 4_096
"""What may be sent without a session."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
"""Values of Sec-Fetch-Site, which browsers send: another site, and another port or name of this one."""
_SECRET: Final = re.compile(r"covey_[0-9a-f]{8}_[A-Za-z0-9_-]+|token=[A-Za-z0-9_-]+")
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
ANSWERED: Final[Mapping[bytes, bytes]] = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Of every answer that does not set them itself."""

_log = logging.getLogger(__name__)


class Gate:
    """The ASGI callable.

    Args:
        app: the routes of the console.
        cookie: the name of the cookie.
        throttle: the limits of a user.
    """

    def __init__(self, app: App, sessions: Sessions, cookie: str, throttle: Throttle) -> None:
        self._app, self._sessions, self._cookie, self._throttle = app, sessions, cookie, throttle

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        started, status, ended, body = False, 0, False, _Body(receive, _most(scope))

        async def complete(message: Message) -> None:
            nonlocal started, status, ended
            if (body.is_too_large and not started) or ended:
                return  # the app answers that it cannot read the body, or goes on with a stream that has ended
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in ANSWERED.items() if name not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            elif message.get("more_body") and session is not None and not self._sessions.has(session):
                ended, message = True, {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        session: Session | None = None
        commands: list[str] = []
        NAMED.set(commands)
        scope[CHANGE] = change = Change()
        try:
            session = self._admit(scope)
            await self._app(scope, body.read, complete)
            if body.is_too_large and not started:
                raise BodyTooLarge(_most(scope))
        except Exception as error:
            if started and status >= DEFECT:  # starlette answers a defect, and raises it again
                return
            if started:
                raise
            body.is_too_large = False
            await answer_of(error).send(complete)
        finally:
            if session is not None and change.role > Role.READER:
                _record(session, scope, status, commands)

    def _admit(self, scope: Message) -> Session | None:
        """The session of a request; None: it needs none. Raises ConsoleError, Refused."""
        if SURPLUS in scope:
            raise Refused(503, f"the server has {scope[SURPLUS]:,} open connections, its limit")
        path: str = scope["path"]
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site", "")
        if site in _FOREIGN and path.startswith(f"{API}/"):
            raise RequestFromAnotherSite(site)
        if scope["method"] not in _SAFE and _length(headers) > (most := _most(scope)):
            raise BodyTooLarge(most)
        if path == SESSION or not path.startswith(f"{API}/"):
            return None
        session = self._sessions.find(cookie_of(headers, self._cookie))
        if scope["method"] not in _SAFE:
            try:
                session.require_page_token(headers.get(HEADER), HEADER)
            except PageTokenMissing as error:
                _record(session, scope, error.status, ["no page token"])
                raise
        wait = self._throttle.allowance(session.user.ident, session.user.limits).admit()
        if wait is not None:
            raise TooManyRequests(wait.seconds)
        scope[USER] = session.user
        return session


def _most(scope: Message) -> int:
    """The bytes that the body of a request may have."""
    path: str = scope["path"]
    if path == SESSION:
        return MAX_CREDENTIALS
    return MAX_TEXTS if path.startswith(f"{API}/composer/") else MAX_BODY


def cookie_of(headers: Headers, name: str) -> str | None:
    """The value of a cookie of a request. Other servers of this host may have cookies of any form beside it."""
    return cookie_parser(headers.get("cookie", "")).get(name)


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


class _Body:
    """The body of a request, of which no more is read than a body may have."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._size, self.is_too_large = receive, most, 0, False

    async def read(self) -> Message:
        """Receive a part. Raises BodyTooLarge."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            self.is_too_large = True
            raise BodyTooLarge(self._most)
        return message


def _record(session: Session, scope: Message, status: int, notes: list[str]) -> None:
    """Log a request to change something, with its outcome, in one line: a line break in a name begins no other one."""
    done = f"; {'; '.join(notes)}" if notes else ""
    _log.info(
        "%s (%s): %s %s answered %d%s",
        session.user.name,
        session.user.role.label,
        scope["method"],
        printable(_SECRET.sub("…", str(scope["path"])[:300])),
        status,
        printable(_SECRET.sub("…", done)),
    )
