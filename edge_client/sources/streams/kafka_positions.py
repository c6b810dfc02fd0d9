"""Where a site is in the partitions of a Kafka topic, and where it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_PREFIX: Final = "kafka"


@dataclass(frozen=True)
class Place:
    """A place in a partition.

    Attributes:
        offset: of the next record to read.
        topic_id: of the topic that the offset is of: a topic that is deleted and made again has another one. Empty: the broker
            has none to tell (before Kafka 2.8).
    """

    offset: int
    topic_id: str

    def packed(self) -> bytes:
        """As the log stores it."""
        return f"{self.offset} {self.topic_id}".encode()


def name_of(topic: str, partition: int) -> str:
    """The name under which the log has the place of a partition."""
    return f"{_PREFIX} {partition} {topic}"


def places_of(topic: str, positions: Mapping[str, bytes]) -> dict[int, Place]:
    """The places in a topic, by partition. Raises ValueError: one was not written by this version."""
    found = {}
    for name, value in positions.items():
        prefix, _, rest = name.partition(" ")
        partition, _, of_topic = rest.partition(" ")
        if prefix == _PREFIX and of_topic == topic:
            offset, _, topic_id = value.decode("ascii").partition(" ")
            found[int(partition)] = Place(int(offset), topic_id)
    return found


@dataclass(frozen=True)
class Start:
    """Where a partition is read from.

    Attributes:
        lost: number of records that the broker deleted before they were read.
        is_anew: whether the topic, or its records, are others than those that were read: how many were lost is unknown.
    """

    place: Place
    lost: int = 0
    is_anew: bool = False


def start_of(stored: Place | None, low: int, high: int, topic_id: str, first: Literal["earliest", "latest"]) -> Start:
    """Where the reading of a partition begins.

    Args:
        stored: the log's place; None: the partition was never read.
        low, high: the offsets of the broker's oldest record, and after its newest one.
        topic_id: of the topic now; empty: unknown.
        first: where a partition begins that was never read.
    """
    if stored is None:
        return Start(Place(low if first == "earliest" else high, topic_id))
    if stored.topic_id and topic_id and stored.topic_id != topic_id:
        return Start(Place(low, topic_id), is_anew=True)
    known = topic_id or stored.topic_id
    return Start(Place(max(low, stored.offset), known), lost=max(0, low - stored.offset))


def restart_of(place: Place, low: int, high: int, topic_id: str) -> Start:
    """Where the reading goes on after the broker said that it has no record at this place.

    A place before the oldest record: those between are lost. A place after the newest one: the topic was made again, and is read
    from its beginning; but if the topic is the same, brokers lost their newest records in a failover, and reading them again
    would double those that they kept. It goes on at the end then.
    """
    if place.topic_id and topic_id and place.topic_id != topic_id:
        return Start(Place(low, topic_id), is_anew=True)
    if place.offset <= high:
        return Start(Place(max(low, place.offset), topic_id or place.topic_id), lost=max(0, low - place.offset))
    return Start(Place(high if place.topic_id and topic_id else low, topic_id), is_anew=True)
