"""A row of a CSV file can lose itself only. Whatever bytes it has, all other rows are read as without it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_client.errors import EventsError
from edge_client.sources.files import csv_records
from edge_client.sources.files.csv_file import csv_batches, csv_schema
from edge_client.sources.files.csv_records import MAX_RECORD

NEEDED = {"c": pa.string(), "t": pa.string(), "k": pa.int64(), "x": pa.float64(), "y": pa.bool_()}
HEADER = b"c,t,k,x,y,other\n"
FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "e.csv"


def read(path: Path, data: bytes) -> list[dict[str, Any]]:
    path.write_bytes(data)
    return list(pa.concat_tables(csv_batches(path, NEEDED)).to_pylist())


def is_readable(row: dict[str, Any]) -> bool:
    return any(value is not None for value in row.values())


HOSTILE = {
    "a quote that is not closed": b'evil,"2020-01-01,1,1,1,z\n',
    "a quote that opens in the last field": b'evil,2020-01-01,1,1,1,"z\n',
    "a quote in the middle of a field, and one that is not closed": b'evil,20"20,"1,1,1,z\n',
    "a closed quote with text behind": b'evil,"20"20,1,1,1,"\n',
    "a carriage return": b"evil,2020-01-01,1,1,1,z\rvictim,2020-01-01,1,1,1,z\n",
    "too few fields": b"evil,2020-01-01\n",
    "too many fields": b"evil,2020-01-01,1,1,1,z,z\n",
    "a field of 3 MB": b"evil,2020-01-01,1,1,1," + b"z" * 3_000_000 + b"\n",
    "a quoted field of 3 MB": b'evil,2020-01-01,1,1,1,"' + b"z" * 3_000_000 + b'"\n',
}
ODD = {
    "no UTF-8": b"\xff\xfe,\xc3,1,1,1,\x80\n",
    "zero bytes": b"evil\0,2020\0-01-01,1,1\0,1,\0\n",
    "text for numbers": b"evil,2020-01-01,one,much,perhaps,z\n",
    "a number beyond 64 bits": b"evil,2020-01-01,99999999999999999999,1e999,1,z\n",
}
BEFORE = b'v1,2020-01-01,1,1.5,true,z\n"v,2","2020-01-01",2,,false,"a ""quoted"", text"\n'
AFTER = b'v3,2020-01-02,,2.5,0,"z"\r\nv"4,2020-01-02,4,NA,1,\n'


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in {**HOSTILE, **ODD}.items()])
@pytest.mark.parametrize("end", [b"\n", b""], ids=["newline", "no newline at the end"])
def test_a_hostile_row_changes_no_other_row(file: Path, row: bytes, end: bytes) -> None:
    alone = read(file, HEADER + BEFORE + AFTER)
    assert [one["c"] for one in alone] == ["v1", "v,2", "v3", 'v"4']
    before, after, last = (HEADER + BEFORE + row + AFTER, HEADER + row + BEFORE + AFTER, HEADER + BEFORE + AFTER + row)
    for data in (before, after, last[:-1] + end):
        rows = [one for one in read(file, data) if is_readable(one)]
        others = [one for one in rows if one in alone]
        assert others == alone
        assert len(rows) - len(others) == (row in ODD.values())


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in HOSTILE.items()])
def test_a_row_that_cannot_be_read_is_counted_as_an_event_without_a_client(file: Path, row: bytes) -> None:
    rows = read(file, HEADER + BEFORE + row * 2 + AFTER)
    assert rows[4:] == [dict.fromkeys(NEEDED)] * 2


def test_a_record_may_have_so_many_bytes_and_not_one_more(file: Path) -> None:
    start = b"evil,2020-01-01,1,1,1,"
    for size, readable in ((MAX_RECORD, 1), (MAX_RECORD + 1, 0)):
        rows = read(file, HEADER + start + b"z" * (size - len(start)) + b"\n")
        assert (len(rows), sum(map(is_readable, rows))) == (1, readable)


def test_empty_lines_are_no_rows_and_a_byte_order_mark_is_no_part_of_a_name(file: Path) -> None:
    assert len(read(file, b"\xef\xbb\xbf" + HEADER + b"\n\n" + BEFORE + b"\r\n\n")) == 2
    assert len(read(file, b"\n\r\n" + HEADER + BEFORE)) == 2


def test_the_first_line_of_a_file_without_names_is_an_event_and_not_logged(file: Path) -> None:
    file.write_bytes(b"planted,2020-01-01\n")
    for find in (lambda: csv_schema(file, NEEDED), lambda: pa.concat_tables(csv_batches(file, NEEDED))):
        with pytest.raises(EventsError, match="it has: planted, 2020-01-01") as caught:
            find()
        assert caught.value.logged == f"{file} has no column 'c'; (not shown)"


def test_types_do_not_depend_on_the_data(file: Path) -> None:
    for data in (BEFORE, b"", b"evil,,x,x,x,x\n", b"evil,2020-01-01,1,1,1,1\n"):
        file.write_bytes(HEADER + data)
        assert all(batch.schema.types == list(NEEDED.values()) for batch in csv_batches(file, NEEDED))


@given(
    rows=st.lists(st.lists(FIELDS, min_size=6, max_size=6), max_size=5),
    hostile=st.binary(max_size=60) | st.text('a,"\n\r 1', max_size=60).map(str.encode),
    at=st.integers(0, 5),
    chunk=st.sampled_from([1, 7, 64, 2**24]),
    longest=st.sampled_from([4, 40, MAX_RECORD]),
)
@example(rows=[], hostile=b"\n\r\r", at=0, chunk=1, longest=4)
def test_whatever_one_clients_row_holds_all_other_rows_are_read_unchanged(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    hostile: bytes,
    at: int,
    chunk: int,
    longest: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.csv"
    lines = [_line(["v" + first, *rest]) for first, *rest in rows]
    mixed = [*lines[:at], b"evil" + hostile + b"\n", *lines[at:]]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_records, "CHUNK", chunk)
        patched.setattr(csv_records, "MAX_RECORD", longest)
        patched.setattr(csv_records.Records, "first", lambda records: records._file.readline())
        alone = read(path, HEADER + b"".join(lines))
        rows_with_hostile = read(path, HEADER + b"".join(mixed))
    # each further line is a record of its own, because a newline ends it; an empty line is none
    injected = [line for line in hostile.split(b"\n")[1:] if line not in (b"", b"\r")]
    victims = [one for one in alone if is_readable(one)]
    found = [one for one in rows_with_hostile if is_readable(one) and str(one["c"]).startswith("v")]
    if not any(line.startswith((b"v", b'"v')) for line in injected):
        assert found == victims
    assert len(rows_with_hostile) == len(alone) + 1 + len(injected)


def _line(fields: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode()
