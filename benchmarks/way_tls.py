"""What TLS costs a run over real processes: runs with and without it in turn, and the ratio of their median wall times."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from base.times import from_us, wall_clock
from deployment.local import processes_run as wire
from deployment.project.certificates import make_certificates, own_roles
from deployment.project.fleet import CreateKeys, EventColumns
from deployment.request import CollectionRequest
from federation.keys import RoleKeys, create_folder

ROUNDS = 5


def compare_tls(request: CollectionRequest, table: pa.Table, columns: EventColumns) -> dict[str, object]:
    """Wall seconds of each run with TLS and without, and the ratio of the medians. One run before them warms the caches."""
    _seconds(request, table, columns, create_folder)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * ROUNDS):
        tls = number % 4 in (0, 3)  # with, without, without, with: a slow drift of the machine counts for both
        seconds[tls].append(_seconds(request, table, columns, _with_certificates if tls else create_folder))
    ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
    return {
        "tls_overhead": round(ratio, 3),
        "with_tls_s": [round(one, 2) for one in seconds[True]],
        "clear_text_s": [round(one, 2) for one in seconds[False]],
    }


def _seconds(request: CollectionRequest, table: pa.Table, columns: EventColumns, keys: CreateKeys) -> float:
    with tempfile.TemporaryDirectory(prefix="covey-way-tls-") as scratch:
        start = time.perf_counter()
        wire.run_over_wire(request, table, Path(scratch), columns, progress=lambda *_: None, create_keys=keys)
        return time.perf_counter() - start


def _with_certificates(folder: Path, keys: Iterable[RoleKeys]) -> None:
    """Make the folder of a run's keys with certificates, as `covey init` does."""
    create_folder(folder, keys)
    make_certificates(folder, own_roles(folder), (), from_us(wall_clock()))
