from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from base.times import DAY_US
from edge_client.event_log.log import EventLog

NOW = 1_800_000_000 * 10**6


class Clocks:
    """A wall clock and a monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.wall_us, self.monotonic_us = NOW, 0

    def wall(self) -> int:
        return self.wall_us

    def monotonic(self) -> int:
        return self.monotonic_us

    def pass_us(self, us: int) -> None:
        self.wall_us += us
        self.monotonic_us += us

    def pass_days(self, days: float) -> None:
        self.pass_us(int(days * DAY_US))


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def open_log(tmp_path: Path, clocks: Clocks) -> Iterator[Callable[..., EventLog]]:
    """Opens the log of the test, again and again."""
    opened = []

    def open_one(**settings: Any) -> EventLog:
        given = {"client": "who", "time": "at", "clock": clocks.wall, "monotonic": clocks.monotonic} | settings
        opened.append(EventLog(tmp_path / "events.log", **given))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


def events(count: int, start: int = 0, at_us: int = NOW, **columns: Any) -> pa.Table:
    """Events with the numbers `start`, `start` + 1, …, a second apart."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "who": pa.array([f"c{number % 7}" for number in numbers]),
            "at": pa.array([at_us - 10**9 + number for number in numbers], pa.timestamp("us", "UTC")),
            "number": pa.array(list(numbers), pa.int64()),
            **columns,
        }
    )


def numbers_of(log: EventLog, **given: Any) -> list[int]:
    """The `number` of each event of a log, in order."""
    return [one for _, table in log.batches(**given) for one in table.column("number").to_pylist()]
