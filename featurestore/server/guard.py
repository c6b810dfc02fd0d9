"""The guard before the feature server: checks host, API key and limits of a request, and counts it.

It is raw ASGI around raw ASGI and takes about 20 µs a request (`benchmarks.guards`). If keys are used, every route but
those in `OPEN` needs one. A refusal is sent before the body is read. On Feast's route it has the form that Feast's clients raise;
on other routes it is a problem (RFC 9457).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from base.exposition import MEDIA_TYPE as METRICS_TYPE
from base.metrics import Sample

from .answer import Answer, Later, Message, Promised, Receive, Send
from .api_keys import KeyRing
from .connections import ENDLESS, SURPLUS
from .errors import DEFECT, DEFECT_TEXT, TOO_LARGE, feast_body
from .hosts import Hosts
from .metrics import GONE, Counts, exposition
from .openapi import METRICS, ROUTE
from .probes import HEALTHZ, READYZ
from .problems import problem
from .refusal import MEDIA_TYPE, Header, Refused
from .throttle import NO_LIMITS, Allowance, Throttle
from .whole_routes import WholeRequest, WholeRoute

OPEN: Final = frozenset({"/health", HEALTHZ, READYZ})
"""The routes that need no key, because probes have none."""

COUNTED: Final = "covey.route"
"""The key in a request's scope of the name by which it is counted, if that is not its path."""
ALL_READERS: Final = "all readers together"

_EVENTS: Final = b"text/event-stream"
_LATER: Final = ((b"retry-after", b"1"), (b"connection", b"close"))
_CLASSES: Final = {401: "FeastPermissionError"}
_log = logging.getLogger(__name__)
_ANYBODY: Final = ""
"""The id of the allowance that all readers share if no keys are used."""


class Gate:
    """Admits or refuses readers.

    Args:
        keys: the accepted keys; None: all readers are admitted.
        counts: the counters of rows and requests.
    """

    def __init__(self, keys: KeyRing | None, throttle: Throttle, counts: Counts) -> None:
        self._keys, self._throttle, self.counts = keys, throttle, counts

    def admit(self, key: bytes | None) -> Callable[[int], None]:
        """Admit a reader; returns a function that takes the number of rows once it is known.

        Raises:
            Refused: 401, or 429 with how long to wait.
        """
        name, allowance = self._allowance(key)
        wait = allowance.admit()
        if wait is not None:
            who = ALL_READERS if wait.together else name
            raise Refused(
                429,
                f"{who}: over the limit of rows or requests; retry in {wait.seconds} s",
                (b"retry-after", b"%d" % wait.seconds),
            )

        def charge(rows: int) -> None:
            self.counts.rows(rows)
            allowance.charge(rows)

        return charge

    def _allowance(self, key: bytes | None) -> tuple[str, Allowance]:
        """(name, allowance) of the key's consumer."""
        if self._keys is None:
            return ALL_READERS, self._throttle.allowance(_ANYBODY, NO_LIMITS)
        if key is None:
            raise Refused(
                401,
                "this server needs an API key: send Authorization: Bearer KEY, or X-API-Key: KEY",
                (b"www-authenticate", b'Bearer realm="covey"'),
            )
        consumer = self._keys.find(key)
        if consumer is None:
            raise Refused(
                401,
                "this server does not know this API key; it is mistyped, or was removed",
                (b"www-authenticate", b'Bearer realm="covey", error="invalid_token"'),
            )
        return consumer.name, self._throttle.allowance(consumer.key_id, consumer.limits)


class Guarded(Protocol):
    """The application behind a guard."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection event."""

    def answer(self, headers: list[Header], body: bytes, charge: Callable[[int], None]) -> Answer | Later:
        """The answer to a POST of Feast's route."""
        ...

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of an extension that answers a POST."""

    def is_probe(self, path: str) -> bool:
        """Whether a path of an extension needs no key."""
        ...

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal in the form of a path of an extension."""
        ...


