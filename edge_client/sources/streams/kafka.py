"""Kafka: one connection to a topic as a `Stream`.

The site reads its partitions alone, from the places that its log has: there is no consumer group, so no rebalance takes partitions
away, and no offset of the broker is ever read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from ...errors import SourceAway
from ..declared_column import RecordKey, RecordTime
from ..source import KafkaSource
from .kafka_client import Connection, key_of, time_us_of, value_of, where
from .kafka_positions import Place, Start, name_of, places_of, restart_of, start_of
from .stream import MAX_BATCH, Mark, Polled, Positions

if TYPE_CHECKING:
    from .kafka_client import Message

REFRESH_S: Final = 30.0
"""How often new partitions are looked for, and whether the topic is still the same."""
_CHUNK: Final = 64
"""Records that are taken at a time, so that a batch of large ones stays near `MAX_BATCH`."""

_log = logging.getLogger(__name__)


class KafkaStreams:
    """Connects to a topic, again and again: the `StreamFactory` of a site.

    Args:
        site: its id, of which brokers see `covey-SITE` unless the source has a `client_name`.
        clock: monotonic seconds.
    """

    def __init__(self, source: KafkaSource, site: str, clock: Callable[[], float]) -> None:
        self.source, self.clock = source, clock
        self.client_name = source.client_name or f"covey-{site}"

    def __call__(self, positions: Mapping[str, bytes]) -> KafkaStream:
        """Connect, and go on at these positions. Raises SourceAway."""
        source = self.source
        try:
            places = places_of(source.topic, positions)
        except ValueError:
            why = "its event log has a position that this version cannot read; install the version that wrote it"
            raise SourceAway(source.url, why) from None
        return self._stream(lambda connection: places)

    def newest(self, most: int) -> KafkaStream:
        """A stream of about the newest `most` records, in equal parts of the partitions. Raises SourceAway."""

        def places(connection: Connection) -> dict[int, Place]:
            partitions, topic_id = connection.partitions(), connection.topic_id(had_one=False)
            each = -(-most // len(partitions))
            ranges = {number: connection.watermarks(number) for number in partitions}
            return {number: Place(max(low, high - each), topic_id) for number, (low, high) in ranges.items()}

        return self._stream(places)

    def _stream(self, places: Callable[[Connection], Mapping[int, Place]]) -> KafkaStream:
        connection = Connection(self.source, self.client_name, self.clock)
        try:
            return KafkaStream(connection, places(connection), self.clock)
        except BaseException:
            connection.close()
            raise


class KafkaStream:
    """The partitions of one topic.

    A partition has a *place*: where its next record is polled. `done` says which places the log has.

    Args:
        places: those of the log, by partition.
    """

    def __init__(self, connection: Connection, places: Mapping[int, Place], clock: Callable[[], float]) -> None:
        self._connection, self._source, self._clock = connection, connection.source, clock
        origins = {type(one.origin) for one in self._source.columns.columns}
        self._has_keys, self._has_times = RecordKey in origins, RecordTime in origins
        self._topic_id = ""
        self._places: dict[int, Place] = {}
        self._done = dict(places)
        self._ends: dict[int, int] = {}
        self._lost = 0
        self._out_of_range: set[int] = set()
        self._error: SourceAway | None = None
        self._refreshed = clock()
        self._refresh(places)

    def poll(self, most: int, seconds: float) -> Polled:
        """The next records, or the places from which a partition is read now."""
        if self._error is not None:
            raise self._error
        end = self._clock() + seconds
        if self._clock() - self._refreshed >= REFRESH_S:
            self._refresh(self._places)
        if self._out_of_range:
            self._restart()
        records: list[Message] = []
        size = 0
        while len(records) < most and size < MAX_BATCH and self._error is None and not self._out_of_range:
            found = self._connection.consume(min(_CHUNK, most - len(records)), end - self._clock())
            for number, offset in found.places.items():
                self._move(number, offset)
            records += found.records
            size += sum(map(len, found.records))
            self._out_of_range, self._error = found.out_of_range, found.error
            if len(found.records) < _CHUNK and self._clock() >= end:
                break
        if not records:
            self._connection.require_brokers()
            if self._error is not None:
                raise self._error
        return self._polled(records)

    def done(self, positions: Positions) -> None:
        """The log has these positions."""
        found = places_of(self._source.topic, {name: value for name, value in positions.items() if value is not None})
        self._done |= found
        if self._source.group is not None and found:
            self._connection.commit({number: place.offset for number, place in found.items()})

    def behind(self) -> int | None:
        """Records after the places, as the last fetches said."""
        total = 0
        for number, place in self._places.items():
            newest = self._connection.newest(number)
            total += max(0, (self._ends[number] if newest is None else newest) - place.offset)
        return total

    def parts(self) -> list[str]:
        """The partitions and the places in them, in words."""
        return [f"partition {number}, at offset {place.offset:,}" for number, place in self._places.items()]

    def mark(self) -> Mark:
        """True once `done` was called for the newest records that the partitions have now."""
        ends = self._connection.ends(self._places)

        def reached() -> bool:
            return all(self._has(number, end) for number, end in ends.items())

        return reached

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _has(self, number: int, offset: int) -> bool:
        """Whether the log has the records of a partition up to an offset; an offset of an earlier topic says nothing."""
        done, place = self._done.get(number), self._places.get(number)
        return done is not None and place is not None and done.topic_id == place.topic_id and done.offset >= offset

    def _refresh(self, known: Mapping[int, Place]) -> None:
        """Look for new partitions, and whether the topic was made again. Partitions go on where `known` says."""
        self._refreshed = self._clock()
        had_id = any(place.topic_id for place in known.values())
        partitions, topic_id = self._connection.partitions(), self._connection.topic_id(had_one=had_id)
        if list(self._places) == partitions and topic_id in ("", self._topic_id):
            return
        first = "earliest" if known else self._source.start  # the records of a partition that was added are all new
        starts = {}
        for number in partitions:
            low, self._ends[number] = self._connection.watermarks(number)
            starts[number] = start_of(known.get(number), low, self._ends[number], topic_id, first)
        self._topic_id, self._places = topic_id or self._topic_id, {}
        self._go_on(starts)

    def _restart(self) -> None:
        """Go on in the partitions of which the broker has no record at the place of the site."""
        topic_id = self._connection.topic_id(had_one=self._topic_id != "")
        starts = {}
        for number in sorted(self._out_of_range):
            low, self._ends[number] = self._connection.watermarks(number)
            place = self._places[number]
            starts[number] = restart_of(place, low, self._ends[number], topic_id)
            if starts[number].place == place:  # the consumer pauses, and connects again
                why = f"partition {number} has no record at offset {place.offset:,}, although it begins at {low:,}"
                raise SourceAway(self._source.url, f"{why}. Look at the broker")
        self._out_of_range = set()
        self._go_on(starts)

    def _go_on(self, starts: Mapping[int, Start]) -> None:
        """Read from these places, and count what was lost before them. The log has it before the first record from there."""
        self._places |= {number: one.place for number, one in starts.items()}
        self._lost += sum(one.lost for one in starts.values())
        for number, one in starts.items():
            if one.is_anew:
                _log.warning(
                    "partition %d of the topic holds other records than those that were read; reading goes on at offset %d, and "
                    "how many records were lost is unknown",
                    number,
                    one.place.offset,
                )
        self._connection.assign({number: place.offset for number, place in self._places.items()})

    def _move(self, number: int, offset: int) -> None:
        place = self._places[number]
        self._places[number] = Place(max(place.offset, offset), place.topic_id)

    def _unstored(self) -> dict[int, Place]:
        return {number: place for number, place in self._places.items() if self._done.get(number) != place}

    def _polled(self, records: list[Message]) -> Polled:
        """Records column by column, and the places after them."""
        topic, lost = self._source.topic, self._lost
        self._lost = 0
        return Polled(
            [value_of(one) for one in records],
            [topic] * len(records),
            [time_us_of(one) for one in records] if self._has_times else (),
            [key_of(one) for one in records] if self._has_keys else (),
            partial(where, topic, records),
            {name_of(topic, number): place.packed() for number, place in self._unstored().items()},
            lost,
        )
