"""What a site understands of its source: the columns of a sample, its times and clients, and whether views can be computed.

Privacy-sensitive: it has values of events, for the eyes of the source's operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.errors import CoveyError
from base.times import utc_text
from featurestore.define.definitions import FeatureView

from ..errors import EdgeError, EventsError
from ..events import Events, check_schema, event_times, make_events, plain_type, plain_values
from .conversions import declared
from .declared_column import Column, raw_name
from .files.csv_file import UNTYPED
from .json_types import NULL, json_type_of
from .open import open_source
from .sample import Sample
from .sampling import sample_of
from .source import FilesSource, KafkaSource, LogSource, MqttSource, Source, TableSource
from .surroundings import Surroundings

EXAMPLES: Final = 3
_LONGEST: Final = 60
"""Characters of an example."""


@dataclass(frozen=True)
class ColumnCheck:
    """A column of the sample.

    Attributes:
        origin: its name in the source.
        found: its type there. read: the declared type; None: it is not declared.
        missing: share of rows without a value, in the source.
        unfit: share of rows whose value does not fit the declared type, so that it is missing too.
        examples: different values, as they are read.
        problem: why the column cannot be read; None: it can.
    """

    name: str
    origin: str
    found: str
    read: str | None
    missing: float
    unfit: float
    examples: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True)
class TimeCheck:
    """The times of the sample.

    Attributes:
        earliest, latest: in UTC; None: no row has a time.
        unreadable: rows without a time that can be read. future: rows after the site's clock.
    """

    earliest: str | None
    latest: str | None
    unreadable: int
    future: int


@dataclass(frozen=True)
class SourceCheck:
    """What a site understands of its source.

    Attributes:
        clients: number of different clients in the sample; without_client: rows that have none.
        bad: records of a stream that cannot be understood, by reason; bad_examples: some of them, with their places.
        views: by name: why a site could not answer for a view; None: it could.
        problems: why a site could not answer at all.
    """

    kind: str
    url: str
    parts: tuple[str, ...]
    rows: int
    columns: tuple[ColumnCheck, ...]
    times: TimeCheck | None
    clients: int | None
    without_client: int
    bad: Mapping[str, int]
    bad_examples: tuple[str, ...]
    views: Mapping[str, str | None]
    problems: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether a site could answer for each of the views, and can use an event of the sample, if that has any."""
        return not self.problems and not any(self.views.values())


def check_source(
    source: Source, views: Sequence[FeatureView], surroundings: Surroundings, most: int, *, values: bool = True
) -> SourceCheck:
    """Read a sample of a source, and say what it means.

    Args:
        most: rows of the sample.
        values: whether to show examples of values. The earliest and the latest time are shown in any case.

    Raises:
        EventsError, SourceAway, ExtraMissing: nothing of the source can be read.
    """
    try:
        sample = sample_of(source, surroundings, most)
    except EventsError as error:
        if values or error.logged == str(error):
            raise
        raise EventsError(error.logged) from None
    columns = tuple(_columns(source, sample, values=values))
    problems = [f"column {one.name!r}: {one.problem}" for one in columns if one.problem is not None]
    events = times = None
    if not problems:
        try:
            events = make_events(source.columns.apply(sample.rows), source.client, source.time, strict_times=False)
            times = _times(events, source, surroundings.clock())
        except EdgeError as error:
            problems.append(_said(error, values=values))
    if times is not None and events is not None and events.table.num_rows:
        if times.unreadable == events.table.num_rows:
            problems.append(f"no event of the sample has a time that can be read in column {source.time!r}")
        if events.clients == 0:
            problems.append(f"no event of the sample has a client in column {source.client!r}")
    bad = Counter(str(one.reason) for one in sample.bad)
    return SourceCheck(
        kind_of(source),
        source.url,
        sample.parts,
        sample.rows.num_rows,
        columns,
        times,
        None if events is None else events.clients,
        0 if events is None else int(np.count_nonzero(events.client < 0)),
        dict(bad),
        tuple(_bad_example(one.where, str(one.reason), one.raw, values=values) for one in sample.bad[:EXAMPLES]),
        {} if problems else {view.name: _problem(view, source, surroundings, values=values) for view in views},
        tuple(problems),
    )


