"""A few rows of a source as it has them, for the eyes of its operator. Nothing is written, no position moves, nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

import pyarrow as pa

from ..event_log.bad_records import BadRecord
from .open import Surroundings
from .source import FilesSource, KafkaSource, LogSource, MqttSource, Source, TableSource


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a source. Privacy-sensitive.

    Attributes:
        parts: what the source has, each in a few words: its files, its table, or its partitions and their offsets.
        rows: the columns of the source by their own names, before the mapping (see `mapping.raw_name`); those of a stream, of
            which only declared fields are read, have the types of their records.
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


def sample_of(source: Source, surroundings: Surroundings, most: int) -> Sample:
    """The first rows of files and tables, or the last records of a log or stream.

    Args:
        most: number of rows; of a stream about as many.

    Raises:
        EventsError: the source cannot be read as its kind. SourceAway. ExtraMissing.
    """
    match source:
        case FilesSource():
            from .files.file_sample import sample_files

            return sample_files(source, most)
        case LogSource():
            from .log_sample import sample_log

            return sample_log(source, surroundings, most)
        case TableSource():
            from .tables.table_sample import sample_table

            return sample_table(source, most)
        case KafkaSource() | MqttSource():
            from .stream_sample import sample_stream

            return sample_stream(source, surroundings, most)
        case _:
            assert_never(source)
