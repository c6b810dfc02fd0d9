"""A declared column of a source: which column or field it comes from, and its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

from .units import UNSCALED, Scale

TOPIC: Final = "@topic"
KEY: Final = "@key"
TIME: Final = "@time"


@dataclass(frozen=True)
class Named:
    """A column of a file or table, or a field of a record."""

    name: str


@dataclass(frozen=True)
class TopicLevel:
    """The topic of a record of a stream, or one level of it.

    Attributes:
        level: counted from 1; None: the whole topic.
    """

    level: int | None = None


@dataclass(frozen=True)
class RecordKey:
    """The key of a Kafka record, as text."""


@dataclass(frozen=True)
class RecordTime:
    """The time that Kafka gave a record, or the time at which an MQTT message arrived."""


Origin: TypeAlias = Named | TopicLevel | RecordKey | RecordTime


@dataclass(frozen=True)
class AsText:
    """Text."""


@dataclass(frozen=True)
class AsNumber:
    """A number, as float64, converted to another unit."""

    scale: Scale = UNSCALED


@dataclass(frozen=True)
class AsWhole:
    """A whole number, as int64."""


@dataclass(frozen=True)
class AsBoolean:
    """True or false."""


TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True)
class AsTime:
    """A time, as µs in UTC.

    Attributes:
        zone: of times that have none; None: UTC.
        unit: of numbers since 1970-01-01 UTC; None: the column has times or text.
    """

    zone: str | None = None
    unit: TimeUnit | None = None


Kind: TypeAlias = AsText | AsNumber | AsWhole | AsBoolean | AsTime


@dataclass(frozen=True)
class Column:
    """A declared column.

    Attributes:
        kind: None: the type that it has in the file or table.
    """

    name: str
    origin: Origin
    kind: Kind | None


def raw_name(origin: Origin) -> str:
    """The name of an origin among the columns of a source.

    A record of a stream has, beside its fields, `@topic` (text), `@key` (text, null if it is not UTF-8) and `@time` (a timestamp of
    µs in UTC).
    """
    match origin:
        case Named(name=name):
            return name
        case TopicLevel():
            return TOPIC
        case RecordKey():
            return KEY
        case RecordTime():
            return TIME
        case _:
            assert_never(origin)
