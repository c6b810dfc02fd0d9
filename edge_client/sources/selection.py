"""Which of a source's own columns are read for the views, and how they become the columns that the views name."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ..errors import EventsError
from .conversions import type_of
from .declared_column import AsText, AsTime, Column
from .mapping import Mapping
from .needed import one_type


@dataclass(frozen=True)
class Selection:
    """What is read of a source for the needed columns.

    Attributes:
        columns: the source's own columns, each with its type where the source has none.
        needed: the names of the needed columns.
        mapping: the declared ones of them.
    """

    columns: dict[str, pa.DataType]
    needed: tuple[str, ...]
    mapping: Mapping

    @classmethod
    def of(cls, needed: dict[str, pa.DataType], mapping: Mapping) -> Selection:
        """The selection of the needed columns (each with its type) of a file or table.

        Raises:
            EventsError: the mapping renames a needed column.
        """
        uses: dict[str, set[pa.DataType]] = {}
        declared = []
        for name, kind in needed.items():
            column = mapping.column(name)
            if column is None and mapping.hides(name):
                raise EventsError(f"there is no column {name!r}: [source.columns] gives it another name")
            if column is None:
                uses.setdefault(name, set()).add(kind)
            else:
                declared.append(column)
                uses.setdefault(mapping.origin(name), set()).add(_type_of(column, kind))
        columns = {name: one_type(kinds) for name, kinds in uses.items()}
        return cls(columns, tuple(needed), Mapping(tuple(declared)))

    def origin(self, name: str) -> str:
        """The source's own name of a needed column."""
        return self.mapping.origin(name)

    def is_plain(self, name: str) -> bool:
        """Whether the source's values are those of the needed column: the mapping renames it at most."""
        column = self.mapping.column(name)
        return column is None or column.kind is None or column.kind == AsTime()

    def keeps_nulls(self, name: str) -> bool:
        """Whether a needed column has a value wherever the source has one: no value can be unfit for the declared type."""
        column = self.mapping.column(name)
        return column is None or column.kind is None or column.kind == AsText()

    def apply(self, table: pa.Table) -> pa.Table:
        """The needed columns, from the source's own."""
        if not self.mapping.columns:
            return table
        return self.mapping.apply(table).select(self.needed)


def _type_of(column: Column, used_as: pa.DataType) -> pa.DataType:
    match column.kind:
        case None:
            return used_as
        case AsTime(unit=None):
            return pa.string()
        case AsTime(unit=unit):
            return pa.int64() if unit == "ns" else pa.float64()  # 53 bits hold µs, and fractions of seconds
        case kind:
            return type_of(kind)
