"""Records of a real Kafka broker into the event log, beside what a script does: one message at a time into SQLite.

Records are JSON objects of about 150 bytes, like those of flights. A rate is events for each CPU second of the consuming process,
with all of its threads, which is what one core does. The positions are in the transaction of the events in every row but that of
aiokafka, whose group has them. `kafka_peak_mb` is how far memory rises while ten times the events are read again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from edge_client.event_log.log import EventLog
from edge_client.event_log.sealing import new_log_key
from edge_client.sources.declared_column import AsNumber, AsText, AsTime, Column, Kind, Named
from edge_client.sources.mapping import Mapping
from edge_client.sources.source import KafkaSource, LogSettings
from edge_client.sources.streams.consumer import Consumer
from edge_client.sources.streams.decoding import decoder
from edge_client.sources.streams.kafka import KafkaStreams
from simulations.measuring import PROCESS, WALL, peak_since, start_of_peak
from tests.brokers import KafkaBroker, kafka_broker

EVENTS: Final = 100_000
AGAIN: Final = 10
"""The memory is measured over so many times the events."""
PARTITIONS: Final = 4
BATCH: Final = 1_000
START_MS: Final = 1_357_000_000_000
KINDS: Final[dict[str, Kind]] = {
    "tailnum": AsText(),
    "at": AsTime(unit="ms"),
    "dest": AsText(),
    "distance": AsNumber(),
    "delay": AsNumber(),
    "id": AsText(),
}


def record(number: int) -> dict[str, Any]:
    """An event like those of flights: an aircraft, a time, an airport, a distance, a delay and an id."""
    return {
        "tailnum": f"N{number * 7_919 % 3_900}UA",
        "at": START_MS + 1_000 * number,
        "dest": f"A{number % 100:02}",
        "distance": float(80 + number * 31 % 4_900),
        "delay": number % 61 - 20,
        "id": f"{number:032x}",
    }


def produce(broker: KafkaBroker, topic: str, count: int) -> None:
    """Send the events in batches, as producers do, and one more to each partition: see `tests.brokers`."""
    values = [json.dumps(record(number)).encode() for number in range(count - PARTITIONS)]
    records = [(number % PARTITIONS, None, value) for number, value in enumerate(values)]
    batches = {"batch.num.messages": BATCH, "linger.ms": 20, "queue.buffering.max.messages": 10**6}
    broker.produce(topic, records, **batches)
    last = [json.dumps(record(number)).encode() for number in range(count - PARTITIONS, count)]
    broker.produce(topic, [(number, None, value) for number, value in enumerate(last)])


def source_of(broker: KafkaBroker, topic: str, log: LogSettings, event_id: str | None = None) -> KafkaSource:
    """The topic as a site's source."""
    host_port = broker.address
    columns = Mapping(tuple(Column(name, Named(name), kind) for name, kind in KINDS.items()))
    return KafkaSource(
        url=f"kafka://{host_port}/{topic}", client="tailnum", time="at", columns=columns, servers=(host_port,),
        topic=topic, tls=None, login=None, event_id=event_id, log=log,
    )  # fmt: skip


def consume(source: KafkaSource) -> None:
    """Read until the log has what the broker has."""
    settings = source.log
    log = EventLog(settings.path, client="tailnum", time="at", event_id=source.event_id, key=settings.key)
    with log, decoder(source) as made:
        consumer = Consumer(KafkaStreams(source, "bench", time.monotonic), made.decode, log)
        consumer.start()
        try:
            if not consumer.catch_up(300):
                raise RuntimeError(f"the consumer did not catch up: {consumer.status().trouble}")
        finally:
            consumer.stop()


def _rate(count: int, work: Callable[[], None]) -> dict[str, float]:
    wall, cpu = WALL(), PROCESS()
    work()
    return {"wall": count / (WALL() - wall), "cpu": count / (PROCESS() - cpu)}


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
        database.execute(statement)
    database.execute("CREATE TABLE events (tailnum TEXT, at INTEGER, dest TEXT, distance REAL, delay REAL, id TEXT)")
    database.execute("CREATE TABLE positions (number INTEGER PRIMARY KEY, place INTEGER)")
    return database


