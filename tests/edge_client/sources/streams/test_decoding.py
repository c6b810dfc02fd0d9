"""From records to events: declared columns, what the broker says of a record, and records without a client or a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from edge_client.event_log.bad_records import BadReason, BadRecord
from edge_client.sources.streams.decoding import Decoded, decoder
from edge_client.sources.streams.stream import Polled

from .making import COLUMNS, kafka

AT = 1_700_000_000_000_000


def decoded(values: list[bytes], columns: str = COLUMNS, **polled: Any) -> Decoded:
    topics = polled.pop("topics", ["t"] * len(values))
    with decoder(kafka("127.0.0.1:9", "t", Path("/p/e.log"), columns=columns)) as made:
        return made.decode(Polled(values, topics, places=lambda row: f"t[0]@{row}", **polled))


def test_only_declared_columns_are_kept_with_their_types() -> None:
    found = decoded([b'{"who": "a", "at": %d, "n": 3, "secret": 1}' % AT])
    assert found.bad == []
    assert found.table.schema.names == ["who", "at", "n"]
    when = datetime.fromtimestamp(AT / 1e6, UTC)
    assert found.table.to_pylist() == [{"who": "a", "at": when, "n": 3}]
    assert found.table.schema.field("at").type == pa.timestamp("us", "UTC")


def test_a_record_without_a_client_or_a_time_is_bad_with_its_bytes_and_place() -> None:
    good = b'{"who": "a", "at": 1}'
    bad = [
        b'{"at": 1}', b'{"who": null, "at": 1}', b'{"who": 7, "at": 1}', b'{"who": "a"}', b'{"who": "a", "at": "1"}',
        b'{"who": "a", "at": 1e18}', b"{}", b"x",
    ]  # fmt: skip
    reasons = [BadReason.NO_CLIENT] * 3 + [BadReason.NO_TIME] * 3 + [BadReason.NO_CLIENT, BadReason.NOT_JSON]
    found = decoded([good, *bad, good])
    assert sorted(found.bad, key=lambda one: one.where) == [
        BadRecord(reason, raw, f"t[0]@{row}") for row, (raw, reason) in enumerate(zip(bad, reasons, strict=True), 1)
    ]
    assert found.table.column("who").to_pylist() == ["a", "a"]


def test_rows_keep_their_key_topic_and_time_when_others_are_bad() -> None:
    columns = (
        'who = {from = "@key", type = "text"}\nat = {from = "@time", type = "time"}\n'
        'room = {from = "@topic.2", type = "text"}\nn = "whole"\n'
    )
    found = decoded(
        [b'{"n": 1}', b"x", b'{"n": 3}', b'{"n": 4}', b'{"n": 5}'],
        columns,
        topics=["a/r1/x", "a/r2", "a/r3", "a", "a/r5"],
        keys=[b"k1", b"k2", b"k3", b"k4", b"\xff"],
        times_us=[AT, AT, AT + 1, AT + 2, AT],
    )
    rows = [(row["who"], row["room"], row["n"]) for row in found.table.to_pylist()]
    assert rows == [("k1", "r1", 1), ("k3", "r3", 3), ("k4", None, 4)]
    assert found.table.column("at").cast(pa.int64()).to_pylist() == [AT, AT + 1, AT + 2]
    assert [(one.reason, one.where) for one in found.bad] == [
        (BadReason.NOT_JSON, "t[0]@1"),
        (BadReason.NO_CLIENT, "t[0]@4"),
    ]


def test_a_stream_without_keys_has_null_keys() -> None:
    columns = 'who = "text"\nat = {type = "time", unit = "us"}\nkey = {from = "@key", type = "text"}\n'
    assert decoded([b'{"who": "a", "at": 1}'], columns).table.column("key").to_pylist() == [None]


def test_two_columns_of_one_field_may_have_different_types() -> None:
    columns = (
        'who = "text"\nat = {from = "ts", type = "time", unit = "ms"}\nts = "whole"\n'
        'n = {from = "/deep/n", type = "number"}\nm = {from = "/deep/n", type = "whole"}\n'
    )
    found = decoded([b'{"who": "a", "ts": 2, "deep": {"n": 5}}', b"x", b'{"who": "b", "ts": 3}'], columns)
    assert [(row["who"], row["ts"], row["n"], row["m"]) for row in found.table.to_pylist()] == [
        ("a", 2, 5.0, 5),
        ("b", 3, None, None),
    ]
    assert found.table.column("at").cast(pa.int64()).to_pylist() == [2_000, 3_000]
    assert found.table.schema.names == ["who", "at", "ts", "n", "m"]
    assert len(found.bad) == 1


def test_a_time_is_read_in_the_same_way_whatever_comes_beside_it() -> None:
    columns = 'who = "text"\nat = {type = "time", unit = "ns"}\n'
    exact = AT * 1_000 + 999  # as a float64 it is the next µs
    found = decoded([f'{{"who": "a", "at": {exact}}}'.encode(), b'{"who": "b", "at": 0.5}'], columns)
    assert found.table.column("at").cast(pa.int64()).to_pylist() == [AT]
    assert [one.reason for one in found.bad] == [BadReason.NO_TIME]


def test_columns_need_no_field_of_the_record() -> None:
    columns = 'who = {from = "@key", type = "text"}\nat = {from = "@time", type = "time"}\n'
    found = decoded([b"{}", b"x"], columns, keys=[b"k", b"l"], times_us=[AT, AT])
    assert found.table.column("who").to_pylist() == ["k"]
    assert [one.reason for one in found.bad] == [BadReason.NOT_JSON]


@pytest.mark.parametrize("values", [[], [b"x"], [b"", b"[]"]])
def test_a_batch_may_have_no_event(values: list[bytes]) -> None:
    found = decoded(values)
    assert found.table.num_rows == 0
    assert len(found.bad) == len(values)
    assert found.table.schema == decoded([b'{"who": "a", "at": 1, "n": 1}']).table.schema
