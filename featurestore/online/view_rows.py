"""The newest rows of a view for every read path: a header that describes a row, and the rows of some keys.

    numbers  float64: values ‖ n ‖ coverage ‖ se, as in a packed row; null is NaN
    status   uint8: one `Status` a served feature

The rows come from a mapped block (`featurestore.online.blocks`), or from the online store if the view is too large for a
block (`StoredView`). The header describes them completely, so a reader needs neither registry nor definition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from base.plain import is_text
from featurestore.define.entities import KeyType, KeyValue
from featurestore.define.interval import Interval
from featurestore.define.keys import encode_key
from featurestore.define.records import RegisteredView
from featurestore.define.release import CountedSites
from featurestore.define.values import interval_of, served_features
from featurestore.define.wire import definition_hash
from featurestore.errors import BadReference, StoreCorrupt

from .interface import OnlineEpoch, OnlineMarker

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
KeyColumns: TypeAlias = Sequence[Sequence[Any]]
"""A list of values for each join key of a view, in its order, all of one length."""

FORMAT: Final = 6
_PYTHON_TYPES: Final = {
    "string": frozenset((str, NoneType)),
    "int64": frozenset((int, NoneType)),
    "bool": frozenset((bool, NoneType)),
}
_TIMES_BYTES: Final = 24


@dataclass(frozen=True)
class IntervalEnd:
    """How `__lo` or `__hi` follows from a feature's numbers.

    Attributes:
        se_at: the place of the standard error.
        of_list: whether the feature is a list.
    """

    interval: Interval
    se_at: int
    of_list: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"interval": self.interval.to_dict(), "se_at": self.se_at, "of_list": self.of_list}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError: the data are not those of an end."""
        if (type(data["se_at"]), type(data["of_list"])) != (int, bool):
            raise ValueError("a field of another type")
        return cls(Interval.from_dict(data["interval"]), data["se_at"], data["of_list"])


