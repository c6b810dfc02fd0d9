from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import StoreCorrupt
from featurestore.online.interface import OnlineMarker, RowTimes
from featurestore.online.packing import missing_rows, row_dtype
from featurestore.online.rocks import RocksOnline

from .making import a_view

VIEW = a_view()


def test_rows_and_marker_come_back_while_the_writer_is_open(tmp_path: Path) -> None:
    rows = missing_rows(VIEW, 2)
    rows["values"] = np.arange(rows["values"].size).reshape(rows["values"].shape)
    writer = RocksOnline.open_writer(tmp_path / "online")
    marker = OnlineMarker(3, RowTimes(pane_end=-5, released_at=2**60))
    writer.put(7, [b"a", b"b\x00"], rows, marker)
    reader = RocksOnline.open_reader(tmp_path / "online")
    found = reader.get(7, 3, [b"b\x00", b"zz", b"a"])
    assert found[1] is None
    assert reader.marker(7) == marker
    assert reader.marker(8) is None
    writer.put(8, [], None, OnlineMarker(4, None))
    later = RocksOnline.open_reader(tmp_path / "online")
    assert later.marker(8) == OnlineMarker(4, None)
    later.close()
    assert reader.get(8, 4, [b"a"]) == [None]
    assert [found[0], found[2]] == [rows[1].tobytes(), rows[0].tobytes()]
    assert (reader.holds(7, 3), reader.holds(7, 2), reader.holds(8, 0)) == (True, False, False)
    reader.close()
    writer.close()


def test_a_changed_byte_is_a_corrupt_store(tmp_path: Path) -> None:
    writer = RocksOnline.open_writer(tmp_path)
    writer.put(7, [b"a"], missing_rows(VIEW, 1), OnlineMarker(3, None))
    writer.close()
    (file,) = tmp_path.glob("*.sst")
    file.write_bytes(b"\xff" + file.read_bytes()[1:])
    reader = RocksOnline.open_reader(tmp_path)
    with pytest.raises(StoreCorrupt, match="checksum"):
        reader.holds(7, 3)
    with pytest.raises(StoreCorrupt, match="checksum"):
        reader.get(7, 3, [b"a"])
    reader.close()


def test_a_row_has_one_fixed_length_without_padding() -> None:
    served, ratios, windows = 4, 2, 1
    assert row_dtype(VIEW).itemsize == 8 * (served + ratios + windows) + 8 * served + served + 3 * 8
