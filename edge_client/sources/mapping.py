"""The columns of a source, as a site's file declares them: which column or field each comes from, and its type.

Of a stream only the declared columns are kept. Of files and tables the declared columns are renamed and converted, and the others
keep their names and types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from .units import UNSCALED, Scale


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


@dataclass(frozen=True)
class Mapping:
    """The declared columns, by different names. Without one, a file or table is read as it is."""

    columns: tuple[Column, ...] = ()

    def column(self, name: str) -> Column | None:
        """The declared column of this name."""
        return next((one for one in self.columns if one.name == name), None)


NO_COLUMNS: Final = Mapping()
"""Nothing is declared: the columns of a file or table keep their names and types."""
