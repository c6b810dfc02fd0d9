"""Run a single run or a sweep into a folder, or resume one. A failed run of a sweep does not stop the others."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from base.disk import is_full
from base.errors import USAGE, exit_code
from base.private_files import private_folder
from deployment.errors import UsageError
from simulations.errors import DiskFull
from simulations.levels.collect import Collection
from simulations.reports.folder_pages import write_run_report, write_sweep_report

from . import folder as folders
from .config import Composer, Resolved, composer
from .experiment import AttackRun, Experiment, RunResult, prepare, run, workers_of
from .provenance import git, versions
from .ray_workers import RayWorkers
from .results import row_of, write_results
from .sweep import Planned, SweepBlock, load, plan

Progress = Callable[[str, str, int, int], None]
"""Called with (run, step, done, total)."""


@dataclass(frozen=True)
class PlannedRuns:
    """A run or a sweep, checked and ready.

    Attributes:
        sweep: name of the sweep; None for a single run.
    """

    folder: Path
    planned: tuple[Planned, ...]
    experiments: tuple[Experiment, ...]
    sweep: str | None


@dataclass(frozen=True)
class FinishedRuns:
    """The results of a run or a sweep.

    Attributes:
        runs: run.json of each run, in order; a single run has one.
    """

    asked: PlannedRuns
    runs: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> list[tuple[Planned, str]]:
        """Return the failed runs, each with its error."""
        pairs = zip(self.asked.planned, self.runs, strict=True)
        return [(planned, run["error"]) for planned, run in pairs if run["status"] == "failed"]

    @property
    def released(self) -> bool:
        """Return whether the runs opened a pane or ran an attack."""
        return any(
            run["attack"] or any(view["opened"] for view in (run["summary"] or {}).get("views", {}).values())
            for run in self.runs
        )


@contextmanager
def plan_runs(
    overrides: Sequence[str], *, multirun: bool = False, sweep: str | None = None, out: Path | None = None
) -> Iterator[PlannedRuns]:
    """Plan the run or sweep of these overrides. Every run is checked before the first starts.

    Raises:
        UsageError, ItemMissing, and the errors of `prepare`; the error of a sweep names the run.
    """
    with composer() as of, tempfile.TemporaryDirectory(prefix="covey-lab-") as scratch:
        block = load(sweep) if sweep is not None else SweepBlock(())
        if multirun or sweep is not None:
            planned = plan(of, block, overrides)
            name = block.name or (Path(sweep).stem if sweep is not None else "sweep")
        else:
            planned, name = [_single(of, overrides)], None
        experiments = _prepared(planned, Path(scratch), of_sweep=name is not None)
        folder = folders.new_folder(out, _folder_name(name or _name(experiments[0])), datetime.now(UTC))
        yield PlannedRuns(folder, tuple(planned), tuple(experiments), name)


@contextmanager
def resume_runs(folder: Path) -> Iterator[PlannedRuns]:
    """Plan the rest of a run or sweep that was begun in a folder.

    Raises:
        ItemMissing: the folder holds no run. UsageError: the folder is damaged. Also the errors of `plan_runs`.
    """
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    with composer() as of, tempfile.TemporaryDirectory(prefix="covey-lab-") as scratch:
        if (folder / folders.SWEEP).is_file():
            name, planned = _planned_sweep(of, folder / folders.SWEEP)
        else:
            name, planned = None, [_single(of, folders.planned_overrides(folder))]
        experiments = _prepared(planned, Path(scratch), of_sweep=name is not None)
        yield PlannedRuns(folder, tuple(planned), tuple(experiments), name)


def carry_out(what: PlannedRuns, workers: int | None, progress: Progress) -> FinishedRuns:
    """Run the runs that are not done yet.

    Raises:
        DiskFull: finished runs are kept. The error of a single run; `FinishedRuns` holds the errors of a sweep.
    """
    ray: list[RayWorkers] = []
    try:
        if what.sweep is None:
            return FinishedRuns(what, (_run_if_needed(what, 0, what.folder, workers, ray, progress),))
        return _sweep(what, workers, ray, progress)
    except OSError as error:
        if is_full(error):
            raise DiskFull(what.folder) from None
        raise
    finally:
        for one in ray:
            one.close()


def _sweep(what: PlannedRuns, workers: int | None, ray: list[RayWorkers], progress: Progress) -> FinishedRuns:
    results: list[dict[str, Any] | None] = [None] * len(what.planned)
    what.folder.parent.mkdir(parents=True, exist_ok=True)
    private_folder(what.folder)
    _write_sweep(what, results)
    progress("sweep", "runs", 0, len(results))
    for at in range(len(results)):
        results[at] = _run_if_needed(what, at, run_folder(what, at), workers, ray, progress)
        _write_sweep(what, results)
        progress("sweep", "runs", at + 1, len(results))
    runs = [one for one in results if one is not None]
    rows = [row_of(one.number, one.swept, run) for one, run in zip(what.planned, runs, strict=True)]
    write_results(rows, what.folder / folders.RESULTS)
    write_sweep_report(what.folder)
    return FinishedRuns(what, tuple(runs))


def run_folder(what: PlannedRuns, at: int) -> Path:
    """Return the folder of a run of a sweep."""
    return what.folder / folders.RUNS / f"{what.planned[at].number:03d}"


def _run_if_needed(
    what: PlannedRuns, at: int, folder: Path, workers: int | None, ray: list[RayWorkers], progress: Progress
) -> dict[str, Any]:
    if folders.is_done(folder):
        return folders.read_json(folder / folders.RUN)
    experiment = what.experiments[at]
    part = folders.begin(folder, experiment.resolved.overrides)
    started, start = datetime.now(UTC), time.perf_counter()
    outcome: RunResult | None = None
    failures: list[Exception] = []
    with _caught(failures, what.folder):
        by = ray[0] if ray and experiment.resolved.ray is not None else workers_of(experiment, workers)
        if isinstance(by, RayWorkers) and not ray:
            ray.append(by)
        outcome = run(experiment, part, by, lambda step, done, total: progress("run", step, done, total))
    record = _record(experiment.resolved, started, time.perf_counter() - start, outcome, failures)
    folders.write_json(part / folders.RUN, record)
    with _caught(failures, what.folder):
        write_run_report(part)
    record |= _state(failures)
    folders.write_json(part / folders.RUN, record)
    folders.finish(folder)
    if failures and what.sweep is None:
        raise failures[0]
    return record


@contextmanager
def _caught(failures: list[Exception], folder: Path) -> Iterator[None]:
    """Catch every error of a run, so that the others continue. A full disk stops all."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - recorded for the run of a sweep, raised for a single run
        if is_full(error):
            raise DiskFull(folder) from None
        failures.append(error)


