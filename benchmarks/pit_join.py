"""Point-in-time joins of Covey and Feast: Feast's file store (dask, pandas) and DuckDB store, on the same Parquet.

    python -m benchmarks.pit_join [--labels 1000000] [--rows 10000000]

Three hourly views of 10,000 keys share `--rows`; labels have random keys and times, some before the first row and some
beyond the ttl of the last. Feast reads one Parquet file a view with the same rows (its timestamp is `released_at`, which is
the pane's end here, so that both count the ttl alike) and gives the same columns. Each join reads labels on disk and writes
joined labels to disk, in its own process, on the same files. Imports and registration do not count; memory is the peak of the
process (VmHWM). Feast is installed into a temporary environment. A sample of the labels must have equal values.

A peer that dies or takes more than 5 minutes runs again on a quarter of the labels and rows, then on a sixteenth …, and so does
Covey. Its memory is limited to three quarters of the available memory.

* `speedup`: seconds of the faster peer over ours, among the peers that finish the largest share; `speedup_…` of each peer.
* `peak_rss_ratio`: our peak over that peer's, on the same share of the data.
* `max_rss_mb`: our peak under `--memory-limit 1GiB`, on the whole data; `limited_seconds` is the time of that run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count, Mean
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.release import Release
from featurestore.publish.publish import Publisher
from simulations.measuring import print_figures
from tests.featurestore.making import manifest_of

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
KEYS: Final = [f"k{i:05d}" for i in range(10_000)]
VIEWS: Final = ("arrivals", "departures", "weather")
FEATURES: Final = ("events", "delay_mean")
TTL_DAYS: Final = 1
PEER: Final = Path(__file__).with_name("pit_join_peer.py")
PEER_PACKAGE: Final = "feast[duckdb]>=0.66"
PEERS: Final = ("dask", "duckdb")
PEER_SECONDS: Final = 300
SAMPLE: Final = 20_000

OURS: Final = """
import json, sys, time
from pathlib import Path
import psutil, pyarrow.parquet, featurestore.store
from covey.cli import main
started = time.perf_counter()
try:
    main()
except SystemExit as done:
    if done.code:
        raise
seconds = time.perf_counter() - started
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024}))
"""


@dataclass(frozen=True)
class Run:
    """One join: wall seconds, and the process's peak of resident memory in MB."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Compared:
    """A peer's run and ours, on the same `1 / share` of labels and rows."""

    peer: str
    share: int
    theirs: Run
    ours: Run

    @property
    def speedup(self) -> float:
        """How many times as long the peer takes."""
        return self.theirs.seconds / self.ours.seconds


