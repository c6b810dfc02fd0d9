"""What a stream is for its consumer, whichever broker is behind it.

A stream does not remember how far it was read. The event log does: it commits the *positions* of a batch in the transaction that
commits its events. A stream is made from the positions of the log, and after a crash it starts there again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

Positions = Mapping[str, bytes | None]
"""By name: what a stream needs in order to go on after the records of a batch. None: the name is deleted. Only the stream itself
knows what a name and its value mean.
"""

Mark = Callable[[], bool]
"""Whether the log has every record that the broker had when the mark was made."""


@dataclass(frozen=True)
class Polled:
    """The records that one call of `Stream.poll` got, column by column, in the order in which the log shall have them.

    Attributes:
        values: the bytes of each record, each at most `MAX_RECORD`. Longer ones are cut at `MAX_RECORD + 1`, and so recognised.
        topics: the topic of each.
        times_us: the time of each by its broker, or of its arrival, µs since the epoch; None: the broker gave none. Empty: no
            column comes from it.
        keys: the key of each, None: it has none. Empty: this kind of stream has none, or no column comes from it.
        places: where each was, for the person who looks at bad records, such as `topic[2]@1707`.
        positions: what the log stores together with these records.
        lost: number of records that the broker deleted before they were read. It counts once `positions` are stored.
    """

    values: Sequence[bytes] = ()
    topics: Sequence[str] = ()
    times_us: Sequence[int | None] = ()
    keys: Sequence[bytes | None] = ()
    places: Callable[[int], str] = str
    positions: Positions = field(default_factory=dict)
    lost: int = 0

    def __bool__(self) -> bool:
        """Whether there is something for the log."""
        return bool(self.values) or bool(self.positions) or self.lost > 0


class Stream(Protocol):
    """An open stream. Only the thread of its consumer calls it. Every method may raise SourceAway; the stream is closed then,
    and the consumer makes another one from the positions of the log.
    """

    def poll(self, most: int, seconds: float) -> Polled:
        """The next records, at most `most` and about `MAX_BATCH` bytes; waits at most `seconds` for the first."""

    def done(self, positions: Positions) -> None:
        """Called once the log has committed these positions: the broker may forget the records (an MQTT acknowledgement)."""

    def behind(self) -> int | None:
        """Number of records that the broker has and that were not yet polled; None: unknown."""

    def mark(self) -> Mark:
        """What the broker has now. The mark becomes true when `done` was called for all of it."""

    def close(self) -> None:
        """Close the connection. Nothing is acknowledged that `done` was not called for."""


StreamFactory = Callable[[Mapping[str, bytes]], Stream]
"""Connects from the positions of the log; SourceAway where that fails."""

MAX_RECORD: Final = 2**20
"""Most bytes of a record; a longer one is a bad record."""
MAX_BATCH: Final = 16 * MAX_RECORD
"""About how many bytes a poll returns at most."""
