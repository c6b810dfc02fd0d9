"""Reads of whole tables for remote stores, by name and JSON arguments, as the bytes of an Arrow IPC stream.

name      arguments                                  takes     gives
views     –                                          –         name, definition (featurestore.define.wire)
view      view                                       –         as views; see `Store.view`
services  –                                          –         name, refs
key_types features                                   –         name, type
get       features, clamp, full_names                keys      see `Store.get`
history   view, start, end (µs; null: open),         –         see `Store.history`
          intervals
releases  view                                       –         see `Store.releases`
published view, after                                –         see `Store.published`
clocks    features                                   –         view, live, replay; see `Store.clocks`
join      features, time, full_names, intervals,     labels    see `Store.join`
          clock
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final

import pyarrow as pa

from base.plain import is_text
from base.times import from_us
from featurestore.define.definitions import FeatureView
from featurestore.define.release import Clock
from featurestore.define.wire import view_to_bytes
from featurestore.errors import BadReference, BadRequest, RequestTooLarge
from featurestore.offline.parquet import CLOCKS
from featurestore.read.arrow_stream import ipc_bytes, published_table
from featurestore.read.frame_check import require_plain
from featurestore.store import Store

NAMES: Final = ("views", "view", "services", "key_types", "get", "history", "releases", "published", "clocks", "join")
TAKES_TABLE: Final = frozenset({"get", "join"})
"""The reads that take an Arrow IPC stream."""
MAX_ARGUMENTS: Final = 2**20
MAX_KEYS: Final = 1_000_000
"""The most rows of a `get`, which holds all of them in memory; a join has no limit."""


class Arguments:
    """The arguments of a read. Each is taken out of it by its type.

    Args:
        text: a JSON object.

    Raises:
        BadRequest: the text is not a JSON object.
    """

    def __init__(self, text: str | bytes) -> None:
        if len(text) > MAX_ARGUMENTS:
            raise BadRequest(f"arguments of more than {MAX_ARGUMENTS:,} bytes")
        try:
            data = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the arguments are not JSON: {error}") from None
        if not isinstance(data, dict):
            raise BadRequest("the arguments must be a JSON object")
        self._left: dict[str, Any] = data

    def text(self, name: str) -> str:
        """A required text."""
        value = self._left.pop(name, None)
        if not isinstance(value, str) or not is_text(value):
            raise BadRequest(f"argument {name!r} must be a text")
        return value

    def texts(self, name: str) -> list[str]:
        """A required list of texts."""
        value = self._left.pop(name, None)
        if not isinstance(value, list) or not all(map(is_text, value)):
            raise BadRequest(f"argument {name!r} must be a list of texts")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise BadRequest(f"argument {name!r} must be true or false")
        return value

    def whole(self, name: str) -> int | None:
        """An optional whole number within int64."""
        value = self._left.pop(name, None)
        if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
            raise BadRequest(f"argument {name!r} must be a whole number")
        return value

    def clock(self, name: str) -> Clock | None:
        """An optional clock of releases."""
        value = self._left.pop(name, None)
        clock: Clock | None = next((one for one in CLOCKS if one == value), None)
        if value is not None and clock is None:
            raise BadRequest(f"argument {name!r} must be {' or '.join(CLOCKS)}")
        return clock

    def end(self) -> None:
        """Raise BadRequest if an unknown argument remains."""
        if self._left:
            raise BadRequest(f"unknown argument {next(iter(self._left))[:80]!r}")


def read_table(
    store: Store,
    name: str,
    arguments: Arguments,
    data: IO[bytes] | None,
    charge: Callable[[int], None] = lambda _: None,
) -> Iterator[bytes]:
    """Answer one read. Errors are raised before the first byte, except those of a join's later batches.

    Args:
        data: the table that the read takes; None: the client sent none.
        charge: receives the rows of that table, batch by batch before they are read, and the rows of a history.

    Raises:
        BadRequest: the read is unknown, its arguments are invalid, or the table is not an Arrow stream. RequestTooLarge:
            over `MAX_KEYS` rows. Other errors: see the `Store`'s method.
    """
    if name not in NAMES:
        raise BadRequest(f"no read {name[:80]!r}; there are: {', '.join(NAMES)}")
    if (name in TAKES_TABLE) != (data is not None):
        raise BadRequest(f"{name} takes {'an' if name in TAKES_TABLE else 'no'} Arrow IPC stream")
    table = _read(store, name, arguments, data, charge)
    if name == "history":
        charge(table.num_rows)
    return ipc_bytes(table.schema, table.to_batches() if isinstance(table, pa.Table) else table)


def _read(
    store: Store, name: str, given: Arguments, data: IO[bytes] | None, charge: Callable[[int], None]
) -> pa.Table | pa.RecordBatchReader:
    match name:
        case "views":
            given.end()
            return _views(store.views())
        case "view":
            view = given.text("view")
            given.end()
            return _views([store.view(view)])
        case "services":
            given.end()
            services = store.services()
            refs = pa.array([list(one.refs) for one in services], pa.list_(pa.string()))
            return pa.table({"name": pa.array([one.name for one in services], pa.string()), "refs": refs})
        case "key_types":
            features = given.texts("features")
            given.end()
            types = store.key_types(features)
            return pa.table({"name": pa.array(types, pa.string()), "type": pa.array(types.values(), pa.string())})
        case "get":
            features, clamp, full_names = given.texts("features"), given.flag("clamp"), given.flag("full_names")
            given.end()
            keys = _sound(_opened(data), charge, MAX_KEYS).read_all()
            return store.get(features, keys if keys.num_columns else None, clamp=clamp, full_names=full_names)
        case "history":
            view, start, end = given.text("view"), given.whole("start"), given.whole("end")
            intervals = given.flag("intervals", default=True)
            given.end()
            return store.history(view, _moment(start), _moment(end), intervals=intervals)
        case "releases":
            view = given.text("view")
            given.end()
            return store.releases(view)
        case "published":
            view, after = given.text("view"), given.whole("after")
            given.end()
            return published_table(store.published(view, after or 0))
        case "clocks":
            features = given.texts("features")
            given.end()
            return _clocks(store.clocks(features))
        case _:
            features, time, full_names = given.texts("features"), given.text("time"), given.flag("full_names")
            intervals, clock = given.flag("intervals", default=True), given.clock("clock")
            given.end()
            labels = _sound(_opened(data), charge)
            return store.join(labels, features, time, full_names=full_names, intervals=intervals, clock=clock)


def _clocks(counts: dict[str, dict[Clock, int]]) -> pa.Table:
    each = {name: pa.array([one[name] for one in counts.values()], pa.int64()) for name in CLOCKS}
    return pa.table({"view": pa.array(counts, pa.string())} | each)


def _views(views: Sequence[FeatureView]) -> pa.Table:
    return pa.table(
        {
            "name": pa.array([view.name for view in views], pa.string()),
            "definition": pa.array([view_to_bytes(view) for view in views], pa.binary()),
        }
    )


def _opened(data: IO[bytes] | None) -> pa.RecordBatchReader:
    assert data is not None  # `read_table` has looked
    require_plain(data)
    try:
        reader = pa.ipc.open_stream(data)
        _ = reader.schema.names, str(reader.schema)  # text, or ValueError
        return reader
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadRequest(f"the table is not an Arrow IPC stream: {str(error).splitlines()[0]}") from None


def _sound(
    reader: pa.RecordBatchReader, charge: Callable[[int], None], most: int | None = None
) -> pa.RecordBatchReader:
    """The same batches, each validated before it is read, because a foreign stream may be inconsistent.

    Args:
        charge: receives the rows of each batch.
        most: the most rows; RequestTooLarge is raised while reading. None: no limit.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            for batch in reader:
                rows += batch.num_rows
                if most is not None and rows > most:
                    raise RequestTooLarge(f"over {most:,} rows; send them in parts, or join")
                charge(batch.num_rows)
                batch.validate(full=True)
                yield batch
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise BadRequest(f"the table cannot be read: {str(error).splitlines()[0]}") from None

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _moment(us: int | None) -> Any:
    try:
        return None if us is None else from_us(us)
    except OverflowError:
        raise BadReference("a time is outside the years 1 to 9999") from None
