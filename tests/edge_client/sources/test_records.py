"""JSON records: what each odd one is read as, and an oracle of the standard library beside random ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.event_log.bad_records import BadReason
from edge_client.sandbox import locked_duckdb
from edge_client.sources.records import JsonColumn, JsonKind, RecordReader
from edge_client.sources.streams.stream import MAX_RECORD

T, N, W, B = JsonKind.TEXT, JsonKind.NUMBER, JsonKind.WHOLE, JsonKind.BOOLEAN
ALL = [JsonColumn("t", T), JsonColumn("n", N), JsonColumn("w", W), JsonColumn("b", B)]
GOOD = b'{"t": "x"}'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Any]:
    with locked_duckdb() as connection:
        yield connection


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", BadReason.EMPTY),
        (b" ", BadReason.NOT_JSON),
        (b"x", BadReason.NOT_JSON),
        (b'{"t": "x"', BadReason.NOT_JSON),
        (b'{"t": "x"} y', BadReason.NOT_JSON),
        (b'{"t": "x"}{"t": "y"}', BadReason.NOT_JSON),
        (b'{"t": "x"}\n{"t": "y"}', BadReason.NOT_JSON),
        (b"{'t': 'x'}", BadReason.NOT_JSON),
        (b'{t: "x"}', BadReason.NOT_JSON),
        (b'{"n": 01}', BadReason.NOT_JSON),
        (b'{"n": .5}', BadReason.NOT_JSON),
        (b'{"n": +1}', BadReason.NOT_JSON),
        (b'{"n": 0x10}', BadReason.NOT_JSON),
        (b'{"b": True}', BadReason.NOT_JSON),
        (b'{"n": 1} // note', BadReason.NOT_JSON),
        (b'{"t": "a\tb"}', BadReason.NOT_JSON),
        (b'{"t": "a\x00b"}', BadReason.NOT_JSON),
        (b'{"t": "\\x41"}', BadReason.NOT_JSON),
        (b'{"t": "\\ud800"}', BadReason.NOT_JSON),
        (b'\xef\xbb\xbf{"t": "x"}', BadReason.NOT_JSON),
        (b'{"t": "\xff"}', BadReason.NOT_JSON),
        (b'{"t": "\xed\xa0\x80"}', BadReason.NOT_JSON),
        (b'\xff\xfe{\x00"\x00', BadReason.NOT_JSON),
        (b"\x1f\x8b\x08\x00garbage", BadReason.NOT_JSON),
        (b"[" * 100_000, BadReason.NOT_JSON),
        (b"null", BadReason.NO_OBJECT),
        (b"[]", BadReason.NO_OBJECT),
        (b'[{"t": "x"}]', BadReason.NO_OBJECT),
        (b"7", BadReason.NO_OBJECT),
        (b'"{}"', BadReason.NO_OBJECT),
        (b"[" * 100_000 + b"]" * 100_000, BadReason.NO_OBJECT),
        (b'{"t": "' + b"x" * MAX_RECORD + b'"}', BadReason.TOO_LARGE),
    ],
)
def test_a_bad_record_is_named_and_spoils_nothing_else(sandbox: Any, raw: bytes, reason: BadReason) -> None:
    read = RecordReader(sandbox, ALL).read([GOOD, raw, GOOD, raw])
    assert list(read.bad) == [(1, reason), (3, reason)]
    assert read.rows.to_pylist() == [0, 2]
    assert read.table.column("t").to_pylist() == ["x", "x"]


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ('{"v": "7"}', N, None),
        ('{"v": "7"}', W, None),
        ('{"v": "true"}', B, None),
        ('{"v": 7}', T, None),
        ('{"v": true}', T, None),
        ('{"v": 1}', B, None),
        ('{"v": true}', N, None),
        ('{"v": null}', T, None),
        ('{"v": {"x": 1}}', T, None),
        ('{"v": [1]}', N, None),
        ('{"V": 1}', N, None),
        ("{}", N, None),
        ('{"v": NaN}', N, None),
        ('{"v": Infinity}', N, None),
        ('{"v": -Infinity}', N, None),
        ('{"v": 1e999}', N, None),
        ('{"v": -1e999}', W, None),
        ('{"v": 1' + "0" * 400 + "}", N, None),
        ('{"v": 1e' + "9" * 1000 + "}", W, None),
        ('{"v": 123456789012345678901234567890}', N, 1.2345678901234568e29),
        ('{"v": 123456789012345678901234567890}', W, None),
        ('{"v": 9223372036854775807}', W, 2**63 - 1),
        ('{"v": 9223372036854775808}', W, None),
        ('{"v": -9223372036854775808}', W, -(2**63)),
        ('{"v": -9223372036854775809}', W, None),
        ('{"v": 9007199254740993}', W, 2**53 + 1),
        ('{"v": 3.0}', W, 3),
        ('{"v": 1e3}', W, 1000),
        ('{"v": 3.5}', W, None),
        ('{"v": 1e16}', W, None),
        ('{"v": -0}', W, 0),
        ('{"v": 3}', N, 3.0),
        ('{"v": 5e-324}', N, 5e-324),
        ('{"v": 1e-400}', N, 0.0),
        ('{"v": 1.7976931348623157e308}', N, 1.7976931348623157e308),
        ('{"v": 0.30000000000000004}', N, 0.30000000000000004),
        ('{"v": true}', B, True),
        ('{"v": false}', B, False),
        ('{"v": ""}', T, ""),
        ('{"v": "\\u0000x"}', T, "\x00x"),
        ('{"v": "\\ud83d\\ude00 é"}', T, "😀 é"),
        ('{"v": "\\"null\\""}', T, '"null"'),
        ('{"v": 1, "v": 2}', W, 1),
        ('{"v": "x", "v": 2}', W, None),
        ('{"\\u0076": 5}', W, 5),
        ('{"v": 1,}', W, 1),
        (' \n{"v": 1}\r\n', W, 1),
    ],
)
def test_a_value_is_read_by_its_type_alone(sandbox: Any, raw: str, kind: JsonKind, value: object) -> None:
    read = RecordReader(sandbox, [JsonColumn("v", kind)]).read([raw.encode()])
    assert list(read.bad) == []
    found = read.table.column("v").to_pylist()
    assert found == [value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.b", {"a.b": "x", "a": {"b": "no"}}),
        ("a/b", {"a/b": "x", "a": {"b": "no"}}),
        ("a~b", {"a~b": "x"}),
        ("~1", {"~1": "x", "/": "no"}),
        ("$.a", {"$.a": "x", "a": "no"}),
        ("*", {"*": "x", "a": "no"}),
        ("0", {"0": "x"}),
        ("it's", {"it's": "x"}),
        ('"', {'"': "x"}),
        ("", {"": "x"}),
        ("é", {"é": "x"}),
        ("/a/b", {"a": {"b": "x"}, "/a/b": "no"}),
        ("/a~1b/c", {"a/b": {"c": "x"}}),
        ("/a/1", {"a": ["no", "x"]}),
    ],
)
def test_a_name_is_no_path_unless_it_begins_with_a_slash(sandbox: Any, name: str, raw: dict[str, Any]) -> None:
    read = RecordReader(sandbox, [JsonColumn(name, T)]).read([json.dumps(raw).encode(), b'["x"]', b'{"a": 1}'])
    assert read.table.column(name).to_pylist() == ["x", None]


@pytest.mark.parametrize("deep", ["[" * 500_000 + "]" * 500_000, '{"a":' * 150_000 + "1" + "}" * 150_000])
def test_a_deeply_nested_value_ends_nothing(sandbox: Any, deep: str) -> None:
    raw = f'{{"t": "x", "n": {deep}}}'.encode()
    read = RecordReader(sandbox, ALL).read([raw])
    assert read.table.to_pylist() == [{"t": "x", "n": None, "w": None, "b": None}]


def test_no_record_is_no_row(sandbox: Any) -> None:
    reader = RecordReader(sandbox, ALL)
    assert reader.read([]).table.schema == reader.read([GOOD]).table.schema
    assert reader.read([b"x"]).table.num_rows == 0


def test_large_records_are_parsed_few_at_a_time(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, parts = RecordReader(sandbox, [JsonColumn("v", W)]), []
    run = reader._run

    def counted(records: Any) -> Any:
        parts.append(records.nbytes)
        return run(records)

    monkeypatch.setattr(reader, "_run", counted)
    large = [f'{{"v": {i}, "x": "{"x" * (MAX_RECORD - 100)}"}}'.encode() for i in range(4)]
    read = reader.read([b"{}", large[0], b"x", b"", large[1], large[2], b"[]", large[3], b'{"v": 9}'])
    assert max(parts) <= 2.1 * MAX_RECORD
    assert read.table.column("v").to_pylist() == [None, 0, 1, 2, 3, 9]
    assert read.rows.to_pylist() == [0, 1, 4, 5, 7, 8]
    assert read.bad == [(2, BadReason.NOT_JSON), (3, BadReason.EMPTY), (6, BadReason.NO_OBJECT)]


def test_many_records_keep_their_order(sandbox: Any) -> None:
    read = RecordReader(sandbox, [JsonColumn("v", W)]).read([f'{{"v": {i}}}'.encode() for i in range(300_000)])
    assert read.table.column("v").to_numpy().tolist() == list(range(300_000))


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
objects = st.dictionaries(
    st.sampled_from(["t", "n", "w", "b", "x"]), scalars | st.lists(scalars, max_size=2), max_size=5
)
documents = objects.map(lambda one: json.dumps(one).encode("utf-8", "surrogatepass"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(documents))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(raw)))
        match draw(st.integers(0, 2)):
            case 0:
                del raw[place:]
            case 1:
                raw.insert(place, draw(st.integers(0, 255)))
            case _:
                raw += draw(documents)
    return bytes(raw)


@settings(max_examples=150, deadline=None)
@given(st.lists(documents | damaged() | st.binary(max_size=8), max_size=30))
def test_records_are_read_as_the_standard_library_reads_them(sandbox: Any, raws: list[bytes]) -> None:
    read = RecordReader(sandbox, ALL).read(raws)
    bad = dict(read.bad)
    expected = {row: found for row, raw in enumerate(raws) if isinstance(found := oracle(raw), dict)}
    assert read.rows.to_pylist() == list(expected)
    assert sorted(bad) == [row for row in range(len(raws)) if row not in expected]
    rows = read.table.to_pylist()
    assert rows == [{one.name: value_of(found.get(one.name), one.kind) for one in ALL} for found in expected.values()]


def oracle(raw: bytes) -> object:
    try:
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            return None
        found = json.loads(without_last_commas(text), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate anywhere
        return found
    except (ValueError, RecursionError):
        return None


def without_last_commas(text: str) -> str:
    """Without a comma before a closing brace or bracket, which DuckDB's parser reads over."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|([^\s,\[{:])(\s*),(?=\s*[}\]])', lambda m: m[1] or f"{m[2]}{m[3]}", text)


def value_of(value: object, kind: JsonKind) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case JsonKind.TEXT:
            return value if isinstance(value, str) else None
        case JsonKind.BOOLEAN:
            return value if isinstance(value, bool) else None
        case JsonKind.NUMBER:
            return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
        case _:
            if not is_number or not math.isfinite(value) or value != int(value):  # type: ignore[arg-type,call-overload]
                return None
            exact = isinstance(value, int) and -(2**63) <= value < 2**63
            return int(value) if exact or abs(value) <= 2**53 else None  # type: ignore[call-overload,arg-type,operator]
