"""Takes a sample of a source, whichever kind it is."""

from __future__ import annotations

from typing import assert_never

from .sample import Sample
from .source import FilesSource, KafkaSource, LogSource, MqttSource, Source, TableSource
from .surroundings import Surroundings


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
