"""`covey lab report`: run a set of experiments, each once, and write the results.

    OUT/experiments/<name>.json   one experiment: its settings, and its points or its error
    OUT/results.parquet           one row a point
    OUT/report.json               all experiments, and the sentences of the report
    OUT/report.html, figure-*.png

An interrupted run continues with the next experiment. A finished experiment is kept unless its settings change.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from base.atomic_files import replace_file, replaced_file
from deployment.errors import UsageError
from simulations.experiments.provenance import git, versions
from simulations.reports.page import write_page
from simulations.reports.plots import require_renderers, write_png
from simulations.shards.workers import Workers

from .config import ReportConfig
from .items import FinishedItem, ItemResult, Point, ReportItem, experiments_of
from .page import paper
from .running import run_experiment

Progress = Callable[[str, float, float], None]
"""Called with (name of the experiment, seconds done, seconds in all)."""
_MAX_KEPT_BYTES: Final = 2**26


@dataclass(frozen=True)
class Report:
    """A written report."""

    page: Path
    failed: tuple[str, ...]
    readings: tuple[str, ...]
    seconds: float


def make_report(
    name: str, config: ReportConfig, out: Path, workers: Workers, progress: Progress = lambda *_: None
) -> Report:
    """Run the experiments that are not done yet, and write the report.

    Args:
        name: name of the set, as the user gave it.
        out: folder of the report; it is made if it does not exist.

    Raises:
        UsageError: `out` is a file, or matplotlib is not installed.
    """
    require_renderers()
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out={out} is a file, but a report is a folder. Choose another --out")
    (out / "experiments").mkdir(parents=True, exist_ok=True)
    start, terms = time.monotonic(), _terms()
    every = list(experiments_of(config))
    total, before, done = sum(one.weight for one in every), 0.0, []
    for experiment in every:
        progress(experiment.name, before, total)
        path = out / "experiments" / f"{experiment.name}.json"
        kept = _kept(path, experiment)
        if kept is None:
            kept = _run(experiment, workers, _within(progress, experiment, before, total))
            _write_json(path, _as_dict(kept))
        done.append(kept)
        before += experiment.weight
        progress(experiment.name, before, total)
    return _write(name, config, out, done, terms, start)


def _terms() -> dict[str, Any]:
    """Return the revision, the versions and the machine, for the page."""
    load = round(os.getloadavg()[0], 1)
    machine = {"cores": len(os.sched_getaffinity(0)), "kind": platform.machine(), "load": load}
    return {"git": git(), "versions": versions(), "machine": machine}


def _within(progress: Progress, experiment: ReportItem, before: float, total: float) -> Callable[[float], None]:
    return lambda part: progress(experiment.name, before + experiment.weight * part, total)


def _run(experiment: ReportItem, workers: Workers, progress: Callable[[float], None]) -> FinishedItem:
    start, code = time.monotonic(), git()
    revision = None if code is None else str(code["revision"]) + ("+" if code["dirty"] else "")
    try:
        outcome = run_experiment(experiment, workers, progress)
    except Exception as error:  # noqa: BLE001 - the report names the failure, and the others run
        told = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return FinishedItem(experiment, None, told, time.monotonic() - start, revision)
    return FinishedItem(experiment, outcome, None, time.monotonic() - start, revision)


def _kept(path: Path, experiment: ReportItem) -> FinishedItem | None:
    """Return the stored experiment of an earlier run if it has the same settings and no error; otherwise None."""
    try:
        if path.stat().st_size > _MAX_KEPT_BYTES:
            return None
        stored = _from_json(json.loads(path.read_bytes()))
        if stored["asked"] != dict(experiment.asked) or stored["error"] is not None:
            return None
        points = tuple(Point(**point) for point in stored["points"])
        return FinishedItem(
            experiment, ItemResult(points, stored["extra"]), None, float(stored["seconds"]), stored["revision"]
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _as_dict(done: FinishedItem) -> dict[str, Any]:
    return {
        "name": done.item.name,
        "asked": done.item.asked,
        "points": [] if done.outcome is None else [asdict(point) for point in done.outcome.points],
        "extra": {} if done.outcome is None else done.outcome.extra,
        "error": done.error,
        "seconds": done.seconds,
        "revision": done.revision,
    }


def _write(
    name: str, config: ReportConfig, out: Path, done: list[FinishedItem], terms: dict[str, Any], start: float
) -> Report:
    made = paper(name, config, done, terms)
    _write_results(done, out / "results.parquet")
    for figure in made.figures:
        write_png(figure.panels, figure.legend, out / f"figure-{figure.number}.png")
    for leftover in out.glob("figure-*.png"):
        if leftover.name not in {f"figure-{figure.number}.png" for figure in made.figures}:
            leftover.unlink()
    failed = tuple(one.item.name for one in done if one.error is not None)
    experiments = [_as_dict(one) for one in done]
    _write_json(
        out / "report.json",
        {
            "report": name,
            "config": asdict(config),
            "terms": terms,
            "readings": made.readings,
            "failed": failed,
            "experiments": experiments,
        },
    )
    write_page(out / "report.html", made.page)
    return Report(out / "report.html", failed, tuple(made.readings), time.monotonic() - start)


def _write_results(done: list[FinishedItem], path: Path) -> None:
    rows = [
        {"experiment": one.item.name, **asdict(point)}
        for one in done
        if one.outcome is not None
        for point in one.outcome.points
    ]
    kinds = {"str": pa.string(), "float": pa.float64(), "float | None": pa.float64(), "int": pa.int64()}
    columns = [pa.field(one.name, kinds[str(one.type)]) for one in fields(Point)]
    with replaced_file(path, private=False, durable=False) as file:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([pa.field("experiment", pa.string()), *columns])), file)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically. Numbers that JSON lacks become the texts `Infinity`, `-Infinity` and `NaN`."""
    text = json.dumps(_to_json(content), allow_nan=False, ensure_ascii=False, indent=1)
    replace_file(path, text, private=False, durable=False)


def _to_json(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        case dict():
            return {str(key): _to_json(one) for key, one in value.items()}
        case list() | tuple():
            return [_to_json(one) for one in value]
    return value


def _from_json(value: Any) -> Any:
    match value:
        case "NaN" | "Infinity" | "-Infinity":
            return float(value)
        case dict():
            return {key: _from_json(one) for key, one in value.items()}
        case list():
            return [_from_json(one) for one in value]
    return value
