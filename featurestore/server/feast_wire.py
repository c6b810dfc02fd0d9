"""Feast's answer to `/get-online-features` as bytes: columnar, join keys first, then features in the requested order.

Numbers go from the mapped block to JSON in one call a column (`orjson` writes whole floats as `1.0` and NaN as null).
Statuses and timestamps repeat, so they are made once for each (token, number of rows) and cached. A plan holds what follows
from the references alone; it is made once a snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from base.times import from_us
from featurestore.define.decoded import Status, n_is_there, value_is_there
from featurestore.define.on_demand import OnDemand, OnDemandView
from featurestore.errors import BadReference, RequestTooLarge
from featurestore.online.blocks import Snapshot
from featurestore.online.view_rows import ViewColumn, ViewRows
from featurestore.read.answer import AnswerTable, key_table, key_types
from featurestore.read.arrow_stream import BatchWriter
from featurestore.read.gather import gather_columns
from featurestore.read.request import Reading, RequestedRows, find_columns, views_of

from .plans import Plans
from .request import OnlineRequest

MAX_NUMBERS: Final = 1_000_000
"""The most numbers of an answer (rows × widths of the columns): about 30 MB of JSON."""
_CACHED_ROWS: Final = 1_000
"""Repeated tokens are cached up to this many rows: at most 1,024 × 23 KB."""
_EPOCH: Final = b'"1970-01-01T00:00:00Z"'
_PRESENT: Final = b'"PRESENT"'

_EVERY: Final = np.array(Status, dtype=np.uint8)
_NULLS: Final = {status: f'"{status.name}"'.encode() for status in (Status.OUTSIDE_MAX_AGE, Status.NOT_FOUND)}


def _words(is_there: npt.NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Feast's word for each status, for rows with and without a number."""
    return tuple(
        _PRESENT if there else _NULLS.get(status, b'"NULL_VALUE"')
        for status, there in zip(Status, is_there.tolist(), strict=True)
    )


_VALUE_TOKENS: Final = _words(value_is_there(_EVERY))
_N_TOKENS: Final = _words(n_is_there(_EVERY))
_COVERAGE_TOKENS: Final = _words(~np.isin(_EVERY, list(_NULLS)))
_STATUS_TOKENS: Final = (_PRESENT,) * len(Status)
_TOKENS: Final = {
    "value": _VALUE_TOKENS,
    "list": _VALUE_TOKENS,
    "se": _VALUE_TOKENS,
    "lo": _VALUE_TOKENS,
    "hi": _VALUE_TOKENS,
    "n": _N_TOKENS,
    "coverage": _COVERAGE_TOKENS,
    "status": _STATUS_TOKENS,
}
_STATUS_NAMES: Final = tuple(f'"{status.name}"'.encode() for status in Status)

Codes = npt.NDArray[np.uint8]
_Result: TypeAlias = tuple[bytes, bytes]
"""The array of a result's values, and the rest of the result."""


