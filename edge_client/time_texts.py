"""Times as text: ISO 8601, with a zone or without one."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import EventColumnError
from .sandbox import locked_duckdb

TIME_FORMATS: Final = ("2013-01-31", "2013-01-31T10:00:00Z", "2013-01-31 10:00:00.5", "2013-01-31T10:00:00+01:00")
"""An example of each way to write a time as text. A time without a zone is UTC, a date is its midnight."""
YEAR_1, YEAR_10000 = -62_135_596_800 * 10**6, 253_402_300_800 * 10**6
"""µs since the epoch. A date can name the years 0001 to 9999; other times come from an unset or broken clock."""
_COMMON: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z?$"
_NAIVE: Final = r"^[^:]*[0-9]\s*(:[0-9:.\s]*)?$"
"""Text without a zone: a date, or a time that ends with its digits. Every zone follows a time of day."""


def parse_times(texts: pa.Array, column: str, *, strict: bool) -> pa.Array:
    """Text as UTC timestamps of µs. Text without a zone is UTC. Empty text is null. Infinity becomes a time beyond every year.

    Args:
        column: its name, for the error.

    Raises:
        EventColumnError: if `strict`, none of the texts is a time.
    """
    if (common := _common(texts)) is not None:
        return common
    with locked_duckdb() as db:
        db.register("texts", pa.table({"text": texts, "row": np.arange(len(texts))}))
        parsed = db.sql("""
            WITH trimmed AS (SELECT row, nullif(trim(text, E' \\t\\r\\n'), '') AS text FROM texts),
                 tried AS (SELECT row, text, TRY_CAST(text AS TIMESTAMPTZ) AS time FROM trimmed)
            SELECT row, text IS NOT NULL AND time IS NULL AS bad, epoch_us(time) AS us
            FROM tried""").to_arrow_table()
    row = parsed.column("row").to_numpy()
    bad = np.sort(row[parsed.column("bad").to_numpy()])
    if strict and len(bad) and parsed.column("us").null_count == len(row):
        first = int(bad[0])
        quoted = repr(texts[first].as_py()[:60])
        raise EventColumnError(
            column,
            f"none of {len(bad):,} value(s) is an ISO 8601 time; the first is {quoted} in row {first + 1:,}. "
            f"Write {' or '.join(TIME_FORMATS)}",
            quoted,
        )
    in_order = parsed.column("us").combine_chunks().take(pa.array(np.argsort(row, kind="stable")))
    return in_order.cast(pa.timestamp("us", "UTC"))


def has_no_zone(texts: pa.Array) -> pa.Array:
    """Which texts that `parse_times` can read name no zone."""
    return pc.match_substring_regex(texts, _NAIVE)


def _common(texts: pa.Array) -> pa.Array | None:
    """The times, if all texts have the usual form of UTC; Arrow reads it many times faster than a database starts."""
    if pc.all(pc.match_substring_regex(texts, _COMMON), min_count=0).as_py() is not True:
        return None
    try:
        return pc.utf8_rtrim(texts, "Z").cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:  # 24:00:00, or a date that does not exist
        return None
