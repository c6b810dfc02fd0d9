"""Feast's answer to `/get-online-features` as bytes: columnar, join keys first, then features in the requested order.

Numbers go from the mapped block to JSON in one call a column, of few rows in one call for all columns (`orjson` writes whole
floats as `1.0` and NaN as null). Statuses and timestamps repeat, so they are made once for each (token, number of rows) and
cached. A plan holds what follows from the references alone; it is made once a snapshot.
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
from featurestore.read import part_loops
from featurestore.read.answer import AnswerTable, key_arrays, key_types
from featurestore.read.answer_stream import AnswerStream
from featurestore.read.gather import gather_columns
from featurestore.read.request import Reading, RequestedRows, find_columns, views_of

from .plans import Plans
from .prepared import same_until
from .request import OnlineRequest

MAX_NUMBERS: Final = 1_000_000
"""The most numbers of an answer (rows × widths of the columns): about 30 MB of JSON."""
_CACHED_ROWS: Final = 1_000
"""Repeated tokens are cached up to this many rows: at most 1,024 × 23 KB, and 256 × 34 KB."""
_FEW_ROWS: Final = 32
"""Up to so many rows, one call for all columns and a split are faster than a call for each column."""
_HEADS: Final = 16
"""The most heads of answers that a plan remembers: they differ in the names of the given columns."""
_OPENING: Final = b'{"values":['
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
"""The elements of a result's values; then the rest of the result, and the opening of the next one."""


class AnswerPlan:
    """The reads of some references in one snapshot, and how their results are written.

    Attributes:
        requested: the columns, in the order of the answer.
        names: the names of the columns.
        views: all views that are read, directly or through an on-demand view.
        blocking: whether a view's rows are on a disk or a network.
        numbers: how many numbers a row of the answer has.
        key_types: the join keys of the views that are read directly.
    """

    def __init__(
        self, refs: Sequence[str], snapshot: Snapshot, on_demand: OnDemand, *, full_names: bool, given: Sequence[str]
    ) -> None:
        self.requested = find_columns(refs, snapshot, on_demand, full_names=full_names, given=given, companions=True)
        self.names = frozenset(one.name for one in self.requested)
        self.views = views_of(self.requested, snapshot)
        self.blocking = any(view.blocking for view in self.views)
        self.numbers = sum(max(1, one.column.width) for one in self.requested)
        parts: dict[int, _Part] = {}
        for at, one in enumerate(self.requested):
            if not isinstance(one.source, OnDemandView):
                parts.setdefault(id(one.source), _Part(one.source)).add(at, one.column)
        self.key_types = key_types(part.view for part in parts.values())
        self._part_of = [parts.get(id(one.source)) for one in self.requested]
        self._heads: dict[tuple[tuple[str, ...], bool], bytes] = {}
        self._names = orjson.dumps([one.name for one in self.requested])[1:]
        versions = [{"name": part.view.header.view, "version": part.view.header.version} for part in parts.values()]
        self._versions = b',"feature_view_metadata":' + orjson.dumps(versions)

    @cached_property
    def arrow(self) -> AnswerStream:
        """Writes the answers as Arrow."""
        return AnswerStream(AnswerTable(self.requested, part_loops))

    def head(self, request: OnlineRequest) -> bytes:
        """The answer up to its first number; it names the columns."""
        key = tuple(request.entities), request.versions
        known = self._heads.get(key)
        if known is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            given = b"".join([orjson.dumps(name) + b"," for name in request.entities])
            versions = self._versions if request.versions else b""
            known = b'{"metadata":{"feature_names":[' + given + self._names + versions + b'},"results":[' + _OPENING
            self._heads[key] = known
        return known

    def same_until(self, now_us: int) -> int | None:
        """Until when (µs since the epoch) the same request has the same answer; None: only now."""
        return None if None in self._part_of else same_until(self.views, now_us)

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
    pieces = [plan.head(request)]
    for values in request.entities.values():
        pieces += _join_key(values)
    for result in plan.results(reading):
        pieces += result
    pieces[-1] = pieces[-1].removesuffix(b"," + _OPENING) + b"]}"
    return b"".join(pieces)