class AnswerPlan:
    """The reads of some references in one snapshot, and how their results are written.

    Attributes:
        requested: the columns, in the order of the answer.
        names: the names of the columns.
        views: all views that are read, directly or through an on-demand view.
        numbers: how many numbers a row of the answer has.
        key_types: the join keys of the views that are read directly.
        batches: writes the answers as Arrow.
    """

    def __init__(
        self, refs: Sequence[str], snapshot: Snapshot, on_demand: OnDemand, *, full_names: bool, given: Sequence[str]
    ) -> None:
        self.requested = find_columns(refs, snapshot, on_demand, full_names=full_names, given=given, companions=True)
        self.names = frozenset(one.name for one in self.requested)
        self.views = views_of(self.requested, snapshot)
        self.numbers = sum(max(1, one.column.width) for one in self.requested)
        parts: dict[int, _Part] = {}
        for at, one in enumerate(self.requested):
            if not isinstance(one.source, OnDemandView):
                parts.setdefault(id(one.source), _Part(one.source)).add(at, one.column)
        self.key_types = key_types(part.view for part in parts.values())
        self.batches = BatchWriter()
        self._part_of = [parts.get(id(one.source)) for one in self.requested]
        self._names = orjson.dumps([one.name for one in self.requested])[1:]
        versions = [{"name": part.view.header.view, "version": part.view.header.version} for part in parts.values()]
        self._versions = b',"feature_view_metadata":' + orjson.dumps(versions)

    @cached_property
    def table(self) -> AnswerTable:
        """The answer as an Arrow table."""
        return AnswerTable(self.requested)

    def metadata(self, request: OnlineRequest) -> bytes:
        """The object that names the columns."""
        given = b"".join([orjson.dumps(name) + b"," for name in request.entities])
        versions = self._versions if request.versions else b""
        return b'{"feature_names":[' + given + self._names + versions + b"}"

    def results(self, reading: Reading) -> list[_Result]:
        """The result of each column. Raises BadReference, OnDemandFailed."""
        results: dict[int, _Result] = {}
        for at, part in enumerate(self._part_of):
            if part is None:
                results[at] = _computed(*reading.values(self.requested[at]))
            elif at not in results:
                part.fill(reading.rows(part.view), results)
        return [results[at] for at in range(len(self.requested))]


class AnswerPlans:
    """The plans of requests, each made once while its snapshot is the newest."""

    def __init__(self, on_demand: OnDemand) -> None:
        self._on_demand = on_demand
        self._plans: Plans[tuple[tuple[str, ...], bool], AnswerPlan] = Plans()

    def find(self, request: OnlineRequest, snapshot: Snapshot) -> AnswerPlan:
        """The plan of a request.

        Raises:
            BadReference, UnknownView, UnknownFeature, UnknownFeatureService, NameCollision, RequestTooLarge.
        """
        refs = request.features if request.service is None else snapshot.service(request.service)

        def make() -> AnswerPlan:
            given = list(request.entities)
            return AnswerPlan(refs, snapshot, self._on_demand, full_names=request.full_names, given=given)

        plan = self._plans.find(snapshot, (refs, request.full_names), make)
        if not plan.names.isdisjoint(request.entities):
            make()  # raises the error that names the repeated column
        numbers = request.rows * plan.numbers
        if numbers > MAX_NUMBERS:
            raise RequestTooLarge(f"{numbers:,} numbers; at most {MAX_NUMBERS:,} in one request: request fewer rows")
        return plan


def render(request: OnlineRequest, plan: AnswerPlan, reading: Reading) -> bytes:
    """The body of the answer.

    Raises:
        BadReference: a missing or wrongly typed join key or input. OnDemandFailed.
    """
    pieces = [b'{"metadata":', plan.metadata(request)]
    opened = b',"results":[{"values":'
    for result in [*map(_join_key, request.entities.values()), *plan.results(reading)]:
        pieces += (opened, *result)
        opened = b'},{"values":'
    return b"".join([*pieces, b"}]}"])


def render_arrow(request: OnlineRequest, plan: AnswerPlan, reading: Reading) -> bytes:
    """The answer as an Arrow IPC stream: the table of `Store.get`. Raises as `render`."""
    for one in plan.requested:
        if one.column.kind not in ("value", "list"):
            raise BadReference(f"{one.column.name!r} comes with its feature; request only the feature")
    given = key_table(request.entities, plan.key_types)
    keys = {name: column.combine_chunks() for name, column in zip(given.column_names, given.columns, strict=True)}
    return plan.batches.write(plan.table.columns(keys, reading, clamp=False))


