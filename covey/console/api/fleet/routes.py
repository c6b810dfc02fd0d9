"""The routes of the place of the fleet."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from covey.console.commands import command
from covey.console.console import Console
from covey.console.live import LastEvent, Streams
from covey.console.roles import Reader
from deployment.drift.kept_checks import KeptChecks
from deployment.inspect.fleet import Fleet
from deployment.inspect.site_coverage import SiteCoverage
from deployment.project.project import Project

from .drift_forms import Drift, drift_form
from .live import FleetEvents
from .pane_forms import Coverage, coverage_form
from .parts import FleetParts, read_parts

View = Annotated[str, Query(min_length=1, max_length=200)]
Panes = Annotated[int, Query(ge=1, le=400)]
Last = Annotated[int, Query(ge=1, le=90)]


class FleetState(FleetParts):
    """Everything about a fleet. `project` None: the directory has a store, and no project."""

    project: str | None
    directory: str
    collect_command: str


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/fleet", tags=["fleet"])
    directory, lock = str(console.directory), threading.Lock()
    fleet = Fleet(console.directory, console.store, console.clock)
    coverage, checks = SiteCoverage(console.directory), KeptChecks(console.directory)

    def read() -> FleetParts:
        with lock:
            return read_parts(fleet, directory)

    def project() -> Project | None:
        with lock:
            return fleet.project()

    events, streams = FleetEvents(read, console.clock), Streams()

    @routes.get("", operation_id="readFleet")
    def state() -> FleetState:
        """Sites, panes, the plan under way, roles and the newest panes."""
        found = project()
        return FleetState(
            project=None if found is None else found.name,
            directory=directory,
            collect_command=command("covey", "collect", "--project", directory, "--once"),
            **dict(read()),
        )

    @routes.get("/events", operation_id="followFleet", response_class=StreamingResponse)
    async def follow(user: Reader, last: LastEvent = None) -> StreamingResponse:
        """The same parts as events, when they change."""
        return streams.answer(user, events.follow(last))

    @routes.get("/coverage", operation_id="readCoverage")
    def read_coverage(view: View, panes: Panes = 60) -> Coverage:
        """Which sites are in the newest panes of a view."""
        found = project()
        roster = frozenset[str]() if found is None else frozenset(one.site for one in found.roster.entries)
        with lock:
            return coverage_form(coverage.read(view, roster, panes))

    checking = asyncio.Lock()

    @routes.get("/drift", operation_id="checkDrift")
    async def check_drift(last: Last = 1) -> Drift:
        """Whether the newest panes of each view differ from their own past. It costs no budget."""
        line = command("covey", "monitor", "--last", str(last), "--store", directory)
        async with checking:  # a check may take long, and a request that waits for one must not hold a thread
            reports = await run_in_threadpool(checks.of, last)
        return Drift(views=tuple(map(drift_form, reports)), command=line)

    return routes
