"""From the records of a stream to events with the declared columns, and the bad records among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.sandbox import locked_duckdb

from ..declared_column import (
    AsBoolean,
    AsNumber,
    AsText,
    AsTime,
    AsWhole,
    Column,
    Kind,
    Named,
    RecordKey,
    RecordTime,
    TopicLevel,
    raw_name,
)
from ..mapping import Mapping
from ..records import JsonColumn, JsonKind, RecordReader, Records
from ..source import Stream
from ..text import utf8
from .stream import Polled

_UTC_US: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Decoded:
    """The events of a batch of records, each with a client and a time, and the other records."""

    table: pa.Table
    bad: Sequence[BadRecord]


class Decoder:
    """Reads the records of one stream.

    Args:
        connection: of `locked_duckdb`; one thread at a time uses it.
        columns: the declared columns, each with its type.
        client, time: those that an event must have.
    """

    def __init__(self, connection: Any, columns: Mapping, client: str, time: str) -> None:
        self._columns, self._client, self._time = columns, client, time
        self._layers = [(RecordReader(connection, fields), part) for fields, part in _layers(columns)]

    def decode(self, polled: Polled) -> Decoded:
        """The events and the bad records of a batch."""
        found: dict[str, Any] = {}
        records = Records(pa.table({}), pa.array([], pa.int64()), ())
        for reader, part in self._layers:
            records = reader.read(polled.values)
            table = part.apply(_with_specials(records, part, polled))
            found |= {name: table.column(name) for name in table.column_names}
        events = pa.table({one.name: found[one.name] for one in self._columns.columns})
        bad = [_bad(polled, row, reason) for row, reason in records.bad]
        has_client, has_time = (pc.is_valid(events.column(name)) for name in (self._client, self._time))
        usable = pc.and_(has_client, has_time)
        if pc.all(usable, min_count=0).as_py():
            return Decoded(events, bad)
        clientless = set(pc.indices_nonzero(pc.invert(has_client)).to_pylist())
        for place in pc.indices_nonzero(pc.invert(usable)).to_pylist():
            reason = BadReason.NO_CLIENT if place in clientless else BadReason.NO_TIME
            bad.append(_bad(polled, records.rows[place].as_py(), reason))
        return Decoded(events.filter(usable), bad)

    def raw(self, polled: Polled) -> Decoded:
        """The fields of the records before the mapping, by the names of `raw_name`. Only records that are no objects are bad."""
        found: dict[str, Any] = {}
        bad: list[BadRecord] = []
        for reader, part in self._layers:
            records = reader.read(polled.values)
            table = _with_specials(records, part, polled)
            found = {name: table.column(name) for name in table.column_names} | found
            bad = [_bad(polled, row, reason) for row, reason in records.bad]
        return Decoded(pa.table(found), bad)


@contextmanager
def decoder(source: Stream) -> Iterator[Decoder]:
    """The decoder of a source, which has a locked DuckDB while it is open."""
    with locked_duckdb() as connection:
        yield Decoder(connection, source.columns, source.client, source.time)


def _bad(polled: Polled, row: int, reason: BadReason) -> BadRecord:
    return BadRecord(reason, polled.values[row], polled.places(row))


def _layers(columns: Mapping) -> list[tuple[list[JsonColumn], Mapping]]:
    """The declared columns in groups, such that each field of a record has one type in a group. There is one group as a rule."""
    layers: list[tuple[dict[str, JsonColumn], list[Column]]] = [({}, [])]
    for column in columns.columns:
        if not isinstance(column.origin, Named) or column.kind is None:
            layers[0][1].append(column)
            continue
        field = JsonColumn(raw_name(column.origin), _json_kind(column.kind))
        layer = next((one for one in layers if one[0].get(field.name, field) == field), None)
        if layer is None:
            layer = ({}, [])
            layers.append(layer)
        layer[0][field.name] = field
        layer[1].append(column)
    return [(list(fields.values()), Mapping(tuple(part))) for fields, part in layers]


def _json_kind(kind: Kind) -> JsonKind:
    match kind:
        case AsText() | AsTime(unit=None):
            return JsonKind.TEXT
        case AsWhole() | AsTime(unit="ns"):
            return JsonKind.WHOLE
        case AsNumber() | AsTime():  # 53 bits hold µs, and fractions of seconds
            return JsonKind.NUMBER
        case AsBoolean():
            return JsonKind.BOOLEAN
        case _:
            assert_never(kind)


def _with_specials(records: Records, columns: Mapping, polled: Polled) -> pa.Table:
    """The fields of the records, and what the broker says of each where a column comes from it."""
    found: dict[str, Any] = {name: records.table.column(name) for name in records.table.column_names}
    for name, origin in {raw_name(one.origin): one.origin for one in columns.columns}.items():
        match origin:
            case Named():
                continue
            case TopicLevel():
                values = pa.array(polled.topics, pa.string())
            case RecordKey():
                values = utf8(pa.array(polled.keys or [None] * len(polled.values), pa.binary()))
            case RecordTime():
                values = pa.array(polled.times_us, pa.int64()).cast(_UTC_US)
            case _:
                assert_never(origin)
        found[name] = values.take(records.rows)
    return pa.table(found)
