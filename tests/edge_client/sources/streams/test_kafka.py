"""A Kafka topic as a stream, with a real broker and librdkafka's own one."""

from __future__ import annotations

import datetime as dt
import gc
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base.tls.authority import Authority
from base.tls.roles import TlsRole
from edge_client.errors import SourceAway
from edge_client.sources.streams import kafka as kafka_module
from edge_client.sources.streams.kafka import KafkaStream, KafkaStreams
from edge_client.sources.streams.stream import MAX_RECORD, Polled
from tests.brokers import KafkaBroker, free_port, kafka_broker, kafka_broker_with_tls, require_kafka
from tests.waiting import wait_until

from .making import kafka

_numbers = count()


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with kafka_broker() as running:
        yield running


@pytest.fixture
def topic(broker: KafkaBroker) -> str:
    name = f"events.{next(_numbers)}"
    broker.create(name, 2)
    return name


class Reader:
    """Reads a topic as a consumer does, with a dict in place of the log."""

    def __init__(
        self, address: str, topic: str, more: str = "", positions: Mapping[str, bytes] | None = None, **kw: Any
    ) -> None:
        self.positions = dict(positions or {})
        self.values: list[bytes] = []
        self.polled: list[Polled] = []
        self.lost = 0
        streams = KafkaStreams(kafka(address, topic, Path("/p/e.log"), more, **kw), "UA", time.monotonic)
        self.stream: KafkaStream = streams(self.positions)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def poll(self, seconds: float = 0.1) -> Polled:
        polled = self.stream.poll(1_000, seconds)
        self.polled.append(polled)
        self.values += polled.values
        self.lost += polled.lost
        if polled:
            self.positions |= {name: value for name, value in polled.positions.items() if value is not None}
            self.stream.done(polled.positions)
        return polled

    def read(self, number: int) -> list[bytes]:
        wait_until(lambda: (bool(self.poll()) and False) or len(self.values) >= number)
        return self.values

    def catch_up(self) -> list[bytes]:
        mark = self.stream.mark()
        wait_until(lambda: mark() or (self.poll() and False))
        return self.values


def numbered(first: int, last: int) -> list[tuple[int, bytes, bytes]]:
    return [(i % 2, b"k%d" % i, b"%d" % i) for i in range(first, last)]


def texts(first: int, last: int) -> list[bytes]:
    return [b"%d" % i for i in range(first, last)]


def test_records_of_all_partitions_are_read_once_each_in_order(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 50))
    with Reader(broker.address, topic) as reader:
        found = reader.catch_up()
        assert sorted(found, key=int) == texts(0, 50)
        assert [one for one in found if int(one) % 2] == texts(0, 50)[1::2]
        broker.produce(topic, numbered(50, 60))
        assert sorted(reader.catch_up(), key=int) == texts(0, 60)
        assert reader.stream.behind() == 0


def test_another_stream_goes_on_at_the_stored_positions(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 20))
    with Reader(broker.address, topic) as first:
        first.catch_up()
    broker.produce(topic, numbered(20, 25))
    with Reader(broker.address, topic, positions=first.positions) as second:
        assert sorted(second.catch_up(), key=int) == texts(20, 25)
    with Reader(broker.address, topic, positions={}) as again:
        assert len(again.catch_up()) == 25


def test_the_positions_of_a_batch_are_those_after_its_records(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 9))
    with Reader(broker.address, topic) as reader:
        reader.catch_up()
        ends = {name.split()[1]: int(value.split()[0]) for name, value in reader.positions.items()}
        assert ends == {"0": 5, "1": 4}


def test_records_have_their_key_time_topic_and_place(broker: KafkaBroker, topic: str) -> None:
    columns = 'who = {from = "@key", type = "text"}\nat = {from = "@time", type = "time"}\n'
    broker.produce(topic, [(1, b"a", b"{}", 1_700_000_000_123), (1, None, None, 1_700_000_000_124)])
    with Reader(broker.address, topic, columns=columns) as reader:
        reader.read(2)
        polled = next(one for one in reader.polled if one.values)
        assert (list(polled.values), list(polled.keys)) == ([b"{}", b""], [b"a", None])
        assert list(polled.times_us) == [1_700_000_000_123_000, 1_700_000_000_124_000]
        assert (polled.topics[0], polled.places(1)) == (topic, f"{topic}[1]@1")


def test_only_the_named_partitions_are_read(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 10))
    with Reader(broker.address, topic, "partitions = [1]") as reader:
        assert reader.catch_up() == texts(0, 10)[1::2]
    with pytest.raises(SourceAway, match=r"has 2 partition\(s\), and no partition 7. Correct `partitions`"):
        Reader(broker.address, topic, "partitions = [0, 7]")


def test_latest_begins_at_the_end_and_stores_that_place_at_once(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 10))
    with Reader(broker.address, topic, 'start = "latest"') as reader:
        assert reader.poll().positions
        assert reader.values == []
    broker.produce(topic, numbered(10, 14))  # while the site is away, before it ever read a record
    with Reader(broker.address, topic, 'start = "latest"', reader.positions) as reader:
        assert sorted(reader.catch_up(), key=int) == texts(10, 14)


