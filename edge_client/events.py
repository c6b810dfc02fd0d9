"""The events of a site: read from a file, checked against what the views need, once, before anything is computed.

Types are refused by schema, never by a row: one odd event must not fail a site. Text is never turned into numbers, and
client ids are never changed: "007" and "7", or two Unicode spellings of one name, stay different clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.definitions import FeatureView
from featurestore.expressions import ColumnType, parse
from featurestore.features import Histogram, Mean, Rate

from .errors import EventColumnError, EventsError
from .sandbox import locked_duckdb

_CSV_TYPES = {
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True, eq=False)
class Events:
    """The events of one site (or, in one process, of several). Everything in it is privacy-sensitive.

    Attributes:
        table: the event columns.
        client: int32[N], dense index of the identity (site, client id); −1 where either is null.
        identities: the distinct identities, by index: client ids, or {site, client} with a site column.
        time_column: the default time column; a view may name another.
    """

    table: pa.Table
    client: npt.NDArray[np.int32]
    identities: pa.Array
    time_column: str

    @property
    def clients(self) -> int:
        """Number of distinct identities."""
        return len(self.identities)

    def __repr__(self) -> str:
        return f"Events({self.table.num_rows} events, {self.clients} clients: redacted)"


@dataclass(frozen=True, eq=False)
class EventTimes:
    """Times of one time column.

    Attributes:
        us: int64[N] µs since the epoch, rounded down; 0 where null.
        valid: bool[N].
        order: int64[N], rank in order of time (to the source's full precision), ties in input order.
    """

    us: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]
    order: npt.NDArray[np.int64]


def column_types(view: FeatureView) -> dict[str, ColumnType]:
    """The value columns that a view's features read, each with the type that its use gives it.

    Raises:
        EventColumnError: two features use one column as two types.
    """
    types: dict[str, ColumnType] = {}

    def use(column: str, used_as: ColumnType) -> None:
        known = types.get(column, "any")
        if "any" not in (known, used_as) and known != used_as:
            raise EventColumnError(column, f"view {view.name!r} uses it both as {known} and as {used_as}")
        types[column] = used_as if known == "any" else known

    for feature in view.features:
        if isinstance(feature, Mean | Histogram):
            use(feature.column, "number")
        elif isinstance(feature, Rate):
            for column, used_as in parse(feature.where).columns:
                use(column, used_as)
    return types


def read_events(
    path: Path, views: Iterable[FeatureView], client_column: str, time_column: str, site_column: str | None
) -> pa.Table:
    """Read the columns that the views need from a `.parquet` or `.csv` file.

    Raises:
        EventsError: no such file, another format, unreadable, empty, or without a needed column.
    """
    if not path.is_file():
        raise EventsError(f"no event file {path}")
    needed = _needed(views, client_column, time_column, site_column)
    if path.suffix.lower() == ".parquet":
        table = _read_parquet(path, list(needed))
    elif path.suffix.lower() == ".csv":
        table = _read_csv(path, needed)
    else:
        raise EventsError(
            f"{path}: events are read from .parquet or .csv, not {path.suffix or 'a file without suffix'!r}"
        )
    if table.num_rows == 0:
        raise EventsError(f"{path} holds no events")
    return table


def make_events(table: pa.Table, client_column: str, time_column: str, site_column: str | None = None) -> Events:
    """Number the client identities of a table of events.

    Raises:
        EventsError: the table lacks a column. EventColumnError: ids that are neither text nor whole numbers.
    """
    for column in (client_column, time_column, *([site_column] if site_column else [])):
        require_column(table, column)
    client, identities = _dense(table, client_column)
    if site_column is not None:
        site, sites = _dense(table, site_column)
        both = np.where((client < 0) | (site < 0), -1, site * max(len(identities), 1) + client)
        distinct, inverse = np.unique(both, return_inverse=True)
        has_null = len(distinct) > 0 and distinct[0] < 0
        client, distinct = inverse - has_null, distinct[int(has_null) :]
        parts = [
            sites.take(pa.array(distinct // len(identities))),
            identities.take(pa.array(distinct % len(identities))),
        ]
        identities = pa.StructArray.from_arrays(parts, ["site", "client"])
    return Events(table, client.astype(np.int32), identities, time_column)


def event_times(table: pa.Table, column: str) -> EventTimes:
    """The times of a column: timestamps of any unit and zone (naive is UTC), dates, or ISO 8601 text.

    Raises:
        EventColumnError: another type, or text that is no time (names the first).
    """
    require_column(table, column)
    values = _plain(table.column(column))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = _parse_times(values, column)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms")).cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(values.type):
        raise EventColumnError(column, f"times must be timestamps, dates or ISO 8601 text, not {values.type}")
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    raw = pc.fill_null(values.cast(pa.int64()), 0).to_numpy()
    order = np.empty(len(raw), dtype=np.int64)
    order[np.argsort(raw, kind="stable")] = np.arange(len(raw))
    factor = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(values.type.unit)
    if factor is not None and len(raw) and np.abs(raw).max() > (2**63 - 1) // factor:
        raise EventColumnError(column, "a time is too far away for microseconds in 64 bits")
    return EventTimes(raw // 1_000 if factor is None else raw * factor, valid, order)


def require_column(table: pa.Table, column: str) -> None:
    """EventsError if the table has no such column, or has it twice."""
    found = table.column_names.count(column)
    if found != 1:
        what = "no column" if found == 0 else f"{found} columns named"
        raise EventsError(f"the events have {what} {column!r}; they have: {', '.join(table.column_names)}")


def typed_column(table: pa.Table, column: str, used_as: ColumnType) -> pa.Array:
    """A value column as its use needs it: numbers as float64 with NaN turned into NULL, text as string, booleans.

    Raises:
        EventColumnError: the column's type does not allow this use.
    """
    require_column(table, column)
    values = _plain(table.column(column))
    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    fits = {"number": is_number, "text": is_text, "boolean": pa.types.is_boolean(kind), "any": True}[used_as]
    if pa.types.is_null(kind):
        return pa.nulls(len(values), {"number": pa.float64(), "text": pa.string()}.get(used_as, pa.bool_()))
    if not fits:
        raise EventColumnError(column, f"the views use it as {used_as}, the events hold {kind}")
    if used_as == "any":
        is_nan = pc.is_nan(values) if pa.types.is_floating(kind) else None
        known = (
            values.is_valid() if is_nan is None else pc.and_(values.is_valid(), pc.invert(pc.fill_null(is_nan, False)))
        )
        return pc.if_else(known, pa.scalar(True), pa.scalar(None, pa.bool_()))
    if used_as == "number":
        numbers = values.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return values.cast(pa.string()) if used_as == "text" else values


def _needed(
    views: Iterable[FeatureView], client_column: str, time_column: str, site_column: str | None
) -> dict[str, pa.DataType | None]:
    """Every column to read, with the type that a CSV reader is told (None: let it infer)."""
    needed: dict[str, pa.DataType | None] = {client_column: pa.string()}
    if site_column is not None:
        needed[site_column] = pa.string()
    for view in views:
        wanted: dict[str, pa.DataType] = {}
        if not view.entity.constant:
            for column, key_type in zip(view.entity.columns, view.entity.types, strict=True):
                wanted[column] = _CSV_TYPES.get(key_type, pa.string())
        for column, used_as in column_types(view).items():
            wanted.setdefault(column, _CSV_TYPES.get(used_as, pa.string()))
        wanted[view.time or time_column] = pa.string()
        for column, kind in wanted.items():
            needed[column] = kind if needed.get(column, kind) == kind else pa.string()
    needed.setdefault(time_column, pa.string())
    return needed


def _read_parquet(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _require_columns(path, columns, names)
            return file.read(columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise EventsError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _read_csv(path: Path, needed: dict[str, pa.DataType | None]) -> pa.Table:
    import pyarrow.csv as csv

    if path.stat().st_size == 0:
        raise EventsError(f"{path} holds no events")
    try:
        with csv.open_csv(path, read_options=csv.ReadOptions(block_size=1 << 20)) as reader:
            _require_columns(path, list(needed), reader.schema.names)
        convert = csv.ConvertOptions(
            include_columns=list(needed), column_types={name: kind for name, kind in needed.items() if kind is not None}
        )
        table = csv.read_csv(path, convert_options=convert, parse_options=csv.ParseOptions(newlines_in_values=True))
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise EventsError(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}") from None
    for index, name in enumerate(table.column_names):  # an empty CSV field is missing, not an empty text
        if pa.types.is_string(table.schema.field(name).type):
            column = table.column(name)
            table = table.set_column(
                index, name, pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            )
    return table


def _require_columns(path: Path, wanted: list[str], names: list[str]) -> None:
    for column in wanted:
        if names.count(column) != 1:
            what = "no column" if column not in names else "several columns named"
            raise EventsError(f"{path} has {what} {column!r}; it has: {', '.join(names)}")


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One contiguous array, dictionaries decoded."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)


def _dense(table: pa.Table, column: str) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Dense index of a column of ids, −1 for null, and the distinct ids."""
    values = _plain(table.column(column))
    kind = values.type
    if not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_binary(kind)
    ):
        if not pa.types.is_null(kind):
            raise EventColumnError(column, f"ids must be text or whole numbers, not {kind}")
        return np.full(len(values), -1, dtype=np.int64), values.slice(0, 0)
    encoded = values.dictionary_encode()
    return pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(), encoded.dictionary


def _parse_times(values: pa.Array, column: str) -> pa.Array:
    """ISO 8601 text to UTC timestamps; a zone in the text is honoured, none means UTC."""
    with locked_duckdb() as db:
        db.register("texts", pa.table({"text": values, "row": pa.array(np.arange(len(values)))}))
        parsed = db.sql(
            "SELECT text, row, epoch_us(TRY_CAST(text AS TIMESTAMPTZ)) AS us FROM texts ORDER BY row"
        ).to_arrow_table()
        bad = db.sql(
            "SELECT text, row, count(*) OVER () AS bad FROM texts "
            "WHERE text IS NOT NULL AND TRY_CAST(text AS TIMESTAMPTZ) IS NULL ORDER BY row LIMIT 1"
        ).to_arrow_table()
    if bad.num_rows:
        first = bad.to_pylist()[0]
        raise EventColumnError(
            column,
            f"{first['bad']:,} value(s) are no time; the first is {first['text'][:60]!r} in row {first['row'] + 1:,}",
        )
    return _plain(parsed.column("us")).cast(pa.timestamp("us", "UTC"))
