"""A program that fills an event log step by step, and says after each step how far it is. It goes on where the log is.

python -m tests.edge_client.event_log.appender LOG [KEY]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.event_log.log import EventLog

STEPS = 34
NOW = 1_800_000_000 * 10**6
MINUTE = 60 * 10**6


class Appender:
    """Fills a log in steps: many small appends in one hour, duplicates, bad records, and then days that make events expire."""

    def __init__(self, path: Path, key: Path | None) -> None:
        self._now = NOW
        self.log = EventLog(
            path, client="who", time="at", event_id="id", days=1, key=key, clock=self._clock, monotonic=self._clock
        )
        self.step = int(self.log.positions().get("step", b"0"))
        self._now = self._moment()

    def append(self) -> None:
        """One step."""
        self._now = self._moment()
        rows = self.step % 3 + 1
        numbers = [10 * self.step + at for at in range(rows)]
        ids = [*numbers, 10 * (self.step - 1)] if self.step else numbers  # the last one is a duplicate
        table = pa.table(
            {
                "who": ["c"] * len(ids),
                "at": pa.array([self._now] * len(ids), pa.timestamp("us", "UTC")),
                "id": ids,
                "text": ["x" * 1_000] * len(ids),
            }
        )
        bad = [BadRecord(BadReason.EMPTY, b"", str(self.step))] if self.step % 4 == 0 else []
        self.log.append(table, positions={"step": str(self.step + 1).encode()}, bad=bad, lost=self.step % 2)
        self.step += 1

    def state(self) -> dict[str, Any]:
        """What the log holds."""
        return {
            "ids": [one for _, table in self.log.batches() for one in table["id"].to_pylist()],
            "positions": self.log.positions(),
            "bad": self.log.bad(),
            "tally": self.log.counts().life,
        }

    def _clock(self) -> int:
        return self._now

    def _moment(self) -> int:
        """A minute a step, and in the end a third of a day a step."""
        return NOW + MINUTE * self.step + max(0, self.step - 26) * 480 * MINUTE


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    appender = Appender(Path(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else None)
    while appender.step < STEPS:
        appender.append()
        print(appender.step, flush=True)  # noqa: T201
    appender.log.close()


if __name__ == "__main__":
    main(sys.argv[1:])
