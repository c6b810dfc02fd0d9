"""A fleet from a file: the sites and clients in the file, with whole sites in each block."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployment.errors import TooManyClients
from federation.parties import DEFAULT_SITE_CLIENTS
from simulations.errors import FleetImpossible
from simulations.fleets import event_file
from simulations.fleets.block import Columns
from simulations.fleets.event_file import ONE_SITE, EventFile
from tests.simulations.shards.small import DAILY

START = datetime(2026, 1, 1, tzinfo=UTC)


def events(path: Path, rows: list[tuple[Any, Any, int | None]]) -> Path:
    """(site, client, day) of each event."""
    dicts = [
        {
            "site": site,
            "client": client,
            "time": None if day is None else START + timedelta(days=day, hours=1),
            "shop": "a",
            "spent": 1.0,
        }
        for site, client, day in rows
    ]
    schema = pa.schema(
        {"site": pa.string(), "client": pa.int64(), "time": pa.timestamp("us", "UTC"), "shop": pa.string()}
    )
    pq.write_table(pa.Table.from_pylist(dicts, schema.append(pa.field("spent", pa.float64()))), path)
    return path


def test_blocks_hold_whole_sites_in_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "BLOCK_CLIENTS", 4)
    rows: list[tuple[Any, Any, int | None]] = [(site, client, client % 3) for site in "dacb" for client in range(2)]
    rows += [("a", 0, 2), ("b", None, 0), (None, 1, 0), ("x", None, 0)]
    source = EventFile(events(tmp_path / "e.parquet", rows), (DAILY,), Columns(), site_clients=3)
    assert (source.clients, source.days) == (8, (20_454, 20_457))
    blocks = [source.block(index) for index in range(source.blocks)]
    assert [block.sites for block in blocks] == [("a", "b"), ("c", "d")]
    assert [block.enrolled.tolist() for block in blocks] == [[3, 3], [3, 3]]
    assert [block.table.num_rows for block in blocks] == [5, 4]
    assert set(blocks[1].table["site"].to_pylist()) == {"c", "d"}


def test_a_file_without_sites_is_one_site(tmp_path: Path) -> None:
    path = events(tmp_path / "e.parquet", [("a", 1, 0), ("b", 1, 0), ("b", 2, 1)])
    source = EventFile(path, (DAILY,), Columns(site=None))
    block = source.block(0)
    assert (source.blocks, block.sites, block.enrolled.tolist()) == (1, (ONE_SITE,), [DEFAULT_SITE_CLIENTS])
    assert (source.from_events, EventFile(path, (DAILY,), Columns()).from_events) == (("days",), ("days", "sites"))
    with pytest.raises(TooManyClients, match="site 'site' has 2 clients in the events, but each site declares 1"):
        EventFile(path, (DAILY,), Columns(site=None), site_clients=1).block(0)


@pytest.mark.parametrize("row", [("a", None, 0), (None, 1, 0), ("a", 1, None)])
def test_a_file_in_which_nothing_can_be_counted_is_refused(tmp_path: Path, row: tuple[Any, Any, int | None]) -> None:
    path = events(tmp_path / "e.parquet", [row])
    with pytest.raises(FleetImpossible, match="no event has a client, a site and a time"):
        EventFile(path, (DAILY,), Columns()).block(0)
