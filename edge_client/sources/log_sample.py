"""The newest events of an event log, as the log has them."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa

from ..errors import LogMissing, SourceAway
from ..event_log.log import EventLog
from .sample import Sample
from .source import LogSource
from .surroundings import Surroundings


def sample_log(source: LogSource, surroundings: Surroundings, most: int) -> Sample:
    """The newest events. Raises SourceAway, LogKeyWrong, LogBroken."""
    try:
        log = EventLog.existing(source.path, key=source.key, clock=surroundings.clock)
    except LogMissing as error:
        raise SourceAway(source.url, str(error)) from None
    with closing(log):
        counts = log.counts()
        newest = [log.schema.empty_table(), *(table for _, table in log.batches(after=max(counts.life.kept - most, 0)))]
        part = f"{counts.held:,} events, {counts.bytes:,} bytes of at most {counts.bounds.size:,}"
        return Sample((part,), pa.concat_tables(newest, promote_options="default"), tuple(log.bad(most)))
