"""A sample of a table shows its first rows with all of their columns."""

from __future__ import annotations

import pytest

from edge_client.errors import SourceAway
from edge_client.sources.declared_column import AsTime, AsWhole, Column, Named
from edge_client.sources.mapping import Mapping
from edge_client.sources.sample import Sample
from edge_client.sources.sampling import sample_of
from edge_client.sources.source import Query
from edge_client.sources.surroundings import Surroundings
from tests.edge_client.sources.making import day, row

from .making import EVENTS, Made


def sample(made: Made, most: int = 10, **how: object) -> Sample:
    return sample_of(made.source(**how), Surroundings("a"), most)  # type: ignore[arg-type]


def test_the_first_rows_are_shown_with_all_columns(made: Made) -> None:
    made.table(*(row(name, day(number), number / 2) for number, name in enumerate("abc")))
    found = sample(made, 2)
    assert (found.rows.column_names, found.rows.num_rows) == (["c", "t", "u", "k", "x"], 2)
    assert found.rows["x"].to_pylist() == [0.0, 0.5]
    assert len(found.parts) == 1
    assert found.parts[0].startswith("the table e of ")
    assert sample(made, relation=Query("SELECT c, k FROM e")).parts[0].startswith("the query of ")


def test_a_column_without_types_has_the_type_of_its_values_or_the_declared_one(made: Made) -> None:
    made.table(columns="c TEXT, t TEXT, n INTEGER, x DOUBLE PRECISION, s BIGINT")
    made.insert("e", ("a", "2013-01-01", 7, 1.5, 1_357_000_000), (None, None, None, None, None))
    declared = Mapping(
        (
            Column("at", Named("s"), AsTime(unit="s")),
            Column("n", Named("n"), AsWhole()),
            Column("no", Named("no"), None),
        )
    )
    for columns in (Mapping(), declared):
        rows = sample(made, columns=columns).rows
        assert rows["n"].to_pylist() == [7, None]
        assert rows["x"].to_pylist() == [1.5, None]
        assert rows["s"].to_pylist() == [1_357_000_000, None]
    assert declared.apply(rows)["at"].to_pylist()[0].year == 2013


def test_an_empty_table_has_its_columns_and_a_missing_one_is_away(made: Made) -> None:
    with pytest.raises(SourceAway):
        sample(made)
    made.table()
    assert sample(made).rows.column_names == ["c", "t", "u", "k", "x"]
    assert made.source().relation == EVENTS
