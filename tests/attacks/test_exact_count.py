"""A reader of a store searches all of its files for the number of clients of a site.

The attacker holds the store that `covey run` leaves and the project's ledgers: everything that a reader, and the operator of
the collector, can see.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.audit.files import places_of

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")

CLIENTS = 421
"""Of the hospital: no other number of the store is like it. Half of them are in each ward, so that no sum comes near it."""
VIEWS = """
from covey import *

stays = FeatureView(
    "stays",
    entity=Entity("ward", domain=["a", "b"]),
    pane="1d",
    features=[ClientCount("patients")],
    bounds=Bounds(max_cells=1),
    privacy=Privacy(rho=0.5, min_clients=5),
)
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`covey run` over a hospital of CLIENTS patients, each with one visit."""
    (folder / "views.py").write_text(VIEWS)
    time = pa.array([1_588_291_200_000_000 + 1_000_000 * who for who in range(CLIENTS)], pa.timestamp("us", "UTC"))
    wards = ["ab"[who % 2] for who in range(CLIENTS)]
    table = pa.table({"who": [f"patient {who}" for who in range(CLIENTS)], "at": time, "ward": wards})
    pq.write_table(table, folder / "events.parquet")
    command = [
        sys.executable, "-m", "covey", "run", "views.py", "--events", "events.parquet", "--client-column", "who",
        "--time-column", "at", "--store", "store", "--budget", "0.6", *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.terminate()  # the run ends its own processes
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize(
    "processes", [("--in-process",), pytest.param((), marks=pytest.mark.long)], ids=["one", "many"]
)
@pytest.mark.parametrize("options", [("--report-per", "site"), ("--protection", "he")], ids=["site", "he"])
def test_no_file_of_a_store_tells_how_many_clients_a_site_has(
    tmp_path: Path, options: tuple[str, ...], processes: tuple[str, ...]
) -> None:
    if "he" in options:
        pytest.importorskip("tenseal", reason="the extra `he` is not installed")
    done = run(tmp_path, *options, *processes)
    assert done.returncode == 0, done.stderr
    found = places_of(tmp_path / "store", CLIENTS)
    assert not found, found
    assert places_of(tmp_path / "store", 1_588_291_200_000_000)  # the pane: this shows that the search reads plans


def test_a_site_with_more_clients_than_are_declared_is_refused_by_name_and_leaves_no_store(tmp_path: Path) -> None:
    done = run(tmp_path, "--report-per", "site", "--site-clients", "400")
    assert done.returncode == 2
    assert "site 'site-0000' has 421 clients in the events, but each site declares 400" in done.stderr
    assert "Declare more, such as 512; see --site-clients N" in done.stderr
    assert places_of(tmp_path / "store", CLIENTS) == []