def kind_of(source: Source) -> str:
    """The kind of a source, in words."""
    match source:
        case FilesSource():
            return "files"
        case TableSource():
            return "a table or query"
        case LogSource():
            return "an event log"
        case KafkaSource():
            return "a topic of Kafka"
        case MqttSource():
            return "topics of MQTT"


def _columns(source: Source, sample: Sample, *, values: bool) -> list[ColumnCheck]:
    """The declared columns, and then those of the source that keep their names."""
    found = [_of_json(one, _declared(one, sample.rows, values=values), sample) for one in source.columns.columns]
    for field in sample.rows.schema:
        if not source.columns.hides(field.name):
            column = sample.rows.column(field.name)
            examples = _examples(column) if values else ()
            found.append(ColumnCheck(field.name, field.name, _type(field), None, _share(column), 0.0, examples))
    return found


def _declared(column: Column, rows: pa.Table, *, values: bool) -> ColumnCheck:
    raw = raw_name(column.origin)
    if raw not in rows.column_names:
        return ColumnCheck(column.name, raw, "", None, 0.0, 0.0, (), f"the source has no {raw!r}")
    found = _type(rows.schema.field(raw))
    try:
        field, read = declared(column, rows)
    except EdgeError as error:
        return ColumnCheck(column.name, raw, found, None, 0.0, 0.0, (), _said(error, values=values))
    before, after = _share(rows.column(raw)), _share(read)
    examples = _examples(read) if values else ()
    declared_type = None if column.kind is None else _type(field)
    return ColumnCheck(column.name, raw, found, declared_type, before, max(after - before, 0.0), examples)


def _of_json(column: Column, check: ColumnCheck, sample: Sample) -> ColumnCheck:
    """The check of a column that comes from a field of records, by the types that the records have."""
    types = dict(sample.types.get(check.origin, {}))
    total = sum(types.values())
    if column.kind is None or not total:
        return check
    missing = types.pop(NULL, 0)
    other = sum(types.values()) - types.get(json_type_of(column.kind), 0)
    named = sorted(types, key=lambda name: (-types[name], name))
    shares = ", ".join(f"{name} {types[name] / total:.1%}" for name in named) if len(named) > 1 else "".join(named)
    return replace(check, found=f"JSON: {shares or NULL}", missing=missing / total, unfit=other / total + check.unfit)


def _type(field: pa.Field) -> str:
    if UNTYPED.items() <= (field.metadata or {}).items():
        return "text without a type"
    kind = plain_type(field.type)
    return "text" if pa.types.is_large_string(kind) else str(kind)


def _share(column: pa.ChunkedArray | pa.Array) -> float:
    """The share of nulls."""
    return column.null_count / len(column) if len(column) else 0.0


def _examples(column: pa.ChunkedArray | pa.Array) -> tuple[str, ...]:
    chunked = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    return tuple(_short(str(one)) for one in pc.unique(plain_values(chunked).drop_null())[:EXAMPLES].to_pylist())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _bad_example(where: str, reason: str, raw: bytes, *, values: bool) -> str:
    content = f": {_short(raw.decode(errors='replace'))}" if values else ""
    return f"{_short(where)}: {reason}{content}"


def _times(events: Events, source: Source, now_us: int) -> TimeCheck:
    times = event_times(events.table, source.time, strict=False)
    us = times.us[times.valid]
    unreadable = int(np.count_nonzero(~times.valid))
    if not len(us):
        return TimeCheck(None, None, unreadable, 0)
    return TimeCheck(utc_text(int(us.min())), utc_text(int(us.max())), unreadable, int(np.count_nonzero(us > now_us)))


def _problem(view: FeatureView, source: Source, surroundings: Surroundings, *, values: bool) -> str | None:
    """Why a site could not answer for a view, by the names and types of the columns."""
    try:
        rows = _schema(view, source, surroundings)
        check_schema(view, make_events(rows, source.client, source.time, strict_times=False))
    except CoveyError as error:
        return _said(error, values=values)
    return None


def _said(error: CoveyError, *, values: bool) -> str:
    """The message of an error; some quote a value."""
    return str(error) if values else error.logged


def _schema(view: FeatureView, source: Source, surroundings: Surroundings) -> pa.Table:
    match source:
        case KafkaSource() | MqttSource():
            return source.columns.schema().empty_table()
        case FilesSource() | TableSource() | LogSource():
            opened = open_source(source, surroundings)
            try:
                return opened.schema([view])
            finally:
                opened.close()