def test_a_broker_that_refuses_a_place_within_its_own_range_is_away(
    broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.produce(topic, numbered(0, 4))
    with Reader(broker.address, topic) as reader:
        reader.catch_up()
        refused = SimpleNamespace(records=[], places={}, out_of_range={0}, error=None)
        monkeypatch.setattr(kafka_module.Connection, "consume", lambda *_: refused)
        reader.poll()
        with pytest.raises(SourceAway, match="partition 0 has no record at offset 2, although it begins at 0"):
            reader.poll()


def test_a_partition_that_is_added_is_read_from_its_beginning(
    broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = kafka_module.Connection.partitions
    monkeypatch.setattr(kafka_module.Connection, "partitions", lambda self: [0])
    monkeypatch.setattr(kafka_module, "REFRESH_S", 0.0)
    broker.produce(topic, numbered(0, 10))
    with Reader(broker.address, topic, 'start = "latest"') as reader:
        reader.poll()
        monkeypatch.setattr(kafka_module.Connection, "partitions", real)
        assert reader.read(5) == texts(0, 10)[1::2]
        broker.produce(topic, numbered(10, 12))
        assert sorted(reader.read(7), key=int) == [*texts(0, 10)[1::2], b"10", b"11"]


def test_a_topic_that_was_made_again_is_read_from_its_beginning(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, numbered(0, 10))
    with Reader(broker.address, topic) as reader:
        reader.catch_up()
    broker.delete(topic)
    broker.create(topic, 2)
    broker.produce(topic, numbered(100, 120))
    with Reader(broker.address, topic, positions=reader.positions) as reader:
        assert sorted(reader.catch_up(), key=int) == texts(100, 120)


def test_a_broker_that_lost_everything_is_read_from_its_beginning(tmp_path: Path) -> None:
    with kafka_broker() as broker:
        broker.create("t", 2)
        broker.produce("t", numbered(0, 10))
        with Reader(broker.address, "t") as reader:
            reader.catch_up()
            broker.kill()
            with pytest.raises(SourceAway, match="do not answer"):
                wait_until(lambda: bool(reader.poll()) and False)
        with pytest.raises(SourceAway, match="do not answer"):
            Reader(broker.address, "t", positions=reader.positions)
        broker.start()
        with pytest.raises(SourceAway, match=r"the brokers have no topic 't'. Create it, or correct the `url`"):
            Reader(broker.address, "t", positions=reader.positions)
        broker.create("t", 2)
        broker.produce("t", numbered(100, 103))
        with Reader(broker.address, "t", positions=reader.positions) as reader:
            assert sorted(reader.catch_up(), key=int) == texts(100, 103)


def test_a_record_that_is_too_large_is_cut_and_others_come(broker: KafkaBroker, topic: str) -> None:
    large = {"message.max.bytes": 8 * MAX_RECORD}
    broker.produce(topic, [(0, None, b"x" * (3 * MAX_RECORD)), (0, None, b"y" * MAX_RECORD), (0, None, b"z")], **large)
    with Reader(broker.address, topic) as reader:
        found = reader.catch_up()
        assert [len(one) for one in found] == [MAX_RECORD + 1, MAX_RECORD, 1]


@pytest.mark.long
def test_a_batch_is_bounded_in_bytes(broker: KafkaBroker, topic: str) -> None:
    broker.produce(topic, [(0, None, b"x" * 900_000)] * 60)
    with Reader(broker.address, topic) as reader:
        reader.catch_up()
        most = max(sum(map(len, one.values)) for one in reader.polled)
        assert most <= kafka_module.MAX_BATCH + kafka_module._CHUNK * MAX_RECORD


def test_a_group_is_informed_and_never_read(broker: KafkaBroker, topic: str) -> None:
    from confluent_kafka import Consumer, TopicPartition

    broker.produce(topic, numbered(0, 10))
    with Reader(broker.address, topic, 'group = "lag-tools"') as reader:
        reader.catch_up()
        lag = Consumer({"bootstrap.servers": broker.address, "group.id": "lag-tools"})
        try:
            wait_until(lambda: lag.committed([TopicPartition(topic, 0)], 10)[0].offset == 5)
        finally:
            lag.close()
    with Reader(broker.address, topic, 'group = "lag-tools"') as reader:
        assert len(reader.catch_up()) == 10


def test_a_port_that_nobody_listens_on_is_named(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(SourceAway, match=rf"the brokers {address} do not answer: .*Connection refused"):
        Reader(address, "t")


def test_a_site_whose_broker_is_away_keeps_no_threads_of_its_attempts() -> None:
    require_kafka()
    address = f"127.0.0.1:{free_port()}"

    def threads_after_an_attempt() -> int:
        with pytest.raises(SourceAway):
            Reader(address, "t")
        return sum(1 for _ in Path("/proc/self/task").iterdir())

    gc.disable()  # an idle process makes few objects, so it collects cycles rarely
    try:
        first = threads_after_an_attempt()
        assert all(threads_after_an_attempt() <= first for _ in range(3))
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("code", "is_away"), [(None, True), ("_TIMED_OUT", True), ("_TRANSPORT", True), ("UNSUPPORTED_VERSION", False)]
)
def test_a_broker_that_does_not_say_the_id_of_a_topic_again_is_away(
    broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch, code: str | None, is_away: bool
) -> None:
    from confluent_kafka import KafkaError, KafkaException

    future: Future[Any] = Future()
    future.set_exception(TimeoutError() if code is None else KafkaException(KafkaError(getattr(KafkaError, code))))
    with Reader(broker.address, topic) as reader:
        connection = reader.stream._connection
        monkeypatch.setattr(connection, "_admin", SimpleNamespace(describe_topics=lambda *_, **__: {topic: future}))
        with pytest.raises(SourceAway) if is_away else nullcontext():
            assert connection.topic_id(had_one=True) == ""
        assert connection.topic_id(had_one=False) == ""


def test_a_position_of_another_version_is_not_guessed(broker: KafkaBroker, topic: str) -> None:
    with pytest.raises(SourceAway, match="a position that this version cannot read"):
        Reader(broker.address, topic, positions={f"kafka 0 {topic}": b"x"})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an authority `ca` and the certificate of a broker."""
    keys, now = tmp_path_factory.mktemp("keys"), dt.datetime.now(dt.UTC)
    Authority.create(keys, now).issue(keys, TlsRole.LEADER, (), now)
    return keys / "tls"


@pytest.fixture(scope="module")
def tls_broker(certificates: Path) -> Iterator[KafkaBroker]:
    with kafka_broker_with_tls(certificates / "leader.crt", certificates / "leader.key") as running:
        yield running


def test_records_come_through_tls(tls_broker: KafkaBroker, certificates: Path) -> None:
    trust = {"security.protocol": "SSL", "ssl.ca.location": str(certificates / "ca.crt")}
    tls_broker.create("t", 2, **trust)
    tls_broker.produce("t", numbered(0, 10), **trust)
    with Reader(tls_broker.address, "t", f'ca = "{certificates / "ca.crt"}"') as reader:
        assert sorted(reader.catch_up(), key=int) == texts(0, 10)


def test_a_broker_of_another_authority_is_refused_by_name(tls_broker: KafkaBroker, tmp_path: Path) -> None:
    Authority.create(tmp_path, dt.datetime.now(dt.UTC))
    with pytest.raises(SourceAway, match=r"TLS failed: .*certificate.*Give the authority .* as `ca` in \[source\]"):
        Reader(tls_broker.address, "t", f'ca = "{tmp_path / "tls" / "ca.crt"}"')


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_an_authority_that_cannot_be_used_is_named(
    tls_broker: KafkaBroker, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceAway, match=r"its certificates, user or password cannot be used: .*ssl\.ca\.location"):
        Reader(tls_broker.address, "t", f'ca = "{path}"')


def test_clear_text_on_a_port_with_tls_is_named(tls_broker: KafkaBroker) -> None:
    with pytest.raises(SourceAway, match=r"do they expect TLS \(kafkas://\)"):
        Reader(tls_broker.address, "t")


def test_a_password_file_that_others_may_read_is_refused(broker: KafkaBroker, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(0o644)
    with pytest.raises(SourceAway, match="its password file cannot be used"):
        Reader(broker.address, "t", f'user = "u"\npassword_file = "{path}"')


@pytest.fixture
def deleting_broker() -> tuple[str, Any]:
    """librdkafka's own broker, which deletes the oldest records beyond 5 MB of a partition, and a producer."""
    require_kafka()
    from confluent_kafka import Producer

    inside = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1})
    found = next(iter(inside.list_topics(timeout=20).brokers.values()))
    return f"{found.host}:{found.port}", inside


def produced(producer: Any, first: int, last: int) -> None:
    for number in range(first, last):
        producer.produce("t", b"%d" % number + b" " * 400_000, partition=0)
        assert producer.flush(30) == 0


@pytest.mark.parametrize("is_running", [True, pytest.param(False, marks=pytest.mark.long)])
def test_records_that_the_broker_deleted_unread_are_lost_and_counted(
    deleting_broker: tuple[str, Any], is_running: bool
) -> None:
    address, producer = deleting_broker
    produced(producer, 0, 3)
    with Reader(address, "t", "partitions = [0]") as reader:
        reader.read(3)
        if is_running:
            produced(producer, 3, 40)
            wait_until(lambda: (bool(reader.poll()) and False) or reader.values[-1].startswith(b"39 "))
    if not is_running:
        produced(producer, 3, 40)
        with Reader(address, "t", "partitions = [0]", reader.positions) as reader:
            wait_until(lambda: (bool(reader.poll()) and False) or reader.values[-1:] == [b"39" + b" " * 400_000])
        assert reader.lost > 20
    numbers = [int(one) for one in reader.values]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + reader.lost == (40 if is_running else 37)
