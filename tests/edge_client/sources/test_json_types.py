"""The types of the fields of a stream's records, as `covey source check` shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from base.times import to_us
from edge_client.sources import check
from edge_client.sources.check import check_source
from edge_client.sources.declared_column import AsNumber, AsText, AsTime, AsWhole, Column, Named, RecordKey
from edge_client.sources.json_types import json_types
from edge_client.sources.mapping import Mapping
from edge_client.sources.sample import Sample
from edge_client.sources.surroundings import Surroundings
from tests.edge_client.sources.streams.making import kafka

COLUMNS = Mapping(
    (Column("who", Named("/u/id"), AsText()), Column("at", Named("t"), AsTime(unit="ms")), Column("x", Named("x"), AsNumber()),
     Column("key", RecordKey(), AsText()))
)  # fmt: skip


def test_each_field_has_the_types_of_its_records() -> None:
    records = [
        b'{"u": {"id": "a"}, "t": 1, "x": "7"}', b'{"u": {"id": "b"}, "t": null, "x": 1.5}', b"[", b"7",
        b'{"u": ["x"], "t": true, "x": [1]}', b'{"t": {}}', b"\xff",
    ]  # fmt: skip
    assert json_types(COLUMNS, records) == {
        "/u/id": {"text": 2, "null": 2},
        "t": {"number": 1, "null": 1, "boolean": 1, "object": 1},
        "x": {"text": 1, "number": 1, "array": 1, "null": 1},
    }
    assert json_types(COLUMNS, [b'{"u": [0, {"id": "a"}]}'])["/u/id"] == {"null": 1}
    assert json_types(Mapping((Column("a", Named("/u/1"), AsText()),)), [b'{"u": [0, "x"]}']) == {"/u/1": {"text": 1}}


def test_a_value_of_another_type_is_unfit_and_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = 'who = "text"\nat = {type = "time", unit = "us"}\nn = "whole"\n'
    source = kafka("localhost:9", "t", tmp_path / "e.log", columns=columns)
    now = to_us(datetime(2026, 1, 1, tzinfo=UTC))
    records = [{"who": "a", "at": now, "n": n} for n in (1, "2", None, 4)]
    raw = pa.table({"who": ["a"] * 4, "at": [now] * 4, "n": pa.array([1, None, None, 4], pa.int64())})
    sample = Sample(
        ("partition 0",), raw, (), json_types(source.columns, [json.dumps(one).encode() for one in records])
    )
    monkeypatch.setattr(check, "sample_of", lambda *_: sample)
    found = check_source(source, (), Surroundings("a"), 4)
    who, at, n = found.columns
    assert (who.found, at.found, at.unfit) == ("JSON: text", "JSON: number", 0.0)
    assert (n.found, n.missing, n.unfit) == ("JSON: number 50.0%, text 25.0%", 0.25, 0.25)
    assert AsWhole() == source.columns.columns[2].kind


def test_a_value_of_the_type_that_cannot_be_read_is_unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = 'who = "text"\nat = "time"\n'
    source = kafka("localhost:9", "t", tmp_path / "e.log", columns=columns)
    times = ["2026-01-01", "soon", None, "later"]
    records = [json.dumps({"who": "a", "at": one}).encode() for one in times]
    sample = Sample(
        ("partition 0",), pa.table({"who": ["a"] * 4, "at": times}), (), json_types(source.columns, records)
    )
    monkeypatch.setattr(check, "sample_of", lambda *_: sample)
    _, at = check_source(source, (), Surroundings("a"), 4).columns
    assert (at.found, at.missing, at.unfit) == ("JSON: text", 0.25, 0.5)
