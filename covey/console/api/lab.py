"""Lab: the runs of the laboratory."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from covey.console.commands import command
from covey.console.console import Console
from simulations.errors import ReportMissing
from simulations.reports.lab_folder import MAX_REPORT_BYTES, LabFolder, LabReport, LabRun, read_lab_folder, read_report

from .form import Form

_REPORT_POLICY: Final = "; ".join(
    (
        "sandbox",
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""A report is a page of somebody's experiments: it has no origin, runs no script, and asks no host."""
_REPORT_HEADERS: Final = {
    "Content-Security-Policy": _REPORT_POLICY,
    "Cross-Origin-Opener-Policy": "unsafe-none",  # browsers refuse to open a sandboxed page with another one
}

Folder = Annotated[str, Query(min_length=1, max_length=1_000)]


class RunOfLab(Form):
    """A run. `settings` and `results` do not have what is common to all runs; see `RunsOfLab.common`."""

    folder: str
    sweep: str | None
    status: str
    error: str | None
    started_at: str
    seconds: float | None
    settings: dict[str, str]
    results: dict[str, float]
    has_report: bool


class ReportOfLab(Form):
    """The report of a sweep, or of a named set of experiments. `runs`: how many runs or experiments."""

    folder: str
    kind: str
    name: str
    runs: int


class DamagedRun(Form):
    """A record that cannot be read."""

    folder: str
    why: str


class RunsOfLab(Form):
    """What a folder of the laboratory holds.

    `folder`: None: the console was started without one. `common`: the settings that are the same in all runs. `left_out`: there
    is more than is shown. `command` makes runs.
    """

    folder: str | None
    runs: tuple[RunOfLab, ...]
    common: dict[str, str]
    reports: tuple[ReportOfLab, ...]
    damaged: tuple[DamagedRun, ...]
    left_out: bool
    command: str


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/lab", tags=["lab"])

    @routes.get("/runs", operation_id="listLabRuns")
    def list_runs() -> RunsOfLab:
        """All runs with their settings and results."""
        if console.inputs.lab is None:
            return _form(
                None, LabFolder((), (), (), left_out=False), command("covey", "lab", "run", "--out", "lab-runs/first")
            )
        folder = str(console.inputs.lab)
        return _form(
            folder, read_lab_folder(console.inputs.lab), command("covey", "lab", "run", "--out", f"{folder}/NAME")
        )

    @routes.get("/report", operation_id="readLabReport", response_class=Response)
    def report(folder: Folder) -> Response:
        """The report of a run, a sweep or a set: one page, without rights of the console."""
        if console.inputs.lab is None:
            raise ReportMissing(folder, MAX_REPORT_BYTES)
        return Response(
            read_report(console.inputs.lab, folder), headers=_REPORT_HEADERS, media_type="text/html; charset=utf-8"
        )

    return routes


def _form(folder: str | None, found: LabFolder, line: str) -> RunsOfLab:
    common = dict(found.common)
    return RunsOfLab(
        folder=folder,
        runs=tuple(_run(one, common) for one in found.runs),
        common=common,
        reports=tuple(map(_report, found.reports)),
        damaged=tuple(DamagedRun(folder=one.folder, why=one.why) for one in found.damaged),
        left_out=found.left_out,
        command=line,
    )


def _run(one: LabRun, common: dict[str, str]) -> RunOfLab:
    return RunOfLab(
        folder=one.folder,
        sweep=one.sweep,
        status=one.status,
        error=one.error,
        started_at=one.started_at,
        seconds=one.seconds,
        settings={name: value for name, value in one.settings.items() if name not in common},
        results=dict(one.results),
        has_report=one.has_report,
    )


def _report(one: LabReport) -> ReportOfLab:
    return ReportOfLab(folder=one.folder, kind=one.kind, name=one.name, runs=one.runs)
