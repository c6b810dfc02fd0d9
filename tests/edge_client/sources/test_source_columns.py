"""Editors of views see the columns of a source and their types, and none of its values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_client.errors import EventFilesAway, EventsError
from edge_client.sources.declared_column import AsNumber, AsTime, Column, Named
from edge_client.sources.mapping import Mapping
from edge_client.sources.source import FilesSource
from edge_client.sources.source_columns import SourceColumn, columns_of_files, columns_of_source

TABLE = pa.table(
    {
        "who": ["a"],
        "n": [1],
        "x": [0.5],
        "on": [True],
        "at": pa.array([datetime(2020, 5, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "coded": pa.array(["a"]).dictionary_encode(),
        "odd": [[1, 2]],
        "<b>": ["a"],
    }
)


def types_of(columns: tuple[SourceColumn, ...]) -> dict[str, str]:
    return {one.name: one.type for one in columns}


def test_a_parquet_file_has_the_types_that_conditions_know(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert types_of(columns_of_files(tmp_path)) == {
        "who": "text",
        "n": "number",
        "x": "number",
        "on": "boolean",
        "at": "time",
        "coded": "text",
        "odd": "other",
        "<b>": "text",
    }


def test_a_csv_file_has_names_only_and_json_the_types_of_its_first_records(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,n\nann,1\n")
    assert types_of(columns_of_files(tmp_path / "a.csv")) == {"who": "other", "n": "other"}
    (tmp_path / "a.jsonl").write_text('{"who": "ann", "n": 1}\n{"n": 0.5, "on": true}\n')
    assert types_of(columns_of_files(tmp_path / "a.jsonl")) == {"who": "text", "n": "number", "on": "boolean"}


def test_declared_columns_replace_those_that_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,n,when\nann,1,2020-05-01\n")
    declared = Mapping((Column("amount", Named("n"), AsNumber()), Column("at", Named("when"), AsTime())))
    source = FilesSource(url="a.csv", client="who", time="at", columns=declared, path=tmp_path / "a.csv")
    assert types_of(columns_of_source(source)) == {"amount": "number", "at": "time", "who": "other"}


def test_a_source_without_a_file_or_with_a_damaged_one_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(EventFilesAway):
        columns_of_files(tmp_path / "none.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(EventsError):
        columns_of_files(tmp_path / "cut.parquet")
