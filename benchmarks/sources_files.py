"""A growing folder of 400 Parquet files: the first plan, which counts all events, and the plans after it, which read the new ones.

Beside them the same rows by DuckDB and by Arrow's datasets, which read the folder for each question. They know neither clients nor
late events.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from base.times import wall_clock
from edge_client.sources.files.open_files import OpenFiles
from edge_client.sources.source import FilesSource
from edge_client.sources.surroundings import Surroundings
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Mean
from featurestore.define.privacy import Bounds, Privacy
from federation.plan import PlannedView
from simulations.measuring import PROCESS, WALL, peak_since, start_of_peak

from .sources_log import START_US, events

FILES: Final = 400
ROWS: Final = 50_000
"""Of a file: an hour of events."""
HOUR: Final = 3_600 * 10**6
FIRST: Final = START_US - START_US % HOUR
NEW: Final = 10
"""Files that come later, one before each plan."""
LAST: Final = FIRST + (FILES + NEW - 1) * HOUR
VIEW: Final = FeatureView(
    "delays",
    entity=Entity("dest", domain=["A00", "A01"]),
    pane="1h",
    features=(Mean("delay", clip=(0, 60)),),
    bounds=Bounds(1),
    privacy=Privacy(rho=0.1),
)


def file_figures() -> dict[str, Any]:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for hour in range(FILES):
            _write(folder, hour)
        source = OpenFiles(
            FilesSource(url=name, client="tailnum", time="at", path=folder),
            Surroundings("a", lambda: wall_clock() + 60 * 10**6),  # the files have not changed for a minute
        )
        before, wall, cpu = start_of_peak(), WALL(), PROCESS()
        read = source.read([_plan(FILES - 1)]).table.num_rows
        first = {"wall": FILES * ROWS / (WALL() - wall), "cpu": FILES * ROWS / (PROCESS() - cpu)}
        peak = peak_since(before)
        assert read == ROWS
        plans, busy = [], []
        for hour in range(FILES, FILES + NEW):
            _write(folder, hour)
            wall, cpu = WALL(), PROCESS()
            assert source.read([_plan(hour)]).table.num_rows == ROWS
            plans.append(1_000 * (WALL() - wall))
            busy.append(1_000 * (PROCESS() - cpu))
        peers = {"DuckDB": _duckdb(folder), "Arrow datasets": _dataset(folder)}
    table = Table(
        "", "first plan, events/s", "events/s a core", "next plan, ms", title=f"{FILES} files of {ROWS:,} events"
    )
    table.add_row("a site", f"{first['wall']:,.0f}", f"{first['cpu']:,.0f}", f"{median(plans):.1f}")
    for peer, ms in peers.items():
        table.add_row(peer, "", "", f"{ms:.1f}")
    Console().print(table)
    return {
        "glob_events_per_second": round(first["cpu"]),
        "glob_events_per_second_wall": round(first["wall"]),
        "glob_plan_ms": round(median(plans), 1),
        "glob_plan_cpu_ms": round(median(busy), 1),
        "glob_plan_ms_max": round(max(plans), 1),
        "glob_peak_mb": None if peak is None else round(peak / 1e6),
        **{f"glob_{peer.split()[0].lower()}_ms": round(ms, 1) for peer, ms in peers.items()},
    }


def _write(folder: Path, hour: int) -> None:
    rows = events(ROWS, hour * ROWS)
    times = FIRST + hour * HOUR + np.arange(ROWS) * (HOUR // ROWS)
    place = rows.column_names.index("at")
    pq.write_table(
        rows.set_column(place, "at", pa.array(times, pa.timestamp("us", "UTC"))), folder / f"{hour:04}.parquet"
    )


def _plan(hour: int) -> PlannedView:
    return PlannedView(VIEW, np.array([FIRST + hour * HOUR]), min_clients=1)


def _duckdb(folder: Path) -> float:
    query = f"""SELECT tailnum, "at", dest, delay FROM '{folder}/*.parquet' WHERE "at" >= make_timestamptz({LAST})"""
    with duckdb.connect() as db:
        return _median_ms(lambda: db.sql(query).to_arrow_table().num_rows)


def _dataset(folder: Path) -> float:
    at = pa.scalar(LAST, pa.timestamp("us", "UTC"))

    def read() -> int:
        found = ds.dataset(folder, format="parquet").to_table(
            ["tailnum", "at", "dest", "delay"], filter=pc.field("at") >= at
        )
        return int(found.num_rows)

    return _median_ms(read)


def _median_ms(read: Any) -> float:
    times = []
    for _ in range(5):
        wall = WALL()
        assert read() == ROWS
        times.append(1_000 * (WALL() - wall))
    return median(times)
