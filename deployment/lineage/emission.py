"""Sends OpenLineage events to a collector by HTTP, and follows a store while it grows. Each wait and each retry is bounded."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event as Flag
from threading import Thread
from typing import Final, Self
from urllib.parse import urlsplit

from base.errors import CoveyError
from deployment.errors import LineageNotSent, UsageError
from featurestore.store import Store

from .openlineage import Emitter, Event, events_of

PATH: Final = "/api/v1/lineage"
"""Where collectors of OpenLineage take events, if the URL names no path."""
TIMEOUT_S: Final = 5.0
"""Of each wait for the collector, not of a whole answer: one that comes in small parts may take longer."""
WAITS_S: Final = (0.5, 2.0)
"""The pauses before a second and a third attempt."""
MAX_ANSWER: Final = 2**16
FOLLOW_S: Final = 30.0
"""How often a store is looked at for new publications."""
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collector:
    """The address of a collector of OpenLineage events.

    Attributes:
        key: sent as `Authorization: Bearer`; None: without one.
    """

    secure: bool
    host: str
    port: int | None
    path: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, key: str | None = None) -> Self:
        """Parse an http or https URL. Raises UsageError: it is none, or has a password; or the key cannot be sent."""
        try:
            parts = urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode("idna")  # as the connection looks it up
        except ValueError:
            parts, port = urlsplit(""), None
        printable = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
            raise UsageError(f"{url[:80]!r} is no http or https URL", settings=("openlineage",))
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise UsageError(
                "the URL of an OpenLineage collector has no user, password, query or fragment; a key goes into the environment "
                "variable OPENLINEAGE_API_KEY",
                settings=("openlineage",),
            )
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UsageError(
                "the key in OPENLINEAGE_API_KEY has a line break, or a character outside ASCII; set it again without it",
                settings=("openlineage",),
            )
        return cls(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/") or PATH, key)

    @property
    def url(self) -> str:
        """As text, without the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"http{'s' if self.secure else ''}://{host}{port}{self.path}"


def emit(events: Iterable[Event], collector: Collector, wait: Callable[[float], object]) -> int:
    """Send events one after the other over one connection; returns their number. Redirects are not followed.

    Args:
        wait: waits for seconds before another attempt. If it returns True, nothing more is sent.

    Raises:
        LineageNotSent: the collector refused an event, or did not take it in three attempts. It names how many it took.
    """
    sent = 0
    connection = _connection(collector)
    try:
        for event in events:
            for pause in (*WAITS_S, None):
                why = _attempt(connection, collector, json.dumps(event).encode())
                if why is None:
                    sent += 1
                    break
                if pause is None or not why.again:
                    raise LineageNotSent(collector.url, why.text, sent)
                if wait(pause) is True:
                    return sent
        return sent
    finally:
        connection.close()


@dataclass(frozen=True)
class _Failure:
    text: str
    again: bool


def _connection(collector: Collector) -> HTTPConnection:
    if collector.secure:
        return HTTPSConnection(collector.host, collector.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    return HTTPConnection(collector.host, collector.port, timeout=TIMEOUT_S)


def _attempt(connection: HTTPConnection, collector: Collector, body: bytes) -> _Failure | None:
    headers = {"Content-Type": "application/json"}
    if collector.key is not None:
        headers["Authorization"] = f"Bearer {collector.key}"
    try:
        connection.request("POST", collector.path, body, headers)
        answer = connection.getresponse()
        if len(answer.read(MAX_ANSWER)) == MAX_ANSWER:
            connection.close()
        if answer.status // 100 == 2:
            return None
        return _Failure(f"it answered with status {answer.status}", answer.status in _AGAIN)
    except (OSError, HTTPException) as error:
        connection.close()
        text = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return _Failure(text, again=True)


@dataclass(frozen=True)
class Following:
    """Where a follower sends events, and as whom."""

    collector: Collector
    emitter: Emitter


@dataclass(frozen=True)
class EmissionState:
    """What a follower has sent. `problem`: why its last attempt failed; None: it did not."""

    url: str
    sent: int
    problem: str | None


class Follower:
    """Sends the events of a store, and then those that each publication adds, in a thread of its own. It is a context manager.

    A failed attempt is logged and made again at the next look, so a collector that is away costs nothing but its events' delay.
    """

    def __init__(self, store: Store, following: Following, clock: Callable[[], int], every_s: float = FOLLOW_S) -> None:
        self._store, self._clock = store, clock
        self._collector, self._emitter = following.collector, following.emitter
        self._every_s, self._end, self._known = every_s, Flag(), dict[str, str]()
        self._sent_at: object = None  # the stamp of the store whose events the collector has
        self.state = EmissionState(self._collector.url, 0, None)
        self._thread = Thread(target=self._follow, name="openlineage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(TIMEOUT_S * 2)

    def _follow(self) -> None:
        while not self._end.is_set():
            try:
                self.step()
            except Exception:  # a defect here must not end the program that shows the store
                log.exception("the lineage cannot be followed")
            self._end.wait(self._every_s)

    def step(self) -> None:
        """Send the events that the collector does not have in their present form; an unchanged store has none."""
        problem: str | None = None
        try:
            stamp = self._store.stamp()  # before the events: a change meanwhile is seen at the next look
            if stamp == self._sent_at:
                return
            for event in events_of(self._store, self._emitter, self._clock()):
                name, text = _named(event)
                if self._end.is_set():
                    return
                if self._known.get(name) != text:
                    sent = emit([event], self._collector, self._end.wait)
                    if sent:
                        self._known[name] = text
                    self.state = EmissionState(self._collector.url, self.state.sent + sent, None)
            self._sent_at = stamp
        except CoveyError as error:
            problem = str(error)
            log.warning("OpenLineage: %s", problem)
        self.state = EmissionState(self._collector.url, self.state.sent, problem)


def _named(event: Event) -> tuple[str, str]:
    """What an event is about, and its content without its time."""
    about = [event["job"]["name"], event.get("run", {}).get("runId"), event.get("eventType")]
    content = {name: value for name, value in event.items() if name != "eventTime" or "run" in event}
    return json.dumps(about), json.dumps(content, sort_keys=True)