def _insert(database: sqlite3.Connection, rows: list[tuple[Any, ...]], places: dict[int, int]) -> None:
    database.execute("BEGIN")
    database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", places.items())
    database.execute("COMMIT")


def _script(broker: KafkaBroker, topic: str, count: int, path: Path) -> None:
    """confluent-kafka and json.loads, message by message, in transactions of `BATCH`."""
    from confluent_kafka import Consumer as Client
    from confluent_kafka import TopicPartition

    settings: dict[str, Any] = {"bootstrap.servers": broker.address, "group.id": "script", "enable.auto.commit": False}
    client = Client(settings)
    client.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    with closing(_database(path)) as database:
        read, rows, places = 0, [], {}
        while read < count:
            message = client.poll(1.0)
            if message is None:
                continue
            found = json.loads(message.value() or b"")
            rows.append(tuple(found[name] for name in KINDS))
            places[message.partition() or 0] = (message.offset() or 0) + 1
            read += 1
            if len(rows) == BATCH or read == count:
                _insert(database, rows, places)
                rows, places = [], {}
    client.close()


def _aiokafka(broker: KafkaBroker, topic: str, count: int, path: Path) -> None:
    """aiokafka and json.loads, in transactions of what a poll returns."""

    async def run() -> None:
        library: Any = import_module("aiokafka")
        client = library.AIOKafkaConsumer(bootstrap_servers=broker.address, enable_auto_commit=False)
        await client.start()
        try:
            partitions = [library.TopicPartition(topic, number) for number in range(PARTITIONS)]
            client.assign(partitions)
            await client.seek_to_beginning(*partitions)
            with closing(_database(path)) as database:
                read = 0
                while read < count:
                    for one, messages in (await client.getmany(timeout_ms=500, max_records=BATCH)).items():
                        found = [json.loads(message.value) for message in messages]
                        rows = [tuple(row[name] for name in KINDS) for row in found]
                        _insert(database, rows, {one.partition: messages[-1].offset + 1})
                        read += len(messages)
        finally:
            await client.stop()

    asyncio.run(run())


def _rows(broker: KafkaBroker, folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    topic = "flights"
    broker.create(topic, PARTITIONS)
    produce(broker, topic, EVENTS)
    new_log_key(folder / "key")
    consume(source_of(broker, topic, LogSettings(folder / "warm.log")))  # imports
    for name, event_id, key in (
        ("kafka", None, None),
        ("kafka_with_id", "id", None),
        ("kafka_with_id_and_key", "id", folder / "key"),
    ):
        source = source_of(broker, topic, LogSettings(folder / f"{name}.log", key=key), event_id)
        yield name, _rate(EVENTS, partial(consume, source))
    yield "kafka_script", _rate(EVENTS, lambda: _script(broker, topic, EVENTS, folder / "script.db"))
    if find_spec("aiokafka") is not None:
        yield "kafka_aiokafka", _rate(EVENTS, lambda: _aiokafka(broker, topic, EVENTS, folder / "aiokafka.db"))


def _peak_mb(broker: KafkaBroker, folder: Path) -> float | None:
    broker.create("many", PARTITIONS)
    for _ in range(AGAIN):
        produce(broker, "many", EVENTS)
    start = start_of_peak()
    consume(source_of(broker, "many", LogSettings(folder / "many.log")))
    peak = peak_since(start)
    return None if peak is None else round(peak / 1e6, 1)


def kafka_figures() -> dict[str, Any]:
    """Measure the consumer; print the table."""
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as name, kafka_broker() as broker:
        rows = dict(_rows(broker, Path(name)))
        peak = _peak_mb(broker, Path(name))
    table = Table("into a log or database", "events/s", "events/CPU s", title=f"{EVENTS:,} records of Kafka")
    for name, row in rows.items():
        table.add_row(name, f"{row['wall']:,.0f}", f"{row['cpu']:,.0f}")
    Console().print(table)
    figures: dict[str, Any] = {f"{name}_events_per_second": round(row["cpu"]) for name, row in rows.items()}
    return {**figures, "kafka_peak_mb": peak}
