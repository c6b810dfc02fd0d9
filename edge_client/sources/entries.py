"""`[source]` of a site's file: its entries and their types. `source.py` makes a `Source` of them.

[source]
url = "ua/*.parquet"      # a file, a folder or a pattern; or duckdb:// sqlite:// postgresql:// kafka:// mqtt:// log://
client = "tailnum"        # the column with the client of an event
time = "arrived_at"

[source.columns]          # required for streams: nothing else is kept
arrived_at = {from = "arr", type = "time", zone = "America/New_York"}
distance = {from = "dist", type = "number", unit = "mi", to = "km"}
late = "boolean"

[source.log]              # of streams: where their events are kept
path = "ua-events.log"
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Entries
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator, Strict

from base.config import ConfigModel, FilePath, Flag, Text
from base.times import parse_duration

from ..event_log.settings import parse_log_size
from .declared_column import (
    AsBoolean,
    AsNumber,
    AsText,
    AsTime,
    AsWhole,
    Column,
    Kind,
    Named,
    Origin,
    RecordKey,
    RecordTime,
    TimeUnit,
    TopicLevel,
)
from .mapping import NO_COLUMNS, Mapping
from .units import scale_of

MAX_COLUMNS: Final = 1_000
MAX_NAME: Final = 256
"""Most characters of the name of a column."""
MAX_WAIT_US: Final = 600 * 10**6
_TYPES: Final = ("text", "number", "whole", "boolean", "time")
_LEVEL: Final = re.compile(r"@topic\.([1-9][0-9]{0,2})", re.ASCII)
_OPTIONS: Final[Entries[str, tuple[str, ...]]] = {"number": ("unit", "to"), "time": ("zone", "unit")}
"""By type: the entries that it allows besides `from` and `type`."""


def _mapping(value: object) -> Mapping:
    """The declared columns. Raises ValueError, which names the column."""
    if not isinstance(value, dict):
        raise ValueError('write a section [source.columns] with lines such as late = "boolean"')
    if len(value) > MAX_COLUMNS:
        raise ValueError(f"there are {len(value):,} columns; at most {MAX_COLUMNS:,} can be declared")
    columns = []
    for name, declared in value.items():
        try:
            columns.append(_column(name, declared))
        except ValueError as error:
            raise ValueError(f"column {str(name)[:80]!r}: {error}") from None
    return Mapping(tuple(columns))


def _column(name: str, declared: object) -> Column:
    entries: dict[str, Any] = dict(declared) if isinstance(declared, dict) else {"type": declared}
    if unknown := [one for one in entries if one not in ("from", "type", "unit", "to", "zone")]:
        raise ValueError(f"unknown entry {unknown[0][:80]!r}. Known are from, type, unit, to, zone")
    for entry, text in entries.items():
        if not isinstance(text, str) or not text:
            raise ValueError(f"{entry} must be text, not {str(text)[:80]}")
    if not name or len(name) > MAX_NAME:
        raise ValueError(f"its name must have 1 to {MAX_NAME} characters")
    origin, kind = _origin(entries.get("from", name)), _kind(entries)
    if isinstance(origin, RecordTime) and kind not in (None, AsTime()):
        raise ValueError('@time is a time in UTC: write type = "time", without unit and zone')
    return Column(name, origin, kind)


def _origin(text: str) -> Origin:
    if not text.startswith("@"):
        return Named(text)
    match text:
        case "@topic":
            return TopicLevel()
        case "@key":
            return RecordKey()
        case "@time":
            return RecordTime()
    if (level := _LEVEL.fullmatch(text)) is not None:
        return TopicLevel(int(level[1]))
    raise ValueError(f"from = {text[:80]!r}: known are @topic, @topic.1, @topic.2, … (a level), @key and @time")


def _kind(entries: dict[str, Any]) -> Kind | None:
    kind = entries.get("type")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"type must be one of {', '.join(_TYPES)}, not {kind[:80]!r}")
    for entry in ("unit", "to", "zone"):
        if entry in entries and entry not in _OPTIONS.get(kind or "", ()):
            allowed = " or ".join(repr(one) for one, options in _OPTIONS.items() if entry in options)
            raise ValueError(f"{entry} needs type = {allowed}")
    unit, to, zone = entries.get("unit"), entries.get("to"), entries.get("zone")
    match kind:
        case "text":
            return AsText()
        case "whole":
            return AsWhole()
        case "boolean":
            return AsBoolean()
        case "number":
            return _number(unit, to)
        case "time":
            return _time(unit, zone)
    return None


def _number(unit: str | None, to: str | None) -> AsNumber:
    if unit is None and to is None:
        return AsNumber()
    if unit is None or to is None:
        raise ValueError("a conversion needs both, unit and to, such as unit = 'mi', to = 'km'")
    return AsNumber(scale_of(unit, to))


def _time(unit: str | None, zone: str | None) -> AsTime:
    if unit is not None and zone is not None:
        raise ValueError("numbers since 1970 count in UTC; remove zone, or unit if the column has times of the zone")
    if zone is not None:
        from .conversions import require_zone

        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {zone[:80]!r}; write a name such as 'America/New_York'") from None
        require_zone(zone)
    match unit:
        case None | "s" | "ms" | "us" | "ns":
            return AsTime(zone, unit)
    raise ValueError(f"unit of a time must be one of {', '.join(get_args(TimeUnit))}, not {unit[:80]!r}")


def _duration(text: object) -> int:
    """Microseconds."""
    duration = parse_duration(text)
    if duration > MAX_WAIT_US:
        raise ValueError(f"a site waits at most {MAX_WAIT_US // 10**6} s, not {text}")
    return duration


def _partitions(partitions: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(partitions)) != len(partitions):
        raise ValueError("a partition is named twice")
    return partitions


Size = Annotated[int, PlainValidator(parse_log_size), Field(examples=['"2GB"'])]
Duration = Annotated[int, PlainValidator(_duration), Field(examples=['"5s"'])]
Columns = Annotated[Mapping, PlainValidator(_mapping)]
Partitions = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...],
    Strict(False),
    Field(min_length=1, max_length=10_000, examples=["[0, 1]"]),
    AfterValidator(_partitions),
]
Days = Annotated[int, Field(ge=1, le=36_500, examples=["35"])]


class LogEntries(ConfigModel):
    """`[source.log]`: the event log of a stream, or of a device's program."""

    path: FilePath | None = None
    days: Days | None = None
    size: Size | None = None
    when_full: Literal["wait", "drop-oldest"] | None = None
    key_file: FilePath | None = None


class SourceEntries(ConfigModel):
    """`[source]`. Which entries a source may have follows from its URL."""

    url: Text
    client: Text
    time: Text
    event_id: Text | None = None
    table: Text | None = None
    query: Text | None = None
    partitions: Partitions | None = None
    start: Literal["earliest", "latest"] | None = None
    group: Text | None = None
    client_name: Text | None = None
    user: Text | None = None
    password_file: FilePath | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    ca: FilePath | None = None
    certificate: FilePath | None = None
    private_key: FilePath | None = None
    plaintext: Flag | None = None
    wait: Duration | None = None
    columns: Columns = NO_COLUMNS
    log: LogEntries | None = None
