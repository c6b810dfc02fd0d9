"""A few rows of a source as it has them, for the eyes of its operator. Nothing is written, no position moves, nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from ..event_log.bad_records import BadRecord


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a source. Privacy-sensitive.

    Attributes:
        parts: what the source has, each in a few words: its files, its table, or its partitions and their offsets.
        rows: the columns of the source by their own names, before the mapping (see `declared_column.raw_name`); those of a stream,
            of which only declared fields are read, have the types of their records.
        bad: records of a stream that cannot be understood.
        types: of a stream: how many records have each type in a field, by the field's name. A value of another type than the
            declared one is null in `rows`.
    """

    parts: tuple[str, ...]
    rows: pa.Table
    bad: tuple[BadRecord, ...] = ()
    types: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Sample({self.rows.num_rows} events: redacted)"