def _record(
    resolved: Resolved, started: datetime, seconds: float, outcome: RunResult | None, failures: list[Exception]
) -> dict[str, Any]:
    """Make the content of run.json."""
    return {
        "config": resolved.tree,
        "overrides": list(resolved.overrides),
        "git": git(),
        "versions": versions(),
        "started_at": started.isoformat(timespec="seconds"),
        "seconds": seconds,
        **_state(failures),
        "attack": None if outcome is None else outcome.attack,
        "lie": None if outcome is None else outcome.lie,
        "summary": None if outcome is None else outcome.summary,
    }


def _state(failures: list[Exception]) -> dict[str, str | None]:
    return {"status": "failed" if failures else "done", "error": _why(failures[0]) if failures else None}


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if exit_code(error) is not None else f"defect: {type(error).__name__}: {text}"


def _write_sweep(what: PlannedRuns, results: Sequence[dict[str, Any] | None]) -> None:
    """Write sweep.json with the results so far."""
    runs = [
        {
            "number": one.number,
            "folder": f"{folders.RUNS}/{one.number:03d}",
            "overrides": list(one.resolved.overrides),
            "swept": one.swept,
            "status": "planned" if run is None else run["status"],
            "error": None if run is None else run["error"],
        }
        for one, run in zip(what.planned, results, strict=True)
    ]
    folders.write_json(what.folder / folders.SWEEP, {"name": what.sweep, "git": git(), "runs": runs})


def _planned_sweep(of: Composer, path: Path) -> tuple[str, list[Planned]]:
    tree = folders.read_json(path)
    try:
        planned = [
            Planned(int(one["number"]), of.compose(folders.texts(one["overrides"], path)), dict(one["swept"]))
            for one in tree["runs"]
        ]
        return str(tree["name"]), planned
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {type(error).__name__}: {error}") from None


def _single(of: Composer, overrides: Sequence[str]) -> Planned:
    for text in overrides:
        if of.sweeps(text):
            raise UsageError(f"{text} names several values: add -m for a sweep")
    return Planned(1, of.compose(overrides), {})


def _prepared(planned: Sequence[Planned], scratch: Path, *, of_sweep: bool) -> list[Experiment]:
    experiments = []
    for one in planned:
        try:
            experiments.append(prepare(one.resolved, scratch))
        except Exception as error:
            if not of_sweep or exit_code(error) != USAGE:
                raise
            swept = ", ".join(f"{name}={value}" for name, value in one.swept.items())
            of = f" ({swept})" if swept else ""
            raise UsageError(f"run {one.number} of {len(planned)}{of}: {error}; nothing was run") from None
    return experiments


def _name(experiment: Experiment) -> str:
    match experiment.what:
        case Collection() as collection:
            return collection.terms.views[0].name
        case AttackRun(name=name):
            return name
    return experiment.what.kind


def _folder_name(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)[:80]
