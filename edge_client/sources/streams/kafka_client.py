"""The clients of librdkafka for one topic of Kafka. Nothing else imports confluent-kafka.

Memory is bounded: librdkafka fetches at most `_QUEUE_KB` ahead. Its errors become `SourceAway`, with a cause and a mend.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ...errors import SourceAway
from ..password import read_password
from ..source import KafkaSource
from .stream import MAX_RECORD

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka import Message as Message

CONNECT_S: Final = 10.0
"""Longest wait for an answer of a broker."""
_TRY_S: Final = 1.0
_ID_S: Final = 3.0
_QUEUE_KB: Final = 16 * 1_024
_WHY_LENGTH: Final = 300

_silent = logging.Logger("librdkafka", logging.CRITICAL + 1)
"""librdkafka's own lines quote what brokers say. What matters of it comes as a SourceAway."""


@dataclass
class Consumed:
    """What one call of `consume` got.

    Attributes:
        records: in the order of each partition.
        places: by partition, where its next record is.
        out_of_range: partitions of which the broker has no record at the place.
    """

    records: list[Message] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    out_of_range: set[int] = field(default_factory=set)
    error: SourceAway | None = None


class Connection:
    """The clients of librdkafka for one topic. Each call waits at most about `CONNECT_S`, and raises SourceAway for every error."""

    def __init__(self, source: KafkaSource, client_name: str, clock: Callable[[], float]) -> None:
        from confluent_kafka import Consumer, KafkaException
        from confluent_kafka.admin import AdminClient

        self.source, self._clock = source, clock
        self._has_ids = True
        self._errors = _Errors()
        shared = _shared_settings(source, client_name)
        settings = shared | _consumer_settings(source, client_name) | {"error_cb": self._errors.note}
        try:
            self._consumer = Consumer(settings, logger=_silent)
            self._admin = AdminClient(shared, logger=_silent)
        except KafkaException as error:  # no connection was tried yet
            raise SourceAway(
                source.url, f"its certificates, user or password cannot be used: {_text(error.args[0])}"
            ) from None

    def close(self) -> None:
        """Close the clients."""
        self._consumer.close()

    def away(self, error: KafkaError) -> SourceAway:
        """An error with its cause and mend. librdkafka tells the cause of a lost connection apart from the call that fails."""
        vague = error.code() in _unanswered()
        cause = self._errors.cause if vague and self._errors.cause is not None else error
        return SourceAway(self.source.url, _why(cause, self.source))

    def partitions(self) -> list[int]:
        """The partitions of the topic that the site reads."""
        from confluent_kafka import KafkaError, KafkaException

        topic, end = self.source.topic, self._clock() + CONNECT_S
        while True:
            try:
                found = self._consumer.list_topics(topic, _TRY_S).topics[topic]
                break
            except KafkaException as error:
                self._consumer.poll(0)  # has `_Errors.note` called
                if self._errors.cause is not None or self._clock() >= end:
                    raise self.away(error.args[0]) from None
        if found.error is not None:
            raise self.away(found.error)
        if not found.partitions:
            raise self.away(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        asked = self.source.partitions
        if asked is not None and (missing := sorted(set(asked) - set(found.partitions))):
            why = f"topic {topic!r} has {len(found.partitions)} partition(s), and no partition {missing[0]}"
            raise SourceAway(self.source.url, f"{why}. Correct `partitions` in [source]")
        return sorted(found.partitions if asked is None else asked)

    def topic_id(self, *, had_one: bool) -> str:
        """The id of the topic; empty: the broker has none, or does not describe topics to this user. Then it is not asked again.

        Args:
            had_one: whether the broker gave an id before. If it does not answer now, it is away: without the id, the site could
                take the topic for another one, and read it again.
        """
        from confluent_kafka import KafkaException, TopicCollection

        if not self._has_ids:
            return ""
        asked = self._admin.describe_topics(TopicCollection([self.source.topic]), request_timeout=_ID_S)
        try:
            found = asked[self.source.topic].result(_ID_S + _TRY_S)
        except TimeoutError:
            if had_one:
                raise self._silent(_ID_S) from None
            self._has_ids = False
            return ""
        except KafkaException as error:
            if had_one and error.args[0].code() in _unanswered():
                raise self.away(error.args[0]) from None
            self._has_ids = False
            return ""
        return "" if found.topic_id is None else str(found.topic_id)

    def watermarks(self, partition: int) -> tuple[int, int]:
        """The offsets of the oldest record of a partition, and after its newest one, as its broker says now."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self.source.topic, partition), CONNECT_S)
        except KafkaException as error:
            raise self.away(error.args[0]) from None
        return low, high

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offsets after the newest records, as the brokers say now.

        It has a connection of its own: on that of the consumer, an answer waits behind the fetches, half a second each.
        """
        from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # its list of names lacks it

        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no types
        asked_for = [TopicPartition(self.source.topic, number) for number in partitions]
        asked = self._admin.list_offsets(
            dict.fromkeys(asked_for, latest),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=CONNECT_S,
        )
        try:
            return {one.partition: future.result(CONNECT_S + _TRY_S).offset for one, future in asked.items()}
        except KafkaException as error:
            raise self.away(error.args[0]) from None
        except TimeoutError:
            raise self._silent(CONNECT_S) from None

    def newest(self, partition: int) -> int | None:
        """The offset after the newest record, as the last fetch of this partition said."""
        from confluent_kafka import TopicPartition

        found = self._consumer.get_watermark_offsets(TopicPartition(self.source.topic, partition), cached=True)
        return found[1] if found is not None and found[1] >= 0 else None

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            self._consumer.assign([TopicPartition(self.source.topic, *one) for one in offsets.items()])
        except KafkaException as error:
            raise self.away(error.args[0]) from None

    def consume(self, most: int, seconds: float) -> Consumed:
        """The next records, and what librdkafka says of partitions."""
        from confluent_kafka import KafkaError, KafkaException

        try:
            found = self._consumer.consume(most, max(0.0, seconds))
        except KafkaException as error:
            raise self.away(error.args[0]) from None
        consumed = Consumed()
        for one in found:
            problem, number = one.error(), one.partition()
            if problem is None:
                consumed.records.append(one)
            elif number is not None and problem.code() == KafkaError._PARTITION_EOF:
                consumed.places[number] = one.offset() or 0  # beyond what is no record: the ends of transactions
            elif number is not None and problem.code() in (
                KafkaError._AUTO_OFFSET_RESET,
                KafkaError.OFFSET_OUT_OF_RANGE,
            ):
                consumed.out_of_range.add(number)
            else:
                consumed.error = self.away(problem)
        last: dict[Any, Any] = {one.partition(): one.offset() for one in consumed.records}
        for number, offset in last.items():
            consumed.places[number] = max(offset + 1, consumed.places.get(number, 0))
        return consumed

    def require_brokers(self) -> None:
        """Raise SourceAway if no broker is connected any more."""
        if self._errors.cause is not None:
            raise self.away(self._errors.cause)

    def _silent(self, seconds: float) -> SourceAway:
        return SourceAway(self.source.url, f"no broker answers within {seconds:g} s")

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Inform the consumer group of the source, without waiting. Nothing of Covey reads it."""
        from confluent_kafka import KafkaException, TopicPartition

        places = [TopicPartition(self.source.topic, *one) for one in offsets.items()]
        with suppress(KafkaException):
            self._consumer.commit(offsets=places, asynchronous=True)


class _Errors:
    """What librdkafka says of its connections. It knows no client, so a connection that nobody uses ends at once: a client has
    several threads, and one in a reference cycle keeps them until Python looks for cycles.

    Attributes:
        cause: why no broker is connected any more; None: one is, or none was tried yet.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self.cause: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        """Called by librdkafka inside of a client's calls. Only the loss of all brokers counts: one of several may be away."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.cause = self._last or error
        elif self._last is None or error.code() in (KafkaError._SSL, KafkaError._AUTHENTICATION):
            self._last = error


def _unanswered() -> tuple[int, ...]:
    """The errors of librdkafka that say only that no broker answered."""
    from confluent_kafka import KafkaError

    return KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError.REQUEST_TIMED_OUT


def value_of(record: Message) -> bytes:
    """The bytes of a record, cut where they are longer than a record may be."""
    value = _bytes(record.value())
    return value if len(value) <= MAX_RECORD else value[: MAX_RECORD + 1]


def key_of(record: Message) -> bytes | None:
    """The key of a record."""
    key = record.key()
    return None if key is None else _bytes(key)


def _bytes(value: str | bytes | None) -> bytes:
    return b"" if value is None else value.encode() if isinstance(value, str) else value


def time_us_of(record: Message) -> int | None:
    """The time of a record; None: it has none."""
    from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

    kind, ms = record.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else ms * 1_000


def where(topic: str, records: Sequence[Message], row: int) -> str:
    """Where a record is, for the person who looks at bad records."""
    return f"{topic}[{records[row].partition()}]@{records[row].offset()}"


def _shared_settings(source: KafkaSource, client_name: str) -> dict[str, Any]:
    """The settings of a client of librdkafka. Raises SourceAway: the password file cannot be used."""
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(source.servers),
        "client.id": client_name,
        "socket.timeout.ms": int(CONNECT_S * 1_000),
        "socket.connection.setup.timeout.ms": int(CONNECT_S * 1_000),
        "reconnect.backoff.max.ms": 2_000,
        "allow.auto.create.topics": False,
        "security.protocol": ("SASL_" if source.login else "") + ("SSL" if source.tls else "PLAINTEXT"),
    }
    if (login := source.login) is not None:
        settings |= {"sasl.mechanism": source.mechanism, "sasl.username": login.user}
        if login.password_file is not None:
            settings["sasl.password"] = read_password(source.url, login.password_file)
    if (tls := source.tls) is not None:
        files = {
            "ssl.ca.location": tls.ca,
            "ssl.certificate.location": tls.certificate,
            "ssl.key.location": tls.private_key,
        }
        settings |= {name: str(path) for name, path in files.items() if path is not None}
    return settings


def _consumer_settings(source: KafkaSource, client_name: str) -> dict[str, Any]:
    return {
        "group.id": source.group or client_name,  # librdkafka asks for one; nothing joins it
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": _QUEUE_KB,
        "fetch.queue.backoff.ms": 10,  # librdkafka's 1,000 leaves a reader that is fast without records for a second
        "fetch.max.bytes": 16 * MAX_RECORD,
        "max.partition.fetch.bytes": 2 * MAX_RECORD,
        "receive.message.max.bytes": 64 * MAX_RECORD,
    }


def _why(error: KafkaError, source: KafkaSource) -> str:
    """Why a topic cannot be read, with its mend."""
    from confluent_kafka import KafkaError

    text, servers = _text(error), ", ".join(source.servers)
    match error.code():
        case KafkaError._ALL_BROKERS_DOWN if source.tls is None:
            return f"the brokers {servers} do not answer, or end the connection. Are they there, and do they expect TLS (kafkas://)?"
        case KafkaError._SSL:
            return f"TLS failed: {text}. Give the authority of the brokers' certificates as `ca` in [source]"
        case KafkaError._AUTHENTICATION:
            return f"the brokers refuse the login: {text}. Check user, password_file and mechanism in [source]"
        case KafkaError.UNKNOWN_TOPIC_OR_PART | KafkaError._UNKNOWN_TOPIC | KafkaError._UNKNOWN_PARTITION:
            return f"the brokers have no topic {source.topic!r}. Create it, or correct the `url` in [source]"
        case KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return f"this user may not read the topic {source.topic!r}. Allow it to read and describe the topic"
        case _:
            return f"the brokers {servers} do not answer: {text}"


def _text(error: KafkaError) -> str:
    return "".join(one if one.isprintable() else " " for one in error.str())[:_WHY_LENGTH]
