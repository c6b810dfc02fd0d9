"""The runs of a folder of the laboratory, with their settings and results.

    RUN/run.json                                   a run
    SWEEP/sweep.json, SWEEP/runs/001/run.json …    a sweep with its runs
    DIR/report.json                                a named set of experiments, whose page is DIR/report.html

The folder may come from somebody else: links are not followed, records are read up to a size, and a damaged record is named.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from simulations.errors import ReportMissing, RunUnreadable

from .figures import figures
from .folder_pages import PART, REPORT, RUN, SWEEP, read_record
from .recorded import Record

SET: Final = "report.json"
"""The record of a named set of experiments."""
MAX_DEPTH: Final = 5
MAX_FOLDERS: Final = 20_000
MAX_RUNS: Final = 2_000
MAX_RECORD_BYTES: Final = 2**24
MAX_REPORT_BYTES: Final = 2**26
MAX_FIELDS: Final = 500
"""The most settings, and the most results, that are read of one run."""
MAX_HELD_BYTES: Final = 2**25
"""The most bytes of the names and texts of all runs that are read."""
_BYTES_OF_A_TEXT: Final = 64
"""What a text takes beside its characters."""
_MOST_TEXT: Final = 300
_STORES: Final = frozenset({"store", "truth", "honest", "without-proofs", "with-proofs"})
"""Folders of a run that hold no runs."""


@dataclass(frozen=True)
class LabRun:
    """A run.

    Attributes:
        folder: below the folder of the laboratory, with slashes; `.` is this folder itself.
        sweep: the folder of its sweep; None: it is a single run.
        started_at: as recorded, an ISO time.
        settings: by dotted name.
        results: by name, the figures of the run, those that sweeps draw first.
        has_report: whether it has a page.
    """

    folder: str
    sweep: str | None
    status: str
    error: str | None
    started_at: str
    seconds: float | None
    settings: Mapping[str, str]
    results: Mapping[str, float]
    has_report: bool


@dataclass(frozen=True)
class LabReport:
    """A page of several runs: of a sweep, or of a named set of experiments.

    Attributes:
        runs: how many runs, or experiments.
    """

    folder: str
    kind: Literal["sweep", "set"]
    name: str
    runs: int


@dataclass(frozen=True)
class Damaged:
    """A record that cannot be read."""

    folder: str
    why: str


@dataclass(frozen=True)
class LabFolder:
    """What a folder of the laboratory holds.

    Attributes:
        left_out: whether there is more than is read.
    """

    runs: tuple[LabRun, ...]
    reports: tuple[LabReport, ...]
    damaged: tuple[Damaged, ...]
    left_out: bool

    @property
    def common(self) -> Mapping[str, str]:
        """The settings that are the same in all of several runs."""
        if len(self.runs) < 2:
            return {}
        first, *others = (one.settings for one in self.runs)
        return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def read_lab_folder(lab: Path) -> LabFolder:
    """Read every record below a folder; a folder that does not exist is empty."""
    runs, reports, damaged, left_out, held = list[LabRun](), list[LabReport](), list[Damaged](), False, 0
    sweeps = set[str]()
    for at, (folder, files) in enumerate(_folders(lab)):
        if at >= MAX_FOLDERS or len(runs) >= MAX_RUNS:
            left_out = True
            break
        name = folder.relative_to(lab).as_posix()
        try:
            if RUN in files:
                sweep = next((one for one in _above(name) if one in sweeps), None)
                run = _run(name, sweep, read_record(folder / RUN, MAX_RECORD_BYTES), has_report=REPORT in files)
                held += _held_bytes(run)
                if held > MAX_HELD_BYTES:
                    left_out = True
                    break
                runs.append(run)
            elif SWEEP in files:
                sweeps.add(name)
                reports += _report(name, "sweep", "name", "runs", read_record(folder / SWEEP, MAX_RECORD_BYTES), files)
            elif SET in files:
                record = read_record(folder / SET, MAX_RECORD_BYTES)
                reports += _report(name, "set", "report", "experiments", record, files)
        except (RunUnreadable, OverflowError) as error:
            damaged.append(Damaged(_text(name), _text(str(error))))
    return LabFolder(tuple(runs), tuple(reports), tuple(damaged), left_out)


def read_report(lab: Path, folder: str) -> bytes:
    """The page of a run, a sweep or a set. Raises ReportMissing: there is none, or the name leads out of the folder."""
    below = PurePosixPath(folder)
    missing = ReportMissing(folder, MAX_REPORT_BYTES)
    if below.is_absolute() or ".." in below.parts:
        raise missing
    try:
        path = lab.resolve() / below / REPORT
        if path.resolve() != path:  # a link may lead anywhere
            raise missing
        # O_NONBLOCK: opening a pipe must not wait for its writer
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        raise missing from None
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_REPORT_BYTES:
            raise missing
        return file.read(MAX_REPORT_BYTES)


def _folders(lab: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """Each folder with the names of its regular files, by name, a folder before those in it."""
    for at, folders, files in os.walk(lab, followlinks=False):
        path = Path(at)
        depth = len(path.relative_to(lab).parts)
        folders[:] = sorted(one for one in folders if depth < MAX_DEPTH and _may_hold_runs(one))
        known = {RUN, SWEEP, SET, REPORT} & {*files}
        yield path, frozenset(one for one in known if not (path / one).is_symlink() and (path / one).is_file())


def _may_hold_runs(folder: str) -> bool:
    return folder not in _STORES and not folder.endswith(PART)


def _above(name: str) -> Iterator[str]:
    return (one.as_posix() for one in PurePosixPath(name).parents)


def _report(
    folder: str, kind: Literal["sweep", "set"], named: str, parts: str, record: Record, files: Container[str]
) -> Iterator[LabReport]:
    if REPORT in files:
        yield LabReport(_text(folder), kind, _text(record.text(named, kind)), len(record.parts(parts)))


def _run(name: str, sweep: str | None, record: Record, *, has_report: bool) -> LabRun:
    finite = {_text(key): found for key, value in figures(record) if math.isfinite(found := float(value))}
    settings = {_text(setting): _text(value) for setting, value in record.part("config").flat()}
    error, seconds = record.fields.get("error"), record.number("seconds")
    return LabRun(
        _text(name),
        None if sweep is None else _text(sweep),
        _text(record.text("status")),
        _text(error) if isinstance(error, str) else None,
        _text(record.text("started_at", "")),
        None if seconds is None else float(seconds),
        dict(islice(settings.items(), MAX_FIELDS)),
        dict(islice(finite.items(), MAX_FIELDS)),
        has_report,
    )


def _held_bytes(run: LabRun) -> int:
    own = (run.folder, run.sweep or "", run.status, run.error or "", run.started_at)
    return sum(
        len(text.encode()) + _BYTES_OF_A_TEXT
        for text in (*own, *run.settings.keys(), *run.settings.values(), *run.results.keys())
    )


def _text(value: str) -> str:
    """A text of a record, which may have half of a surrogate pair, and may be long."""
    whole = value[: _MOST_TEXT + 1].encode("utf-8", "replace").decode()
    return whole if len(whole) <= _MOST_TEXT else f"{whole[: _MOST_TEXT - 1]}…"
