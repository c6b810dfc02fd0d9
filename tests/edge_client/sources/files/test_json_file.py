"""Files of JSON records: one object a line, or an array of objects. A broken record spoils nothing but itself."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.errors import EventsError
from edge_client.sources.files import json_file
from edge_client.sources.files.json_file import json_batches, read_json
from edge_client.sources.files.reading import file_schema, read_events
from edge_client.sources.needed import needed_columns
from edge_client.sources.streams.stream import MAX_RECORD
from tests.edge_client.sources.files.test_reading import VIEW, table

COLUMNS = {"c": pa.string(), "x": pa.float64(), "n": pa.int64(), "late": pa.bool_()}


def read(path: Path, text: str | bytes, *, strict: bool = False) -> list[dict[str, object]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    table = read_json(path, COLUMNS) if strict else pa.concat_tables(json_batches(path, COLUMNS))
    return list(table.to_pylist())


def row(c: object = None, x: object = None, n: object = None, late: object = None) -> dict[str, object]:
    return {"c": c, "x": x, "n": n, "late": late}


def test_each_line_is_an_event_and_types_are_strict(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.jsonl",
        '{"c": "a", "x": 1.5, "n": 3, "late": true}\n'
        '{"c": "b", "x": "1.5", "n": 3.5, "late": 1}\r\n'
        "\n"
        '  {"late": false, "more": {"x": 9}, "c": "c", "x": 2}',
    )
    assert found == [row("a", 1.5, 3, True), row("b"), row("c", 2.0, None, False)]


def test_a_whole_number_is_text_where_text_is_demanded(tmp_path: Path) -> None:
    assert read(tmp_path / "a.json", '{"c": 7}\n{"c": "7"}\n{"c": 7.5}\n{"c": "007"}') == [
        row("7"), row("7"), row(), row("007"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "odd", [b"{", b"[1]", b"7", b"null", b'"c"', b"\xff\xfe", b'{"c": "a"} {"c": "b"}', b"x" * (MAX_RECORD + 9)]
)
def test_a_line_that_is_no_object_is_an_event_without_a_client_in_its_place(tmp_path: Path, odd: bytes) -> None:
    found = read(tmp_path / "a.ndjson", b'{"c": "a"}\n' + odd + b'\n{"c": 8}\n')
    assert found == [row("a"), row(), row("8")]


def test_an_array_is_its_elements_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read(path, ' \n[{"c": "a", "n": 3}, 7,\n {"c": "b", "x": 1e2}, [{"c": "no"}]]') == [
        row("a", None, 3), row(), row("b", 100.0), row(),
    ]  # fmt: skip
    for broken, why in ((b'[{"c": "a"},', "its array is broken"), (b'["\xff"]', "it is not UTF-8")):
        for strict in (True, False):
            with pytest.raises(EventsError, match=rf"a\.json cannot be read as JSON: {why}"):
                read(path, broken, strict=strict)


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson"])
def test_a_first_line_that_is_an_array_spoils_no_other_line(tmp_path: Path, suffix: str) -> None:
    assert read(tmp_path / f"a.{suffix}", '["hostile"\n{"c": "a"}\n') == [row(), row("a")]


def test_an_array_that_is_too_large_to_parse_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "MAX_ARRAY", 20)
    assert read(tmp_path / "a.json", '[{"c": "a"}]        ') == [row("a")]
    with pytest.raises(EventsError, match=r"one JSON array of more than 20 bytes; write one object a line"):
        read(tmp_path / "a.json", '[{"c": "a"}]         ')


def test_a_byte_order_mark_at_the_start_of_a_file_is_skipped(tmp_path: Path) -> None:
    for text in (b'{"c": "a"}\n', b'[{"c": "a"}]'):
        assert read(tmp_path / "a.json", BOM_UTF8 + text) == [row("a")]


def test_nested_values_have_a_pointer_as_their_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"sensor": {"id": "s1", "celsius": 20.5}}\n')
    found = read_json(path, {"/sensor/id": pa.string(), "/sensor/celsius": pa.float64()})
    assert found.to_pylist() == [{"/sensor/id": "s1", "/sensor/celsius": 20.5}]


def test_a_file_without_an_event_is_refused_where_a_person_waits_and_not_at_a_site(tmp_path: Path) -> None:
    for text in ("", "\n\n"):
        assert read(tmp_path / "a.json", text, strict=True) == []
    with pytest.raises(EventsError, match=r"none of its 2 records is a JSON object with a value .* c, x, n, late"):
        read(tmp_path / "a.json", '{\n{"C": "a"}', strict=True)
    assert read(tmp_path / "a.json", '{\n{"C": "a"}') == [row(), row()]


@given(
    st.lists(st.sampled_from([b'{"c": "a"}', b'{"c": "bb", "n": 2}', b"{", b"", b"x" * 60]), max_size=12),
    st.integers(1, 40),
)
def test_the_size_of_the_parts_in_which_a_file_is_read_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_file, "MAX_RECORD", 50)
        whole = pa.concat_tables(json_batches(path, COLUMNS))
        patched.setattr(json_file, "CHUNK", chunk)
        assert pa.concat_tables(json_batches(path, COLUMNS)).equals(whole)
    assert whole.num_rows == sum(bool(line) for line in lines)


def test_json_files_are_read_like_csv_files(tmp_path: Path) -> None:
    for name in ("1.jsonl", "2.ndjson", "3.json"):
        pairs = zip(*table(name, "b").to_pydict().items(), strict=True)
        keys, columns = next(pairs), next(pairs)
        lines = [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]
        (tmp_path / name).write_text("\n".join(str(line).replace("'", '"') for line in lines))
    found = read_events(tmp_path, [VIEW], "c", "t", None)
    assert found["c"].to_pylist() == ["1.jsonl", "b", "2.ndjson", "b", "3.json", "b"]
    schema = file_schema(tmp_path / "1.jsonl", needed_columns([VIEW], "c", "t")).schema
    assert [(field.name, field.metadata) for field in schema] == [
        (field.name, field.metadata) for field in found.schema
    ]