class _Part:
    """The columns of one view, by their places in the answer."""

    def __init__(self, view: ViewRows) -> None:
        self.view = view
        end = view.header.pane_end
        self._moment = _EPOCH if end is None else f'"{from_us(end):%Y-%m-%dT%H:%M:%SZ}"'.encode()
        self._columns: list[tuple[int, ViewColumn]] = []
        self._scalars: list[tuple[int, ViewColumn]] = []
        self._starts = np.empty(0, np.int64)

    def add(self, at: int, column: ViewColumn) -> None:
        """Add a column. Stored columns of one number a row are written together."""
        if column.kind in ("list", "lo", "hi", "status"):
            self._columns.append((at, column))
        else:
            self._scalars.append((at, column))
            self._starts = np.append(self._starts, column.start)

    def fill(self, found: RequestedRows, results: dict[int, _Result]) -> None:
        """Write the results of these columns into their places."""
        count, all_there = len(found.codes), bool(value_is_there(found.codes).all())
        times = _times(found, self._moment, count, all_there)
        every = _rest(_repeated(_PRESENT, count), times)

        def rest(column: ViewColumn) -> bytes:
            return every if all_there else _rest(_tokens(found.status(column), _TOKENS[column.kind]), times)

        if self._scalars:
            for (at, column), numbers in zip(self._scalars, self._numbers(found, count), strict=True):
                results[at] = (numbers, rest(column))
        for at, column in self._columns:
            results[at] = (_values(found, column), rest(column))

    def _numbers(self, found: RequestedRows, count: int) -> list[bytes]:
        """The arrays of the scalar columns."""
        if found.expired:
            return [_repeated(b"null", count)] * len(self._scalars)
        numbers = np.empty((len(self._scalars), count))
        gather_columns(found.rows.place, found.rows.numbers, self._starts, numbers)
        return [orjson.dumps(one, option=orjson.OPT_SERIALIZE_NUMPY) for one in numbers]


def _values(found: RequestedRows, column: ViewColumn) -> bytes:
    """The array of the values of a list, an end of an interval, or a status."""
    codes = found.status(column)
    if column.kind == "status":
        return _tokens(codes, _STATUS_NAMES)
    if found.expired:
        return _repeated(b"null", len(codes))
    numbers, is_there = found.numbers(column), value_is_there(codes)
    if is_there.all() or not column.is_list:  # NaN becomes null
        return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    shown = [row if there else None for row, there in zip(numbers, is_there.tolist(), strict=True)]
    return orjson.dumps(shown, option=orjson.OPT_SERIALIZE_NUMPY)


def _times(found: RequestedRows, moment: bytes, count: int, all_there: bool) -> bytes:
    """The array of the rows' event timestamps."""
    return _repeated(moment, count) if all_there else _tokens(found.has_row.astype(np.uint8), (_EPOCH, moment))


def _computed(values: npt.NDArray[np.float64], codes: Codes) -> _Result:
    """The result of an on-demand view, which has no own time."""
    statuses = _tokens(codes, _VALUE_TOKENS)
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY), _rest(statuses, _repeated(_EPOCH, len(codes)))


def _join_key(values: list[Any]) -> _Result:
    if None in values:
        statuses = b"[" + b",".join(b'"NULL_VALUE"' if value is None else _PRESENT for value in values) + b"]"
    else:
        statuses = _repeated(_PRESENT, len(values))
    return orjson.dumps(values), _rest(statuses, _repeated(_EPOCH, len(values)))


def _rest(statuses: bytes, times: bytes) -> bytes:
    """The part of a result after its values."""
    return b',"statuses":' + statuses + b',"event_timestamps":' + times


def _tokens(codes: Codes, tokens: tuple[bytes, ...]) -> bytes:
    """A JSON array of the codes' tokens."""
    if len(codes) and (codes == codes[0]).all():
        return _repeated(tokens[codes[0]], len(codes))
    return b"[" + b",".join([tokens[code] for code in codes.tolist()]) + b"]"


def _repeated(token: bytes, count: int) -> bytes:
    return _kept(token, count) if count <= _CACHED_ROWS else _repeat(token, count)


def _repeat(token: bytes, count: int) -> bytes:
    return b"[" + b",".join([token] * count) + b"]"


_kept = lru_cache(maxsize=1024)(_repeat)
