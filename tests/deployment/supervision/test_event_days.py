"""Which days a backfill finds in the events of the sites here, whatever kind of source they have."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deployment.errors import UsageError
from deployment.local.supervision.preparation import _days
from edge_client.event_log.log import EventLog
from tests.edge_client.making import HOURLY, VIEW

SITE = 'site = "a"\nclients = 10\nkeys = "k"\nledger = "l"\npolicy = "p"\n[source]\n'
TIMES = ["2020-05-01T10:00:00", "2020-05-01T23:00:00", "2020-05-03T04:00:00"]


def days_of(folder: Path, source: str) -> list[int]:
    (folder / "sites").mkdir()
    (folder / "sites" / "a.toml").write_text(SITE + source)
    first = 18_383  # 2020-05-01
    return sorted({day - first for day in _days(folder, "a", [VIEW, HOURLY]).tolist()})


def test_the_days_of_files_whose_times_are_mapped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"w": ["p", "q", "r"], "when": TIMES, "k": ["x", "y", "x"]}), tmp_path / "e.parquet")
    columns = '[source.columns]\nwho = {from = "w"}\nt = {from = "when", type = "time", zone = "America/New_York"}\n'
    found = days_of(tmp_path, f'url = "../e.parquet"\nclient = "who"\ntime = "t"\n{columns}')
    assert found == [0, 1, 2]  # 23:00 in New York is the next day in UTC


def test_the_days_of_an_event_log(tmp_path: Path) -> None:
    with EventLog(tmp_path / "e.log", client="who", time="t") as log:
        log.append([{"who": "p", "t": time, "k": "x"} for time in TIMES])
    assert days_of(tmp_path, f'url = "log://{tmp_path}/e.log"\nclient = "who"\ntime = "t"\n') == [0, 2]


@pytest.mark.skipif(find_spec("adbc_driver_sqlite") is None, reason="adbc_driver_sqlite is not installed")
def test_the_days_of_a_table(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "e.db")) as db, db:
        db.execute("CREATE TABLE events (who TEXT, t TEXT, k TEXT)")
        db.executemany("INSERT INTO events VALUES ('p', ?, 'x')", [(time,) for time in TIMES])
    source = f'url = "sqlite://{tmp_path}/e.db?table=events"\nclient = "who"\ntime = "t"\n'
    assert days_of(tmp_path, source) == [0, 2]


def test_a_stream_is_not_read_for_its_days(tmp_path: Path) -> None:
    source = 'url = "kafka://127.0.0.1:9/t"\nclient = "who"\ntime = "t"\n[source.columns]\nwho = "text"\nt = "time"\n'
    with pytest.raises(UsageError, match="which is not read for the days"):
        days_of(tmp_path, source + '[source.log]\npath = "a.log"\n')
