"""A look at a stream: its newest records as they are, without a log and without a trace."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from edge_client.errors import SourceAway
from edge_client.event_log.bad_records import BadReason
from edge_client.sources.check import check_source
from edge_client.sources.open import open_source
from edge_client.sources.sampling import sample_of
from edge_client.sources.source import KafkaSource
from edge_client.sources.streams.kafka import KafkaStreams
from tests.brokers import KafkaBroker, free_port
from tests.edge_client.making import VIEW

from .streams.making import kafka
from .test_open_stream import COLUMNS, SITE, WAIT, broker, events, source

__all__ = ["broker", "source"]


def test_a_sample_has_the_newest_records_of_each_partition_before_the_mapping(
    broker: KafkaBroker, source: KafkaSource
) -> None:
    broker.produce(source.topic, [*events(0, 40), (1, None, b"garbage")])
    found = sample_of(source, SITE, 10)
    assert sorted(found.rows.column("who").to_pylist()) == sorted(f"c{n}" for n in (30, 32, 34, 36, 38, 33, 35, 37, 39))
    assert found.rows.schema.names == ["who", "t", "k"]
    assert [one.reason for one in found.bad] == [BadReason.NOT_JSON]
    assert found.parts == ("partition 0, at offset 20", "partition 1, at offset 21")
    assert not source.log.path.exists()


def test_a_look_beside_a_running_site_moves_nothing(broker: KafkaBroker, source: KafkaSource) -> None:
    broker.produce(source.topic, events(0, 10))
    with closing(open_source(source, SITE)) as opened:
        assert opened.ready_for(WAIT)
        sample_of(source, SITE, 5)
        broker.produce(source.topic, events(10, 14))
        assert opened.ready_for(WAIT)
        status = opened.status()
        assert status is not None
        assert status.kept == 14


def test_a_check_says_what_it_understood(broker: KafkaBroker, source: KafkaSource) -> None:
    broker.produce(source.topic, [*events(0, 10), (0, None, b'{"who": 7, "t": "x"}')])
    found = check_source(source, [VIEW], SITE, 100)
    assert found.usable
    assert (found.rows, found.clients, found.without_client) == (11, 10, 1)


def test_a_sample_is_bounded_also_if_more_records_come_meanwhile(
    broker: KafkaBroker, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.produce(source.topic, events(0, 40))
    monkeypatch.setattr(KafkaStreams, "newest", lambda self, most: self({}))  # as if 30 came after the newest 10
    assert sample_of(source, SITE, 10).rows.num_rows <= 12


def test_an_empty_topic_has_no_rows(source: KafkaSource) -> None:
    found = sample_of(source, SITE, 10)
    assert (found.rows.num_rows, found.bad) == (0, ())
    assert found.rows.schema.names == ["who", "t", "k"]


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    away = kafka(f"127.0.0.1:{free_port()}", "t", tmp_path / "e.log", columns=COLUMNS)
    with pytest.raises(SourceAway, match="Connection refused"):
        sample_of(away, SITE, 10)
