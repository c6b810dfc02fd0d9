"""MQTT: one connection to a broker as a `Stream`.

    connect ──► subscribe ──► poll ──► (the log commits) ──► done: acknowledge ──┐
                               ▲─────────────────────────────────────────────────┘

The session is persistent: the broker keeps what is published while the site is away, and what the site has not acknowledged.
A message is acknowledged after the commit, never before. `mqtt_session` recognises what the broker sends again after a crash.

The connection is served by the calls of `poll` alone: there is no thread, so at most one batch is in memory.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ...errors import SourceAway
from ..source import MqttSource
from .mqtt_client import (
    CONNECT_S,
    MqttSession,
    connect,
    error_in_words,
    matcher,
    new_client,
    refusal,
    speaks_v5,
    subscribe,
)
from .mqtt_session import POSITION, WINDOW, InFlight, message_digest
from .stream import MAX_BATCH, MAX_RECORD, Mark, Polled, Positions

if TYPE_CHECKING:
    from .mqtt_client import Client, MQTTMessage

QUIET_S: Final = 0.002
"""A batch ends when nothing more comes for this long: a broker with a small window waits for its acknowledgements."""
CAUGHT_UP_S: Final = 0.25
"""A broker that sends nothing for this long, with nothing unacknowledged, has nothing left for the site."""
TAKEN_OVER_PAUSE_S: Final = 600.0
"""How long a site stays away after another client took its session: two that reconnect at once would fight for ever."""

_TAKEN_OVER: Final = 0x8E
_WRONG_VERSION: Final = 0x84
_FAILURE: Final = 0x80


class MqttStreams:
    """Connects to a broker, again and again: the `StreamFactory` of a site. It remembers what the next connection must know.

    Args:
        clock: monotonic seconds.
        now_us: the wall clock, µs: MQTT gives messages no time, so theirs is that of their arrival.
    """

    def __init__(
        self, source: MqttSource, session: MqttSession, clock: Callable[[], float], now_us: Callable[[], int]
    ) -> None:
        self.source, self.session, self.clock, self.now_us = source, session, clock, now_us
        self._is_v5 = True
        self._taken_over_at: float | None = None

    def __call__(self, positions: Mapping[str, bytes]) -> MqttStream:
        """Connect and subscribe, with MQTT 5, or 3.1.1 where the broker has no other. Raises SourceAway."""
        if self._taken_over_at is not None and self.clock() - self._taken_over_at < TAKEN_OVER_PAUSE_S:
            raise self._taken_over()
        try:
            known = InFlight.parse(positions.get(POSITION))
        except ValueError as error:
            raise SourceAway(
                self.source.url, f"{error}; install the version of Covey that wrote the event log"
            ) from None
        try:
            return MqttStream(self, known, is_v5=self._is_v5)
        except _VersionRefused:
            self._is_v5 = False
            return MqttStream(self, known, is_v5=False)

    def taken_over(self) -> SourceAway:
        """Another client has just taken this site's session."""
        self._taken_over_at = self.clock()
        return self._taken_over()

    def _taken_over(self) -> SourceAway:
        return SourceAway(
            self.source.url,
            f"another client connected with the name {self.session.name!r} and took the session of this site. Give each site "
            f"a client_name of its own in [source]. This site tries again after {TAKEN_OVER_PAUSE_S / 60:.0f} minutes, or when it "
            "is started again",
        )


class _VersionRefused(Exception):  # caught by MqttStreams
    """The broker does not speak MQTT 5."""