class Data:
    """The store, the labels and Feast's files in one folder."""

    def __init__(self, folder: Path, labels: int, rows: int) -> None:
        self.folder, self.labels = folder, labels
        self.panes = max(1, rows // len(VIEWS) // len(KEYS))
        folder.mkdir()
        random = np.random.default_rng(0)
        with Publisher(folder, lambda: 0) as publisher:
            for name in VIEWS:
                _publish(publisher, _view(name), self.panes, random)
        for name in VIEWS:
            self._write_for_peers(name)
        columns = {
            "key": np.array(KEYS)[random.integers(0, len(KEYS), labels)],
            "event_timestamp": pa.array(
                random.integers(-DAY, self.panes * HOUR + 2 * DAY, labels), pa.timestamp("us", "UTC")
            ),
            "row": np.arange(labels),
        }
        pq.write_table(pa.table(columns), folder / "labels.parquet")

    @property
    def rows(self) -> int:
        """Of all views together."""
        return self.panes * len(KEYS) * len(VIEWS)

    def _write_for_peers(self, name: str) -> None:
        columns = [f"{feature}{companion}" for feature in FEATURES for companion in ("", "__se", "__status")]
        columns.append("delay_mean__n")
        target = None
        for file in sorted((self.folder / "store" / "offline" / name).glob("**/*.parquet")):
            rows = pq.ParquetFile(file).read(["key", "released_at", *columns])
            plain = [
                pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
                for field in rows.schema
            ]
            target = target or pq.ParquetWriter(self.folder / f"{name}.parquet", pa.schema(plain))
            target.write_table(rows.cast(pa.schema(plain)))
        if target is not None:
            target.close()


def _view(name: str) -> FeatureView:
    return FeatureView(
        name,
        entity=Entity("key", domain=KEYS),
        features=[Count("events"), Mean("delay", clip=(0, 100), resolution=1.0)],
        pane="1h",
        ttl=f"{TTL_DAYS}d",
        bounds=Bounds(max_cells=1),
        privacy=Privacy(rho=0.5, min_clients=2),
        release_delay="0s",
    )


def _publish(publisher: Publisher, view: FeatureView, panes: int, random: np.random.Generator) -> None:
    layout, manifest = layout_of(view), manifest_of(view)
    publisher.register(view)
    for first in range(0, panes, 24):
        releases = []
        for start in range(first * HOUR, min(panes, first + 24) * HOUR, HOUR):
            slots = random.integers(0, 1_000, (layout.keys, layout.slots_per_key))
            releases.append(Release(manifest, start, start + HOUR, start + HOUR, start + HOUR, "replay", slots))
        publisher.publish(releases)


def ours(data: Data, *options: str) -> Run:
    """`covey join`."""
    folder = str(data.folder)
    words = [
        "join",
        f"{folder}/labels.parquet",
        "--time",
        "event_timestamp",
        "--store",
        folder,
        "--full-names",
        "--no-intervals",  # the columns that Feast joins, too
        "--json",
    ]
    words += ["--out", f"{folder}/covey.parquet", *options]
    for ref in (f"{view}:{feature}" for view in VIEWS for feature in FEATURES):
        words += ["-f", ref]
    try:
        return _run([sys.executable, "-c", OURS, *words], None)
    except subprocess.CalledProcessError as died:
        raise SystemExit(f"covey join died ({died.returncode}): {died.stderr}") from None


def peers(data: Data, python: Path, kind: str) -> Run:
    """Feast's join with one of its offline stores."""
    words = [str(python), str(PEER), kind, str(data.folder), "key", str(TTL_DAYS * 86_400), *VIEWS]
    return _run(words, PEER_SECONDS, psutil.virtual_memory().available // 4 * 3)


def _run(words: list[str], seconds: float | None, memory: int | None = None) -> Run:
    def limit() -> None:
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    environment = os.environ | {"FEAST_USAGE": "False"}
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, timeout=seconds, preexec_fn=limit, env=environment
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Run(figures["seconds"], figures["peak_mb"])


def require_equal(folder: Path, peer: str) -> None:
    """SystemExit unless a sample of the labels has the same numbers in both files.

    Feast's file store leaves out a label for which a view has no row within the ttl: we must have none either.
    """
    names = [f"{view}__{feature}{more}" for view in VIEWS for feature in FEATURES for more in ("", "__se")]
    names += [f"{view}__delay_mean__n" for view in VIEWS]
    mine = pq.read_table(folder / "covey.parquet", columns=names)
    theirs = pq.read_table(folder / f"{peer}.parquet", columns=["row", *names])
    left_out = np.setdiff1d(np.arange(mine.num_rows), theirs["row"])
    sample = np.random.default_rng(1).integers(0, theirs.num_rows, min(SAMPLE, theirs.num_rows))
    if theirs.num_rows + len(left_out) != mine.num_rows:
        raise SystemExit(f"{peer} gives {theirs.num_rows:,} rows for {mine.num_rows:,} labels, some twice")
    found = np.zeros(mine.num_rows, dtype=bool)
    for name in names:
        own = np.asarray(mine[name].cast(pa.float64()))
        found |= ~np.isnan(own)
        other = np.asarray(theirs[name].cast(pa.float64()))
        if not np.array_equal(own[theirs["row"]][sample], other[sample], equal_nan=True):
            raise SystemExit(f"{peer} and we differ in {name}")
    if found[left_out].any() or not found.any():
        raise SystemExit(f"{peer} leaves labels out for which there are rows")


def compared(peer: str, python: Path, whole: Data, scratch: Path, own: dict[int, Run]) -> Compared | None:
    """A peer against us, on the largest share of the data that it manages; None if it manages none."""
    for share in (1, 4, 16, 64):
        data = whole if share == 1 else Data(scratch / f"{peer}-{share}", whole.labels // share, whole.rows // share)
        if share not in own:
            own[share] = ours(data)
        elif share > 1:
            ours(data)  # its file, to compare with
        try:
            theirs = peers(data, python, peer)
        except subprocess.TimeoutExpired:
            print(f"{peer}: more than {PEER_SECONDS} s for 1/{share} of the data", file=sys.stderr)
        except subprocess.CalledProcessError as died:
            last = (died.stderr or "").strip().splitlines()[-1:]
            print(f"{peer}: died on 1/{share} of the data ({died.returncode}): {last}", file=sys.stderr)
        else:
            require_equal(data.folder, peer)
            return Compared(peer, share, theirs, own[share])
    return None


def peer_python(folder: Path, package: str) -> Path:
    """The Python of a fresh environment with Feast in it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    subprocess.run(install, check=True, timeout=1_200)
    return python


def main() -> None:
    """Print the table and, last, one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--labels", type=int, default=1_000_000)
    options.add_argument("--rows", type=int, default=10_000_000, help="of the three views together")
    options.add_argument("--peer-python", type=Path, help="of an environment that has Feast; default: one is made")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="covey-join-") as name:
        scratch = Path(name)
        python = given.peer_python or peer_python(scratch / "venv", PEER_PACKAGE)
        data = Data(scratch / "data", given.labels, given.rows)
        limited = ours(data, "--memory-limit", "1GiB")
        own = {1: ours(data)}
        runs = [run for peer in PEERS if (run := compared(peer, python, data, scratch, own)) is not None]
    table = Table("join", "labels", "rows", "seconds", "peak MB", "ours is faster", title="Point-in-time join, 3 views")
    whole = (f"{data.labels:,}", f"{data.rows:,}")
    table.add_row("covey, 1 GiB", *whole, f"{limited.seconds:.2f}", f"{limited.peak_mb:,.0f}", "")
    table.add_row("covey", *whole, f"{own[1].seconds:.2f}", f"{own[1].peak_mb:,.0f}", "")
    for run in runs:
        size = (f"{data.labels // run.share:,}", f"{data.rows // run.share:,}")
        if run.share > 1:
            table.add_row("covey", *size, f"{run.ours.seconds:.2f}", f"{run.ours.peak_mb:,.0f}", "")
        seconds, peak = f"{run.theirs.seconds:.2f}", f"{run.theirs.peak_mb:,.0f}"
        table.add_row(f"Feast, {run.peer}", *size, seconds, peak, f"{run.speedup:.1f} ×")
    Console().print(table)
    nearest = min(runs, key=lambda run: (run.share, run.speedup), default=None)
    figures: dict[str, Any] = {
        "labels": data.labels,
        "rows": data.rows,
        "seconds": round(own[1].seconds, 2),
        "peak_rss_mb": round(own[1].peak_mb),
        "limited_seconds": round(limited.seconds, 2),
        "max_rss_mb": round(limited.peak_mb),
        "speedup": None if nearest is None else round(nearest.speedup, 2),
        "peak_rss_ratio": None if nearest is None else round(nearest.ours.peak_mb / nearest.theirs.peak_mb, 3),
    }
    for run in runs:
        figures |= {
            f"speedup_{run.peer}": round(run.speedup, 2),
            f"seconds_{run.peer}": round(run.theirs.seconds, 2),
            f"peak_rss_mb_{run.peer}": round(run.theirs.peak_mb),
            f"share_{run.peer}": f"1/{run.share}",
        }
    print_figures(figures)


if __name__ == "__main__":
    main()
