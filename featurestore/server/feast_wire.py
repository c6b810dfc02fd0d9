"""Feast's answer to `/get-online-features`, as bytes: columnar, join keys first, features in the order asked for.

Numbers go from the mapped block to JSON in one call a column (`orjson` writes whole floats as `1.0` and NaN as null).
Statuses and timestamps repeat, so they are made once for each (token, number of rows) and kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from featurestore.blocks import Block, BlockColumn, Snapshot
from featurestore.errors import BadReference, NameCollision, RequestTooLarge, UnknownFeature
from featurestore.times import from_us
from featurestore.values import Status, n_is_there, value_is_there

from .request import OnlineRequest

MAX_NUMBERS: Final = 1_000_000
"""Numbers of an answer (rows × widths of the columns): some 30 MB of JSON."""
_CACHED_ROWS: Final = 1_000
"""Repeated tokens are kept up to this many rows: at most 1,024 × 23 KB."""
_EPOCH: Final = b'"1970-01-01T00:00:00Z"'
_PRESENT: Final = b'"PRESENT"'

_EVERY: Final = np.array(Status, dtype=np.uint8)
_NULLS: Final = {status: f'"{status.name}"'.encode() for status in (Status.OUTSIDE_MAX_AGE, Status.NOT_FOUND)}


def _words(is_there: npt.NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Feast's word for each status, given whether it goes with a number."""
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
    "n": _N_TOKENS,
    "coverage": _COVERAGE_TOKENS,
    "status": _STATUS_TOKENS,
}
_STATUS_NAMES: Final = tuple(f'"{status.name}"'.encode() for status in Status)

Codes = npt.NDArray[np.uint8]


def answer(request: OnlineRequest, snapshot: Snapshot, now_us: int) -> bytes:
    """The body of the answer, all of it from one snapshot.

    Raises:
        UnknownView, UnknownFeature, NameCollision, RequestTooLarge; BadReference for a missing or wrongly typed join key.
    """
    asked = [_find(ref, snapshot) for ref in request.features]
    names = _names(request, asked)
    numbers = request.rows * sum(max(1, column.width) for _, column in asked)
    if numbers > MAX_NUMBERS:
        raise RequestTooLarge(f"{numbers:,} numbers; at most {MAX_NUMBERS:,} in one request: ask for fewer rows")
    rows = {block: _Rows(block, request, now_us) for block, _ in asked}
    results = [_join_key(values) for values in request.entities.values()]
    results += [rows[block].column(column) for block, column in asked]
    metadata: dict[str, Any] = {"feature_names": names}
    if request.versions:
        metadata["feature_view_metadata"] = [
            {"name": block.header.view, "version": block.header.version} for block in rows
        ]
    return b'{"metadata":' + orjson.dumps(metadata) + b',"results":[' + b",".join(results) + b"]}"


def _find(ref: str, snapshot: Snapshot) -> tuple[Block, BlockColumn]:
    view, colon, feature = ref.partition(":")
    if not (view and colon and feature):
        raise BadReference(f"{ref[:80]!r} is no feature reference; write view:feature, such as dest_delay:late_7d")
    block = snapshot.find(view)
    column = block.columns.get(feature)
    if column is None:
        known = [column.name for column in block.header.columns if column.kind in ("value", "list")]
        raise UnknownFeature(view, feature[:80], known)
    return block, column


def _names(request: OnlineRequest, asked: list[tuple[Block, BlockColumn]]) -> list[str]:
    names = list(request.entities)
    for block, column in asked:
        names.append(f"{block.header.view}__{column.name}" if request.full_names else column.name)
    if len(set(names)) < len(names):
        raise NameCollision(next(name for i, name in enumerate(names) if name in names[:i])[:80])
    return names


class _Rows:
    """The asked rows of one block: where they are, what their statuses are, from when they are."""

    def __init__(self, block: Block, request: OnlineRequest, now_us: int) -> None:
        header = block.header
        self._block = block
        self._place = block.places(request.entities, request.rows)
        self._codes = block.status[self._place]
        found = self._place >= 0
        self._expired = (
            header.ttl_us is not None and header.pane_end is not None and now_us - header.pane_end > header.ttl_us
        )
        if self._expired:
            self._codes[found] = Status.OUTSIDE_MAX_AGE
        self._all_there = bool(value_is_there(self._codes).all())
        self._base = np.where(found, self._codes[:, 0] if self._expired else Status.OK, Status.NOT_FOUND).astype(
            np.uint8
        )
        moment = _EPOCH if header.pane_end is None else f'"{from_us(header.pane_end):%Y-%m-%dT%H:%M:%SZ}"'.encode()
        self._times = _tokens(found.astype(np.uint8), (_EPOCH, moment))

    def column(self, column: BlockColumn) -> bytes:
        """One result: values, statuses, event timestamps."""
        codes = self._base if column.status is None else self._codes[:, column.status]
        statuses = _repeated(_PRESENT, len(codes)) if self._all_there else _tokens(codes, _TOKENS[column.kind])
        values = _tokens(codes, _STATUS_NAMES) if column.kind == "status" else self._values(column, codes)
        return _result(values, statuses, self._times)

    def _values(self, column: BlockColumn, codes: Codes) -> bytes:
        if self._expired:
            return _repeated(b"null", len(codes))
        if column.kind != "list":
            return orjson.dumps(self._block.numbers[self._place, column.start], option=orjson.OPT_SERIALIZE_NUMPY)
        cells = self._block.numbers[self._place, column.start : column.start + column.width]
        is_there = value_is_there(codes)
        if is_there.all():
            return orjson.dumps(cells, option=orjson.OPT_SERIALIZE_NUMPY)
        shown = [row if there else None for row, there in zip(cells, is_there.tolist(), strict=True)]
        return orjson.dumps(shown, option=orjson.OPT_SERIALIZE_NUMPY)


def _join_key(values: list[Any]) -> bytes:
    if None in values:
        statuses = b"[" + b",".join(b'"NULL_VALUE"' if value is None else _PRESENT for value in values) + b"]"
    else:
        statuses = _repeated(_PRESENT, len(values))
    return _result(orjson.dumps(values), statuses, _repeated(_EPOCH, len(values)))


def _result(values: bytes, statuses: bytes, times: bytes) -> bytes:
    return b'{"values":' + values + b',"statuses":' + statuses + b',"event_timestamps":' + times + b"}"


def _tokens(codes: Codes, tokens: tuple[bytes, ...]) -> bytes:
    """A JSON array of the tokens that the codes stand for."""
    if len(codes) and (codes == codes[0]).all():
        return _repeated(tokens[codes[0]], len(codes))
    return b"[" + b",".join([tokens[code] for code in codes.tolist()]) + b"]"


def _repeated(token: bytes, count: int) -> bytes:
    return _kept(token, count) if count <= _CACHED_ROWS else _repeat(token, count)


def _repeat(token: bytes, count: int) -> bytes:
    return b"[" + b",".join([token] * count) + b"]"


_kept = lru_cache(maxsize=1024)(_repeat)
