"""The contents of a store's files: every number, text, name and size, at a path that names it.

facts(folder)            path → value. Random values are reduced to their length: ids, hashes, keys, signatures, ciphertexts
differences(one, other)  the differences of two folders; an auditor of two neighbouring worlds compares them
places_of(folder, n)     the places of a number in any form: a number in one of the formats below, a varint of a message inside
                         a blob, a length, a size, or digits in a text

The formats are SQLite, Parquet, Arrow, JSON, JSON lines, TOML and RocksDB, and protobuf messages in columns of any of them. A
file of another kind is read as text if it is text. Its size counts in any case.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from rocksdict import AccessType, Options, Rdict

from featurestore.define.wire import view_from_bytes, view_to_bytes
from federation import plan_pb2 as pb

Facts: TypeAlias = dict[str, Any]

_RANDOM_HEX: Final = re.compile(r"[0-9a-f]{24,}")
_DIGITS: Final = re.compile(r"(?<![0-9A-Za-z])\d+(?![0-9A-Za-z])")
_MANY: Final = 100
"""The largest field number of Covey's messages. Bytes with a larger one are no message."""


def facts(folder: Path) -> Facts:
    """Path → value for all files below a folder, sizes included."""
    found: Facts = {}
    for where, value in _walk(folder):
        name = _normal(where)
        while name in found:
            name += "'"
        found[name] = _normal(value)
    return found


def differences(one: Facts, other: Facts) -> list[str]:
    """The differences of two folders, in order."""
    missing = object()
    return sorted(where for where in one.keys() | other.keys() if one.get(where, missing) != other.get(where, missing))


def places_of(folder: Path, number: int) -> list[str]:
    """The places of a number below a folder."""
    return sorted({where for where, value in _walk(folder) if number in set(_numbers(value))})