class Guard:
    """The ASGI callable, and a shorter way for requests that arrive in one piece.

    Args:
        app: the guarded application.
        hosts: the names and addresses of the server.
        health: gives the health of the server, for the metrics.
        clock: wall clock, µs since the epoch.
        process: gives the samples of the server's process.
    """

    def __init__(
        self,
        app: Guarded,
        hosts: Hosts,
        gate: Gate,
        health: Callable[[], dict[str, Any]],
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        process: Callable[[], Iterable[Sample]] = tuple,
    ) -> None:
        self._app, self._hosts, self._gate = app, hosts, gate
        self._counts, self._health, self._clock, self._process = gate.counts, health, clock, process

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection event, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, start, status, counted = scope["path"], time.perf_counter(), GONE, False

        def count() -> None:
            nonlocal counted
            counted = True
            self._counts.request(scope.get(COUNTED, path), status, time.perf_counter() - start)

        def watched(message: Message) -> Any:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if any(name == b"content-type" and value.startswith(_EVENTS) for name, value in message["headers"]):
                    scope[ENDLESS] = True
            elif not message.get("more_body", False):  # counted before the answer's last part is sent
                count()
            return send(message)

        try:
            headers = _read(scope["headers"])
            self._hosts.require(headers.hosts, headers.origin)
            if path not in OPEN and not self._app.is_probe(path):
                if SURPLUS in scope:
                    raise Refused(503, f"the server has {scope[SURPLUS]:,} open connections, its limit", *_LATER)
                scope["covey.charge"] = self._gate.admit(headers.key)
            if path == METRICS:
                await self._metrics(scope["method"], watched)
            else:
                await self._app(scope, receive, watched)
        except Refused as refusal:
            await (self._app.refusal(path, refusal) or _refusal(path, refusal)).send(watched)
        finally:
            if not counted:
                count()

    def answer(self, headers: list[Header], body: bytes) -> Answer | Later:
        """The answer to a POST of Feast's route, or its refusal. The body counts only if the reader is admitted."""
        start = time.perf_counter()
        try:
            found = _read(headers)
            self._hosts.require(found.hosts, found.origin)
            charge = self._gate.admit(found.key)
        except Refused as refusal:
            answer: Answer | Later = _refusal(ROUTE, refusal)
        except Exception:  # noqa: BLE001 - the requests of other clients are answered with this one
            _log.exception("the guard failed")
            answer = Answer(DEFECT, feast_body("FeastError", DEFECT_TEXT))
        else:
            answer = self._app.answer(headers, body, charge)
        if isinstance(answer, Answer):
            self._counts.request(ROUTE, answer.status, time.perf_counter() - start)
            return answer
        return self._counted(answer, start)

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of an extension that answers a POST."""
        return self._app.find(url)

    def whole(self, route: WholeRoute, request: WholeRequest) -> Answer | Promised:
        """The answer to a POST of an extension's route, or its refusal."""
        start = time.perf_counter()
        try:
            found = _read(request.headers)
            self._hosts.require(found.hosts, found.origin)
            charge = self._gate.admit(found.key)
            if len(request.body) > route.max_body:
                raise Refused(TOO_LARGE, f"the body has more than {route.max_body:,} bytes")
            answer: Answer | Promised = route.answer(request, charge)
        except Refused as refusal:
            answer = route.refusal(refusal)
        except Exception:  # noqa: BLE001 - the requests of other clients are answered with this one
            _log.exception("%s failed", route.name)
            answer = route.refusal(Refused(DEFECT, DEFECT_TEXT))

        def count(made: Answer | None) -> None:
            status = GONE if made is None else made.status
            self._counts.request(route.name, status, time.perf_counter() - start)

        if isinstance(answer, Answer):
            count(answer)
        else:
            answer.then(count)
        return answer

    async def _counted(self, later: Later, start: float) -> Answer:
        status = GONE
        try:
            answer = await later
            status = answer.status
            return answer
        finally:
            self._counts.request(ROUTE, status, time.perf_counter() - start)

    async def _metrics(self, method: str, send: Send) -> None:
        if method not in ("GET", "HEAD"):
            raise Refused(405, f"{METRICS} takes GET", (b"allow", b"GET"))
        text = exposition(self._counts, self._health(), self._clock(), self._process())
        await Answer(200, text, METRICS_TYPE.encode()).send(send)


class _Headers(NamedTuple):
    """The headers that the guard checks.

    Attributes:
        hosts: the value of every Host header.
        key: from either header. If both are sent, X-API-Key counts, because Authorization may be a proxy's.
    """

    hosts: list[bytes]
    origin: bytes | None
    key: bytes | None


def _read(headers: list[Header]) -> _Headers:
    hosts: list[bytes] = []
    origin = bearer = own = None
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"origin":
            origin = value
        elif name == b"x-api-key":
            own = own or value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
    return _Headers(hosts, origin, bearer if own is None else own)


def _refusal(path: str, refusal: Refused) -> Answer:
    """A refusal in the form of its route."""
    if path == ROUTE:
        body = feast_body(_CLASSES.get(refusal.status, "FeastError"), refusal.detail)
        return Answer(refusal.status, body, more=refusal.headers)
    return Answer(refusal.status, problem(refusal.status, refusal.detail), MEDIA_TYPE.encode(), refusal.headers)
