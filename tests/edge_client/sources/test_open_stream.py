"""A stream of a real Kafka broker as an open source: plans are answered from its log, before, while and after it is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from base.times import SECOND_US
from edge_client.sources.open import KeptSource, open_source
from edge_client.sources.source import KafkaSource
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.surroundings import Surroundings
from federation.plan import PlannedView
from tests.brokers import KafkaBroker, free_port, kafka_broker
from tests.edge_client.making import DAY, VIEW
from tests.waiting import wait_until

from .streams.making import kafka

COLUMNS = 'who = "text"\nat = {from = "t", type = "time", unit = "us"}\nk = "text"\n'
PLANNED = PlannedView(VIEW, np.array([0], np.int64), 2)
SITE = Surroundings("UA", clock=lambda: 40 * DAY)
WAIT = 60.0

_numbers = count()


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with kafka_broker() as running:
        yield running


@pytest.fixture
def source(broker: KafkaBroker, tmp_path: Path) -> KafkaSource:
    topic = f"open.{next(_numbers)}"
    broker.create(topic, 2)
    return kafka(broker.address, topic, tmp_path / "e.log", columns=COLUMNS)


def events(first: int, last: int) -> list[tuple[int, None, bytes]]:
    values = [
        json.dumps({"who": f"c{n}", "t": n * SECOND_US, "k": "a", "more": 1}).encode() for n in range(first, last)
    ]
    return [(n % 2, None, value) for n, value in enumerate(values)]


def test_a_plan_is_answered_from_what_the_broker_had_when_it_came(broker: KafkaBroker, source: KafkaSource) -> None:
    broker.produce(source.topic, [*events(0, 20), (0, None, b"garbage")])
    with closing(open_source(source, SITE)) as opened:
        assert opened.ready_for(WAIT)
        found = opened.read([PLANNED])
        assert sorted(found.table.column("who").to_pylist()) == sorted(f"c{n}" for n in range(20))
        assert sorted(found.table.column_names) == ["at", "k", "who"]
        broker.produce(source.topic, events(20, 30))
        assert opened.ready_for(WAIT)
        assert opened.read([PLANNED]).table.num_rows == 30
        status = opened.status()
        assert status is not None
        assert (status.connected, status.behind, status.kept, status.bad, status.lost) == (True, 0, 30, 1, 0)


def test_a_site_that_starts_again_goes_on(broker: KafkaBroker, source: KafkaSource) -> None:
    for last in (10, 20, 30):
        broker.produce(source.topic, events(last - 10, last))
        with closing(open_source(source, SITE)) as opened:
            assert opened.ready_for(WAIT)
            assert opened.read([PLANNED]).table.num_rows == last


def test_without_its_broker_a_site_answers_from_its_log(
    broker: KafkaBroker, source: KafkaSource, tmp_path: Path
) -> None:
    broker.produce(source.topic, events(0, 10))
    with closing(open_source(source, SITE)) as opened:
        assert opened.ready_for(WAIT)
    away = kafka(f"127.0.0.1:{free_port()}", source.topic, tmp_path / "e.log", columns=COLUMNS)
    with closing(open_source(away, SITE)) as opened:
        assert not opened.ready_for(0.01)
        assert opened.read([PLANNED]).table.num_rows == 10
        wait_until(lambda: (status := opened.status()) is not None and status.trouble is not None)
        status = opened.status()
        assert status is not None
        assert not status.connected
        assert "Connection refused" in str(status.trouble)


def test_a_site_whose_log_is_empty_knows_its_columns(tmp_path: Path) -> None:
    away = kafka(f"127.0.0.1:{free_port()}", "t", tmp_path / "e.log", columns=COLUMNS)
    with closing(open_source(away, SITE)) as opened:
        assert sorted(opened.schema([VIEW]).column_names) == ["at", "k", "who"]
        assert opened.read([PLANNED]).table.num_rows == 0


def test_one_process_consumes_and_another_one_only_reads(broker: KafkaBroker, source: KafkaSource) -> None:
    broker.produce(source.topic, events(0, 10))
    with closing(open_source(source, SITE)) as first:
        assert first.ready_for(WAIT)
        with closing(open_source(source, SITE)) as second:
            assert not second.ready_for(WAIT)
            assert second.read([PLANNED]).table.num_rows == 10
            status = second.status()
            assert status is not None
            assert "another process of this site reads the stream" in str(status.trouble)
    with closing(open_source(source, SITE)) as third:
        assert third.ready_for(WAIT)
        assert third.read([PLANNED]).table.num_rows == 10


def test_a_process_that_only_read_consumes_once_the_other_one_has_ended(
    broker: KafkaBroker, source: KafkaSource
) -> None:
    with closing(open_source(source, SITE)) as first:
        assert first.ready_for(WAIT)
        second = open_source(source, SITE)
        assert not second.ready_for(WAIT)
    with closing(second):
        broker.produce(source.topic, events(0, 10))
        assert second.ready_for(WAIT)
        assert second.read([PLANNED]).table.num_rows == 10
        status = second.status()
        assert status is not None
        assert (status.connected, status.trouble) == (True, None)


def test_a_log_is_free_once_a_consumer_that_was_slow_to_stop_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = kafka(f"127.0.0.1:{free_port()}", "t", tmp_path / "e.log", columns=COLUMNS)
    first, stop, may_end = open_source(away, SITE), Consumer.stop, threading.Event()
    monkeypatch.setattr(Consumer, "stop", lambda self: may_end.is_set() and stop(self))
    first.close()
    with closing(open_source(away, SITE)) as second:

        def only_reads() -> bool:
            second.ready_for(0)
            return "another process" in str(second.status().trouble)  # type: ignore[union-attr]

        assert only_reads()
        may_end.set()
        wait_until(lambda: not only_reads())


def test_an_edited_source_takes_the_place_of_the_old_one(
    broker: KafkaBroker, source: KafkaSource, tmp_path: Path
) -> None:
    edited = kafka(broker.address, source.topic, tmp_path / "e.log", 'group = "lag"\n', columns=COLUMNS)
    broker.produce(source.topic, events(0, 10))
    with closing(KeptSource(SITE.clock)) as kept:
        for one in (source, edited):
            with kept.of(one, "UA") as opened:
                assert opened.ready_for(WAIT)
                assert opened.read([PLANNED]).table.num_rows == 10
