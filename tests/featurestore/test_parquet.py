"""Files of the offline store that were damaged after they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurestore.errors import StoreCorrupt
from featurestore.offline.series import SeriesCache
from featurestore.store import Store

from .making import a_view, fill


def test_a_changed_bit_in_a_page_is_a_damaged_file_and_never_another_value(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), panes=20)
    (file,) = (tmp_path / "store" / "offline").rglob("*.parquet")
    whole, group = file.read_bytes(), pq.read_metadata(file).row_group(0)
    with Store.open(tmp_path) as store:
        for at in range(group.num_columns):
            column = group.column(at)
            if column.path_in_schema.startswith("slots"):
                continue  # a history has no sums
            last = column.data_page_offset + column.total_compressed_size
            if column.has_dictionary_page:
                last -= column.data_page_offset - column.dictionary_page_offset
            file.write_bytes(bytes([*whole[: last - 1], whole[last - 1] ^ 1, *whole[last:]]))
            with pytest.raises(StoreCorrupt, match="cannot be read"):
                store.history("delays")


def test_a_name_of_a_column_that_is_no_text_is_a_damaged_file(tmp_path: Path) -> None:
    fill(tmp_path, a_view(), panes=2)
    (file,) = (tmp_path / "store" / "offline").rglob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"pane_start", b"pane_st\xf4rt"))
    with Store.open(tmp_path) as store:
        with pytest.raises(StoreCorrupt, match="cannot be read"):
            store.history("delays")
        with pytest.raises(StoreCorrupt, match="cannot be read"):
            store.series("delays", "flights", np.array([0]), (None, None), SeriesCache())
