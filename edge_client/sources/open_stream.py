"""A stream as an open source: its consumer fills the event log in a thread, and plans are answered from the log.

One process at a time consumes a stream into a log, because two would store each record twice. Another one only reads the log, until
the first one has ended: then it consumes from its next plan on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import assert_never

import pyarrow as pa

from base.errors import LockHeld
from base.extras import require_extra
from base.locks import FileLock, lock_file
from featurestore.define.definitions import FeatureView
from federation.plan import PlannedView

from ..errors import LogError, SourceAway
from ..event_log.log import EventLog
from ..events import Events
from .log_reader import LogReader
from .source import KafkaSource, MqttSource, Stream
from .status import SourceStatus
from .streams.consumer import Consumer
from .streams.decoding import decoder
from .streams.stream import StreamFactory
from .surroundings import Surroundings


class OpenStream:
    """Reads a stream from when it is made until it is closed. See `OpenSource`.

    Raises:
        ExtraMissing: the library of the stream is not installed. LogBroken, LogKeyWrong, LogSettingsDiffer, LogWriteFailed.
    """

    def __init__(self, source: Stream, surroundings: Surroundings) -> None:
        self._source, settings, self._clock = source, source.log, surroundings.monotonic
        self._connect = _streams(source, surroundings)
        self._consumer: Consumer | None = None
        with ExitStack() as opened:
            self._log = EventLog(
                settings.path,
                client=source.client,
                time=source.time,
                event_id=source.event_id,
                days=settings.days,
                size=settings.size,
                when_full=settings.when_full,
                key=settings.key,
                clock=surroundings.clock,
            )
            opened.enter_context(self._log)
            self._reader = LogReader(
                self._log, source.url, source.client, source.time, declared=source.columns.schema()
            )
            self._opened = opened
            self._consume()
            self._opened = opened.pop_all()

    def schema(self, views: Sequence[FeatureView]) -> pa.Table:
        """See `OpenSource`."""
        return self._reader.schema(views)

    def read(self, views: Sequence[PlannedView]) -> Events:
        """See `OpenSource`."""
        return self._reader.read(views)

    def ready_for(self, seconds: float) -> bool:
        """See `OpenSource`."""
        self._consume()
        return self._consumer is not None and self._consumer.catch_up(seconds)

    def status(self) -> SourceStatus:
        """See `OpenSource`."""
        try:
            if self._consumer is not None:
                return self._consumer.status()
            why = "another process of this site reads the stream into the event log; this one only reads the log"
            return replace(self._reader.status(), connected=False, trouble=why)
        except LogError as error:
            raise SourceAway(self._source.url, str(error)) from None

    def _consume(self) -> None:
        """Start the consumer, unless it runs, or another process of the site has one."""
        if self._consumer is not None or (lock := _only_consumer(self._source.log.path)) is None:
            return
        self._opened.enter_context(lock)
        decode = self._opened.enter_context(decoder(self._source)).decode
        consumer = Consumer(self._connect, decode, self._log, self._clock)
        consumer.start()
        self._consumer = consumer

    def close(self) -> None:
        """See `OpenSource`. A consumer that still waits for its broker or a disk keeps the log until it ends."""
        if self._consumer is None or self._consumer.stop():
            self._opened.close()
        else:
            Thread(target=self._close_at_the_end, args=(self._consumer,), name="closing", daemon=True).start()

    def _close_at_the_end(self, consumer: Consumer) -> None:
        while not consumer.stop():
            pass
        self._opened.close()


def _streams(source: Stream, surroundings: Surroundings) -> StreamFactory:
    match source:
        case KafkaSource():
            from .streams.kafka import KafkaStreams

            require_extra("kafka", "a stream of Kafka")
            return KafkaStreams(source, surroundings.site, surroundings.monotonic)
        case MqttSource():
            from .streams.mqtt import MqttStreams
            from .streams.mqtt_client import MqttSession

            require_extra("mqtt", "a stream of MQTT")
            session = MqttSession.of_site(source, surroundings.site)
            return MqttStreams(source, session, surroundings.monotonic, surroundings.clock)
        case _:
            assert_never(source)


def _only_consumer(log: Path) -> FileLock | None:
    """The lock of the process that consumes into a log; None: another process has it."""
    try:
        return lock_file(log.with_name(f"{log.name}.lock"), private=True, wait=False)
    except LockHeld:
        return None
