"""A topic of Kafka in memory, and a connection to it that answers as librdkafka does. Any call can crash the site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edge_client.errors import SourceAway
from edge_client.sources.source import KafkaSource
from edge_client.sources.streams.kafka_client import Consumed


class Crash(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class FakeRecord:
    number: int
    at: int
    content: bytes | None
    name: bytes | None = None

    def __len__(self) -> int:
        return len(self.content or b"")

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content

    def key(self) -> bytes | None:
        return self.name

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


@dataclass
class FakePartition:
    """Attributes: records: by offset; None is the end of a transaction, which is no record. low: of the oldest one."""

    records: list[bytes | None] = field(default_factory=list)
    low: int = 0


@dataclass
class FakeTopic:
    partitions: list[FakePartition]
    topic_id: str = "t1"
    is_away: bool = False


@dataclass
class FakeConnection:
    """Attributes: order: the partitions by whose turn records come. crash: called before each answer."""

    source: KafkaSource
    topic: FakeTopic
    order: Callable[[], list[int]]
    crash: Callable[[], None]
    most: Callable[[], int] = lambda: 64
    places: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    def close(self) -> None:
        pass

    def partitions(self) -> list[int]:
        self._answer()
        return list(range(len(self.topic.partitions)))

    def topic_id(self, *, had_one: bool) -> str:
        return self.topic.topic_id

    def watermarks(self, partition: int) -> tuple[int, int]:
        self._answer()
        found = self.topic.partitions[partition]
        return found.low, len(found.records)

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return {number: self.watermarks(number)[1] for number in partitions}

    def newest(self, partition: int) -> int | None:
        return len(self.topic.partitions[partition].records)

    def assign(self, offsets: Mapping[int, int]) -> None:
        self._answer()
        self.places, self.ended = dict(offsets), set()

    def consume(self, most: int, seconds: float) -> Consumed:
        self._answer()
        found = Consumed()
        room = min(most, self.most())
        for number in self.order():
            if number not in self.places:
                continue
            partition, place = self.topic.partitions[number], self.places[number]
            if not partition.low <= place <= len(partition.records):
                found.out_of_range.add(number)
                del self.places[number]  # nothing more comes until it is assigned again
                continue
            while room and place < len(partition.records):
                content = partition.records[place]
                if content is not None:
                    found.records.append(FakeRecord(number, place, content))  # type: ignore[arg-type]
                    found.places[number] = place + 1
                    room -= 1
                place += 1
                self.ended.discard(number)
            if place == len(partition.records) and number not in self.ended:
                found.places[number] = place
                self.ended.add(number)
            self.places[number] = place
        return found

    def require_brokers(self) -> None:
        self._answer()

    def commit(self, offsets: Mapping[int, int]) -> None:
        pass

    def _answer(self) -> None:
        self.crash()
        if self.topic.is_away:
            raise SourceAway(self.source.url, "no broker answers")
