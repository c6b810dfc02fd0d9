"""The columns of a source, as a site's file declares them: which column or field each comes from, and its type.

Of a stream only the declared columns are kept. Of files and tables the declared columns are renamed and converted, and the others
keep their names and types. A column that a declared one comes from has no other name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

import pyarrow as pa

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

    def origin(self, name: str) -> str:
        """The column of the source from which a column comes; see `raw_name`."""
        column = self.column(name)
        return name if column is None else raw_name(column.origin)

    def hides(self, name: str) -> bool:
        """Whether a column of the source has no name of its own here: only declared ones come from it, or one has its name."""
        return any(name in (one.name, raw_name(one.origin)) for one in self.columns)

    def apply(self, table: pa.Table) -> pa.Table:
        """The declared columns whose origin the table has, in their order, and then its others that are not hidden.

        Args:
            table: columns of the source, by their own names; those of a record of a stream as `raw_name` says.

        Raises:
            EventColumnError: a column can never have the declared type. EventsError: the source has two columns of one name.
        """
        from .conversions import declared

        if not self.columns:
            return table
        columns = {one.name: declared(one, table) for one in self.columns if raw_name(one.origin) in table.column_names}
        kept = [field for field in table.schema if not self.hides(field.name)]
        fields = [*(field for field, _ in columns.values()), *kept]
        return pa.table(
            [*(values for _, values in columns.values()), *(table.column(field.name) for field in kept)],
            pa.schema(fields),
        )

    def schema(self) -> pa.Schema:
        """The columns of a stream, all of which are declared with their types."""
        from .conversions import type_of

        return pa.schema([(one.name, type_of(one.kind)) for one in self.columns if one.kind is not None])


NO_COLUMNS: Final = Mapping()
"""Nothing is declared: the columns of a file or table keep their names and types."""

TOPIC: Final = "@topic"
KEY: Final = "@key"
TIME: Final = "@time"


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
