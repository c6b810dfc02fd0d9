"""The consumer between a stream and the log: each record is in the log exactly once, or counted, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_client.errors import LogFull, LogWriteFailed, SourceAway
from edge_client.event_log.log import EventLog
from edge_client.sandbox import locked_duckdb
from edge_client.sources.streams import consumer as consumer_module
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.streams.decoding import Decoder
from edge_client.sources.streams.kafka import KafkaStream
from edge_client.sources.streams.kafka_positions import places_of
from edge_client.sources.streams.stream import Mark, Polled, Positions
from tests.examples import examples

from .fake_broker import Crash, FakeConnection, FakePartition, FakeTopic
from .making import COLUMNS, kafka

AT = 1_700_000_000_000_000
WITH_ID = COLUMNS + 'id = "text"\n'


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> Iterator[None]:
    with locked_duckdb() as connection:
        Machine.sandbox = connection
        yield


def record(n: int, event_id: str | None = None) -> bytes:
    return json.dumps({"who": f"c{n % 7}", "at": AT + n, "n": n, "id": event_id or f"e{n}"}).encode()


class Machine(RuleBasedStateMachine):
    """A topic of two partitions, and a site that crashes, whose broker goes away, deletes, reorders and sends again."""

    sandbox: Any = None

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
        self.source = kafka("127.0.0.1:9", "t", self.folder / "e.log", columns=WITH_ID)
        self.topic = FakeTopic([FakePartition(), FakePartition()])
        self.sent: dict[int, list[tuple[str, str]]] = {0: [], 1: []}
        self.n = 0
        self.calls_until_crash: int | None = None
        self.order, self.most = [0, 1], 64
        self.now = count()
        self.clock = lambda: next(self.now) * 0.07  # 3 calls of the broker for a poll of 0.2 s
        self.open()
        self.consumer.step()  # what is deleted before the first connection is not lost

    def open(self) -> None:
        self.log = EventLog(
            self.folder / "e.log", client="who", time="at", event_id="id", clock=lambda: AT + 10**9, monotonic=lambda: 0
        )
        decoder = Decoder(Machine.sandbox, self.source.columns, "who", "at")

        def connect(positions: Any) -> KafkaStream:
            self.connection = FakeConnection(self.source, self.topic, lambda: self.order, self.maybe, lambda: self.most)
            return KafkaStream(self.connection, places_of("t", positions), self.clock)  # type: ignore[arg-type]

        def decode(polled: Polled) -> Any:
            self.maybe()
            return decoder.decode(polled)

        self.consumer = Consumer(connect, decode, Crashing(self.log, self.maybe))  # type: ignore[arg-type]

    def maybe(self) -> None:
        if self.calls_until_crash is not None:
            self.calls_until_crash -= 1
            if self.calls_until_crash < 0:
                raise Crash

    def send(self, partition: int, content: bytes | None, what: str, event_id: str = "") -> None:
        self.topic.partitions[partition].records.append(content)
        self.sent[partition].append((what, event_id))

    @rule(partition=st.integers(0, 1), count=st.integers(1, 5))
    def produce(self, partition: int, count: int) -> None:
        for _ in range(count):
            self.n += 1
            self.send(partition, record(self.n), "event", f"e{self.n}")

    @precondition(lambda self: self.n > 0)
    @rule(partition=st.integers(0, 1), data=st.data())
    def send_again(self, partition: int, data: st.DataObject) -> None:
        n = data.draw(st.integers(1, self.n))
        self.send(partition, record(n), "event", f"e{n}")

    @rule(
        partition=st.integers(0, 1),
        content=st.sampled_from([b"", b"x", b"[]", b'{"who": "a"}', b"\xff", record(5)[:-3]]),
    )
    def produce_garbage(self, partition: int, content: bytes) -> None:
        self.send(partition, content, "bad")

    @rule(partition=st.integers(0, 1))
    def end_a_transaction(self, partition: int) -> None:
        self.send(partition, None, "no record")

    @rule(partition=st.integers(0, 1), data=st.data())
    def delete_old_records(self, partition: int, data: st.DataObject) -> None:
        found = self.topic.partitions[partition]
        found.low = data.draw(st.integers(found.low, len(found.records)))

    @rule(order=st.permutations([0, 1]), most=st.integers(1, 8))
    def reorder(self, order: list[int], most: int) -> None:
        self.order, self.most = order, most

    @rule()
    def lose_the_broker(self) -> None:
        self.topic.is_away = True
        assert self.consumer.step() > 0
        assert not self.consumer.connected
        self.topic.is_away = False

    @rule(steps=st.integers(1, 4))
    def consume(self, steps: int) -> None:
        for _ in range(steps):
            self.consumer.step()

    @rule(calls=st.integers(0, 12))
    def crash(self, calls: int) -> None:
        self.calls_until_crash = calls
        with suppress(Crash):
            for _ in range(4):
                self.consumer.step()
        self.calls_until_crash = None
        self.log.close()
        self.open()

    @invariant()
    def no_event_is_there_twice(self) -> None:
        if hasattr(self, "log"):
            assert all(number == 1 for number in self.kept().values())

    def kept(self) -> Counter[str]:
        return Counter(one for _, table in self.log.batches() for one in table.column("id").to_pylist())

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        reached = self.consumer.asked()
        for _ in range(100):
            self.consumer.step()
            if reached.is_set():
                break
        assert reached.is_set()
        status, kept = self.consumer.status(), self.kept()
        assert (status.connected, status.behind, status.trouble) == (True, 0, None)
        sent = [one for part in self.sent.values() for one in part]
        records = [what for what, _ in sent if what != "no record"]
        ids = {event_id for what, event_id in sent if what == "event"}
        gaps = sum(what == "no record" for what, _ in sent)
        assert set(kept) <= ids
        assert status.kept == sum(kept.values())
        counted = status.kept + status.duplicates + status.bad + status.lost
        assert (
            len(records) <= counted <= len(records) + gaps
        )  # a deleted end of a transaction counts as lost: it has an offset
        if status.lost == 0:
            assert set(kept) == ids
            assert status.bad == records.count("bad")
        self.log.close()
        shutil.rmtree(self.folder)


class Crashing:
    """A log whose process can end before and after each append."""

    def __init__(self, log: EventLog, maybe: Any) -> None:
        self._log, self._maybe = log, maybe

    def append(self, *args: Any, **kwargs: Any) -> Any:
        self._maybe()
        done = self._log.append(*args, **kwargs)
        self._maybe()
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


@pytest.mark.parametrize("is_running", [True, False])
def test_records_that_were_deleted_unread_are_counted_once(is_running: bool) -> None:
    machine = Machine()
    machine.start()
    machine.produce(0, 10)
    machine.consume(1)
    machine.produce(0, 10)
    machine.topic.partitions[0].low = 14
    if not is_running:
        machine.log.close()
        machine.open()
    machine.consume(3)
    for _ in range(3):
        machine.produce(0, 1)
        machine.consume(1)
    status = machine.consumer.status()
    assert (status.lost, status.kept) == (4, 19)
    machine.teardown()


TestEachRecordOnce = Machine.TestCase
TestEachRecordOnce.settings = settings(max_examples=examples(100), stateful_step_count=25, deadline=None)


class Scripted:
    """A stream of numbered batches. Attributes: done_for: the positions that were committed."""

    def __init__(self, positions: Any, batches: int = 3) -> None:
        self.next = int(positions.get("n", b"0"))
        self.batches = batches
        self.done_for: list[Positions] = []
        self.is_closed = False

    def poll(self, most: int, seconds: float) -> Polled:
        if self.next == self.batches:
            return Polled()
        self.next += 1
        return Polled([record(self.next)], ["t"], positions={"n": b"%d" % self.next})

    def done(self, positions: Positions) -> None:
        self.done_for.append(positions)

    def behind(self) -> int | None:
        return self.batches - self.next

    def mark(self) -> Mark:
        return lambda: self.next == self.batches

    def close(self) -> None:
        self.is_closed = True


class Site:
    """A consumer over scripted streams and a real log."""

    def __init__(self, folder: Path, **log: Any) -> None:
        self.log = EventLog(folder / "e.log", client="who", time="at", **log)
        self.streams: list[Scripted] = []
        source = kafka("127.0.0.1:9", "t", folder / "e.log", columns=WITH_ID)
        self.decoder = Decoder(Machine.sandbox, source.columns, "who", "at")
        self.batches = 3
        self.consumer = Consumer(self.connect, self.decoder.decode, self.log)

    def connect(self, positions: Any) -> Scripted:
        self.streams.append(Scripted(positions, self.batches))
        return self.streams[-1]

    def numbers(self) -> list[int]:
        return [n for _, table in self.log.batches() for n in table.column("n").to_pylist()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.log.close()


def test_a_batch_is_acknowledged_after_it_is_in_the_log(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    append = site.log.append
    monkeypatch.setattr(site.log, "append", lambda *a, **k: (append(*a, **k), order.append("log")))
    monkeypatch.setattr(Scripted, "done", lambda self, positions: order.append(f"done {positions['n'].decode()}"))
    for _ in range(4):
        assert site.consumer.step() == 0
    assert order == ["log", "done 1", "log", "done 2", "log", "done 3"]
    assert site.log.positions() == {"n": b"3"}


def test_a_full_log_stops_reading_and_keeps_the_batch(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append, full = site.log.append, LogFull("e.log", 2, 3, 2)

    def refuse(*_: object, **__: object) -> None:
        raise full

    site.consumer.step()
    monkeypatch.setattr(site.log, "append", refuse)
    for _ in range(3):
        assert site.consumer.step() == 1.0
    assert site.consumer.status().full
    assert site.consumer.status().trouble == str(full)
    assert site.streams[0].next == 2  # one batch was read, and no other
    monkeypatch.setattr(site.log, "append", append)
    site.consumer.step()
    site.consumer.step()
    assert site.numbers() == [1, 2, 3]
    assert not site.consumer.status().full
    assert len(site.streams) == 1


def test_a_batch_that_is_too_large_for_the_log_is_read_in_smaller_ones(tmp_path: Path) -> None:
    events = [json.dumps({"who": os.urandom(50_000).hex(), "at": AT, "n": n}).encode() for n in range(250)]

    class Whole(Scripted):
        def poll(self, most: int, seconds: float) -> Polled:
            first, self.next = self.next, min(self.next + most, len(events))
            found = events[first : self.next]
            return Polled(found, ["t"] * len(found), positions={"n": b"%d" % self.next} if found else {})

        def mark(self) -> Mark:
            return lambda: self.next == len(events)

    site = Site(tmp_path, size="8MB", when_full="drop-oldest")  # all of them take 12 MB
    site.consumer._connect = Whole
    reached = site.consumer.asked()
    for _ in range(50):
        site.consumer.step()
    assert reached.is_set()
    status = site.consumer.status()
    assert (status.kept, status.full) == (250, False)
    assert site.numbers()[-1] == 249
    site.log.close()


def test_a_log_that_fails_after_its_commit_doubles_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append = site.log.append

    def fail_late(*arguments: Any, **more: Any) -> None:
        append(*arguments, **more)
        raise LogWriteFailed("e.log", "disk full")

    monkeypatch.setattr(site.log, "append", fail_late)
    assert site.consumer.step() > 0
    assert site.streams[0].is_closed
    monkeypatch.setattr(site.log, "append", append)
    for _ in range(3):
        site.consumer.step()
    assert site.numbers() == [1, 2, 3]


def test_a_broker_that_stays_away_is_tried_at_growing_pauses_and_named_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(self: Scripted, most: int, seconds: float) -> Polled:
        raise SourceAway("kafka://b:9/t", "no broker answers")

    with monkeypatch.context() as broken:
        broken.setattr(Scripted, "poll", away)
        assert [site.consumer.step() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    status = site.consumer.status()
    assert (status.connected, status.trouble) == (
        False,
        "the source kafka://b:9/t cannot be read now: no broker answers",
    )
    assert sum("no broker answers" in one.getMessage() for one in caplog.records) == 1
    assert site.consumer.step() == 0
    assert site.consumer.status().trouble is None
    with monkeypatch.context() as broken:
        broken.setattr(Scripted, "poll", away)
        assert site.consumer.step() == 0.5


def test_a_broker_that_is_away_for_days_is_still_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Scripted, most: int, seconds: float) -> Polled:
        raise SourceAway("kafka://b:9/t", "no broker answers")

    with monkeypatch.context() as broken:
        broken.setattr(Scripted, "poll", away)
        pauses = [site.consumer.step() for _ in range(3_000)]
    assert pauses[-1] == 30.0
    assert site.consumer.step() == 0


def test_who_waits_goes_on_waiting_when_the_broker_is_away_for_a_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Scripted) -> Mark:
        raise SourceAway("kafka://b:9/t", "no broker answers")

    reached = site.consumer.asked()
    with monkeypatch.context() as broken:
        broken.setattr(Scripted, "mark", away)
        assert site.consumer.step() > 0
    for _ in range(4):
        site.consumer.step()
    assert reached.is_set()


def test_a_stream_that_is_away_keeps_no_event_for_longer_than_the_days_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def us() -> int:
        return AT + int(now[0] * 10**6)

    site = Site(tmp_path, days=1, clock=us, monotonic=us)
    site.consumer = Consumer(site.connect, site.decoder.decode, site.log, lambda: now[0])
    for _ in range(3):
        site.consumer.step()
    assert site.numbers() == [1, 2, 3]

    def away(positions: Any) -> Scripted:
        raise SourceAway("kafka://b:9/t", "no broker answers")

    monkeypatch.setattr(site.consumer, "_connect", away)
    site.consumer._disconnect()
    for _ in range(26):
        now[0] += 3_600
        site.consumer.step()
    assert site.numbers() == []
    assert site.consumer.status().expired == 3
    site.log.close()


def test_catching_up_waits_for_what_the_broker_had(site: Site) -> None:
    site.batches = 40
    assert not site.consumer.catch_up(0)
    site.consumer.start()
    assert site.consumer.catch_up(60)
    assert len(site.numbers()) == 40
    site.consumer.stop()
    assert site.streams[0].is_closed
    assert not site.consumer.connected
    assert not site.consumer.catch_up(0)
    assert site.consumer._waiting == []


def test_an_unexpected_error_is_tried_again_and_shown_without_what_it_quotes(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decode, failed = site.decoder.decode, []

    def broken(polled: Polled) -> Any:
        if not failed:
            failed.append(polled)
            raise MemoryError("c1 has no room")
        return decode(polled)

    monkeypatch.setattr(site.consumer, "_decode", broken)
    monkeypatch.setattr(consumer_module, "LONGEST_PAUSE_S", 0.01)
    site.consumer.start()
    assert site.consumer.catch_up(60)
    site.consumer.stop()
    assert site.numbers() == [1, 2, 3]
    assert site.streams[0].is_closed
    assert "cannot be processed: MemoryError in broken" in caplog.text
    assert "c1 has no room" not in caplog.text


def test_a_stop_interrupts_a_pause(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def away(self: Scripted, most: int, seconds: float) -> Polled:
        tried.set()
        raise SourceAway("kafka://b:9/t", "no broker answers")

    monkeypatch.setattr(Scripted, "poll", away)
    site.consumer._pause = 30.0
    site.consumer.start()
    assert tried.wait(60)
    site.consumer.stop()
    assert site.consumer._thread is not None
    assert not site.consumer._thread.is_alive()