class MqttStream:
    """One connection. A connection that is lost is not made again: its consumer makes another stream.

    Args:
        known: the messages that the log has and the broker may send again.
    """

    def __init__(self, streams: MqttStreams, known: InFlight, *, is_v5: bool) -> None:
        self._streams, self._source, self._clock = streams, streams.source, streams.clock
        self._session = streams.session
        self._known = known
        self._next = known
        self._forget = False
        self._batch = _Batch()
        self._unacknowledged: list[int] = []
        self._is_uncommitted = False
        self._is_connected = False
        self._lost: SourceAway | None = None
        self._last_arrival = self._last_silence = self._clock()
        self._matches = matcher(self._source.topics)
        self._client = self._connected(is_v5)

    def poll(self, most: int, seconds: float) -> Polled:
        """The next messages. Those that the log has already are acknowledged at once."""
        if self._lost is not None:
            raise self._lost
        batch = self._batch
        most, end = min(most, WINDOW), self._clock() + seconds
        while len(batch.values) < most and batch.size < MAX_BATCH:
            limit = end if not batch.values else min(end, self._last_arrival + QUIET_S)
            now = self._clock()
            if not self._serve(max(0.0, limit - now)) or now >= limit:
                break
        self._batch = _Batch()
        if batch.packets or self._forget:
            self._next, self._forget = self._known.after(batch.packets), False
            polled = batch.polled({POSITION: self._next.packed()})
        else:
            polled = batch.polled({})
        if polled:
            self._is_uncommitted = True
            return polled
        self._last_silence = self._clock()
        self._acknowledge()
        if self._lost is not None:
            raise self._lost
        return polled

    def done(self, positions: Positions) -> None:
        """The log has the last batch: acknowledge it."""
        self._is_uncommitted = False
        if POSITION in positions:
            self._known = self._next
        self._acknowledge()
        if self._lost is not None:
            raise self._lost

    def behind(self) -> int | None:
        """Unknown: MQTT has no number for it."""
        return None

    def mark(self) -> Mark:
        """True once the broker has sent nothing for `CAUGHT_UP_S`, and everything that it sent is acknowledged."""
        begin = self._clock()

        def reached() -> bool:
            quiet = self._last_silence - max(begin, self._last_arrival)
            return not self._unacknowledged and quiet >= CAUGHT_UP_S

        return reached

    def close(self) -> None:
        """End the connection. The session stays at the broker, with everything that is not acknowledged."""
        self._client.disconnect()
        if (left := self._client.socket()) is not None:
            left.close()

    def _serve(self, seconds: float) -> bool:
        """Read one packet, or wait for one. False: the connection is lost."""
        code = 0
        if self._readable(seconds):
            code = self._client.loop_read()
        if not code and self._client.want_write():
            code = self._client.loop_write()
        if not code:
            code = self._client.loop_misc()
        if code and self._lost is None:
            tls = "; does it expect TLS (mqtts://)?" if self._source.tls is None and not self._is_connected else ""
            self._lost = SourceAway(
                self._source.url, f"the connection to the broker was lost: {error_in_words(code)}{tls}"
            )
        return self._lost is None

    def _readable(self, seconds: float) -> bool:
        """Wait for something to read."""
        connection: Any = self._client.socket()
        if connection is None or (isinstance(connection, ssl.SSLSocket) and connection.pending()):
            return True
        waiting = select.poll()
        waiting.register(connection, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        return any(events & ~select.POLLOUT for _, events in waiting.poll(seconds * 1_000))

    def _acknowledge(self) -> None:
        """Acknowledge in the order of arrival, unless a batch is not committed yet."""
        if not self._is_uncommitted:
            waiting, self._unacknowledged = self._unacknowledged, []
            for packet in waiting:
                self._client.ack(packet, 1)

    def _connected(self, is_v5: bool) -> Client:
        source = self._source
        client = new_client(source, self._session, is_v5=is_v5)
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_disconnect = self._on_message, self._on_disconnect
        connect(client, source, self._session)
        self._client = client
        end = self._clock() + CONNECT_S
        try:
            while not self._is_connected:
                if not self._serve(max(0.0, end - self._clock())):
                    raise self._lost or SourceAway(source.url, "the connection was lost")
                if self._clock() >= end:
                    raise SourceAway(source.url, f"the broker does not answer within {CONNECT_S:g} s")
        except (SourceAway, _VersionRefused):
            self.close()
            raise
        return client

    def _on_connect(self, client: Client, _: object, flags: Any, reason: Any, __: object) -> None:
        if reason.value == _WRONG_VERSION and speaks_v5(client):
            raise _VersionRefused
        if reason.is_failure:
            self._lost = SourceAway(self._source.url, f"the broker refuses the connection: {refusal(str(reason))}")
            return
        if not flags.session_present:  # its packet ids are new, so nothing that comes is one of the old messages
            self._forget = bool(self._known.digests)
            self._known = InFlight()
        subscribe(client, self._source.topics, self._session)
        self._is_connected = bool(flags.session_present)  # it is subscribed already, and its messages may come first

    def _on_subscribe(self, _: Client, __: object, ___: int, reasons: list[Any], ____: object) -> None:
        refused = [reason for reason in reasons if reason.value >= _FAILURE]
        if refused:
            topic = self._source.topics
            self._lost = SourceAway(
                self._source.url,
                f"the broker refuses the topic filter {topic[:80]!r}: {refusal(str(refused[0]))}",
            )
        self._is_connected = True

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        self._last_arrival = self._clock()
        if message.qos:
            self._unacknowledged.append(message.mid)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"
        # A retained message is the last value from before the subscription: read again at each subscription, it would count twice.
        # Another topic: the session has an older subscription of this site.
        if (message.retain and self._session.is_kept) or not self._matches(topic):
            return
        value = bytes(message.payload[: MAX_RECORD + 1])
        if message.qos:
            digest = message_digest(topic.encode(), value)
            if message.dup and self._known.has(message.mid, digest):
                return
            self._batch.packets.append((message.mid, digest))
        self._batch.add(topic, value, self._streams.now_us())

    def _on_disconnect(self, _: Client, __: object, flags: Any, reason: Any, ___: object) -> None:
        if flags.is_disconnect_packet_from_server:
            if reason.value == _TAKEN_OVER:
                self._lost = self._streams.taken_over()
            else:
                self._lost = SourceAway(self._source.url, f"the broker ended the connection: {reason}")


class _Batch:
    """What one poll has received, column by column."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.topics: list[str] = []
        self.times_us: list[int | None] = []
        self.packets: list[tuple[int, bytes]] = []
        self.size = 0

    def add(self, topic: str, value: bytes, now_us: int) -> None:
        self.values.append(value)
        self.topics.append(topic)
        self.times_us.append(now_us)
        self.size += len(value) + len(topic)

    def polled(self, positions: Positions) -> Polled:
        return Polled(self.values, self.topics, self.times_us, places=self.topics.__getitem__, positions=positions)
