"""Reports of runs and sweeps: from what lies in their folders to one page, which stands by itself.

    RUN/run.json, RUN/values.parquet                   ──► RUN/report.html
    SWEEP/sweep.json, SWEEP/<folder of a run>/run.json ──► SWEEP/report.html

A run that failed has a report that says so. What a file should have and has not is told as missing; one that is no JSON
object at all is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from simulations.errors import RunUnreadable

from .page import write_page
from .plots import require_renderers
from .recorded import Recorded
from .run_page import run_page
from .sweep_page import sweep_page

RUN, SWEEP, VALUES, REPORT = "run.json", "sweep.json", "values.parquet", "report.html"
MAX_JSON_BYTES: Final = 2**28


def write_run_report(folder: Path) -> None:
    """Write `report.html` into a run's folder.

    Raises:
        RunUnreadable. UsageError: matplotlib or Jinja2 is not installed.
    """
    require_renderers()
    values = folder / VALUES
    write_page(folder / REPORT, run_page(_read(folder / RUN), values if values.is_file() else None))


def write_sweep_report(folder: Path) -> None:
    """Write `report.html` into a sweep's folder; runs without a record are named.

    Raises:
        RunUnreadable: the sweep's own record. UsageError: matplotlib or Jinja2 is not installed.
    """
    require_renderers()
    sweep = _read(folder / SWEEP)
    runs = [_run_of(folder, planned) for planned in sweep.parts("runs")]
    write_page(folder / REPORT, sweep_page(sweep, runs))


def _run_of(folder: Path, planned: Recorded) -> Recorded | None:
    """The record of a planned run; None where there is none in the sweep's folder."""
    path = folder / planned.text("folder", "") / RUN
    if not path.resolve().is_relative_to(folder.resolve()):
        return None
    try:
        return _read(path)
    except RunUnreadable:
        return None


def _read(path: Path) -> Recorded:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise RunUnreadable(path, f"over {MAX_JSON_BYTES:,} bytes")
        stored: Any = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise RunUnreadable(path, str(error)) from None
    if not isinstance(stored, dict):
        raise RunUnreadable(path, "it holds no object")
    return Recorded(stored)