@dataclass(frozen=True)
class ViewColumn:
    """A column that a view serves: a feature, or a companion of one.

    Attributes:
        name: `late_7d`, `late_7d__se`, `late_7d__lo`, `late_7d__hi`, `late_7d__n`, `late_7d__status` or `coverage_7d`.
        start, width: its place in `numbers`, for `lo` and `hi` that of the feature; width 0 for `status`.
        status: index of the feature whose status it shares; None for a coverage, which every row has.
        integer: whether its numbers are whole.
        low, high: the limits of `clamp` for a value and its interval; None: no limit.
        end: how `lo` or `hi` is computed; else None.
    """

    name: str
    kind: Literal["value", "list", "se", "lo", "hi", "n", "coverage", "status"]
    start: int
    width: int
    status: int | None
    integer: bool = False
    low: float | None = None
    high: float | None = None
    end: IntervalEnd | None = None

    @property
    def is_list(self) -> bool:
        """Whether a row has a list of its numbers."""
        return self.kind == "list" or (self.end is not None and self.end.of_list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self) | {"end": None if self.end is None else self.end.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError: the data are not those of a column."""
        end = data["end"]
        return cls(**{**data, "end": None if end is None else IntervalEnd.from_dict(end)})


@dataclass(frozen=True)
class ViewHeader:
    """The description of a view's newest rows.

    Attributes:
        view_id: the view's number in the online store.
        seq: the publication that wrote them; 0 before the first one.
        pane_end, released_at: µs, the same for all rows; None while there are none.
        constant: the key of a constant entity, which requests may leave out; None: the entity is not constant.
        size: the number of keys.
        stored: whether the rows are only in the online store, because a block would be too large.
        sites: the sites that are counted in the newest pane; None while there is none, or if no aggregator counted sites.
    """

    view: str
    version: int
    view_id: int
    definition_hash: str
    seq: int
    pane_end: int | None
    released_at: int | None
    ttl_us: int | None
    constant: tuple[KeyValue, ...] | None
    keys: tuple[str, ...]
    key_types: tuple[KeyType, ...]
    columns: tuple[ViewColumn, ...]
    size: int
    stored: bool
    sites: CountedSites | None

    @classmethod
    def of(
        cls, registered: RegisteredView, marker: OnlineMarker | None, sites: CountedSites | None, *, stored: bool
    ) -> Self:
        """The header of a view's rows after a publication (None: before the first one)."""
        view, rows = registered.view, None if marker is None else marker.rows
        return cls(
            view.name,
            registered.version,
            registered.view_id,
            definition_hash(view).hex(),
            0 if marker is None else marker.seq,
            None if rows is None else rows.pane_end,
            None if rows is None else rows.released_at,
            view.ttl_us,
            view.entity.domain[0] if view.entity.constant else None,
            view.entity.keys,
            view.entity.types,
            _columns(registered),
            len(view.entity.domain),
            stored,
            sites,
        )

    def to_json(self) -> bytes:
        """JSON, for the metadata of a block."""
        columns = [column.to_dict() for column in self.columns]
        return json.dumps({"format": FORMAT, **asdict(self), "columns": columns}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The inverse of `to_json`. Raises ValueError, KeyError or TypeError: the text is not of this format."""
        data: dict[str, Any] = json.loads(text)
        if data.pop("format") != FORMAT:
            raise ValueError("rows of another format")
        data["keys"], data["key_types"] = tuple(data["keys"]), tuple(data["key_types"])
        data["constant"] = None if data["constant"] is None else tuple(data["constant"])
        data["columns"] = tuple(map(ViewColumn.from_dict, data["columns"]))
        data["sites"] = None if data["sites"] is None else CountedSites.from_dict(data["sites"])
        header = cls(**data)
        header._require_types()
        return header

    def _require_types(self) -> None:
        """Raise ValueError unless all fields have their types; some of them become text of a generated program."""
        numbers = (self.version, self.view_id, self.seq, self.size)
        perhaps = (self.pane_end, self.released_at, self.ttl_us)
        names = (self.view, self.definition_hash, *self.keys, *(column.name for column in self.columns))
        if (
            {*map(type, numbers)} != {int}
            or not {*map(type, perhaps)} <= {int, NoneType}
            or {*map(type, names)} != {str}
        ):
            raise ValueError("a field of another type")
        if not self.view.isidentifier() or not {*self.key_types} <= _PYTHON_TYPES.keys():
            raise ValueError("the name of a view or the type of a key is invalid")

    @property
    def name(self) -> str:
        """`view@v<n>`."""
        return f"{self.view}@v{self.version}"

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return sum(column.width for column in self.columns if column.end is None)

    @property
    def features(self) -> int:
        """How many statuses a row has."""
        return sum(column.kind == "status" for column in self.columns)

    @property
    def has_rows(self) -> bool:
        """Whether there is a row of every key."""
        return self.pane_end is not None

    def by_name(self) -> Mapping[str, ViewColumn]:
        """The columns by their names."""
        return MappingProxyType({one.name: one for one in self.columns})

    def expired(self, now_us: int) -> bool:
        """Whether the rows are older than the view's ttl."""
        return self.ttl_us is not None and self.pane_end is not None and now_us - self.pane_end > self.ttl_us

    def key_columns(self, entities: Mapping[str, Sequence[Any]], count: int) -> KeyColumns:
        """The columns of this view's join keys, each `count` long; those of a constant entity may be missing.

        Raises:
            BadReference: a join key is missing, or one has another type.
        """
        columns: list[Sequence[Any]] = []
        for name, kind in zip(self.keys, self.key_types, strict=True):
            column = entities.get(name)
            if column is None:
                if self.constant is not None:
                    return [[part] * count for part in self.constant]
                raise self._missing(entities)
            if not _PYTHON_TYPES[kind].issuperset(map(type, column)):
                found = ", ".join(sorted(one.__name__ for one in set(map(type, column)) - _PYTHON_TYPES[kind]))
                raise BadReference(f"join key {name!r} is {kind}, but the request holds {found}")
            columns.append(column)
        return columns

    def _missing(self, entities: Mapping[str, Sequence[Any]]) -> BadReference:
        missing = ", ".join(name for name in self.keys if name not in entities)
        given = ", ".join(name[:80] for name in list(entities)[:20]) or "none"
        return BadReference(f"view {self.view!r} needs the join key(s) {missing}; given: {given}")


def _columns(registered: RegisteredView) -> tuple[ViewColumn, ...]:
    """Features with their companions in the order of `history`, then coverages. Places are those of a packed row."""
    view, served = registered.view, served_features(registered.view)
    value_at = 0
    n_at = sum(one.width for one in served)
    coverage_at = n_at + sum(one.has_n for one in served)
    se_at = coverage_at + len(view.trailing)
    columns: list[ViewColumn] = []
    for i, one in enumerate(served):
        kind: Literal["value", "list"] = "list" if one.is_list else "value"
        columns.append(ViewColumn(one.name, kind, value_at, one.width, i, one.is_whole, *one.serving.clamp))
        columns.append(ViewColumn(f"{one.name}__se", "se", se_at + i, 1, i))
        end = IntervalEnd(interval_of(view, one), se_at + i, one.is_list)
        sides: tuple[Literal["lo"], Literal["hi"]] = ("lo", "hi")
        columns += [
            ViewColumn(f"{one.name}__{side}", side, value_at, one.width, i, False, *one.serving.clamp, end)
            for side in sides
        ]
        if one.has_n:
            columns.append(ViewColumn(f"{one.name}__n", "n", n_at, 1, i, True, 0.0))
            n_at += 1
        columns.append(ViewColumn(f"{one.name}__status", "status", 0, 0, i))
        value_at += one.width
    columns += [
        ViewColumn(f"coverage_{window.name}", "coverage", coverage_at + i, 1, None)
        for i, window in enumerate(view.trailing)
    ]
    return tuple(columns)


class Rows(NamedTuple):
    """The rows of some keys: key i has row `place[i]` of `numbers` and `status`.

    Attributes:
        numbers: float64[M, W]; status: uint8[M, F]. The last row, place −1, stands for a key without a row: NaN and
            NOT_FOUND.
        place: int64[N]; −1 for null, and for a missing key.
    """

    header: ViewHeader
    numbers: Floats
    status: Bytes
    place: Ints


class ViewRows(Protocol):
    """The newest rows of one view, in one epoch."""

    @property
    def header(self) -> ViewHeader:
        """The description of the rows."""
        ...

    @property
    def columns(self) -> Mapping[str, ViewColumn]:
        """The served columns, by name."""
        ...

    @property
    def blocking(self) -> bool:
        """Whether `rows` waits for a disk or a network."""
        ...

    def rows(self, entities: Mapping[str, Sequence[Any]], count: int) -> Rows:
        """The rows of `count` keys.

        Args:
            entities: columns of join keys, each `count` long; those of a constant entity may be missing.

        Raises:
            BadReference: a join key is missing, or one has another type.
        """
        ...


@dataclass(frozen=True, eq=False)
class Block:
    """Rows in memory, of a mapped file.

    Attributes:
        numbers: float64[K + 1, W], shared pages of the file, read-only.
        status: uint8[K + 1, F], likewise.
        index: key (a tuple for a composite one) → row.
    """

    header: ViewHeader
    numbers: Floats
    status: Bytes
    index: Mapping[Any, int]
    columns: Mapping[str, ViewColumn]
    blocking: bool = False

    def rows(self, entities: Mapping[str, Sequence[Any]], count: int) -> Rows:
        """See `ViewRows`."""
        columns = self.header.key_columns(entities, count)
        wanted: Iterable[Any] = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        place = np.fromiter(map(self.index.get, wanted, repeat(-1)), np.int64, count)
        return Rows(self.header, self.numbers, self.status, place)


@dataclass(frozen=True, eq=False)
class StoredView:
    """The rows of a view too large for a block; each request reads them from the online store.

    Attributes:
        missing_numbers: float64[1, W], the row of a missing key; missing_status: uint8[1, F].
        online: holds the header's publication.
    """

    header: ViewHeader
    missing_numbers: Floats
    missing_status: Bytes
    online: OnlineEpoch
    columns: Mapping[str, ViewColumn]
    blocking: bool = True

    def rows(self, entities: Mapping[str, Sequence[Any]], count: int) -> Rows:
        """See `ViewRows`. Raises StoreCorrupt: a row has the wrong length."""
        header = self.header
        columns = header.key_columns(entities, count)
        if not header.has_rows:
            return Rows(header, self.missing_numbers, self.missing_status, np.full(count, -1, dtype=np.int64))
        place, wanted = _distinct(columns, count)
        stored = self.online.get(header.view_id, header.seq, [encode_key(key) for key in wanted])
        there = np.fromiter((row is not None for row in stored), bool, len(stored))
        numbers, status = self._unpacked([row for row in stored if row is not None])
        at = np.where(there, np.cumsum(there) - 1, -1)
        place = np.where(place >= 0, at[place] if len(at) else -1, -1)
        return Rows(header, numbers, status, place)

    def _unpacked(self, rows: Sequence[bytes]) -> tuple[Floats, Bytes]:
        """The numbers and statuses of packed rows; the last ones are those of a missing key."""
        header = self.header
        width, features = 8 * header.width, header.features
        size = width + features + _TIMES_BYTES
        data = b"".join(rows)
        if len(data) != len(rows) * size:
            raise StoreCorrupt(f"online rows of view {header.view!r} have another length than its definition requires")
        packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
        numbers = np.ascontiguousarray(packed[:, :width]).view("<f8").astype(np.float64, copy=False)
        unpacked = np.concatenate((numbers.reshape(-1, header.width), self.missing_numbers))
        status = np.concatenate((packed[:, width : width + features], self.missing_status))
        for array in (unpacked, status):  # read-only, like those of a block
            array.setflags(write=False)
        return unpacked, status


def _distinct(columns: KeyColumns, count: int) -> tuple[Ints, list[tuple[Any, ...]]]:
    """The distinct keys, and int64[count]: each key's place among them; −1 if no row can have the key."""
    places: dict[tuple[Any, ...], int] = {}
    place = np.fromiter(
        (places.setdefault(key, len(places)) if _can_be(key) else -1 for key in zip(*columns, strict=True)),
        np.int64,
        count,
    )
    return place, list(places)


def _can_be(key: tuple[Any, ...]) -> bool:
    """Whether a row can have this key: no part is null, an integer beyond int64, or a text that is not valid Unicode."""
    return all(map(_part_can_be, key))


def _part_can_be(part: Any) -> bool:
    if type(part) is int:
        return -(2**63) <= part < 2**63
    return part is not None and (type(part) is not str or part.isascii() or is_text(part))
