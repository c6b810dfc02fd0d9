"""Write the report of a run or a sweep as one self-contained page, from the files in its folder.

    RUN/run.json, RUN/values.parquet                   ──► RUN/report.html
    SWEEP/sweep.json, SWEEP/<folder of a run>/run.json ──► SWEEP/report.html

The report of a failed run shows the error. A field that a file lacks is shown as missing. A file that holds no JSON object
raises RunUnreadable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from simulations.errors import RunUnreadable

from .page import write_page
from .plots import require_renderers
from .recorded import Record
from .run_page import run_page
from .sweep_page import sweep_page

RUN, SWEEP, VALUES, REPORT = "run.json", "sweep.json", "values.parquet", "report.html"
PART: Final = ".part"
"""The end of the name of a folder that is not complete."""
MAX_JSON_BYTES: Final = 2**28


def write_run_report(folder: Path) -> None:
    """Write `report.html` into a run's folder.

    Raises:
        RunUnreadable. UsageError: matplotlib or Jinja2 is not installed.
    """
    require_renderers()
    values = folder / VALUES
    write_page(folder / REPORT, run_page(read_record(folder / RUN), values if values.is_file() else None))


def write_sweep_report(folder: Path) -> None:
    """Write `report.html` into a sweep's folder. The page names runs without a record.

    Raises:
        RunUnreadable: the record of the sweep is unreadable. UsageError: matplotlib or Jinja2 is not installed.
    """
    require_renderers()
    sweep = read_record(folder / SWEEP)
    runs = [_run_of(folder, planned) for planned in sweep.parts("runs")]
    write_page(folder / REPORT, sweep_page(sweep, runs))


def _run_of(folder: Path, planned: Record) -> Record | None:
    """Return the record of a planned run; None if the sweep's folder has no record of it."""
    path = folder / planned.text("folder", "") / RUN
    if not path.resolve().is_relative_to(folder.resolve()):
        return None
    try:
        return read_record(path)
    except RunUnreadable:
        return None


def read_record(path: Path, most_bytes: int = MAX_JSON_BYTES) -> Record:
    """Read a record. Raises RunUnreadable."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise RunUnreadable(path, f"it has more than {most_bytes:,} bytes")
        stored: Any = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise RunUnreadable(path, str(error)) from None
    if not isinstance(stored, dict):
        raise RunUnreadable(path, "it holds no JSON object")
    return Record(stored)
