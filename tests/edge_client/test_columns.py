"""A site's computation reads exactly the columns that its policy names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings

from edge_client.columns import columns_read
from edge_client.compute import compute
from edge_client.events import column_types, make_events
from featurestore.define.definitions import FeatureView
from tests.examples import examples
from tests.strategies import Case, cases, views


@given(views())
def test_values_and_conditions_are_the_columns_that_a_query_is_given(
    drawn: tuple[FeatureView, Mapping[str, Any]],
) -> None:
    view, _ = drawn
    read = columns_read(view)
    assert {*read.values, *read.where} == set(column_types(view))
    assert set(read.join_keys) == set(view.entity.columns)


@settings(max_examples=examples(40), deadline=None)
@given(cases())
def test_a_site_computes_the_same_where_there_is_no_other_column(case: Case) -> None:
    read = columns_read(case.view)
    own = {case.client_column, case.time_column, case.site_column, read.time}
    needed = own | {*read.values, *read.where, *read.join_keys}
    alone = case.events.select([name for name in case.events.column_names if name in needed])
    whole, less = (
        compute(case.view, make_events(table, case.client_column, case.time_column, case.site_column))
        for table in (case.events, alone)
    )
    assert whole.slots.values.tolist() == less.slots.values.tolist()