def _walk(folder: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted(folder.rglob("*")):
        where = str(path.relative_to(folder))
        if path.is_dir():
            if (path / "CURRENT").exists():
                yield from _rocks(path, where)
        elif not (path.parent / "CURRENT").exists():
            yield f"{where} (size)", path.stat().st_size
            yield from _contents(path, where)


def _contents(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    data = path.read_bytes()
    if data.startswith(b"SQLite format 3\0"):
        yield from _sqlite(path, where)
    elif data.startswith(b"PAR1"):
        yield from _table(pq.read_table(path), where)
        yield from _inside(pq.read_metadata(path).metadata or {}, f"{where}.metadata")
    elif data.startswith(b"ARROW1"):
        yield from _table(pa.ipc.open_file(pa.BufferReader(data)).read_all(), where)
    elif path.suffix == ".toml":
        yield from _inside(tomllib.loads(data.decode()), where)
    else:
        yield from _inside(data, where)


def _sqlite(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            cursor = db.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            rows = [list(_inside(dict(zip(names, row, strict=True)), "")) for row in cursor]
            rows.sort(key=lambda row: str([(name, _normal(value)) for name, value in row]))  # keys may be random
            yield f"{where}/{table} (rows)", len(rows)
            for number, row in enumerate(rows):
                yield from ((f"{where}/{table}[{number}]{name}", value) for name, value in row)
    finally:
        db.close()


def _rocks(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    """Keys and values only: the engine's own files contain times and ids of its own."""
    store = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
    try:
        for key, value in store.items():
            yield f"{where}[{key.hex()}]", list(memoryview(value[: len(value) // 8 * 8]).cast("d"))
            yield f"{where}[{key.hex()}] (size)", len(value)
    finally:
        store.close()


def _table(table: pa.Table, where: str) -> Iterator[tuple[str, Any]]:
    yield f"{where} (rows)", table.num_rows
    yield from _inside(table.schema.metadata or {}, f"{where}.schema")
    for name in table.column_names:
        yield f"{where}.{name} (type)", str(table.schema.field(name).type)
        yield from _inside(table[name].to_pylist(), f"{where}.{name}")


def _inside(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """A value, or its parts: JSON in texts and bytes, and signed plans in bytes, are taken apart."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _inside(inner, f"{where}.{name.decode() if isinstance(name, bytes) else name}")
        case list() | tuple():
            yield f"{where} (length)", len(value)
            for number, inner in enumerate(value):
                yield from _inside(inner, f"{where}[{number}]")
        case str() if value[:1] in ("{", "["):
            try:
                parsed = json.loads(value)
            except ValueError:
                yield where, value
            else:
                yield f"{where} (size)", len(value)
                yield from _inside(parsed, where)
        case bytes():
            yield f"{where} (size)", len(value)
            yield from _blob(value, where)
        case _:
            yield where, value


def _blob(data: bytes, where: str) -> Iterator[tuple[str, Any]]:
    if (plan := _plan(data)) is not None:
        yield from _inside(plan, f"{where}.plan")
        return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        yield where, data
        return
    if text.isprintable() or "\n" in text:
        for number, line in enumerate(text.splitlines()):
            yield from _inside(line, f"{where}:{number}")
    else:
        yield where, data


def _plan(data: bytes) -> Any:
    """A plan, signed or not, as plain values. None for other bytes."""
    for kind in (pb.SignedPlan, pb.Plan):
        try:
            message = kind.FromString(data)
            plan = pb.Plan.FromString(message.plan) if isinstance(message, pb.SignedPlan) else message
        except DecodeError:  # the bytes are no plan
            continue
        if message.SerializeToString(deterministic=True) == data and plan.views and len(plan.id) == 16:
            views = [view_from_bytes(one.view) for one in plan.views]
            assert [view_to_bytes(view) for view in views] == [one.view for one in plan.views]
            return _without_keys(MessageToDict(plan))
    return None


def _without_keys(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with keys, hashes and signatures, which are random, replaced by their length."""

    def lengths(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: lengths(inner) for name, inner in value.items()}
        return value if not isinstance(value, str) or value.lstrip("-").isdigit() else f"{len(value)} digits of base64"

    return plan | ({"wire": lengths(plan["wire"])} if "wire" in plan else {})


def _normal(value: Any) -> Any:
    """The form of a value for the comparison of two worlds: random values are replaced by their length."""
    match value:
        case bytes():
            return f"{len(value)} bytes"
        case str():
            return _RANDOM_HEX.sub(lambda found: f"<{len(found.group())} hex digits>", value)
        case list():
            return [_normal(one) for one in value]
        case float():
            return repr(value)  # so that NaN equals NaN
        case _:
            return value


def _numbers(value: Any) -> Iterator[int]:
    match value:
        case bool() | None:
            return
        case int():
            yield value
        case float():
            if value.is_integer():
                yield int(value)
        case str():
            yield from map(int, _DIGITS.findall(value))
        case list():
            for one in value:
                yield from _numbers(one)
        case bytes():
            yield from _of_message(value)
        case datetime():
            return
        case _:
            yield from map(int, _DIGITS.findall(str(value)))


def _of_message(data: bytes, depth: int = 0) -> Iterator[int]:
    """The numbers of a protobuf message, including nested messages and packed numbers. None if the bytes are no message."""
    found: list[int] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if at < 0 or not 1 <= tag >> 3 <= _MANY:
            return
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                if at < 0:
                    return
                found += (value, (value >> 1) ^ -(value & 1))
            case 1 | 5:
                size = 8 if tag & 7 == 1 else 4
                found.append(int.from_bytes(data[at : at + size], "little"))
                at += size
            case 2:
                size, at = _varint(data, at)
                if at < 0 or at + size > len(data):
                    return
                found += (size, *(_of_message(data[at : at + size], depth + 1) if depth < 8 else ()))
                at += size
            case _:
                return
    yield from found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, end), or (0, −1) if there is no varint."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    return 0, -1
