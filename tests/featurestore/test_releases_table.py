"""The table of releases: a version that has just been applied has no pane yet."""

from __future__ import annotations

import pyarrow as pa

from featurestore.registry.releases import releases_table
from tests.federation.wire import view


def test_the_columns_of_a_version_without_panes_have_types_so_that_versions_can_be_listed_together() -> None:
    empty = releases_table(view("v", 2), [])
    assert [field.name for field in empty.schema if pa.types.is_null(field.type)] == []
    assert pa.concat_tables([empty, empty]).num_rows == 0