def render_arrow(request: OnlineRequest, plan: AnswerPlan, reading: Reading) -> bytes:
    """The answer as an Arrow IPC stream: the table of `Store.get`. Raises as `render`."""
    for one in plan.requested:
        if one.column.kind not in ("value", "list"):
            raise BadReference(f"{one.column.name!r} comes with its feature; request only the feature")
    return plan.arrow.write(key_arrays(request.entities, plan.key_types), reading)


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
        count, stored = found.count, found.rows
        numbers = np.empty((len(self._scalars), count))
        all_there = not found.expired and gather_columns(
            stored.place, stored.numbers, stored.status, self._starts, numbers
        )
        if found.expired:
            scalars = [_inside(_repeated(b"null", count))] * len(self._scalars)
        elif count <= _FEW_ROWS:
            scalars = _dumped(numbers)[2:-2].split(b"],[")
        else:
            scalars = [_inside(_dumped(one)) for one in numbers]
        if all_there:
            every = _present(self._moment, count)
            for (at, _), elements in zip(
                self._scalars, scalars, strict=False
            ):  # without columns, one empty text remains
                results[at] = (elements, every)
            for at, column in self._columns:
                results[at] = (_elements(found, column, all_there=True), every)
            return
        times = _tokens(found.has_row.view(np.uint8), (_EPOCH, self._moment))
        for (at, column), elements in zip(self._scalars, scalars, strict=False):
            results[at] = (elements, _rest(_tokens(found.status(column), _TOKENS[column.kind]), times))
        for at, column in self._columns:
            results[at] = (
                _elements(found, column, all_there=False),
                _rest(_tokens(found.status(column), _TOKENS[column.kind]), times),
            )


def _elements(found: RequestedRows, column: ViewColumn, *, all_there: bool) -> bytes:
    """The values of a list, an end of an interval, or a status."""
    if column.kind == "status":
        return _inside(_tokens(found.status(column), _STATUS_NAMES))
    if found.expired:
        return _inside(_repeated(b"null", found.count))
    numbers = found.numbers(column)
    if all_there or not column.is_list:  # NaN becomes null
        return _inside(_dumped(numbers))
    is_there = value_is_there(found.status(column))
    shown = [row if there else None for row, there in zip(numbers, is_there.tolist(), strict=True)]
    return _inside(_dumped(shown))


def _computed(values: npt.NDArray[np.float64], codes: Codes) -> _Result:
    """The result of an on-demand view, which has no own time."""
    return _inside(_dumped(values)), _rest(_tokens(codes, _VALUE_TOKENS), _repeated(_EPOCH, len(codes)))


def _join_key(values: list[Any]) -> _Result:
    if None in values:
        statuses = b"[" + b",".join(b'"NULL_VALUE"' if value is None else _PRESENT for value in values) + b"]"
        return _inside(orjson.dumps(values)), _rest(statuses, _repeated(_EPOCH, len(values)))
    return _inside(orjson.dumps(values)), _present(_EPOCH, len(values))


def _dumped(numbers: Any) -> bytes:
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)


def _inside(array: bytes) -> bytes:
    """The elements of a JSON array."""
    return array[1:-1]


def _rest(statuses: bytes, times: bytes) -> bytes:
    """What follows the elements of a result."""
    return b'],"statuses":' + statuses + b',"event_timestamps":' + times + b"}," + _OPENING


def _present(moment: bytes, count: int) -> bytes:
    """What follows the elements of a result whose values are all there."""
    return _kept_rest(moment, count) if count <= _CACHED_ROWS else _rest_of(moment, count)


def _tokens(codes: Codes, tokens: tuple[bytes, ...]) -> bytes:
    """A JSON array of the codes' tokens."""
    if len(codes) and (codes == codes[0]).all():
        return _repeated(tokens[codes[0]], len(codes))
    return b"[" + b",".join([tokens[code] for code in codes.tolist()]) + b"]"


def _repeated(token: bytes, count: int) -> bytes:
    return _kept(token, count) if count <= _CACHED_ROWS else _repeat(token, count)


def _repeat(token: bytes, count: int) -> bytes:
    return b"[" + b",".join([token] * count) + b"]"


def _rest_of(moment: bytes, count: int) -> bytes:
    return _rest(_repeat(_PRESENT, count), _repeat(moment, count))


_kept = lru_cache(maxsize=1024)(_repeat)
_kept_rest = lru_cache(maxsize=256)(_rest_of)
