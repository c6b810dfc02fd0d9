"""Appends to an event log, in batches of 1,000 and one by one, beside the same events as rows of SQLite and as values of RocksDB.

All of them are on disk when a call returns: SQLite with `synchronous = FULL`, RocksDB with `sync`. `append_peak_mb` is how far
memory rises while a million events are appended.
"""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from edge_client.event_log.log import EventLog
from edge_client.event_log.sealing import new_log_key
from simulations.measuring import PROCESS, WALL, peak_since, start_of_peak

BATCH: Final = 1_000
EVENTS: Final = 200_000
MANY: Final = 1_000_000
ONES: Final = 2_000
START_US: Final = 1_357_000_000 * 10**6


def events(count: int, start: int = 0) -> pa.Table:
    """Events like those of flights: an aircraft, a time, an airport, a distance, a delay and an id."""
    generator = np.random.default_rng(start)
    return pa.table(
        {
            "tailnum": pa.array([f"N{number}UA" for number in generator.integers(100, 4_000, count)]),
            "at": pa.array(START_US + 10**6 * np.arange(start, start + count), pa.timestamp("us", "UTC")),
            "dest": pa.array([f"A{number:02}" for number in generator.integers(0, 100, count)]),
            "distance": generator.integers(80, 5_000, count).astype(np.float64),
            "delay": generator.normal(5, 30, count).round(),
            "id": pa.array([f"{number:032x}" for number in range(start, start + count)]),
        }
    )


def batches(count: int, size: int) -> Iterator[pa.Table]:
    """So many events in batches, which are slices of a table that is made anew for each 100,000."""
    for start in range(0, count, 100_000):
        table = events(min(100_000, count - start), start)
        yield from (table.slice(at, size) for at in range(0, table.num_rows, size))


def _rate(count: int, size: int, append: Callable[[pa.Table], object]) -> dict[str, float]:
    given = list(batches(count, size))
    wall, cpu = WALL(), PROCESS()
    for one in given:
        append(one)
    return {"wall": count / (WALL() - wall), "cpu": count / (PROCESS() - cpu)}


def _log(folder: Path, name: str, count: int, size: int, **settings: Any) -> dict[str, float]:
    path = folder / f"{name}-{size}.log"
    with EventLog(path, client="tailnum", time="at", **settings) as log:
        return {**_rate(count, size, log.append), "bytes": log.counts().bytes / count}


def _dicts(folder: Path) -> dict[str, float]:
    with EventLog(folder / "dicts.log", client="tailnum", time="at") as log:
        rows = iter(events(ONES).to_pylist())
        return _rate(ONES, 1, lambda _: log.append([next(rows)]))


def _sqlite(folder: Path, count: int, size: int) -> dict[str, float]:
    path = folder / f"{size}.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            database.execute(statement)
        database.execute(
            "CREATE TABLE events (tailnum TEXT, at INTEGER, dest TEXT, distance REAL, delay REAL, id TEXT)"
        )

        def append(batch: pa.Table) -> None:
            columns = [
                column.cast(pa.int64()) if name == "at" else column
                for name, column in zip(batch.column_names, batch.columns, strict=True)
            ]
            database.execute("BEGIN")
            rows = zip(*(column.to_pylist() for column in columns), strict=True)
            database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")

        rate = _rate(count, size, append)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {**rate, "bytes": path.stat().st_size / count}


def _rocksdb(folder: Path, count: int, size: int) -> dict[str, float]:
    from rocksdict import Options, Rdict, WriteBatch, WriteOptions

    path = folder / f"rocks-{size}"
    database = Rdict(str(path), Options(raw_mode=True))
    durable = WriteOptions()
    durable.sync = True
    numbers = itertools.count()

    def append(batch: pa.Table) -> None:
        rows = WriteBatch(raw_mode=True)
        for row in batch.to_pylist():
            rows.put(next(numbers).to_bytes(8, "big"), repr(tuple(row.values())).encode())
        database.write(rows, durable)

    rate = _rate(count, size, append)
    database.flush()
    size_now = sum(file.stat().st_size for file in path.rglob("*.sst"))
    database.close()
    return {**rate, "bytes": size_now / count}


def _peak_mb(folder: Path) -> float | None:
    with EventLog(folder / "many.log", client="tailnum", time="at", event_id="id") as log:
        for batch in batches(100_000, BATCH):
            log.append(batch)
        start = start_of_peak()
        for batch in batches(MANY, BATCH):
            log.append(batch)
        peak = peak_since(start)
    return None if peak is None else round(peak / 1e6, 1)


def log_figures() -> dict[str, Any]:
    """Measure the appends; print the table."""
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as name:
        folder = Path(name)
        new_log_key(folder / "key")
        rows = {
            "append": _log(folder, "plain", EVENTS, BATCH),
            "append_with_id": _log(folder, "ids", EVENTS, BATCH, event_id="id"),
            "append_with_id_and_key": _log(folder, "sealed", EVENTS, BATCH, event_id="id", key=folder / "key"),
            "append_sqlite": _sqlite(folder, EVENTS, BATCH),
            "append_rocksdb": _rocksdb(folder, EVENTS, BATCH),
            "append_one": _log(folder, "one", ONES, 1),
            "append_one_dict": _dicts(folder),
            "append_one_sqlite": _sqlite(folder, ONES, 1),
            "append_one_rocksdb": _rocksdb(folder, ONES, 1),
        }
        peak = _peak_mb(folder)
    table = Table("appends", "events/s", "events/CPU s", "bytes/event", title=f"batches of {BATCH:,}; one: of 1")
    for name, row in rows.items():
        table.add_row(
            name, f"{row['wall']:,.0f}", f"{row['cpu']:,.0f}", f"{row['bytes']:.1f}" if "bytes" in row else ""
        )
    Console().print(table)
    figures: dict[str, Any] = {}
    for name, row in rows.items():
        label = name.replace("append_one", "append_one_per_second") if "one" in name else f"{name}_events_per_second"
        figures[label] = round(row["wall"])
    figures["append_events_per_cpu_second"] = round(rows["append"]["cpu"])
    figures["append_bytes_per_event"] = round(rows["append"]["bytes"], 1)
    figures["append_peak_mb"] = peak
    return figures
